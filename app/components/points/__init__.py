"""A click on a point of a chart: Streamlit tells of none while a lasso or a box can be drawn in it."""

from __future__ import annotations

import streamlit as st

from app.components.browser_side import browser_side

_mount = browser_side(
    "points",
    html='<div class="points" hidden></div>',
    js=("points.js",),
)


def points(chart: str, *, num_rows: int, key: str, on_pick, on_let_go) -> None:
    """Draws nothing; `on_pick(row)` is called with the first number of a clicked point's `customdata`.

    Streamlit tells of a double click between the points only where it knows of a lasso or a box: one that the
    chart was drawn with, it does not know.

    Args:
        chart: key of the container that the chart is drawn into.
        num_rows: from 0 on, what the number may be.
        key: of the component.
        on_pick: takes one int.
        on_let_go: called without arguments after a double click between the points.
    """

    def picked() -> None:
        row = st.session_state[key].get("pick")
        if isinstance(row, int) and 0 <= row < num_rows:
            on_pick(row)

    def let_go() -> None:
        if st.session_state[key].get("free"):
            on_let_go()

    _mount(key=key, data={"chart": chart}, on_pick_change=picked, on_free_change=let_go)
