"""The confusion matrix: a grid of cells, filled by their share of the row, of which one may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from app.components.browser_side import browser_side

_mount = browser_side(
    "matrix",
    html='<div class="matrix" role="grid"></div><div class="tip" aria-hidden="true" hidden></div>',
    css="matrix.css",
    js=("matrix.js",),
)


@dataclass(frozen=True, kw_only=True)
class MatrixCell:
    """What is told of the clips with a label and a prediction.

    Attributes:
        count: of the clips.
        share: of the row's clips, 0 … 1.
        shown: what is written in the cell.
    """

    count: int
    share: float
    shown: str


def matrix(
    labels: Sequence[str],
    rows: Sequence[Sequence[MatrixCell]],
    *,
    chosen: tuple[str | None, str | None] | None,
    alt: str,
    key: str,
    on_pick,
) -> None:
    """Draws the matrix; `on_pick(label, prediction)` is called when another cell is clicked, or entered.

    Args:
        labels: of the rows, and of the columns.
        rows: a row for each label, with a cell for each prediction.
        chosen: label and prediction of what is framed, None for any; None where nothing is.
        alt: the matrix in a sentence, for who cannot see it.
        key: of the component.
        on_pick: takes two labels.
    """

    def picked() -> None:
        cell = st.session_state[key].get("pick")
        # one who still sees other data may tell labels that these have not
        if isinstance(cell, list) and len(cell) == 2 and set(cell) <= set(labels):
            on_pick(*cell)

    _mount(
        key=key,
        data={
            "labels": list(labels),
            "rows": [[asdict(cell) for cell in row] for row in rows],
            "chosen": None if chosen is None else list(chosen),
            "alt": alt,
        },
        on_pick_change=picked,
    )
