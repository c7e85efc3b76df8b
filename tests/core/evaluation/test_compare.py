import json
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from made_evaluations import LABELS, made_clips, made_evaluation, made_probabilities

from core.evaluation import EvaluationError, compare
from core.evaluation.compare import config_differences, holm, mcnemar
from core.prediction import SUBSETS

TRUTH = ["joy", "joy", "fear", "fear", "anger", "anger"] * 5
A = ["joy", "fear", "fear", "joy", "anger", "joy"] * 5  # half right
B = ["joy", "joy", "joy", "joy", "anger", "anger"] * 5  # joy and anger right, no fear


@pytest.fixture
def pair(tmp_path):
    recipe = {"model": {"preset": "tiny", "video": {"size": 96}}, "training": {"seed": 3, "epochs": 2}}
    return (
        made_evaluation(TRUTH, A, tmp_path),
        made_evaluation(TRUTH, B, tmp_path, checkpoint="second", recipe=recipe),
    )


def test_differences_by_hand(pair):
    told = compare(*pair, num_bootstrap=200)
    accuracy = told.headlines["accuracy"]
    assert accuracy.a.value == pytest.approx(1 / 2) and accuracy.b.value == pytest.approx(2 / 3)
    assert accuracy.difference.value == pytest.approx(1 / 6)
    assert accuracy.difference.low < 1 / 6 < accuracy.difference.high
    # fear: A finds five of ten with five false alarms, F1 1/2; B none
    fear = told.classes["fear"]
    assert fear.support == 10 and fear.f1.a.value == pytest.approx(1 / 2) and fear.f1.b.value == 0.0
    assert fear.f1.b.high > 0 and fear.f1.a == pair[0].metrics.subsets["video+audio+text"].classes["fear"].f1
    assert fear.f1.difference.value == pytest.approx(-1 / 2)
    assert list(told.classes) == list(LABELS)
    assert (told.a, told.b, told.num_clips) == ("first", "second", 30)
    assert told.resampled == "speaker" and told.num_groups == 15


def test_flipped_clips_and_the_exact_test(pair):
    told = compare(*pair)
    # of each six clips B wins the second and the last, and loses the third
    assert [flip.key for flip in told.became_right[:3]] == ["c1.mp4", "c5.mp4", "c7.mp4"]
    assert [flip.key for flip in told.became_wrong[:2]] == ["c2.mp4", "c8.mp4"]
    flip = told.became_wrong[0]
    assert (flip.label, flip.prediction_a, flip.prediction_b) == ("fear", "fear", "joy")
    assert flip.confidence_a == pytest.approx(0.8)
    assert (told.accuracy_test.only_a_right, told.accuracy_test.only_b_right) == (5, 10)
    # two-sided: as likely as 5 of 15 fair coins, or less
    expected = 2 * sum(comb(15, k) for k in range(6)) / 2**15
    assert told.accuracy_test.p_value == pytest.approx(expected)


def test_an_evaluation_does_not_differ_from_itself(pair):
    told = compare(pair[0], pair[0])
    assert all(one.difference.value == one.difference.low == 0.0 for one in told.headlines.values())
    assert told.accuracy_test.p_value == 1.0 and not told.became_right and not told.config


def test_pairing_narrows_the_interval(tmp_path):
    # B is A but for one clip, so hardly anything can vary; clips alone, for pairs are half right each
    clips = made_clips(TRUTH, tmp_path, speaker=None)
    a, b = (made_evaluation(TRUTH, told, tmp_path, clips=clips) for told in (A, [*A[:-1], "anger"]))
    difference = compare(a, b).headlines["accuracy"].difference
    accuracy = a.metrics.subsets["video+audio+text"].accuracy
    assert difference.high - difference.low < 0.4 * (accuracy.high - accuracy.low)


def test_the_seed_decides_the_intervals_and_nothing_else(pair):
    first, again, other = (compare(*pair, num_bootstrap=200, seed=seed) for seed in (0, 0, 1))
    assert first == again and other.accuracy_test == first.accuracy_test
    one, two = (told.headlines["brier"].difference for told in (first, other))
    assert one.value == two.value and (one.low, one.high) != (two.low, two.high)


def test_the_order_of_the_clips_does_not_matter(pair):
    a, b = pair
    order = np.random.default_rng(0).permutation(len(TRUTH))
    shuffled = replace(b, predictions=b.predictions.iloc[order].reset_index(drop=True))
    assert compare(a, shuffled) == compare(a, b)


