"""The map as a table, and fields that choose clips with the keyboard, as a lasso does with the mouse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from app.views.twin import table_twin
from core.evaluation import Evaluation
from core.evaluation.spaces import Points
from core.labels import MODALITY_NOUNS

ANY = "any"
MAX_LISTED = 2000
"""Of more clips than this none is chosen one by one: the list would be slow, and of no help."""
MAX_NAMED = 20
"""More chosen clips than this are not named one by one in the field."""


def points_table(evaluation: Evaluation, points: Points, places: np.ndarray) -> pd.DataFrame:
    """The map in rows: a point's clip, its label, what the model says, how sure it is, and its place."""
    of = evaluation.predictions.iloc[points.rows]
    table = pd.DataFrame(
        {
            "clip": of["key"].to_numpy(object),
            "label": of["label"].to_numpy(object),
            "model says": of["prediction"].to_numpy(object),
            "confidence": evaluation.probabilities().max(axis=1)[points.rows].round(2),
        }
    )
    if len(set(points.modalities)) > 1:
        table["of"] = [MODALITY_NOUNS[modality] for modality in points.modalities]
    for axis, values in zip("xyz", places.T, strict=False):
        table[axis] = values.round(3)
    table["words"] = of["transcript"].astype(object).where(of["transcript"].notna(), "").to_numpy(object)
    return table


def picture_words(evaluation: Evaluation, points: Points, space: str, *, is_flat: bool = True) -> str:
    """The map in a sentence, for who cannot see it; of a flat one, clips can be chosen."""
    labels = evaluation.predictions["label"].iloc[points.rows]
    counts = ", ".join(f"{label} {count:,}" for label, count in labels.value_counts(sort=True).items())
    return (
        f"Scatter of {len(points.rows):,} points in the space “{space}”, by label: {counts}. The box below, "
        f"once opened, has a table of all points{', and fields that choose clips' if is_flat else ''}."
    )


def rows_of(evaluation: Evaluation, points: Points, *, label: str, prediction: str) -> np.ndarray:
    """Rows of the clips in the map with a label and a prediction, either `ANY`."""
    rows = np.unique(points.rows)
    of = evaluation.predictions.iloc[rows]
    passes = np.ones(len(rows), bool)
    for column, wanted in (("label", label), ("prediction", prediction)):
        if wanted != ANY:
            passes &= (of[column] == wanted).to_numpy()
    return rows[passes]


def chooser(
    evaluation: Evaluation,
    points: Points,
    places: np.ndarray,
    *,
    chosen: np.ndarray,
    on_rows: Callable[[np.ndarray], None] | None,
) -> None:
    """Draws the table, and what chooses clips.

    Args:
        evaluation: whose clips the points are of.
        points: of the space.
        places: `(point, 2 or 3)`.
        chosen: rows of the clips that are chosen.
        on_rows: takes the rows of the clips that shall be; None where none can be chosen.
    """
    with table_twin("points-table", "The map as a table, without the mouse") as is_open:
        if not is_open:
            return
        if on_rows is not None:
            _fields(evaluation, points, chosen, on_rows)
        table = points_table(evaluation, points, places)
        numbers = {
            name: st.column_config.NumberColumn(format="%.2f") for name in table.select_dtypes("number")
        }
        alt = "Every point with its clip, its label, what the model says and where it lies."
        st.dataframe(table, hide_index=True, height=260, column_config=numbers, alt=alt)


def _fields(evaluation: Evaluation, points: Points, chosen: np.ndarray, on_rows) -> None:
    labels = [ANY, *evaluation.labels]
    with st.container(horizontal=True, vertical_alignment="bottom", key="choose-clips"):
        # they are not drawn while the box is closed
        kept = {"width": 170, "persist_state": "page"}
        label = st.selectbox("Labelled", labels, key="choose-label", **kept)
        prediction = st.selectbox("The model says", labels, key="choose-prediction", **kept)
        rows = rows_of(evaluation, points, label=label, prediction=prediction)
        st.button(
            f"Choose these {len(rows):,} clips" if len(rows) != 1 else "Choose this clip",
            icon=":material/checklist:",
            key="choose-all",
            disabled=not len(rows),
            on_click=on_rows,
            args=(rows,),
        )
        st.button(
            "Let go",
            icon=":material/deselect:",
            key="choose-none",
            disabled=not len(chosen),
            on_click=on_rows,
            args=(np.array([], int),),
        )
    table, is_long = evaluation.predictions, len(rows) > MAX_LISTED
    listed = [] if is_long else rows.tolist()
    among = set(listed)
    named = [int(row) for row in chosen if int(row) in among] if len(chosen) <= MAX_NAMED else []
    key = "choose-single"

    def told(row: int) -> str:
        return f"{table['key'].iat[row]}: {table['label'].iat[row]} → {table['prediction'].iat[row]}"

    def picked() -> None:
        # as in `picked_option`, a picture of other clips may still be shown
        if among.issuperset(st.session_state[key]):
            on_rows(np.array(sorted(st.session_state[key]), int))

    st.session_state[key] = named
    st.multiselect(
        "Clips one by one, among those of the two fields",
        listed,
        format_func=told,
        key=key,
        on_change=picked,
        disabled=is_long,
        placeholder=f"More than {MAX_LISTED:,} clips: say first how they are labelled, or what the model says"
        if is_long
        else f"{len(chosen):,} clips are chosen; name some to choose those instead"
        if len(chosen) > MAX_NAMED
        else "Type a name, a label or what the model says",
    )
