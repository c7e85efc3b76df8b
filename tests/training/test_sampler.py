from dataclasses import replace

import numpy as np
import pytest
import torch

from training.sampler import (
    collate,
    drop_modalities,
    epoch_batches,
    random_stream,
    stratified_frames,
    training_batch,
)


def test_every_clip_is_seen_once_per_epoch():
    batches = epoch_batches(np.zeros(32, int), 8, random_stream(0))
    assert sorted(np.concatenate(batches)) == list(range(32)) and all(len(b) == 8 for b in batches)
    assert len(epoch_batches(np.zeros(5, int), 8, random_stream(0))) == 1


def test_balanced_sampling_evens_out_the_classes():
    labels = np.array([0] * 900 + [1] * 100)
    share = (
        labels[np.concatenate(epoch_batches(labels, 10, random_stream(0), class_balance=1.0))] == 1
    ).mean()
    assert 0.45 < share < 0.55


def share_of_rare(**options):
    labels = np.array([0] * 900 + [1] * 100)
    drawn = [epoch_batches(labels, 10, random_stream(seed), **options) for seed in range(20)]
    return (labels[np.concatenate(drawn, axis=None)] == 1).mean()


def test_square_root_sampling_draws_classes_by_the_root_of_their_size():
    # 30 and 10 of 40
    assert share_of_rare(class_balance=0.5) == pytest.approx(0.25, abs=0.01)


def test_a_balanced_share_mixes_both_ways_of_drawing():
    assert share_of_rare(class_balance=1.0, balanced_share=0.5) == pytest.approx((0.5 + 0.1) / 2, abs=0.01)
    once = epoch_batches(np.array([0, 0, 1]), 3, random_stream(0), class_balance=1.0, balanced_share=0.0)
    assert sorted(once[0]) == [0, 1, 2]


def test_an_epoch_is_drawn_again_from_its_stream():
    labels = np.array([0] * 30 + [1] * 10)

    def epoch(number):
        batches = epoch_batches(labels, 8, random_stream(5, 1, number), class_balance=0.5, balanced_share=0.3)
        return np.stack(batches)

    assert np.array_equal(epoch(2), epoch(2)) and not np.array_equal(epoch(2), epoch(3))


def test_dropped_modalities_leave_every_subset_equally_likely():
    present = np.ones((6000, 3), bool)
    shown = drop_modalities(present, 1.0, random_stream(0))
    codes, counts = np.unique(shown @ [1, 2, 4], return_counts=True)
    assert codes.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.abs(counts / 6000 - 1 / 6).max() < 0.02
    assert present.all()


def test_dropping_never_adds_nor_empties():
    present = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]] * 50, bool)
    shown = drop_modalities(present, 0.5, random_stream(1))
    assert not (shown & ~present).any()
    assert (shown.any(1) == present.any(1)).all()


