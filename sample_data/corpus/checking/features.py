"""What simple classifiers learn from: one vector per clip and modality, nothing in it trained here."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from core.config import AudioConfig, TextConfig
from core.media.clip import DecodedMedia, Frames
from core.media.faces import crop
from sample_data.corpus.checking.courses import face_detector
from sample_data.corpus.checking.picture import gradient_histograms, luminance
from sample_data.corpus.schema import Sidecar, apex_frame

MODEL_NAMES = {
    "video": "gradient histograms of the face at its apex",
    "audio": "Whisper tiny.en, mean and deviation over time of its layers",
    "text": "all-MiniLM-L6-v2, mean over the words",
}
_SIDE = 64
_CROP_MARGIN = 1.15


def clip_features(media: DecodedMedia, sidecar: Sidecar) -> dict[str, Any]:
    """Vectors as bytes of float16, by `<modality>_features`; a modality that the clip lacks has none."""
    features = {}
    if media.frames is not None and sidecar.face is not None:
        features["video_features"] = _face_features(media.frames, sidecar)
    if media.waveform is not None:
        features["audio_features"] = _audio_encoder().encode([media.waveform])[0, 1:].flatten().numpy()
    if sidecar.transcript:
        features["text_features"] = _text_encoder().encode([sidecar.transcript])[0].numpy()
    return {name: vector.astype(np.float16).tobytes() for name, vector in features.items()}


def unpack(content: bytes | None) -> np.ndarray | None:
    """The vector `(dim,)` of a row."""
    return None if content is None else np.frombuffer(content, np.float16).astype(np.float32)


def _face_features(frames: Frames, sidecar: Sidecar) -> np.ndarray:
    """Of the face as the detector finds it, in the frame in which it shows most; else of all the picture."""
    at = apex_frame(sidecar) / sidecar.frames_per_second
    picture = frames.pixels[np.abs(frames.times_seconds - at).argmin()][None]
    boxes = face_detector().detect(picture)[0].boxes
    height, width = picture.shape[1:3]
    left, top, right, bottom = boxes[0] if len(boxes) else (0.0, 0.0, width, height)
    center, half = (
        ((left + right) / 2, (top + bottom) / 2),
        _CROP_MARGIN * max(right - left, bottom - top) / 2,
    )
    box = np.array([[center[0] - half, center[1] - half, center[0] + half, center[1] + half]])
    return gradient_histograms(luminance(crop(picture, box, _SIDE))[0])


@cache
def _audio_encoder():
    from core.encoders.audio import AudioEncoder

    return AudioEncoder(AudioConfig(backbone="openai/whisper-tiny.en", width=384, pooling="layer-statistics"))


@cache
def _text_encoder():
    from core.encoders.text import TextEncoder

    return TextEncoder(
        TextConfig(backbone="sentence-transformers/all-MiniLM-L6-v2", width=384, pooling="mean")
    )
