import torch
from torchvision.transforms.functional import gaussian_blur

from training.augment import (
    HIDING_GRID,
    augment_pictures,
    augment_sound,
    drop_tokens,
    hide_cells,
    noisy_features,
    resample,
)


def pictures(num=4, size=16, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num, size, size, channels), generator=generator, dtype=torch.uint8)


def test_resampling_to_the_same_size_changes_nothing():
    raw = pictures()
    torch.testing.assert_close(resample(raw, 16), raw.permute(0, 3, 1, 2) / 255)


def test_shrinking_by_two_is_the_mean_of_four():
    raw = pictures()
    expected = (raw.permute(0, 3, 1, 2) / 255).unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(resample(raw, 8), expected)


def test_grey_becomes_three_equal_channels():
    result = resample(pictures(channels=1), 32)
    assert result.shape == (4, 3, 32, 32)
    assert torch.equal(result[:, 0], result[:, 2])


def test_a_flip_is_a_flip():
    raw = pictures()
    flip = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]).expand(4, 2, 3)
    torch.testing.assert_close(
        resample(raw, 16, transform=flip), resample(raw, 16).flip(3), atol=1e-5, rtol=0
    )


def test_augmentation_repeats_with_its_generator_and_stays_in_range():
    raw = pictures(8, 32)
    first, again, other = (augment_pictures(raw, 32, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.min() >= 0 and first.max() <= 1 and first.shape == (8, 3, 32, 32)


def test_pictures_of_one_group_are_changed_alike():
    raw = pictures(1, 32).repeat(6, 1, 1, 1)
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    # noise alone differs inside a group: average it away
    generator = torch.Generator().manual_seed(5)
    result = augment_pictures(raw, 32, generator, groups=groups).mean((1, 2, 3))
    assert (result[:3] - result[0]).abs().max() < 0.01 and (result[3:] - result[3]).abs().max() < 0.01
    assert (result[0] - result[3]).abs() > 0.012


def test_only_hidden_cells_are_blurred():
    raw = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    hidden = torch.zeros(3, 1, HIDING_GRID, HIDING_GRID, dtype=torch.bool)
    hidden[1, 0, 2, 5] = True
    result = hide_cells(raw, hidden)
    assert torch.equal(result[[0, 2]], raw[[0, 2]])
    changed = (result[1] != raw[1]).any(0)
    assert changed[16:24, 40:48].all() and changed.sum() == 64


def test_hiding_is_the_blur_that_explanations_use():
    # a face-like picture: dark spots on a light ground
    picture = torch.full((1, 3, 128, 128), 0.7)
    picture[..., 40:52, 30:50] = picture[..., 40:52, 78:98] = picture[..., 90:100, 44:84] = 0.1
    hidden = torch.ones(1, 1, HIDING_GRID, HIDING_GRID, dtype=torch.bool)
    expected = gaussian_blur(picture, 65, 16.0)
    inside = slice(16, -16)  # the two treat what lies beyond the rim differently
    difference = (hide_cells(picture, hidden) - expected)[..., inside, inside].abs()
    assert difference.max() < 0.06 and (picture - expected).abs().max() > 0.4


def test_noise_has_the_asked_size():
    features = torch.randn(50, 200) * 3
    noise = noisy_features(features, torch.Generator().manual_seed(0), amount=0.1) - features
    assert 0.28 < noise.std() < 0.32


def test_a_sound_changes_speed_and_pitch_together_and_is_partly_silenced():
    tone = torch.sin(2 * torch.pi * 400 * torch.arange(16000) / 16000)
    before, speeds, silent = tone.clone(), [], []
    for seed in range(40):
        changed = augment_sound(tone, torch.Generator().manual_seed(seed))
        speeds.append(len(tone) / len(changed))
        # at the old rate of samples, what is shorter sounds higher
        frequency = torch.fft.rfft(changed).abs().argmax() * 16000 / len(changed)
        assert abs(frequency - 400 * speeds[-1]) < 3
        silent.append(float((changed == 0).float().mean()))
        assert changed.abs().max() <= 1.0
    assert 0.87 < min(speeds) < 0.92 and 1.08 < max(speeds) < 1.15
    # two stretches of 0 to 0.15, which may overlap
    assert max(silent) < 0.31 and 0.1 < sum(silent) / 40 < 0.2
    assert torch.equal(tone, before)


def test_noise_is_softer_than_the_sound_and_comes_in_every_other_one():
    num_noisy = 0
    for seed in range(40):
        changed = augment_sound(torch.ones(16000), torch.Generator().manual_seed(seed))
        # a constant stays one but for the noise; the first sample has none before it
        heard = changed[1:][changed[1:] != 0]
        if heard.std() > 1e-3:
            num_noisy += 1
            assert 0.009 < heard.std() / heard.mean() < 0.33
    assert 10 < num_noisy < 30


def test_a_sound_repeats_with_its_generator_and_may_be_empty():
    noise = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    one, again = (augment_sound(noise, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, again)
    for num_samples in (0, 1, 2):
        assert augment_sound(torch.ones(num_samples), torch.Generator()).isfinite().all()


def test_dropped_tokens_are_words_in_order_and_as_many_as_asked():
    # special tokens 1 and 2 around 2,000 words that are all different
    ids = torch.cat([torch.tensor([1]), torch.arange(10, 2010), torch.tensor([2])])
    kept = drop_tokens(ids, torch.Generator().manual_seed(0), 0.2)
    assert kept[0] == 1 and kept[-1] == 2
    assert 1540 < len(kept) - 2 < 1660
    assert (kept[1:-1].diff() > 0).all() and set(kept.tolist()) <= set(ids.tolist())
    assert torch.equal(drop_tokens(ids, torch.Generator(), 0.0), ids)


def test_one_word_always_stays():
    ids = torch.tensor([1, 10, 11, 12, 2])
    lasting = {
        tuple(drop_tokens(ids, torch.Generator().manual_seed(seed), 1.0).tolist()) for seed in range(30)
    }
    assert lasting == {(1, 10, 2), (1, 11, 2), (1, 12, 2)}
    # nothing between the special tokens, or a text cut to one token: nothing to drop
    for bare in ([1, 2], [1]):
        assert drop_tokens(torch.tensor(bare), torch.Generator(), 1.0).tolist() == bare


def test_dropping_repeats_with_its_generator():
    ids = torch.arange(100)
    first, again, other = (drop_tokens(ids, torch.Generator().manual_seed(seed), 0.3) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
