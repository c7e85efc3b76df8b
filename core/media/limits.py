"""How much of a file the guarded reader is willing to take: one place, told in every refusal."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds that are checked before anything is decoded, or while packets are counted.

    Attributes:
        max_bytes: of the file.
        max_file_seconds: of the whole file, so that a span of a film can be read.
        max_span_seconds: of the part that is decoded.
        max_pixels: of one picture as stored.
        max_streams: in the container.
        max_channels: of the sound.
        max_sample_rate: of the sound, in Hz.
        max_packets: in the file; a frame is at least one packet.
        max_text_bytes: of what a WAV or AVI tells of its title and origin.
        max_side: longer pictures are shrunk to this many pixels on their longer side when decoded, so that
            32 frames stay under 120 MB.
        max_work_seconds: that opening or decoding a file from a stranger may take, by the clock; see
            `core.media.apart`.
        max_work_bytes: of address space that it may take.
        allow_symlinks: whether a path may be a symbolic link (data sets kept by git-annex or DVC are).
    """

    max_bytes: int = 2048 * MIB
    max_file_seconds: float = 4 * 3600.0
    max_span_seconds: float = 15 * 60.0
    max_pixels: int = 8192 * 4320
    max_streams: int = 32
    max_channels: int = 16
    max_sample_rate: int = 384_000
    max_packets: int = 2_000_000
    max_text_bytes: int = 16 * MIB
    max_side: int = 1280
    max_work_seconds: float = 300.0
    max_work_bytes: int = 3 * GIB
    allow_symlinks: bool = False


DEFAULT_LIMITS = Limits()

MAX_PICTURE_PIXELS = 2048 * 2048
"""Of a labelled picture of a data set; those of FER2013 have 48 × 48."""

MAX_PICTURES_BYTES = 4 * GIB
"""Of all pictures of a data set, decoded; FER2013 takes 0.08 GiB."""
