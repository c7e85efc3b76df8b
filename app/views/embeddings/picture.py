"""The picture of a space: one point per clip, coloured by what is asked.

Thousands of points are drawn by the graphics card and carry no more than a hover tells: so they stay fluid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.components.legend import MARK
from app.embeddings_state import COLOURS
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

SCALE = "Viridis"
"""Colours of a confidence from 0 to 1."""

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
    names = _speakers(table).where(lambda found: found != "", UNKNOWN).to_numpy(object)
    found, counts = np.unique(names.astype(str), return_counts=True)
    order = found[np.argsort(-counts, kind="stable")]
    kept = order if len(order) <= MAX_GROUPS else order[: MAX_GROUPS - 1]
    groups = np.where(np.isin(names.astype(str), kept), names, OTHERS).astype(object)
    colors = dict(zip(map(str, kept), GROUP_COLORS, strict=False))
    return groups, colors if len(kept) == len(order) else colors | {OTHERS: OTHERS_COLOR}


@dataclass(frozen=True, kw_only=True, eq=False)
class Tint:
    """How the points of a map are coloured.

    Attributes:
        colors: of every point, a CSS colour or, without groups, a number from 0 to 1.
        symbols: shape of every point, as Plotly calls it.
        legend: name, colour and shape of every group; empty where there is none.
    """

    colors: np.ndarray
    symbols: np.ndarray
    legend: tuple[tuple[str, str, str], ...]


def tint_of(evaluation: Evaluation, points: Points, colour: str, *, is_flat: bool) -> Tint:
    """The colours and shapes of the points; where a space holds several modalities, shapes tell these.

    Args:
        evaluation: whose clips the points are of.
        points: of the space.
        colour: of `app.embeddings_state.COLOURS`.
        is_flat: the map has two dimensions.
    """
    is_single = len(set(points.modalities)) == 1
    by_modality = np.array([SYMBOLS.get(name, SYMBOLS["video"]) for name in points.modalities], object)
    if colour == "confidence":
        return Tint(colors=_confidence(evaluation)[points.rows].round(3), symbols=by_modality, legend=())
    groups, colors = groups_by(evaluation, colour)
    of = groups[points.rows]
    names = [name for name in colors if (of == name).any()]
    symbols = symbols_of(names, is_flat=is_flat)
    return Tint(
        colors=np.array([colors[name] for name in of], object),
        symbols=np.array([symbols[name] for name in of], object) if is_single else by_modality,
        legend=tuple((name, colors[name], symbols[name] if is_single else "circle") for name in names),
    )


def rows_in_group(evaluation: Evaluation, points: Points, colour: str, name: str) -> np.ndarray:
    """Rows of the clips in the map that belong to a group of the legend."""
    groups, _ = groups_by(evaluation, colour)
    rows = np.unique(points.rows)
    return rows[groups[rows] == name]


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

    It has a trace for each modality, and, unless the points are many, a button for every way of colouring,
    which `app.components.legend` presses: to draw it anew takes a browser several times as long.

    Args:
        evaluation: whose clips the points are of.
        points: of the space.
        places: `(point, 2 or 3)`.
        colour: of `app.embeddings_state.COLOURS`.
        chosen: rows of the highlighted clips; none are paler where it is empty.
        opened: key of the opened clip; its three modalities are tied where the space holds them.
    """
    is_flat, is_many = places.shape[1] == 2, len(points.rows) > MANY_POINTS
    keys = evaluation.predictions["key"].to_numpy(object)[points.rows]
    names = list(dict.fromkeys(points.modalities))
    parts = [points.modalities == name for name in names]
    tints = {
        name: tint_of(evaluation, points, name, is_flat=is_flat)
        for name in ((colour,) if is_many else COLOURS)
    }
    figure = go.Figure()
    told = _told(evaluation, points)
    for name, part in zip(names, parts, strict=True):
        _add_points(
            figure,
            points.rows[part],
            places[part],
            told[part],
            of="" if len(names) == 1 else MODALITY_NOUNS[name],
            marker={"color": tints[colour].colors[part], "symbol": tints[colour].symbols[part]},
            colour=colour,
            is_many=is_many,
            chosen=chosen,
        )
    if opened in set(keys):
        _add_opened(figure, places[keys == opened], is_flat=is_flat)
    axis = {"title": "", "showticklabels": False, "zeroline": False, "showgrid": not is_flat}
    figure.update_layout(
        height=590,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        showlegend=False,
        # in a narrow window it would lie over the points
        modebar={"orientation": "v"},
        dragmode="lasso" if is_flat else "orbit",
        # what Streamlit would come to by itself, after it had the chart drawn twice more
        clickmode="event",
        hovermode="closest",
        uirevision="space",
        updatemenus=[] if is_many else [_buttons(tints, parts)],
    )
    if is_flat:
        figure.update_xaxes(**axis)
        figure.update_yaxes(**axis)
    else:
        figure.update_layout(scene={"xaxis": axis, "yaxis": axis, "zaxis": axis})
    return figure


