import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from training.offsets import ascend, cross_fitted, macro_f1, tune_offsets


def imbalanced(num_clips, seed, num_classes=4):
    """Logits of a good classifier of imbalanced classes, so biased towards the common ones."""
    random = np.random.default_rng(seed)
    shares = np.array([0.7, 0.2, 0.07, 0.03])[:num_classes]
    truth = random.choice(num_classes, size=num_clips, p=shares / shares.sum())
    logits = np.log(shares) + 1.2 * np.eye(num_classes)[truth] + random.normal(size=(num_clips, num_classes))
    return logits, truth


def score(logits, truth, offsets=0.0):
    return f1_score(truth, (logits + offsets).argmax(axis=1), average="macro", zero_division=0)


def test_macro_f1_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    for _ in range(20):
        truth, predicted = random.integers(5, size=(2, 12))
        assert macro_f1(truth, predicted, 5) == pytest.approx(
            f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0), abs=1e-12
        )


def test_two_classes_by_hand():
    # class 1 is right for the two clips with the smallest lead of class 0: 1 and 2
    lead = np.array([5.0, 4.0, 2.0, 1.0])
    logits, truth = np.stack([lead, np.zeros(4)], axis=1), np.array([0, 0, 1, 1])
    offsets = ascend(logits, truth, max_offset=10.0)
    assert 2.0 < offsets[1] - offsets[0] < 4.0
    assert score(logits, truth, offsets) == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_no_single_offset_can_gain(seed):
    logits, truth = imbalanced(60, seed)
    offsets = ascend(logits, truth, max_offset=3.0)
    reached = score(logits, truth, offsets)
    assert reached > score(logits, truth)
    for label, value in itertools.product(range(4), np.linspace(-3.0, 3.0, 301)):
        other = offsets.copy()
        other[label] = value
        # scikit-learn's takes milliseconds
        assert macro_f1(truth, (logits + other).argmax(axis=1), 4) <= reached + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_one_offset_is_found_exactly(seed):
    # with two classes one offset is all there is: compare with every possible border
    logits, truth = imbalanced(40, seed, num_classes=2)
    lead = np.sort(logits[:, 0] - logits[:, 1])
    borders = np.concatenate([[lead[0] - 1], (lead[1:] + lead[:-1]) / 2, [lead[-1] + 1]])
    best = max(score(logits, truth, np.array([0.0, border])) for border in borders)
    assert score(logits, truth, ascend(logits, truth, max_offset=50.0)) == pytest.approx(best, abs=1e-12)


def test_tuned_offsets_gain_on_unseen_clips_about_what_was_foretold():
    logits, truth = imbalanced(1200, 0)
    tuned = tune_offsets(logits, truth)
    assert tuned.macro_f1 == pytest.approx(score(logits, truth, np.array(tuned.values)), abs=1e-12)
    assert tuned.macro_f1_without == pytest.approx(score(logits, truth), abs=1e-12)
    unseen = imbalanced(20000, 1)
    gain = score(*unseen, np.array(tuned.values)) - score(*unseen)
    assert gain > 0.03
    assert tuned.cross_fitted_macro_f1 - tuned.macro_f1_without == pytest.approx(gain, abs=0.04)
    assert np.argmax(tuned.values) in (2, 3) and np.mean(tuned.values) == pytest.approx(0.0)


@pytest.mark.parametrize("seed", range(5))
def test_never_worse_than_none_and_refused_without_promise(seed):
    # logits that know nothing: whatever offsets gain, they gain by chance
    random = np.random.default_rng(seed)
    logits, truth = random.normal(size=(30, 3)), random.integers(3, size=30)
    tuned = tune_offsets(logits, truth, num_samples=5, num_repetitions=1)
    assert tuned.macro_f1 >= tuned.macro_f1_without == pytest.approx(score(logits, truth), abs=1e-12)
    assert tuned.cross_fitted_macro_f1 > tuned.macro_f1_without or set(tuned.values) == {0.0}


def test_cross_fitted_predictions_never_saw_their_own_clip():
    # each clip's truth decides its own border only: the last clip of class 1 is far beyond all others
    lead = np.array([3.0, 3.0, 3.0, 3.0, 3.0, 3.0, -3.0, -3.0, -3.0, 0.9])
    logits, truth = np.stack([lead, np.zeros(10)], axis=1), np.array([0] * 6 + [1] * 4)
    # tuned on it, it is right; without it, plain logits are perfect and it stays wrong
    assert score(logits, truth, ascend(logits, truth, max_offset=2.0)) == 1.0
    predicted = cross_fitted(logits, truth, num_folds=10, num_samples=0, num_repetitions=2)
    assert predicted.tolist() == [[0] * 6 + [1] * 3 + [0]] * 2


def test_perfect_logits_stay_as_they_are():
    truth = np.arange(40) % 4
    tuned = tune_offsets(10.0 * np.eye(4)[truth], truth, num_samples=3, num_repetitions=1)
    assert tuned.values == (0.0, 0.0, 0.0, 0.0) and tuned.macro_f1 == 1.0


def test_a_seed_decides_and_bad_input_is_refused():
    logits, truth = imbalanced(80, 2)
    options = {"num_samples": 3, "num_repetitions": 1}
    assert tune_offsets(logits, truth, **options) == tune_offsets(logits, truth, **options)
    assert tune_offsets(logits, truth, seed=1, **options) != tune_offsets(logits, truth, **options)
    with pytest.raises(ValueError, match="at least 5 clips, not 3"):
        tune_offsets(logits[:3], truth[:3])
    logits[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite logits"):
        tune_offsets(logits, truth)
