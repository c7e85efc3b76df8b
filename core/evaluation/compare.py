"""Is B better than A? Two evaluations of the same clips, paired clip by clip.

Differences are always B − A. Each bootstrap resample draws the same speakers, dialogues or clips for both, so
that what is hard for both does not widen the interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binomtest

from core.evaluation.artifact import ALL, Evaluation, EvaluationError, subset_name
from core.evaluation.build import groups_of
from core.evaluation.metrics import (
    HEADLINES,
    NUM_BOOTSTRAP,
    Estimate,
    percentile_estimate,
    resampled_figures,
    score,
)

ABSENT = "–"
"""Stands for a setting that one of two recipes does not have."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure of both, and B − A with the paired interval; None where it is undefined."""

    a: Estimate
    b: Estimate
    difference: Estimate


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """Clips that only one of the two is right on.

    Attributes:
        p_value: two-sided, exact: were they equally good, each such clip would be a fair coin (McNemar 1947,
            in the binomial form). It takes clips as independent, so among few speakers it is too small.
    """

    only_a_right: int
    only_b_right: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class ClassDifference:
    """Of one class.

    Attributes:
        support: clips whose label it is.
        f1: of each, and the difference.
        recall: McNemar's test over the clips of the class.
        adjusted_p_value: of that test, after Holm (1979) over all classes with a clip; None without one.
    """

    support: int
    f1: Difference
    recall: McNemar
    adjusted_p_value: float | None


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A clip that exactly one of the two is right on."""

    key: str
    path: str
    label: str
    prediction_a: str
    prediction_b: str
    confidence_a: float
    confidence_b: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B against A.

    Attributes:
        a / b: names of the checkpoints, with the modalities shown where not all were.
        num_clips: that both were asked about.
        resampled: what the resamples draw: "speaker", "dialogue" or "clip".
        num_groups: how many of them there are.
        headlines: by the name of the figure (`core.evaluation.metrics.HEADLINES`).
        accuracy_test: over all clips.
        classes: in the order of the labels.
        became_right / became_wrong: from A to B, in the order of the clips.
        config: settings that differ, by dotted name, of A and B.
        caveats: sentences that belong beside the figures; those of one alone begin with its letter.
    """

    a: str
    b: str
    data: str
    split: str
    num_clips: int
    resampled: str
    num_groups: int
    num_bootstrap: int
    headlines: dict[str, Difference]
    accuracy_test: McNemar
    classes: dict[str, ClassDifference]
    became_right: tuple[Flip, ...]
    became_wrong: tuple[Flip, ...]
    config: dict[str, tuple[object, object]]
    caveats: tuple[str, ...]

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return asdict(self)


