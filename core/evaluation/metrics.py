"""How good predictions are, each figure with its interval.

Figures are computed for many *weightings* of the clips at once: how often each clip was drawn into a
bootstrap resample. The figure itself is that of the weighting in which every clip counts once, so value and
interval come from the same lines. Where a figure is undefined (the recall of a class without a clip) it is
NaN here and None in results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

HEADLINES = ("accuracy", "weighted_f1", "macro_f1", "uar", "macro_auroc", "ece", "brier")
"""Figures of a whole set of predictions; see `figures`."""

PER_CLASS = ("precision", "recall", "f1", "auroc")
"""Figures of a class."""

NUM_BINS = 15
"""Equal bins of confidence that the calibration error is summed over (Guo et al. 2017)."""

NUM_BOOTSTRAP = 1000
"""Resamples that an interval rests on."""

LEVEL = 0.95
"""Of all intervals."""

MIN_GROUPS = 10
"""Speakers or dialogues that it takes to resample them; from fewer, no resample tells how others would do."""

_BLOCK = 4_000_000  # drawn clips at once, so that large sets fit in memory


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return "–"
        ends = ["?" if end is None else format(end, spec) for end in (self.low, self.high)]
        return f"{format(self.value, spec)} [{ends[0]}–{ends[1]}]"

    def __str__(self) -> str:
        return format(self, ".3f")


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Of one class.

    Attributes:
        support: clips whose label it is.
        num_predicted: clips it was predicted for.
        auroc: of its probability, against all other classes.
    """

    support: int
    num_predicted: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auroc: Estimate


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of a set of predictions; `figures` tells the formulas.

    Attributes:
        num_groups: what was resampled for the intervals: speakers, dialogues or clips.
        classes: in the order of the labels.
        confusion: `(label, prediction)` counts.
    """

    num_clips: int
    num_groups: int
    accuracy: Estimate
    weighted_f1: Estimate
    macro_f1: Estimate
    uar: Estimate
    macro_auroc: Estimate
    ece: Estimate
    brier: Estimate
    classes: dict[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Contents of metrics.json.

    Attributes:
        subsets: by the modalities shown, as "video+audio"; of the clips that have any of them.
        slices: by column and its value, with all modalities.
    """

    subsets: dict[str, Scores]
    slices: dict[str, dict[str, Scores]]

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return asdict(self)


