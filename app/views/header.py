"""The top of every page: the product, and the checkpoint that answers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.views.markup import percent
from app.views.picking import is_drawn, menu_key
from core.labels import MODALITIES

WHICH_CHECKPOINT = (
    "A trained model: its weights, and how it was made. **full** answers about the made clips, **everyday** "
    "about clips of real people; the others that ship leave something out, to show what it is worth. The "
    "Checkpoints page tells of all of them."
)


def quality(metrics: dict) -> str | None:
    """How often a checkpoint is right, in words; None where its metrics do not tell.

    Args:
        metrics: contents of its metrics.json; the test split with all modalities is what counts.
    """
    try:
        scores = metrics["test"]["subsets"]["+".join(MODALITIES)]
        sources = metrics["test"].get("sources", {})
        of = f" of {len(sources)} data sets" if len(sources) > 1 else ""
        return (
            f"right on {percent(scores['accuracy'])} of {scores['num_clips']:,} unseen clips{of} "
            f"(macro-F1 {scores['macro_f1']:.2f})"
        )
    except (KeyError, TypeError, ValueError):  # not evaluated, or a subset that no clip has
        return None


def header(
    page: str, checkpoints: Sequence[str], *, selected: str | None, worth: str | None = None, on_pick
) -> None:
    """Draws name and page; `on_pick(name)` is called when another checkpoint is chosen.

    Args:
        page: what this page is for, in a few words.
        checkpoints: names to choose from; with one there is nothing to choose and it is only named.
        selected: name of the current one, None when there is none.
        worth: how good the current one is, None where that is not known.
        on_pick: takes a name.
    """

    def picked(key: str) -> None:
        if is_drawn(key):
            on_pick(st.session_state[key])

    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="header"):
        st.html(
            f'<div class="brand"><h1>DeepMSI-MER Explorer</h1><span>{escape(page)}</span></div>',
            width="content",
        )
        if len(checkpoints) > 1:
            key = menu_key("checkpoint-picker", selected)
            st.selectbox(
                "Checkpoint",
                checkpoints,
                key=key,
                on_change=picked,
                args=(key,),
                width=290,
                help=WHICH_CHECKPOINT,
            )
        # one checkpoint is named; of several the picker has the name already
        named = f"Checkpoint <b>{escape(selected)}</b>" if len(checkpoints) == 1 and selected else ""
        if parts := [part for part in (named, escape(worth or "")) if part]:
            st.html(f'<div class="checkpoint">{": ".join(parts)}</div>', width="content")
