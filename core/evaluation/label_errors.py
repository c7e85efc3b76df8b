"""Which labels may be wrong: confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70).

A class's threshold is the mean probability that the model gives it on the clips labelled so. A clip counts as
confidently of a class where its probability reaches the class's threshold, of several the most probable one.
Counted by label and confident class, this is the confident joint; off its diagonal label and model contradict
each other. It takes probabilities of clips that the model did not learn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evaluation.artifact import Evaluation


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A clip whose label the model contradicts confidently.

    Attributes:
        row: of the evaluation's predictions.
        suggested: the class that the model has instead.
        margin: the suggested class's probability less the label's.
    """

    row: int
    key: str
    label: str
    suggested: str
    margin: float


@dataclass(frozen=True, kw_only=True)
class LabelErrors:
    """What confident learning says of an evaluation.

    Attributes:
        thresholds: per class, mean probability of the class on the clips labelled so; None without a clip.
        joint: `(label, confident class)` counts; clips that reach no threshold are not in it.
        suspects: off the diagonal, by margin, largest first.
    """

    thresholds: tuple[float | None, ...]
    joint: tuple[tuple[int, ...], ...]
    suspects: tuple[Suspect, ...]


def suspected_label_errors(evaluation: Evaluation) -> LabelErrors:
    """Labels that the model contradicts with at least its usual confidence in the other class.

    A class without a clip has no threshold and is never suggested.
    """
    truth, probabilities = evaluation.truth, evaluation.probabilities()
    num_classes = len(evaluation.labels)
    counts = np.bincount(truth, minlength=num_classes)
    sums = np.bincount(truth, probabilities[np.arange(len(truth)), truth], minlength=num_classes)
    thresholds = np.divide(sums, counts, out=np.full(num_classes, np.inf), where=counts > 0)
    # a mean of equal numbers may come out a hair above them
    reached = probabilities >= thresholds - 1e-12
    confident = np.where(reached, probabilities, -1.0).argmax(1)
    counted = reached.any(1)
    joint = np.zeros((num_classes, num_classes), int)
    np.add.at(joint, (truth[counted], confident[counted]), 1)
    rows = np.flatnonzero(counted & (confident != truth))
    margins = probabilities[rows, confident[rows]] - probabilities[rows, truth[rows]]
    keys = evaluation.predictions["key"].to_numpy()
    return LabelErrors(
        thresholds=tuple(
            float(value) if count else None for value, count in zip(thresholds, counts, strict=True)
        ),
        joint=tuple(map(tuple, joint.tolist())),
        suspects=tuple(
            Suspect(
                row=int(rows[i]),
                key=str(keys[rows[i]]),
                label=evaluation.labels[truth[rows[i]]],
                suggested=evaluation.labels[confident[rows[i]]],
                margin=float(margins[i]),
            )
            for i in np.argsort(-margins, kind="stable")
        ),
    )
