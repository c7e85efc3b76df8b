"""Estimates with intervals that know that a speaker's clips are alike: speakers are resampled, not clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sample_data.corpus.randomness import stream

NUM_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and the 2.5th and 97.5th percentile of its bootstrap.

    Attributes:
        num: clips behind it.
        num_clusters: speakers behind it.
    """

    value: float
    low: float
    high: float
    num: int
    num_clusters: int


def clustered_mean(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """The mean of what is finite, clusters resampled."""
    values, clusters = np.asarray(values, float), np.asarray(clusters)
    values, clusters = values[np.isfinite(values)], clusters[np.isfinite(values)]
    if not len(values):
        return Estimate(value=np.nan, low=np.nan, high=np.nan, num=0, num_clusters=0)
    names, index = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    weights = draw_weights(len(names))
    return _estimate(values.mean(), (weights @ sums) / (weights @ counts), len(values), len(names))


def clustered_statistic(statistic: Callable[[np.ndarray], np.ndarray], totals: np.ndarray) -> Estimate:
    """Of something that follows from totals over clusters, such as a score from a confusion matrix.

    Args:
        statistic: totals `(draw, …)` to `(draw,)`.
        totals: `(cluster, …)`.
    """
    whole = totals.sum(axis=0)
    draws = statistic(np.tensordot(draw_weights(len(totals)), totals, 1))
    return _estimate(statistic(whole[None])[0], draws, int(whole.sum()), len(totals))


def emotion_effects(
    values: Sequence[float], emotions: Sequence[str], sexes: Sequence[str], speakers: Sequence[str]
) -> dict[str, Estimate]:
    """By how much each emotion moves a measure from the same speaker's neutral voice.

    A linear mixed model, `value = emotion + sex + speaker`, the speakers random: a speaker who was heard
    often is compared with himself, one who was heard once mostly with his sex. The ratio of the two variances
    is the likeliest one; the rest is generalised least squares (Fuller & Battese 1973).
    """
    values = np.asarray(values, float)
    kept = np.isfinite(values)
    values = values[kept]
    emotions, sexes, speakers = (np.asarray(column)[kept] for column in (emotions, sexes, speakers))
    others = [str(emotion) for emotion in np.unique(emotions) if emotion != "neutral"]
    if "neutral" not in emotions or not others:
        return {}
    columns = [np.ones(len(values)), *(emotions == other for other in others)]
    if len(np.unique(sexes)) > 1:
        columns.append(sexes == "male")
    design = np.column_stack(columns).astype(float)
    names, index = np.unique(speakers, return_inverse=True)
    both = np.column_stack([design, values])
    rows = min(
        (_less_speakers(both, index, ratio) for ratio in np.geomspace(0.01, 1000.0, 26)),
        key=lambda pair: pair[1],
    )[0]
    squares = np.zeros((len(names), rows.shape[1], rows.shape[1]))
    np.add.at(squares, index, rows[:, :, None] * rows[:, None, :])
    counts = np.column_stack([np.bincount(index, emotions == other, len(names)) for other in others])
    weights = draw_weights(len(names))
    effects = _solve(squares.sum(axis=0))[1 : 1 + len(others)]
    drawn = np.array([_solve(np.tensordot(weight, squares, 1))[1 : 1 + len(others)] for weight in weights])
    # a draw without the emotion says nothing of it
    drawn = np.where(weights @ counts > 0, drawn, np.nan)
    return {
        other: _estimate(
            effects[number],
            drawn[:, number],
            int(counts[:, number].sum()),
            int((counts[:, number] > 0).sum()),
        )
        for number, other in enumerate(others)
    }


def separation(disturbed: Sequence[float], undisturbed: Sequence[float]) -> float:
    """How often a value of the first kind is above one of the second: 0.5 by chance, 1 always."""
    first, second = np.asarray(disturbed, float)[:, None], np.asarray(undisturbed, float)[None, :]
    return float(np.mean((first > second) + 0.5 * (first == second)))


def draw_weights(num_clusters: int) -> np.ndarray:
    """`(draw, cluster)` how often each cluster is in each draw."""
    draw = stream(0, "bootstrap")
    return draw.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), NUM_DRAWS).astype(float)


def _less_speakers(both: np.ndarray, index: np.ndarray, ratio: float) -> tuple[np.ndarray, float]:
    """Rows freed of what speakers share, and the negative log-likelihood of that variance ratio."""
    counts = np.bincount(index)
    means = np.column_stack([np.bincount(index, column) / counts for column in both.T])
    share = 1 - np.sqrt(ratio / (ratio + counts))
    rows = both - share[index, None] * means[index]
    coefficients = _solve(rows.T @ rows)
    error = ((rows[:, -1] - rows[:, :-1] @ coefficients) ** 2).sum()
    return rows, 0.5 * len(rows) * np.log(error + 1e-12) + 0.5 * np.log1p(counts / ratio).sum()


def _solve(squares: np.ndarray) -> np.ndarray:
    """Least squares from the products of all columns, the measured one last."""
    return np.linalg.lstsq(squares[:-1, :-1], squares[:-1, -1], rcond=1e-9)[0]


def _estimate(value: float, draws: np.ndarray, num: int, num_clusters: int) -> Estimate:
    draws = draws[np.isfinite(draws)]
    low, high = np.percentile(draws, [2.5, 97.5]) if len(draws) else (np.nan, np.nan)
    return Estimate(value=float(value), low=float(low), high=float(high), num=num, num_clusters=num_clusters)
