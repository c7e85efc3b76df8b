"""What a voice does, measured from the sound alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from sample_data.corpus.checking.pitch import STEP_SECONDS, PitchTrack, track_pitch

SEMITONES = 12.0
_LEVEL_WINDOW_SECONDS = 0.025
_SPEECH_BAND_HZ = (200.0, 4000.0)
_SPEECH_ABOVE_NOISE_DB, _SPEECH_BELOW_PEAK_DB = 12.0, 30.0
_NUCLEUS_DIP_DB = 2.0
_NUCLEUS_BELOW_PEAK_DB = 25.0
_TILT_BANDS_HZ = ((100.0, 1000.0), (1000.0, 4000.0))
_MIN_VOICED_SECONDS = 0.15
_QUIET_DB = -120.0


@dataclass(frozen=True, kw_only=True)
class VoiceMeasures:
    """A voice in numbers; not a number where there is too little of it.

    Attributes:
        f0: median pitch in Hz.
        f0_semitones: the same in semitones over 100 Hz.
        range: between the 10th and the 90th percentile of pitch, in semitones.
        final: pitch of the last 0.25 s that have one over the median, in semitones.
        level: root mean square in dB while the voice has a pitch.
        tilt: level from 1 to 4 kHz over that from 0.1 to 1 kHz while the voice has a pitch, in dB.
        rate: syllable nuclei per second from the first to the last sound of speech.
        voiced: share of that time in which the voice has a pitch.
        start / end: first and last sound of speech, in seconds.
    """

    f0: float
    f0_semitones: float
    range: float
    final: float
    level: float
    tilt: float
    rate: float
    voiced: float
    start: float
    end: float


NO_VOICE = VoiceMeasures(**dict.fromkeys(VoiceMeasures.__dataclass_fields__, float("nan")))


@dataclass(frozen=True, kw_only=True, eq=False)
class VoiceTrack:
    """The course of a voice, every `STEP_SECONDS`.

    Attributes:
        pitch: of the voice.
        level_db: `(step,)` of the whole sound.
        speech_db: `(step,)` of the band in which speech is heard.
        low_db / high_db: `(step,)` of the bands whose difference is the tilt.
    """

    pitch: PitchTrack
    level_db: np.ndarray
    speech_db: np.ndarray
    low_db: np.ndarray
    high_db: np.ndarray


def track_voice(waveform: np.ndarray, sample_rate: int) -> VoiceTrack:
    """Pitch and levels of a sound `(sample,)`."""
    pitch = track_pitch(waveform, sample_rate)

    def level(sound: np.ndarray) -> np.ndarray:
        return level_at(sound, sample_rate, pitch.times_seconds, _LEVEL_WINDOW_SECONDS)

    return VoiceTrack(
        pitch=pitch,
        level_db=level(waveform),
        speech_db=level(band(waveform, sample_rate, *_SPEECH_BAND_HZ)),
        low_db=level(band(waveform, sample_rate, *_TILT_BANDS_HZ[0])),
        high_db=level(band(waveform, sample_rate, *_TILT_BANDS_HZ[1])),
    )


def measure_voice(
    track: VoiceTrack, start_seconds: float = 0.0, end_seconds: float = np.inf
) -> VoiceMeasures:
    """What the voice does between two times; by default in the whole sound."""
    times = track.pitch.times_seconds
    inside = (times >= start_seconds) & (times < end_seconds)
    is_voiced = track.pitch.is_voiced & inside
    if is_voiced.sum() * STEP_SECONDS < _MIN_VOICED_SECONDS:
        return NO_VOICE
    semitones = SEMITONES * np.log2(track.pitch.hertz[is_voiced] / 100.0)
    low, median, high = np.percentile(semitones, [10, 50, 90])
    is_speech = _speech(track) & inside
    where = np.flatnonzero(is_speech)
    spoken = (where[-1] - where[0] + 1) * STEP_SECONDS if len(where) else float("nan")
    last = semitones[-round(0.25 / STEP_SECONDS) :]
    return VoiceMeasures(
        f0=100.0 * 2 ** (median / SEMITONES),
        f0_semitones=median,
        range=high - low,
        final=float(np.median(last) - median),
        level=_mean_db(track.level_db[is_voiced]),
        tilt=_mean_db(track.high_db[is_voiced]) - _mean_db(track.low_db[is_voiced]),
        rate=len(_nuclei(track, inside)) / spoken,
        voiced=is_voiced.sum() * STEP_SECONDS / spoken,
        start=float(times[where[0]]) if len(where) else float("nan"),
        end=float(times[where[-1]]) if len(where) else float("nan"),
    )


def as_row(measures: VoiceMeasures, prefix: str) -> dict[str, float]:
    """The numbers under names that begin with a prefix."""
    return {f"{prefix}{name}": float(value) for name, value in asdict(measures).items()}


def band(waveform: np.ndarray, sample_rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """The sound between two frequencies, without delay."""
    sections = butter(4, [low_hz, min(high_hz, 0.49 * sample_rate)], "bandpass", fs=sample_rate, output="sos")
    sound = np.asarray(waveform, float)
    return sosfiltfilt(sections, sound, padlen=min(200, len(sound) - 1))


def level_at(waveform: np.ndarray, sample_rate: int, times_seconds: np.ndarray, window_seconds: float):
    """`(time,)` level in dB of full scale, over a window around each time."""
    power = np.concatenate([[0.0], np.cumsum(np.asarray(waveform, float) ** 2)])
    half = window_seconds / 2
    begin = np.clip(np.round((times_seconds - half) * sample_rate).astype(int), 0, len(waveform))
    end = np.clip(np.round((times_seconds + half) * sample_rate).astype(int), 0, len(waveform))
    mean = (power[end] - power[begin]) / np.maximum(1, end - begin)
    return 10 * np.log10(np.maximum(mean, 10 ** (_QUIET_DB / 10)))


def _mean_db(levels_db: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels_db / 10))))


def _speech(track: VoiceTrack) -> np.ndarray:
    """`(step,)` where the sound is clearly over the room's noise and not far below its loudest."""
    noise, loudest = np.percentile(track.speech_db, [5, 98])
    return track.speech_db > max(noise + _SPEECH_ABOVE_NOISE_DB, loudest - _SPEECH_BELOW_PEAK_DB)


def _nuclei(track: VoiceTrack, inside: np.ndarray) -> np.ndarray:
    """Steps of syllable nuclei: voiced peaks of intensity with dips between them.

    After de Jong & Wempe (2009), "Praat script to detect syllable nuclei and measure speech rate
    automatically", Behav. Res. Methods 41(2).
    """
    kernel = np.hanning(9)[1:-1]
    smooth = np.convolve(np.pad(track.speech_db, 3, mode="edge"), kernel / kernel.sum(), "valid")
    floor = np.percentile(smooth, 98) - _NUCLEUS_BELOW_PEAK_DB
    peaks, _ = find_peaks(smooth, height=floor, prominence=_NUCLEUS_DIP_DB)
    return peaks[track.pitch.is_voiced[peaks] & inside[peaks]]
