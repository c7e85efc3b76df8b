"""Additive offsets of the logits, tuned after training for the dev split's macro-F1.

Training for likelihood puts few clips into rare classes, since each is more likely something else. Macro-F1
weighs all classes alike, so other borders between them serve it better. These are moved without touching the
network: one number per class, added to its logit (Lipton et al. 2014 tune thresholds for F-measures; Menon et
al. 2021 add multiples of the log prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_FOLDS = 5
"""Of cross-fitting unless told otherwise, so that offsets take as many clips at least."""

_EPSILON = 1e-9  # closer logits are one border, and smaller gains are rounding
_MAX_ROUNDS = 20  # each is exact, few are needed


@dataclass(frozen=True, kw_only=True)
class LogitOffsets:
    """Offsets and what they are worth on the clips they were tuned on.

    Attributes:
        values: per class; all zero where tuning promised nothing for unseen clips.
        macro_f1: with them, on the clips they were tuned on, so too good a number.
        macro_f1_without: of the plain logits.
        cross_fitted_macro_f1: of predictions for each fold with offsets tuned on the other folds, mean over
            the repetitions: what to expect of unseen clips. Told where the offsets were refused too.
    """

    values: tuple[float, ...]
    macro_f1: float
    macro_f1_without: float
    cross_fitted_macro_f1: float


def tune_offsets(
    logits: np.ndarray,
    truth: np.ndarray,
    *,
    max_offset: float = 2.0,
    num_samples: int = 20,
    num_folds: int = NUM_FOLDS,
    num_repetitions: int = 3,
    seed: int = 0,
) -> LogitOffsets:
    """Offsets for the best macro-F1 that hold for unseen clips too; never worse on these clips than none.

    Macro-F1 changes with one class's offset only where a clip's prediction flips. So for one class at a time
    the best of these finitely many intervals is found exactly, until no class gains any more (coordinate
    ascent, hence a local optimum, from zero). A rare class has few clips to tune on: offsets are the mean
    over `num_samples` bootstrap samples of the clips, bounded by `max_offset`, and refused where they do not
    gain in cross-fitting, or are worse than none on all clips.

    Args:
        logits: `(clip, class)`, as the network gives them.
        truth: `(clip,)` class indices.
        max_offset: bound of each offset's size before their mean is taken out, in logits.
        num_samples: bootstrap samples; zero tunes on the clips themselves, once.
        num_folds: of cross-fitting, each class spread evenly over them.
        num_repetitions: of cross-fitting, with other folds.
        seed: of samples and folds.

    Raises:
        ValueError: if a logit is not finite, or there are fewer clips than folds.
    """
    held_out = cross_fitted(
        logits,
        truth,
        max_offset=max_offset,
        num_samples=num_samples,
        num_folds=num_folds,
        num_repetitions=num_repetitions,
        seed=seed,
    )
    num_classes = logits.shape[1]
    expected = float(np.mean([macro_f1(truth, predicted, num_classes) for predicted in held_out]))
    without = macro_f1(truth, logits.argmax(axis=1), num_classes)
    values = _bagged(logits, truth, max_offset, num_samples, np.random.default_rng(seed))
    tuned = macro_f1(truth, (logits + values).argmax(axis=1), num_classes)
    if tuned < without or expected <= without:
        values, tuned = np.zeros_like(values), without
    return LogitOffsets(
        values=tuple(values.tolist()),
        macro_f1=tuned,
        macro_f1_without=without,
        cross_fitted_macro_f1=expected,
    )


def cross_fitted(
    logits: np.ndarray,
    truth: np.ndarray,
    *,
    max_offset: float = 2.0,
    num_samples: int = 20,
    num_folds: int = NUM_FOLDS,
    num_repetitions: int = 3,
    seed: int = 0,
) -> np.ndarray:
    """Predictions for clips that offsets were not tuned on.

    Arguments and errors are those of `tune_offsets`.

    Returns:
        `(repetition, clip)` class indices.
    """
    if not np.isfinite(logits).all():
        raise ValueError("offsets need finite logits: leave out the clips that have none")
    if len(truth) < num_folds:
        raise ValueError(f"offsets need at least {num_folds} clips, not {len(truth)}")
    random = np.random.default_rng(seed)
    predicted = np.empty((num_repetitions, len(truth)), dtype=int)
    for row in predicted:
        folds = _folds(truth, num_folds, random)
        for fold in range(num_folds):
            inside = folds == fold
            offsets = _bagged(logits[~inside], truth[~inside], max_offset, num_samples, random)
            row[inside] = (logits[inside] + offsets).argmax(axis=1)
    return predicted


def ascend(logits: np.ndarray, truth: np.ndarray, *, max_offset: float) -> np.ndarray:
    """Offsets `(class,)` at which no single class's offset can raise macro-F1, found from zero.

    Args:
        logits: `(clip, class)`.
        truth: `(clip,)`.
        max_offset: bound of each offset's size.
    """
    offsets = np.zeros(logits.shape[1])
    best = macro_f1(truth, logits.argmax(axis=1), logits.shape[1])
    for _ in range(_MAX_ROUNDS):
        before = best
        for label in range(logits.shape[1]):
            score, value = _best_offset(logits + offsets, truth, label, offsets[label], max_offset)
            if score > best + _EPSILON:
                best, offsets[label] = score, value
        if best <= before + _EPSILON:
            break
    return offsets


def macro_f1(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> float:
    """Mean F1 over the classes that have a clip."""
    return float(
        _macro_f1(
            np.bincount(truth[truth == predicted], minlength=num_classes),
            np.bincount(predicted, minlength=num_classes),
            np.bincount(truth, minlength=num_classes),
        )
    )


def _macro_f1(num_right: np.ndarray, num_predicted: np.ndarray, num_true: np.ndarray) -> np.ndarray:
    """`(…, class)` counts to `(…,)`; F1 = 2 · right / (predicted + true)."""
    is_there = num_true > 0
    f1 = 2.0 * num_right / np.maximum(num_predicted + num_true, 1)
    return (f1 * is_there).sum(axis=-1) / is_there.sum(axis=-1)


def _best_offset(
    logits: np.ndarray, truth: np.ndarray, label: int, current: float, max_offset: float
) -> tuple[float, float]:
    """The best macro-F1 that one class's offset can reach, and the offset.

    Args:
        logits: with all current offsets, this class's too.
        truth: `(clip,)`.
        label: of the class.
        current: its offset now.
        max_offset: bound.
    """
    num_clips, num_classes = logits.shape
    others = logits.copy()
    others[:, label] = -np.inf
    rival = others.argmax(axis=1)
    # the class is predicted where its offset is above the border
    border = others.max(axis=1) - (logits[:, label] - current)
    order = np.argsort(border)
    border, rival, true = border[order], rival[order], truth[order]

    # row k: the k clips with the lowest borders are predicted as the class, the others as its rivals
    is_rival = np.eye(num_classes, dtype=int)[rival]
    num_predicted = is_rival.sum(axis=0) - _running(is_rival)
    is_right = is_rival * (rival == true)[:, None]
    num_right = is_right.sum(axis=0) - _running(is_right)
    num_predicted[:, label] = np.arange(num_clips + 1)
    num_right[:, label] = _running((true == label)[:, None])[:, 0]
    scores = _macro_f1(num_right, num_predicted, np.bincount(truth, minlength=num_classes))

    low = np.maximum(np.concatenate([[-np.inf], border]), -max_offset)
    high = np.minimum(np.concatenate([border, [np.inf]]), max_offset)
    scores[high - low < _EPSILON] = -1.0
    best = np.flatnonzero(scores >= scores.max() - _EPSILON)
    middles = (low[best] + high[best]) / 2
    chosen = np.argmin(np.abs(middles))
    return float(scores[best[chosen]]), float(middles[chosen])


def _running(counts: np.ndarray) -> np.ndarray:
    """Sums over the first 0, 1, …, n rows."""
    return np.concatenate([np.zeros_like(counts[:1], dtype=int), np.cumsum(counts, axis=0)])


def _bagged(
    logits: np.ndarray, truth: np.ndarray, max_offset: float, num_samples: int, random: np.random.Generator
) -> np.ndarray:
    """Mean of the offsets of bootstrap samples, with mean zero over the classes."""
    num_clips = len(truth)
    samples = [random.integers(num_clips, size=num_clips) for _ in range(num_samples)]
    found = [ascend(logits[s], truth[s], max_offset=max_offset) for s in samples or [np.arange(num_clips)]]
    offsets = np.mean(found, axis=0)
    return offsets - offsets.mean()


def _folds(truth: np.ndarray, num_folds: int, random: np.random.Generator) -> np.ndarray:
    """`(clip,)` numbers of folds; each class is spread evenly over them."""
    folds = np.empty(len(truth), dtype=int)
    order = random.permutation(len(truth))
    by_class = order[np.argsort(truth[order], kind="stable")]
    folds[by_class] = np.arange(len(truth)) % num_folds
    return folds
