from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import PRESETS, AudioConfig
from core.encoders.audio import AudioEncoder
from core.media.clip import SAMPLE_RATE

TINY = PRESETS["tiny"].audio
SMALL_WAV2VEC2 = AudioConfig(
    backbone="facebook/wav2vec2-base",
    width=32,
    pooling="mean",
    max_seconds=3,
    layout={"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
)


def sound(seconds: float, seed: int = 0, loudness: float = 0.1) -> np.ndarray:
    """Noise under a slow envelope, with a gliding tone: loud, silent and voiced parts."""
    generator = np.random.default_rng(seed)
    num_samples = round(seconds * SAMPLE_RATE)
    t = np.arange(num_samples) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * (200 + 40 * seed) * t * (1 + 0.1 * t))
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * (0.7 + 0.1 * seed) * t)
    return (loudness * envelope * (tone + 0.3 * generator.standard_normal(num_samples))).astype(np.float32)


@pytest.fixture(scope="module")
def tiny() -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(TINY, "random")


@pytest.fixture(scope="module")
def mini() -> AudioEncoder:
    return AudioEncoder(PRESETS["mini"].audio, "pretrained")


@pytest.fixture(scope="module")
def wav2vec2() -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(SMALL_WAV2VEC2, "random")


def run_backbone(encoder, waveform):
    """Hidden states `(layer, state, width)` of one sound."""
    with torch.no_grad():
        states, mask = encoder.backbone(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    assert mask.all()
    return torch.stack(states)[:, 0]


# ---- Whisper


@pytest.mark.parametrize("seconds", [0.3, 4.0, 29.99])
def test_log_mel_is_whispers(mini, seconds):
    from transformers import WhisperFeatureExtractor

    waveform = sound(seconds)
    expected = WhisperFeatureExtractor()(waveform, sampling_rate=SAMPLE_RATE, return_tensors="np")
    padded = torch.zeros(1, 30 * SAMPLE_RATE)
    padded[0, : len(waveform)] = torch.from_numpy(waveform)
    log_mel = mini.backbone.log_mel(padded)
    assert log_mel.shape == (1, 80, 3000)
    np.testing.assert_allclose(log_mel.numpy(), expected["input_features"], atol=1e-4)


def test_log_mel_of_the_short_sound_is_the_beginning_of_the_padded_one(mini):
    waveform = torch.from_numpy(sound(2.0))[None]
    padded = torch.nn.functional.pad(waveform, (0, 8 * SAMPLE_RATE))
    torch.testing.assert_close(
        mini.backbone.log_mel(waveform)[..., :198],
        mini.backbone.log_mel(padded)[..., :198],
        atol=1e-4,
        rtol=0,
    )


def test_hidden_states_are_whispers_own_for_a_full_window(mini):
    from transformers import WhisperFeatureExtractor

    waveform = sound(30.0)
    ours = run_backbone(mini, waveform)
    assert ours.shape == (5, 1500, 384)
    features = WhisperFeatureExtractor()(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    encoder = mini.backbone.encoder
    with torch.no_grad():
        whispers = encoder(features["input_features"], output_hidden_states=True)
        # all but the last state: behind the end ours has silence, Whisper its convolutions' zero padding
        torch.testing.assert_close(ours[0, :1499], whispers.hidden_states[0][0, :1499], atol=1e-4, rtol=0)
        # that one state reaches all others by attention, so the layers are compared on the same input
        hook = encoder.layers[0].register_forward_pre_hook(lambda _, args: (ours[:1], *args[1:]))
        whispers = encoder(features["input_features"], output_hidden_states=True)
        hook.remove()
    for layer in range(4):
        torch.testing.assert_close(ours[layer], whispers.hidden_states[layer][0], atol=1e-4, rtol=0)
    torch.testing.assert_close(ours[4], whispers.last_hidden_state[0], atol=1e-4, rtol=0)


def test_the_shipped_encoder_hears(mini):
    """Features of a loud sound and of silence are far apart, those of a sound and of itself are not."""
    loud, again, silent = mini.encode([sound(2.0), sound(2.0), np.zeros(2 * SAMPLE_RATE, np.float32)])
    torch.testing.assert_close(loud, again)
    assert (loud - silent).norm() > 1.0
    assert len(mini.sha256) == 64


# ---- pooling


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_statistics_are_means_and_deviations_over_time(name, request):
    encoder = request.getfixturevalue(name)
    sounds = [sound(1.3), sound(0.7, seed=1)]
    features = encoder.encode(sounds)
    for row, waveform in enumerate(sounds):
        states = run_backbone(encoder, waveform).double().numpy()
        assert states.shape[1] == -(-len(waveform) // 320)  # 50 states per second
        expected = np.concatenate([states.mean(1), states.std(1)], -1)
        np.testing.assert_allclose(features[row], expected, atol=1e-4)


def test_mean_pooling_takes_the_last_layer():
    torch.manual_seed(0)
    encoder = AudioEncoder(replace(TINY, pooling="mean"), "random")
    states = run_backbone(encoder, sound(1.3)).double().numpy()
    features = encoder.encode([sound(1.3)])
    np.testing.assert_allclose(features[0], states[-1].mean(0), atol=1e-5)
    assert torch.equal(encoder.pool(features), features)


def test_pool_mixes_the_layers_by_learned_weights(tiny):
    features = tiny.encode([sound(1.0), sound(0.5, seed=1)]).double()
    pool = AudioEncoder(TINY, "random").double()
    with torch.no_grad():
        pool.layer_weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
    share = np.exp([0.3, -1.0, 2.0]) / np.exp([0.3, -1.0, 2.0]).sum()
    mixed = (features.numpy() * share[None, :, None]).sum(1)
    np.testing.assert_allclose(pool.pool(features).detach(), mixed, atol=1e-6)
    assert mixed.shape == (2, TINY.feature_width)


def test_pool_brings_every_dimension_to_one_scale():
    random = np.random.default_rng(0)
    scale = random.uniform(0.01, 500, (3, TINY.feature_width))
    features = random.normal(size=(40, 3, TINY.feature_width)) * scale + 10 * scale
    pool = AudioEncoder(TINY, "random").double()
    pool.standardise_to(torch.from_numpy(features))
    expected = ((features - features.mean(0)) / features.std(0)).mean(1)
    np.testing.assert_allclose(pool.pool(torch.from_numpy(features)).detach(), expected, atol=1e-6)


def test_a_projection_reads_all_layers_but_the_input_side_by_side(tiny):
    encoder = AudioEncoder(replace(TINY, pooling="layer-projection"), "random")
    assert encoder.config.feature_width == TINY.width == 32
    features = tiny.encode([sound(1.0), sound(0.5, seed=1)])
    encoder.standardise_to(features * torch.tensor([1.0, 3.0])[:, None, None])
    scaled = (features - encoder.feature_mean) / encoder.feature_deviation
    weight, bias = (
        value.detach().double().numpy() for value in (encoder.layer_map.weight, encoder.layer_map.bias)
    )
    expected = scaled[:, 1:].reshape(2, 2 * 64).double().numpy() @ weight.T + bias
    pooled = encoder.pool(features)
    np.testing.assert_allclose(pooled.detach(), expected, rtol=1e-4, atol=1e-5)
    pooled.sum().backward()
    assert {name for name, value in encoder.named_parameters() if value.requires_grad} == {
        "layer_map.weight",
        "layer_map.bias",
    }
    assert encoder.layer_map.weight.grad.abs().sum() > 0


# ---- any length, any company


@pytest.mark.parametrize("name", ["tiny", "mini", "wav2vec2"])
def test_batch_equals_one_by_one(name, request):
    encoder = request.getfixturevalue(name)
    sounds = [sound(1.0), sound(0.31, seed=1), sound(1.73, seed=2, loudness=0.001), sound(0.02, seed=3)]
    batch = encoder.encode(sounds)
    # the shipped encoder's features reach 13: rounding alone is 1e-5 there
    tolerance = 5e-5 if name == "mini" else 1e-5
    for row, waveform in enumerate(sounds):
        torch.testing.assert_close(encoder.encode([waveform])[0], batch[row], atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", ["tiny", "wav2vec2"])
@pytest.mark.parametrize("filling", [0.7, float("nan")])
def test_what_lies_behind_the_end_has_no_influence(name, filling, request):
    encoder = request.getfixturevalue(name)
    waveform = torch.from_numpy(sound(0.8))
    padded = torch.full((1, 2 * SAMPLE_RATE), filling)
    padded[0, : len(waveform)] = waveform
    with torch.no_grad():
        features = encoder(padded, torch.tensor([len(waveform)]))
    torch.testing.assert_close(features[0], encoder.encode([waveform.numpy()])[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["tiny", "wav2vec2"])
@pytest.mark.parametrize("num_samples", [0, 1, 100, 399, 401])
def test_empty_and_very_short_sounds_are_finite(name, num_samples, request):
    encoder = request.getfixturevalue(name)
    alone = encoder.encode([sound(1.0)[:num_samples]])
    assert alone.isfinite().all()
    together = encoder.encode([sound(1.0), sound(1.0)[:num_samples]])
    torch.testing.assert_close(together[1], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["tiny", "wav2vec2"])
def test_silence_is_finite(name, request):
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert request.getfixturevalue(name).encode([silence]).isfinite().all()


def test_long_sounds_are_encoded_window_by_window(tiny):
    torch.manual_seed(0)
    encoder = AudioEncoder(replace(TINY, max_seconds=2), "random")
    encoder.load_state_dict(tiny.state_dict())
    waveform = sound(5.0)
    parts = [waveform[i * 2 * SAMPLE_RATE : (i + 1) * 2 * SAMPLE_RATE] for i in range(3)]
    states = np.concatenate([run_backbone(encoder, part).double().numpy() for part in parts], 1)
    assert states.shape[1] == 250
    expected = np.concatenate([states.mean(1), states.std(1)], -1)
    np.testing.assert_allclose(encoder.encode([waveform])[0], expected, atol=1e-4)
    # beside shorter ones, one of which ends exactly with a window
    sounds = [waveform, sound(1.0, seed=1), sound(4.0, seed=2), sound(0.0)]
    batch = encoder.encode(sounds)
    for row, alone in enumerate(sounds):
        torch.testing.assert_close(encoder.encode([alone])[0], batch[row], atol=1e-5, rtol=0)


def test_a_minute_fits_whispers_position_table(mini):
    assert mini.encode([np.tile(sound(1.0), 61)]).isfinite().all()


@pytest.mark.parametrize("extra_samples", [1, 160, 399])
def test_a_last_window_of_a_few_samples_is_no_accident(wav2vec2, extra_samples):
    window = SMALL_WAV2VEC2.max_seconds * SAMPLE_RATE
    waveform = sound(3.1)[: window + extra_samples]
    features = wav2vec2.encode([waveform])
    assert features.isfinite().all()
    # a hundredth of a second more cannot change what three seconds say
    torch.testing.assert_close(features, wav2vec2.encode([waveform[:window]]), atol=0.1, rtol=0)


# ---- wav2vec 2.0


def test_wav2vec2_equals_transformers_with_its_own_feature_extractor(wav2vec2):
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    for waveform in (sound(1.5) + 0.05, sound(0.7, seed=1, loudness=1e-4)):
        values = extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")["input_values"]
        with torch.no_grad():
            hidden = wav2vec2.backbone.encoder(values).last_hidden_state[0]
        torch.testing.assert_close(wav2vec2.encode([waveform])[0], hidden.mean(0), atol=1e-5, rtol=0)


# ---- frozen


@pytest.mark.parametrize("name", ["tiny", "wav2vec2"])
def test_only_the_mix_is_trained(name, request):
    encoder = request.getfixturevalue(name)
    trained = {key for key, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert trained == ({"layer_weights"} if name == "tiny" else set())
    encoder.train()
    assert not any(module.training for module in encoder.backbone.modules())
    assert torch.equal(encoder.encode([sound(0.5)]), encoder.encode([sound(0.5)]))
    encoder.eval()


def test_features_can_be_trained_upon(tiny):
    """Cached features go into layers that are trained: they must not be inference tensors."""
    features = tiny.encode([sound(0.5), sound(0.6, seed=1)])
    tiny.zero_grad()
    tiny.pool(features)[:, 0].sum().backward()
    assert tiny.layer_weights.grad.abs().sum() > 0
    tiny.zero_grad()


def test_a_width_that_does_not_fit_is_told():
    with pytest.raises(ValueError, match="384 wide, the configuration says 400"):
        AudioEncoder(replace(PRESETS["mini"].audio, width=400), "pretrained")
