"""Evaluations that a test makes for itself, without a model."""

from pathlib import Path

import numpy as np

from core.evaluation.artifact import Evaluation, EvaluationInfo
from core.evaluation.build import EvaluatedClip, build_evaluation
from core.labels import MODALITIES
from core.prediction import SUBSETS

LABELS = ("joy", "fear", "anger")


def made_info(**changes) -> EvaluationInfo:
    values = {
        "checkpoint": "first",
        "checkpoint_sha256": "a" * 64,
        "data": "clips",
        "data_sha256": "d" * 64,
        "split": "test",
        "protocol": "official",
        "label_scheme": "three",
        "labels": LABELS,
        "seed": 3,
        "temperature": 1.5,
        "uncertainty_threshold": 0.4,
        "created": "2026-01-01T00:00:00+00:00",
        "versions": {"python": "3.11.0"},
        "recipe": {"model": {"preset": "tiny", "video": {"size": 64}}, "training": {"seed": 3}},
        "num_bootstrap": 200,
    }
    return EvaluationInfo(**{**values, **changes})


def made_clips(labels: list[str], folder: Path, **changes) -> list[EvaluatedClip]:
    """Clips "c0.mp4", … of two kinds, each of a speaker of its own pair."""
    return [
        EvaluatedClip(
            key=f"c{i}.mp4",
            path=folder / f"c{i}.mp4",
            label=label,
            **{
                "speaker": f"speaker {i // 2}",
                "transcript": f"words {i}",
                "kept_frame_seconds": (0.5, 1.25),
                "face": "one",
                "extra": {"scenario": "all" if i % 2 else "some", "conflict": "True"},
                **changes,
            },
        )
        for i, label in enumerate(labels)
    ]


def made_probabilities(predictions: list[str], confidence: float = 0.8) -> np.ndarray:
    """`(clip, subset, class)`: every subset says the prediction, nothing says all alike."""
    rest = (1 - confidence) / (len(LABELS) - 1)
    rows = np.full((len(predictions), len(SUBSETS), len(LABELS)), rest)
    for i, prediction in enumerate(predictions):
        rows[i, :, LABELS.index(prediction)] = confidence
    rows[:, 0] = 1 / len(LABELS)
    return rows


def made_evaluation(
    labels: list[str], predictions: list[str], folder: Path, *, probabilities=None, clips=None, **changes
) -> Evaluation:
    """An evaluation of clips in `folder`; `changes` are of its info."""
    num = len(labels)
    random = np.random.default_rng(0)
    return build_evaluation(
        made_info(**changes),
        made_clips(labels, folder) if clips is None else clips,
        made_probabilities(predictions) if probabilities is None else probabilities,
        {name: random.normal(size=(num, 4)).astype(np.float32) for name in (*MODALITIES, "fused")},
        media_folder=folder,
    )
