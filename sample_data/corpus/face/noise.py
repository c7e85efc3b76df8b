"""Fixed textures of smooth random numbers; the same in every process."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter


def value_noise(shape: tuple[int, int], cell: int, seed: int) -> np.ndarray:
    """`(row, column)` float32 of about unit deviation, smooth over `cell` pixels."""
    height, width = shape
    knots = np.random.default_rng(seed).standard_normal((int(height / cell) + 3, int(width / cell) + 3))
    smooth = Image.fromarray(knots.astype(np.float32)).resize(
        (width + int(2 * cell), height + int(2 * cell)), Image.Resampling.BICUBIC
    )
    return np.asarray(smooth)[:height, :width]


@cache
def cloth_noise() -> np.ndarray:
    """`(256, 512)` float32 of unit deviation that repeats at its edges; blotches of two texels."""
    noise = np.random.default_rng(5).standard_normal((256, 512))
    smooth = gaussian_filter(noise, (2.2, 2.2), mode="wrap")
    return (smooth / smooth.std()).astype(np.float32)
