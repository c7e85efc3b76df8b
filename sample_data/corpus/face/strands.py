"""Strands of hair: posed, lit per point, sorted by depth and blended over the picture.

A strand is a thin ribbon of a few points that always faces the camera. Its edge covers samples by the share that lies
within, it tapers to its tip, and the further strands are blended first: so hair needs neither layers nor noise to
have soft edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from sample_data.corpus.face.shading import Lamps, sunlit

NUM_DEPTHS = 2048
"""Classes of depth that strands are sorted into."""


HIDDEN_DEPTH = 0.25
"""Behind an opaque surface, dm, from which on a point needs no light."""


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
        depth_bias: by how much it may lie beneath the skin and still be seen, dm.
    """

    points: np.ndarray
    normals: np.ndarray
    colors: np.ndarray
    half_widths: np.ndarray
    opacities: np.ndarray
    occlusions: np.ndarray
    gloss: float
    depth_bias: float = 0.02

    def __len__(self) -> int:
        return len(self.points)


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
    wider = np.float32((len(strands) / count) ** 0.8)
    if moves is None:
        moves = np.zeros((1, 3), np.float32)
    screen = np.empty((count, strands.points.shape[1], 3), np.float32)
    light = np.empty_like(screen)
    _light_points(
        strands.points[:count], moves, strands.normals, strands.colors, strands.occlusions,
        np.float32(strands.gloss), view, lamps, nearness, screen, light,
    )  # fmt: skip
    order = _far_to_near(screen, nearness, np.float32(strands.depth_bias))
    _blend(
        order, screen, light, strands.half_widths, strands.opacities,
        np.float32(view.focal * wider), np.float32(strands.depth_bias), nearness, samples,
    )  # fmt: skip


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
def _light_points(points, moves, normals, colors, occlusions, gloss, view, lamps, nearness, screen, light):
    """Screen points and colours of strands (after Kajiya & Kay 1989: light along a thread)."""
    height, width = nearness.shape
    r, p, m = view.rotation, view.pivot, view.moved_pivot
    count, num_points = points.shape[0], points.shape[1]
    for s in range(count):
        move = s if moves.shape[0] > 1 else 0
        # neighbouring strands catch the light at slightly different angles
        tilt = 0.16 * (((s * 7919) % 101) / 101.0 - 0.5)
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
            light[s, k, 0] = light[s, k, 1] = light[s, k, 2] = 0.0
            column, row = int(screen[s, k, 0]), int(screen[s, k, 1])
            if column < -20 or row < -20 or column >= width + 20 or row >= height + 20:
                continue
            column, row = min(max(column, 0), width - 1), min(max(row, 0), height - 1)
            if near < nearness[row, column] - HIDDEN_DEPTH * near * near:
                continue
            before, after = max(0, k - 1), min(num_points - 1, k + 1)
            bx = points[s, after, 0] - points[s, before, 0]
            by = points[s, after, 1] - points[s, before, 1]
            bz = points[s, after, 2] - points[s, before, 2]
            scale = 1.0 / math.sqrt(bx * bx + by * by + bz * bz + 1e-12)
            bx, by, bz = bx * scale, by * scale, bz * scale
            tx = r[0, 0] * bx + r[0, 1] * by + r[0, 2] * bz
            ty = r[1, 0] * bx + r[1, 1] * by + r[1, 2] * bz
            tz = r[2, 0] * bx + r[2, 1] * by + r[2, 2] * bz
            qx, qy, qz = normals[s, k, 0], normals[s, k, 1], normals[s, k, 2]
            nx = r[0, 0] * qx + r[0, 1] * qy + r[0, 2] * qz
            ny = r[1, 0] * qx + r[1, 1] * qy + r[1, 2] * qz
            nz = r[2, 0] * qx + r[2, 1] * qy + r[2, 2] * qz
            ex, ey, ez = lamps.camera[0] - x, lamps.camera[1] - y, lamps.camera[2] - z
            scale = 1.0 / math.sqrt(ex * ex + ey * ey + ez * ez)
            ex, ey, ez = ex * scale, ey * scale, ez * scale
            red, green, blue = colors[s, k, 0], colors[s, k, 1], colors[s, k, 2]
            occlusion = occlusions[s, k]
            above = 0.5 + 0.5 * ny
            sum_red = red * (lamps.ambient[0, 0] * above + lamps.ambient[1, 0] * (1 - above)) * occlusion
            sum_green = green * (lamps.ambient[0, 1] * above + lamps.ambient[1, 1] * (1 - above)) * occlusion
            sum_blue = blue * (lamps.ambient[0, 2] * above + lamps.ambient[1, 2] * (1 - above)) * occlusion
            for lamp in range(lamps.directions.shape[0]):
                lx, ly, lz = lamps.directions[lamp, 0], lamps.directions[lamp, 1], lamps.directions[lamp, 2]
                facing = nx * lx + ny * ly + nz * lz
                wrapped = (facing + 0.35) / 1.35
                if wrapped <= 0:
                    continue
                lit = occlusion
                if lamp == 0:
                    lit *= 0.25 + 0.75 * sunlit(x + 0.03 * nx, y + 0.03 * ny, z + 0.03 * nz, lamps)
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
                white, colored = 0.07 * gloss * first * wrapped, 0.9 * gloss * second * wrapped
                sum_red += lamps.colors[lamp, 0] * lit * (red * (diffuse + colored) + white)
                sum_green += lamps.colors[lamp, 1] * lit * (green * (diffuse + colored) + white)
                sum_blue += lamps.colors[lamp, 2] * lit * (blue * (diffuse + colored) + white)
            light[s, k, 0], light[s, k, 1], light[s, k, 2] = sum_red, sum_green, sum_blue


