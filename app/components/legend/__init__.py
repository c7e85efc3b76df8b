"""The legend of a map of points: names what its colours and shapes mean, and chooses the clips of a group.

It also has the map coloured as it says, by pressing hidden buttons of Plotly's. Plotly's own legend is out
of reach for a keyboard, hides what it is asked for, and comes with a figure that is drawn anew as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components.browser_side import browser_side

MARK = "legendgroup"
"""Of every trace of points, what tells how they are coloured."""

_mount = browser_side(
    "legend",
    html='<div class="legend"></div>',
    css="legend.css",
    js=("legend.js",),
)


def legend(
    chart: str,
    entries: Sequence[tuple[str, str, str]],
    *,
    colour: str,
    place: int | None,
    title: str,
    is_ringed: bool,
    key: str,
    on_pick,
) -> None:
    """Draws the legend; `on_pick(name)` is called with the group whose clips are to be chosen.

    Args:
        chart: key of the container that the chart is drawn into.
        entries: name, CSS colour and shape of each group, a shape as Plotly calls it; empty for a scale from
            0 to 1.
        colour: how the points shall be coloured, as `MARK` tells it.
        place: which of the chart's buttons colours them so; None where it is drawn so.
        title: what the colours tell.
        is_ringed: the chart has a ring around the opened clip.
        key: of the component.
        on_pick: takes a name; None where clips cannot be chosen.
    """
    names = {name for name, _, _ in entries}

    def picked() -> None:
        name = st.session_state[key].get("pick")
        if name in names and on_pick is not None:
            on_pick(name)

    _mount(
        key=key,
        data={
            "chart": chart,
            "mark": MARK,
            "colour": colour,
            "place": place,
            "title": title,
            "entries": [list(entry) for entry in entries],
            "ring": is_ringed,
            "picks": on_pick is not None,
        },
        on_pick_change=picked,
    )
