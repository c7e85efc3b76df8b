"""Where one is in the walk, and the buttons that lead on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st


def stepper(
    titles: Sequence[str], *, current: int, clip: str, is_presented: bool, on_step, on_present
) -> None:
    """Draws the step's number and title, the way back and on, and into the presenter layout and out of it.

    Args:
        titles: of all steps.
        current: index of the one that is shown.
        clip: title of the clip, "" for none.
        is_presented: in the presenter layout.
        on_step: called with the index of another step.
        on_present: called with whether the presenter layout is wanted.
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
        # the style sheet knows the layout by the button's key
        st.button(
            "Leave" if is_presented else "Present",
            icon=":material/close_fullscreen:" if is_presented else ":material/present_to_all:",
            type="tertiary",
            key="learn-leave" if is_presented else "learn-present",
            shortcut="p",
            help="Back to the usual layout"
            if is_presented
            else "For a projector: larger type, and no controls but those of the walk",
            on_click=on_present,
            args=(not is_presented,),
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
