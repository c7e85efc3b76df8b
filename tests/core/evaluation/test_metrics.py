import json
import time
import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn

from core.evaluation.metrics import (
    HEADLINES,
    PER_CLASS,
    Estimate,
    Metrics,
    choose_groups,
    figures,
    percentile_estimate,
    resampled_figures,
    score,
)
from core.from_dict import dataclass_from_dict

LABELS = ("a", "b", "c", "d", "e")


def random_answers(num_clips, *, num_classes=5, seed=0, digits=2):
    """Truth and probabilities; rounded, so that there are ties."""
    random = np.random.default_rng(seed)
    truth = random.integers(num_classes - 1, size=num_clips)  # the last class has no clip
    logits = random.normal(size=(num_clips, num_classes))
    logits[np.arange(num_clips), truth] += 1.0
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    probabilities = probabilities.round(digits)
    return truth, probabilities / probabilities.sum(1, keepdims=True)


def by_sklearn(truth, probabilities, weight=None):
    """Every figure that scikit-learn has."""
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(1)
    common = {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
            truth, predicted, labels=classes, zero_division=np.nan, **common
        )
        auroc = np.array(
            [
                sklearn.roc_auc_score(truth == c, probabilities[:, c], **common)
                if (truth == c).any() and (truth != c).any()
                else np.nan
                for c in classes
            ]
        )
        return {
            "accuracy": sklearn.accuracy_score(truth, predicted, **common),
            "weighted_f1": sklearn.f1_score(truth, predicted, average="weighted", **common),
            "macro_f1": sklearn.f1_score(
                truth, predicted, labels=np.unique(truth), average="macro", **common
            ),
            "uar": sklearn.balanced_accuracy_score(truth, predicted, **common),
            "macro_auroc": np.nanmean(auroc),
            "brier": sklearn.brier_score_loss(truth, probabilities, labels=classes, **common),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "auroc": auroc,
            "confusion": sklearn.confusion_matrix(truth, predicted, labels=classes, **common),
        }


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn(seed):
    truth, probabilities = random_answers(200, seed=seed)
    told = figures(truth, probabilities)
    for name, expected in by_sklearn(truth, probabilities).items():
        np.testing.assert_allclose(told[name][0], expected, rtol=0, atol=1e-12, err_msg=name)


def test_every_figure_of_a_class_is_that_of_scikit_learn_and_has_its_interval():
    truth, probabilities = random_answers(300, seed=7)
    scores = score(truth, probabilities, LABELS, np.arange(300), num_bootstrap=200)
    expected = by_sklearn(truth, probabilities)
    support = sklearn.precision_recall_fscore_support(
        truth, probabilities.argmax(1), labels=range(5), zero_division=0
    )[3]
    assert [one.support for one in scores.classes.values()] == support.tolist()
    assert np.array_equal(scores.confusion, expected["confusion"])
    for index, label in enumerate(LABELS[:4]):
        for name in ("precision", "recall", "f1", "auroc"):
            estimate = getattr(scores.classes[label], name)
            assert estimate.value == pytest.approx(expected[name][index], rel=0, abs=1e-12)
            assert estimate.low < estimate.value < estimate.high
    for name in HEADLINES:
        estimate = getattr(scores, name)
        assert estimate.low < estimate.value < estimate.high
        if name in expected:
            assert estimate.value == pytest.approx(expected[name], rel=0, abs=1e-12)


def test_a_drawn_clip_counts_as_often_as_it_was_drawn():
    truth, probabilities = random_answers(60)
    counts = np.random.default_rng(1).integers(0, 3, size=(4, 60))
    told = figures(truth, probabilities, counts)
    for row, weight in enumerate(counts):
        repeated = np.repeat(np.arange(60), weight)
        for name, expected in by_sklearn(truth[repeated], probabilities[repeated]).items():
            np.testing.assert_allclose(told[name][row], expected, rtol=0, atol=1e-12, err_msg=name)


def test_calibration_error_by_hand():
    # bins of a fifteenth: (0.6, 0.667] holds 0.65 twice, (0.867, 0.933] holds 0.9
    probabilities = np.array([[0.65, 0.35], [0.35, 0.65], [0.9, 0.1]])
    told = figures(np.array([0, 0, 0]), probabilities)
    assert told["ece"][0] == pytest.approx(2 / 3 * abs(0.5 - 0.65) + 1 / 3 * abs(1 - 0.9))
    # a confidence on the border lies in the bin below: with 0.55 in (0.533, 0.6]
    border = np.array([[0.6, 0.4], [0.45, 0.55]])
    assert figures(np.array([0, 0]), border)["ece"][0] == pytest.approx(abs(0.5 - 0.575))


