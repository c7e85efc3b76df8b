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
from core.checkpoint_files import current_versions
from core.labels import MODALITIES
from core.media import Transcript
from core.prediction import PAIRS, SUBSETS

FORMAT = 1
"""Raised when the layout of the JSON file changes."""

VALUE = (
    "what is explained: the target's calibrated probability, 0 to 1, or the difference of two for a contrast"
)
OF_VALUE = "in the unit of the value: 0.01 is one point of probability"
CLOCK = "seconds on the media file's clock"

MEANINGS = {
    "null": "not known, not measured, or does not apply",
    "clip.start_seconds": CLOCK,
    "clip.end_seconds": CLOCK,
    "clip.words.start_seconds": CLOCK,
    "clip.words.end_seconds": CLOCK,
    "clip.words.probability": "how sure speech-to-text is of the word, 0 to 1",
    "prediction.start_seconds": CLOCK,
    "prediction.end_seconds": CLOCK,
    "prediction.confidence": "calibrated probability of the answer, 0 to 1",
    "prediction.is_uncertain": "whether the checkpoint would rather give no answer",
    "prediction.probabilities.*": "calibrated probability of each emotion, 0 to 1",
    "prediction.kept_frame_times_seconds": CLOCK,
    "prediction.candidate_frame_times_seconds": CLOCK,
    "prediction.subset_probabilities.*.*": (
        "calibrated probability of each emotion when the model may use these modalities alone, 0 to 1"
    ),
    "prediction.shapley.*.*": "Shapley value of each modality for each emotion; 0.01 is one point",
    "prediction.shapley_interactions.*.*": (
        "Shapley interaction index of modalities for each emotion; 0.01 is one point"
    ),
    "prediction.modality_verdict": (
        "how the modalities relate to the answer, whether or not it is uncertain; modalities.verdict, which "
        "is the one to be told, heeds that"
    ),
    "prediction.timings_seconds.*": "wall time of the steps of the prediction, in seconds",
    "modalities.coalitions.value": f"{VALUE}; when the model may use these modalities alone",
    "modalities.coalitions.answer": "what the model would then say",
    "modalities.shapley.*": (
        f"what each modality contributed, {OF_VALUE}; all add up to the value of all less that of none"
    ),
    "modalities.interactions.*": (
        f"Shapley interaction index, {OF_VALUE}; above 0 they give more together than one by one, below 0 "
        "less, because they tell the same or pull apart"
    ),
    "attributions.*.values": (
        f"what each element contributed, {OF_VALUE}; of patches by frame, row and column, where 0 says that "
        "it had no part"
    ),
    "attributions.*.start_seconds": f"{CLOCK}; of a frame its time",
    "attributions.*.end_seconds": f"{CLOCK}; of a frame its time",
    "attributions.*.value": (
        f"{VALUE}; of the clip as it is, or, by a method that reads words by themselves, of the words alone"
    ),
    "attributions.*.baseline_value": "the value with all these elements absent",
    "attributions.*.gap": (
        "(value − baseline_value) − sum of values: what the method leaves unexplained; null for occlusion, "
        "whose values add up to nothing in particular"
    ),
    "attributions.*.num_passes": "versions of the clip that the model was asked about",
    "attributions.*.seconds": "wall time of the computation",
    "faithfulness.*.num_elements": "elements that were tested: all, but of frames and patches those kept",
    "faithfulness.*.curves.removed": "share of the elements that is removed at each step, 0 to 1",
    "faithfulness.*.curves.deletion": "the value while those with the largest attribution are removed first",
    "faithfulness.*.curves.reversed_deletion": (
        "the value while those with the smallest attribution are removed first"
    ),
    "faithfulness.*.curves.random": "the value while they are removed in random orders, one row each",
    "faithfulness.*.curves.insertion": (
        "the value while those with the largest attribution are added first; 1 − removed, read backwards, is "
        "the share that is added"
    ),
    "faithfulness.*.curves.deletion_area": "mean value under deletion; less is better",
    "faithfulness.*.curves.insertion_area": "mean value under insertion; more is better",
    "faithfulness.*.curves.random_areas": "mean value in each random order",
    "faithfulness.*.curves.random_interval": (
        "would hold the mean value of one more random order with 95 % probability (Student's prediction "
        "interval, which knows no bounds of a probability)"
    ),
    "faithfulness.*.infidelity.value": (
        "mean squared error of foretelling what removing random sets of elements changes, after scaling to "
        "fit best; the square of the value's unit"
    ),
    "faithfulness.*.infidelity.unexplained": (
        "the same over the mean square of the changes: 0 if all is foretold, 1 if nothing"
    ),
    "faithfulness.*.infidelity.shuffled_unexplained": (
        "mean of the same when the shares are dealt out to the elements at random"
    ),
    "faithfulness.*.infidelity.chance": "share of such deals that foretell as well, 0 to 1",
    "faithfulness.*.relative_gap": (
        "|gap| over |value − baseline_value|, or over 0.1 where that is less; 0.1 is 10 %"
    ),
    "faithfulness.*.sensitivity": (
        "length of the largest change under unnoticeable noise, over the length of the attribution: 0 is the "
        "same, 1.41 has nothing in common"
    ),
    "faithfulness.*.randomised.correlation": (
        "Spearman's rank correlation with the attribution of a network that has forgotten these layers and "
        "all above them, −1 to 1; it should fall"
    ),
    "faithfulness.*.randomised.num_elements": "elements that have a part in one of the two",
    "faithfulness.*.num_passes": (
        "versions of the clip that the model was asked about, without those of explaining again"
    ),
    "faithfulness.*.seconds": "wall time of the computation",
    "compression_effects.value": f"{VALUE}; of the clip as it is",
    "compression_effects.*.num_elements": "candidate frames, or patches of one frame",
    "compression_effects.*.num_kept": "of these, how many are kept",
    "compression_effects.*.positive_mass": "share of the positive attribution on what is kept, 0 to 1",
    "compression_effects.*.absolute_mass": "share of the absolute attribution on what is kept, 0 to 1",
    "compression_effects.*.restored": "the value had all of them been kept",
    "compression_effects.*.exchanged": "the value had dropped ones been kept in place of kept ones",
    "compression_effects.*.num_exchanged": "how many dropped ones that is",
    "compression_effects.*.random": "the value had as many been kept at random, for each draw",
    "compression_effects.*.evenly": "the value had as many been kept, evenly spread",
    "compression_effects.all_restored": "the value had all frames and all patches been kept",
    "compression_effects.unmerged": "the value had what was dropped been lost in place of merged",
    "compression_effects.num_passes": "versions of the clip that the model was asked about",
    "compression_effects.seconds": "wall time of the computation",
}
"""Of every number in the JSON file, by its place, what it means and in which unit; a star is any name."""


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
        "meanings": MEANINGS,
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

    The index counts words, windows and frames; of a patch it is that of its frame. What is explained, of
    which clip and by which checkpoint, stands in the table's `attrs`, which the Parquet file keeps.
    """
    prediction = explanation.prediction
    tables = [_rows(found) for found in explanation.attributions.values()]
    columns = ["element", "index", "start_seconds", "end_seconds", "row", "column", "text", "value", "method"]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    table = table[columns].astype(
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
    table.attrs = {
        "target": plain(explanation.target),
        "clip_sha256": prediction.clip_hash,
        "checkpoint_sha256": prediction.checkpoint_hash,
        "value": MEANINGS["attributions.*.values"],
        "start_seconds, end_seconds": MEANINGS["attributions.*.start_seconds"],
    }
    return table


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
