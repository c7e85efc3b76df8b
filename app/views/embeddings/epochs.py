"""The space over the epochs of training, as an animation."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from app.views.markup import color_of
from core.evaluation.spaces import principal
from core.space import Space

NO_SPACE = (
    "This checkpoint is not installed here, or kept no space over its training: "
    "`deepmsi train` keeps the embeddings of some dev clips after every epoch."
)

FRAME_MILLISECONDS = 700


def epochs_figure(space: Space, name: str) -> go.Figure | None:
    """An animation of one space: where the same clips lay after every epoch.

    The directions are the principal ones after the last epoch, so that what moves is the clips.

    Args:
        space: of the checkpoint.
        name: of `core.space.SPACES`.

    Returns:
        The figure; None where no clip has the modality throughout.
    """
    values = space.embeddings[name].astype(float)
    known = ~np.isnan(values).any(axis=(0, 2))
    if not known.any():
        return None
    values, labels = values[:, known], np.array(space.labels, object)[known]
    values = values / np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-12)
    place = principal(values[-1])
    moments = [place(moment) for moment in values]
    reach = 1.05 * max(0.05, np.abs(np.concatenate(moments)).max())
    names = [label for label in dict.fromkeys(space.labels) if (labels == label).any()]

    def traces(moment: np.ndarray) -> list[go.Scatter]:
        return [
            go.Scatter(
                x=moment[labels == label, 0],
                y=moment[labels == label, 1],
                mode="markers",
                name=label,
                marker={"color": color_of(label), "size": 9, "opacity": 0.85},
                hovertemplate=f"{label}<extra></extra>",
            )
            for label in names
        ]

    told = ["start" if epoch < 0 else str(epoch + 1) for epoch in space.epochs]
    figure = go.Figure(
        data=traces(moments[-1]),
        frames=[go.Frame(data=traces(m), name=t) for m, t in zip(moments, told, strict=True)],
    )
    smooth = {"frame": {"duration": FRAME_MILLISECONDS, "redraw": False}, "transition": {"duration": 400}}
    at_once = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate", "transition": {"duration": 0}}
    figure.update_layout(
        height=620,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
        xaxis={"range": [-reach, reach], "showticklabels": False, "zeroline": False, "showgrid": False},
        yaxis={"range": [-reach, reach], "showticklabels": False, "zeroline": False, "showgrid": False},
        updatemenus=[
            {
                "type": "buttons",
                "direction": "left",
                "x": 0,
                "y": -0.02,
                "xanchor": "left",
                "yanchor": "top",
                "showactive": False,
                "buttons": [
                    {"label": "▶ Play", "method": "animate", "args": [told, smooth | {"fromcurrent": False}]},
                    {"label": "❚❚ Pause", "method": "animate", "args": [[None], at_once]},
                ],
            }
        ],
        sliders=[
            {
                "active": len(told) - 1,
                "x": 0.22,
                "len": 0.78,
                "y": 0,
                "currentvalue": {"prefix": "epoch "},
                "steps": [{"label": t, "method": "animate", "args": [[t], at_once]} for t in told],
            }
        ],
    )
    return figure
