"""The words the model reads: given, recognised or typed, and always free to be changed."""

from __future__ import annotations

import streamlit as st

from app.components.pending import pending
from app.state import MAX_WORDS_CHARACTERS, cut_words
from app.views.markup import plain
from core.media.clip import Transcript
from core.media.languages import LANGUAGES
from core.media.speech_models import SHIPPED_NAME, SOURCE, Speech

ENCODER_NOTE = (
    "The text encoder of the checkpoints that ship (MiniLM) reads English: words of another language can be "
    "recognised, but what they give to the answer means little."
)
ANY_LANGUAGE = "found by the model"
NONE_GIVEN = "none given"
HUMMED = "none; the speaker only hums"
SOUNDLESS = "none given, and no sound to recognise them from"
NONE_RECOGNISED = "none given, none recognised"


def transcript_box(
    original: Transcript | None, edited: str | None, *, clip: str, absence: str = NONE_RECOGNISED, on_words
) -> None:
    """Draws the words in an editable box; what is typed there stays until the clip or its words change.

    Words beyond `MAX_WORDS_CHARACTERS`, or the length of the original ones if that is more, are cut, and a
    sentence says so.

    Args:
        original: as given or recognised; None where there were none.
        edited: what a person wrote instead, None for nothing.
        clip: tells the clips apart.
        absence: why there are no original words.
        on_words: called with the new words, or with None to go back to the original ones.
    """
    before = " ".join(original.text.split()) if original is not None else ""
    put = clip, before if edited is None else edited
    limit = max(MAX_WORDS_CHARACTERS, len(before))

    # under another key whenever other words are put there, which are its default: a value that is put into a
    # box once is lost where a slow browser gets to draw it only after the page was drawn again
    number, put_before = st.session_state.get("words-put", (0, None))
    if put_before != put:
        number += 1
        st.session_state["words-put"] = number, put
    key = f"words-{number}"

    def submitted() -> None:
        typed = " ".join(st.session_state[key].split())
        words = cut_words(typed, limit)
        st.session_state["words-cut"] = None
        # the box that holds them stays, and the focus in it
        stands = words == st.session_state[key]
        st.session_state["words-put"] = number, (clip, words) if stands else None
        if words != typed:
            st.session_state["words-cut"] = clip, words, len(typed)
        on_words(None if words == before else words)

    with st.form("transcript", border=False, enter_to_submit=True):
        st.text_area(
            "Words",
            put[1],
            key=key,
            height=68,
            placeholder="No words: the model goes without them.",
            help="Change the words and predict again to see what the text does to the answer.",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.form_submit_button("Predict again", icon=":material/refresh:", on_click=submitted)
            if edited is not None:
                st.form_submit_button(
                    "Original words", icon=":material/undo:", on_click=on_words, args=(None,)
                )
            st.caption(_where_from(original, edited, absence))
        pending(put[1], box_key=key, max_characters=limit, key="pending")
    cut = st.session_state.get("words-cut")
    if cut is not None and cut[:2] == put:
        st.warning(
            f"Your text had {cut[2]} characters. Only its first {len(cut[1])} were read, which are shown; "
            f"{limit} are the most.",
            icon=":material/content_cut:",
        )


def speech_box(speech: Speech, *, on_speech) -> None:
    """Draws how the words are recognised, and lets people name another model and a language.

    Args:
        speech: as it is.
        on_speech: takes another `Speech`, with which the clip is listened to again.
    """
    # as with the words, defaults that go with the keys
    number, put_before = st.session_state.get("speech-put", (0, None))
    if put_before != speech:
        number += 1
        st.session_state["speech-put"] = number, speech
    model_key, language_key = f"speech-model-{number}", f"speech-language-{number}"

    def submitted() -> None:
        model, language = st.session_state[model_key], st.session_state[language_key]
        on_speech(Speech(model=model.strip(), language=language))

    languages = ["", *sorted(LANGUAGES, key=LANGUAGES.get)]
    with (
        st.popover("Speech to text", icon=":material/hearing:", type="tertiary", key="speech-box"),
        st.form("speech-form", border=False),
    ):
        st.text_input(
            "Whisper model",
            speech.model,
            key=model_key,
            placeholder=f"{SHIPPED_NAME}, which comes with the app",
            help="A folder on the machine that runs the app, with a model in the format of faster-whisper, "
            "or a name on the Hugging Face hub, from where it is fetched once. The sound stays here either "
            "way.",
        )
        st.selectbox(
            "Language that is spoken",
            languages,
            languages.index(speech.language),
            format_func=lambda code: LANGUAGES.get(code, ANY_LANGUAGE),
            key=language_key,
        )
        st.form_submit_button("Listen again", icon=":material/hearing:", on_click=submitted)
        st.caption(
            f"{SHIPPED_NAME} knows English only. For another language name a larger model, such as "
            f"`Systran/faster-whisper-small` (0.5 GB, fetched once). {ENCODER_NOTE}"
        )


def speech_offer(speech: Speech, *, instead: Speech, on_speech) -> None:
    """Draws that a link asks for a model which would have to be fetched, and the way to agree.

    Args:
        speech: as the link has it.
        instead: what listens meanwhile.
        on_speech: takes the `Speech` that is agreed to.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="speech-offer"):
        st.warning(
            f"The link has the words recognised by {plain(speech.model_name)}, which is not on this machine. "
            f"{plain(instead.model_name)} listens instead.",
            icon=":material/link_off:",
        )
        st.button(
            "Fetch it, then listen again",
            icon=":material/download:",
            key="speech-fetch",
            on_click=on_speech,
            args=(speech,),
            help="From the Hugging Face hub, once. The sound stays on the machine that runs the app.",
        )


def _where_from(original: Transcript | None, edited: str | None, absence: str) -> str:
    """Who wrote the words: the person who looks, a model, or whoever gave the clip."""
    if edited is not None:
        return "Words: typed by you."
    if original is None or not original.text.strip():
        return f"Words: {absence}."
    if original.source != SOURCE:
        return "Words: given with the clip."
    who = f" by {plain(original.recogniser)}" if original.recogniser else ""
    language = f" ({LANGUAGES.get(original.language, original.language)})" if original.language else ""
    return f"Words: recognised from the sound{who}{language}, so they may be wrong. Type what is wrong."
