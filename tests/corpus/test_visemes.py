"""How the mouth moves in speech."""

import numpy as np
import pytest

from sample_data.corpus.schema import Timed
from sample_data.corpus.visemes import CONTROLS, mouth_track

SLOW_FRAMES = 12.5


def phones(text: str, each_seconds: float = 0.08, start_seconds: float = 0.5) -> tuple[Timed, ...]:
    return tuple(
        Timed(
            text=phone,
            start_seconds=start_seconds + index * each_seconds,
            end_seconds=start_seconds + (index + 1) * each_seconds,
        )
        for index, phone in enumerate(text)
    )


def frames(num_frames: int, per_second: float = 100.0, first_seconds: float = 0.0) -> np.ndarray:
    return first_seconds + np.arange(num_frames) / per_second


def test_the_mouth_rests_where_nobody_speaks():
    track = mouth_track(phones("bæd"), frames(200))
    assert set(track) == set(CONTROLS)
    for values in track.values():
        assert values.shape == (200,)
        assert values[:10] == pytest.approx(0.0, abs=1e-4)
        assert values[150:] == pytest.approx(0.0, abs=1e-4)
    assert all(not values.any() for values in mouth_track((), frames(20)).values())


def test_open_vowels_open_the_jaw_and_round_vowels_the_lips():
    heart, spread, rounded = (mouth_track(phones(vowel, 0.2), frames(120)) for vowel in ("ɑ", "i", "u"))
    middle = 60
    assert heart["jawOpen"][middle] > 2 * spread["jawOpen"][middle] > 0
    assert rounded["mouthPucker"][middle] > 0.4 > heart["mouthPucker"][middle]
    assert spread["mouthStretchLeft"][middle] == spread["mouthStretchRight"][middle] > 0.15


@pytest.mark.parametrize("stop", ["p", "b", "m"])
@pytest.mark.parametrize("offset", [0.0, 0.02, 0.04, 0.06])
def test_lips_meet_at_low_frame_rates_too(stop, offset):
    """A 40 ms closure between open vowels, filmed at 12.5 frames per second in any phase."""
    sounds = (
        Timed(text="ɑ", start_seconds=0.3, end_seconds=0.5),
        Timed(text=stop, start_seconds=0.5, end_seconds=0.54),
        Timed(text="ɑ", start_seconds=0.54, end_seconds=0.74),
    )
    times = frames(13, SLOW_FRAMES, offset)
    track = mouth_track(sounds, times)
    near = np.abs(times - 0.52) < 0.505 / SLOW_FRAMES
    assert track["jawOpen"][near].min() < 0.03
    assert track["mouthRollLower"][near].max() > 0.3
    assert track["jawOpen"].max() > 0.3


def test_neighbours_colour_each_other():
    """The lips are round for "u" before it sounds."""
    times = frames(120)
    during_s = (times > 0.55) & (times < 0.58)
    before_u = mouth_track(phones("su"), times)["mouthPucker"][during_s]
    before_i = mouth_track(phones("si"), times)["mouthPucker"][during_s]
    assert before_u.min() > 0.05 > before_i.max()


def test_gain_scales_and_frame_times_are_free():
    sounds = phones("mɑtIk")
    once, twice = (mouth_track(sounds, frames(120), gain) for gain in (1.0, 2.0))
    sparse = mouth_track(sounds, frames(12, 10.0))
    assert twice["jawOpen"] == pytest.approx(2 * once["jawOpen"])
    vowel = 6  # at 0.6 s
    assert sparse["jawOpen"][vowel] == pytest.approx(once["jawOpen"][60], abs=0.12)


def test_humming_keeps_the_mouth_closed():
    track = mouth_track(phones("mhmm", 0.25), frames(200))
    during = slice(52, 148)
    assert track["jawOpen"][during].max() < 0.1
    assert np.median(track["mouthRollLower"][during]) > 0.25
