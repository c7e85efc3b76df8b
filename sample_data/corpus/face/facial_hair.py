"""Brows, beard and lashes: short strands that go along with the skin they grow from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.face.hair_styles import BEARD_LENGTHS, beard_region, brow_coverage, brow_height
from sample_data.corpus.face.identity import Identity
from sample_data.corpus.face.mesh import LASHES, SKIN, UNIT, template, vertex_values
from sample_data.corpus.face.shape import Shape
from sample_data.corpus.face.strands import Strands
from sample_data.corpus.randomness import stream

NUM_BROW_STRANDS = 640
NUM_BEARD_STRANDS = {
    "none": 0, "stubble": 4200, "short": 6500, "full": 9500, "goatee": 3200, "moustache": 1300,
}  # fmt: skip
LASH_COLOR = (0.010, 0.007, 0.006)
LASHES_PER_COLUMN = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Rooted:
    """Strands and where in which triangle of the skin each grows.

    Attributes:
        strands: on the resting face.
        vertices: `(strand, corner)` of the triangle.
        weights: `(strand, corner)` of its corners at the root.
        places: `(strand, 3)` of the roots at rest, dm.
    """

    strands: Strands
    vertices: np.ndarray
    weights: np.ndarray
    places: np.ndarray

    def moves(self, vertices: np.ndarray) -> np.ndarray:
        """`(strand, 3)` by which the roots have moved when the head's vertices are these, dm."""
        return np.einsum("sc,scx->sx", self.weights, vertices[self.vertices]) - self.places


@dataclass(frozen=True, kw_only=True, eq=False)
class Lashes:
    """Eyelashes, drawn along the columns of a sheet that the template brings and that follows the lids.

    Attributes:
        strands: on the resting face.
        first / second: `(strand, point)` vertices of two neighbouring columns.
        share: `(strand, 1, 1)` of the second.
    """

    strands: Strands
    first: np.ndarray
    second: np.ndarray
    share: np.ndarray

    def posed(self, vertices: np.ndarray) -> Strands:
        """The lashes when the head's vertices are these, dm."""
        points = vertices[self.first] * (1 - self.share) + vertices[self.second] * self.share
        return replace(self.strands, points=points)


