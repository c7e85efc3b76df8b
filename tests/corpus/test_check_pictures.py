"""Pictures in numbers: mouths, sharpness, grain, boxes."""

from dataclasses import replace

import numpy as np
import pytest
from checked_clips import RATE, a_speaker, measured, voice
from made_truth import a_sidecar

from sample_data.corpus.checking import picture
from sample_data.corpus.checking.courses import LAGS_SECONDS, NUM_FACE_FRAMES, window_rows
from sample_data.corpus.checking.faces import check_faces
from sample_data.corpus.checking.lips import check_lips
from sample_data.corpus.checking.sound import track_voice
from sample_data.corpus.checking.windows import check_windows
from sample_data.corpus.distractors import disturb_sound
from sample_data.corpus.schema import TimedDistractor

SIZE = 64


def face(opening):
    """Skin with a dark mouth of that height, as `(row, column, rgb)`."""
    pixels = np.full((SIZE, SIZE, 3), 180, np.uint8)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    pixels[(np.abs(rows - 44) < 5 * opening) & (np.abs(columns - 32) < 8)] = 20
    return pixels


def test_an_opening_mouth_looks_unlike_a_silent_one():
    openings = np.concatenate([np.zeros(4), np.linspace(0.0, 1.0, 20)])
    grey = picture.luminance(np.stack([face(opening) for opening in openings]))
    box = np.tile([0.36, 0.6, 0.64, 0.78], (24, 1))
    change = picture.mouth_change(grey, box, np.arange(24) < 4, 10.0)
    assert np.corrcoef(change, openings)[0, 1] > 0.9 and change[:4].max() == 0


def test_the_box_itself_says_nothing_of_the_opening():
    """A mouth that stays as it is, under a box that grows and shrinks fast, looks the same."""
    grey = picture.luminance(np.stack([face(0.5)] * 20))
    box = np.tile([0.36, 0.6, 0.64, 0.78], (20, 1))
    box[:, 3] += 0.1 * (np.arange(20) % 2)
    change = picture.mouth_change(grey, box, np.arange(20) < 4, 10.0)
    assert np.abs(np.diff(change)).max() < 0.006


def test_sharpness_grain_and_brightness_see_what_they_are_named_for():
    draw = np.random.default_rng(0)
    edges = np.where(np.arange(SIZE) // 16 % 2, 180.0, 60.0)[None, None].repeat(SIZE, 1)
    soft = (np.arange(SIZE) / SIZE * 240)[None, None].repeat(SIZE, 1)
    noisy = edges + draw.normal(0, 12, edges.shape)
    assert picture.sharpness(edges)[0] > 1.5 * picture.sharpness(soft)[0]
    # edges are no grain
    assert picture.graininess(edges)[0] == 0 and picture.graininess(noisy)[0] > 10
    assert picture.brightness(edges / 4)[0] == pytest.approx(30)


def test_sampling_a_box_takes_its_pixels_and_repeats_the_edge():
    grey = np.arange(16.0).reshape(1, 4, 4)
    np.testing.assert_allclose(picture.sample_boxes(grey, np.array([[0.0, 0.0, 1.0, 1.0]]), 4)[0], grey[0])
    outside = picture.sample_boxes(grey, np.array([[1.0, 0.0, 2.0, 1.0]]), 4)[0]
    np.testing.assert_allclose(outside, np.tile(grey[0, :, 3:], 4))


def test_overlap_of_boxes():
    first = np.array([0.0, 0.0, 2.0, 2.0])
    assert picture.overlap(first, np.array([1.0, 0.0, 3.0, 2.0])) == pytest.approx(1 / 3)
    assert picture.overlap(first, first) == 1.0 and picture.overlap(first, first + 5) == 0.0


def test_gradient_histograms_tell_directions_and_not_brightness():
    slope = np.tile(np.arange(64.0), (64, 1))
    across = picture.gradient_histograms(slope).reshape(-1, 9)
    down = picture.gradient_histograms(slope.T).reshape(-1, 9)
    assert across.shape == (196, 9)
    # a gradient along the rows points in direction 0, between the last bin and the first
    assert across[:, [0, 8]].sum() == pytest.approx(across.sum())
    assert down[:, 4].sum() == pytest.approx(down.sum())
    np.testing.assert_allclose(picture.gradient_histograms(slope * 3 + 20).reshape(-1, 9), across, atol=0.02)


def lips(lag_seconds, num=100, height=0.3, num_speakers=10):
    noise = np.random.default_rng(0)
    speakers = [a_speaker(f"s{number}") for number in range(num_speakers)]
    curve = height * np.exp(-0.5 * ((np.array(LAGS_SECONDS) - lag_seconds) / 0.06) ** 2)

    def around(mean):
        return list(mean + noise.normal(0, 0.1, len(curve)))

    return [
        measured(
            {"lips_seen": around(curve), "lips_told": around(curve), "lips_idle": around(0 * curve)},
            speaker=speakers[number % num_speakers],
        )
        for number in range(num)
    ]


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (lips(0.0), [True, True]),
        # at 25 frames per second, 0.2 s are five frames
        (lips(0.2), [False, False]),
        (lips(0.0, num=99), [None, None]),
        (lips(0.2, num=99), [None, None]),
        (lips(0.0, num_speakers=4), [None, None]),
    ],
    ids=["right", "late", "few", "few and late", "few speakers"],
)
def test_lips_that_are_late_or_still_fail_where_there_are_enough(clips, expected):
    assert [check.is_passed for check in check_lips(clips).checks] == expected


