"""The picture of a space: one point per clip, coloured by what is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.views.markup import color_of
from core.evaluation import Evaluation
from core.evaluation.spaces import Points
from core.labels import MODALITIES, MODALITY_NOUNS

NOBODY = np.array([], int)

PALE = 0.14
"""Opacity of points outside what is chosen."""

MAX_GROUPS = 12
"""More groups than this are not told apart by colour: the smaller ones are one."""

SYMBOLS = {"video": "circle", "audio": "square", "text": "diamond", "fused": "circle"}
"""Shape of a point by its modality; those of two and of three dimensions have the same names."""

OTHERS, UNKNOWN = "others", "unknown"
OTHERS_COLOR = "#8a8f99"
RIGHT_COLORS = {"right": "#2f7fd6", "wrong": "#c8691c"}
GROUP_COLORS = (
    "#2f7fd6",
    "#c8691c",
    "#1a9c78",
    "#b0569b",
    "#a88a00",
    "#5d6bc4",
    "#c2456b",
    "#3b97a8",
    "#7d9a3c",
    "#9a6a48",
    "#7a5fb5",
    "#4f8f57",
)


def groups_by(evaluation: Evaluation, colour: str) -> tuple[np.ndarray, dict[str, str]]:
    """The group of every clip, and each group's colour, in the order of the legend.

    `colour` is one of `app.embeddings_state.COLOURS` but "confidence", which is no group.
    """
    table = evaluation.predictions
    if colour in ("label", "prediction"):
        return table[colour].to_numpy(object), {label: color_of(label) for label in evaluation.labels}
    if colour == "right":
        is_right = (table["label"] == table["prediction"]).to_numpy()
        return np.where(is_right, "right", "wrong").astype(object), RIGHT_COLORS
    names = table["speaker"].astype(object).where(table["speaker"].notna(), UNKNOWN).to_numpy(object)
    found, counts = np.unique(names.astype(str), return_counts=True)
    order = found[np.argsort(-counts, kind="stable")]
    kept = order if len(order) <= MAX_GROUPS else order[: MAX_GROUPS - 1]
    groups = np.where(np.isin(names.astype(str), kept), names, OTHERS).astype(object)
    colors = dict(zip(map(str, kept), GROUP_COLORS, strict=False))
    return groups, colors if len(kept) == len(order) else colors | {OTHERS: OTHERS_COLOR}


def space_figure(
    evaluation: Evaluation,
    points: Points,
    places: np.ndarray,
    *,
    colour: str,
    chosen: np.ndarray = NOBODY,
    opened: str | None = None,
) -> go.Figure:
    """The picture. Clips that are not chosen in it are paler, never gone; the opened one has a ring.

    Args:
        evaluation: whose clips the points are of.
        points: of the space.
        places: `(point, 2 or 3)`.
        colour: of `app.embeddings_state.COLOURS`.
        chosen: rows of the highlighted clips; none are paler where it is empty.
        opened: key of the opened clip; its three modalities are tied where the space holds them.
    """
    is_flat = places.shape[1] == 2
    keys = evaluation.predictions["key"].to_numpy(object)[points.rows]
    figure = go.Figure()
    for name, color, mask in _traces(evaluation, points, colour):
        for modality in dict.fromkeys(points.modalities[mask]):
            part = mask & (points.modalities == modality)
            _add_points(
                figure,
                evaluation,
                points,
                places,
                part,
                name=name,
                color=color if color is not None else _confidence(evaluation)[points.rows[part]],
                modality=modality,
                chosen=chosen,
                is_first=modality == points.modalities[mask][0],
            )
    if opened in set(keys):
        _add_opened(figure, places[keys == opened], is_flat=is_flat)
    axis = {"title": "", "showticklabels": False, "zeroline": False, "showgrid": not is_flat}
    figure.update_layout(
        height=620,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "itemsizing": "constant"},
        dragmode="lasso" if is_flat else "orbit",
        uirevision="space",
    )
    if is_flat:
        figure.update_xaxes(**axis)
        figure.update_yaxes(**axis)
    else:
        figure.update_layout(scene={"xaxis": axis, "yaxis": axis, "zaxis": axis})
    return figure


def rows_chosen(selection: dict | None) -> np.ndarray:
    """Rows of the clips that were chosen in the picture, by lasso, box or click."""
    found = [point["customdata"][0] for point in (selection or {}).get("points", ()) if "customdata" in point]
    return np.array(sorted({int(row) for row in found}), int)


def _traces(evaluation: Evaluation, points: Points, colour: str):
    """Name, colour (None for a scale) and points of every group."""
    if colour == "confidence":
        yield "confidence", None, np.ones(len(points.rows), bool)
        return
    groups, colors = groups_by(evaluation, colour)
    of = groups[points.rows]
    for name, color in colors.items():
        if (of == name).any():
            yield name, color, of == name


def _add_points(
    figure: go.Figure,
    evaluation: Evaluation,
    points: Points,
    places: np.ndarray,
    part: np.ndarray,
    *,
    name: str,
    color,
    modality: str,
    chosen: np.ndarray,
    is_first: bool,
) -> None:
    table = evaluation.predictions
    rows = points.rows[part]
    of = "" if modality == "fused" or len(set(points.modalities)) == 1 else f", {MODALITY_NOUNS[modality]}"
    words = table["transcript"].astype(object).where(table["transcript"].notna(), "").to_numpy(object)[rows]
    told = np.stack(
        [
            rows.astype(object),
            table["key"].to_numpy(object)[rows],
            table["label"].to_numpy(object)[rows],
            table["prediction"].to_numpy(object)[rows],
            np.array([_short(text) for text in words], object),
        ],
        axis=1,
    )
    marker = {
        "color": color,
        "opacity": 0.85,
        "size": 8 if places.shape[1] == 2 else 3,
        "symbol": SYMBOLS[modality],
        "line": {"width": 0},
    }
    if not isinstance(color, str):
        marker |= {"colorscale": "Viridis", "cmin": 0.0, "cmax": 1.0, "showscale": is_first}
    kind = go.Scattergl if places.shape[1] == 2 else go.Scatter3d
    axes = dict(zip("xyz", places[part].T, strict=False))
    figure.add_trace(
        kind(
            **axes,
            mode="markers",
            name=name,
            legendgroup=name,
            marker=marker,
            customdata=told,
            showlegend=isinstance(color, str) and is_first,
            hovertemplate="label %{customdata[2]}, model %{customdata[3]}<br>“%{customdata[4]}”<br>"
            f"%{{customdata[1]}}<extra>{name}{of}</extra>",
            **_highlight(rows, chosen, is_flat=places.shape[1] == 2),
        )
    )


def _highlight(rows: np.ndarray, chosen: np.ndarray, *, is_flat: bool) -> dict:
    """What of a trace is highlighted; in three dimensions nothing can be."""
    if not is_flat:
        return {}
    points = np.flatnonzero(np.isin(rows, chosen)).tolist() if len(chosen) else None
    return {"selectedpoints": points, "unselected": {"marker": {"opacity": PALE}}}


def _add_opened(figure: go.Figure, places: np.ndarray, *, is_flat: bool) -> None:
    """A ring around the opened clip, and lines that tie its modalities."""
    kind = go.Scatter if is_flat else go.Scatter3d
    closed = places if len(places) < 3 else np.concatenate([places, places[:1]])
    figure.add_trace(
        kind(
            **dict(zip("xyz", closed.T, strict=False)),
            mode="lines+markers" if len(places) > 1 else "markers",
            name="opened clip",
            line={"color": OTHERS_COLOR, "width": 2, "dash": "dot"},
            marker={
                "symbol": "circle-open",
                "size": 17 if is_flat else 9,
                "color": "#d33c2f",
                "line": {"width": 2.5, "color": "#d33c2f"},
            },
            hoverinfo="skip",
        )
    )


def _confidence(evaluation: Evaluation) -> np.ndarray:
    return evaluation.probabilities().max(axis=1)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def tie_note(modalities: Sequence[str]) -> str:
    """What the shapes mean, where a space holds several modalities."""
    if len(set(modalities)) < 2:
        return ""
    video, audio, text = ((np.asarray(modalities, object) == name).sum() for name in MODALITIES)
    return f"Circles are pictures ({video:,}), squares sounds ({audio:,}), diamonds words ({text:,})."
