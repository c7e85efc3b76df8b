"""The resting shape of one face, standardised so that eyes sit where camera, glasses and hair expect them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.corpus.face.identity import Identity
from sample_data.corpus.face.mesh import (
    EYE_HEIGHT,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SKIN,
    UNIT,
    UPPER_TEETH,
    template,
)
from sample_data.corpus.face.raster import vertex_normals

EYES_MIDDLE = np.array([0.0, EYE_HEIGHT, 1.24], np.float32)
TEETH_SHIFTS = {UPPER_TEETH: (0.0, -0.055, 0.012), LOWER_TEETH: (0.0, -0.02, 0.0)}
"""The template's teeth lie too high to be seen in a smile, dm."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """A face at rest.

    Attributes:
        vertices: `(vertex, 3)` dm.
        normals: `(vertex, 3)` of the skin; zero elsewhere.
        eye_centers: `(left/right, 3)` of the eyeballs, dm.
    """

    vertices: np.ndarray
    normals: np.ndarray
    eye_centers: np.ndarray


def build_shape(identity: Identity) -> Shape:
    """The template under the identity's displacements."""
    head = template()
    vertices = head.base.copy()
    for name, weight in identity.morphs.items():
        if name in head.identity:
            vertices += np.float32(weight) * head.identity[name].astype(np.float32)
    eyes = [head.vertices_of(LEFT_EYE), head.vertices_of(RIGHT_EYE)]
    left, right = (vertices[eye].mean(axis=0) for eye in eyes)
    # heads keep a quarter of their differences in size
    scale = 1 + 0.75 * (2 * 1.05 * UNIT / abs(left[0] - right[0]) - 1)
    vertices = ((vertices - (left + right) / 2) * scale + EYES_MIDDLE).astype(np.float32)
    for group, shift in TEETH_SHIFTS.items():
        vertices[head.vertices_of(group)] += np.array(shift, np.float32)
    normals = np.zeros_like(vertices)
    vertex_normals(vertices, head.triangles[head.groups == SKIN], 0, normals)
    centers = np.stack([_sphere_center(vertices[eye]) for eye in eyes])
    return Shape(vertices=vertices, normals=normals, eye_centers=centers)


def _sphere_center(points: np.ndarray) -> np.ndarray:
    """Centre of the sphere nearest to the points: |p|² = 2 p·c + (r² − |c|²) is linear in c."""
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    return np.linalg.lstsq(system, (points.astype(float) ** 2).sum(axis=1), rcond=None)[0][:3].astype(
        np.float32
    )
