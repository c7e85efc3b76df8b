"""Strands of hair: posed, lit per point, sorted by depth and blended over the picture.

A strand is a thin ribbon of a few points that always faces the camera. Its edge covers samples by the share
that lies within, and it tapers to its tip: so hair needs neither layers nor noise to have soft edges. The
nearest strands come first, and what they hide is neither lit nor drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from sample_data.corpus.face.shading import Lamps, sunlit_quick

NUM_DEPTHS = 2048
"""Classes of depth that strands are sorted into."""


SEGMENT_DEPTH = 0.06
"""How far the end of a segment may lie before its middle, dm."""
WIDEST = 8
"""Samples by which a strand's edge may reach beyond its middle."""
CLOSED = np.float32(0.03)
"""Share of the light from behind that is taken for none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Strands:
    """Hair of one kind on a resting head. The first strands are as good a sample of all as any others.

    Attributes:
        points: `(strand, point, 3)` from root to tip, dm.
        normals: `(strand, point, 3)` outward direction of the hair's mass.
        colors: `(strand, point, rgb)` linear light.
        half_widths: `(strand, point)` dm.
        opacities: `(strand, point)` 0 … 1.
        occlusions: `(strand, point)` share of the light around that comes through the hair.
        gloss: strength of highlights.
        num_shadow_points: points from the root on that cast shadows; tips of curls would only speckle.
        depth_bias: by how much it may lie beneath the skin and still be seen, dm.
    """

    points: np.ndarray
    normals: np.ndarray
    colors: np.ndarray
    half_widths: np.ndarray
    opacities: np.ndarray
    occlusions: np.ndarray
    gloss: float
    num_shadow_points: int = 0
    depth_bias: float = 0.02

    def __len__(self) -> int:
        return len(self.points)


class Thread(NamedTuple):
    """The arrays of `Strands` for compiled code, and how far their roots have moved."""

    points: np.ndarray
    moves: np.ndarray
    normals: np.ndarray
    colors: np.ndarray
    half_widths: np.ndarray
    opacities: np.ndarray
    occlusions: np.ndarray
    gloss: float


class View(NamedTuple):
    """The camera in samples, and the head's pose: x′ = rotation @ (x − pivot) + pivot + shift."""

    focal: float
    middle: float
    target_x: float
    target_y: float
    camera_z: float
    rotation: np.ndarray
    pivot: np.ndarray
    moved_pivot: np.ndarray


def draw_strands(
    strands: Strands,
    moves: np.ndarray | None,
    view: View,
    lamps: Lamps,
    nearness: np.ndarray,
    samples: np.ndarray,
    detail: float,
) -> None:
    """Blend strands over a picture.

    Args:
        strands: at rest.
        moves: `(strand, 3)` of the skin at their roots by the expression, dm; None where nothing moves.
        view: camera and pose.
        lamps: the light.
        nearness: `(row, column)` of the opaque surfaces.
        samples: `(row, column, rgb)` linear light, changed.
        detail: share of the strands to draw; fewer are drawn wider, so that they cover as much.
    """
    count = max(1, int(detail * len(strands)))
    wider = (len(strands) / count) ** 0.8
    if moves is None:
        moves = np.zeros((1, 3), np.float32)
    thread = Thread(
        points=strands.points[:count],
        moves=moves,
        normals=strands.normals,
        colors=strands.colors,
        half_widths=strands.half_widths,
        opacities=strands.opacities,
        occlusions=strands.occlusions,
        gloss=strands.gloss,
    )
    screen = _project(thread.points, moves, view)
    bias = np.float32(strands.depth_bias)
    order = _near_to_far(screen, nearness, bias)
    _blend(order, screen, thread, view, lamps, np.float32(view.focal * wider), bias, nearness, samples)


