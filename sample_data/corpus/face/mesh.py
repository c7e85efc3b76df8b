"""The head's template: one smooth mesh on which identity and expression are sums of displacements.

The subdivision is baked into the base and into every displacement alike, so a face is
`base + identity weights @ identity + expression weights @ expression`, with nothing to subdivide at run time.
Lengths are decimetres, as in MakeHuman. Canonical coordinates have their origin between the eyes and half the
eyes' distance as their unit: X to the subject's left, Y up, Z forward; painting and grooming use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np

from sample_data.corpus.face.assets import load_asset

UNIT = 0.3078
"""Half the distance between the template's eyes, dm."""
EYE_HEIGHT = 7.284
"""Of the template's eyes, dm above the mesh's origin."""
ATLAS_LEFT, ATLAS_RIGHT, ATLAS_BOTTOM, ATLAS_TOP = 0.64, 1.0, 0.14, 0.84
"""The part of MakeHuman's texture atlas that holds the head."""
TEXTURE_WIDTH, TEXTURE_HEIGHT = 768, 1152

SKIN, SHIRT, LEFT_EYE, RIGHT_EYE, LOWER_TEETH, UPPER_TEETH, TONGUE, _, LASHES = range(9)
"""Groups of triangles in the baked mesh (7 is MakeHuman's hair guide, which is not drawn)."""
GLASSES = 10
"""Group of the triangles that `glasses` adds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """The baked head.

    Attributes:
        base: `(vertex, 3)` dm.
        canonical: `(vertex, 3)` the same in canonical coordinates.
        triangles: `(triangle, 3)` vertices; counter-clockwise seen from outside.
        groups: `(triangle,)` which part it belongs to.
        texture_corners: `(triangle, corner, 2)` texels of the skin texture.
        identity: name → `(vertex, 3)` half-precision displacement.
        expression_names: names of the expression displacements, in order.
        expression_starts / expression_vertices / expression_moves: these displacements without their zeros.
        control_triangles: the unrefined skin, good enough to cast shadows.
        position_map: `(texel row, column, 3)` canonical coordinates of the skin texture.
        wrinkle_maps: `(wrinkle, row, column, slope/slope/height)` int8 height fields.
        occlusion: `(vertex,)` share of the sky that a vertex sees with the mouth closed.
        masks: name → `(row, column)` 0 … 1 regions of the skin texture.
    """

    base: np.ndarray
    canonical: np.ndarray
    triangles: np.ndarray
    groups: np.ndarray
    texture_corners: np.ndarray
    identity: dict[str, np.ndarray]
    expression_names: dict[str, int]
    expression_starts: np.ndarray
    expression_vertices: np.ndarray
    expression_moves: np.ndarray
    control_triangles: np.ndarray
    position_map: np.ndarray
    wrinkle_maps: np.ndarray
    occlusion: np.ndarray
    masks: dict[str, np.ndarray]

    def vertices_of(self, group: int) -> np.ndarray:
        """Indices of the vertices of a group."""
        return np.unique(self.triangles[self.groups == group])

    def expression_weights(self, shapes: dict[str, float]) -> np.ndarray:
        """`(expression,)` weights in the template's order; shapes that this mesh lacks are left out."""
        weights = np.zeros(len(self.expression_names), np.float32)
        for name, weight in shapes.items():
            if name in self.expression_names:
                weights[self.expression_names[name]] = weight
        return weights


@cache
def template() -> Template:
    """The baked head, read at first use."""
    head, maps = load_asset("head.npz"), load_asset("maps.npz")
    base, quads = head["base"].astype(np.float32), head["quads"]
    groups = head["group"].astype(np.int32)
    starts, vertices, moves = _without_zeros(head["ex_basis"].astype(np.float32))
    return Template(
        base=base,
        canonical=to_canonical(base),
        triangles=split_quads(quads),
        groups=np.concatenate([groups, groups]),
        texture_corners=to_texels(split_quads_of_corners(head["uv"])).astype(np.float32),
        identity=dict(zip(head["id_names"].tolist(), head["id_basis"], strict=True)),
        expression_names={name: index for index, name in enumerate(head["ex_names"].tolist())},
        expression_starts=starts,
        expression_vertices=vertices,
        expression_moves=moves,
        control_triangles=_control_triangles(quads[groups == SKIN]),
        position_map=maps["pos"].astype(np.float32),
        wrinkle_maps=np.ascontiguousarray(maps["wrinkles"]),
        occlusion=maps["ao"].astype(np.float32),
        masks={
            name: maps[name].astype(np.float32) / 255 for name in ("lips", "eyelids", "ears", "inside-mouth")
        },
    )