def test_a_class_that_never_occurs_has_no_figures():
    truth = np.array([0, 0, 1])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    scores = score(truth, probabilities, ("a", "b", "c"), np.arange(3))
    absent = scores.classes["c"]
    assert absent.support == absent.num_predicted == 0
    assert all(getattr(absent, name) == Estimate(value=None) for name in PER_CLASS)
    # F1 2/3 of a and of b
    assert scores.macro_f1.value == pytest.approx(2 / 3)
    assert scores.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 0))


def test_means_over_classes_are_of_the_same_classes_in_every_resample():
    # one clip is told as c, which no clip is; F1 of a: 2 · 2 / (3 + 2), of b: 1
    truth = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1]])
    told = figures(truth, probabilities, np.array([[1, 1, 1, 1], [1, 1, 2, 0], [1, 0, 0, 1]]))
    np.testing.assert_allclose(told["macro_f1"], [(0.8 + 1.0) / 2, np.nan, 1.0])
    np.testing.assert_allclose(told["uar"], [(2 / 3 + 1.0) / 2, np.nan, 1.0])
    assert np.isnan(told["macro_auroc"]).tolist() == [False, True, False]
    alone = score(np.zeros(30, int), np.tile(probabilities[:3], (10, 1)), ("a", "b", "c"), np.arange(30))
    assert alone.macro_f1.value == pytest.approx(0.8) and alone.macro_f1.high < 0.95


def test_nothing_to_score_is_told_as_nothing():
    scores = score(np.zeros(0, int), np.zeros((0, 2)), ("a", "b"), np.zeros(0, int))
    assert scores.num_clips == 0 and str(scores.accuracy) == "–"
    assert all(getattr(scores, name).value is None for name in HEADLINES)


def test_intervals_of_single_clips_are_those_of_the_binomial():
    # 80 of 100 right: the standard error of a share is √(0.8 · 0.2 / 100) = 0.04
    probabilities = np.where(np.arange(100)[:, None] < 80, [0.9, 0.1], [0.1, 0.9])
    accuracy = score(np.zeros(100, int), probabilities, ("a", "b"), np.arange(100)).accuracy
    assert accuracy.value == 0.8
    assert accuracy.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.015)
    assert accuracy.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.015)


def test_clips_of_one_group_are_drawn_together():
    # twenty speakers with five clips each, all right or all wrong: twenty coins, not a hundred
    truth = np.zeros(100, int)
    speakers = np.repeat(np.arange(20), 5)
    probabilities = np.where(speakers[:, None] < 10, [0.9, 0.1], [0.1, 0.9])
    single = score(truth, probabilities, ("a", "b"), np.arange(100)).accuracy
    grouped = score(truth, probabilities, ("a", "b"), speakers)
    assert grouped.num_groups == 20
    ratio = (grouped.accuracy.high - grouped.accuracy.low) / (single.high - single.low)
    assert ratio == pytest.approx(5**0.5, rel=0.15)


def test_a_share_that_cannot_vary_has_the_exact_interval():
    # four clips of a, all right; three of b, all taken for a
    truth = np.array([0, 0, 0, 0, 1, 1, 1])
    probabilities = np.tile([0.8, 0.2], (7, 1))
    scores = score(truth, probabilities, ("a", "b"), np.arange(7))
    # Clopper and Pearson: no failure in n trials is likely enough from 0.025 ** (1 / n) on
    assert scores.classes["a"].recall == Estimate(value=1.0, low=pytest.approx(0.025 ** (1 / 4)), high=1.0)
    assert scores.classes["b"].recall == Estimate(
        value=0.0, low=0.0, high=pytest.approx(1 - 0.025 ** (1 / 3))
    )
    share = 1 - 0.025 ** (1 / 3)
    assert scores.classes["b"].f1.high == pytest.approx(2 * share / (1 + share))
    assert scores.classes["b"].precision.value is None


