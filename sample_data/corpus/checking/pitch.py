"""Fundamental frequency of a voice, from the sound alone.

Candidates of every frame are peaks of the normalised cross-correlation, as in RAPT ("A robust algorithm for
pitch tracking", in Kleijn & Paliwal, Speech Coding and Synthesis, 1995, chapter 14). The path through them,
voiced or not, is the cheapest one, with the costs of Boersma (1993, "Accurate short-term analysis of the
fundamental frequency", Proc. Inst. Phon. Sci. 17): octave jumps are dear, so a frame whose best peak lies an
octave off follows its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import decimate

MIN_HZ, MAX_HZ = 60.0, 600.0
STEP_SECONDS = 0.01

_FACTOR = 2
"""The sound is halved in rate first: no harmonic that tells the pitch lies above 4 kHz."""

_WINDOW_SECONDS = 0.025
_USUAL_PERIOD_SECONDS = 0.005
_NUM_CANDIDATES = 6
_VOICING_THRESHOLD = 0.45
_SILENCE_THRESHOLD = 0.03
_OCTAVE_COST = 0.02
_JUMP_COST = 0.35
_CHANGE_COST = 0.14
"""Boersma's names and values: costs per octave, and of becoming voiced or unvoiced, for steps of 10 ms."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PitchTrack:
    """The pitch of a sound every `STEP_SECONDS`.

    Attributes:
        times_seconds: `(step,)` middles of the analysed windows.
        hertz: `(step,)`; not a number where the sound has no pitch.
    """

    times_seconds: np.ndarray
    hertz: np.ndarray

    @property
    def is_voiced(self) -> np.ndarray:
        """`(step,)` where the sound has a pitch."""
        return np.isfinite(self.hertz)


def track_pitch(waveform: np.ndarray, sample_rate: int) -> PitchTrack:
    """The pitch track of a sound `(sample,)`."""
    sound = decimate(np.asarray(waveform, float), _FACTOR, ftype="fir") if len(waveform) > 64 else waveform
    rate = sample_rate / _FACTOR
    window = round(_WINDOW_SECONDS * rate)
    shortest, longest = int(rate / MAX_HZ), int(np.ceil(rate / MIN_HZ)) + 1
    span = window + longest + 1
    step = round(STEP_SECONDS * rate)
    if len(sound) < span + step:
        return PitchTrack(times_seconds=np.zeros(0), hertz=np.zeros(0))
    sound = sound - sound.mean()
    frames = np.lib.stride_tricks.sliding_window_view(sound, span)[::step]
    # the pitch belongs to the middle of what is compared: a window and the one a period later
    times = (np.arange(len(frames)) * step + window / 2) / rate + _USUAL_PERIOD_SECONDS / 2
    correlation = _cross_correlation(frames, window, longest)
    lags, strengths = _candidates(correlation, shortest, longest)
    with np.errstate(divide="ignore"):
        hertz = np.where(lags > 0, rate / lags, 0.0)
    loudness = np.abs(frames[:, :window]).max(axis=1) / max(1e-9, np.abs(sound).max())
    silence = _SILENCE_THRESHOLD / (1 + _VOICING_THRESHOLD)
    unvoiced = _VOICING_THRESHOLD + np.maximum(0.0, 2 - loudness / silence)
    strengths = np.where(hertz > 0, strengths - _OCTAVE_COST * np.log2(MAX_HZ / np.maximum(hertz, 1)), -9.0)
    path = _cheapest_path(
        np.column_stack([unvoiced, strengths]), np.column_stack([np.zeros(len(hertz)), hertz])
    )
    return PitchTrack(times_seconds=times, hertz=np.where(path > 0, path, np.nan))


def _cross_correlation(frames: np.ndarray, window: int, longest: int) -> np.ndarray:
    """`(frame, lag)` correlation of the first `window` samples with those `lag` later, in [−1, 1]."""
    size = 1 << int(np.ceil(np.log2(frames.shape[1] + window)))
    head = np.fft.rfft(frames[:, :window], size)
    product = np.fft.irfft(np.conj(head) * np.fft.rfft(frames, size), size)[:, : longest + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    later = energy[:, window : window + longest + 1] - energy[:, : longest + 1]
    return product / np.sqrt(later[:, :1] * later + 1e-12)


def _candidates(correlation: np.ndarray, shortest: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Lags in samples and heights of the highest peaks, both `(frame, candidate)`; a lag of 0 is none."""
    middle = correlation[:, 1:-1]
    is_peak = (middle > correlation[:, :-2]) & (middle >= correlation[:, 2:]) & (middle > 0.2)
    is_peak[:, : shortest - 1] = False
    heights = np.where(is_peak, middle, -np.inf)
    # a peak at a multiple of the period is as high as the first: a shorter lag wins by a hair
    ranked = heights - 0.02 * np.log2(np.arange(1, longest) / shortest + 1)
    order = np.argpartition(-ranked, _NUM_CANDIDATES, axis=1)[:, :_NUM_CANDIDATES]
    rows = np.arange(len(correlation))[:, None]
    before, at, after = (correlation[rows, order + offset] for offset in (0, 1, 2))
    curvature = before - 2 * at + after
    shift = np.clip(0.5 * (before - after) / np.where(curvature == 0, -1e-9, curvature), -0.5, 0.5)
    is_real = np.isfinite(heights[rows, order])
    height = np.minimum(at - 0.25 * (before - after) * shift, 1.0)
    return np.where(is_real, order + 1 + shift, 0.0), np.where(is_real, height, 0.0)


def _cheapest_path(strengths: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """`(frame,)` pitch along the path of greatest strength less the costs of its jumps; 0 is unvoiced."""
    octaves = np.log2(np.maximum(hertz, 1.0))
    voiced = hertz > 0
    score = strengths[0]
    back = np.zeros(strengths.shape, int)
    for frame in range(1, len(strengths)):
        is_change = voiced[frame - 1][:, None] != voiced[frame][None, :]
        jump = np.abs(octaves[frame - 1][:, None] - octaves[frame][None, :])
        cost = np.where(is_change, _CHANGE_COST, _JUMP_COST * jump * voiced[frame][None, :])
        total = score[:, None] - cost
        back[frame] = total.argmax(axis=0)
        score = total.max(axis=0) + strengths[frame]
    choice = np.empty(len(strengths), int)
    choice[-1] = score.argmax()
    for frame in range(len(strengths) - 1, 0, -1):
        choice[frame - 1] = back[frame][choice[frame]]
    return hertz[np.arange(len(hertz)), choice]
