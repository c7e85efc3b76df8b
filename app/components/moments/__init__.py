"""Buttons and a slider for an animation that Plotly draws: its own are out of reach for a keyboard."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from app.components.browser_side import browser_side

MOVE_MILLISECONDS, STAY_MILLISECONDS = 400, 300

_mount = browser_side(
    "moments",
    html='<div class="moments" role="group"></div>',
    js=("moments.js",),
    css="moments.css",
)


def animated_chart(
    figure: go.Figure, *, words: Sequence[str], slider: str, key: str, alt: str, config: dict[str, object]
) -> None:
    """Draws a figure with frames, and below it a button that plays them and a slider.

    Args:
        figure: its frames have names; it shows the last one.
        words: of every frame, what the slider tells: "epoch 3".
        slider: what it moves through, for who cannot see it.
        key: of the chart; those of the container and of the component begin with it.
        alt: the figure in words.
        config: of Plotly.
    """
    names = [frame.name for frame in figure.frames]
    with st.container(key=f"{key}-moments", gap="xsmall"):
        st.plotly_chart(_with_buttons(figure, names), key=key, alt=alt, config=config)
        _mount(
            key=f"{key}-controls",
            data={
                "chart": f"{key}-moments",
                "words": list(words),
                "slider": slider,
                "stay": MOVE_MILLISECONDS + STAY_MILLISECONDS,
            },
        )


def _with_buttons(figure: go.Figure, names: Sequence[str]) -> go.Figure:
    """The figure with a button for every frame, which the style sheet hides and the component presses."""
    move = {
        "mode": "immediate",
        "frame": {"duration": MOVE_MILLISECONDS, "redraw": False},
        "transition": {"duration": MOVE_MILLISECONDS},
    }
    buttons = [{"label": name, "method": "animate", "args": [[name], move]} for name in names]
    # within the plot, so that no margin is made for it
    menu = {"type": "buttons", "buttons": buttons, "x": 0, "y": 1, "xanchor": "left", "yanchor": "top"}
    return go.Figure(figure).update_layout(updatemenus=[menu | {"font": {"size": 1}}])
