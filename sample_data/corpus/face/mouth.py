"""What is seen inside the mouth: teeth that stand apart, gums, a tongue, and the dark behind the lips."""

from __future__ import annotations

import math

import numba
import numpy as np

from sample_data.corpus.face.mesh import LOWER_TEETH, TONGUE, UPPER_TEETH, template

TEETH_ENDS = {
    UPPER_TEETH: (0.0, 0.276, 0.494, 0.741, 0.968, 1.19, 1.52, 1.85, 2.2),
    LOWER_TEETH: (0.0, 0.175, 0.365, 0.59, 0.82, 1.05, 1.41, 1.80, 2.2),
}
"""Where teeth end along the arch from the middle, canonical units: usual widths of human teeth (incisors
about 8.5 and 6.7 mm above, 5.4 and 5.9 mm below)."""
ARCH_BEND = 1.45
"""The arches run as z = z0 − bend · x²."""


def tooth_coordinates(group: int, vertices: np.ndarray) -> np.ndarray:
    """Where vertices of a row of teeth, or of the tongue, lie on it.

    Args:
        group: `UPPER_TEETH`, `LOWER_TEETH` or `TONGUE`.
        vertices: `(…,)` indices of the template's vertices.

    Returns:
        `(…, 2)` float32. For teeth: which tooth (0 … 1 is the first from the middle; the left ones count up,
        the right ones down from 0) and how high, 0 at the biting edge … 1 at the far end of the gums. For the
        tongue: across (−1 … 1) and backwards (0 … 1).
    """
    head = template()
    every = head.canonical[head.vertices_of(group)]
    low, high = every.min(axis=0), every.max(axis=0)
    places = head.canonical[vertices]
    if group == TONGUE:
        across, back = places[..., 0] / high[0], (high[2] - places[..., 2]) / (high[2] - low[2])
        return np.stack([across, back], axis=-1).astype(np.float32)
    grid = np.linspace(0.0, high[0], 200)
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(1.0, 2 * ARCH_BEND * grid[1:]) * np.diff(grid))])
    along = np.interp(np.abs(places[..., 0]), grid, lengths)
    ends = TEETH_ENDS[group]
    number = np.sign(places[..., 0]) * np.interp(along, ends, np.arange(len(ends)))
    height = (places[..., 1] - low[1]) / (high[1] - low[1])
    if group == LOWER_TEETH:
        height = 1 - height
    return np.stack([number, height], axis=-1).astype(np.float32)


@numba.njit(cache=True, fastmath=True)
def teeth_color(number, height, upper, light):
    """Colour of teeth or the gums above them.

    Args:
        number: of `tooth_coordinates`.
        height: of `tooth_coordinates`.
        upper: whether they are the upper ones.
        light: how much light comes between the lips, 0 … 1 (`mouth_light`).

    Returns:
        Red, green, blue in linear light.
    """
    tooth = math.floor(abs(number))
    within = 2.0 * (abs(number) - tooth) - 1.0
    side = within * within
    # the biting edge is bluish and rounds off, canines are yellower
    yellow = 0.04 * tooth if tooth < 3 else 0.07
    neck = min(1.0, max(0.0, (height - 0.12) / 0.35))
    red, green, blue = 0.82, 0.775 - 0.03 * neck - 0.4 * yellow, 0.68 - 0.08 * neck - yellow
    shade = 1.0 - 0.16 * side * side - 0.03 * tooth
    shade *= 1.0 - 0.30 * math.exp(-height / 0.03)
    gap = math.exp(-(((1.0 - abs(within)) / 0.045) ** 2))
    shade *= 1.0 - 0.30 * gap
    red, green, blue = red * shade, green * shade, blue * shade
    # gums reach down between the teeth
    line = (0.50 if upper else 0.52) - 0.10 * side * side
    gum = min(1.0, max(0.0, (height - line) / 0.05))
    red, green, blue = red + (0.42 - red) * gum, green + (0.13 - green) * gum, blue + (0.12 - blue) * gum
    # light that bounces about in the mouth is red
    return red * light, green * light * (0.80 + 0.20 * light), blue * light * (0.74 + 0.26 * light)


@numba.njit(cache=True, fastmath=True)
def tongue_color(across, back, light):
    """Colour of the tongue with its furrow, for `tooth_coordinates` and the light of `mouth_light`."""
    furrow = 1.0 - 0.22 * math.exp(-((across / 0.14) ** 2))
    shade = furrow * (1.0 - 0.55 * min(1.0, 1.4 * back)) * light
    return 0.50 * shade, 0.165 * shade, 0.155 * shade


@numba.njit(cache=True, fastmath=True)
def mouth_light(depth, place, below_upper, above_lower):
    """How much light comes between the lips to a point behind them.

    Args:
        depth: behind the front teeth, dm.
        place: from one corner of the mouth (0) to the other (1).
        below_upper: below the upper lip's edge, dm.
        above_lower: above the lower lip's edge, dm.
    """
    gap = max(0.0, below_upper + above_lower)
    light = gap / (gap + 0.012)
    light *= 1.0 - 0.45 * math.exp(-max(0.0, below_upper) / 0.018)
    light *= 1.0 - 0.25 * math.exp(-max(0.0, above_lower) / 0.025)
    light *= math.exp(-max(0.0, depth - 0.03) / 0.24)
    corner = min(1.0, max(0.0, min(place, 1.0 - place) / 0.14))
    return light * (0.3 + 0.7 * corner)