def test_lips_that_do_not_move_fail():
    assert check_lips(lips(0.0, height=0.0)).checks[0].is_passed is False


def test_the_interval_of_lips_counts_speakers_not_clips():
    """Five of ten speakers move their lips: how many of them a draw has is what the gain depends on."""
    moving, still = lips(0.0, num=200), lips(0.0, num=200, height=0.0)
    clips = [moving[at] if at % 10 < 5 else still[at] for at in range(200)]
    check = check_lips(clips).checks[0]
    # a speaker adds 0.3 or nothing, and the mean of ten such scatters by 0.3 · 0.5 / √10
    assert check.high - check.low == pytest.approx(2 * 1.96 * 0.15 / np.sqrt(10), rel=0.25)


def test_faces_that_are_missed_are_named():
    def clip(name, overlap):
        frames = [{"kinds": [], "num_found": 1, "overlap": overlap}] * NUM_FACE_FRAMES
        hidden = {"kinds": ["occlude_eyes"], "num_found": 0, "overlap": 0.0}
        return measured({"faces": [*frames, hidden]}, name=name)

    good = [clip(f"d{number:05d}", 0.8) for number in range(9)]
    assert [check.is_passed for check in check_faces(good).checks] == [True, True]
    found, where = check_faces([*good, clip("d00099", 0.1)]).checks
    assert found.is_passed is False and found.value == pytest.approx(0.9) and where.is_passed
    assert found.culprits == ("000/d00099.mp4",)


def test_distractors_that_do_not_show_are_named():
    noise = np.random.default_rng(0)

    def clip(name, kind, effect, *, is_disturbed):
        return measured(
            {"windows": [{"kind": kind, "is_disturbed": is_disturbed, "effect": effect}]}, name=name
        )

    idle = [
        clip("d1", kind, noise.normal(), is_disturbed=False) for kind in ("dark", "hiss") for _ in range(20)
    ]
    shows = [clip("d2", "dark", 6.0, is_disturbed=True) for _ in range(6)]
    hidden = [clip("d3", "hiss", noise.normal(), is_disturbed=True) for _ in range(6)]
    found = {check.name: check for check in check_windows([*idle, *shows, *hidden]).checks}
    assert found["dark shows in its window"].is_passed is True
    assert found["hiss shows in its window"].is_passed is False
    assert set(found["hiss shows in its window"].culprits) == {"000/d3.mp4"}
    assert found["blur shows in its window"].is_passed is None


def effects_of(waveform, kinds, window):
    """What is measured of each kind in a clip with that sound and that distractor."""
    placed = [
        TimedDistractor(
            modality="audio", kind=kind, start_seconds=window[0], end_seconds=window[1], strength=1.0
        )
        for kind in kinds
    ]
    sidecar = replace(a_sidecar([0.0] * 75), distractors=tuple(placed))
    rows = window_rows(None, track_voice(waveform, RATE), waveform, sidecar)
    return {row["kind"]: row["effect"] for row in rows}


@pytest.mark.parametrize("kind", ["hiss", "babble", "hum", "dropout"])
def test_a_sound_distractor_shows_in_its_own_measure(kind):
    window = (0.5, 2.1)
    pause = np.zeros(RATE // 2)
    speech = np.concatenate([pause, voice(2.0), pause])
    clean = speech + 1e-4 * np.random.default_rng(0).standard_normal(len(speech))
    (idle,) = effects_of(clean, [kind], window).values()
    disturbed = clean.astype(np.float32)
    one = TimedDistractor(
        modality="audio", kind=kind, start_seconds=window[0], end_seconds=window[1], strength=0.5
    )
    disturb_sound(disturbed, speech, one, 0, RATE)
    (found,) = effects_of(disturbed, [kind], window).values()
    assert found > idle + 6


def test_several_distractors_of_a_modality_are_not_told_apart_and_left_out():
    sound = voice(3.0)
    assert effects_of(sound, ["hiss", "hum"], (1.0, 2.0)) == {}
    # an undisturbed clip is measured in every way, for comparison
    assert set(effects_of(sound, [], (1.0, 2.0))) <= {"hiss", "babble", "hum", "dropout"}
    assert effects_of(sound, [], (1.0, 2.0))