def test_stratified_frames_come_one_from_each_part():
    random = random_stream(2)
    for _ in range(50):
        frames = stratified_frames(32, 8, random)
        assert (frames // 4).tolist() == list(range(8))
        # parts of three and of two frames: none comes twice
        assert (np.diff(stratified_frames(32, 12, random)) > 0).all()
    assert stratified_frames(5, 8, random).tolist() == [0, 1, 2, 3, 4]


def test_a_batch_is_padded_and_masked(corpus_features, tiny_model):
    clips = [corpus_features.read(0, [0, 2]), corpus_features.read(1), corpus_features[17]]
    batch = collate(clips, tiny_model.config)
    assert batch.inputs.frame_mask.sum(1).tolist() == [2, 6, 6]
    expected = torch.from_numpy(clips[0].crops).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(batch.inputs.frames[0, :2], expected)
    # the last clip is the silent one of the dev split
    assert batch.inputs.present.tolist() == [[True] * 3, [True] * 3, [True, False, True]]
    assert batch.labels.tolist() == [tiny_model.config.labels.index(c.utterance.label) for c in clips]


@torch.inference_mode()
def test_padding_does_not_change_what_the_model_says(corpus_features, tiny_model):
    clips = [corpus_features.read(0, [0, 2]), corpus_features.read(1), corpus_features[17]]
    together = tiny_model(collate(clips, tiny_model.config).inputs).logits
    alone = torch.cat([tiny_model(collate([clip], tiny_model.config).inputs).logits for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_a_training_batch_repeats_with_its_stream(corpus_features, tiny_model):
    def make(seed):
        options = {"num_frames": 3, "modality_dropout": 0.5, "augment": True}
        return training_batch(
            corpus_features, [0, 1, 2, 3], tiny_model.config, random_stream(seed), **options
        )

    first, again, other = make(1).inputs, make(1).inputs, make(2).inputs
    assert torch.equal(first.present, again.present) and torch.equal(first.frames, again.frames)
    assert not torch.equal(first.frames, other.frames)
    assert first.frames.shape[1] <= 3


def test_augmentation_changes_the_frames_of_a_clip_alike_and_its_sound_but_no_frozen_words(
    corpus_features, tiny_model
):
    one = corpus_features[0]
    # the same picture in every frame of both clips
    still = replace(one, crops=one.crops[:1].repeat(4, 0), times_seconds=one.times_seconds[:4])
    clips = [still, replace(still, audio=corpus_features[1].audio, text=corpus_features[1].text)]
    plain = collate(clips, tiny_model.config).inputs
    changed = collate(clips, tiny_model.config, generator=torch.Generator().manual_seed(3)).inputs
    light = changed.frames.mean((2, 3, 4))
    # noise alone, which is averaged away, differs between frames
    assert (light - light[:, :1]).abs().max() < 0.01 < (light[0, 0] - light[1, 0]).abs()
    assert (light - plain.frames.mean((2, 3, 4))).abs().max() > 0.01
    assert torch.equal(changed.text_features, plain.text_features)
    noise = changed.audio_features - plain.audio_features
    assert noise.std() > 0 and not torch.equal(noise[0], noise[1])


def test_words_are_dropped_where_their_encoder_is_trained(corpus_features, tiny_model):
    words = torch.arange(50)
    clips = [replace(corpus_features[i], text=words[: 50 - i], audio=None) for i in range(3)]

    class Features:
        num_frames, read = staticmethod(lambda _: 0), staticmethod(lambda i, _: clips[i])

    config = tiny_model.config
    config = replace(config, text=replace(config.text, num_trained_layers=1))
    options = {"num_frames": 1, "modality_dropout": 0.0, "augment": False}
    whole = training_batch(Features, [0, 1, 2], config, random_stream(0), **options).inputs
    assert torch.equal(whole.token_ids[0], words) and whole.token_mask.sum(1).tolist() == [50, 49, 48]
    dropped = training_batch(
        Features, [0, 1, 2], config, random_stream(0), word_dropout=0.5, **options
    ).inputs
    rows = [row[mask].tolist() for row, mask in zip(dropped.token_ids, dropped.token_mask, strict=True)]
    assert all(10 < len(row) < 40 and set(row) < set(words.tolist()) for row in rows)
    # each clip has draws of its own
    assert rows[0][:20] != rows[1][:20]


def test_sounds_are_changed_where_their_encoder_is_trained(corpus_features, tiny_model):
    sound = torch.linspace(-0.5, 0.5, 8000)
    sounds = [sound, sound[:6000], None]
    clips = [replace(corpus_features[i], text=None, audio=sounds[i]) for i in range(3)]

    class Features:
        num_frames, read = staticmethod(lambda _: 0), staticmethod(lambda i, _: clips[i])

    config = tiny_model.config
    config = replace(config, audio=replace(config.audio, num_trained_layers=1))
    plain, changed = (
        training_batch(
            Features, [0, 1, 2], config, random_stream(0), num_frames=1, modality_dropout=0.0, augment=augment
        ).inputs
        for augment in (False, True)
    )
    assert plain.num_samples.tolist() == [8000, 6000, 0]
    assert torch.equal(plain.waveforms[0], sound)
    first, second, none = changed.num_samples.tolist()
    assert none == 0 and 0.85 < first / 8000 < 1.15 and 0.85 < second / 6000 < 1.15
    # each clip has draws of its own
    assert abs(first / 8000 - second / 6000) > 0.001
    assert changed.waveforms.shape[1] == max(first, second)


def test_a_blind_batch_hides_the_picture_of_clips_that_have_more(corpus_features, tiny_model):
    clips = [corpus_features[i] for i in (0, 1, 2)]
    clips[2] = replace(clips[2], audio=None, text=None)

    class Features:
        num_frames, read = staticmethod(corpus_features.num_frames), staticmethod(lambda i, _: clips[i])

    options = {"num_frames": 1, "modality_dropout": 0.5, "augment": False, "is_blind": True}
    seen = set()
    for seed in range(30):
        batch = training_batch(Features, [0, 1, 2], tiny_model.config, random_stream(seed), **options)
        seen |= set(map(tuple, batch.inputs.present.tolist()))
    assert seen == {(True, False, False), (False, True, True), (False, True, False), (False, False, True)}


def test_data_sets_are_drawn_by_their_shares_and_balanced_within():
    # 900 clips of one, 60 of the other, each three quarters of one label
    sources = np.repeat([0, 1], [900, 60])
    labels = (np.arange(960) % 4 == 0).astype(int)
    random = np.random.default_rng(0)
    drawn = np.concatenate(
        epoch_batches(
            labels, 10, random, class_balance=1.0, sources=sources, shares=(1.0, 3.0), num_draws=20_000
        )
    )
    assert len(drawn) == 20_000
    assert (sources[drawn] == 1).mean() == pytest.approx(0.75, abs=0.02)
    for source in (0, 1):
        assert labels[drawn][sources[drawn] == source].mean() == pytest.approx(0.5, abs=0.02)


def test_a_shorter_epoch_draws_fewer_clips():
    batches = epoch_batches(np.zeros(100, int), 8, np.random.default_rng(0), num_draws=24)
    assert [len(one) for one in batches] == [8, 8, 8]