@numba.njit(cache=True, fastmath=True)
def _far_to_near(screen, nearness, depth_bias):
    """Indices `strand · point + point` of the segments that may be seen, the farthest first."""
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
            x, y = 0.5 * (screen[s, k, 0] + screen[s, k + 1, 0]), 0.5 * (screen[s, k, 1] + screen[s, k + 1, 1])
            near = max(screen[s, k, 2], screen[s, k + 1, 2])
            column, row = int(x), int(y)
            if column < 0 or row < 0 or column >= width or row >= height:
                continue
            # hidden at its middle by more than a segment's own extent
            if near < nearness[row, column] - (depth_bias + 0.06) * near * near:
                continue
            depth = int((0.5 * (screen[s, k, 2] + screen[s, k + 1, 2]) - lowest) * scale)
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
def _blend(order, screen, light, half_widths, opacities, scale, depth_bias, nearness, samples):
    height, width = nearness.shape
    num_points = screen.shape[1]
    for index in range(order.shape[0]):
        s, k = order[index] // num_points, order[index] % num_points
        x0, y0, z0 = screen[s, k, 0], screen[s, k, 1], screen[s, k, 2]
        x1, y1, z1 = screen[s, k + 1, 0], screen[s, k + 1, 1], screen[s, k + 1, 2]
        half0, half1 = half_widths[s, k] * scale * z0, half_widths[s, k + 1] * scale * z1
        # thinner than a sample: as wide as one, and fainter
        alpha0 = opacities[s, k] * min(1.0, half0 / 0.5)
        alpha1 = opacities[s, k + 1] * min(1.0, half1 / 0.5)
        half0, half1 = max(0.5, half0), max(0.5, half1)
        reach = max(half0, half1) + 0.5
        dx, dy = x1 - x0, y1 - y0
        squared = dx * dx + dy * dy
        if squared < 1e-6:
            continue
        inverse, length = 1.0 / squared, math.sqrt(squared)
        across = 1.0 / length
        left, right = max(0, int(min(x0, x1) - reach)), min(width - 1, int(max(x0, x1) + reach))
        top, bottom = max(0, int(min(y0, y1) - reach)), min(height - 1, int(max(y0, y1) + reach))
        tolerance = depth_bias * z0 * z0
        for row in range(top, bottom + 1):
            py = row + 0.5 - y0
            # where this row crosses the ribbon
            first, last = left, right
            if dy > 0.05 or dy < -0.05:
                middle, half_row = x0 + py * dx / dy, reach * length / abs(dy)
                first, last = max(left, int(middle - half_row)), min(right, int(middle + half_row))
            for column in range(first, last + 1):
                px = column + 0.5 - x0
                off = abs(px * dy - py * dx) * across
                if off >= reach:
                    continue
                t = (px * dx + py * dy) * inverse
                if t < 0.0 or t >= 1.0:
                    continue
                cover = half0 + (half1 - half0) * t - off + 0.5
                if cover <= 0.0:
                    continue
                above = (z0 + (z1 - z0) * t - nearness[row, column]) / tolerance + 1.0
                if above <= 0.0:
                    continue
                alpha = min(1.0, cover) * min(1.0, above) * (alpha0 + (alpha1 - alpha0) * t)
                for channel in range(3):
                    shade = light[s, k, channel] + (light[s, k + 1, channel] - light[s, k, channel]) * t
                    samples[row, column, channel] += alpha * (shade - samples[row, column, channel])
