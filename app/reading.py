"""Opening a checkpoint and having it read a clip on pages: what is wrong becomes a sentence on the page."""

from __future__ import annotations

import logging

import streamlit as st

from app import checkpoints, resources
from app.clips import ClipChoice
from app.resources import Explained
from app.views.markup import plain
from core.checkpoint_files import CheckpointError
from core.media import MediaError
from core.predict import Predictor


def open_model(name: str | None, *, lacking: str) -> Predictor | None:
    """A checkpoint's model; None, with a sentence on the page, when there is none.

    Args:
        name: of the checkpoint, None where none is installed.
        lacking: what cannot be done then: "there is no model to show".
    """
    if name is None:
        st.warning(
            f"No checkpoint is installed, so {lacking}; train one with `deepmsi train`.",
            icon=":material/deployed_code_alert:",
        )
        return None
    folder = checkpoints.checkpoints()[name]
    try:
        with st.spinner(f"Loading the model {plain(name)}: a few seconds, once …"):
            return checkpoints.predictor(folder)
    except CheckpointError as error:
        logging.getLogger(__name__).exception("checkpoint %s", name)
        st.error(plain(str(error).replace(str(folder), name)), icon=":material/error:")
        return None


def read_clip(choice: ClipChoice, words: str | None, model: Predictor) -> Explained | None:
    """The clip read and answered, with words on the way; None, with a sentence on the page, if it cannot be.

    Args:
        choice: the clip.
        words: to read in place of its own; None for those.
        model: that answers.
    """
    place = st.empty()
    try:
        if resources.is_explained(choice, words, model):
            return resources.explain(choice, words, model, lambda stage: None)
        name = plain(choice.title) if choice.is_own else "the clip"
        with place.status(f"Reading {name} …", expanded=True) as status:
            explained = resources.explain(choice, words, model, lambda stage: status.write(f"{stage} …"))
        place.empty()
        return explained
    except MediaError as error:
        place.empty()
        st.error(plain(str(error)), icon=":material/error:")
        return None
