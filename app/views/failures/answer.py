"""Why does it miss this emotion? The answer in words for a chosen class."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.views.markup import nouns, plain, said, swatch
from app.views.picking import is_drawn, menu_key, picked_option
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation.failure_sentences import answer
from core.evaluation.failures import PRESETS, MissedClass


def answer_box(missed: MissedClass, labels: tuple[str, ...], *, is_shown: bool, on_focus, on_show) -> None:
    """Draws the choice of the class, the answer, its table, and a button for its clips.

    Args:
        missed: of the chosen class.
        labels: to choose from; those of `PRESETS` come first.
        is_shown: the gallery holds the missed clips already.
        on_focus: takes another class.
        on_show: is called when the missed clips are wanted.
    """

    def picked() -> None:
        if is_drawn(key) and (label := picked_option(key, labels)) is not None:
            on_focus(label)

    first = [name for name in PRESETS if name in labels]
    key = menu_key("focus-picker", missed.label)
    st.pills(
        "Why does it miss …?",
        [*first, *(name for name in labels if name not in first)],
        format_func=plain,
        wrap=True,
        key=key,
        required=True,
        on_change=picked,
    )
    first, *others = answer(missed)
    points = "".join(f"<li>{said(line)}</li>" for line in others)
    first_line = f'<p class="why-first">{swatch(missed.label)}{said(first)}</p>'
    st.html(f'<div class="why">{first_line}<ul>{points}</ul></div>')
    if missed.missed.count:
        several = f"the {missed.missed.count} missed" if missed.missed.count > 1 else "the one that is missed"
        if is_shown:
            st.caption(f":material/grid_view: Below: {several}.")
        else:
            st.button(f"Show {several}", icon=":material/grid_view:", on_click=on_show, key="show-missed")
        with table_twin("missed-table") as is_open:
            if is_open:
                draw_table(alone_table(missed))
                st.caption(
                    f"Missed clips of {plain(missed.label)} that the model would get right if it were shown "
                    "this alone, of those that have any of it."
                )


def alone_table(missed: MissedClass) -> pd.DataFrame:
    """The table twin of which modalities would have been right."""
    subsets = {name: of for name, of in missed.right_alone.items() if of.total}
    right = {
        "right": [f"{of.count} of {of.total}" for of in subsets.values()],
        "%": [f"{100 * of.value:.0f}" for of in subsets.values()],
    }
    return pd.DataFrame(right, index=pd.Index(map(nouns, subsets), name="shown alone"))
