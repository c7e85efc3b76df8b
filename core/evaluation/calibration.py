"""Whether a model is as sure as it should be: temperature, threshold of doubt, and reliability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from core.evaluation.metrics import NUM_BINS, bins_of

_TEMPERATURES = np.geomspace(0.2, 8.0, 400)
_EPSILON = 1e-12


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Clips whose confidence lies in (low, high].

    Attributes:
        confidence / accuracy: mean confidence, and share that is right; None where the bin is empty.
    """

    low: float
    high: float
    num_clips: int
    confidence: float | None
    accuracy: float | None


def reliability(
    truth: np.ndarray, probabilities: np.ndarray, *, num_bins: int = NUM_BINS
) -> tuple[ReliabilityBin, ...]:
    """The bins of a reliability diagram, those of the calibration error (`core.evaluation.metrics`).

    Args:
        truth: `(clip,)` class indices.
        probabilities: `(clip, class)`.
        num_bins: of equal width.
    """
    confidence = probabilities.max(1)
    is_right = probabilities.argmax(1) == truth
    numbers = bins_of(confidence, num_bins)
    bins = []
    for number in range(num_bins):
        inside = numbers == number
        bins.append(
            ReliabilityBin(
                low=number / num_bins,
                high=(number + 1) / num_bins,
                num_clips=int(inside.sum()),
                confidence=float(confidence[inside].mean()) if inside.any() else None,
                accuracy=float(is_right[inside].mean()) if inside.any() else None,
            )
        )
    return tuple(bins)


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities `(…, class)` of logits; NaN where those are."""
    return softmax(logits / temperature, axis=-1)


def fit_temperature(logits: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature at which the true labels of held-out clips are most likely (Guo et al. 2017).

    Args:
        logits: `(clip, class)`.
        truth: `(clip,)` class indices.
        weights: `(clip,)` how much each clip counts; all alike if None.
    """
    clips = np.arange(len(truth))
    losses = [
        np.average(-log_softmax(logits / t, axis=1)[clips, truth], weights=weights) for t in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def choose_threshold(
    probabilities: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    max_share: float = 0.3,
) -> float:
    """The confidence below which a prediction is told as uncertain.

    The share of held-out predictions that are right, taken to rise with the confidence (isotonic regression),
    is at most one half below it. No more than `max_share` of them lie there; it is zero where even the least
    confident ones are mostly right.

    Args:
        probabilities: `(clip, class)`, calibrated.
        truth: `(clip,)` class indices.
        weights: `(clip,)` how much each clip counts; all alike if None.
        max_share: of the clips.
    """
    from scipy.optimize import isotonic_regression

    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence)
    weight = np.ones(len(order)) if weights is None else weights[order]
    weight = weight / weight.sum()
    right = (probabilities.argmax(axis=1) == truth)[order]
    share_right = isotonic_regression(right, weights=weight).x
    # a share of the clips that is all of them leaves none above
    is_fit = (share_right <= 0.5 + _EPSILON) & (np.cumsum(weight) <= max_share + _EPSILON)
    is_fit[-1:] = False
    if not is_fit.any():
        return 0.0
    last = int(np.flatnonzero(is_fit)[-1])
    return float(confidence[order[last : last + 2]].mean())
