"""An explanation as files that programs read: plain JSON, and a long table of all elements."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from importlib import metadata

import numpy as np
import pandas as pd

from app.limits import OF_AN_EXPLANATION
from core.attribution.elements import METHODS
from core.attribution.explain import Explanation
from core.attribution.faithfulness import Faithfulness
from core.attribution.modalities import shown_verdict
from core.attribution.results import Attribution
from core.checkpoint import current_versions
from core.labels import MODALITIES
from core.media import Transcript
from core.prediction import PAIRS, SUBSETS

FORMAT = 1
"""Raised when the layout of the JSON file changes."""

UNITS = {
    "value, values, gap, curves": "calibrated probability, 0 to 1, or the difference of two for a contrast",
    "*_seconds of elements": "seconds on the media file's clock",
    "seconds": "wall time of the computation",
    "num_passes": "versions of the clip that the model was asked about",
}


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    return current_versions() | {"captum": metadata.version("captum")}


def as_json(explanation: Explanation, transcript: Transcript | None) -> dict:
    """All of an explanation as plain JSON types; arrays become lists, NaN becomes None.

    Args:
        explanation: what is told.
        transcript: that was read, with the times of its words where they are known.
    """
    prediction = explanation.prediction
    words = transcript.words if transcript else ()
    return {
        "format": FORMAT,
        "units": UNITS,
        "clip": {
            "path": prediction.path,
            "sha256": prediction.clip_hash,
            "start_seconds": prediction.start_seconds,
            "end_seconds": prediction.end_seconds,
            "transcript": prediction.transcript,
            "transcript_source": transcript.source if transcript else None,
            "words": [plain(word) for word in words],
        },
        "checkpoint": {"name": prediction.checkpoint, "sha256": prediction.checkpoint_hash},
        "versions": versions(),
        "target": plain(explanation.target),
        "prediction": prediction.to_dict(),
        "modalities": _modalities(explanation),
        "attributions": {
            element: plain(found) | {"method_sentence": METHODS[found.method].sentence}
            for element, found in explanation.attributions.items()
        },
        "faithfulness": {element: _tests(found) for element, found in explanation.faithfulness.items()},
        "compression_effects": plain(explanation.effects),
        "limits": list(OF_AN_EXPLANATION),
    }


def as_table(explanation: Explanation) -> pd.DataFrame:
    """One row per element: `element, index, start_seconds, end_seconds, row, column, text, value, method`.

    The index counts words, windows and frames; of a patch it is that of its frame.
    """
    tables = [_rows(found) for found in explanation.attributions.values()]
    columns = ["element", "index", "start_seconds", "end_seconds", "row", "column", "text", "value", "method"]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return table[columns].astype(
        {
            "element": "string",
            "index": "int64",
            "start_seconds": "float64",
            "end_seconds": "float64",
            "row": "Int64",
            "column": "Int64",
            "text": "string",
            "value": "float64",
            "method": "string",
        }
    )


def plain(value: object) -> object:
    """Plain JSON types for results of the kind that the store keeps."""
    if is_dataclass(value):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _modalities(explanation: Explanation) -> dict:
    """The modality report for the target: a contrast's figures are the differences of its labels'."""
    prediction, target = explanation.prediction, explanation.target
    report, labels = prediction.modalities, prediction.labels
    verdict, sentence = shown_verdict(prediction)
    interactions = np.vstack([report.pair_interactions, report.triple_interaction])
    return {
        "coalitions": [
            {
                "modalities": list(subset),
                "value": plain(float(target.of(row, labels))),
                "answer": None if np.isnan(row).any() else labels[int(row.argmax())],
            }
            for subset, row in zip(SUBSETS, report.probabilities, strict=True)
        ],
        "shapley": dict(zip(MODALITIES, target.of(report.shapley, labels).tolist(), strict=True)),
        "interactions": {
            "+".join(group): value
            for group, value in zip(
                (*PAIRS, MODALITIES), target.of(interactions, labels).tolist(), strict=True
            )
        },
        "verdict": verdict,
        "sentence": sentence,
    }


def _tests(found: Faithfulness) -> dict:
    curves = found.curves
    derived = {
        "insertion": curves.insertion,
        "deletion_area": curves.deletion_area,
        "insertion_area": curves.insertion_area,
        "random_areas": curves.random_areas,
        "random_interval": curves.random_interval,
    }
    told = plain(found)
    return told | {"curves": told["curves"] | plain(derived)}


def _rows(found: Attribution) -> pd.DataFrame:
    where = np.indices(found.values.shape).reshape(found.values.ndim, -1)
    index = where[0]
    is_patch = found.element == "patch"
    return pd.DataFrame(
        {
            "element": found.element,
            "index": index,
            "start_seconds": found.start_seconds[index],
            "end_seconds": found.end_seconds[index],
            "row": where[1] if is_patch else pd.NA,
            "column": where[2] if is_patch else pd.NA,
            "text": [found.words[i] for i in index] if found.words else pd.NA,
            "value": found.values.ravel(),
            "method": found.method,
        }
    )
