"""Spectacle frames, bent from tubes around the eyes."""

from __future__ import annotations

import numpy as np

from sample_data.corpus.face.identity import Glasses

RIM_RADIUS, ARM_RADIUS = 0.0135, 0.013
"""Of the tubes, dm."""


def build_glasses(eyes: np.ndarray, skin: np.ndarray, glasses: Glasses) -> tuple[np.ndarray, np.ndarray]:
    """Frames in front of a pair of eyes.

    Args:
        eyes: `(left/right, 3)` centres of the eyeballs, dm.
        skin: `(vertex, 3)` of the head, dm; the bridge rests on the nose.
        glasses: how they look.

    Returns:
        `(vertex, 3)` vertices, dm, and `(triangle, 3)` triangles.
    """
    middle = eyes.mean(axis=0)
    half = abs(eyes[0, 0] - eyes[1, 0]) / 2
    at_bridge = (np.abs(skin[:, 0] - middle[0]) < 0.10) & (np.abs(skin[:, 1] - middle[1] - 0.04) < 0.07)
    front = max(eyes[:, 2].max() + 0.32, skin[at_bridge, 2].max() + 0.03)
    around = np.arange(40) / 40 * 2 * np.pi
    power = 2 / (2.2 if glasses.shape == "round" else 5.0)
    rim_width, rim_height = half * 0.80 * glasses.width, half * 0.74 * glasses.height

    def depth(x: np.ndarray | float) -> np.ndarray | float:
        return front - 0.10 * (x / half) ** 2 * half

    temple = _half_width(skin, middle[1] + 0.06, depth=0.98)

    tubes = []
    for side in (-1, 1):
        x = side * half * 1.02 + rim_width * _rounded(np.cos(around), power)
        y = -0.03 + rim_height * _rounded(np.sin(around), power)
        rim = np.stack([middle[0] + x, middle[1] + y, depth(x)], axis=1)
        tubes.append(_tube(rim, RIM_RADIUS, closed=True))
        hinge, height = side * (half * 1.02 + rim_width), middle[1] + 0.06
        arm = [
            [hinge, height, depth(hinge)],
            [side * (0.4 * abs(hinge) + 0.6 * temple), height + 0.01, front - 0.35],
            [side * temple, height, 0.90],
            [side * (temple - 0.02), height - 0.02, 0.65],
        ]
        tubes.append(_tube(np.array(arm), ARM_RADIUS, closed=False))
    inner = half * 1.02 - rim_width
    x = np.linspace(-inner, inner, 7)
    bridge = np.stack(
        [middle[0] + x, middle[1] + 0.03 + 0.05 * (1 - (x / inner) ** 2), np.full(7, front)], axis=1
    )
    tubes.append(_tube(bridge, ARM_RADIUS, closed=False))

    starts = np.cumsum([0] + [len(vertices) for vertices, _ in tubes])
    triangles = np.concatenate([faces + start for (_, faces), start in zip(tubes, starts, strict=False)])
    vertices = np.concatenate([vertices for vertices, _ in tubes]).astype(np.float32)
    return vertices, triangles.astype(np.int32)


def _half_width(skin: np.ndarray, height: float, *, depth: float) -> float:
    """Half the head's width at a height and a depth, and a little more, dm."""
    there = (np.abs(skin[:, 1] - height) < 0.08) & (np.abs(skin[:, 2] - depth) < 0.08)
    return float(np.abs(skin[there, 0]).max()) + 0.01


def _rounded(values: np.ndarray, power: float) -> np.ndarray:
    """A coordinate of a superellipse."""
    return np.sign(values) * np.abs(values) ** power


def _tube(path: np.ndarray, radius: float, *, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a six-sided tube along `(point, 3)`."""
    sides = 6
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    reference = np.where(np.abs(along[:, 2:]) > 0.9, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    across = np.cross(along, reference)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    angle = (np.arange(sides) / sides * 2 * np.pi)[None, :, None]
    ring = np.cos(angle) * across[:, None] + np.sin(angle) * np.cross(along, across)[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3)
    here = np.arange(len(path) if closed else len(path) - 1)[:, None] * sides
    there = (here + sides) % len(vertices)
    side, next_side = np.arange(sides)[None], (np.arange(sides)[None] + 1) % sides
    first = np.stack(np.broadcast_arrays(here + side, there + side, there + next_side), axis=-1)
    second = np.stack(np.broadcast_arrays(here + side, there + next_side, here + next_side), axis=-1)
    return vertices, np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])
