"""What the model learned from that looks most like a clip to it: nearest training clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.evaluation.artifact import INFO, Evaluation, EvaluationError
from core.evaluation.reading import read_evaluation

TRAINING_SUFFIX = "-train"
"""An evaluation of what a checkpoint learned from lies beside its others under its name and this."""


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A training clip.

    Attributes:
        row: of the training evaluation's predictions.
        similarity: cosine of both clips' `fused` embeddings, from −1 to 1.
    """

    row: int
    key: str
    label: str
    similarity: float


def training_folder(folder: Path, checkpoint: str) -> Path | None:
    """Where the evaluation of a checkpoint's training clips lies, beside one of its evaluations.

    None where there is none, or `folder` is that one.
    """
    beside = folder.resolve().parent / f"{checkpoint}{TRAINING_SUFFIX}"
    return beside if beside != folder.resolve() and (beside / INFO).is_file() else None


def read_training(folder: Path, evaluation: Evaluation) -> Evaluation | None:
    """The evaluation of the training clips beside that in `folder`; None unless it is of the same weights."""
    beside = training_folder(folder, evaluation.info.checkpoint)
    if beside is None:
        return None
    try:
        training = read_evaluation(beside)
    except EvaluationError:  # what cannot be read is not at hand
        return None
    if training.info.checkpoint_sha256 != evaluation.info.checkpoint_sha256:
        return None
    return training if training.labels == evaluation.labels else None


def nearest(
    evaluation: Evaluation, row: int, training: Evaluation, *, count: int = 6
) -> tuple[Neighbour, ...]:
    """The training clips whose `fused` embedding has the largest cosine with a clip's, largest first.

    Args:
        evaluation: of the clip.
        row: of its predictions.
        training: of the same checkpoint.
        count: as many, or all there are.
    """
    mine, others = evaluation.embeddings["fused"][row], training.embeddings["fused"]
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(mine)
    cosines = np.divide(others @ mine, lengths, out=np.full(len(others), np.nan), where=lengths > 0)
    order = np.argsort(-np.nan_to_num(cosines, nan=-2.0), kind="stable")[:count]
    table = training.predictions
    return tuple(
        Neighbour(
            row=int(i),
            key=str(table["key"].iat[i]),
            label=str(table["label"].iat[i]),
            similarity=float(cosines[i]),
        )
        for i in order
        if not np.isnan(cosines[i])
    )
