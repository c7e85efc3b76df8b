"""The few kinds of figures that a report draws, all alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.labels import EMOTION_COLORS

BLUE, GREY = "#2f6fb5", "#8a919c"
SERIES_COLORS = (BLUE, "#c77a00", "#3f8f4f", "#7b4fb5", "#b5476f", "#4a4f57")


def intervals(
    rows: Sequence[tuple[str, str, float, float, float]], *, x_title: str, zero: float | None = 0.0
) -> go.Figure:
    """Values with their intervals, one line per name.

    Args:
        rows: (name, series, value, low, high).
        x_title: with the unit.
        zero: where a line is drawn for comparison.
    """
    figure = go.Figure()
    series = list(dict.fromkeys(row[1] for row in rows))
    for number, one in enumerate(series):
        chosen = [row for row in rows if row[1] == one]
        value, low, high = (np.array([row[at] for row in chosen], float) for at in (2, 3, 4))
        figure.add_scatter(
            y=[row[0] for row in chosen],
            x=value,
            error_x={"type": "data", "array": high - value, "arrayminus": value - low, "thickness": 1.5},
            mode="markers",
            orientation="h",
            offsetgroup=one,
            marker={"size": 9, "color": SERIES_COLORS[number % len(SERIES_COLORS)]},
            name=one,
        )
    if zero is not None:
        figure.add_vline(x=zero, line={"color": GREY, "width": 1, "dash": "dot"})
    names = len(dict.fromkeys(row[0] for row in rows))
    figure.update_yaxes(autorange="reversed")
    if len(series) > 1:
        figure.update_layout(scattermode="group", scattergap=0.3)
    return styled(figure, x_title, "", height=140 + names * (22 + 12 * len(series)), legend=len(series) > 1)


def boxes(groups: dict[str, Sequence[float]], *, y_title: str, zero: float | None = None) -> go.Figure:
    """Distributions side by side; emotions in their own colours."""
    figure = go.Figure()
    for name, values in groups.items():
        figure.add_box(
            y=[round(float(value), 4) for value in values],
            name=name,
            marker={"color": EMOTION_COLORS.get(name, BLUE), "size": 3},
            boxpoints="outliers",
        )
    if zero is not None:
        figure.add_hline(y=zero, line={"color": GREY, "width": 1, "dash": "dot"})
    return styled(figure, "", y_title, legend=False)


def curves(
    courses: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    x: Sequence[float],
    *,
    x_title: str,
    y_title: str,
) -> go.Figure:
    """Courses `name → (value, low, high)` with bands."""
    figure = go.Figure()
    for number, (name, (value, low, high)) in enumerate(courses.items()):
        color = SERIES_COLORS[number % len(SERIES_COLORS)]
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*high, *reversed(low)],
            fill="toself",
            fillcolor=color,
            opacity=0.15,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=list(x), y=list(value), mode="lines", line={"color": color, "width": 2}, name=name
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    return styled(figure, x_title, y_title)


def histogram(values: Sequence[float], *, x_title: str, step: float) -> go.Figure:
    """How often values occur."""
    figure = go.Figure()
    figure.add_histogram(x=list(values), xbins={"size": step}, marker={"color": BLUE})
    return styled(figure, x_title, "clips", legend=False)


def confusion(counts: np.ndarray, labels: Sequence[str]) -> go.Figure:
    """Truth by row, prediction by column, each row in shares of one; counts are written in."""
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            z=counts / totals,
            x=list(labels),
            y=list(labels),
            text=counts,
            texttemplate="%{text}",
            colorscale="Blues",
            zmin=0,
            zmax=1,
            colorbar={"title": "share of row"},
        )
    )
    figure.update_yaxes(autorange="reversed")
    return styled(figure, "predicted", "label", height=430, legend=False)


def styled(
    figure: go.Figure, x_title: str, y_title: str, *, height: int = 380, legend: bool = True
) -> go.Figure:
    """The figure in the report's dress."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 70, "r": 20, "t": 20, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13},
        showlegend=legend,
    )
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return figure
