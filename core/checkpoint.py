"""A checkpoint is a folder: configuration, trained weights, metrics, history and a card to read.

    config.json        the model's configuration, and everything else needed to repeat its answers
    model.safetensors  trained parameters; frozen backbones are named with their SHA-256, not copied
    metrics.json       results on held-out data
    history.parquet    one row per epoch
    space.safetensors  embeddings of the same held-out clips after each epoch (core.space)
    card.md            what it was trained on, what it is for and what it must not be used for

Loading is strict, and nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from core.config import ModelConfig, dataclass_from_dict
from core.encoders.backbones import BackboneError, require_known
from core.labels import SCHEMES
from core.model import DeepMSI
from core.sentences import SentenceError
from core.space import Space, read_space
from core.tables import read_frame
from core.tensors import open_tensors
from core.texts import require_size
from core.writing import replacing_folder, require_writable, written

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

LABELS = "labels"
"""What the header of the weights calls their classes, a JSON list."""

_SPARE_BYTES = 64 * 1024**2
"""That building a network may take beside its weights: tables, and what is made on the way."""

_BACKBONE_BYTES = 1024**3
"""That it may take beside them where its weights are without the frozen backbones."""

_NUM_NAMED = 3  # keys that an error names before it only counts


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        model: in evaluation mode.
        folder: where it was read from.
        sha256: of its configuration and weights; the same folder contents give the same hash anywhere.
        metrics: contents of metrics.json, empty where there is none.
        card: text of card.md, "" where there is none.
    """

    model: DeepMSI
    config: ModelConfig
    info: CheckpointInfo
    folder: Path
    sha256: str
    metrics: dict
    card: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def space(self) -> Space | None:
        """How the embedding space took shape; None where it was not kept.

        Raises:
            ValueError: if the file is damaged.
        """
        path = self.folder / SPACE
        return read_space(path) if path.is_file() else None

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch; empty where none was kept.

        Raises:
            OSError, ValueError: if the file is damaged, or holds more than is read.
        """
        path = self.folder / HISTORY
        return read_frame(path) if path.is_file() else pd.DataFrame()


def save_checkpoint(
    folder: str | Path,
    model: DeepMSI,
    *,
    info: CheckpointInfo,
    history: pd.DataFrame | list[dict] | None = None,
    space: Space | None = None,
    metrics: dict | None = None,
    card: str = "",
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a checkpoint; it appears whole or not at all.

    Args:
        folder: replaced where it is a checkpoint already.
        model: its trained parameters and buffers are written; a frozen backbone only where it has no
            published weights to be named by.
        info: its `backbones` and `weights_sha256` are filled in.
        history: one row per epoch.
        space: how the embedding space took shape.
        metrics: plain JSON types.
        card: Markdown.
        dtype: of the stored floating-point weights. float16 halves the file; they are computed with as
            float32 in any case.

    Returns:
        The folder.

    Raises:
        CheckpointError: if a weight is not finite, or the folder holds something else or cannot be written.
    """
    folder = Path(folder)
    require_replaceable(folder)
    state = {
        key: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in stored_state(model).items()
    }
    _require_finite(state, folder)
    # what the rows of the last layer mean, told where they lie; of two entries the order would be by chance
    weights = save(state, metadata={LABELS: json.dumps(model.config.labels.labels)})
    filled = {
        "backbones": _named_backbones(model),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    values = {
        "format": FORMAT,
        "model": model.config.to_dict(),
        "info": dataclasses.asdict(dataclasses.replace(info, **filled)),
    }
    with written(folder, CheckpointError), replacing_folder(folder) as new:
        _write_json(new / CONFIG, values)
        (new / WEIGHTS).write_bytes(weights)
        _write_json(new / METRICS, metrics or {})
        (new / CARD).write_text(card, encoding="utf-8")
        if history is not None:
            pd.DataFrame(history).to_parquet(new / HISTORY, index=False)
        if space is not None:
            (new / SPACE).write_bytes(space.to_bytes())
    return folder


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
            f"{folder} holds more than a checkpoint ({_list(others)}), so it is not replaced; choose another."
        )


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a checkpoint, strictly.

    Raises:
        CheckpointError: if a file is missing or unreadable, a key is unknown or missing, a weight has
            another shape or is not finite, the weights are not those that were saved with the configuration
            or tell other classes, or a backbone is not the one it was trained with.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} is no checkpoint: it has no {name}.")
    config, info = _read_config(folder)
    # weights of 16 bits are computed with in 32, and some are first made of others
    room = _SPARE_BYTES + 4 * (folder / WEIGHTS).stat().st_size
    room += _BACKBONE_BYTES if info.backbones else 0
    try:
        # from the hub only what is known: a checkpoint may come from anyone
        for part in (config.text, config.audio) if info.backbones else ():
            if not part.layout:
                require_known(part.backbone)
        with _Bounded(room):
            model = DeepMSI(config, "frozen" if info.backbones else "random")
    except BackboneError as error:
        raise CheckpointError(f"The checkpoint {folder} cannot be loaded: {error}") from error
    except Exception as error:  # sizes that do not fit fail in as many ways as there are layers
        raise CheckpointError(f"{folder / CONFIG} describes no model that can be built: {error}.") from error
    named = _named_backbones(model)
    if named != info.backbones:
        raise CheckpointError(
            f"The checkpoint {folder} was trained with the frozen backbones "
            f"{_backbone_names(info.backbones)}, but this machine has {_backbone_names(named)}; "
            "install the versions that constraints.txt pins."
        )
    model.load_state_dict(_read_weights(folder / WEIGHTS, config, info, stored_state(model)), strict=False)
    return Checkpoint(
        model=model.eval(),
        config=config,
        info=info,
        folder=folder,
        sha256=checkpoint_hash(folder),
        metrics=read_metrics(folder),
        card=_read_text(folder / CARD, errors="replace") if (folder / CARD).is_file() else "",
    )


