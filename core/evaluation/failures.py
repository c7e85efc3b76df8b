"""Why does the model miss a class? Where its clips go, how sure the model was, and who would have known.

Everything is read from an evaluation; no model and no clip is needed. docs/failures.md tells how to read the
figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evaluation.artifact import NON_EMPTY, Evaluation, subset_name

PRESETS = ("fear", "disgust")
"""Classes that are asked about first: rare, and missed most often."""

COUNTS = "num_train_per_label"
"""Under which a checkpoint's metrics and an evaluation's recipe tell how many training clips a class had."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.count / self.total if self.total else None


@dataclass(frozen=True, kw_only=True)
class MissedClass:
    """What happens to the clips of one class.

    Attributes:
        label: the class.
        num_classes: that the model chooses from.
        missed: clips labelled so that are predicted as another class, of those labelled so.
        precision: clips labelled so, of those predicted so.
        evaluated: clips labelled so, of all that were evaluated.
        trained: clips labelled so, of all that the checkpoint learned from; None where that is not at hand.
        remedies: what the training did about rare classes, in words; None where the recipe does not tell.
        goes_to: what the missed clips are predicted as, with how many, most frequent first.
        confidence_right / confidence_missed: mean probability of the prediction; None without such clips.
        probability_missed: mean calibrated probability of the class itself among the missed clips.
        second: missed clips whose second choice is the class.
        right_alone: by proper subset of the modalities, as "audio": the missed clips that the model gets
            right from it alone, of the missed ones that have any of it.
        single_right: missed clips that at least one modality alone gets right.
        conflict_missed / conflict_right: clips whose modalities contradict one another, of the missed and of
            the recognised ones.
    """

    label: str
    num_classes: int
    missed: Share
    precision: Share
    evaluated: Share
    trained: Share | None
    remedies: tuple[str, ...] | None
    goes_to: tuple[tuple[str, int], ...]
    confidence_right: float | None
    confidence_missed: float | None
    probability_missed: float | None
    second: Share
    right_alone: dict[str, Share]
    single_right: Share
    conflict_missed: Share
    conflict_right: Share


def cell_rows(
    evaluation: Evaluation, *, label: str | None = None, prediction: str | None = None
) -> np.ndarray:
    """Rows of the clips in a cell of the confusion matrix, those that the model was surest of first.

    Args:
        evaluation: read or made.
        label: truth; None for any.
        prediction: None for any.
    """
    table = evaluation.predictions
    inside = np.ones(len(table), bool)
    for column, wanted in (("label", label), ("prediction", prediction)):
        if wanted is not None:
            inside &= (table[column] == wanted).to_numpy()
    return surest_first(evaluation, np.flatnonzero(inside))


def missed_rows(evaluation: Evaluation, label: str | None = None) -> np.ndarray:
    """Rows of the clips that are predicted as another class than their label, surest first.

    Args:
        evaluation: read or made.
        label: of these alone; None for all.
    """
    table = evaluation.predictions
    rows = cell_rows(evaluation, label=label)
    return rows[(table["label"] != table["prediction"]).to_numpy()[rows]]


def surest_first(evaluation: Evaluation, rows: np.ndarray) -> np.ndarray:
    """`rows` in the order of the prediction's probability, most certain first."""
    confidence = evaluation.probabilities().max(1)
    return rows[np.argsort(-confidence[rows], kind="stable")]


def why_missed(evaluation: Evaluation, label: str, training: Evaluation | None = None) -> MissedClass:
    """What the evaluation tells about why clips of a class are missed.

    Args:
        evaluation: read or made.
        label: the class.
        training: what the same checkpoint says of the clips it learned from; they tell how often it saw the
            class, where the evaluation does not know.

    Raises:
        ValueError: if the class is none of the evaluation's.
    """
    if label not in evaluation.labels:
        raise ValueError(f"{label!r} is none of the classes {', '.join(evaluation.labels)}")
    table, column = evaluation.predictions, evaluation.labels.index(label)
    probabilities = evaluation.probabilities()
    is_label, is_told = (table["label"] == label).to_numpy(), (table["prediction"] == label).to_numpy()
    is_right, is_missed = is_label & is_told, is_label & ~is_told
    missed = np.flatnonzero(is_missed)
    goes_to = table["prediction"][is_missed].value_counts(sort=False)
    order = sorted(goes_to.items(), key=lambda item: (-item[1], evaluation.labels.index(item[0])))
    # a missed clip's class is at best the second choice
    is_second = (probabilities[missed] > probabilities[missed, column][:, None]).sum(1) == 1
    right_alone, by_single = {}, np.zeros(len(missed), bool)
    for subset in NON_EMPTY[:-1]:
        answers = evaluation.probabilities(subset)[missed]
        has_any = ~np.isnan(answers).any(1)
        is_hit = np.zeros(len(missed), bool)
        is_hit[has_any] = answers[has_any].argmax(1) == column
        right_alone[subset_name(subset)] = Share(count=int(is_hit.sum()), total=int(has_any.sum()))
        if len(subset) == 1:
            by_single |= is_hit
    is_conflict = table["is_conflict"].to_numpy(bool)
    return MissedClass(
        label=label,
        num_classes=len(evaluation.labels),
        missed=_share(is_missed, is_label),
        precision=_share(is_right, is_told),
        evaluated=_share(is_label, np.ones(len(table), bool)),
        trained=_trained(evaluation, label, training),
        remedies=_remedies(evaluation),
        goes_to=tuple((name, int(count)) for name, count in order),
        confidence_right=_mean(probabilities[is_right].max(1)),
        confidence_missed=_mean(probabilities[is_missed].max(1)),
        probability_missed=_mean(probabilities[is_missed, column]),
        second=Share(count=int(is_second.sum()), total=len(missed)),
        right_alone=right_alone,
        single_right=Share(count=int(by_single.sum()), total=len(missed)),
        conflict_missed=_share(is_conflict & is_missed, is_missed),
        conflict_right=_share(is_conflict & is_right, is_right),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> Share:
    return Share(count=int(part.sum()), total=int(whole.sum()))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _trained(evaluation: Evaluation, label: str, training: Evaluation | None) -> Share | None:
    counts = evaluation.info.recipe.get(COUNTS)
    if training is not None:
        counts = training.predictions["label"].value_counts().to_dict()
    if not isinstance(counts, dict) or not counts or not all(isinstance(n, int) for n in counts.values()):
        return None
    return Share(count=counts.get(label, 0), total=sum(counts.values()))


def _remedies(evaluation: Evaluation) -> tuple[str, ...] | None:
    recipe = evaluation.info.recipe.get("training")
    if not isinstance(recipe, dict) or not _REMEDIES.keys() & recipe.keys():
        return None
    return tuple(words for name, words in _REMEDIES.items() if recipe.get(name))


_REMEDIES = {
    "prior_tau": "an adjustment of the logits",
    "class_balance": "drawing rare classes more often",
    "class_weight_beta": "weights in the loss",
    "tune_offsets": "offsets tuned on the dev split",
}
"""By fields of a training's recipe that do nothing where they are zero or false."""
