"""Opening evaluations on pages: whatever is wrong becomes a sentence on the page."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from app import evaluations
from app.evaluations import Opened
from app.views.markup import plain
from core.evaluation import EvaluationError

REFUSAL = "folder-refusal"
"""Where a session keeps why the last folder that was named could not be offered."""


def open_evaluation(name: str, folder: Path) -> Opened | None:
    """The evaluation, read; None, with a sentence on the page, where it cannot be."""
    try:
        return evaluations.opened(folder)
    except EvaluationError as error:
        logging.getLogger(__name__).warning("evaluation %s: %s", name, error)
        st.error(plain(str(error)), icon=":material/error:")
        return None


def not_here(clip: str) -> str:
    """What is told, in Markdown, of a link that opens a clip which is not among those that are shown."""
    return f"The link opens the clip {plain(clip)}, which is not here; choose another."


def give_folder(text: str) -> str | None:
    """Offers the evaluations of a folder: the name of the first, or None, the reason kept in `REFUSAL`."""
    st.session_state.pop(REFUSAL, None)
    try:
        found = evaluations.give(Path(text))
    except (EvaluationError, OSError, RuntimeError) as error:
        st.session_state[REFUSAL] = plain(str(error))
        return None
    return next(name for name, folder in evaluations.evaluations().items() if folder == found[0])