def test_subsets_of_one_evaluation_can_be_compared(tmp_path):
    probabilities = made_probabilities(B)
    probabilities[:, SUBSETS.index(("text",))] = made_probabilities(A)[:, 1]
    probabilities[3, SUBSETS.index(("text",))] = np.nan
    evaluation = made_evaluation(TRUTH, B, tmp_path, probabilities=probabilities)
    told = compare(evaluation, evaluation, subsets=(("text",), ("video", "audio", "text")))
    # the clip without words cannot be paired; both were wrong on it
    assert told.num_clips == 29 and (told.a, told.b) == ("first (text)", "first")
    assert told.headlines["accuracy"].difference.value == pytest.approx((20 - 15) / 29)


def test_subsets_that_no_clip_has_are_told(tmp_path):
    probabilities = made_probabilities(["joy"])
    probabilities[:, SUBSETS.index(("audio",))] = np.nan
    evaluation = made_evaluation(["joy"], ["joy"], tmp_path, probabilities=probabilities)
    with pytest.raises(EvaluationError, match="no clip that can be shown with audio and video"):
        compare(evaluation, evaluation, subsets=(("audio",), ("video",)))


@pytest.mark.parametrize(
    ("changes", "both"),
    [
        (
            {"data_sha256": "e" * 64, "data": "others"},
            ("clips (30 clips, dddddddddddd", "others (30 clips, eeee"),
        ),
        ({"split": "dev"}, ("the split test", "on dev")),
        ({"labels": ("fear", "joy", "anger")}, ("joy, fear, anger", "fear, joy, anger")),
    ],
)
def test_unlike_evaluations_are_refused_with_both_values(pair, changes, both):
    a, b = pair
    with pytest.raises(EvaluationError) as told:
        compare(a, replace(b, info=replace(b.info, **changes)))
    assert all(one in str(told.value) for one in ("first and second", *both))
    assert "\n" not in str(told.value)


def test_other_clips_under_one_hash_are_refused(pair):
    a, b = pair
    with pytest.raises(EvaluationError, match="on the same clips"):
        compare(a, replace(b, predictions=b.predictions.assign(key=b.predictions["key"] + "x")))


def test_configs_are_diffed_by_dotted_name(pair):
    assert compare(*pair).config == {"model.video.size": (64, 96), "training.epochs": ("–", 2)}
    assert config_differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}) == {"a.b": ([1, 2], [1, 3])}
    assert config_differences({"a": {}}, {"a": {"b": 1}}) == {"a": ({}, "–"), "a.b": ("–", 1)}


def test_what_flatters_either_is_told_with_the_figures(pair):
    a, b = (
        replace(one, info=replace(one.info, caveats=said))
        for one, said in zip(pair, (("Both leak.", "Folds leak."), ("Both leak.", "8 bits.")), strict=True)
    )
    assert compare(a, b).caveats == ("Both leak.", "A: Folds leak.", "B: 8 bits.")
    assert compare(*pair).caveats == ()


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1; never falling
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_mcnemar_by_hand():
    right_a = np.array([True] * 6 + [False] * 4)
    right_b = np.array([False] * 6 + [False] * 4)
    assert mcnemar(right_a, right_b).p_value == pytest.approx(2 * 0.5**6)
    assert mcnemar(right_a, right_a).p_value == 1.0


def test_rare_classes_are_adjusted_together_and_absent_ones_left_out(tmp_path):
    truth = ["joy"] * 12 + ["fear"] * 8
    a = made_evaluation(truth, ["joy"] * 20, tmp_path)
    b = made_evaluation(truth, ["fear"] * 20, tmp_path)
    told = compare(a, b)
    assert told.classes["anger"].adjusted_p_value is None and told.classes["anger"].f1.a.value is None
    # 12 and 8 of as many coins; two classes
    assert told.classes["joy"].adjusted_p_value == pytest.approx(2 * 2 * 0.5**12)
    assert told.classes["fear"].adjusted_p_value == pytest.approx(2 * 0.5**8)


def test_json_is_strict(pair):
    values = json.loads(json.dumps(compare(*pair).to_dict(), allow_nan=False))
    assert values["classes"]["fear"]["recall"]["only_a_right"] == 5
