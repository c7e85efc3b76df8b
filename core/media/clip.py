"""A clip and what is read from it: plain frozen results, no decoding here (see `core.media.reader`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.sentences import SentenceError

MEDIA_SUFFIXES = (
    ".mp4", ".mkv", ".mov", ".webm", ".avi", ".flv", ".mpg", ".mpeg", ".ts",
    ".wav", ".flac", ".ogg", ".mp3", ".m4a",
)  # fmt: skip
"""Of files that may be clips, those with a picture first; the guarded reader decides what is really read."""

SAMPLE_RATE = 16_000
"""Sample rate of every waveform in the project, in Hz."""


class MediaError(SentenceError):
    """A file that cannot be used, told in one sentence: which file, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """One spoken word and when it is spoken, on the media file's clock."""

    text: str
    start_seconds: float
    end_seconds: float
    probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The words of a clip.

    Attributes:
        words: with times, where they are known; empty otherwise.
        source: "given" (manifest, user) or "speech-to-text".
        recogniser: name of the model that recognised them, "" where none did.
        language: code of what was recognised, "" where that is not known.
        doubt: why what was recognised may be wrong, in a sentence; "" where nothing speaks against it.
    """

    text: str
    words: tuple[Word, ...] = ()
    source: str = "given"
    recogniser: str = ""
    language: str = ""
    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """What a media file says of itself; zero or None where a stream is absent.

    `width` and `height` are as shown, after rotation; `pixel_format` is FFmpeg's name, such as "yuv420p".
    """

    container: str
    num_bytes: int
    duration_seconds: float
    has_video: bool
    has_audio: bool
    width: int = 0
    height: int = 0
    rotation_degrees: int = 0
    num_frames: int = 0
    video_codec: str | None = None
    pixel_format: str | None = None
    audio_codec: str | None = None
    sample_rate: int = 0
    num_channels: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Decoded pictures.

    Attributes:
        pixels: `(frame, height, width, rgb)` uint8, upright, in square pixels; smaller than the file's own
            pictures where those are longer than `Limits.max_side`.
        times_seconds: `(frame,)` presentation times on the media file's clock (what a player shows),
            ascending.
    """

    pixels: np.ndarray
    times_seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.times_seconds)


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedMedia:
    """The frames and sound of a span, decoded in one pass.

    Attributes:
        frames: None where the clip has no (decodable) video.
        waveform: `(sample,)` mono float32 in [−1, 1] at `SAMPLE_RATE`; None where there is no sound.
        notes: sentences on what was missing or repaired.
    """

    frames: Frames | None
    waveform: np.ndarray | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A media file, or a span `[start_seconds, end_seconds)` of it, that passed the guarded reader's checks.

    Make one with `core.media.open_clip`; read it with `core.media.decode`.

    Attributes:
        is_apart: whether it is a stranger's, to be decoded in a process of its own.
    """

    path: Path
    sha256: str
    info: MediaInfo
    start_seconds: float
    end_seconds: float
    transcript: Transcript | None = None
    is_apart: bool = False

    @property
    def duration_seconds(self) -> float:
        """Length of the span."""
        return self.end_seconds - self.start_seconds

    def with_transcript(self, transcript: Transcript | None) -> Clip:
        """The same clip with other words."""
        return replace(self, transcript=transcript)