def _buttons(tints: Mapping[str, Tint], parts: Sequence[np.ndarray]) -> dict:
    """Buttons that colour the points in the order of `COLOURS`; the style sheet hides them."""
    buttons = []
    for name, tint in tints.items():
        change = {
            "marker.color": [tint.colors[part].tolist() for part in parts],
            MARK: name,
        }
        # of several modalities the shapes are these, whatever the colours
        if len(parts) == 1:
            change["marker.symbol"] = [tint.symbols[part].tolist() for part in parts]
        buttons.append({"label": name, "method": "restyle", "args": [change, list(range(len(parts)))]})
    # within the plot, so that no margin is made for it
    menu = {"type": "buttons", "buttons": buttons, "x": 0, "y": 1, "xanchor": "left", "yanchor": "top"}
    return menu | {"font": {"size": 1}}


def rows_chosen(selection: dict | None) -> np.ndarray:
    """Rows of the clips that were chosen in the picture, by lasso, box or click."""
    found = [point["customdata"][0] for point in (selection or {}).get("points", ()) if "customdata" in point]
    return np.array(sorted({int(row) for row in found}), int)


def _add_points(
    figure: go.Figure,
    rows: np.ndarray,
    places: np.ndarray,
    told: np.ndarray,
    *,
    of: str,
    marker: dict,
    colour: str,
    is_many: bool,
    chosen: np.ndarray,
) -> None:
    is_flat = places.shape[1] == 2
    marker = marker | {
        # of numbers; colours stay what they are
        "colorscale": SCALE,
        "cmin": 0.0,
        "cmax": 1.0,
        # a see-through shape is a layer of its own to a browser; the graphics card draws it as any other
        "opacity": 0.6 if is_many else 1,
        "size": (5 if is_many else 8) if is_flat else (2 if is_many else 3),
        "line": {"width": 0},
    }
    # a few points are sooner drawn as shapes than handed to the graphics card
    kind = (go.Scattergl if is_many else go.Scatter) if is_flat else go.Scatter3d
    # half the digits, half the bytes
    axes = dict(zip("xyz", places.T.astype(np.float32), strict=False))
    words, speaker = ("", "") if is_many else ("“%{customdata[4]}”<br>", "%{customdata[5]}")
    figure.add_trace(
        kind(
            **axes,
            mode="markers",
            marker=marker,
            customdata=told,
            hovertemplate=f"label %{{customdata[2]}}, model %{{customdata[3]}}<br>{words}"
            f"%{{customdata[1]}}{speaker}<extra>{of}</extra>",
            **{MARK: colour},
            **_highlight(rows, chosen, is_flat=is_flat),
        )
    )


def _told(evaluation: Evaluation, points: Points) -> np.ndarray:
    """`(point, 4 or 6)`: row, key, label and prediction of every point's clip, its words and its speaker."""
    table = evaluation.predictions.iloc[points.rows]
    columns = [points.rows.astype(object)]
    columns += [_texts(table[name]) for name in ("key", "label", "prediction")]
    if len(points.rows) <= MANY_POINTS:
        words = table["transcript"].astype(object).where(table["transcript"].notna(), "")
        columns.append(_texts(map(_short, words)))
        columns.append(_texts(f", speaker {name}" if name else "" for name in _speakers(table)))
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


def _speakers(table: pd.DataFrame) -> pd.Series:
    """Every clip's speaker; "" where that is not known."""
    return table["speaker"].astype(object).where(table["speaker"].notna(), "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def tie_note(modalities: Sequence[str]) -> str:
    """What the shapes mean, where a space holds several modalities."""
    if len(set(modalities)) < 2:
        return ""
    video, audio, text = ((np.asarray(modalities, object) == name).sum() for name in MODALITIES)
    return f"Circles are pictures ({video:,}), squares sounds ({audio:,}), diamonds words ({text:,})."