def test_the_interval_of_the_calibration_error_holds_it():
    truth, probabilities = random_answers(300, seed=4, digits=9)
    probabilities = probabilities**3 / (probabilities**3).sum(1, keepdims=True)  # far too sure
    drawn = resampled_figures(truth, probabilities, np.arange(300))["ece"]
    ece = score(truth, probabilities, LABELS, np.arange(300)).ece
    assert drawn.mean() > ece.value  # resamples are worse calibrated than the set
    assert 0 < ece.low < ece.value < ece.high
    assert ece.low == pytest.approx(2 * ece.value - np.quantile(drawn, 0.975))


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Speakers differ in how easily they are read; seven classes as rare as MELD's."""
    share = np.array([0.47, 0.16, 0.11, 0.07, 0.12, 0.03, 0.04])
    labels = (*LABELS, "f", "g")

    def draw(seed, num_speakers, num_clips=5):
        random = np.random.default_rng(seed)
        speakers = np.repeat(np.arange(num_speakers), num_clips)
        truth = random.choice(7, size=len(speakers), p=share)
        logits = random.normal(size=(len(speakers), 7))
        logits[np.arange(len(speakers)), truth] += random.normal(0.9, 0.8, num_speakers)[speakers]
        # twice as sure as it should be
        probabilities = np.exp(2 * logits)
        return truth, probabilities / probabilities.sum(1, keepdims=True), speakers

    truth, probabilities, _ = draw(1000, 40_000)
    target = {name: values[0] for name, values in figures(truth, probabilities).items()}
    held = dict.fromkeys([*HEADLINES, "f1 of the rarest", "accuracy by clips"], 0)
    for seed in range(150):
        truth, probabilities, speakers = draw(seed, 60)
        scores = score(truth, probabilities, labels, speakers, num_bootstrap=200)
        for name in HEADLINES:
            estimate = getattr(scores, name)
            held[name] += estimate.low <= target[name] <= estimate.high
        rare = scores.classes["f"].f1
        held["f1 of the rarest"] += rare.low <= target["f1"][5] <= rare.high
        clips = score(truth, probabilities, labels, np.arange(300), num_bootstrap=200).accuracy
        held["accuracy by clips"] += clips.low <= target["accuracy"] <= clips.high
    by_clips = held.pop("accuracy by clips") / 150
    shares = {name: count / 150 for name, count in held.items()}
    # the standard error of a share of 0.95 is 0.02
    assert min(shares.values()) > 0.88, shares
    assert by_clips < shares["accuracy"] - 0.05


def test_the_same_seed_gives_the_same_interval():
    truth, probabilities = random_answers(80)
    first, again, other = (score(truth, probabilities, LABELS, np.arange(80), seed=s) for s in (1, 1, 2))
    assert first == again and first.accuracy != other.accuracy


def test_one_group_or_no_resample_gives_no_interval():
    truth, probabilities = random_answers(20)
    for scores in (
        score(truth, probabilities, LABELS, np.zeros(20, int)),
        score(truth, probabilities, LABELS, np.arange(20), num_bootstrap=0),
    ):
        assert scores.accuracy.value is not None and scores.accuracy.low is None
    assert str(scores.accuracy).endswith("[?–?]")


def test_a_lone_clip_says_next_to_nothing():
    accuracy = score(np.array([0]), np.array([[0.2, 0.8]]), ("a", "b"), np.array([0])).accuracy
    assert f"{accuracy:.2f}" == "0.00 [0.00–0.97]"


def test_resamples_that_all_say_the_same_tell_no_interval():
    # both clips of the class are of one speaker: half of them are right in each resample that has any
    truth = np.array([0, 0, 1, 1, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8]])
    scores = score(truth, probabilities, ("fear", "joy"), np.array([0, 0, 1, 2, 3, 4]))
    assert scores.classes["fear"].recall == Estimate(value=0.5)
    assert str(scores.classes["fear"].recall) == "0.500 [?–?]"
    assert scores.accuracy.low < scores.accuracy.value < scores.accuracy.high


def test_undefined_resamples_do_not_count():
    assert percentile_estimate(0.5, np.array([np.nan, 0.25, np.nan])) == Estimate(
        value=0.5, low=0.25, high=0.25
    )
    assert percentile_estimate(0.5, np.array([np.nan])) == Estimate(value=0.5)


def test_a_thousand_resamples_of_a_large_set_take_about_a_second():
    truth, probabilities = random_answers(2600, num_classes=7, digits=6)
    started = time.process_time()
    score(truth, probabilities, (*LABELS, "f", "g"), np.arange(2600))
    # generous, for a busy machine
    assert time.process_time() - started < 5


def test_speakers_are_preferred_where_there_are_enough():
    many, few = [f"s{i % 12}" for i in range(120)], [f"d{i % 4}" for i in range(120)]
    name, groups = choose_groups({"speaker": many, "dialogue": few}, 120)
    assert name == "speaker" and len(np.unique(groups)) == 12 and groups[0] == groups[12] != groups[1]
    assert choose_groups({"speaker": few, "dialogue": many}, 120)[0] == "dialogue"
    assert choose_groups({"speaker": few, "dialogue": [""] * 120}, 120)[0] == "clip"
    # a dozen speakers, but one has nearly all clips
    assert choose_groups({"speaker": ["s0"] * 108 + [f"s{i}" for i in range(1, 13)]}, 120)[0] == "clip"


def test_a_clip_of_nobody_is_a_group_of_its_own():
    names = [f"s{i % 20}" for i in range(100)] + [""] * 20
    groups = choose_groups({"speaker": names}, 120)[1]
    assert len(np.unique(groups)) == 40


def test_metrics_round_trip():
    truth, probabilities = random_answers(30)
    scores = score(truth, probabilities, LABELS, np.arange(30), num_bootstrap=50)
    metrics = Metrics(subsets={"video": scores}, slices={"scenario": {"all": scores}})
    assert dataclass_from_dict(Metrics, json.loads(json.dumps(metrics.to_dict())), "metrics") == metrics
