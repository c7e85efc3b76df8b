"""What an eyeball looks like between its lids, and a lash."""

from __future__ import annotations

import math

import numba

IRIS_ANGLE = 0.46
"""Between the eye's axis and the iris's edge, radians."""
PUPIL = 0.36
"""Radius of the pupil as a share of the iris's."""
CORNEA_BULGE = 0.55
"""How much more the cornea's normals spread than the eyeball's."""
LASH_COLOR = (0.012, 0.009, 0.008)


@numba.njit(cache=True, fastmath=True)
def eye_color(x, y, z, gaze, iris, light, place, below_upper, above_lower):
    """Colour of a point of an eyeball, shaded by its lids.

    Args:
        x: with `y` and `z`, the unit direction from the eye's centre, as the head is at rest.
        y: see `x`.
        z: see `x`.
        gaze: `(3,)` unit direction in which the eye looks.
        iris: `(rgb,)` in linear light.
        light: `(3,)` towards the first lamp; the iris glows on the side away from it.
        place: 0 at the corner by the nose … 1 at the outer one.
        below_upper: distance below the upper lid's edge, dm.
        above_lower: distance above the lower lid's edge, dm.

    Returns:
        Red, green, blue in linear light, and how much of the light around reaches the point.
    """
    cosine = x * gaze[0] + y * gaze[1] + z * gaze[2]
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    red, green, blue = _white(angle, x, y, place)
    edge = _step(IRIS_ANGLE - 0.035, IRIS_ANGLE + 0.03, angle)
    if edge < 1.0:
        iris_red, iris_green, iris_blue = _iris(
            angle, x - cosine * gaze[0], y - cosine * gaze[1], iris, light
        )
        red = iris_red + (red - iris_red) * edge
        green = iris_green + (green - iris_green) * edge
        blue = iris_blue + (blue - iris_blue) * edge
    # the flesh in the inner corner
    flesh = _step(0.17, 0.03, place)
    red, green, blue = (
        red + (0.52 - red) * flesh,
        green + (0.20 - green) * flesh,
        blue + (0.17 - blue) * flesh,
    )
    # tears gather along the lower lid, over its pink edge
    rim = math.exp(-max(0.0, above_lower) / 0.006)
    red, green, blue = (
        red + (0.55 - red) * 0.6 * rim,
        green + (0.30 - green) * 0.6 * rim,
        blue + (0.26 - blue) * 0.6 * rim,
    )
    shade = 1.0 - 0.62 * math.exp(-max(0.0, below_upper) / 0.030)
    shade *= 1.0 - 0.22 * math.exp(-max(0.0, above_lower) / 0.018)
    shade *= 0.62 + 0.38 * _step(-0.02, 0.20, place) * _step(1.04, 0.80, place)
    return red, green, blue, shade


@numba.njit(cache=True, fastmath=True)
def _step(start, end, value):
    """0 at `start` … 1 at `end`, eased; `start` may be the greater."""
    share = min(1.0, max(0.0, (value - start) / (end - start)))
    return share * share * (3.0 - 2.0 * share)


@numba.njit(cache=True, fastmath=True)
def _white(angle, x, y, place):
    """The sclera: never white, pink towards the corners, with a few vessels."""
    corner = max(_step(0.36, 0.02, place), _step(0.70, 1.0, place))
    vessels = math.sin(41.0 * y + 6.0 * math.sin(9.0 * x) + 2.0 * math.sin(31.0 * x))
    vessels = max(0.0, vessels - 0.93) / 0.07 * _step(0.62, 1.0, angle) * 0.20
    red = 0.60 - 0.03 * corner
    green = 0.555 - 0.10 * corner - 0.14 * vessels
    blue = 0.525 - 0.115 * corner - 0.15 * vessels
    return red, green, blue


@numba.njit(cache=True, fastmath=True)
def _iris(angle, across, up, iris, light):
    """Pupil, warm inner ring, fibres and a dark edge."""
    share = angle / IRIS_ANGLE
    around = math.atan2(up, across)
    fine = math.sin(around * 47 + 3 * math.sin(around * 11 + 9 * share)) + 0.6 * math.sin(
        around * 83 + 5 * share
    )
    coarse = math.sin(around * 13 + 2 * math.sin(around * 5)) + 0.5 * math.sin(around * 29 + 1.0)
    fibres = 0.86 + 0.13 * fine * (0.35 + share) + 0.12 * coarse
    warm = math.exp(-(((share - 0.50) / 0.13) ** 2))
    edge = 1 - 0.80 * _step(0.70, 0.96, share)
    length = math.sqrt(across * across + up * up) + 1e-6
    caustic = 1 - 0.45 * share * (across * light[0] + up * light[1]) / length
    shade = 0.80 * fibres * edge * caustic * (0.16 + 0.84 * _step(PUPIL - 0.03, PUPIL + 0.14, share))
    pupil = 0.015 + 0.985 * _step(PUPIL - 0.035, PUPIL + 0.02, share)
    grey = 0.30 * iris[0] + 0.45 * iris[1] + 0.25 * iris[2]
    red = (0.80 * iris[0] + 0.20 * grey) * (1 + 0.9 * warm)
    green = (0.80 * iris[1] + 0.20 * grey) * (1 + 0.35 * warm)
    blue = (0.80 * iris[2] + 0.20 * grey) * (1 - 0.10 * warm)
    return red * shade * pupil, green * shade * pupil, blue * shade * pupil


@numba.njit(cache=True, fastmath=True)
def wet_normal(nx, ny, nz, x, y, z, gaze):
    """The normal of the tear film, which the cornea pushes out, and whether it is the cornea's (0 … 1).

    Args:
        nx: with `ny` and `nz`, the eyeball's normal as the head is turned.
        ny: see `nx`.
        nz: see `nx`.
        x: with `y` and `z`, the unit direction from the eye's centre, as the head is at rest.
        y: see `x`.
        z: see `x`.
        gaze: `(3,)` unit direction in which the eye looks.
    """
    cosine = x * gaze[0] + y * gaze[1] + z * gaze[2]
    cornea = _step(0.56, 0.46, math.acos(min(1.0, max(-1.0, cosine))))
    bulge = CORNEA_BULGE * cornea
    nx += bulge * (x - cosine * gaze[0])
    ny += bulge * (y - cosine * gaze[1])
    nz += bulge * (z - cosine * gaze[2])
    scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale, cornea