@cache
def vertex_values(mask: str) -> np.ndarray:
    """`(vertex,)` values of a region of the skin texture; 0 for vertices outside the atlas."""
    head = template()
    triangles = np.flatnonzero(head.groups == SKIN)
    columns, rows = np.floor(head.texture_corners[triangles]).astype(int).transpose(2, 0, 1)
    within = (columns >= 0) & (columns < TEXTURE_WIDTH) & (rows >= 0) & (rows < TEXTURE_HEIGHT)
    values = np.zeros(len(head.canonical))
    values[head.triangles[triangles][within]] = head.masks[mask][rows[within], columns[within]]
    return values


@cache
def wrinkle_maps(level: int) -> np.ndarray:
    """The template's wrinkle maps at every `2 ** level`-th texel."""
    step = 2**level
    return np.ascontiguousarray(template().wrinkle_maps[:, ::step, ::step])


def halve(texture: np.ndarray) -> np.ndarray:
    """`(row, column, channel)` averaged over blocks of two by two texels."""
    return (texture[::2, ::2] + texture[1::2, ::2] + texture[::2, 1::2] + texture[1::2, 1::2]) * np.float32(
        0.25
    )


def to_canonical(vertices: np.ndarray) -> np.ndarray:
    """Canonical coordinates of `(…, 3)` points of the template's space."""
    return (vertices - np.array([0.0, EYE_HEIGHT, 0.0], vertices.dtype)) / np.asarray(UNIT, vertices.dtype)


def from_canonical(points: np.ndarray) -> np.ndarray:
    """The inverse of `to_canonical`."""
    return points * UNIT + np.array([0.0, EYE_HEIGHT, 0.0])


def to_texels(corners: np.ndarray) -> np.ndarray:
    """Texels of the skin texture, column and row, for `(…, u/v)` coordinates of MakeHuman's atlas."""
    column = (corners[..., 0] - ATLAS_LEFT) / (ATLAS_RIGHT - ATLAS_LEFT) * TEXTURE_WIDTH
    row = (ATLAS_TOP - corners[..., 1]) / (ATLAS_TOP - ATLAS_BOTTOM) * TEXTURE_HEIGHT
    return np.stack([column, row], axis=-1)


def split_quads(quads: np.ndarray) -> np.ndarray:
    """`(2·quad, 3)` triangles: the first halves of all quads, then the second."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def split_quads_of_corners(corners: np.ndarray) -> np.ndarray:
    """The same for `(quad, corner, …)` values that belong to corners."""
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


@numba.njit(cache=True, fastmath=True)
def add_morphs(vertices, weights, starts, indices, moves):
    """Add weighted displacements, stored without their zeros, to `(vertex, 3)` in place."""
    for morph in range(weights.shape[0]):
        weight = weights[morph]
        if weight == 0:
            continue
        for entry in range(starts[morph], starts[morph + 1]):
            vertex = indices[entry]
            vertices[vertex, 0] += weight * moves[entry, 0]
            vertices[vertex, 1] += weight * moves[entry, 1]
            vertices[vertex, 2] += weight * moves[entry, 2]


def _without_zeros(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, vertices and moves of displacements of more than 0.02 mm."""
    moved = [np.flatnonzero(np.abs(displacement).max(axis=1) > 2e-4) for displacement in basis]
    starts = np.cumsum([0] + [len(vertices) for vertices in moved]).astype(np.int64)
    moves = np.concatenate(
        [displacement[vertices] for displacement, vertices in zip(basis, moved, strict=True)]
    )
    return starts, np.concatenate(moved).astype(np.int32), np.ascontiguousarray(moves, np.float32)


def _control_triangles(quads: np.ndarray) -> np.ndarray:
    """The mesh before subdivision: the four control vertices around each face point.

    A refined quad is (control vertex, edge point, face point, edge point).
    """
    by_face = np.argsort(quads[:, 2], kind="stable")
    _, starts, counts = np.unique(quads[by_face, 2], return_index=True, return_counts=True)
    starts = starts[counts == 4]
    return split_quads(np.stack([quads[by_face, 0][starts + corner] for corner in range(4)], axis=1))
