"""Reading an evaluation, which may come from anyone: it is whole and agrees with itself, or is refused."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors import SafetensorError

from core.evaluation.artifact import (
    ALL,
    EMBEDDINGS,
    FORMAT,
    INFO,
    METRICS,
    PREDICTIONS,
    Evaluation,
    EvaluationError,
    EvaluationInfo,
    schema_of,
    subset_name,
)
from core.evaluation.metrics import Metrics
from core.from_dict import dataclass_from_dict
from core.labels import MODALITIES
from core.media.limits import MIB
from core.tables import read_table
from core.tensors import read_tensors
from core.texts import MAX_TEXT_BYTES, require_size

MAX_INFO_BYTES = 64 * MIB
"""Of an evaluation's description, which gives a reason for every clip that was skipped, of 0.1 KiB each."""

_MAX_TOLD = 300
"""Characters of a reason that comes from the files themselves."""


def read_evaluation(folder: str | Path) -> Evaluation:
    """Read an evaluation, strictly.

    Raises:
        EvaluationError: if a file is missing or unreadable, was written by another version, or the files
            disagree with one another.
    """
    folder = Path(folder)
    for name in (INFO, PREDICTIONS, EMBEDDINGS, METRICS):
        if not (folder / name).is_file():
            raise EvaluationError(f"{folder} is no evaluation: it has no {name}; make it again.")
    values, metrics = _read_json(folder / INFO, MAX_INFO_BYTES), _read_json(folder / METRICS)
    root = values.pop("media_folder", None)
    if root is not None and (not isinstance(root, str) or Path(root).is_absolute() or "\0" in root):
        raise EvaluationError(f"{folder / INFO}: media_folder should be a relative path; make it again.")
    try:
        info = dataclass_from_dict(EvaluationInfo, values, "evaluation")
        scores = dataclass_from_dict(Metrics, metrics, "metrics")
    except (ValueError, TypeError) as error:
        why = _sentence(error)
        raise EvaluationError(f"{folder} is no evaluation that this version reads: {why}.") from error
    try:
        predictions = _read_predictions(folder / PREDICTIONS)
        embeddings = read_tensors(folder / EMBEDDINGS, "np")
    except (SafetensorError, OSError, LookupError, ValueError) as error:
        raise EvaluationError(f"{folder} cannot be read: {_sentence(error)}; make it again.") from error
    evaluation = Evaluation(
        info=info,
        predictions=predictions,
        embeddings=embeddings,
        metrics=scores,
        media_folder=None if root is None else Path(os.path.normpath(folder.resolve() / root)),
    )
    try:
        problem = next(_problems(evaluation), None)
    except (ValueError, TypeError, IndexError) as error:  # rows that are no lists of numbers, or none at all
        problem = f"{PREDICTIONS} has rows that are not as they should be ({_sentence(error)})"
    if problem is not None:
        raise EvaluationError(f"{folder} contradicts itself: {_sentence(problem)}; make it again.")
    return evaluation


def _read_predictions(path: Path) -> pd.DataFrame:
    table = read_table(path)
    try:
        schema = schema_of(table.column_names)
        # what is of another type, and cannot be taken for its own, would stop whoever reads it later
        return table.select(schema.names).cast(schema).to_pandas()
    except (pa.ArrowException, LookupError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _problems(evaluation: Evaluation) -> Iterator[str]:
    """What of the files disagrees, most telling first."""
    info, predictions = evaluation.info, evaluation.predictions
    if len(predictions) != info.num_clips:
        yield f"{INFO} says {info.num_clips} clips, {PREDICTIONS} has {len(predictions)} rows"
    if repeated := predictions["key"][predictions["key"].duplicated()].tolist():
        yield f"{PREDICTIONS} has {repeated[0]} twice"
    for name in ("label", "prediction"):
        if unknown := sorted(set(predictions[name]) - set(info.labels)):
            yield f"{PREDICTIONS} has the {name} {unknown[0]}, which is not among {', '.join(info.labels)}"
    if set(evaluation.embeddings) != {*MODALITIES, "fused"}:
        yield f"{EMBEDDINGS} holds {', '.join(sorted(evaluation.embeddings)) or 'nothing'}"
    for name, rows in evaluation.embeddings.items():
        if rows.ndim != 2 or rows.dtype.kind != "f":
            yield f"{EMBEDDINGS} has no vectors of {name}, but {rows.dtype} of {rows.ndim} dimensions"
        if len(rows) != len(predictions):
            yield f"{EMBEDDINGS} has {len(rows)} rows of {name}, {PREDICTIONS} has {len(predictions)}"
    num_classes = len(info.labels)
    for name in (name for name in predictions if name.startswith("probabilities")):
        if any(row is not None and len(row) != num_classes for row in predictions[name]):
            yield f"{PREDICTIONS} has rows of {name} that are not of {num_classes} classes"
            return
    probabilities = evaluation.probabilities()
    if not np.array_equal(np.stack(predictions["probabilities"].tolist()), probabilities):
        yield f"{PREDICTIONS} has other probabilities than those of {subset_name(ALL)}, or none"
    told = np.array(info.labels)[probabilities.argmax(1)]
    if (wrong := np.flatnonzero(told != predictions["prediction"].to_numpy())).size:
        row = predictions.iloc[wrong[0]]
        yield f"{row['key']} is predicted {row['prediction']}, but {told[wrong[0]]} is the most probable"
    for scores in evaluation.metrics.subsets.values():
        if tuple(scores.classes) != info.labels:
            yield f"{METRICS} has the classes {', '.join(scores.classes)}, {INFO} {', '.join(info.labels)}"


def _read_json(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> dict:
    try:
        require_size(path, EvaluationError, "make it again", max_bytes=max_bytes)
        text = path.read_text(encoding="utf-8")
        values = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError(f"{path} is no readable JSON: {_sentence(error)}.") from error
    if not isinstance(values, dict):
        raise EvaluationError(f"{path} should hold an object, not a {type(values).__name__}.")
    if (found := values.pop("format", None)) != FORMAT:
        raise EvaluationError(
            f"{path} has format {found!r}, this version reads {FORMAT}; "
            "use the version of the project that made it, or make it again."
        )
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number that it may hold")
    return value


def _sentence(told: object) -> str:
    """As part of a sentence: on one line, and not endless, whatever names it quotes."""
    text = " ".join(str(told).split()).rstrip(".")
    return text if len(text) <= _MAX_TOLD else f"{text[:_MAX_TOLD]} …"
