"""The space over the epochs of training, as an animation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.components.moments import animated_chart
from app.views.embeddings.symbols import symbols_of
from app.views.markup import color_of, plotted
from app.views.twin import table_twin
from core.evaluation.spaces import NUM_NEIGHBOURS, Points, principal, space_quality
from core.labels import EMOTION_COLORS
from core.space import Space

NO_SPACE = (
    "This checkpoint is not installed here, or kept no space over its training: "
    "`deepmsi train` keeps the embeddings of some dev clips after every epoch."
)

OPENED_COLOR = "#d33c2f"
START = "start"
"""What the moment before the first epoch is called."""


RETRIEVAL = f"retrieval@{NUM_NEIGHBOURS}"


def epochs_table(space: Space, name: str) -> pd.DataFrame:
    """How well the labels are parted after every epoch, in all dimensions; no rows where it is empty.

    Args:
        space: of the checkpoint.
        name: of `core.space.SPACES`.
    """
    values, known = _known(space, name)
    labels = np.array(space.labels, object)[known].astype(str)
    rows = np.arange(len(labels))
    measured = []
    for epoch, moment in zip(space.epochs if len(labels) else (), values, strict=False):
        points = Points(vectors=moment, rows=rows, modalities=np.full(len(rows), name, object))
        quality = space_quality(points, labels)
        measured.append((_told(epoch), quality.silhouette, quality.retrieval, quality.chance))
    table = pd.DataFrame(measured, columns=["epoch", "silhouette", RETRIEVAL, "by chance"])
    return table.set_index("epoch").round(3)


def epochs_words(table: pd.DataFrame) -> str:
    """The animation in a sentence, for who cannot see it."""
    first, last = table.iloc[0], table.iloc[-1]

    def goes(name: str) -> str:
        return f"{name} goes from {first[name]:.2f} to {last[name]:.2f}"

    return (
        f"Points of clips over {len(table)} moments of training, {table.index[0]} to epoch "
        f"{table.index[-1]}: {goes(RETRIEVAL)}, {goes('silhouette')}. The box below, once "
        "opened, has every epoch."
    )


def epochs_chart(figure: go.Figure, table: pd.DataFrame, *, key: str, config: dict[str, object]) -> None:
    """Draws the animation with what plays it.

    Args:
        figure: of `epochs_figure`.
        table: of `epochs_table`.
        key: of the chart.
        config: of Plotly.
    """
    words = [frame.name if frame.name == START else f"epoch {frame.name}" for frame in figure.frames]
    animated_chart(figure, words=words, slider="Epoch", key=key, alt=epochs_words(table), config=config)


def epochs_list(table: pd.DataFrame) -> None:
    """Draws the table, and how to read it."""
    with table_twin("epochs-table", "Every epoch as a table") as is_open:
        if is_open:
            st.dataframe(
                table, column_config={name: st.column_config.NumberColumn(format="%.2f") for name in table}
            )
            st.caption(
                f"Silhouette: emotions parted 1, touching 0, mixed below 0. {RETRIEVAL}: share of the "
                f"{NUM_NEIGHBOURS} nearest clips with the same label, beside what a random order gives. Both "
                "in all dimensions of the space, of which the picture shows two."
            )


def _known(space: Space, name: str) -> tuple[np.ndarray, np.ndarray]:
    """`(moment, clip, width)` of the clips that have the space throughout, and `(clip,)` which those are."""
    values = space.embeddings[name].astype(float)
    known = ~np.isnan(values).any(axis=(0, 2))
    return values[:, known], known


def _told(epoch: int) -> str:
    return START if epoch < 0 else str(epoch + 1)


MARKED = "this clip"

_PLACES = {label: place for place, label in enumerate(EMOTION_COLORS)}
"""Where an emotion stands in legends, here as in all other pictures; others follow."""


def epochs_figure(space: Space, name: str, *, marked: np.ndarray | None = None) -> go.Figure | None:
    """An animation of one space: where the same clips lay after every epoch.

    The directions are the principal ones after the last epoch, so that what moves is the clips.

    Args:
        space: of the checkpoint.
        name: of `core.space.SPACES`.
        marked: `(width,)` of a clip as the finished model places it: a ring, named `MARKED`, that stays.

    Returns:
        The figure; None where no clip has the modality throughout.
    """
    values, known = _known(space, name)
    if not known.any():
        return None
    labels = np.array(space.labels, object)[known]
    values = values / np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-12)
    place = principal(values[-1])
    moments = [place(moment) for moment in values]
    ring = np.empty((0, 2))
    if marked is not None:
        ring = place(marked[None] / max(float(np.linalg.norm(marked)), 1e-12))
    reach = 1.05 * max(0.05, np.abs(np.concatenate([*moments, ring])).max())
    names = sorted(dict.fromkeys(labels), key=lambda label: _PLACES.get(label, len(_PLACES)))
    symbols = symbols_of(names, is_flat=True)

    def traces(moment: np.ndarray) -> list[go.Scatter]:
        return [
            go.Scatter(
                x=moment[labels == label, 0],
                y=moment[labels == label, 1],
                mode="markers",
                name=plotted(label),
                marker={"color": color_of(label), "size": 9, "symbol": symbols[label]},
                hovertemplate=f"{plotted(label)}<extra></extra>",
            )
            for label in names
        ]

    told = [_told(epoch) for epoch in space.epochs]
    figure = go.Figure(
        data=traces(moments[-1]) + _ring(ring),
        # the ring's trace is in no frame, so that it stays
        frames=[
            go.Frame(data=traces(m), name=t, traces=list(range(len(names))))
            for m, t in zip(moments, told, strict=True)
        ],
    )
    figure.update_layout(
        height=620,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
        xaxis={"range": [-reach, reach], "showticklabels": False, "zeroline": False, "showgrid": False},
        yaxis={"range": [-reach, reach], "showticklabels": False, "zeroline": False, "showgrid": False},
    )
    return figure


def _ring(places: np.ndarray) -> list[go.Scatter]:
    """The mark of a clip at `(1, 2)`; none at `(0, 2)`."""
    if not len(places):
        return []
    return [
        go.Scatter(
            x=places[:, 0],
            y=places[:, 1],
            mode="markers+text",
            name=MARKED,
            text=[MARKED],
            textposition="top center",
            textfont={"size": 15, "weight": 700},
            marker={
                "symbol": "circle-open-dot",
                "size": 24,
                "color": OPENED_COLOR,
                "line": {"width": 3, "color": OPENED_COLOR},
            },
            hovertemplate=f"{MARKED}<extra></extra>",
        )
    ]
