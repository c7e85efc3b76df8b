"""Tables of a report: numbered, each with its note, and figures with their intervals in cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.report_drawings import rail_svg
from app.views.markup import said
from core.evaluation import Estimate

FILL = "var(--fill)"
"""Colour of what belongs to no emotion."""


class Numbers:
    """Numbers tables and figures in the order in which they are asked for."""

    def __init__(self) -> None:
        self._tables = self._figures = 0

    def table(self, caption: str) -> str:
        """The caption of the next table."""
        self._tables += 1
        return f"Table {self._tables}. {caption}"

    def figure(self, caption: str) -> str:
        """The caption of the next figure."""
        self._figures += 1
        return f"Figure {self._figures}. {caption}"


def tabled(content: str, note: str = "", *, kind: str = "") -> str:
    """A table that scrolls by itself where it is too wide, with what to know of it below.

    Args:
        content: the table, HTML already.
        note: as text.
        kind: further classes; "long" for one that may be parted between pages.
    """
    below = f'<p class="note">{said(note)}</p>' if note else ""
    return f'<div class="tabled {kind}"><div class="scroll" tabindex="0">{content}</div>{below}</div>'


def estimate_cell(
    estimate: Estimate, color: str, *, low: float = 0.0, high: float = 1.0, marks: Sequence[float] = ()
) -> str:
    """A figure with its interval, in numbers and on a rail (`app.report_drawings.rail_svg`)."""
    if estimate.value is None:
        return '<td class="estimate">–</td>'
    ends = ""
    if estimate.low is not None and estimate.high is not None:
        ends = f" <small>{estimate.low:.2f}–{estimate.high:.2f}</small>"
    rail = rail_svg(estimate, color, low=low, high=high, marks=marks)
    return f'<td class="estimate"><b>{estimate.value:.2f}</b>{ends}{rail}</td>'


def listing(sentences: Iterable[str]) -> str:
    """Sentences as a list."""
    items = "".join(f"<li>{said(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""
