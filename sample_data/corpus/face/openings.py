"""Where the edges of lids and lips run: what lies behind them is shaded by its distance from them.

Baked occlusion knows neither closed eyes nor open mouths, and shadow maps are too coarse for a lid's shadow
on the eye. So the openings' edges are followed through every expression as curves over the head's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np

from sample_data.corpus.face.mesh import LEFT_EYE, RIGHT_EYE, SKIN, UNIT, template, vertex_values

LEFT_LIDS, RIGHT_LIDS, LIPS = range(3)
NUM_STEPS = 17
"""Of the curves' tables, from one corner to the other."""
_LID_REACH, _LIP_REACH = 0.36, 0.80
"""From the middle to where the edges are followed, canonical units."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Opening:
    """Vertices along the upper and the lower edge, in order of X."""

    upper: np.ndarray
    lower: np.ndarray


@cache
def openings() -> tuple[Opening, Opening, Opening]:
    """The left eye's, the right eye's and the mouth's edges on the template."""
    head = template()
    skin, places = head.vertices_of(SKIN), head.canonical
    lid_drop = _drop("eyeBlinkLeft") + _drop("eyeBlinkRight")
    jaw_drop = _drop("jawOpen")
    found = []
    for eye in (LEFT_EYE, RIGHT_EYE):
        ball = places[head.vertices_of(eye)]
        middle = (ball.min(axis=0) + ball.max(axis=0)) / 2
        radius = (ball[:, 0].max() - ball[:, 0].min()) / 2
        away = places[skin] - middle
        near = skin[(np.linalg.norm(away, axis=1) < 1.4 * radius) & (away[:, 2] > 0.35 * radius)]
        found.append(_follow(near, middle[0], _LID_REACH, 11, lid_drop < -0.02))
    lips = skin[(vertex_values("lips")[skin] > 0.3) & (places[skin, 2] > 4.4)]
    found.append(_follow(lips, 0.0, _LIP_REACH, 15, jaw_drop > -0.3))
    return tuple(found)


def _drop(shape: str) -> np.ndarray:
    """`(vertex,)` upward movement by an expression shape, canonical units."""
    head = template()
    index = head.expression_names[shape]
    part = slice(head.expression_starts[index], head.expression_starts[index + 1])
    moved = np.zeros(len(head.canonical))
    moved[head.expression_vertices[part]] = head.expression_moves[part, 1] / UNIT
    return moved


def _follow(
    vertices: np.ndarray, middle: float, reach: float, num_places: int, is_upper: np.ndarray
) -> Opening:
    """The lowest vertex of the upper and the highest of the lower edge at evenly spaced places."""
    places = template().canonical
    upper, lower = [], []
    borders = np.linspace(middle - reach, middle + reach, num_places + 1)
    for start, end in zip(borders[:-1], borders[1:], strict=True):
        here = vertices[(places[vertices, 0] >= start) & (places[vertices, 0] < end)]
        above, below = here[is_upper[here]], here[~is_upper[here]]
        if len(above) and len(below):
            upper.append(above[np.argmin(places[above, 1])])
            lower.append(below[np.argmax(places[below, 1])])
    return Opening(upper=np.array(upper), lower=np.array(lower))


def edge_curves(vertices: np.ndarray) -> np.ndarray:
    """The openings' edges of a head that is not turned.

    Args:
        vertices: `(vertex, 3)` with the expression, dm.

    Returns:
        `(opening, start X/end X/upper Y …/lower Y …)` float32: heights at `NUM_STEPS` places from start to
        end.
    """
    curves = np.empty((3, 2 + 2 * NUM_STEPS), np.float32)
    for row, opening in zip(curves, openings(), strict=True):
        upper, lower = vertices[opening.upper], vertices[opening.lower]
        row[0] = max(upper[:, 0].min(), lower[:, 0].min())
        row[1] = min(upper[:, 0].max(), lower[:, 0].max())
        places = np.linspace(row[0], row[1], NUM_STEPS)
        for part, edge in ((slice(2, 2 + NUM_STEPS), upper), (slice(2 + NUM_STEPS, None), lower)):
            order = np.argsort(edge[:, 0], kind="stable")
            row[part] = np.interp(places, edge[order, 0], edge[order, 1])
    return curves


@numba.njit(cache=True, fastmath=True)
def edges_at(curve, x):
    """Place along an opening (0 … 1 between its corners, beyond them outside), and its edges' heights there.

    Args:
        curve: one row of `edge_curves`.
        x: dm.

    Returns:
        Place, upper height and lower height, dm.
    """
    place = (x - curve[0]) / (curve[1] - curve[0])
    step = min(max(place, 0.0), 1.0) * (NUM_STEPS - 1)
    first = min(int(step), NUM_STEPS - 2)
    share = step - first
    upper = curve[2 + first] * (1 - share) + curve[3 + first] * share
    lower = curve[2 + NUM_STEPS + first] * (1 - share) + curve[3 + NUM_STEPS + first] * share
    return place, upper, lower
