"""Speech to text, offline: faster-whisper with the tiny.en weights that an installed package carries.

Whisper pads every sound to 30 s, and on a processor nearly all time goes into encoding that padding. Here the
encoder sees only the speech and four seconds beyond: a third of the time for the same words. Less than that
makes it repeat itself.
"""

from __future__ import annotations

import threading

import numpy as np

from core.media.clip import SAMPLE_RATE, MediaError, Transcript, Word
from core.media.languages import ENGLISH, LANGUAGES
from core.media.speech_models import SHIPPED_SPEECH, SOURCE, Speech, english_only, load

SURE = 0.7
"""Mean probability of the words below which they are doubted. With tiny.en, English sample clips have 0.9 and
more, 0.73 and more where noise is laid over them; Spanish, German and French sentences, spoken by the voice
of the sample clips, 0.29 to 0.68."""

_FRAMES_PER_SECOND = 100
_PADDING_FRAMES = 4 * _FRAMES_PER_SECOND

_MAX_COMPRESSION_RATIO = 2.4
"""Text that zips better than this repeats itself (Whisper's own bound)."""

_lock = threading.Lock()


def transcribe(
    waveform: np.ndarray,
    *,
    speech: Speech = SHIPPED_SPEECH,
    start_seconds: float = 0.0,
    model=None,
) -> Transcript:
    """Writes down what is said; silence, noise and music give an empty transcript.

    Args:
        waveform: `(sample,)` mono float in [−1, 1] at 16 kHz.
        speech: which model listens, and in which language.
        start_seconds: when sample 0 is heard on the media file's clock; word times count from there.
        model: a `faster_whisper.WhisperModel` that is loaded, in place of the one that `speech` names.

    Raises:
        MediaError: the model is not at hand, or does not know the language.
    """
    if model is None:
        # outside the lock: fetching a model takes minutes
        model = load(speech.model)
    with _lock:
        known = model.supported_languages
        if speech.language and speech.language not in known:
            raise MediaError(english_only(speech))
        language = speech.language or (known[0] if len(known) == 1 else None)
        segments, info = _listen(model, waveform, language, padding_frames=_PADDING_FRAMES)
        if _is_repeating(segments):
            segments, info = _listen(model, waveform, language, padding_frames=None)
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
    return Transcript(
        text=" ".join(segment.text.strip() for segment in segments).strip(),
        words=words,
        source=SOURCE,
        recogniser=speech.model_name,
        language=language or info.language,
        doubt=_doubt(words, speech, is_english_only=len(known) == 1, is_repeating=_is_repeating(segments)),
    )


def foreign_sentence(transcript: Transcript) -> str:
    """That the text encoder reads English and the words are not; "" where they are, or that is not known."""
    if transcript.language in ("", ENGLISH):
        return ""
    return (
        f"The words are {LANGUAGES.get(transcript.language, transcript.language)}, but the text encoder "
        "reads English: what the words give to the answer means little."
    )


def _doubt(words: tuple[Word, ...], speech: Speech, *, is_english_only: bool, is_repeating: bool) -> str:
    """Why the words may be wrong; "" where nothing speaks against them."""
    if not words:
        return ""
    if is_repeating:
        why = "The words repeat themselves, as happens where the speech is not understood"
    else:
        sureness = sum(word.probability for word in words) / len(words)
        if sureness >= SURE:
            return ""
        why = f"The words were recognised with little certainty ({100 * sureness:.0f} %)"
    if is_english_only:
        return (
            f"{why}: {speech.model_name} knows English only, and this may be another language, or noise; "
            "type the words, or name a larger Whisper model."
        )
    return f"{why}: check them, and type what is wrong."


def _is_repeating(segments: list) -> bool:
    return any(segment.compression_ratio > _MAX_COMPRESSION_RATIO for segment in segments)


def _listen(model, waveform: np.ndarray, language: str | None, *, padding_frames: int | None) -> tuple:
    """Segments, and what the model says of the language."""
    model.padding_frames = padding_frames
    segments, info = model.transcribe(
        np.ascontiguousarray(waveform, dtype=np.float32),
        language=language,
        beam_size=5,
        temperature=0.0,
        condition_on_previous_text=False,
        word_timestamps=True,
        # without it Whisper hears words in silence, noise and tones
        vad_filter=True,
    )
    return list(segments), info
