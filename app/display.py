"""What the page shows of a clip beside the prediction: small pictures, loudness and words.

Made once per clip from the decoded media, which are large, so that they need not be kept.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.media.clip import SAMPLE_RATE, Transcript

NUM_PEAKS = 600
THUMBNAIL_SIDE = 88


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipDisplay:
    """Pictures and sound of one clip, ready for the browser.

    Attributes:
        pictures: data URI per candidate frame of the crop the model saw.
        thumbnails: the same, small.
        peaks: `(column,)` loudness over the span in [0, 1], None without sound.
        transcript: as given or recognised; None where the clip has no words.
    """

    pictures: tuple[str, ...]
    thumbnails: tuple[str, ...]
    peaks: np.ndarray | None
    transcript: Transcript | None


def display_clip(
    crops: np.ndarray | None,
    waveform: np.ndarray | None,
    transcript: Transcript | None,
    duration_seconds: float,
) -> ClipDisplay:
    """Encodes what the page needs.

    Args:
        crops: `(frame, height, width, rgb)` uint8, None without a picture.
        waveform: `(sample,)` in [−1, 1], None without sound.
        transcript: given or recognised words.
        duration_seconds: of the span; the sound may end before it.
    """
    crops = () if crops is None else crops
    return ClipDisplay(
        pictures=tuple(picture_uri(crop) for crop in crops),
        thumbnails=tuple(picture_uri(crop, side=THUMBNAIL_SIDE) for crop in crops),
        peaks=None if waveform is None else loudness(waveform, duration_seconds, NUM_PEAKS),
        transcript=transcript,
    )


def picture_uri(pixels: np.ndarray, *, side: int | None = None) -> str:
    """`(height, width, rgb)` uint8 as a JPEG data URI, shrunk so that its shorter side has `side` pixels."""
    image = Image.fromarray(pixels)
    if side is not None and min(image.size) > side:
        scale = side / min(image.size)
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
        )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return jpeg_uri(buffer.getvalue())


def jpeg_uri(content: bytes) -> str:
    """The bytes of a JPEG file as a data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def loudness(waveform: np.ndarray, duration_seconds: float, num_columns: int) -> np.ndarray:
    """`(column,)` peak amplitude in equal parts of the span, scaled so that the loudest is 1.

    Near silence (nothing above −60 dB) stays near zero instead of being blown up.
    """
    num_samples = max(round(duration_seconds * SAMPLE_RATE), 1)
    edges = np.linspace(0, num_samples, num_columns + 1).astype(int)
    peaks = np.array(
        [
            np.abs(waveform[start : max(stop, start + 1)]).max(initial=0.0)
            for start, stop in zip(edges[:-1], edges[1:], strict=True)
        ]
    )
    return peaks / max(float(peaks.max()), 1e-3)
