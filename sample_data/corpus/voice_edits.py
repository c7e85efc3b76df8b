"""The numeric edits that turn a neutral voice into an emotional one, inside a window of time or throughout.

Unusual here: every edit takes `share`, how emotional the voice is at each moment (0 neutral … 1 as drawn),
and the settings of the neutral and of the emotional voice. A setting at one moment is their mixture by
`share`, so outside a window the voice is exactly the speaker's neutral one.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import fftconvolve, firwin2, lfilter

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.prosody import Prosody

SAMPLE_RATE = 24_000

RAMP_SECONDS = 0.1
"""How long the voice takes to become emotional at a window's edge, and to calm down again."""

NEUTRAL_LEVEL_DB = -24.0
"""Root mean square of the sounding part, against full scale."""

LOWEST_F0_HZ, HIGHEST_F0_HZ = 55.0, 620.0

_VOICED_ABOVE_HZ = 45.0
_FINAL_SHARE = 0.32
"""Part of the voiced frames, at the end, over which pitch is bent."""
_RISE_WITHOUT_FALL = 4.0
"""Semitones: an end that rises by so much loses the fall that the model gave it."""
_FALL_IS_GONE_BY = 0.4
"""Part of the bent end after which that fall is gone, so that what follows is heard to rise."""
_BEND_POWER = 1.5
_ARCH_DEPTH = 0.2
_TILT_TAPS = 257
_TILT_HZ = (0, 200, 500, 1000, 2000, 4000, 8000, SAMPLE_RATE / 2)
_TILT_LIMITS_DB = (-12.0, 9.0)
_MURMUR_HZ = (0, 300, 500, 800, 1500, 3000, SAMPLE_RATE / 2)
_MURMUR_DB = (0, 0, -8, -20, -32, -42, -50)
"""What is left of a voice behind closed lips: the nasal murmur around 250 Hz and little above it."""


def emotional_share(
    times_seconds: np.ndarray, spoken: tuple[float, float], window: tuple[float, float] | None
) -> np.ndarray:
    """How emotional the voice is at each time.

    Args:
        times_seconds: `(time,)`.
        spoken: first and last sound, seconds.
        window: seconds in which alone the voice is emotional; None for all the time, as a gentle arch.
    """
    if window is None:
        along = (times_seconds - spoken[0]) / max(spoken[1] - spoken[0], 1e-6)
        return 1.0 - _ARCH_DEPTH * np.clip(2.0 * along - 1.0, -1.0, 1.0) ** 2
    half = RAMP_SECONDS / 2
    rise = smooth_step(times_seconds, window[0] - half, window[0] + half)
    return rise * (1.0 - smooth_step(times_seconds, window[1] - half, window[1] + half))


def mixed(share: np.ndarray, neutral: float, emotional: float) -> np.ndarray:
    """A setting over time."""
    return neutral + share * (emotional - neutral)


def window_before_rate(
    window: tuple[float, float], spoken_seconds: float, rate_ratio: float
) -> tuple[float, float]:
    """Where a window lies before speech inside it is sped up, so that it lies at `window` afterwards.

    Args:
        window: begin and end as shares of the spoken time afterwards.
        spoken_seconds: the spoken time before.
        rate_ratio: speed inside the window over the speed outside.

    Returns:
        Begin and end in seconds from the first sound, before.
    """
    width = window[1] - window[0]
    spoken_afterwards = spoken_seconds / (1.0 - width * (1.0 - rate_ratio))
    start = window[0] * spoken_afterwards
    return start, start + width * spoken_afterwards * rate_ratio


