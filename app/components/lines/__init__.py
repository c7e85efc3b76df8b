"""A chart of lines, told apart by dash and mark too; pointing at it tells the values of all lines there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from app.components.browser_side import browser_side

_mount = browser_side("lines", html='<div class="lines"></div>', css="lines.css", js=("lines.js",))

DASHES = ("", "8 5", "2 4", "8 4 2 4", "14 6", "14 4 2 4", "5 2 1 2")
"""What tells lines apart, as SVG writes it; the first is solid."""

SYMBOLS = ("circle", "diamond", "square", "triangle", "cross")
"""Marks of points; a "star" stands on the one that is marked."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points.

    Attributes:
        name: as text.
        color: in CSS.
        dash: of `DASHES`.
        symbol: of `SYMBOLS`.
        xs: ascending, of the points.
        ys: of the points; None where one is not known.
        star: place of the point that is marked, None for none.
    """

    name: str
    color: str
    dash: str
    symbol: str
    xs: tuple[float, ...]
    ys: tuple[float | None, ...]
    star: int | None = None


def lines(found: Sequence[Line], *, x_title: str, y_title: str, alt: str, key: str) -> None:
    """Draws the lines on axes as wide as their values.

    Args:
        found: at least one, with at least one known value.
        x_title: of the axis, with its unit.
        y_title: likewise.
        alt: the chart in a sentence, for who cannot see it.
        key: of the component.
    """
    told = [asdict(line) for line in found]
    _mount(key=key, data={"lines": told, "xTitle": x_title, "yTitle": y_title, "alt": alt})
