"""Colour of every sample: deferred shading, once the rasteriser knows which triangle it sees.

Skin looks soft because red light wraps further around the terminator than green and blue. Numba caches a
compiled function by its own file: after a change of `eyes` or `mouth`, save this file anew to take it up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from sample_data.corpus.face.eyes import eye_color, wet_normal
from sample_data.corpus.face.mesh import (
    GLASSES,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SHIRT,
    SKIN,
    TEXTURE_WIDTH,
    TONGUE,
    UPPER_TEETH,
)
from sample_data.corpus.face.mouth import mouth_light, teeth_color, tongue_color
from sample_data.corpus.face.openings import LEFT_LIDS, LIPS, edges_at

BACKGROUND_SAMPLE, COPIED_SAMPLE, OWN_SAMPLE, BLOCK_SAMPLE = range(4)
"""What is done for a sample: nothing, the block's colour, its own colour, a colour for its whole block."""


class Surface(NamedTuple):
    """The posed mesh: `(vertex, …)` and `(triangle, …)` arrays."""

    screen: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    rest: np.ndarray
    triangles: np.ndarray
    groups: np.ndarray
    texture_corners: np.ndarray
    occlusion: np.ndarray


class Paint(NamedTuple):
    """Colours of the parts, and what moves on them without moving the mesh."""

    skin: np.ndarray
    texture_scale: float
    wrinkle_maps: np.ndarray
    wrinkles: np.ndarray
    cloth: np.ndarray
    shirt: np.ndarray
    frame: np.ndarray
    iris: np.ndarray
    eye_centers: np.ndarray
    gaze: np.ndarray
    openings: np.ndarray
    mouth_front: float


class Lamps(NamedTuple):
    """Lamps, the light around, the camera and the first lamp's shadows."""

    directions: np.ndarray
    colors: np.ndarray
    ambient: np.ndarray
    camera: np.ndarray
    shadow_map: np.ndarray
    shadow_matrix: np.ndarray


@numba.njit(cache=True, fastmath=True)
def plan_samples(seen, groups, supersample, plan):
    """Decide per block of samples whether one colour will do.

    Args:
        seen: `(row, column)` triangle per sample, negative for none.
        groups: `(triangle,)`.
        supersample: side of a block, samples.
        plan: `(row, column)` uint8, written.
    """
    height, width = seen.shape
    for top in range(0, height, supersample):
        for left in range(0, width, supersample):
            first = seen[top, left]
            group = groups[first] if first >= 0 else -1
            same = group >= 0 and group != GLASSES and group != LEFT_EYE and group != RIGHT_EYE
            for row in range(top, top + supersample):
                for column in range(left, left + supersample):
                    triangle = seen[row, column]
                    if triangle < 0:
                        plan[row, column] = BACKGROUND_SAMPLE
                        same = False
                    else:
                        plan[row, column] = OWN_SAMPLE
                        same = same and groups[triangle] == group
            if same:
                for row in range(top, top + supersample):
                    for column in range(left, left + supersample):
                        plan[row, column] = COPIED_SAMPLE
                plan[top, left] = BLOCK_SAMPLE


@numba.njit(cache=True, fastmath=True)
def sunlit(x, y, z, depths, matrix):
    """0 in the first lamp's shadow … 1 in its light, softened over about three texels."""
    side = depths.shape[0]
    column = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3] - 0.5
    row = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3] - 0.5
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3] + 0.05
    left, top = int(math.floor(column)) - 1, int(math.floor(row)) - 1
    if left < 0 or top < 0 or left + 3 >= side or top + 3 >= side:
        return 1.0
    share_x, share_y = column - math.floor(column), row - math.floor(row)
    lit = 0.0
    for j in range(4):
        weight_y = 1.0 - share_y if j == 0 else share_y if j == 3 else 1.0
        for i in range(4):
            weight_x = 1.0 - share_x if i == 0 else share_x if i == 3 else 1.0
            # soft comparison: no speckles where a surface grazes its own shadow
            nearer = (depth - depths[top + j, left + i]) * 25.0 + 0.5
            lit += weight_x * weight_y * min(1.0, max(0.0, nearer))
    return lit / 9.0