def grow_brows(identity: Identity, shape: Shape) -> Rooted:
    """Both eyebrows: hairs that rise near the nose and lie down towards the temples."""
    draw = stream(identity.seed, "face brow strands")

    def density(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return brow_coverage(identity, x, y, z)

    vertices, weights = _roots(shape, density, NUM_BROW_STRANDS, draw)
    x, y, _ = np.einsum("sc,scx->xs", weights, template().canonical[vertices])
    side, across = np.sign(x), np.abs(x)
    towards_middle = np.clip((brow_height(across, identity) - y) / identity.brows.thickness, -1, 1)
    angle = (
        1.25
        - 1.35 * smooth_step(across, 0.38, 0.95)
        + 0.35 * towards_middle
        - 0.25 * smooth_step(across, 1.2, 1.7)
    )
    angle = angle + draw.normal(0, 0.13, len(angle))
    direction = np.stack([side * np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    length = 0.26 * UNIT * draw.uniform(0.6, 1.1, len(angle)) * (0.75 + 0.25 * smooth_step(across, 0.4, 0.8))
    return _lay(
        shape, vertices, weights, direction, length, draw,
        lift=0.22, color=identity.brows.color, half_width=0.0034,
        opacity=0.72 * min(1.0, identity.brows.density),
    )  # fmt: skip


def grow_beard(identity: Identity, shape: Shape) -> Rooted | None:
    """The beard; None where there is none."""
    count = NUM_BEARD_STRANDS[identity.beard]
    if count == 0:
        return None
    draw = stream(identity.seed, "face beard strands")

    def density(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return beard_region(identity.beard, x, y, z)

    vertices, weights = _roots(shape, density, count, draw)
    places = np.einsum("sc,scx->sx", weights, template().canonical[vertices])
    x, y, _ = places.T
    on_lip = vertex_values("lips")[vertices].mean(axis=1) > 0.3
    vertices, weights, x, y = vertices[~on_lip], weights[~on_lip], x[~on_lip], y[~on_lip]
    moustache = smooth_step(y, -2.05, -1.85) * (1 - smooth_step(np.abs(x), 0.9, 1.2))
    sideways = np.clip(x * (0.25 + 2.2 * moustache), -1.2, 1.2)
    direction = np.stack([sideways, -np.ones_like(x), 0.1 * np.ones_like(x)], axis=1)
    direction = direction + draw.normal(0, 0.22, direction.shape)
    longest = BEARD_LENGTHS[identity.beard] * UNIT
    length = longest * draw.uniform(0.55, 1.1, len(x)) * (1 - 0.3 * moustache)
    length = length * (0.35 + 0.65 * smooth_step(-y, 0.2, 2.2))
    return _lay(
        shape, vertices, weights, direction, length, draw,
        lift=0.5, color=tuple(0.8 * channel for channel in identity.hair_color), opacity=0.75,
        half_width=0.0034 if longest < 0.03 else 0.0042,
    )  # fmt: skip


def grow_lashes(identity: Identity, shape: Shape) -> Lashes:
    """The lashes of both eyes."""
    draw = stream(identity.seed, "face lashes")
    first, second = [], []
    for columns in _lash_columns():
        first += [columns[:-1]] * LASHES_PER_COLUMN
        second += [columns[1:]] * LASHES_PER_COLUMN
    first, second = np.concatenate(first), np.concatenate(second)
    count, num_points = first.shape
    along = np.linspace(0, 1, num_points)[None, :]
    strands = Strands(
        points=np.zeros((count, num_points, 3), np.float32),
        normals=np.tile(np.array([0.0, 0.3, 0.95], np.float32), (count, num_points, 1)),
        colors=np.tile(np.array(LASH_COLOR, np.float32), (count, num_points, 1)),
        half_widths=(0.0032 * (1 - 0.85 * along) * draw.uniform(0.7, 1.2, (count, 1))).astype(np.float32),
        opacities=np.tile(0.85 * (1 - 0.6 * along), (count, 1)).astype(np.float32),
        occlusions=np.full((count, num_points), 0.7, np.float32),
        gloss=0.1,
    )
    share = draw.random((count, 1, 1)).astype(np.float32)
    return Lashes(strands=strands, first=first, second=second, share=share)


def _lay(
    shape: Shape,
    vertices: np.ndarray,
    weights: np.ndarray,
    direction: np.ndarray,
    length: np.ndarray,
    draw: np.random.Generator,
    *,
    lift: float,
    color: tuple[float, float, float],
    half_width: float,
    opacity: float,
) -> Rooted:
    """Strands that leave the skin at a slant and lie down along a direction."""
    places = np.einsum("sc,scx->sx", weights, shape.vertices[vertices]).astype(np.float32)
    normals = np.einsum("sc,scx->sx", weights, shape.normals[vertices])
    direction = direction - normals * np.einsum("sx,sx->s", direction, normals)[:, None]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True) + 1e-9
    count, num_points = len(places), 4
    along = np.linspace(0, 1, num_points)[None, :, None]
    rise = lift * (along - 0.55 * along**2)
    points = places[:, None] + length[:, None, None] * (direction[:, None] * along + normals[:, None] * rise)
    tone = np.exp(draw.normal(0, 0.18, (count, 1, 1)))
    shares = along[..., 0]
    taper = (1 - 0.8 * shares**1.5) * draw.uniform(0.75, 1.2, (count, 1))
    return Rooted(
        strands=Strands(
            points=points.astype(np.float32),
            normals=np.repeat(normals[:, None], num_points, axis=1).astype(np.float32),
            colors=(np.array(color) * tone * np.ones((1, num_points, 1))).astype(np.float32),
            half_widths=(half_width * taper).astype(np.float32),
            opacities=(opacity * (1 - 0.5 * shares) * np.ones((count, 1))).astype(np.float32),
            occlusions=np.full((count, num_points), 0.85, np.float32),
            gloss=0.35,
        ),
        vertices=vertices,
        weights=weights.astype(np.float32),
        places=places,
    )


def _roots(
    shape: Shape, density: Callable[..., np.ndarray], count: int, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`(root, corner)` vertices and weights of random places on the skin, by area and density."""
    head = template()
    triangles = head.triangles[head.groups == SKIN]
    center = head.canonical[triangles].mean(axis=1)
    triangles = triangles[density(*center.T) > 0.01]
    corners = shape.vertices[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    steps = np.cumsum(area)
    tries = 4 * count
    chosen = triangles[np.searchsorted(steps, draw.random(tries) * steps[-1])]
    root, split = np.sqrt(draw.random(tries)), draw.random(tries)
    weights = np.stack([1 - root, root * (1 - split), root * split], axis=1)
    places = np.einsum("rc,rcx->rx", weights, head.canonical[chosen])
    kept = np.flatnonzero(draw.random(tries) < density(*places.T))[:count]
    return chosen[kept], weights[kept]


@cache
def _lash_columns() -> tuple[np.ndarray, ...]:
    """Per sheet of lashes `(column, point)` vertices from root to tip.

    Each sheet is a grid of quads; its roots are the long side that is nearer to the eye's middle.
    """
    head = template()
    triangles = head.triangles[head.groups == LASHES]
    quads = np.concatenate([triangles[: len(triangles) // 2], triangles[len(triangles) // 2 :, 2:]], axis=1)
    neighbours: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            neighbours.setdefault(a, set()).add(b)
            neighbours.setdefault(b, set()).add(a)
    corners = [vertex for vertex, around in neighbours.items() if len(around) == 2]
    sides = [_walk(neighbours, corner, start) for corner in corners for start in sorted(neighbours[corner])]
    longest = [side for side in sides if len(side) > 12 and side[0] < side[-1]]
    sheets = []
    for side in longest:
        rows, visited = [side], set(side)
        while True:
            row = [next(iter(neighbours[vertex] - visited), None) for vertex in rows[-1]]
            if row[0] is None:
                break
            rows.append(row)
            visited.update(row)
        sheets.append(np.array(rows).T)
    return tuple(sheet for sheet in sheets if _starts_at_lid(sheet))


def _walk(neighbours: dict[int, set[int]], corner: int, start: int) -> list[int]:
    """Vertices along a grid's side, from one corner to the next."""
    path = [corner, start]
    while len(neighbours[path[-1]]) > 2:
        path.append(
            next(v for v in sorted(neighbours[path[-1]]) if v != path[-2] and len(neighbours[v]) <= 3)
        )
    return path


def _starts_at_lid(sheet: np.ndarray) -> bool:
    """Whether a sheet's first row is its roots: nearer to the eye's centre than its last."""
    places = template().canonical
    center = np.array([np.sign(places[sheet[0, 0], 0]), 0.0, 4.05])
    away = np.linalg.norm(places[sheet] - center, axis=-1)
    return away[:, 0].mean() < away[:, -1].mean()
