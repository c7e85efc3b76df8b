"""Slices and suspected label errors: lists of places to look, with what to make of them."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from app.views.markup import UNIT_SPACE, plain
from app.views.picking import is_drawn, menu_key, ticked, ticked_row
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation import Evaluation
from core.evaluation.failure_sentences import how_to_read_slices, of_label_errors, of_slices
from core.evaluation.label_errors import LabelErrors
from core.evaluation.slices import SIGNIFICANT, Slices

MAX_ROWS_SHOWN = 11
"""Rows of a list before it scrolls."""

_ROW_PIXELS = 35


def slices_list(
    found: Slices,
    focus: str,
    *,
    is_within: bool,
    chosen: tuple[str, str] | None,
    on_within,
    on_slice,
) -> None:
    """Draws all slices, worst first; a click on one shows its wrong clips.

    Args:
        found: slices of all clips or of the focus.
        focus: the class that may be looked at alone.
        is_within: it is.
        chosen: column and value of the slice that is shown, which is ticked; None where none is.
        on_within: takes whether it shall be.
        on_slice: takes column and value, or None where a slice is let go.
    """
    names = [(part.column, part.value) for part in found.slices]

    def switched() -> None:
        on_within(st.session_state["slices-within"])

    def clicked() -> None:
        if is_drawn(key):
            row = ticked_row(key)
            on_slice(None if row is None else names[row])

    st.html('<div class="chart-title">Where it errs more than elsewhere <span>wrong clips in %</span></div>')
    st.session_state["slices-within"] = is_within
    st.toggle(f"Only clips labelled {plain(focus)}", key="slices-within", on_change=switched)
    st.html(f'<p class="verdict">{escape(of_slices(found))}</p>')
    if not found.slices:
        return
    key = menu_key("slices-table", ticked(names.index(chosen) if chosen in names else None))
    st.dataframe(
        slices_table(found),
        key=key,
        on_select=clicked,
        selection_mode="single-row",
        hide_index=True,
        height=_height(found.num_looked_at),
        column_config={
            "wrong (%)": st.column_config.NumberColumn(format="%.0f"),
            "rest (%)": st.column_config.NumberColumn(format="%.0f"),
            "difference (points)": st.column_config.NumberColumn(format="%+.0f"),
        },
        alt="Slices with their share of wrong clips against the rest, those most surely worse first.",
    )
    st.caption(f"Tick a row to see its wrong clips. {how_to_read_slices(found)}")


def slices_table(found: Slices) -> pd.DataFrame:
    """One row per slice, in their order."""
    return pd.DataFrame(
        [
            {
                "slice": f"{part.column}: {part.value}" + " ★" * (part.adjusted_p_value <= SIGNIFICANT),
                "clips": part.num_clips,
                "wrong (%)": 100 * part.error,
                "rest (%)": 100 * part.rest_error,
                "difference (points)": 100 * (part.error - part.rest_error),
                "p": _p(part.p_value),
                "p adjusted": _p(part.adjusted_p_value),
            }
            for part in found.slices
        ]
    )


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def suspects_list(
    errors: LabelErrors, evaluation: Evaluation, *, is_shown: bool, opened: str | None, on_open, on_show
) -> None:
    """Draws the suspected label errors; a click opens a clip.

    Args:
        errors: of the evaluation.
        evaluation: read or made.
        is_shown: the gallery holds them already.
        opened: key of the opened clip, which is ticked.
        on_open: takes a clip's key, or None where it is let go.
        on_show: is called when the gallery shall hold them.
    """
    keys = [suspect.key for suspect in errors.suspects]

    def clicked() -> None:
        if is_drawn(key):
            row = ticked_row(key)
            on_open(None if row is None else keys[row])

    table = evaluation.predictions
    wrong = int((table["label"] != table["prediction"]).sum())
    st.html('<div class="chart-title">Labels that may be wrong <span>confident learning</span></div>')
    sentence = of_label_errors(errors, len(table), wrong, evaluation.info.split)
    st.html(f'<p class="verdict">{escape(sentence)}</p>')
    if not errors.suspects:
        return
    st.button(
        f"Show the {len(errors.suspects)} in the gallery" if len(errors.suspects) > 1 else "Show it below",
        icon=":material/grid_view:",
        key="show-suspects",
        disabled=is_shown,
        on_click=on_show,
    )
    key = menu_key("suspects-table", ticked(keys.index(opened) if opened in keys else None))
    st.dataframe(
        suspects_table(errors),
        key=key,
        on_select=clicked,
        selection_mode="single-row",
        hide_index=True,
        height=_height(len(errors.suspects)),
        column_config={"margin (points)": st.column_config.NumberColumn(format="%+.0f")},
        alt="Clips whose label the model contradicts, largest margin first.",
    )
    st.caption(
        "Tick a row to open the clip. Margin: by how many points the model puts its class above the label. A "
        "clip counts where its probability of another class reaches that class’s usual one (Northcutt et al. "
        "2021)."
    )
    with table_twin("confident-table", "All clips by label and confident class") as is_open:
        if is_open:
            draw_table(joint_table(errors, evaluation.labels))
            st.caption(
                "Threshold: mean probability of the class on the clips labelled so. Off the diagonal lie the "
                "suspects; clips that reach no threshold are not counted."
            )


def suspects_table(errors: LabelErrors) -> pd.DataFrame:
    """One row per suspect, in their order."""
    return pd.DataFrame(
        [
            {
                "clip": suspect.key,
                "labelled": suspect.label,
                "model says": suspect.suggested,
                "margin (points)": 100 * suspect.margin,
            }
            for suspect in errors.suspects
        ]
    )


def joint_table(errors: LabelErrors, labels: tuple[str, ...]) -> pd.DataFrame:
    """The confident joint with each class's threshold."""
    table = pd.DataFrame(errors.joint, columns=list(labels)).astype(str)
    table.insert(
        0,
        "threshold",
        ["–" if value is None else f"{100 * value:.0f}{UNIT_SPACE}%" for value in errors.thresholds],
    )
    return table.assign(labelled=list(labels)).set_index("labelled")


def _height(num_rows: int) -> int:
    return _ROW_PIXELS * (min(num_rows, MAX_ROWS_SHOWN) + 1) + 3
