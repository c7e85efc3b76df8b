"""Features that others made: the authors' frames and vectors, as `deepmsi data convert` wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from core.config import ModelConfig
from core.media.faces import crop
from core.tensors import open_tensors
from training.datasets.utterance import DataError

SUFFIX = ".safetensors"


def require_fit(path: Path, config: ModelConfig) -> None:
    """Check that a model of this configuration can read a file's vectors.

    Raises:
        DataError: if the file is damaged, or its vectors are not those of the configuration's backbones.
    """
    try:
        with open_tensors(path, "np") as file:
            widths = {name: tuple(file.get_slice(name).get_shape()) for name in ("text", "audio")}
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{path} holds no converted features ({error}); convert them again.") from error
    is_one_vector = config.audio.pooling == "mean" and not config.audio.num_trained_layers
    wanted = {"text": config.text.width, "audio": config.audio.feature_width if is_one_vector else 0}
    for name, width in wanted.items():
        if widths[name] != (width,) or (name == "text" and config.text.num_trained_layers):
            raise DataError(
                f"{path}: its {name} vector has {widths[name][-1]} numbers, which is not what the "
                f"preset {config.preset} reads; take the preset paper, with frozen text and audio encoders."
            )


def read_adopted(path: Path, size: int) -> dict[str, np.ndarray]:
    """Frames and vectors of one utterance.

    Args:
        path: a file that `require_fit` let pass.
        size: side of the crops in pixels.

    Returns:
        crops: `(frame, size, size, rgb)` uint8.
        text / audio: `(width,)`.
    """
    with open_tensors(path, "np") as file:
        values = {name: file.get_tensor(name) for name in ("frames", "text", "audio")}
    frames = values.pop("frames")
    height, width = frames.shape[1:3]
    boxes = np.tile([0.0, 0.0, width, height], (len(frames), 1))
    return {"crops": crop(frames, boxes, size), **values}