@numba.njit(cache=True, fastmath=True)
def sunlit_quick(x, y, z, depths, matrix):
    """As `sunlit`, from one texel: good enough for a thread of hair among others."""
    side = depths.shape[0]
    column = int(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3])
    row = int(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3])
    if column < 0 or row < 0 or column >= side or row >= side:
        return 1.0
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3] + 0.05
    return min(1.0, max(0.0, (depth - depths[row, column]) * 12.0 + 0.5))


@numba.njit(cache=True, fastmath=True)
def sample_texture(texture, column, row, out):
    """Bilinear lookup of all channels of `(row, column, channel)` into `out`."""
    height, width, channels = texture.shape
    column -= 0.5
    row -= 0.5
    left, top = int(math.floor(column)), int(math.floor(row))
    share_x, share_y = column - left, row - top
    x0, x1 = min(max(left, 0), width - 1), min(max(left + 1, 0), width - 1)
    y0, y1 = min(max(top, 0), height - 1), min(max(top + 1, 0), height - 1)
    w00, w01 = (1 - share_x) * (1 - share_y), share_x * (1 - share_y)
    w10, w11 = (1 - share_x) * share_y, share_x * share_y
    for c in range(channels):
        out[c] = (
            texture[y0, x0, c] * w00
            + texture[y0, x1, c] * w01
            + texture[y1, x0, c] * w10
            + texture[y1, x1, c] * w11
        )


@numba.njit(cache=True, fastmath=True)
def _wrinkle(maps, strengths, corners, vertices, triangles, t, column, row, slope_x, slope_y):
    """The change of the normal by pores and wrinkles, and how deep a furrow is here."""
    cavity = 0.0
    x = min(max(int(column), 0), maps.shape[2] - 1)
    y = min(max(int(row), 0), maps.shape[1] - 1)
    for k in range(strengths.shape[0]):
        strength = strengths[k]
        if strength > 0.02:
            slope_x += strength * maps[k, y, x, 0] * (0.012 / 900)
            slope_y += strength * maps[k, y, x, 1] * (0.012 / 900)
            cavity += strength * maps[k, y, x, 2] * (1 / 110.0)
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    du1, dv1 = corners[t, 1, 0] - corners[t, 0, 0], corners[t, 1, 1] - corners[t, 0, 1]
    du2, dv2 = corners[t, 2, 0] - corners[t, 0, 0], corners[t, 2, 1] - corners[t, 0, 1]
    area = du1 * dv2 - du2 * dv1
    if abs(area) < 1e-9:
        return 0.0, 0.0, 0.0, cavity
    scale = 1 / area
    e1x, e1y, e1z = (
        vertices[b, 0] - vertices[a, 0],
        vertices[b, 1] - vertices[a, 1],
        vertices[b, 2] - vertices[a, 2],
    )
    e2x, e2y, e2z = (
        vertices[c, 0] - vertices[a, 0],
        vertices[c, 1] - vertices[a, 1],
        vertices[c, 2] - vertices[a, 2],
    )
    tx, ty, tz = (
        (e1x * dv2 - e2x * dv1) * scale,
        (e1y * dv2 - e2y * dv1) * scale,
        (e1z * dv2 - e2z * dv1) * scale,
    )
    bx, by, bz = (
        (e2x * du1 - e1x * du2) * scale,
        (e2y * du1 - e1y * du2) * scale,
        (e2z * du1 - e1z * du2) * scale,
    )
    slope_x /= tx * tx + ty * ty + tz * tz + 1e-12
    slope_y /= bx * bx + by * by + bz * bz + 1e-12
    return -slope_x * tx - slope_y * bx, -slope_x * ty - slope_y * by, -slope_x * tz - slope_y * bz, cavity


