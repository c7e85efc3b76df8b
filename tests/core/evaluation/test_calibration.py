import numpy as np
import pytest

from core.evaluation.calibration import calibrated, choose_threshold, fit_temperature, reliability
from core.evaluation.metrics import figures


def test_calibrated_by_hand():
    told = calibrated(np.array([[2.0, 0.0], [np.nan, np.nan]]), 2.0)
    np.testing.assert_allclose(told[0], [np.e / (np.e + 1), 1 / (np.e + 1)])
    assert np.isnan(told[1]).all()


def test_temperature_is_recovered():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 4)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([random.choice(4, p=p) for p in chances])
    assert fit_temperature(logits * 2.5, truth) == pytest.approx(2.5, rel=0.1)


def test_a_clip_of_weight_three_counts_like_three():
    random = np.random.default_rng(1)
    logits, truth = 3 * random.normal(size=(50, 3)), np.arange(50) % 3
    logits[np.arange(50), truth] += 2
    # the wrong ones count more
    weights = np.where(logits.argmax(1) == truth, 1, 3)
    repeated = np.repeat(np.arange(50), weights)
    temperature = fit_temperature(logits, truth, weights)
    assert temperature == fit_temperature(logits[repeated], truth[repeated]) != fit_temperature(logits, truth)


def test_threshold_parts_the_unsure_from_the_sure():
    # logits a, 0: confidence grows with a; the three least confident are wrong
    strengths = np.array([0.1, 0.2, 0.3, 1, 2, 3, 4, 5, 6, 7.0])
    probabilities = calibrated(np.stack([strengths, np.zeros(10)], axis=1), 1.0)
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    confidence = probabilities.max(axis=1)
    assert confidence[2] < choose_threshold(probabilities, truth) < confidence[3]
    assert choose_threshold(probabilities, np.zeros(10, int)) == 0.0
    # of too large a share of all weight none is called unsure
    assert choose_threshold(probabilities, truth, np.array([100.0] * 3 + [1.0] * 7)) == 0.0
    few = choose_threshold(probabilities, truth, np.array([1.0] * 3 + [100.0] * 7))
    assert few == choose_threshold(probabilities, truth)


def test_answers_that_are_mostly_right_are_not_unsure_because_less_sure_ones_are_wrong():
    # the four least confident are wrong, three of the next four right: half of the seven least is not asked
    probabilities = calibrated(np.stack([np.arange(1, 31) / 5, np.zeros(30)], axis=1), 1.0)
    truth = np.array([1, 1, 1, 1, 0, 0, 1, 0] + [0] * 22)
    confidence = probabilities.max(axis=1)
    assert confidence[3] < choose_threshold(probabilities, truth) < confidence[4]


def test_a_right_answer_among_wrong_ones_is_unsure_too():
    probabilities = calibrated(np.stack([np.arange(1, 31) / 5, np.zeros(30)], axis=1), 1.0)
    truth = np.array([1, 0, 1, 1] + [0] * 26)
    confidence = probabilities.max(axis=1)
    assert confidence[3] < choose_threshold(probabilities, truth) < confidence[4]


def test_reliability_by_hand():
    probabilities = np.array([[0.7, 0.3], [0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])
    bins = reliability(np.array([0, 0, 0, 1]), probabilities, num_bins=4)
    assert [b.num_clips for b in bins] == [0, 1, 1, 2]
    assert (bins[1].low, bins[1].high) == (0.25, 0.5)
    assert bins[2].confidence == pytest.approx(0.7) and bins[2].accuracy == 1.0
    assert bins[3].confidence == pytest.approx(0.9) and bins[3].accuracy == 0.5
    assert bins[0].confidence is None and bins[0].accuracy is None


def test_the_calibration_error_is_the_weighted_gap_of_the_bins():
    random = np.random.default_rng(1)
    probabilities = random.dirichlet(np.ones(4), size=150)
    truth = random.integers(4, size=150)
    gaps = [
        b.num_clips / 150 * abs(b.accuracy - b.confidence)
        for b in reliability(truth, probabilities)
        if b.num_clips
    ]
    assert figures(truth, probabilities)["ece"][0] == pytest.approx(sum(gaps))