@numba.njit(cache=True, fastmath=True)
def cast_shadows(points, count, view, matrix, depths):
    """Draw strands into a shadow map, one texel wide."""
    side = depths.shape[0]
    num_points = points.shape[1]
    r, p, m = view.rotation, view.pivot, view.moved_pivot
    for s in range(count):
        last_u = last_v = last_d = np.float32(0.0)
        for k in range(num_points):
            ax, ay, az = points[s, k, 0] - p[0], points[s, k, 1] - p[1], points[s, k, 2] - p[2]
            x = r[0, 0] * ax + r[0, 1] * ay + r[0, 2] * az + m[0]
            y = r[1, 0] * ax + r[1, 1] * ay + r[1, 2] * az + m[1]
            z = r[2, 0] * ax + r[2, 1] * ay + r[2, 2] * az + m[2]
            u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
            v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
            d = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
            if k > 0:
                steps = 1 + int(max(abs(u - last_u), abs(v - last_v)))
                for step in range(steps):
                    share = step / steps
                    column, row = int(last_u + (u - last_u) * share), int(last_v + (v - last_v) * share)
                    if 0 <= column < side and 0 <= row < side:
                        depth = last_d + (d - last_d) * share
                        if depth > depths[row, column]:
                            depths[row, column] = depth
            last_u, last_v, last_d = u, v, d


@numba.njit(cache=True, fastmath=True)
def _project(points, moves, view):
    """`(strand, point, x/y/nearness)` screen points."""
    r, p, m = view.rotation, view.pivot, view.moved_pivot
    count, num_points = points.shape[0], points.shape[1]
    screen = np.empty((count, num_points, 3), np.float32)
    for s in range(count):
        move = s if moves.shape[0] > 1 else 0
        for k in range(num_points):
            ax = points[s, k, 0] + moves[move, 0] - p[0]
            ay = points[s, k, 1] + moves[move, 1] - p[1]
            az = points[s, k, 2] + moves[move, 2] - p[2]
            x = r[0, 0] * ax + r[0, 1] * ay + r[0, 2] * az + m[0]
            y = r[1, 0] * ax + r[1, 1] * ay + r[1, 2] * az + m[1]
            z = r[2, 0] * ax + r[2, 1] * ay + r[2, 2] * az + m[2]
            near = 1.0 / (view.camera_z - z)
            screen[s, k, 0] = view.middle + view.focal * (x - view.target_x) * near
            screen[s, k, 1] = view.middle - view.focal * (y - view.target_y) * near
            screen[s, k, 2] = near
    return screen


@numba.njit(cache=True, fastmath=True)
def _near_to_far(screen, nearness, depth_bias):
    """Indices `strand · points + point` of the segments that may be seen, the nearest first."""
    count, num_points = screen.shape[0], screen.shape[1]
    height, width = nearness.shape
    classes = np.empty(count * (num_points - 1), np.int32)
    segments = np.empty(count * (num_points - 1), np.int32)
    starts = np.zeros(NUM_DEPTHS + 1, np.int32)
    lowest, highest = np.float32(1e9), np.float32(-1e9)
    for s in range(count):
        for k in range(num_points):
            lowest, highest = min(lowest, screen[s, k, 2]), max(highest, screen[s, k, 2])
    scale = (NUM_DEPTHS - 1) / max(highest - lowest, 1e-9)
    found = 0
    for s in range(count):
        for k in range(num_points - 1):
            x, y = (
                0.5 * (screen[s, k, 0] + screen[s, k + 1, 0]),
                0.5 * (screen[s, k, 1] + screen[s, k + 1, 1]),
            )
            near = max(screen[s, k, 2], screen[s, k + 1, 2])
            column, row = int(x), int(y)
            if column < 0 or row < 0 or column >= width or row >= height:
                continue
            # hidden at its middle by more than a segment's own extent
            if near < nearness[row, column] - (depth_bias + SEGMENT_DEPTH) * near * near:
                continue
            depth = int((highest - 0.5 * (screen[s, k, 2] + screen[s, k + 1, 2])) * scale)
            classes[found], segments[found] = depth, s * num_points + k
            starts[depth + 1] += 1
            found += 1
    for depth in range(NUM_DEPTHS):
        starts[depth + 1] += starts[depth]
    order = np.empty(found, np.int32)
    for index in range(found):
        order[starts[classes[index]]] = segments[index]
        starts[classes[index]] += 1
    return order


