"""Slices against Fisher's exact test of scipy and a correction by hand."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from core.evaluation.failure_sentences import of_slices
from core.evaluation.slices import binned, find_slices
from tests.made_evaluations import made_clips, made_evaluation


def clips_of(labels, folder, **columns):
    """Clips of which each column has the given values."""
    from dataclasses import replace

    made = made_clips(labels, folder, speaker=None, transcript="same words", extra={})
    return [
        replace(
            clip,
            extra={
                name: values[i] for name, values in columns.items() if name not in ("speaker", "transcript")
            },
            **{name: columns[name][i] for name in ("speaker", "transcript") if name in columns},
        )
        for i, clip in enumerate(made)
    ]


def by_name(found):
    return {(part.column, part.value): part for part in found.slices}


@pytest.fixture
def noisy(tmp_path):
    """Forty clips; twelve of them noisy, of which nine are missed, and of the others four."""
    labels = ["fear"] * 20 + ["joy"] * 20
    noise = ["yes"] * 12 + ["no"] * 28
    told = list(labels)
    for i in [*range(9), 36, 37, 38, 39]:
        told[i] = "anger"
    return made_evaluation(labels, told, tmp_path, clips=clips_of(labels, tmp_path, noise=noise))


def test_a_slice_that_errs_more(noisy):
    found = find_slices(noisy)
    part = by_name(found)["noise", "yes"]
    assert (part.num_clips, part.num_wrong, part.rest, part.rest_wrong) == (12, 9, 28, 4)
    assert (part.error, part.rest_error) == (0.75, pytest.approx(1 / 7))
    assert part.p_value == pytest.approx(fisher_exact([[9, 3], [4, 24]], alternative="greater").pvalue)
    assert part.rows.tolist() == list(range(12))
    other = by_name(found)["noise", "no"]
    assert other.p_value == pytest.approx(fisher_exact([[4, 24], [9, 3]], alternative="greater").pvalue)
    assert found.slices[0] is part


def test_the_correction_over_all_that_were_looked_at(noisy):
    found = find_slices(noisy)
    p_values = [part.p_value for part in found.slices]
    assert p_values == sorted(p_values) and found.num_looked_at == len(p_values)
    expected, least = [], 1.0
    for rank in range(len(p_values), 0, -1):
        least = min(least, p_values[rank - 1] * len(p_values) / rank)
        expected.append(least)
    assert [part.adjusted_p_value for part in found.slices] == pytest.approx(expected[::-1])


def test_small_slices_and_small_rests_are_left_out_and_counted(tmp_path):
    labels = ["joy"] * 30
    kind = ["a"] * 25 + ["b"] * 5
    made = made_evaluation(labels, labels, tmp_path, clips=clips_of(labels, tmp_path, kind=kind))
    found = find_slices(made)
    assert found.slices == () and found.num_too_small == 2
    assert of_slices(found) == (
        "No slice could be looked at: it takes at least 10 clips inside and as many outside."
    )


def test_within_one_class(noisy):
    found = find_slices(noisy, label="fear", min_clips=8)
    part = by_name(found)["noise", "yes"]
    assert (part.num_clips, part.num_wrong, part.rest, part.rest_wrong) == (12, 9, 8, 0)
    assert "of the clips labelled fear" in of_slices(found)


def test_all_correct_lets_nothing_stand_out(tmp_path):
    labels, kind = ["joy"] * 20, ["a", "b"] * 10
    made = made_evaluation(labels, labels, tmp_path, clips=clips_of(labels, tmp_path, kind=kind))
    found = find_slices(made)
    assert [part.p_value for part in found.slices] == [1.0, 1.0]
    assert of_slices(found).endswith(
        "None errs more often than the rest by more than chance explains, after the correction for looking "
        "at all of them."
    )


def test_one_clip_has_no_slice(tmp_path):
    assert find_slices(made_evaluation(["joy"], ["joy"], tmp_path)).slices == ()


def test_what_is_sliced_by(tmp_path):
    labels = ["joy"] * 48
    columns = {
        "speaker": [f"s{i % 2}" for i in range(48)],
        "transcript": ["one"] * 24 + ["one two three"] * 24,
        "intensity": [str(i / 50) for i in range(48)],  # 48 numbers: bins
        "remark": [f"remark {i}" for i in range(48)],  # 48 texts: none
        "duration_seconds": [str(2 + i % 2) for i in range(48)],
        "take": [None if i < 24 else "second" for i in range(48)],  # missing is the rest
    }
    made = made_evaluation(labels, labels, tmp_path, clips=clips_of(labels, tmp_path, **columns))
    found = by_name(find_slices(made))
    assert {name for name, _ in found} == {"speaker", "words", "intensity", "duration", "take"}
    assert {value for name, value in found if name == "words"} == {"1", "3"}
    assert {value for name, value in found if name == "duration"} == {"2.0 s", "3.0 s"}
    assert found["take", "second"].rest == 24
    assert [part.num_clips for (name, _), part in found.items() if name == "intensity"] == [12] * 4


def test_confidence_and_conflict_and_kept_frames(tmp_path):
    from dataclasses import replace

    labels = ["joy"] * 20
    probabilities = np.full((20, 8, 3), 1 / 3)
    probabilities[:, 1:] = [0.5, 0.3, 0.2]
    probabilities[10:, 1:] = [0.8, 0.1, 0.1]  # on an edge: the bin above
    clips = [
        replace(clip, kept_frame_seconds=(0.5,) * (4 if i < 10 else 8))
        for i, clip in enumerate(clips_of(labels, tmp_path))
    ]
    recipe = {"model": {"video": {"num_candidate_frames": 16}}}
    made = made_evaluation(labels, [], tmp_path, probabilities=probabilities, clips=clips, recipe=recipe)
    found = by_name(find_slices(made))
    assert found["confidence", "40–60 %"].rows.tolist() == list(range(10))
    assert found["confidence", "80–100 %"].rows.tolist() == list(range(10, 20))
    assert found["kept frames", "25 % of the candidates"].rows.tolist() == list(range(10))
    assert found["kept frames", "50 % of the candidates"].num_clips == 10
    # some whose number is not known
    gaps = made.predictions.assign(num_kept_frames=[4.0] * 10 + [np.nan] * 10)
    found = by_name(find_slices(replace(made, predictions=gaps)))
    kept = [name for name in found if name[0] == "kept frames"]
    assert kept == [("kept frames", "25 % of the candidates")]


def test_clips_without_a_face_are_a_slice_where_that_was_recorded(tmp_path):
    from dataclasses import replace

    labels = ["joy"] * 34
    faces = ["none"] * 11 + ["one"] * 12 + ["several"] * 10 + [None]
    pairs = zip(clips_of(labels, tmp_path), faces, strict=True)
    clips = [replace(clip, face=face) for clip, face in pairs]
    made = made_evaluation(labels, ["fear"] * 11 + ["joy"] * 23, tmp_path, clips=clips)
    found = by_name(find_slices(made))
    part = found["face", "no face found"]
    assert (part.num_clips, part.num_wrong, part.rest_wrong) == (11, 11, 0)
    assert found["face", "one face"].num_clips == 12 and found["face", "several faces"].num_clips == 10
    earlier = replace(made, predictions=made.predictions.drop(columns="face"))
    assert "face" not in {name for name, _ in by_name(find_slices(earlier))}


def test_bins_are_of_equal_size_and_named_by_what_is_inside():
    names = binned(np.array([*range(1, 13), np.nan], float), unit=" s", decimals=0)
    assert names.tolist() == ["1–3 s"] * 3 + ["4–6 s"] * 3 + ["7–9 s"] * 3 + ["10–12 s"] * 3 + [None]
    assert binned(np.array([2.0, 5.0, 2.0])).tolist() == ["2.0", "5.0", "2.0"]
    assert binned(np.array([np.nan])).tolist() == [None]
