"""Each distractor does what it says to a picture or a sound, and nothing elsewhere."""

import numpy as np
import pytest

from sample_data.corpus.distractors import (
    AUDIO_SHARES,
    KINDS,
    REFERENCE_LEVEL,
    VIDEO_SHARES,
    cover_of,
    disturb_picture,
    disturb_sound,
    draw_distractors,
    timed,
)
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import Distractor

MOUTH, EYES = (0.4, 0.6, 0.6, 0.72), (0.3, 0.35, 0.7, 0.43)
RATE = 8000


def a_distractor(kind, *, window=(0.25, 0.5), strength=0.5):
    modality = "video" if kind in VIDEO_SHARES else "audio"
    return Distractor(modality=modality, kind=kind, window=window, strength=strength, seed=3)


def sharpness(pixels):
    grey = pixels.mean(axis=2)
    return np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(60, 200, (64, 64, 3)).astype(np.uint8)


def disturbed(picture, kind, **changes):
    distractor = a_distractor(kind, **changes)
    return disturb_picture(picture, distractor, cover_of(distractor, MOUTH, EYES), frame_number=4)


@pytest.mark.parametrize(("kind", "box"), [("occlude_mouth", MOUTH), ("occlude_eyes", EYES)])
def test_what_covers_covers_the_whole_box_and_not_the_rest(picture, kind, box):
    left, top, right, bottom = (round(edge * 64) for edge in box)
    changed = (disturbed(picture, kind) != picture).any(axis=2)
    assert changed[top:bottom, left:right].mean() > 0.97
    assert changed.mean() < 0.4
    other_left, other_top, other_right, other_bottom = (
        round(edge * 64) for edge in (EYES if box is MOUTH else MOUTH)
    )
    assert not changed[other_top:other_bottom, other_left:other_right].any()


@pytest.mark.parametrize("kind", ["blur", "pixelate"])
def test_soft_pictures_are_less_sharp_the_stronger_the_softer(picture, kind):
    mild, strong = (sharpness(disturbed(picture, kind, strength=strength)) for strength in (0.0, 1.0))
    assert strong < mild < 0.7 * sharpness(picture)


def test_dark_pictures_have_less_light(picture):
    assert disturbed(picture, "dark", strength=0.0).mean() / picture.mean() == pytest.approx(0.45, abs=0.02)
    assert disturbed(picture, "dark", strength=1.0).mean() / picture.mean() == pytest.approx(0.25, abs=0.02)


def test_grain_has_its_deviation_and_differs_between_frames():
    grey = np.full((64, 64, 3), 128, np.uint8)
    distractor = a_distractor("grain", strength=0.5)
    first, second = (disturb_picture(grey, distractor, None, frame_number=n).astype(float) for n in (1, 2))
    assert first.std() == pytest.approx(17, rel=0.05) and first.mean() == pytest.approx(128, abs=1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def spectrum_peak_hz(waveform):
    return np.abs(np.fft.rfft(waveform)).argmax() * RATE / len(waveform)


@pytest.mark.parametrize("kind", sorted(AUDIO_SHARES))
def test_sound_is_disturbed_in_its_window_alone(kind):
    voice = (REFERENCE_LEVEL * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    waveform = np.full(4 * RATE, 0.01, np.float32)
    placed = timed(a_distractor(kind, strength=0.0), 4.0)
    assert (placed.start_seconds, placed.end_seconds) == (1.0, 2.0)
    before = waveform.copy()
    disturb_sound(waveform, voice, placed, seed=1, sample_rate=RATE)
    assert (waveform[:RATE] == before[:RATE]).all() and (waveform[2 * RATE :] == before[2 * RATE :]).all()
    added = waveform[RATE : 2 * RATE] - before[RATE : 2 * RATE]
    if kind == "dropout":
        assert np.abs(waveform[RATE : 2 * RATE]).max() < 2e-4
        return
    # mild: ten or twelve decibels below a voice of normal loudness
    expected_db = -10 if kind == "babble" else -12
    assert 20 * np.log10(added.std() / REFERENCE_LEVEL) == pytest.approx(expected_db, abs=0.5)
    if kind == "hum":
        assert spectrum_peak_hz(added) == pytest.approx(100, abs=2)
    if kind == "babble":
        assert spectrum_peak_hz(added) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("window_seconds", [0.4, 1.0, 3.5])
def test_babble_fills_a_window_of_any_length(window_seconds):
    """However long the speech that it is made of."""
    speech = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)
    for seed in range(20):
        waveform = np.zeros(4 * RATE, np.float32)
        window = (0.1, 0.1 + window_seconds / 4.0)
        disturb_sound(waveform, speech, timed(a_distractor("babble", window=window), 4.0), seed, RATE)
        part = waveform[round(0.4 * RATE) : round((0.4 + window_seconds) * RATE)]
        assert part[: len(part) // 4].std() > 0.001 and part[-len(part) // 4 :].std() > 0.001


def test_no_kind_is_unknown_to_pictures_or_sound(picture):
    assert set(KINDS) == set(VIDEO_SHARES) | set(AUDIO_SHARES)
    with pytest.raises(ValueError, match="'hiss' disturbs no picture"):
        disturb_picture(picture, a_distractor("hiss"), None, 0)


def test_shares_hold_over_many_clips_and_nothing_disturbs_what_is_absent():
    drawn = [draw_distractors(lambda name, n=n: stream(n, name), absent="") for n in range(4000)]
    for kind, share in (VIDEO_SHARES | AUDIO_SHARES).items():
        found = np.mean([any(one.kind == kind for one in clip) for clip in drawn])
        # three standard deviations of a binomial share
        assert abs(found - share) < 3 * np.sqrt(share / 4000)
    windows = np.array([one.window for clip in drawn for one in clip])
    assert ((windows >= 0) & (windows <= 1)).all() and (windows[:, 1] - windows[:, 0] >= 0.29).all()
    without = [draw_distractors(lambda name, n=n: stream(n, name), absent="audio") for n in range(400)]
    assert {one.modality for clip in without for one in clip} == {"video"}
