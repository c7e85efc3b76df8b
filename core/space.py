"""How the embedding space took shape: where a fixed set of clips lay after each epoch of training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from core.labels import MODALITIES
from core.tensors import open_tensors

SPACES = (*MODALITIES, "fused")
"""The three projections, and the classifier's last hidden layer."""

_HEADER = "clips"


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """Embeddings of the same clips over a training.

    Attributes:
        keys: of the clips.
        labels: their true emotions.
        epochs: `(moment,)`; −1 is before the first epoch.
        embeddings: by name of `SPACES`, `(moment, clip, width)` float16; not a number where a clip lacks the
            modality.
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    epochs: np.ndarray
    embeddings: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        expected = len(self.epochs), len(self.keys)
        if len(self.labels) != len(self.keys) or set(self.embeddings) != set(SPACES):
            raise ValueError(f"a space has a label for each clip and embeddings of {', '.join(SPACES)}")
        for name, values in self.embeddings.items():
            if values.ndim != 3 or values.shape[:2] != expected:
                raise ValueError(f"{name} should be {expected} × width, not {values.shape}")

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        tensors = {"epochs": self.epochs.astype(np.int32)}
        tensors |= {name: np.ascontiguousarray(value, np.float16) for name, value in self.embeddings.items()}
        clips = {"keys": list(self.keys), "labels": list(self.labels)}
        return save(tensors, metadata={_HEADER: json.dumps(clips)})


def read_space(path: str | Path) -> Space:
    """A file of `Space.to_bytes`.

    Raises:
        ValueError: if it is none; the sentence names it.
    """
    try:
        with open_tensors(path, "np") as file:
            clips = json.loads((file.metadata() or {})[_HEADER])
            return Space(
                keys=tuple(clips["keys"]),
                labels=tuple(clips["labels"]),
                epochs=file.get_tensor("epochs"),
                embeddings={name: file.get_tensor(name) for name in SPACES},
            )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} holds no embeddings of a training ({error}); train the model again"
        ) from error
