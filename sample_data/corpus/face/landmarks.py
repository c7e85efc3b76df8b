"""Boxes around the face's parts, and how far the lips are apart, from projected vertices of the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sample_data.corpus.face.mesh import SKIN, template, vertex_values
from sample_data.corpus.face.state import Box


@dataclass(frozen=True, kw_only=True, eq=False)
class Landmarks:
    """Vertices of the template that tell where a part is; of the lips' inner edges those in the middle."""

    face: np.ndarray
    lips: np.ndarray
    eyes: np.ndarray
    upper_lip: int
    lower_lip: int


@cache
def landmarks() -> Landmarks:
    """The template's landmarks."""
    head = template()
    x, y, z = (head.canonical[:, axis] for axis in range(3))
    across = np.abs(x)
    skin = np.zeros(len(x), bool)
    skin[head.vertices_of(SKIN)] = True
    mask = vertex_values("lips")
    inside = vertex_values("inside-mouth")
    front = (y > -3.67) & (y < 0.85) & (z > 3.6)
    ears = vertex_values("ears") > 0.5
    eyes = ((across - 1.05) / 0.62) ** 2 + ((y - 0.02) / 0.40) ** 2 < 1
    jaw_drop = head.expression_weights({"jawOpen": 1.0})
    jaw = int(np.flatnonzero(jaw_drop)[0])
    part = slice(head.expression_starts[jaw], head.expression_starts[jaw + 1])
    drop = np.zeros(len(x))
    drop[head.expression_vertices[part]] = head.expression_moves[part, 1]
    middle = np.flatnonzero(skin & (across < 0.01) & (z > 5.0) & (y < -2.0) & (y > -2.4))
    upper, lower = middle[drop[middle] > -0.1], middle[drop[middle] < -0.2]
    return Landmarks(
        face=np.flatnonzero(skin & (front | ears))[::3],
        lips=np.flatnonzero(skin & (mask > 0.5) & (inside < 0.5) & (z > 3.5)),
        eyes=np.flatnonzero(skin & eyes & (z > 3.3))[::3],
        upper_lip=int(upper[np.argmin(y[upper])]),
        lower_lip=int(lower[np.argmax(y[lower])]),
    )


def box_around(screen: np.ndarray, vertices: np.ndarray, side: int) -> Box:
    """The box of some vertices as shares of a picture of `side` pixels; parts outside are cut off."""
    points = np.clip(screen[vertices, :2] / side, 0.0, 1.0)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def lip_gap(vertices: np.ndarray) -> float:
    """Height between the lips' inner edges in the middle of a head that is not turned, dm."""
    marks = landmarks()
    return float(vertices[marks.upper_lip, 1] - vertices[marks.lower_lip, 1])
