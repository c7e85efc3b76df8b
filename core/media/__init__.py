"""Clips: the guarded door, decoding, the speaker's face, speech to text.

`open_clip` and `decode` are loaded when first asked for, so that training on cached features runs where
PyAV is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.media.clip import (
    MEDIA_SUFFIXES,
    SAMPLE_RATE,
    Clip,
    DecodedMedia,
    Frames,
    MediaError,
    MediaInfo,
    Transcript,
    Word,
)

if TYPE_CHECKING:
    from core.media.reader import decode, open_clip

__all__ = [
    "MEDIA_SUFFIXES",
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


def __getattr__(name: str):
    if name in ("decode", "open_clip"):
        from core.media import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
