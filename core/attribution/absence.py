"""The elements of words and sound, and what stands where sound or pictures are absent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.media.clip import SAMPLE_RATE, Word
from core.prepared import PreparedClip

WINDOW_SECONDS = 0.25
"""Length of a window of sound: a syllable or two."""

FADE_SECONDS = 0.01
"""Sound fades into a silent window over this time: a click would be an event of its own."""


def words_of(prepared: PreparedClip) -> tuple[Word, ...]:
    """The transcript's words as the text has them, with their times where those are known."""
    transcript = prepared.transcript
    written = transcript.text.split()
    if len(transcript.words) == len(written):
        timed = zip(written, transcript.words, strict=True)
        return tuple(
            Word(text=text, start_seconds=w.start_seconds, end_seconds=w.end_seconds) for text, w in timed
        )
    return tuple(Word(text=text, start_seconds=np.nan, end_seconds=np.nan) for text in written)


def windows_of(prepared: PreparedClip) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of equal windows of sound, about `WINDOW_SECONDS` long."""
    duration = len(prepared.waveform) / SAMPLE_RATE
    edges = np.linspace(0, duration, max(1, round(duration / WINDOW_SECONDS)) + 1)
    edges = edges + prepared.clip.start_seconds
    return edges[:-1], edges[1:]


def silenced(waveform: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """A waveform `(sample,)` without the windows that do not stay: `(window,)` bool, equally long."""
    gain = stays[np.arange(len(waveform)) * len(stays) // len(waveform)].astype(np.float32)
    half = max(1, int(FADE_SECONDS * SAMPLE_RATE) // 2)
    kernel = np.full(2 * half + 1, 1 / (2 * half + 1), np.float32)
    return waveform * np.convolve(np.pad(gain, half, mode="edge"), kernel, "valid")


def blurred(pictures: Tensor) -> Tensor:
    """Square pictures `(…, size, size)` beyond recognition: a Gaussian of an eighth of their size."""
    blur = _blur(pictures.shape[-1]).to(pictures)
    return blur @ pictures @ blur.T


def _blur(size: int) -> Tensor:
    """`(size, size)`: with it, the blur is one product along each side.

    As wide a kernel in two dimensions would cost more than the model does. Borders are mirrored.
    """
    sigma = size / 8
    offsets = torch.arange(-int(2 * sigma), int(2 * sigma) + 1)
    weight = torch.exp(-0.5 * (offsets / sigma) ** 2)
    source = (torch.arange(size)[:, None] + offsets).abs()
    source = torch.where(source < size, source, 2 * (size - 1) - source)
    return torch.zeros(size, size).scatter_add_(1, source, (weight / weight.sum()).expand(size, -1))
