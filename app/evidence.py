"""What the page shows of a clip beside the prediction: small pictures, loudness and words.

Made once per clip from the decoded media, which are large, so that they need not be kept.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.media.clip import Transcript

NUM_PEAKS = 600
THUMBNAIL_SIDE = 88


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
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


def make_evidence(
    crops: np.ndarray | None, waveform: np.ndarray | None, transcript: Transcript | None
) -> Evidence:
    """Encodes what the page needs.

    Args:
        crops: `(frame, height, width, rgb)` uint8, None without a picture.
        waveform: `(sample,)` in [−1, 1], None without sound.
        transcript: given or recognised words.
    """
    crops = () if crops is None else crops
    return Evidence(
        pictures=tuple(picture_uri(crop) for crop in crops),
        thumbnails=tuple(picture_uri(crop, side=THUMBNAIL_SIDE) for crop in crops),
        peaks=None if waveform is None else loudness(waveform, NUM_PEAKS),
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
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def loudness(waveform: np.ndarray, num_columns: int) -> np.ndarray:
    """`(column,)` peak amplitude of equal parts of a waveform, scaled so that the loudest is 1.

    Silence (nothing above −60 dB) stays near zero instead of being blown up.
    """
    if len(waveform) == 0:
        return np.zeros(num_columns)
    edges = np.linspace(0, len(waveform), num_columns + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(np.abs(waveform), np.minimum(edges, len(waveform) - 1))
    return peaks / max(float(peaks.max()), 1e-3)