@numba.njit(cache=True, fastmath=True)
def shade(plan, supersample, seen, surface, paint, lamps, background, out):
    """Write the colour of every sample in linear light.

    Args:
        plan: `(row, column)` of `plan_samples`.
        supersample: side of a block, samples.
        seen: `(row, column)` triangle per sample.
        surface: the posed mesh.
        paint: its colours.
        lamps: its light.
        background: `(row, column, rgb)`.
        out: `(row, column, rgb)`, written.
    """
    height, width = seen.shape
    texel = np.zeros(6, np.float32)
    color = np.zeros(3, np.float32)
    for row in range(height):
        for column in range(width):
            todo = plan[row, column]
            if todo == BACKGROUND_SAMPLE:
                for channel in range(3):
                    out[row, column, channel] = background[row, column, channel]
            elif todo == COPIED_SAMPLE:
                for channel in range(3):
                    out[row, column, channel] = out[
                        row - row % supersample, column - column % supersample, channel
                    ]
            else:
                middle = 0.5 * supersample if todo == BLOCK_SAMPLE else 0.5
                _shade_point(
                    column + middle, row + middle, seen[row, column], surface, paint, lamps, texel, color
                )
                for channel in range(3):
                    out[row, column, channel] = color[channel]


@numba.njit(cache=True, fastmath=True, inline="always")
def _shade_point(px, py, t, surface, paint, lamps, texel, color):
    screen, vertices, normals, rest = surface.screen, surface.vertices, surface.normals, surface.rest
    a, b, c = surface.triangles[t, 0], surface.triangles[t, 1], surface.triangles[t, 2]
    x0, y0, x1, y1, x2, y2 = (
        screen[a, 0],
        screen[a, 1],
        screen[b, 0],
        screen[b, 1],
        screen[c, 0],
        screen[c, 1],
    )
    inverse = 1.0 / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse
    w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse
    w2 = 1 - w0 - w1
    w0, w1, w2 = w0 * screen[a, 2], w1 * screen[b, 2], w2 * screen[c, 2]
    scale = 1 / (w0 + w1 + w2)
    w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
    x = w0 * vertices[a, 0] + w1 * vertices[b, 0] + w2 * vertices[c, 0]
    y = w0 * vertices[a, 1] + w1 * vertices[b, 1] + w2 * vertices[c, 1]
    z = w0 * vertices[a, 2] + w1 * vertices[b, 2] + w2 * vertices[c, 2]
    nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
    ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
    nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
    occlusion = w0 * surface.occlusion[a] + w1 * surface.occlusion[b] + w2 * surface.occlusion[c]
    ex, ey, ez = lamps.camera[0] - x, lamps.camera[1] - y, lamps.camera[2] - z
    scale = 1 / math.sqrt(ex * ex + ey * ey + ez * ez)
    ex, ey, ez = ex * scale, ey * scale, ez * scale
    group = surface.groups[t]
    red, green, blue, gloss, shininess = 0.5, 0.5, 0.5, 0.2, 20.0
    wet_x, wet_y, wet_z, cornea, in_view = nx, ny, nz, 0.0, 0.0
    if group == SKIN:
        corners = surface.texture_corners
        u = w0 * corners[t, 0, 0] + w1 * corners[t, 1, 0] + w2 * corners[t, 2, 0]
        v = w0 * corners[t, 0, 1] + w1 * corners[t, 1, 1] + w2 * corners[t, 2, 1]
        is_patch = u > TEXTURE_WIDTH - 5 and v < 6
        u, v = u * paint.texture_scale, v * paint.texture_scale
        sample_texture(paint.skin, u, v, texel)
        dx, dy, dz, cavity = _wrinkle(
            paint.wrinkle_maps, paint.wrinkles, corners, vertices, surface.triangles,
            t, u, v, texel[4] * 0.0022, texel[5] * 0.0022,
        )  # fmt: skip
        nx, ny, nz = nx + dx, ny + dy, nz + dz
        furrow = min(0.0, cavity)
        red, gloss, shininess = texel[0] * (1 + 0.26 * furrow), texel[3], 18.0
        green, blue = texel[1] * (1 + 0.40 * furrow), texel[2] * (1 + 0.40 * furrow)
        qy = w0 * rest[a, 1] + w1 * rest[b, 1] + w2 * rest[c, 1]
        qz = w0 * rest[a, 2] + w1 * rest[b, 2] + w2 * rest[c, 2]
        if qz < paint.mouth_front - 0.02 and abs(qy - paint.openings[LIPS, 2]) < 0.35:
            # the walls of the mouth, seen between the lips
            qx = w0 * rest[a, 0] + w1 * rest[b, 0] + w2 * rest[c, 0]
            place, upper, lower = edges_at(paint.openings[LIPS], qx)
            if is_patch or (qy < upper and qy > lower and place > 0 and place < 1):
                light = 0.6 * mouth_light(paint.mouth_front - qz, place, upper - qy, qy - lower)
                red, green, blue, gloss = 0.34 * light, 0.07 * light, 0.06 * light, 0.2 * light
                occlusion = 0.5
    elif group == SHIRT:
        grain = paint.cloth[int(math.floor(y * 420)) & 255, int(math.floor(x * 420)) & 511]
        weave = 0.92 + 0.06 * grain + 0.12 * (0.5 + 0.5 * math.sin(x * 260) * math.sin(y * 260))
        red, green, blue = paint.shirt[0] * weave, paint.shirt[1] * weave, paint.shirt[2] * weave
        gloss, shininess = 0.03, 6.0
    elif group == LEFT_EYE or group == RIGHT_EYE:
        e = group - LEFT_EYE
        qx = w0 * rest[a, 0] + w1 * rest[b, 0] + w2 * rest[c, 0] - paint.eye_centers[e, 0]
        qy = w0 * rest[a, 1] + w1 * rest[b, 1] + w2 * rest[c, 1] - paint.eye_centers[e, 1]
        qz = w0 * rest[a, 2] + w1 * rest[b, 2] + w2 * rest[c, 2] - paint.eye_centers[e, 2]
        scale = 1 / math.sqrt(qx * qx + qy * qy + qz * qz)
        place, upper, lower = edges_at(paint.openings[LEFT_LIDS + e], qx + paint.eye_centers[e, 0])
        at = qy + paint.eye_centers[e, 1]
        qx, qy, qz = qx * scale, qy * scale, qz * scale
        red, green, blue, occlusion = eye_color(
            qx, qy, qz, paint.gaze[e], paint.iris, lamps.directions[0],
            place if e == 0 else 1 - place, upper - at, at - lower,
        )  # fmt: skip
        red, green, blue = red * occlusion, green * occlusion, blue * occlusion
        wet_x, wet_y, wet_z, cornea = wet_normal(nx, ny, nz, qx, qy, qz, paint.gaze[e])
        in_view = min(1.0, max(0.0, (upper - at) / 0.012))
    elif group == LOWER_TEETH or group == UPPER_TEETH or group == TONGUE:
        qx = w0 * rest[a, 0] + w1 * rest[b, 0] + w2 * rest[c, 0]
        qy = w0 * rest[a, 1] + w1 * rest[b, 1] + w2 * rest[c, 1]
        qz = w0 * rest[a, 2] + w1 * rest[b, 2] + w2 * rest[c, 2]
        place, upper, lower = edges_at(paint.openings[LIPS], qx)
        occlusion = mouth_light(paint.mouth_front - qz, place, upper - qy, qy - lower)
        corners = surface.texture_corners
        u = w0 * corners[t, 0, 0] + w1 * corners[t, 1, 0] + w2 * corners[t, 2, 0]
        v = w0 * corners[t, 0, 1] + w1 * corners[t, 1, 1] + w2 * corners[t, 2, 1]
        if group == TONGUE:
            red, green, blue = tongue_color(u, v, occlusion)
            gloss, shininess = 0.25, 30.0
        else:
            red, green, blue = teeth_color(u, v, group == UPPER_TEETH, occlusion)
            gloss, shininess = 0.55, 60.0
        occlusion = 0.25 + 0.65 * occlusion
    else:
        red, green, blue = paint.frame[0], paint.frame[1], paint.frame[2]
        occlusion, gloss, shininess = 1.0, 0.8, 60.0

    scale = 1 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    facing = nx * ex + ny * ey + nz * ez
    if facing < 0 and group != SKIN:
        nx, ny, nz, facing = -nx, -ny, -nz, -facing
    above = 0.5 + 0.5 * ny
    open_sky = 0.7 * occlusion * occlusion + 0.3 * occlusion
    # light between nearby skin is reddish: less of the green and blue comes out of creases
    green_sky, blue_sky = (0.92, 0.90) if group == SKIN else (1.0, 1.0)
    sum_red = red * (lamps.ambient[0, 0] * above + lamps.ambient[1, 0] * (1 - above)) * open_sky
    sum_green = (
        green * (lamps.ambient[0, 1] * above + lamps.ambient[1, 1] * (1 - above)) * open_sky * green_sky
    )
    sum_blue = blue * (lamps.ambient[0, 2] * above + lamps.ambient[1, 2] * (1 - above)) * open_sky * blue_sky
    is_eye = group == LEFT_EYE or group == RIGHT_EYE
    in_mouth = group == LOWER_TEETH or group == UPPER_TEETH or group == TONGUE
    shy = 1 - max(0.0, facing)
    fresnel = 0.04 + 0.5 * shy * shy * shy * shy * shy
    for lamp in range(lamps.directions.shape[0]):
        lx, ly, lz = lamps.directions[lamp, 0], lamps.directions[lamp, 1], lamps.directions[lamp, 2]
        facing_lamp = nx * lx + ny * ly + nz * lz
        lit = 1.0
        if lamp == 0 and facing_lamp > -0.35:
            lit = sunlit(x, y, z, lamps.shadow_map, lamps.shadow_matrix)
            if group == SKIN:
                lit = 0.15 + 0.85 * lit
            elif is_eye or in_mouth:
                lit = 0.35 + 0.65 * lit
        hx, hy, hz = lx + ex, ly + ey, lz + ez
        scale = 1 / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
        half = max(0.0, (nx * hx + ny * hy + nz * hz) * scale)
        if is_eye:
            # a window in the cornea, a broad gleam on the white
            half = max(0.0, (wet_x * hx + wet_y * hy + wet_z * hz) * scale)
            window = min(1.0, max(0.0, (half - 0.9952) / 0.0022)) * (1.3 if lamp == 0 else 0.35)
            gleam = half**90 * (0.10 if lamp == 0 else 0.05)
            specular = (window * cornea + gleam * (1 - cornea)) * in_view
        else:
            if group == SKIN:
                # powers of 18 and 60 without the costly general power
                half2 = half * half
                half4 = half2 * half2
                half16 = half4 * half4 * half4 * half4
                broad, narrow = half16 * half2, half16 * half16 * half16 * half4 * half4 * half4
            else:
                broad, narrow = half**shininess, 0.0
            specular = gloss * broad * (shininess + 8) / 25 * fresnel
            specular *= max(0.0, 0.8 * facing_lamp + 0.2) * lit * occlusion
        if group == SKIN:
            specular += gloss * narrow * 0.10 * max(0.0, facing_lamp) * lit
            wrapped = max(0.0, (facing_lamp + 0.32) / 1.32)
            wrapped *= wrapped * 0.35 + 0.65
            diffuse_red = wrapped * (lit * 0.9 + 0.1)
            diffuse_green = max(0.0, (facing_lamp + 0.14) / 1.14) * lit
            diffuse_blue = max(0.0, (facing_lamp + 0.08) / 1.08) * lit
        elif is_eye or in_mouth:
            # both scatter light below their surface
            diffuse_red = diffuse_green = diffuse_blue = max(0.0, (facing_lamp + 0.25) / 1.25) * lit
        else:
            diffuse_red = diffuse_green = diffuse_blue = max(0.0, facing_lamp) * lit
        sum_red += lamps.colors[lamp, 0] * (red * diffuse_red + specular)
        sum_green += lamps.colors[lamp, 1] * (green * diffuse_green + specular)
        sum_blue += lamps.colors[lamp, 2] * (blue * diffuse_blue + specular)
    color[0], color[1], color[2] = sum_red, sum_green, sum_blue
