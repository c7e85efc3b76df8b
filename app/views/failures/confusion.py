"""The confusion matrix: which class is taken for which, a click opens the clips."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from app.components.matrix import MatrixCell, matrix
from app.views.markup import UNIT_SPACE
from app.views.picking import is_drawn, menu_key, picked_option
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation import Evaluation

ANY = "any"


def confusion(evaluation: Evaluation) -> np.ndarray:
    """`(label, prediction)` counts of the clips."""
    num = len(evaluation.labels)
    told = pd.Index(evaluation.labels).get_indexer(evaluation.predictions["prediction"])
    return np.bincount(evaluation.truth * num + told, minlength=num * num).reshape(num, num)


def cells(counts: np.ndarray, *, is_share: bool) -> list[list[MatrixCell]]:
    """`[label][prediction]` count, share of the row (0 where that has no clip) and what is written."""
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    return [
        [
            MatrixCell(
                count=int(count), share=round(float(share), 4), shown=_shown(count, share, is_share=is_share)
            )
            for count, share in zip(*row, strict=True)
        ]
        for row in zip(counts, shares, strict=True)
    ]


def confusion_chart(
    evaluation: Evaluation, *, is_share: bool, chosen: tuple[str | None, str | None] | None, on_share, on_cell
) -> None:
    """Draws the matrix with a switch for shares, fields that choose a cell with the keyboard, and its table.

    Args:
        evaluation: read or made.
        is_share: shares of the rows in place of counts.
        chosen: label and prediction of the cell that is shown below, None for any; None where no cell is.
        on_share: takes whether shares are wanted.
        on_cell: takes a label and a prediction, either None for any.
    """
    labels = evaluation.labels

    def switched() -> None:
        on_share(st.session_state["confusion-share"] == "Share of the row")

    def picked() -> None:
        wanted = [picked_option(key, options) for key in fields if is_drawn(key)]
        if len(wanted) == len(fields) and None not in wanted:
            on_cell(*(None if name == ANY else name for name in wanted))

    st.session_state["confusion-share"] = "Share of the row" if is_share else "Clips"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        unit = "% of the row’s clips" if is_share else "clips"
        st.html(
            f'<div class="chart-title">Labelled as …, predicted as … <span>{unit}</span></div>',
            width="content",
        )
        st.segmented_control(
            "Cells tell",
            ["Clips", "Share of the row"],
            key="confusion-share",
            on_change=switched,
            required=True,
            label_visibility="collapsed",
        )
    rows = cells(confusion(evaluation), is_share=is_share)
    matrix(
        labels,
        rows,
        chosen=chosen,
        alt=f"Confusion matrix of {len(labels)} emotions; the box below, once opened, holds its numbers.",
        key="confusion-matrix",
        on_pick=on_cell,
    )
    st.caption(
        "Rows are labels, columns what the model says; the diagonal, in bold, is right. The fuller a cell, "
        "the larger its share of the row, whichever number is written. Click a cell to see its clips."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", key="cell-fields"):
        label, prediction = chosen or (None, None)
        options = [ANY, *labels]
        fields = menu_key("cell-label", label or ANY), menu_key("cell-prediction", prediction or ANY)
        for name, key in zip(("Labelled", "Predicted as"), fields, strict=True):
            st.selectbox(name, options, key=key, on_change=picked, width=160)
    with table_twin("confusion-table") as is_open:
        if is_open:
            draw_table(matrix_table(rows, labels))


def matrix_table(rows: list[list[MatrixCell]], labels: tuple[str, ...]) -> pd.DataFrame:
    """The table twin: what is written in each cell, labels down and predictions across."""
    shown = [[cell.shown for cell in row] for row in rows]
    return pd.DataFrame(shown, index=pd.Index(labels, name="labelled"), columns=list(labels))


def _shown(count: int, share: float, *, is_share: bool) -> str:
    return f"{100 * share:.0f}{UNIT_SPACE}%" if is_share else f"{count:,}"
