"""The top of every page: the product, and the checkpoint that answers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st


def header(page: str, checkpoints: Sequence[str], *, selected: str | None, on_pick) -> None:
    """Draws name and page; `on_pick(name)` is called when another checkpoint is chosen.

    Args:
        page: what this page is for, in a few words.
        checkpoints: names to choose from; with one there is nothing to choose and it is only named.
        selected: name of the current one, None when there is none.
        on_pick: takes a name.
    """

    def picked() -> None:
        on_pick(st.session_state["checkpoint-picker"])

    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="header"):
        st.html(
            f'<div class="brand"><h1>DeepMSI-MER Explorer</h1><span>{escape(page)}</span></div>',
            width="content",
        )
        if len(checkpoints) > 1:
            st.session_state["checkpoint-picker"] = selected
            st.selectbox(
                "Checkpoint",
                checkpoints,
                key="checkpoint-picker",
                on_change=picked,
                width=220,
                label_visibility="collapsed",
            )
        elif selected is not None:
            st.html(f'<div class="checkpoint">Checkpoint <b>{escape(selected)}</b></div>', width="content")
