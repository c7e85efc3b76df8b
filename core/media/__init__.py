"""Clips: the guarded door, decoding, the speaker's face, speech to text."""

from core.media.clip import (
    SAMPLE_RATE,
    Clip,
    DecodedMedia,
    Frames,
    MediaError,
    MediaInfo,
    Transcript,
    Word,
)
from core.media.reader import decode, open_clip

__all__ = [
    "SAMPLE_RATE",
    "Clip",
    "DecodedMedia",
    "Frames",
    "MediaError",
    "MediaInfo",
    "Transcript",
    "Word",
    "decode",
    "open_clip",
]
