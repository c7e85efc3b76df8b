"""From linear light to an 8-bit picture."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np

BRIGHTEST = 1.6
"""Linear light of a sample above which everything is white."""
STEPS_PER_UNIT = 2560
"""Of the tone curve's table."""


@cache
def tone_curve() -> np.ndarray:
    """`(step,)` uint8 sRGB values: a soft shoulder, so that highlights keep their colour."""
    light = np.arange(4096) / STEPS_PER_UNIT
    toned = light * (1 + 0.12 * light) / (1 + 0.42 * light) * 1.18
    return np.clip(toned ** (1 / 2.2) * 255 + 0.5, 0, 255).astype(np.uint8)


@numba.njit(cache=True, fastmath=True)
def develop(samples, supersample, curve, out):
    """Average blocks of linear samples and apply the tone curve.

    Args:
        samples: `(row, column, rgb)` linear light.
        supersample: side of a block, samples.
        curve: of `tone_curve`.
        out: `(row, column, rgb)` uint8, written.
    """
    scale = STEPS_PER_UNIT / (supersample * supersample)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            for channel in range(3):
                light = 0.0
                for j in range(supersample):
                    for i in range(supersample):
                        light += min(
                            samples[row * supersample + j, column * supersample + i, channel], BRIGHTEST
                        )
                out[row, column, channel] = curve[min(4095, max(0, int(light * scale)))]
