"""The confusion matrix: which class is taken for which, a click opens the clips."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from app.views.markup import UNIT_SPACE, plain_table
from app.views.picking import is_drawn, menu_key, picked_option
from app.views.twin import table_twin
from core.evaluation import Evaluation

CHART_KEY = "confusion-chart"
CELL = "cell"
"""The chart's selection parameter."""

ANY = "any"
INK, GROUND, FILL = (
    {"light": "#22262e", "dark": "#e8e7e4"},
    {"light": "#e0dcd5", "dark": "#33373f"},
    "#0e6674",
)
HIGH_SHARE = 0.45
"""Shares of a row above this are filled so darkly that their number is white."""


def confusion(evaluation: Evaluation) -> np.ndarray:
    """`(label, prediction)` counts of the clips."""
    num = len(evaluation.labels)
    told = pd.Index(evaluation.labels).get_indexer(evaluation.predictions["prediction"])
    return np.bincount(evaluation.truth * num + told, minlength=num * num).reshape(num, num)


def cells_table(counts: np.ndarray, labels: tuple[str, ...], *, is_share: bool) -> pd.DataFrame:
    """One row per cell: label, prediction, count, share of the row (0 without a clip) and what is written."""
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    rows = [
        {
            "label": label,
            "prediction": prediction,
            "count": int(counts[i, j]),
            "share": float(shares[i, j]),
            "shown": _shown(counts[i, j], shares[i, j], is_share=is_share),
            "is_right": i == j,
        }
        for i, label in enumerate(labels)
        for j, prediction in enumerate(labels)
    ]
    return pd.DataFrame(rows)


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

    def clicked() -> None:
        points = st.session_state[CHART_KEY]["selection"].get(CELL) or []
        # drawing the chart anew empties the selection, which nobody meant
        if points and (cell := (points[0].get("label"), points[0].get("prediction"))) != chosen:
            on_cell(*cell)

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
    table = cells_table(confusion(evaluation), labels, is_share=is_share)
    st.altair_chart(
        _chart(table, labels, chosen),
        key=CHART_KEY,
        on_select=clicked,
        selection_mode=[CELL],
        alt=f"Confusion matrix of {len(labels)} emotions; the box below, once opened, holds its numbers.",
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
            st.table(plain_table(matrix_table(table, labels)))


def matrix_table(table: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """The table twin: what is written in each cell, labels down and predictions across."""
    wide = table.pivot(index="label", columns="prediction", values="shown").loc[list(labels), list(labels)]
    return wide.rename_axis(index="labelled", columns=None)


def _shown(count: int, share: float, *, is_share: bool) -> str:
    return f"{100 * share:.0f}{UNIT_SPACE}%" if is_share else f"{count:,}"


def _chart(
    table: pd.DataFrame, labels: tuple[str, ...], chosen: tuple[str | None, str | None] | None
) -> alt.LayerChart:
    theme = "dark" if st.context.theme.type == "dark" else "light"
    label, prediction = chosen or (None, None)
    is_chosen = np.full(len(table), chosen is not None)
    for name, wanted in (("label", label), ("prediction", prediction)):
        if wanted is not None:
            is_chosen &= (table[name] == wanted).to_numpy()
    table = table.assign(
        is_chosen=is_chosen,
        fill=0.06 + 0.94 * table["share"],
        ink=np.where(table["share"] > HIGH_SHARE, "#ffffff", INK[theme]),
    )
    axis = {"title": None, "labelFontSize": 13, "domain": False, "ticks": False, "labelColor": INK[theme]}
    base = alt.Chart(table).encode(
        x=alt.X("prediction:N", sort=list(labels), axis=alt.Axis(orient="top", labelAngle=-30, **axis)),
        y=alt.Y("label:N", sort=list(labels), axis=alt.Axis(labelLimit=120, labelFlush=False, **axis)),
        tooltip=[
            alt.Tooltip("label:N", title="labelled"),
            alt.Tooltip("prediction:N", title="predicted as"),
            alt.Tooltip("count:Q", title="clips"),
            alt.Tooltip("share:Q", title="share of the row", format=".1%"),
        ],
    )
    rect = base.mark_rect(color=FILL, cornerRadius=4, cursor="pointer").encode(
        fillOpacity=alt.FillOpacity("fill:Q", scale=None, legend=None),
        stroke=alt.condition("datum.is_chosen", alt.value(INK[theme]), alt.value(GROUND[theme])),
        strokeWidth=alt.condition("datum.is_chosen", alt.value(3), alt.value(1)),
    )
    # clicks belong to the cells, and so does the parameter that the text must not have twice
    rect = rect.add_params(alt.selection_point(name=CELL, fields=["label", "prediction"], empty=False))
    text = base.mark_text(fontSize=14, cursor="pointer").encode(
        text="shown:N", color=alt.Color("ink:N", scale=None, legend=None)
    )
    bold, plain = (text.transform_filter(f"datum.is_right == {value}") for value in ("true", "false"))
    bold = bold.mark_text(fontSize=14, fontWeight=700)
    return alt.layer(rect, plain, bold).properties(height=56 + 44 * len(labels)).configure_view(strokeWidth=0)
