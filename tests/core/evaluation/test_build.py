import numpy as np
import pytest
from made_evaluations import LABELS, made_clips, made_evaluation, made_probabilities

from core.evaluation.build import MAX_SLICE_VALUES, groups_of
from core.prediction import SUBSETS

TRUTH = ["joy", "fear", "anger", "joy"]


def test_shapley_values_and_verdict_of_a_row_by_hand(tmp_path):
    # the words alone decide: nothing says ⅓, words say 0.8 whatever is beside them, else ⅓
    probabilities = made_probabilities(["joy"])
    for i, subset in enumerate(SUBSETS):
        if "text" not in subset:
            probabilities[0, i] = 1 / 3
    evaluation = made_evaluation(["joy"], ["joy"], tmp_path, probabilities=probabilities)
    np.testing.assert_allclose(evaluation.shapley[0], [0, 0, 0.8 - 1 / 3], atol=1e-12)
    assert evaluation.predictions["verdict"].tolist() == ["complementary"]
    assert evaluation.info.empty_probabilities == pytest.approx((1 / 3,) * 3)


def test_two_modalities_that_loudly_differ_are_a_conflict(tmp_path):
    probabilities = made_probabilities(["joy"])
    probabilities[0, SUBSETS.index(("audio",))] = [0.1, 0.1, 0.8]
    evaluation = made_evaluation(["joy"], ["joy"], tmp_path, probabilities=probabilities)
    assert evaluation.predictions["is_conflict"].tolist() == [True]


def test_an_absent_modality_gives_nothing(tmp_path):
    probabilities = made_probabilities(["joy"])
    probabilities[0, SUBSETS.index(("audio",))] = np.nan
    # what is shown with sound is what is shown without
    evaluation = made_evaluation(["joy"], ["joy"], tmp_path, probabilities=probabilities)
    video, audio, text = evaluation.shapley[0]
    assert audio == 0.0 and video + text == pytest.approx(0.8 - 1 / 3)
    assert evaluation.metrics.subsets["audio"].num_clips == 0
    assert evaluation.metrics.subsets["video+audio"].num_clips == 1


def test_a_clip_of_no_modality_is_refused(tmp_path):
    probabilities = made_probabilities(["joy"])
    for modality in ("video", "audio", "text"):
        probabilities[0, SUBSETS.index((modality,))] = np.nan
    with pytest.raises(ValueError, match="no modality is present"):
        made_evaluation(["joy"], ["joy"], tmp_path, probabilities=probabilities)


def test_figures_per_subset_and_slice(tmp_path):
    # right, wrong, right, wrong; the odd ones are of the scenario "all"
    probabilities = made_probabilities(["joy", "joy", "anger", "anger"])
    probabilities[:, SUBSETS.index(("text",))] = made_probabilities(TRUTH)[:, 1]
    evaluation = made_evaluation(TRUTH, TRUTH, tmp_path, probabilities=probabilities)
    subsets = evaluation.metrics.subsets
    assert list(subsets) == [
        *("video", "audio", "text", "video+audio", "video+text", "audio+text", "video+audio+text"),
    ]
    assert subsets["text"].accuracy.value == 1.0 and subsets["video+audio+text"].accuracy.value == 0.5
    slices = evaluation.metrics.slices
    # "conflict" is the same everywhere, so there is nothing to slice
    assert list(slices) == ["scenario"] and list(slices["scenario"]) == ["all", "some"]
    assert slices["scenario"]["all"].accuracy.value == 0.0
    assert slices["scenario"]["some"].accuracy.value == 1.0
    assert slices["scenario"]["all"].classes["fear"].support == 1
    assert list(slices["scenario"]["all"].classes) == list(LABELS)


def test_a_column_of_many_values_is_not_sliced(tmp_path):
    num = MAX_SLICE_VALUES + 1
    labels = ["joy"] * num
    clips = [
        made_clips(["joy"], tmp_path, extra={"seconds": str(i), "half": str(i % 2)})[0] for i in range(num)
    ]
    clips = [
        type(clip)(key=f"{i}", path=clip.path, label="joy", extra=clip.extra) for i, clip in enumerate(clips)
    ]
    evaluation = made_evaluation(labels, labels, tmp_path, clips=clips)
    assert list(evaluation.metrics.slices) == ["half"]


def test_speakers_are_resampled_where_there_are_enough(tmp_path):
    labels = ["joy", "fear"] * 15
    evaluation = made_evaluation(labels, labels, tmp_path)
    assert evaluation.info.resampled == "speaker"
    assert evaluation.metrics.subsets["video+audio+text"].num_groups == 15
    groups = groups_of(evaluation)
    assert groups[0] == groups[1] != groups[2] and len(np.unique(groups)) == 15
    few = made_evaluation(labels[:8], labels[:8], tmp_path)
    assert few.info.resampled == "clip" and len(np.unique(groups_of(few))) == 8