class _Bounded(TorchFunctionMode):
    """While it is open, no more memory is asked of torch than so many bytes.

    A configuration may come from anyone, and ask for a network of any size. What was made and is not written
    to yet takes no memory when it is counted.
    """

    _MAKING = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange)

    def __init__(self, num_bytes: int) -> None:
        super().__init__()
        self._left = num_bytes

    def __torch_function__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if function in self._MAKING and made.device.type != "meta":
            self._left -= made.nbytes
            if self._left < 0:
                raise ValueError("its network would be much larger than its weights")
        return made


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


def checkpoint_hash(folder: Path) -> str:
    """SHA-256 of a checkpoint's configuration and weights, without loading the model. Raises OSError."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _encoders(model: DeepMSI) -> dict[str, torch.nn.Module]:
    return {"text": model.text, "audio": model.audio}


def _named_backbones(model: DeepMSI) -> dict[str, dict[str, str]]:
    return {
        modality: {"name": encoder.config.backbone, "sha256": encoder.sha256}
        for modality, encoder in _encoders(model).items()
        if encoder.sha256 is not None
    }


def stored_state(model: DeepMSI) -> dict[str, Tensor]:
    """What a checkpoint holds of the model's state: all but what is frozen of backbones that have a name."""
    named = {f"{modality}.backbone.": _encoders(model)[modality] for modality in _named_backbones(model)}

    def is_stored(key: str) -> bool:
        for prefix, encoder in named.items():
            if key.startswith(prefix):
                return key.removeprefix(prefix) in encoder.trained.names
        return True

    return {key: value for key, value in model.state_dict().items() if is_stored(key)}


def _read_config(folder: Path) -> tuple[ModelConfig, CheckpointInfo]:
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
    _require_classes(path, config, SCHEMES.get(config.labels.name, config.labels).labels)
    return config, info


def _require_classes(path: Path, config: ModelConfig, labels: Sequence[str]) -> None:
    if tuple(labels) != config.labels.labels:
        raise CheckpointError(
            f"{path} has the classes {', '.join(config.labels.labels)}, but its weights were trained for "
            f"{', '.join(labels)}, in this order; take the folder as it was made."
        )


def _read_weights(
    path: Path, config: ModelConfig, info: CheckpointInfo, expected: dict[str, Tensor]
) -> dict[str, Tensor]:
    try:
        with open_tensors(path, "pt") as file:
            labels = json.loads((file.metadata() or {}).get(LABELS, "null")) or config.labels.labels
            _require_classes(path.with_name(CONFIG), config, labels)
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
            problems = {
                "misses": sorted(set(expected) - set(shapes)),
                "has the unknown": sorted(set(shapes) - set(expected)),
                "has another shape for": [
                    f"{key} ({shapes[key]} instead of {tuple(value.shape)})"
                    for key, value in expected.items()
                    if key in shapes and shapes[key] != tuple(value.shape)
                ],
            }
            found = [f"{what} {_list(keys)}" for what, keys in problems.items() if keys]
            if found:
                raise CheckpointError(f"{path} does not fit its config.json: it {' and '.join(found)}.")
            state = {key: file.get_tensor(key).to(value.dtype) for key, value in expected.items()}
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is no readable safetensors file: {error}; take the folder as it was made."
        ) from error
    _require_finite(state, path)
    if info.weights_sha256 not in ("", _file_hash(path)):
        raise CheckpointError(
            f"{path} is not the file that was saved with its {CONFIG}: it was changed or swapped; take the "
            "folder as it was made."
        )
    return state


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_finite(state: dict[str, Tensor], where: Path) -> None:
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(f"{where}: weights that are not finite numbers in {_list(broken)}.")


def _list(keys: list[str]) -> str:
    more = len(keys) - _NUM_NAMED
    return ", ".join(keys[:_NUM_NAMED]) + (f" and {more} more" if more > 0 else "")


def _backbone_names(backbones: dict[str, dict[str, str]]) -> str:
    return ", ".join(f"{b['name']} ({b['sha256'][:8]}…)" for b in backbones.values()) or "none"


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
