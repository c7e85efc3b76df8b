"""Estimates with intervals that know that a speaker's clips are alike: speakers are resampled, not clips.

Where words are checked, the clips of a sentence are what is alike. Whatever is resampled is called a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sample_data.corpus.randomness import stream

NUM_DRAWS = 1000

MIN_CLUSTERS = 8
"""With fewer, an interval says too little: that of two speakers of noise leaves out zero in half of all
trials, of eight in one of eight, of twenty in one of thirteen."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and the 2.5th and 97.5th percentile of its bootstrap.

    Attributes:
        num: clips behind it.
        num_clusters: speakers, or sentences, behind it.
    """

    value: float
    low: float
    high: float
    num: int
    num_clusters: int

    def verdict(self, holds: bool, min_clips: int) -> bool | None:
        """Whether what is asked of it holds; None where too few clips or clusters are behind it."""
        is_enough = self.num >= min_clips and self.num_clusters >= MIN_CLUSTERS
        return bool(holds) if is_enough else None


def clustered_mean(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """The mean of what is finite, clusters resampled."""
    values, clusters = np.asarray(values, float), np.asarray(clusters)
    values, clusters = values[np.isfinite(values)], clusters[np.isfinite(values)]
    if not len(values):
        return Estimate(value=np.nan, low=np.nan, high=np.nan, num=0, num_clusters=0)
    return clustered_statistic(lambda means: means, values, clusters)


def clustered_statistic(
    statistic: Callable[[np.ndarray], np.ndarray], values: np.ndarray, clusters: Sequence[str]
) -> Estimate:
    """Of something that follows from means over clips, such as a score from a confusion matrix.

    Args:
        statistic: means `(draw, …)` to `(draw,)`.
        values: `(clip, …)`, at least one clip.
        clusters: of each clip.
    """
    value = statistic(np.mean(values, axis=0)[None])[0]
    draws = statistic(drawn_means(values, clusters))
    return _estimate(value, draws, len(values), len(np.unique(clusters)))


def drawn_means(values: np.ndarray, clusters: Sequence[str]) -> np.ndarray:
    """`(draw, …)` means over the clips of resampled clusters, of values `(clip, …)`."""
    names, index = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), *np.shape(values)[1:]))
    np.add.at(sums, index, values)
    weights = _draw_weights(len(names))
    counts = weights @ np.bincount(index)
    return np.tensordot(weights, sums, 1) / counts.reshape(-1, *[1] * (sums.ndim - 1))


def mean_over_usual(values: Sequence[float], signs: Sequence[int], clusters: Sequence[str]) -> Estimate:
    """The mean of `sign · (value − usual)` over what is finite; `usual` is the mean of values of sign 0.

    The usual value is not known either: clips of both kinds are in every draw, with their clusters. `num` and
    `num_clusters` are those of the clips that have a sign.
    """
    values, signs, clusters = np.asarray(values, float), np.asarray(signs), np.asarray(clusters)
    kept = np.isfinite(values)
    values, signs, clusters = values[kept], signs[kept], clusters[kept]
    if signs.all() or not signs.any():
        return Estimate(value=np.nan, low=np.nan, high=np.nan, num=0, num_clusters=0)
    is_usual, has_sign = signs == 0, signs != 0
    parts = np.column_stack([signs * values, signs, has_sign, is_usual * values, is_usual])

    def difference(means: np.ndarray) -> np.ndarray:
        signed, sign, share, usual, usual_share = means.T
        # a draw without one of the two kinds says nothing
        with np.errstate(invalid="ignore", divide="ignore"):
            return (signed - sign * usual / usual_share) / share

    found = clustered_statistic(difference, parts, clusters)
    return replace(found, num=int(has_sign.sum()), num_clusters=len(np.unique(clusters[has_sign])))


def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """Mean over labels of the share that was recognised, from confusion matrices `(…, truth, prediction)`.

    Labels that do not occur in a matrix do not count there.
    """
    occurs = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    shares = np.divide(hits, occurs, out=np.zeros(hits.shape), where=occurs > 0)
    return shares.sum(axis=-1) / (occurs > 0).sum(axis=-1)


def confusions(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """`(clip, truth, prediction)`: a one for each clip, in the order of the labels."""
    order = {label: at for at, label in enumerate(labels)}
    found = np.zeros((len(truth), len(labels), len(labels)), int)
    found[np.arange(len(truth)), [order[one] for one in truth], [order[one] for one in predicted]] = 1
    return found


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
    weights = _draw_weights(len(names))
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


def _draw_weights(num_clusters: int) -> np.ndarray:
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
