"""The picture of a space: one point per clip, coloured by what is asked.

Thousands of points are drawn by the graphics card and carry no more than a hover tells: so they stay fluid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go

from app.views.embeddings.symbols import symbols_of
from app.views.markup import color_of, plotted
from core.evaluation import Evaluation
from core.evaluation.spaces import Points
from core.labels import MODALITIES, MODALITY_NOUNS

NOBODY = np.array([], int)

PALE = 0.14
"""Opacity of points outside what is chosen."""

MAX_GROUPS = 12
"""More groups than this are not told apart by colour: the smaller ones are one."""

SYMBOLS = {"video": "circle", "audio": "square", "text": "diamond"}
"""Shape of a point by its modality, where a space holds several."""

MANY_POINTS = 5000
"""In a picture of more, points are smaller and a hover leaves the words out, which would be megabytes."""

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
    is_flat, is_single = places.shape[1] == 2, len(set(points.modalities)) == 1
    keys = evaluation.predictions["key"].to_numpy(object)[points.rows]
    figure = go.Figure()
    told = _told(evaluation, points)
    groups = list(_traces(evaluation, points, colour))
    symbols = symbols_of([name for name, _, _ in groups], is_flat=is_flat)
    for name, color, mask in groups:
        for modality in dict.fromkeys(points.modalities[mask]):
            part = mask & (points.modalities == modality)
            _add_points(
                figure,
                points.rows[part],
                places[part],
                told[part],
                name=name,
                of="" if is_single else f", {MODALITY_NOUNS[modality]}",
                color=color if color is not None else _confidence(evaluation)[points.rows[part]],
                symbol=symbols[name] if is_single else SYMBOLS[modality],
                is_many=len(points.rows) > MANY_POINTS,
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
        # in a narrow window it would lie over the legend
        modebar={"orientation": "v"},
        dragmode="lasso" if is_flat else "orbit",
        # what Streamlit would come to by itself, after it had the chart drawn twice more
        clickmode="event",
        hovermode="closest",
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
    rows: np.ndarray,
    places: np.ndarray,
    told: np.ndarray,
    *,
    name: str,
    of: str,
    color,
    symbol: str,
    is_many: bool,
    chosen: np.ndarray,
    is_first: bool,
) -> None:
    is_flat = places.shape[1] == 2
    marker = {
        "color": color,
        # a see-through shape is a layer of its own to a browser; the graphics card draws it as any other
        "opacity": 0.6 if is_many else 1,
        "size": (5 if is_many else 8) if is_flat else (2 if is_many else 3),
        "symbol": symbol,
        "line": {"width": 0},
    }
    if not isinstance(color, str):
        marker |= {"colorscale": "Viridis", "cmin": 0.0, "cmax": 1.0, "showscale": is_first}
    # a few points are sooner drawn as shapes than handed to the graphics card
    kind = (go.Scattergl if is_many else go.Scatter) if is_flat else go.Scatter3d
    # half the digits, half the bytes
    axes = dict(zip("xyz", places.T.astype(np.float32), strict=False))
    words = "" if is_many else "“%{customdata[4]}”<br>"
    figure.add_trace(
        kind(
            **axes,
            mode="markers",
            name=plotted(name),
            legendgroup=name,
            marker=marker,
            customdata=told,
            showlegend=isinstance(color, str) and is_first,
            hovertemplate=f"label %{{customdata[2]}}, model %{{customdata[3]}}<br>{words}"
            f"%{{customdata[1]}}<extra>{plotted(name)}{of}</extra>",
            **_highlight(rows, chosen, is_flat=is_flat),
        )
    )


def _told(evaluation: Evaluation, points: Points) -> np.ndarray:
    """`(point, 4 or 5)`: row, key, label and prediction of every point's clip, and its words."""
    table = evaluation.predictions.iloc[points.rows]
    columns = [points.rows.astype(object)]
    columns += [_texts(table[name]) for name in ("key", "label", "prediction")]
    if len(points.rows) <= MANY_POINTS:
        words = table["transcript"].astype(object).where(table["transcript"].notna(), "")
        columns.append(_texts(map(_short, words)))
    return np.stack(columns, axis=1)


def _texts(texts: Iterable[str]) -> np.ndarray:
    return np.array([plotted(text) for text in texts], object)


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
