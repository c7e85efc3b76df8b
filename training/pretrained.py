"""What pretraining leaves on disk: weights of parts of the model, in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from core.model import DeepMSI
from core.tensors import read_tensors
from core.writing import ON_RESUME, replacing, written
from training.datasets.manifest import DataError

PARTS = ("video", "temporal")
"""Of the model, that pretraining may leave."""


def save_part(path: Path, part: nn.Module) -> None:
    """Write the weights of a part of the model, whole or not at all. Raises DataError if that cannot be."""
    state = {name: value.detach().cpu().contiguous() for name, value in part.state_dict().items()}
    with written(path.parent, DataError, ON_RESUME), replacing(path) as unfinished:
        save_file(state, unfinished)


def pretrained_hash(folder: Path | None) -> str | None:
    """SHA-256 of what `load_pretrained` reads; None for no folder."""
    if folder is None:
        return None
    digest = hashlib.sha256()
    for name in PARTS:
        path = folder / f"{name}.safetensors"
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def load_pretrained(model: DeepMSI, folder: Path) -> None:
    """Put what `pretrain` made into a model: the video encoder and, where there is one, the temporal network.

    Raises:
        DataError: for a folder without an encoder, or with one that is damaged, not of finite numbers, of
            another preset or of an older version.
    """
    if not (folder / "video.safetensors").is_file():
        raise DataError(f"{folder} holds no video.safetensors; give a folder that `deepmsi pretrain` made.")
    for name in PARTS:
        part = getattr(model, name)
        path = folder / f"{name}.safetensors"
        if not path.exists():
            continue
        try:
            weights = read_tensors(path, "pt")
            part.load_state_dict(weights)
        except (OSError, RuntimeError, SafetensorError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{path} does not fit the {name} part of {model.config.preset} ({reason}); pretrain it again."
            ) from error
        if broken := [key for key, value in weights.items() if not value.isfinite().all()]:
            raise DataError(f"{path} has weights that are not finite in {broken[0]}; pretrain it again.")
