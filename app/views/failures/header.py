"""The top of the Failures page: the product, and the evaluation that is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from app.views.markup import percent, plain
from app.views.picking import is_drawn, menu_key, picked_option
from core.evaluation import Evaluation

NO_EVALUATION = (
    "There is no evaluation yet, so no failure can be shown: make one with "
    "`deepmsi evaluate CHECKPOINT --data MANIFEST --split test --out FOLDER`, then name its folder below."
)


WHICH_EVALUATION = (
    "What a checkpoint said about every clip of a data set, of those that ship named CHECKPOINT-DATA. There "
    "**test** is 400 made clips with emotions as rare as in everyday talk, **probe** 560 with as many of "
    "each emotion and of each way to show it, **train** the clips that were learned from; **fer2013**, "
    "**ravdess** and **meld** are of real faces, voices and words."
)


def header(
    names: Sequence[str],
    *,
    page: str = "Where it fails, and why",
    selected: str | None,
    evaluation: Evaluation | None,
    on_pick,
    action: Callable[[], None] | None = None,
) -> None:
    """Draws name and page, a choice among evaluations, and what the chosen one is of.

    Args:
        names: of the evaluations.
        page: what the page is for, in a few words.
        selected: the current one.
        evaluation: the current one; None where there is none.
        on_pick: takes a name.
        action: draws what can be done with the current one.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="header"):
        st.html(
            f'<div class="brand"><h1>DeepMSI-MER Explorer</h1><span>{escape(page)}</span></div>',
            width="content",
        )
        if len(names) > 1:
            key = menu_key("evaluation-picker", selected)

            def picked() -> None:
                if is_drawn(key) and (name := picked_option(key, names)) is not None:
                    on_pick(name)

            st.selectbox(
                "Evaluation",
                names,
                key=key,
                on_change=picked,
                width=300,
                help=WHICH_EVALUATION,
            )
        if evaluation is not None:
            st.html(f'<div class="checkpoint">{worth(evaluation)}</div>', width="content")
        if action is not None:
            action()
    if evaluation is not None and evaluation.info.caveats:
        st.caption(plain(" ".join(evaluation.info.caveats)))


def warn_of_link(wanted: str | None, chosen: str | None) -> None:
    """Says that the evaluation which a link names is not here, where another one, or none, is shown."""
    if wanted not in (None, chosen):
        st.warning(
            f"The link names the evaluation {plain(wanted)}, which is not here; give its folder below.",
            icon=":material/link_off:",
        )


def worth(evaluation: Evaluation) -> str:
    """Checkpoint, data and how often it is right, as HTML."""
    info = evaluation.info
    right = (evaluation.predictions["label"] == evaluation.predictions["prediction"]).mean()
    return (
        f"<b>{escape(info.checkpoint)}</b> on {escape(info.data)}, split {escape(info.split)}: right on "
        f"{percent(float(right))} of {info.num_clips:,} clips"
    )


def folder_box(*, refusal: str, on_folder) -> None:
    """Draws a field for the folder of further evaluations; `on_folder(text)` is called with one."""

    def given() -> None:
        if text := st.session_state["evaluation-folder"].strip():
            on_folder(text)

    st.text_input(
        "Folder of an evaluation, or one that holds some",
        key="evaluation-folder",
        placeholder="runs/first-test",
        on_change=given,
    )
    if refusal:
        st.error(refusal, icon=":material/error:")
