"""The files of a checkpoint, as far as they tell of it without its network being built, or torch being there.

    config.json        the model's configuration, and everything else needed to repeat its answers
    model.safetensors  trained parameters; frozen backbones are named with their SHA-256, not copied
    metrics.json       results on held-out data
    history.parquet    one row per epoch
    space.safetensors  embeddings of the same held-out clips after each epoch (core.space)
    card.md            what it was trained on, what it is for and what it must not be used for

A checkpoint may come from anyone. `core.checkpoint` writes the folder, and makes a network of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from core.config import ModelConfig
from core.from_dict import dataclass_from_dict
from core.labels import SCHEMES
from core.media.limits import MIB
from core.sentences import SentenceError
from core.texts import require_size
from core.writing import require_writable, written

FORMAT = 1
"""Raised when a checkpoint's files change their meaning."""

CONFIG, WEIGHTS, METRICS, HISTORY, SPACE, CARD = (
    "config.json",
    "model.safetensors",
    "metrics.json",
    "history.parquet",
    "space.safetensors",
    "card.md",
)

_NUM_NAMED = 3  # names that an error tells before it only counts


class CheckpointError(SentenceError):
    """A folder that is no usable checkpoint, told in one sentence."""


def current_versions() -> dict[str, str]:
    """Versions of what decides the numbers: Python and the numeric packages."""
    packages = ("deepmsi-mer-explorer", "torch", "timm", "transformers", "numpy", "av", "onnxruntime")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint knows beside its `ModelConfig`.

    Attributes:
        temperature: the logits are divided by it before the softmax; fitted on held-out data.
        uncertainty_threshold: below this calibrated confidence the model would rather abstain.
        data_sha256: of the training data, "" where unknown.
        seed: of the training run.
        preprocessing: how a clip became numbers, for the record; training and prediction share the code.
        backbones: for each frozen encoder that is not stored in the weights, its name and SHA-256; filled in
            when the checkpoint is saved.
        weights_sha256: of model.safetensors, likewise; "" in checkpoints of before it was kept.
        versions: of the packages that made it.
    """

    temperature: float = 1.0
    uncertainty_threshold: float = 0.0
    data_sha256: str = ""
    seed: int = 0
    preprocessing: dict[str, str] = field(default_factory=dict)
    backbones: dict[str, dict[str, str]] = field(default_factory=dict)
    weights_sha256: str = ""
    versions: dict[str, str] = field(default_factory=current_versions)

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature should be above zero and finite, not {self.temperature}")
        if not 0 <= self.uncertainty_threshold <= 1:
            raise ValueError(f"uncertainty_threshold should lie in [0, 1], not {self.uncertainty_threshold}")
        for modality, told in self.backbones.items():
            if told.keys() != {"name", "sha256"}:
                raise ValueError(
                    f"backbones should tell name and sha256 of {modality}, not {', '.join(told) or 'nothing'}"
                )


def require_replaceable(folder: str | Path) -> None:
    """Check that a checkpoint can be saved there and destroys nothing else; to be asked before long work.

    Raises:
        CheckpointError: if the folder is a file, holds anything that is not a checkpoint's, or cannot be
            written.
    """
    folder = Path(folder)
    with written(folder, CheckpointError):
        require_writable(folder)
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not folder.exists():
        return
    if not folder.is_dir() or (names and CONFIG not in names):
        raise CheckpointError(f"{folder} exists and is no checkpoint, so it is not replaced; choose another.")
    others = sorted(names - {CONFIG, WEIGHTS, METRICS, HISTORY, SPACE, CARD})
    if others:
        raise CheckpointError(
            f"{folder} holds more than a checkpoint ({listed(others)}), so it is not replaced; choose "
            "another."
        )


def read_config(folder: Path) -> tuple[ModelConfig, CheckpointInfo]:
    """Contents of a checkpoint's config.json.

    Raises:
        CheckpointError: if it is unreadable, of another version, has unknown keys or values that do not fit,
            or names a known scheme with other classes.
    """
    path = folder / CONFIG
    values = _read_json(path)
    if values.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {values.get('format')!r}, this version reads {FORMAT}; "
            "use the version of the project that made it."
        )
    unknown = sorted(set(values) - {"format", "model", "info"})
    if unknown:
        raise CheckpointError(f"{path} has unknown keys: {', '.join(unknown)}.")
    try:
        config = ModelConfig.from_dict(values.get("model"))
        info = dataclass_from_dict(CheckpointInfo, values.get("info", {}), "info")
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}.") from error
    require_classes(path, config, SCHEMES.get(config.labels.name, config.labels).labels)
    return config, info


def require_classes(path: Path, config: ModelConfig, labels: Sequence[str]) -> None:
    """Raises CheckpointError where a configuration has other classes than the weights were trained for.

    Args:
        path: of the configuration.
        config: that was read from it.
        labels: of the weights, in their order.
    """
    if tuple(labels) != config.labels.labels:
        raise CheckpointError(
            f"{path} has the classes {', '.join(config.labels.labels)}, but its weights were trained for "
            f"{', '.join(labels)}, in this order; take the folder as it was made."
        )


def read_metrics(folder: Path) -> dict:
    """Contents of a checkpoint's metrics.json, without loading the model; empty where there is none.

    Raises:
        CheckpointError: if it is no JSON object, or the recipe in it, or what it began with, is none.
    """
    metrics = _read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    for names in (("train_config",), ("train_config", "data_options"), ("began_with",), ("learned_before",)):
        value = metrics
        for name in names:
            value = value.get(name, {})
        if not isinstance(value, dict):
            raise CheckpointError(
                f"{folder / METRICS}: {names[-1]} should be an object, not {value!r:.40}; take the folder as "
                "it was made."
            )
    sources = metrics.get("train_config", {}).get("source_names", [])
    if not isinstance(sources, list) or not all(isinstance(name, str) for name in sources):
        raise CheckpointError(
            f"{folder / METRICS}: source_names should be a list of names, not {sources!r:.40}; take the "
            "folder as it was made."
        )
    return metrics


def read_card(folder: Path) -> str:
    """Text of a checkpoint's card.md, "" where there is none.

    Raises:
        CheckpointError: if it is longer than is read.
    """
    return _read_text(folder / CARD, errors="replace") if (folder / CARD).is_file() else ""


def checkpoint_hash(folder: Path) -> str:
    """SHA-256 of a checkpoint's configuration and weights, without loading the model. Raises OSError."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            while part := file.read(MIB):
                digest.update(part)
    return digest.hexdigest()


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: the first three, and how many more there are."""
    more = len(names) - _NUM_NAMED
    return ", ".join(names[:_NUM_NAMED]) + (f" and {more} more" if more > 0 else "")


def _read_text(path: Path, errors: str = "strict") -> str:
    require_size(path, CheckpointError, "take the folder as it was made")
    return path.read_text(encoding="utf-8", errors=errors)


def _read_json(path: Path) -> dict:
    try:
        values = json.loads(_read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no readable JSON: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} should hold an object, not a {type(values).__name__}.")
    return values
