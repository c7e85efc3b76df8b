"""The words the model reads: given or recognised, and free to be changed."""

from __future__ import annotations

import streamlit as st

from app.state import MAX_WORDS_CHARACTERS
from core.media.clip import Transcript

SOURCES = {"given": "given with the clip", "speech-to-text": "recognised from the sound, so it may be wrong"}


def transcript_box(original: Transcript | None, edited: str | None, *, clip: str, on_words) -> None:
    """Draws the words in an editable box; what is typed there stays until the clip or its words change.

    Args:
        original: as given or recognised; None where there were none.
        edited: what a person wrote instead, None for nothing.
        clip: tells the clips apart.
        on_words: called with the new words, or with None to go back to the original ones.
    """
    before = " ".join(original.text.split()) if original is not None else ""
    put = clip, before if edited is None else edited

    def submitted() -> None:
        words = " ".join(st.session_state["words"].split())
        on_words(None if words == before else words)

    if "words" not in st.session_state or st.session_state.get("words-put") != put:
        st.session_state["words"] = put[1]
        st.session_state["words-put"] = put
    with st.form("transcript", border=False, enter_to_submit=True):
        st.text_area(
            "Words",
            key="words",
            height=68,
            max_chars=max(MAX_WORDS_CHARACTERS, len(before)),
            placeholder="No words: the model goes without them.",
            help="Change the words and predict again to see what the text does to the answer.",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.form_submit_button("Predict again", icon=":material/refresh:", on_click=submitted)
            if edited is not None:
                st.form_submit_button(
                    "Original words", icon=":material/undo:", on_click=on_words, args=(None,)
                )
            st.caption(_where_from(original, edited))


def _where_from(original: Transcript | None, edited: str | None) -> str:
    if edited is not None:
        return "Words: changed by you."
    if original is None or not original.text.strip():
        return "Words: none given, none recognised."
    return f"Words: {SOURCES.get(original.source, original.source)}."
