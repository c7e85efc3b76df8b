"""A checkpoint: a network, written to a folder whole or not at all, and read from one strictly.

`core.checkpoint_files` tells which files there are, and what they say without the network. Nothing is ever
unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from core.checkpoint_files import (
    CARD,
    CONFIG,
    FORMAT,
    HISTORY,
    METRICS,
    SPACE,
    WEIGHTS,
    CheckpointError,
    CheckpointInfo,
    checkpoint_hash,
    listed,
    read_card,
    read_config,
    read_metrics,
    require_classes,
    require_replaceable,
)
from core.config import ModelConfig
from core.encoders.backbones import BackboneError, require_known
from core.model import DeepMSI
from core.space import Space, read_space
from core.tables import read_frame
from core.tensors import open_tensors
from core.writing import replacing_folder, written

LABELS = "labels"
"""What the header of the weights calls their classes, a JSON list."""

_SPARE_BYTES = 64 * 1024**2
"""That building a network may take beside its weights: tables, and what is made on the way."""

_BACKBONE_BYTES = 1024**3
"""That it may take beside them where its weights are without the frozen backbones."""


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
    config, info = read_config(folder)
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
        card=read_card(folder),
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


def _read_weights(
    path: Path, config: ModelConfig, info: CheckpointInfo, expected: dict[str, Tensor]
) -> dict[str, Tensor]:
    try:
        with open_tensors(path, "pt") as file:
            labels = json.loads((file.metadata() or {}).get(LABELS, "null")) or config.labels.labels
            require_classes(path.with_name(CONFIG), config, labels)
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
            found = [f"{what} {listed(keys)}" for what, keys in problems.items() if keys]
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
        raise CheckpointError(f"{where}: weights that are not finite numbers in {listed(broken)}.")


def _backbone_names(backbones: dict[str, dict[str, str]]) -> str:
    return ", ".join(f"{b['name']} ({b['sha256'][:8]}…)" for b in backbones.values()) or "none"


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