@numba.njit(cache=True, fastmath=True)
def _light(thread, s, k, view, lamps, light):
    """Light from a point of a strand (after Kajiya & Kay 1989: light along a thread)."""
    r, p, m, points = view.rotation, view.pivot, view.moved_pivot, thread.points
    move = s if thread.moves.shape[0] > 1 else 0
    # neighbouring strands catch the light at slightly different angles
    tilt = np.float32(0.16) * (np.float32((s * 7919) % 101) / np.float32(101.0) - np.float32(0.5))
    ax = points[s, k, 0] + thread.moves[move, 0] - p[0]
    ay = points[s, k, 1] + thread.moves[move, 1] - p[1]
    az = points[s, k, 2] + thread.moves[move, 2] - p[2]
    x = r[0, 0] * ax + r[0, 1] * ay + r[0, 2] * az + m[0]
    y = r[1, 0] * ax + r[1, 1] * ay + r[1, 2] * az + m[1]
    z = r[2, 0] * ax + r[2, 1] * ay + r[2, 2] * az + m[2]
    before, after = max(0, k - 1), min(points.shape[1] - 1, k + 1)
    bx = points[s, after, 0] - points[s, before, 0]
    by = points[s, after, 1] - points[s, before, 1]
    bz = points[s, after, 2] - points[s, before, 2]
    scale = 1.0 / math.sqrt(bx * bx + by * by + bz * bz + 1e-12)
    bx, by, bz = bx * scale, by * scale, bz * scale
    tx = r[0, 0] * bx + r[0, 1] * by + r[0, 2] * bz
    ty = r[1, 0] * bx + r[1, 1] * by + r[1, 2] * bz
    tz = r[2, 0] * bx + r[2, 1] * by + r[2, 2] * bz
    qx, qy, qz = thread.normals[s, k, 0], thread.normals[s, k, 1], thread.normals[s, k, 2]
    nx = r[0, 0] * qx + r[0, 1] * qy + r[0, 2] * qz
    ny = r[1, 0] * qx + r[1, 1] * qy + r[1, 2] * qz
    nz = r[2, 0] * qx + r[2, 1] * qy + r[2, 2] * qz
    ex, ey, ez = lamps.camera[0] - x, lamps.camera[1] - y, lamps.camera[2] - z
    scale = 1.0 / math.sqrt(ex * ex + ey * ey + ez * ez)
    ex, ey, ez = ex * scale, ey * scale, ez * scale
    red, green, blue = thread.colors[s, k, 0], thread.colors[s, k, 1], thread.colors[s, k, 2]
    occlusion = thread.occlusions[s, k]
    above = 0.5 + 0.5 * ny
    sum_red = red * (lamps.ambient[0, 0] * above + lamps.ambient[1, 0] * (1 - above)) * occlusion
    sum_green = green * (lamps.ambient[0, 1] * above + lamps.ambient[1, 1] * (1 - above)) * occlusion
    sum_blue = blue * (lamps.ambient[0, 2] * above + lamps.ambient[1, 2] * (1 - above)) * occlusion
    for lamp in range(lamps.directions.shape[0]):
        lx, ly, lz = lamps.directions[lamp, 0], lamps.directions[lamp, 1], lamps.directions[lamp, 2]
        wrapped = (nx * lx + ny * ly + nz * lz + 0.35) / 1.35
        if wrapped <= 0:
            continue
        lit = occlusion
        if lamp == 0:
            open_sky = sunlit_quick(
                x + 0.03 * nx, y + 0.03 * ny, z + 0.03 * nz, lamps.shadow_map, lamps.shadow_matrix
            )
            lit *= 0.25 + 0.75 * open_sky
        along = tx * lx + ty * ly + tz * lz
        diffuse = 0.85 * math.sqrt(max(0.0, 1 - along * along)) * wrapped
        hx, hy, hz = lx + ex, ly + ey, lz + ez
        scale = 1.0 / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
        half = (tx * hx + ty * hy + tz * hz) * scale
        # first highlight white and towards the root, second in the hair's colour and towards the tip
        first, second = max(0.0, 1 - (half + 0.06 + tilt) ** 2), max(0.0, 1 - (half - 0.10 + tilt) ** 2)
        first, second = first * first, second * second
        first, second = first * first, second * second
        first, second = first * first, second * second
        first = first * first * first * first
        white, colored = 0.07 * thread.gloss * first * wrapped, 0.9 * thread.gloss * second * wrapped
        sum_red += lamps.colors[lamp, 0] * lit * (red * (diffuse + colored) + white)
        sum_green += lamps.colors[lamp, 1] * lit * (green * (diffuse + colored) + white)
        sum_blue += lamps.colors[lamp, 2] * lit * (blue * (diffuse + colored) + white)
    light[s, k, 0], light[s, k, 1], light[s, k, 2] = sum_red, sum_green, sum_blue