def figures(
    truth: np.ndarray, probabilities: np.ndarray, counts: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """All figures, for each of several weightings of the clips.

    The prediction is the most probable class. Of the class c, with TP, FP and FN counted by weight:

    - precision TP / (TP + FP), recall TP / (TP + FN), F1 2 TP / (2 TP + FP + FN);
    - AUROC: the chance that a clip of the class gives it more probability than one of another class does,
      ties counting one half.

    Of all:

    - `weighted_f1`: mean of the classes' F1 by support; `macro_f1`: their mean over the classes that have a
      clip; `uar`: mean recall of these (unweighted average recall); `macro_auroc`: mean of their AUROCs.
      They are undefined in a weighting in which one of the classes has no clip: else they would be of fewer
      classes than the figure whose interval they are for;
    - `ece`: Σ over `NUM_BINS` equal bins of confidence of (share of the clips in the bin) · |share right −
      mean confidence| (Guo et al. 2017, Eq. 3);
    - `brier`: mean over clips of Σ over classes of (probability − 1 if it is the label else 0)², from 0 to 2
      (Brier 1950).

    Args:
        truth: `(clip,)` class indices.
        probabilities: `(clip, class)`.
        counts: `(weighting, clip)` how often each clip counts; once each if None.

    Returns:
        By name: `HEADLINES` as `(weighting,)`; `PER_CLASS` as `(weighting, class)`; `confusion` as
        `(weighting, label, prediction)`.
    """
    num_clips, num_classes = probabilities.shape
    counts = np.ones((1, num_clips)) if counts is None else np.asarray(counts, np.float64)
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    clips = np.arange(num_clips)
    cells = np.zeros((num_clips, num_classes**2))
    cells[clips, truth * num_classes + predicted] = 1
    confusion = (counts @ cells).reshape(-1, num_classes, num_classes)
    hits, support, told = confusion.diagonal(axis1=1, axis2=2), confusion.sum(2), confusion.sum(1)
    total = counts.sum(1)

    excess = np.zeros((num_clips, NUM_BINS))
    excess[clips, bins_of(confidence)] = (predicted == truth) - confidence
    error = probabilities.copy()
    error[clips, truth] -= 1

    f1, recall = _ratio(2 * hits, support + told), _ratio(hits, support)
    # the same classes in every weighting
    classes = np.unique(truth)
    auroc = np.stack([_auroc(probabilities[:, c], truth == c, counts) for c in range(num_classes)], axis=1)
    return {
        "accuracy": _ratio(hits.sum(1), total),
        "weighted_f1": _ratio(np.nansum(f1 * support, 1), total),
        "macro_f1": _mean(np.where(support > 0, f1, np.nan), classes),
        "uar": _mean(recall, classes),
        "macro_auroc": _mean(auroc, classes),
        "ece": _ratio(np.abs(counts @ excess).sum(1), total),
        "brier": _ratio(counts @ np.square(error).sum(1), total),
        "precision": _ratio(hits, told),
        "recall": recall,
        "f1": f1,
        "auroc": auroc,
        "confusion": confusion,
    }


def bins_of(confidence: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """`(clip,)` numbers of the equal bins that confidences lie in; a bin is open below and closed above."""
    return np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)


def resampled_figures(
    truth: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    *,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """`figures` of bootstrap resamples: as many groups are drawn, with repeats, as there are.

    The same groups and seed give the same resamples, so that two models' figures are paired.

    Args:
        truth: `(clip,)` class indices.
        probabilities: `(clip, class)`.
        groups: `(clip,)` what is drawn together: numbers of speakers, dialogues or single clips.
        num_bootstrap: resamples.
        seed: of the draws.
    """
    parts = [figures(truth, probabilities, counts) for counts in _draws(groups, num_bootstrap, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in (*HEADLINES, *PER_CLASS)}


def score(
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
    groups: np.ndarray,
    *,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Scores:
    """All figures of a set of predictions with their intervals.

    An interval goes from the 2.5th to the 97.5th percentile of the resamples in which the figure is defined;
    where these two are equal, they do not tell how it varies, and there is none. Two figures need
    more:

    - a share of 0 or 1 is the same in every resample, whatever a further clip would do. Its interval is the
      exact one of as many trials as there are groups that it is about (Clopper and Pearson 1934); F1 is taken
      as the share TP / (TP + FP + FN), of which it is a function. For means over classes and AUROC the trials
      are those of accuracy and of recall;
    - a calibration error is too large in a finite set, and more so in its resamples. The lower end is that of
      the basic interval, 2 · value − the 97.5th percentile (Davison and Hinkley 1997, Eq. 5.6); the upper end
      the larger of the basic one's and of the 97.5th percentile less the resamples' mean excess.

    Args:
        truth: `(clip,)` class indices.
        probabilities: `(clip, class)`.
        labels: names of the classes.
        groups: `(clip,)` see `resampled_figures`.
        num_bootstrap: resamples; no intervals where it is zero, nor, but for exact ones, of a single group.
        seed: of the draws.
    """
    values = {name: value[0] for name, value in figures(truth, probabilities).items()}
    num_groups = len(np.unique(groups))
    draws = None
    if num_bootstrap and num_groups > 1:
        draws = resampled_figures(truth, probabilities, groups, num_bootstrap=num_bootstrap, seed=seed)
    predicted = probabilities.argmax(1)

    def figure(name: str, column: int | None = None) -> Estimate:
        at = () if column is None else (column,)
        value = float(values[name][at])
        if np.isnan(value):
            return Estimate(value=None)
        if num_bootstrap and name not in ("ece", "brier") and value in (0.0, 1.0):
            concerned = np.ones(len(truth), bool)
            if column is not None:
                is_label, is_told = truth == column, predicted == column
                concerned = {"precision": is_told, "f1": is_label | is_told}.get(name, is_label)
            return _exact(value, len(np.unique(groups[concerned])), is_f1=name == "f1")
        if draws is None:
            return Estimate(value=value)
        drawn = draws[name][(slice(None), *at)]
        estimate = percentile_estimate(value, drawn)
        if name != "ece" and estimate.low == estimate.high:
            # as of a class with two clips, both of one speaker
            return Estimate(value=value)
        if name == "ece":
            excess = float(np.mean(drawn)) - value
            low, high = max(0.0, 2 * value - estimate.high), 2 * value - estimate.low
            estimate = Estimate(value=value, low=low, high=max(high, estimate.high - excess))
        return estimate

    confusion = values["confusion"].round().astype(int)
    return Scores(
        num_clips=len(truth),
        num_groups=num_groups,
        **{name: figure(name) for name in HEADLINES},
        classes={
            label: ClassScores(
                support=int(confusion[i].sum()),
                num_predicted=int(confusion[:, i].sum()),
                **{name: figure(name, i) for name in PER_CLASS},
            )
            for i, label in enumerate(labels)
        },
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def percentile_estimate(value: float, drawn: np.ndarray) -> Estimate:
    """A figure with the 95 % percentile interval of its resamples `(resample,)`; NaN ones do not count."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return Estimate(value=value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=value, low=float(low), high=float(high))


def choose_groups(columns: dict[str, Sequence[str]], num_clips: int) -> tuple[str, np.ndarray]:
    """What to resample: the first column that parts the clips into enough groups, else the clips themselves.

    Clips of one speaker err alike, so drawing clips one by one would make intervals too short. But a handful
    of speakers, or one who has most of the clips, says little of others: (Σ n)² / Σ n² over the groups' sizes
    n, the number of equal groups that would vary as much, must be at least `MIN_GROUPS`.

    Args:
        columns: by name, in the order of preference, `(clip,)` names; "" for a clip of its own.
        num_clips: in all.

    Returns:
        The column's name, or "clip"; and `(clip,)` numbers of the groups.
    """
    for column, names in columns.items():
        if not any(names):
            continue
        own = [f"name {name}" if name else f"clip {i}" for i, name in enumerate(names)]
        numbers, sizes = np.unique(own, return_inverse=True, return_counts=True)[1:]
        if num_clips**2 / np.square(sizes).sum() >= MIN_GROUPS:
            return column, numbers
    return "clip", np.arange(num_clips)


def _draws(groups: np.ndarray, num_bootstrap: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks `(resample, clip)` of how often each clip was drawn."""
    random = np.random.default_rng(seed)
    numbers = np.unique(groups, return_inverse=True)[1]
    num_groups = int(numbers.max()) + 1
    block = max(1, _BLOCK // len(groups))
    for start in range(0, num_bootstrap, block):
        size = min(block, num_bootstrap - start)
        drawn = random.integers(num_groups, size=(size, num_groups))
        drawn += num_groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups)
        yield counts[:, numbers].astype(np.float64)


def _auroc(scores: np.ndarray, is_positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`(weighting,)`: the Mann-Whitney statistic over the number of pairs."""
    order = np.flatnonzero(~is_positive)
    order = order[np.argsort(scores[order], kind="stable")]
    below = np.zeros((len(counts), len(order) + 1))
    np.cumsum(counts[:, order], axis=1, out=below[:, 1:])
    positive, others = scores[is_positive], scores[order]
    beaten = below[:, np.searchsorted(others, positive, "left")]
    beaten += below[:, np.searchsorted(others, positive, "right")]
    weight = counts[:, is_positive]
    return _ratio((weight * beaten).sum(1) / 2, weight.sum(1) * below[:, -1])


def _exact(value: float, num_trials: int, *, is_f1: bool) -> Estimate:
    """A share of exactly 0 or 1, with the Clopper-Pearson interval of so many trials."""
    reach = ((1 - LEVEL) / 2) ** (1 / num_trials)
    low, high = (reach, 1.0) if value else (0.0, 1 - reach)
    if is_f1:
        low, high = 2 * low / (1 + low), 2 * high / (1 + high)
    return Estimate(value=value, low=low, high=high)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _mean(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """`(weighting,)` over these classes; NaN where it is of one of them, or where there is none."""
    return values[:, classes].mean(1) if len(classes) else np.full(len(values), np.nan)
