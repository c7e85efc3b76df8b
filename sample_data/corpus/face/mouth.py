"""What is seen inside the mouth: darker the deeper it lies, lighter the wider the mouth is open."""

from __future__ import annotations

import numba


@numba.njit(cache=True, fastmath=True)
def teeth_color(depth, openness, upper):
    """Colour of teeth.

    Args:
        depth: behind the front teeth, dm.
        openness: of the mouth, 0 … 1.
        upper: whether they are the upper ones, which catch more light.

    Returns:
        Red, green, blue in linear light.
    """
    shade = 0.95 - 0.75 * min(1.0, max(0.0, depth / 0.34))
    if not upper:
        shade *= 0.75
    shade *= 0.45 + 0.55 * openness
    return shade, shade * 0.93, shade * 0.82


@numba.njit(cache=True, fastmath=True)
def tongue_color(depth, openness):
    """Colour of the tongue; arguments and result as of `teeth_color`."""
    shade = (1.0 - 0.8 * min(1.0, max(0.0, depth / 0.55))) * (0.3 + 0.7 * openness)
    return 0.50 * shade, 0.13 * shade, 0.12 * shade
