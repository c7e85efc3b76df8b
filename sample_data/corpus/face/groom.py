"""Grow a head of hair: a few guides follow a comb and keep off the skin, thousands of strands fill in.

Lengths are canonical units here (31 mm) until the strands are done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.face.hair_styles import STYLES, Style, hair_density, hairline_height
from sample_data.corpus.face.identity import Identity
from sample_data.corpus.face.mesh import (
    SHIRT,
    SKIN,
    from_canonical,
    template,
    to_canonical,
    vertex_values,
)
from sample_data.corpus.face.raster import vertex_normals
from sample_data.corpus.face.shape import Shape
from sample_data.corpus.face.strands import Strands
from sample_data.corpus.randomness import stream

NUM_GUIDES = 420
NUM_NEIGHBOURS = 3
CROWN = np.array([0.25, 3.5, -0.9])
"""Whorl from which hair falls to all sides."""
GATHERED = {"ponytail": np.array([0.0, 3.05, -2.0]), "bun": np.array([0.0, 4.05, -0.75])}
CLEARANCE = 0.10
"""Of guides from the skin, and of strands from their guides, which must not cut through bulges."""
DOWN = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Roots:
    """Where strands leave the skin: `(root, …)` places, outward normals, template places and density."""

    places: np.ndarray
    normals: np.ndarray
    template_places: np.ndarray
    density: np.ndarray


class _Obstacle:
    """The surface that hair keeps off, as its nearest vertex and that vertex's normal."""

    def __init__(self, shape: Shape):
        head = template()
        triangles = head.triangles[(head.groups == SKIN) | (head.groups == SHIRT)]
        normals = np.zeros_like(shape.vertices)
        vertex_normals(shape.vertices, triangles, 0, normals)
        places = to_canonical(shape.vertices)
        used = np.unique(triangles)
        # ears would ruffle the hair that lies behind them; the cavity of the mouth is no obstacle
        is_outside = (head.occlusion[used] > 0.15) & (vertex_values("ears")[used] < 0.3)
        used = used[(places[used, 1] > -9) & is_outside][::2]
        self._places, self._normals = places[used], normals[used]
        self._tree = cKDTree(self._places)

    def push_out(self, points: np.ndarray, clearance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points moved off the surface, the surface's normals there, and how far off it they were."""
        _, nearest = self._tree.query(points)
        normals = self._normals[nearest]
        height = np.einsum("ij,ij->i", points - self._places[nearest], normals)
        return points + normals * np.maximum(0.0, clearance - height)[:, None], normals, height


def grow_hair(identity: Identity, shape: Shape) -> Strands | None:
    """The hair on a head; None for a bald one."""
    if identity.hair_style not in STYLES:
        return None
    style = STYLES[identity.hair_style]
    draw = stream(identity.seed, "face groom")
    roots = _roots(identity, shape, NUM_GUIDES, draw)
    guides = _grow_guides(identity, style, roots, _Obstacle(shape), draw)
    filled = _roots(identity, shape, style.num_strands, draw)
    strands, density = _fill(identity, style, guides, roots, filled, draw), filled.density
    if identity.hair_style in GATHERED:
        tail = _tail(identity, style, draw)
        shuffled = draw.permutation(len(strands) + len(tail))
        strands = np.concatenate([strands, tail])[shuffled]
        density = np.concatenate([density, np.ones(len(tail))])[shuffled]
    return _finish(identity, style, strands, density, draw)


def _roots(identity: Identity, shape: Shape, count: int, draw: np.random.Generator) -> Roots:
    """Random places on the scalp, in proportion to area and density."""
    head = template()
    density = hair_density(identity, *head.canonical.T)
    triangles = head.triangles[head.groups == SKIN]
    triangles = triangles[density[triangles].max(axis=1) > 0.02]
    corners = shape.vertices[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    # the square root: a hairline of many fine hairs
    steps = np.cumsum(area * np.sqrt(density[triangles].mean(axis=1)))
    chosen = triangles[np.searchsorted(steps, draw.random(count) * steps[-1])]
    shares = np.sqrt(draw.random((count, 1))), draw.random((count, 1))
    weights = np.concatenate([1 - shares[0], shares[0] * (1 - shares[1]), shares[0] * shares[1]], axis=1)
    return Roots(
        places=np.einsum("rc,rcx->rx", weights, to_canonical(shape.vertices)[chosen]),
        normals=_unit(np.einsum("rc,rcx->rx", weights, shape.normals[chosen])),
        template_places=np.einsum("rc,rcx->rx", weights, head.canonical[chosen]),
        density=np.einsum("rc,rc->r", weights, density[chosen]),
    )


def _grow_guides(
    identity: Identity, style: Style, roots: Roots, obstacle: _Obstacle, draw: np.random.Generator
) -> np.ndarray:
    """`(guide, point, 3)` grown step by step along the comb."""
    lengths = _lengths(identity, style, roots) * draw.uniform(0.92, 1.0, len(roots.places))
    step = (lengths / (style.num_points - 1))[:, None]
    points = roots.places + 0.02 * roots.normals
    normals = roots.normals
    lift = style.lift * (
        1.0 if style.comb == "out" else 0.25 + 0.75 * smooth_step(roots.places[:, 1:2], 1.4, 2.8)
    )
    direction = _unit(lift * normals + _comb(identity, style, points, normals, roots))
    path = [points]
    height = np.zeros(len(points))
    hangs_before_face = _front(identity, roots) if style.fringe else np.zeros(len(points))
    for _ in range(style.num_points - 1):
        wanted = _comb(identity, style, points, normals, roots)
        # what hangs clear of the head knows only gravity
        clear = smooth_step(height, 0.15, 0.5)[:, None] if style.gravity > 0 else 0.0
        wanted = wanted * (1 - clear) + clear * DOWN
        direction = style.stiffness * direction + (1 - style.stiffness) * wanted + style.gravity * DOWN
        direction = _unit(direction)
        if style.cut_height is not None:
            goes_on = smooth_step(points[:, 1:2], style.cut_height - 0.15, style.cut_height + 0.1)
            step = step * (0.06 + 0.94 * goes_on)
        points, normals, height = obstacle.push_out(points + step * direction, CLEARANCE)
        points = _keep_off_face(points, roots, hangs_before_face)
        path.append(points)
    return np.stack(path, axis=1)


def _lengths(identity: Identity, style: Style, roots: Roots) -> np.ndarray:
    """`(root,)` lengths of strands, without the fringe's."""
    x, y, z = roots.template_places.T
    side = 1 - smooth_step(y - 0.25 * np.maximum(0.0, -z), 0.9, 2.2)
    lengths = style.top_length + (style.side_length - style.top_length) * side
    lengths = lengths * (identity.hair_length if style.top_length > 1 else 0.7 + 0.3 * identity.hair_length)
    if style.top_length < 3:
        # short hair is faded at the nape and over the ears
        lengths = lengths * (0.45 + 0.55 * smooth_step(y, -1.6, 0.8))
        at_ear = smooth_step(np.abs(x), 1.9, 2.1) * (1 - smooth_step(y, 0.5, 1.1)) * (z > -0.9)
        lengths = lengths * (1 - 0.65 * at_ear)
        if style.comb == "up":
            lengths = lengths * (0.6 + 0.4 * smooth_step(z, -1.0, 1.8))
    if style.fringe:
        is_front = _front(identity, roots)
        lengths = lengths + is_front * (np.maximum(0.6, y - 0.62) * 1.06 - lengths)
    return lengths


def _front(identity: Identity, roots: Roots) -> np.ndarray:
    """0 … 1 which roots the fringe grows from."""
    x, y, z = roots.template_places.T
    near = y - hairline_height(np.abs(x), identity) < 1.0
    return np.where((np.abs(x) < 1.55) & (z > 0.8), near, False).astype(float)


def _comb(
    identity: Identity, style: Style, points: np.ndarray, normals: np.ndarray, roots: Roots
) -> np.ndarray:
    """`(strand, 3)` unit direction in which strands want to go from where they are."""
    root = roots.template_places
    if style.comb == "out":
        return _unit(points - np.array([0.0, 0.9, -0.1]) + 0.25 * roots.normals)
    if style.comb == "gather":
        towards = GATHERED[identity.hair_style] - points
        flow = _unit(towards)
    elif style.comb == "crown":
        flow = points - CROWN
        flow[:, 1] *= 0.6
    elif style.comb in ("parting", "fringe"):
        side = np.tanh(14 * (root[:, 0] - identity.parting))
        # the front sweeps a little back, off the forehead
        back = -0.05 - 0.40 * smooth_step(root[:, 2], 0.5, 2.5)
        flow = np.stack([side, np.full(len(side), -0.30), back], axis=1)
        if style.top_length < 3:
            # short sides go back over the ears, the top goes a little forward
            low = 1 - smooth_step(root[:, 1:2], 1.0, 1.9)
            flow = (flow + np.array([0.0, 0.0, 0.55])) * (1 - low) + low * np.array([0.0, -0.45, -0.9])
        if style.fringe:
            is_front = _front(identity, roots)[:, None]
            fall = np.stack([0.10 * root[:, 0], -np.ones(len(root)), 0.5 * np.ones(len(root))], axis=1)
            flow = flow * (1 - is_front) + is_front * fall
    elif style.comb == "up":
        top = smooth_step(root[:, 1], 1.7, 2.6)
        flow = np.stack(
            [0.1 * root[:, 0], 0.1 * top - 0.9 * (1 - top), -0.9 * top - 0.35 * (1 - top)], axis=1
        )
    else:
        flow = np.tile([0.0, -0.12, -1.0], (len(points), 1))
        flow[:, 0] = 0.15 * root[:, 0]
    flow = flow - normals * np.einsum("ij,ij->i", flow, normals)[:, None]
    return _unit(flow)


def _keep_off_face(points: np.ndarray, roots: Roots, allowed: np.ndarray) -> np.ndarray:
    """Move what hangs before the cheeks to the sides of the face and back."""
    points = points.copy()
    x, y, z = points.T
    below = 1 - smooth_step(y, 1.7, 2.6)
    ahead = below * smooth_step(z, 0.4, 1.6) * (1 - allowed)
    side = np.where(roots.places[:, 0] >= 0, 1.0, -1.0)
    missing = np.maximum(0.0, 2.15 - 0.12 * np.maximum(0.0, -y) - side * x)
    points[:, 0] += side * 0.5 * missing * ahead
    points[:, 2] -= 0.22 * ahead * np.maximum(0.0, z - 0.4)
    return points


def _fill(
    identity: Identity,
    style: Style,
    guides: np.ndarray,
    guide_roots: Roots,
    roots: Roots,
    draw: np.random.Generator,
) -> np.ndarray:
    """`(strand, point, 3)` strands between guides, with volume, waves, clumps and stray ends."""
    count, num_points = len(roots.places), style.num_points
    away, near = cKDTree(_parted(identity, style, guide_roots)).query(
        _parted(identity, style, roots), k=NUM_NEIGHBOURS
    )
    weights = 1 / (away + 0.05)
    # guides that go elsewhere than the nearest one do not count
    tips = guides[near, -1] - guides[near[:, :1], -1]
    weights *= np.exp(-((np.linalg.norm(tips, axis=2) / 1.2) ** 2))
    weights /= weights.sum(axis=1, keepdims=True)
    relative = guides - guides[:, :1]
    points = np.einsum("sn,snpx->spx", weights, relative[near])
    along = np.linspace(0, 1, num_points)[None, :, None]
    clump = style.clump * along**1.5
    offset = roots.places - guide_roots.places[near[:, 0]]
    points = points * (1 - clump) + relative[near[:, 0]] * clump
    points += roots.places[:, None] - clump * offset[:, None]
    # ends of different length
    shorter = 1 - (0.25 if style.cut_height is None else 0.06) * draw.random((count, 1, 1)) ** 2
    points = roots.places[:, None] + (points - roots.places[:, None]) * (shorter * along + 1 - along)

    layer = draw.random((count, 1, 1))
    thickness = style.thickness * identity.hair_volume * smooth_step(roots.density, 0.1, 0.8)[:, None, None]
    rise = np.sqrt(np.clip(along * (8 if style.top_length > 3 else 4), 0, 1))
    if style.comb == "gather":
        rise = rise * np.clip((1 - along) * 4, 0, 1)
    outward = _outward(points)
    points = points + outward * ((CLEARANCE + thickness * layer) * rise)

    tangent = np.gradient(points, axis=1)
    tangent = _unit(tangent)
    across = _unit(np.cross(tangent, outward))
    upright = np.cross(across, tangent)
    if style.wave > 0:
        phase = 2 * np.pi * draw.random(len(guides))[near[:, 0]] + draw.normal(0, 0.5, count)
        turns = style.turns * draw.uniform(0.85, 1.15, count)
        angle = phase[:, None, None] + 2 * np.pi * turns[:, None, None] * along
        size = style.wave * np.clip(along * 2.4 - 0.15, 0, 1) * draw.uniform(0.7, 1.2, (count, 1, 1))
        points = points + size * np.cos(angle) * across
        if style.coils:
            points = points + size * np.sin(angle) * upright
    stray = draw.normal(0, 1, (count, 2, 1, 1)) * style.frizz
    stray = stray * (1 + 2.5 * (draw.random((count, 1, 1, 1)) > 0.97))
    bend = along**1.3
    return points + bend * (stray[:, 0] * across + np.abs(stray[:, 1]) * outward)


def _parted(identity: Identity, style: Style, roots: Roots) -> np.ndarray:
    """`(root, 4)` places that are far apart on the two sides of a parting, and of a fringe's edge."""
    apart = np.zeros(len(roots.places))
    if style.comb in ("parting", "fringe"):
        apart = 3.0 * np.sign(roots.template_places[:, 0] - identity.parting)
    if style.fringe:
        apart = np.where(_front(identity, roots) > 0, 0.0, apart)
    return np.concatenate([roots.places, apart[:, None]], axis=1)


def _tail(identity: Identity, style: Style, draw: np.random.Generator) -> np.ndarray:
    """`(strand, point, 3)` of what hangs or is wound where the hair is gathered."""
    count, along = 1500, np.linspace(0, 1, style.num_points)
    center = GATHERED[identity.hair_style]
    if identity.hair_style == "bun":
        radius = 0.95 * identity.hair_volume
        axis, turn = _unit(draw.normal(0, 1, (count, 3)) * [0.4, 1.0, 0.4]), draw.uniform(0, 2 * np.pi, count)
        first = _unit(np.cross(axis, [0.3, 0.1, 1.0]))
        second = np.cross(axis, first)
        angle = turn[:, None] + 2.6 * along[None]
        ring = np.cos(angle)[..., None] * first[:, None] + np.sin(angle)[..., None] * second[:, None]
        size = radius * draw.uniform(0.80, 1.0, (count, 1, 1)) * np.array([1.0, 0.85, 1.0])
        offset = 0.35 * draw.uniform(-1, 1, (count, 1, 1)) * axis[:, None] * radius
        return center + np.array([0, 0.35, 0]) + (0.94 * ring + offset) * size
    side = 1.0 if identity.parting >= 0 else -1.0
    knots = np.array(
        [[0, 3.05, -2.0], [0.5 * side, 3.6, -2.7], [1.5 * side, 2.2, -3.0], [2.1 * side, 0.0, -2.3],
         [2.2 * side, -2.2, -1.2], [2.1 * side, -4.2, -0.3], [1.9 * side, -5.6, 0.3]]
    )  # fmt: skip
    line = np.stack([np.interp(along, np.linspace(0, 1, len(knots)), knots[:, axis]) for axis in range(3)], 1)
    for _ in range(3):
        line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    spread = 0.12 + 0.62 * np.sin(np.pi * np.clip(along * 0.62 + 0.06, 0, 1)) ** 0.8
    place = draw.normal(0, 0.42, (count, 1, 3)) * spread[None, :, None]
    wave = 0.10 * np.sin(along * 9 + draw.normal(0, 0.5, (count, 1)))[..., None] * np.array([1.0, 0.0, 0.6])
    reach = draw.uniform(0.80, 1.0, (count, 1))
    stretched = np.stack([np.interp(reach * along, along, line[:, axis]) for axis in range(3)], axis=-1)
    return stretched + place + wave


def _finish(
    identity: Identity, style: Style, points: np.ndarray, density: np.ndarray, draw: np.random.Generator
) -> Strands:
    """Colour, width and shade of strands, and their places in dm."""
    count, num_points = points.shape[:2]
    along = np.linspace(0, 1, num_points)[None, :]
    tone = np.exp(draw.normal(0, 0.16, (count, 1)))
    paler = 0.82 + 0.30 * along
    colors = np.array(identity.hair_color)[None, None] * (tone * paler)[..., None]
    depth = _depth_in_mass(points)
    taper = np.clip((1 - along) * 3.5 + 0.12, 0, 1) * draw.uniform(0.75, 1.25, (count, 1))
    # fine and faint at the hairline, and faint where they leave the skin
    dense = smooth_step(density, 0.0, 0.7)[:, None]
    taper = taper * (0.5 + 0.5 * dense)
    opacity = 0.92 * np.clip((1 - along) * 5 + 0.15, 0, 1) * np.clip(0.25 + 0.75 * dense + 4 * along, 0, 1)
    opacity = opacity * (0.6 + 0.4 * dense)
    return Strands(
        points=from_canonical(points).astype(np.float32),
        normals=_outward(points).astype(np.float32),
        colors=colors.astype(np.float32),
        half_widths=(style.half_width * taper).astype(np.float32),
        opacities=opacity.astype(np.float32),
        occlusions=depth.astype(np.float32),
        num_shadow_points=1 + int((0.45 if style.coils else 0.75) * num_points),
        gloss=1.0 if identity.hair_style not in ("afro", "curly", "curly crop") else 0.6,
    )


def _depth_in_mass(points: np.ndarray) -> np.ndarray:
    """`(strand, point)` light that reaches a point: little where most hair around lies further out.

    The mass is divided into directions from the head's axis, and a point's distance is compared
    with those of all points there.
    """
    axis = np.array([0.0, 0.6, -0.1])
    centered = points - axis
    centered[..., 1] = np.where(centered[..., 1] > 0, centered[..., 1], 0.0)
    distance = np.linalg.norm(centered, axis=-1)
    unit = centered / (distance[..., None] + 1e-6)
    rows = np.clip(((points[..., 1] + 7) * 2).astype(int), 0, 25)
    columns = ((np.arctan2(unit[..., 0], unit[..., 2]) / (2 * np.pi) + 0.5) * 24).astype(int) % 24
    cell = (rows * 24 + columns).ravel()
    order = np.lexsort((distance.ravel(), cell))
    starts = np.searchsorted(cell[order], np.arange(26 * 24))
    counts = np.bincount(cell, minlength=26 * 24)
    rank = np.empty(cell.size)
    rank[order] = np.arange(cell.size) - starts[cell[order]]
    share = (rank + 0.5) / counts[cell]
    return (0.30 + 0.70 * share**0.8).reshape(distance.shape)


def _outward(points: np.ndarray) -> np.ndarray:
    """Direction away from the head's middle above, from its axis below."""
    offset = points - np.array([0.0, 0.6, -0.1])
    offset[..., 1] = np.where(offset[..., 1] > 0, offset[..., 1], 0.15 * offset[..., 1])
    return _unit(offset)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