def edit_f0(
    f0: np.ndarray,
    times_seconds: np.ndarray,
    share: np.ndarray,
    neutral: Prosody,
    emotional: Prosody,
    formant: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """`(time,)` F0 in Hz with another median, range and ending, and with tremor and jitter; unvoiced is kept.

    The waveform will be played faster by the ratio `formant`, so pitch is lowered by it beforehand.
    """
    phase = generator.uniform(0.0, 2 * np.pi)
    irregular = generator.standard_normal(len(f0))
    voiced = np.flatnonzero(f0 > _VOICED_ABOVE_HZ)
    if len(voiced) < 5:
        return f0.astype(np.float32)
    log_f0 = np.log(np.where(f0 > _VOICED_ABOVE_HZ, f0, 1.0))
    median = np.median(log_f0[voiced])
    edited = median + np.log(mixed(share, neutral.f0_ratio, emotional.f0_ratio) / formant)
    own = (log_f0 - median) * mixed(share, neutral.range_ratio, emotional.range_ratio)
    octave = np.log(2.0) / 12
    bend = _along_end(times_seconds, voiced) ** _BEND_POWER
    edited += octave * neutral.final_semitones * (1 - share) * bend
    inside = voiced[share[voiced] > 0.5]
    if len(inside) > 4:
        along = _along_end(times_seconds, inside)
        held = np.minimum(share / (1.0 - _ARCH_DEPTH), 1.0)
        # a statement's own fall, widened, would swallow the rise
        release = held * smooth_step(along, 0.0, _FALL_IS_GONE_BY)
        own *= 1.0 - release * np.clip(emotional.final_semitones / _RISE_WITHOUT_FALL, 0.0, 1.0)
        edited += octave * emotional.final_semitones * held * along**_BEND_POWER
    edited += own
    wave = np.sin(2 * np.pi * emotional.tremor_hz * times_seconds + phase)
    edited += mixed(share, neutral.tremor, emotional.tremor) * wave
    edited += mixed(share, neutral.jitter, emotional.jitter) * irregular
    f0_limited = np.clip(np.exp(edited), LOWEST_F0_HZ / formant, HIGHEST_F0_HZ / formant)
    return np.where(f0 > _VOICED_ABOVE_HZ, f0_limited, f0).astype(np.float32)


def edit_energy(
    energy: np.ndarray, f0: np.ndarray, share: np.ndarray, neutral: Prosody, emotional: Prosody
) -> np.ndarray:
    """`(time,)` the model's energy curve with more or less vocal effort in voiced sounds."""
    effort = mixed(share, neutral.energy, emotional.energy)
    return np.where(f0 > _VOICED_ABOVE_HZ, energy + effort, energy).astype(np.float32)


def change_formants(waveform: np.ndarray, formant: float) -> np.ndarray:
    """Played faster by the ratio `formant`: resonances, pitch and rate all rise by it."""
    if abs(formant - 1.0) < 1e-3:
        return waveform
    times = np.arange(int(len(waveform) / formant)) * formant
    return CubicSpline(np.arange(len(waveform)), waveform)(times).astype(np.float32)


def close_lips(waveform: np.ndarray) -> np.ndarray:
    """`(sample,)` as heard through the nose: what would tell one vowel from another is gone."""
    gains = 10 ** (np.array(_MURMUR_DB) / 20)
    taps = firwin2(_TILT_TAPS, np.array(_MURMUR_HZ) / (SAMPLE_RATE / 2), gains)
    return fftconvolve(waveform, taps, "same")


def colour(
    waveform: np.ndarray,
    share: np.ndarray,
    neutral: Prosody,
    emotional: Prosody,
    generator: np.random.Generator,
) -> np.ndarray:
    """`(sample,)` with the settings' tilt, breath and level; `share` is given per sample too."""
    noise = lfilter([1.0, -0.9], [1.0], generator.standard_normal(len(waveform)))
    waveform = waveform * (10 ** (NEUTRAL_LEVEL_DB / 20) / _root_mean_square(waveform))
    calm = _tilted(waveform, neutral.tilt_db_per_octave)
    moved = _tilted(waveform, emotional.tilt_db_per_octave)
    waveform = calm + share * (moved - calm)
    breath = mixed(share, neutral.breath, emotional.breath)
    envelope = np.sqrt(np.maximum(lfilter([0.004], [1.0, -0.996], waveform**2), 0.0))
    waveform = waveform + breath * envelope * noise
    waveform = waveform * 10 ** (mixed(share, neutral.level_db, emotional.level_db) / 20)
    # a loud voice meets a soft limit
    return (np.tanh(waveform * 1.1) / 1.1).astype(np.float32)


def _tilted(waveform: np.ndarray, slope_db: float) -> np.ndarray:
    """As loud as before."""
    frequencies = np.array(_TILT_HZ, float)
    gain_db = np.clip(slope_db * np.log2(np.maximum(frequencies, 250.0) / 1000.0), *_TILT_LIMITS_DB)
    taps = firwin2(_TILT_TAPS, frequencies / (SAMPLE_RATE / 2), 10 ** (gain_db / 20))
    tilted = fftconvolve(waveform, taps, "same")
    return tilted * (_root_mean_square(waveform) / _root_mean_square(tilted))


def _root_mean_square(waveform: np.ndarray) -> float:
    """Of what sounds."""
    loudest = np.percentile(np.abs(waveform), 99.5)
    sounding = waveform[np.abs(waveform) > 0.05 * loudest]
    return float(np.sqrt(np.mean(sounding.astype(np.float64) ** 2))) + 1e-9


def _along_end(times_seconds: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """0 until the bent end of these frames begins … 1 at their last."""
    start = times_seconds[frames[int((1 - _FINAL_SHARE) * (len(frames) - 1))]]
    end = times_seconds[frames[-1]]
    return np.clip((times_seconds - start) / max(0.15, end - start), 0.0, 1.0)