@numba.njit(cache=True, fastmath=True)
def _blend(order, screen, thread, view, lamps, scale, depth_bias, nearness, samples):
    height, width = nearness.shape
    count, num_points = screen.shape[0], screen.shape[1]
    zero, half, one = np.float32(0.0), np.float32(0.5), np.float32(1.0)
    light = np.empty((count, num_points, 3), np.float32)
    is_lit = np.zeros((count, num_points), np.uint8)
    # how much of what lies behind still comes through, and what the strands have added so far
    above, below = _rows(order, screen, height)
    through = np.ones((below - above, width), np.float32)
    added = np.zeros((below - above, width, 3), np.float32)
    for index in range(order.shape[0]):
        s, k = order[index] // num_points, order[index] % num_points
        x0, y0, z0 = screen[s, k, 0], screen[s, k, 1], screen[s, k, 2]
        x1, y1, z1 = screen[s, k + 1, 0], screen[s, k + 1, 1], screen[s, k + 1, 2]
        half0 = thread.half_widths[s, k] * scale * z0
        half1 = thread.half_widths[s, k + 1] * scale * z1
        # thinner than a sample: as wide as one, and fainter
        alpha0 = thread.opacities[s, k] * min(one, half0 + half0)
        alpha1 = thread.opacities[s, k + 1] * min(one, half1 + half1)
        half0, half1 = max(half, half0), max(half, half1)
        reach = max(half0, half1) + half
        dx, dy = x1 - x0, y1 - y0
        squared = dx * dx + dy * dy
        if squared < np.float32(1e-6):
            continue
        inverse, length = one / squared, np.float32(math.sqrt(squared))
        across = one / length
        left, right = max(0, int(min(x0, x1) - reach)), min(width - 1, int(max(x0, x1) + reach))
        top, bottom = max(above, int(min(y0, y1) - reach)), min(below - 1, int(max(y0, y1) + reach))
        tolerance = one / (depth_bias * z0 * z0)
        for row in range(top, bottom + 1):
            py = np.float32(row) + half - y0
            # where this row crosses the ribbon
            first, last = left, right
            if abs(dy) > np.float32(0.05):
                middle, half_row = x0 + py * dx / dy, reach * length / abs(dy)
                first, last = max(left, int(middle - half_row)), min(right, int(middle + half_row))
            for column in range(first, last + 1):
                if through[row - above, column] < CLOSED:
                    continue
                px = np.float32(column) + half - x0
                t = (px * dx + py * dy) * inverse
                if t < zero or t >= one:
                    continue
                cover = half0 + (half1 - half0) * t - abs(px * dy - py * dx) * across + half
                if cover <= zero:
                    continue
                clear = (z0 + (z1 - z0) * t - nearness[row, column]) * tolerance + one
                if clear <= zero:
                    continue
                if is_lit[s, k] == 0:
                    _light(thread, s, k, view, lamps, light)
                    is_lit[s, k] = 1
                if is_lit[s, k + 1] == 0:
                    _light(thread, s, k + 1, view, lamps, light)
                    is_lit[s, k + 1] = 1
                alpha = min(one, cover) * min(one, clear) * (alpha0 + (alpha1 - alpha0) * t)
                weight = alpha * through[row - above, column]
                through[row - above, column] -= weight
                for channel in range(3):
                    shade = light[s, k, channel] + (light[s, k + 1, channel] - light[s, k, channel]) * t
                    added[row - above, column, channel] += weight * shade
    for row in range(above, below):
        for column in range(width):
            share = through[row - above, column]
            if share < one:
                for channel in range(3):
                    hair = added[row - above, column, channel]
                    samples[row, column, channel] = samples[row, column, channel] * share + hair


@numba.njit(cache=True, fastmath=True)
def _rows(order, screen, height):
    """First row, and the row after the last, of a picture that segments may touch."""
    num_points = screen.shape[1]
    lowest, highest = np.float32(1e9), np.float32(-1e9)
    for index in range(order.shape[0]):
        s, k = order[index] // num_points, order[index] % num_points
        lowest = min(lowest, screen[s, k, 1], screen[s, k + 1, 1])
        highest = max(highest, screen[s, k, 1], screen[s, k + 1, 1])
    above = min(height, max(0, int(lowest) - WIDEST))
    return above, max(above, min(height, int(highest) + WIDEST))
