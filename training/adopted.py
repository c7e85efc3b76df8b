"""Features that others made: the authors' frames and vectors, as `deepmsi data convert` wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from core.config import ModelConfig
from core.media.faces import crop
from training.datasets.utterance import DataError

SUFFIX = ".safetensors"


def read_adopted(path: Path, config: ModelConfig) -> dict[str, np.ndarray]:
    """Frames and vectors of one utterance, as a model of this configuration reads them.

    Returns:
        crops: `(frame, size, size, rgb)` uint8.
        text / audio: `(width,)`.

    Raises:
        DataError: if the file is damaged, or its vectors are not those of the configuration's backbones.
    """
    try:
        with safe_open(path, framework="np") as file:
            values = {name: file.get_tensor(name) for name in ("frames", "text", "audio")}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} holds no converted features ({error}); convert them again.") from error
    is_one_vector = config.audio.pooling == "mean" and not config.audio.num_trained_layers
    wanted = {"text": config.text.width, "audio": config.audio.feature_width if is_one_vector else 0}
    for name, width in wanted.items():
        if values[name].shape != (width,) or (name == "text" and config.text.num_trained_layers):
            raise DataError(
                f"{path}: its {name} vector has {values[name].shape[-1]} numbers, which is not what the "
                f"preset {config.preset} reads; take the preset paper, with frozen text and audio encoders."
            )
    frames = values.pop("frames")
    height, width = frames.shape[1:3]
    boxes = np.tile([0.0, 0.0, width, height], (len(frames), 1))
    return {"crops": crop(frames, boxes, config.video.image_size), **values}
