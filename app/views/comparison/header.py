"""The top of the Compare page: which evaluations are compared, and on what clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from app.compare_state import MAX_EVALUATIONS
from app.views.markup import plain
from core.evaluation import Evaluation

TOO_FEW = (
    "There are fewer than two evaluations of the same clips, so nothing can be compared: make another with "
    "`deepmsi evaluate CHECKPOINT --data MANIFEST --split test --out FOLDER`, then name its folder below."
)

FULL = (
    "{name} was found and can be chosen, but {num} evaluations are compared already, which is the most: take "
    "one away above, then choose it there."
)


ALONE = (
    "{name} is the only evaluation of its clips that was found. Choose two of the same clips above, or make "
    "another of these with `deepmsi evaluate CHECKPOINT --data MANIFEST --split test --out FOLDER` and name "
    "its folder below."
)


def one_alone(chosen: Sequence[str], alike: Sequence[str]) -> str:
    """What is missing where fewer than two are chosen although there are others, in Markdown.

    Args:
        chosen: name of the one that is, or nothing.
        alike: names of others that could be held against it.
    """
    if not chosen:
        return "No evaluation is chosen: choose two to six of the same clips above."
    others = plain(", ".join(alike[:MAX_EVALUATIONS]))
    more = f" and {len(alike) - MAX_EVALUATIONS} more" if len(alike) > MAX_EVALUATIONS else ""
    return (
        f"Only {plain(chosen[0])} is chosen: choose another one above to hold against it. Others of the same "
        f"clips: {others}{more}."
    )


def header(base: Evaluation | None, *, action: Callable[[], None] | None = None) -> None:
    """Draws name and page, on what clips is compared, and what `action` draws."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="header"):
        st.html(
            '<div class="brand"><h1>DeepMSI-MER Explorer</h1><span>Which checkpoint is better</span></div>',
            width="content",
        )
        if base is not None:
            info = base.info
            st.html(
                f'<div class="checkpoint"><b>{escape(info.data)}</b>, split {escape(info.split)}: '
                f"{info.num_clips:,} clips</div>",
                width="content",
            )
        if action is not None:
            action()


def picker(names: Sequence[str], chosen: Sequence[str], *, on_pick) -> None:
    """Lets people choose evaluations; `on_pick(names)` is called, in the order in which they were chosen."""

    def picked() -> None:
        on_pick(tuple(st.session_state["compare-picker"]))

    st.session_state["compare-picker"] = list(chosen)
    st.multiselect(
        "Evaluations: the first is what the others are held against",
        names,
        key="compare-picker",
        max_selections=MAX_EVALUATIONS,
        placeholder="Choose two to six of the same clips",
        on_change=picked,
    )


def other_picker(names: Sequence[str], chosen: str, *, base: str, on_pick) -> None:
    """Lets people choose whose details are shown; `on_pick(name)` is called. One alone is not asked about."""
    if len(names) < 2:
        return

    def picked() -> None:
        on_pick(st.session_state["compare-other"])

    st.session_state["compare-other"] = chosen
    st.segmented_control(
        f"Against {plain(base)}",
        names,
        format_func=plain,
        key="compare-other",
        required=True,
        on_change=picked,
    )
