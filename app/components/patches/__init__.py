"""One frame as the compression sees it: its patches, which were kept, and which absorbed which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.components.browser_side import browser_side

_mount = browser_side(
    "patches",
    html='<div class="patches"></div>',
    css="patches.css",
    js=("patches.js",),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchPicture:
    """A frame's patches at one compression step.

    Attributes:
        picture: data URI of the crop that the model saw.
        grid: (rows, columns) of patches.
        kept: `(patch,)` bool.
        absorbed_by: `(patch,)` index of the patch that holds this one, itself where kept, -1 for none.
        relevance: `(patch,)` in this step, NaN where the patch was gone before; None before any step, where
            nothing is said of keeping.
        shows_fate: what went is veiled, and what was kept is counted.
        shows_ties: a line leads from every merged patch to the one that holds it, not only from the one
            that is pointed at.
        points: `(row, column)` what each part of the picture gave, in percentage points, on a grid that may
            be another; None where that is not to be seen.
        scale: what of it is drawn in full colour.
    """

    picture: str
    grid: tuple[int, int]
    kept: np.ndarray
    absorbed_by: np.ndarray
    relevance: np.ndarray | None = None
    shows_fate: bool = True
    shows_ties: bool = False
    points: np.ndarray | None = None
    scale: float = 0.0


def payload(view: PatchPicture) -> dict[str, Any]:
    """The picture as the plain JSON types that the browser side reads."""
    relevance = [None] * len(view.kept) if view.relevance is None else view.relevance.tolist()
    return {
        "picture": view.picture,
        "rows": view.grid[0],
        "columns": view.grid[1],
        "isBefore": view.relevance is None,
        "kept": [bool(kept) for kept in view.kept],
        "absorbedBy": [int(patch) for patch in view.absorbed_by],
        "relevance": [
            None if value is None or np.isnan(value) else round(float(value), 5) for value in relevance
        ],
        "showsFate": view.shows_fate,
        "showsTies": view.shows_ties,
        "points": None if view.points is None else np.round(view.points, 4).tolist(),
        "scale": view.scale,
    }


def patches(view: PatchPicture, *, key: str) -> None:
    """Draws the frame; pointing at a patch, or moving to it with the arrow keys, tells its story."""
    _mount(key=key, data=payload(view))
