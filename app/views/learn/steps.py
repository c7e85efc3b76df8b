"""Where one is in the walk, and the buttons that lead on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st


def stepper(titles: Sequence[str], *, current: int, clip: str, on_step) -> None:
    """Draws the step's number and title, and the way back and on.

    Args:
        titles: of all steps.
        current: index of the one that is shown.
        clip: title of the clip, "" for none.
        on_step: called with the index of another step.
    """
    dots = "".join(
        f'<i class="{"here" if index == current else "done" if index < current else ""}"></i>'
        for index in range(len(titles))
    )
    of = f'<span class="learn-clip">Clip: {escape(clip)}</span>' if clip else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="learn-steps"):
        st.html(
            f'<div class="learn-step"><span class="learn-number">Step {current + 1} of {len(titles)}</span>'
            f'<span class="learn-dots" aria-hidden="true">{dots}</span>{of}'
            f"<h2>{escape(titles[current])}</h2></div>",
            width="stretch",
        )
        st.button(
            "Back",
            icon=":material/arrow_back:",
            key="learn-back",
            shortcut="b",
            disabled=current == 0,
            on_click=on_step,
            args=(current - 1,),
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            icon_position="right",
            type="primary",
            key="learn-next",
            shortcut="n",
            disabled=current == len(titles) - 1,
            on_click=on_step,
            args=(current + 1,),
        )


def lead(text: str) -> None:
    """Draws the sentences a step begins with, large; `text` is plain."""
    st.html(f'<p class="learn-lead">{escape(text)}</p>')
