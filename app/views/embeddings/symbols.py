"""Shapes of points, so that no group is told by its colour alone."""

from __future__ import annotations

from collections.abc import Iterable

from core.labels import EMOTION_COLORS

FLAT = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "x",
    "star",
    "triangle-down",
    "pentagon",
    "hourglass",
    "triangle-left",
    "bowtie",
)
"""In two dimensions: as many as groups can be told apart by colour."""

SOLID = ("circle", "square", "diamond", "circle-open", "cross", "square-open", "diamond-open", "x")
"""All that there are in three dimensions, those of `FLAT` at their place there. They are characters of a
font: that of "x" is an emoji, which many machines draw as an empty box, so that it comes last."""


def symbols_of(names: Iterable[str], *, is_flat: bool) -> dict[str, str]:
    """A shape for every group; an emotion has the same one in every picture of as many dimensions.

    In three dimensions there are fewer shapes than groups may be, so that some differ by colour alone.
    """
    shapes = FLAT if is_flat else SOLID
    names = list(names)
    taken = {name: place for place, name in enumerate(EMOTION_COLORS) if name in names}
    free = [place for place in range(len(FLAT)) if place not in taken.values()]
    for name in names:
        if name not in taken:
            taken[name] = free.pop(0) if free else len(taken)
    return {name: shapes[taken[name] % len(shapes)] for name in names}
