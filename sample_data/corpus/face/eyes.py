"""What an eyeball and its lashes look like."""

from __future__ import annotations

import math

import numba

IRIS_ANGLE = 0.47
"""Between the eye's axis and the iris's edge, radians."""
PUPIL = 0.40
"""Radius of the pupil as a share of the iris's."""
LASH_COLOR = (0.012, 0.009, 0.008)


@numba.njit(cache=True, fastmath=True)
def eye_color(x, y, z, gaze_x, gaze_y, gaze_z, iris_red, iris_green, iris_blue):
    """Colour of a point of an eyeball.

    Args:
        x: with `y` and `z`, the unit direction from the eye's centre, as the head is at rest.
        y: see `x`.
        z: see `x`.
        gaze_x: with `gaze_y` and `gaze_z`, the unit direction in which the eye looks.
        gaze_y: see `gaze_x`.
        gaze_z: see `gaze_x`.
        iris_red: of the iris, linear light; likewise `iris_green`, `iris_blue`.
        iris_green: see `iris_red`.
        iris_blue: see `iris_red`.

    Returns:
        Red, green, blue in linear light, shaded by the lid above.
    """
    cosine = x * gaze_x + y * gaze_y + z * gaze_z
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if angle < IRIS_ANGLE:
        around = math.atan2(y - cosine * gaze_y, x - cosine * gaze_x)
        share = angle / IRIS_ANGLE
        fibres = 0.82 + 0.22 * math.sin(around * 23 + 3 * math.sin(around * 7)) + 0.12 * math.sin(around * 51)
        shade = (1.25 - 0.35 * share) * fibres * (1 - 0.75 * min(1.0, max(0.0, (share - 0.80) / 0.20)))
        if share < PUPIL:
            shade *= 0.02 + 0.96 * min(1.0, max(0.0, (share - PUPIL + 0.06) / 0.06))
        red, green, blue = iris_red * shade, iris_green * shade, iris_blue * shade
    else:
        edge = min(1.0, (angle - IRIS_ANGLE) / 0.06)
        white = 0.60 * edge + 0.15 * (1 - edge)
        veins = max(0.0, angle - 0.75) * 0.35
        red, green, blue = white, white * (0.93 - veins), white * (0.90 - veins)
    shade = 0.55 + 0.45 * min(1.0, max(0.0, (0.50 - y) / 0.45))
    shade *= 0.70 + 0.30 * min(1.0, max(0.0, (z - 0.45) / 0.35))
    return red * shade, green * shade, blue * shade