def compare(
    a: Evaluation,
    b: Evaluation,
    *,
    subsets: tuple[Sequence[str], Sequence[str]] = (ALL, ALL),
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Comparison:
    """Compare two evaluations of the same clips, or two subsets of the modalities.

    Args:
        a: the older, the simpler, the one to beat.
        b: the other; its clips may be in another order.
        subsets: of the modalities that are shown in `a` and in `b`.
        num_bootstrap: resamples.
        seed: of the draws.

    Raises:
        EvaluationError: if labels, data or split differ, or no clip has modalities of both subsets.
    """
    require_alike(a, b)
    order = b.predictions.set_index("key").index.get_indexer(a.predictions["key"])
    first, second = a.probabilities(subsets[0]), b.probabilities(subsets[1])[order]
    known = ~(np.isnan(first) | np.isnan(second)).any(1)
    if not known.any():
        names = " and ".join(subset_name(subset) for subset in subsets)
        raise EvaluationError(f"{a.info.data} has no clip that can be shown with {names}; compare others.")
    first, second, truth = first[known], second[known], a.truth[known]
    groups = groups_of(a)[known]
    options = {"num_bootstrap": num_bootstrap, "seed": seed}
    score_a, score_b = (score(truth, p, a.labels, groups, **options) for p in (first, second))
    drawn_a, drawn_b = (resampled_figures(truth, p, groups, **options) for p in (first, second))

    def difference(of_a: Estimate, of_b: Estimate, drawn: np.ndarray) -> Difference:
        if of_a.value is None or of_b.value is None:
            return Difference(a=of_a, b=of_b, difference=Estimate(value=None))
        change = of_b.value - of_a.value
        # one group is the same in every resample
        has_interval = score_a.num_groups > 1
        estimate = percentile_estimate(change, drawn) if has_interval else Estimate(value=change)
        return Difference(a=of_a, b=of_b, difference=estimate)

    right_a, right_b = first.argmax(1) == truth, second.argmax(1) == truth
    tests = [mcnemar(right_a[truth == i], right_b[truth == i]) for i in range(len(a.labels))]
    support = np.bincount(truth, minlength=len(a.labels))
    occurring = np.flatnonzero(support)
    adjusted = dict(zip(occurring, holm([tests[i].p_value for i in occurring]), strict=True))
    rows = a.predictions[known]

    def flips(which: np.ndarray) -> tuple[Flip, ...]:
        return tuple(
            Flip(
                key=rows["key"].iloc[i],
                path=rows["path"].iloc[i],
                label=rows["label"].iloc[i],
                prediction_a=a.labels[first[i].argmax()],
                prediction_b=a.labels[second[i].argmax()],
                confidence_a=float(first[i].max()),
                confidence_b=float(second[i].max()),
            )
            for i in np.flatnonzero(which)
        )

    return Comparison(
        a=_name(a, subsets[0]),
        b=_name(b, subsets[1]),
        data=a.info.data,
        split=a.info.split,
        num_clips=int(known.sum()),
        resampled=a.info.resampled,
        num_groups=score_a.num_groups,
        num_bootstrap=num_bootstrap,
        headlines={
            name: difference(getattr(score_a, name), getattr(score_b, name), drawn_b[name] - drawn_a[name])
            for name in HEADLINES
        },
        accuracy_test=mcnemar(right_a, right_b),
        classes={
            label: ClassDifference(
                support=int(support[i]),
                f1=difference(
                    score_a.classes[label].f1,
                    score_b.classes[label].f1,
                    drawn_b["f1"][:, i] - drawn_a["f1"][:, i],
                ),
                recall=tests[i],
                adjusted_p_value=adjusted.get(i),
            )
            for i, label in enumerate(a.labels)
        },
        became_right=flips(~right_a & right_b),
        became_wrong=flips(right_a & ~right_b),
        config=config_differences(a.info.recipe, b.info.recipe),
        caveats=caveats_together({"A": a, "B": b}),
    )


def caveats_together(named: Mapping[str, Evaluation]) -> tuple[str, ...]:
    """What belongs beside the figures of evaluations; what not all say starts with who says it."""
    told = []
    for sentence in dict.fromkeys(said for one in named.values() for said in one.info.caveats):
        names = [name for name, one in named.items() if sentence in one.info.caveats]
        told.append(sentence if len(names) == len(named) else f"{', '.join(names)}: {sentence}")
    return tuple(told)


def require_alike(a: Evaluation, b: Evaluation) -> None:
    """Check that two evaluations are of the same clips in the same classes.

    Raises:
        EvaluationError: naming what differs, of both.
    """
    names = f"{a.info.checkpoint} and {b.info.checkpoint} cannot be compared"
    if a.labels != b.labels:
        raise EvaluationError(
            f"{names}: the labels of one are {', '.join(a.labels)}, of the other {', '.join(b.labels)}; "
            "evaluate checkpoints of one label scheme."
        )
    if a.info.split != b.info.split:
        raise EvaluationError(
            f"{names}: one was evaluated on the split {a.info.split}, the other on {b.info.split}; "
            "evaluate both on the same split."
        )
    keys_a, keys_b = set(a.predictions["key"]), set(b.predictions["key"])
    if a.info.data_sha256 != b.info.data_sha256 or keys_a != keys_b:
        told = [f"{e.info.data} ({e.info.num_clips} clips, {e.info.data_sha256[:12]}…)" for e in (a, b)]
        raise EvaluationError(
            f"{names}: one was evaluated on the data {told[0]}, the other on {told[1]}; "
            "evaluate both on the same clips."
        )


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> McNemar:
    """The exact test of two classifiers' `(clip,)` successes; p is one where they never differ."""
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    p_value = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a_right=only_a, only_b_right=only_b, p_value=p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false alarm at the level (Holm 1979).

    The kth smallest of m, counted from zero, is multiplied by m − k; none is smaller than the one before it,
    nor above one.
    """
    values = np.asarray(p_values, float)
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()


def config_differences(a: dict, b: dict) -> dict[str, tuple[object, object]]:
    """Settings that differ, by dotted name; `ABSENT` where one has no such setting."""
    flat_a, flat_b = flat_settings(a), flat_settings(b)
    names = [*flat_a, *(name for name in flat_b if name not in flat_a)]
    pairs = {name: (flat_a.get(name, ABSENT), flat_b.get(name, ABSENT)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def flat_settings(values: dict, prefix: str = "") -> dict[str, object]:
    """A recipe's settings by dotted name."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flat_settings(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _name(evaluation: Evaluation, subset: Sequence[str]) -> str:
    name = evaluation.info.checkpoint
    return name if tuple(subset) == ALL else f"{name} ({subset_name(subset)})"
