"""The Clip page: pick a clip, see the emotion the model finds in it, and on what grounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from app import resources, state
from app.answering import pick_checkpoint
from app.clips import OF_DATA, OF_EVALUATION, OWN_CLIP, ClipChoice, save_upload
from app.components.recorder import Recording
from app.data_clip import data_clip
from app.evaluated_clip import evaluated_clip, is_of_shipped_file
from app.inspection import inspect
from app.reading import open_model, read_clip
from app.resources import Explained
from app.views.headline import headline, learned_from, probability_bars
from app.views.markup import plain
from app.views.player import player
from app.views.source import (
    OWN,
    RECORDED,
    SHIPPED,
    clip_filters,
    clip_shelf,
    own_chip,
    record_box,
    source_picker,
    upload_box,
)
from app.views.transcript import (
    HUMMED,
    NONE_GIVEN,
    NONE_RECOGNISED,
    SOUNDLESS,
    speech_box,
    speech_offer,
    transcript_box,
)
from app.views.truth import truth_toggle
from core.media import MediaError
from core.media.speech_models import Speech, is_at_hand


def page() -> None:
    """Draws the whole page."""
    state.adopt_link()
    answering = pick_checkpoint(
        "Which emotion, and on what grounds",
        wanted=state.current().checkpoint,
        on_pick=lambda name: state.update(checkpoint=name),
        ships=ships(state.current().clip or ""),
    )
    choice = pick_clip()
    if choice is not None and choice.transcript is None:
        choice = replace(choice, speech=speech_for(choice))
    # before the model is asked, so that a reload in the meantime loses nothing
    state.publish_link()
    model = open_model(answering.name, lacking="no emotion can be predicted")
    explained = None
    if choice is not None and model is not None:
        explained = read_clip(choice, state.current().words, model)
    if explained is None:
        # nothing here is about the clip before any more
        resources.want_nothing()
        return
    is_label_hidden = False
    if state.current().is_truth_hidden and not choice.is_own:
        is_label_hidden = choice.label is not None
        choice, explained = choice.untold, explained.untold
    show(choice, explained, is_label_hidden=is_label_hidden, own_warning=learned_from(answering.metrics))


def ships(link: str) -> bool:
    """Whether the clip that a link names is one that ships, as far as that is known before it is read."""
    if link.startswith(OF_EVALUATION):
        return is_of_shipped_file(link)
    return link != OWN_CLIP and not link.startswith(OF_DATA)


def pick_clip() -> ClipChoice | None:
    """The clip to show: one from the shelf, the uploaded one, or one of own data."""
    if (link := state.current().clip or "").startswith(OF_DATA):
        return data_clip(link, on_pick=take_clip)
    if link.startswith(OF_EVALUATION):
        return evaluated_clip(link, on_pick=take_clip)
    clips = resources.clips()
    if state.current().clip is None and clips:
        state.update(clip=clips[0].key)
    current = state.current().clip
    with st.container(key="source"):
        bar = st.container(horizontal=True, vertical_alignment="center", gap="medium")
        with bar:
            way = st.session_state.get("own-way", OWN)
            source_picker(way if current == OWN_CLIP else SHIPPED, on_pick=take_source)
        if current == OWN_CLIP:
            return own_clip()
        forget_refusal()
        if not clips:
            st.info("No sample clips are installed; choose a file of your own.", icon=":material/info:")
            return None
        is_hidden = state.current().is_truth_hidden
        with bar:
            # filters tell label and kind of what they leave
            left = clips if is_hidden else clip_filters(clips, selected=current, on_pick=take_clip)
            truth_toggle(is_hidden=is_hidden, on_change=lambda hide: state.update(is_truth_hidden=hide))
        clip_shelf(left, resources.posters(), selected=current, is_truth_hidden=is_hidden, on_pick=take_clip)
    found = next((clip for clip in clips if clip.key == current), None)
    if found is None:
        st.warning("The link names a clip that is not here; choose one above.", icon=":material/link_off:")
    return found


def take_source(source: str) -> None:
    """Turns to a clip of one's own, given or recorded, or back to the sample clip that was shown last."""
    if source == SHIPPED:
        take_clip(st.session_state.get("last-sample"))
        return
    if (current := state.current().clip) != OWN_CLIP:
        st.session_state["last-sample"] = current
    st.session_state.setdefault("own-clip", None)
    st.session_state["own-way"] = source
    take_clip(OWN_CLIP)


def take_clip(key: str | None) -> None:
    """Makes another clip the current one, None for the first."""
    state.update(clip=key)


def own_clip() -> ClipChoice | None:
    """Draws the upload field or the recorder; the own clip, None where there is none or the last was refused.

    A file that was read leaves the field empty: what is shown is told below it, so that the two never differ.
    """
    number = st.session_state.get("upload-number", 0)
    if st.session_state.get("own-way") == RECORDED:
        # what was recorded shall be seen, not how
        is_shown = st.session_state.get("own-clip") is not None and not st.session_state.get("upload-refusal")
        box = st.expander("Record another", icon=":material/videocam:") if is_shown else st.container()
        with box:
            record_box(number=number, on_recording=take_recording, on_fault=refuse_recording)
    else:
        upload_box(number=number, on_upload=lambda file: take_upload(file.name, file.getvalue))
    place = st.empty()
    if (upload := st.session_state.get("unread-upload")) is not None:
        place.info(f"Reading {plain(upload[0])} …", icon=":material/hourglass_top:")
        read_upload(*upload)
        st.rerun()
    own: ClipChoice | None = st.session_state.get("own-clip")
    if refusal := st.session_state.get("upload-refusal"):
        place.error(plain(refusal), icon=":material/error:")
        if own is not None:
            st.button(
                f"Show {plain(own.title)} again",
                icon=":material/undo:",
                on_click=forget_refusal,
                key="own-again",
            )
        return None
    if "own-clip" not in st.session_state:
        place.info(
            "A clip of your own is not kept over a reload; give or record it again.",
            icon=":material/link_off:",
        )
    elif own is not None and not own.path.is_file():
        # Streamlit ends the session's folder with its connection, but may take the session up again
        place.warning(
            "Your clip went when the connection was lost; give or record it again.",
            icon=":material/link_off:",
        )
        return None
    if own is not None:
        own_chip(own.title, on_remove=forget_own)
    return own


def forget_own() -> None:
    """Takes the file of one's own away."""
    st.session_state["own-clip"] = None
    resources.forget_uploads()
    state.update(**dict.fromkeys(state.OF_ONE_CLIP))


def take_upload(name: str, read: Callable[[], bytes]) -> None:
    """Remembers a file of one's own, to be read once the page has said so."""
    forget_refusal()
    st.session_state["unread-upload"] = name, read


def take_recording(recording: Recording) -> None:
    """Remembers a recording, to be read like a file."""
    take_upload(recording.name, lambda: recording.content)


def refuse_recording(sentence: str) -> None:
    """Remembers why a recording cannot be used; the recorder starts anew."""
    st.session_state["upload-number"] = st.session_state.get("upload-number", 0) + 1
    st.session_state["upload-refusal"] = sentence


def read_upload(name: str, read: Callable[[], bytes]) -> None:
    """Makes a file the session's own clip, or remembers in a sentence why it cannot be."""
    # first, so that a file whose reading breaks off is not read over and over
    st.session_state.pop("unread-upload")
    st.session_state["upload-number"] = st.session_state.get("upload-number", 0) + 1
    try:
        own = save_upload(name, read(), resources.private_folder())
    except MediaError as error:
        st.session_state["upload-refusal"] = str(error)
    else:
        st.session_state["own-clip"] = own
        state.update(**dict.fromkeys(state.OF_ONE_CLIP))


def forget_refusal() -> None:
    """Takes back the sentence on a refused file, so that the clip before it is shown again."""
    st.session_state.pop("upload-refusal", None)


def show(choice: ClipChoice, explained: Explained, *, is_label_hidden: bool, own_warning: str) -> None:
    """Draws the player, the answer and the grounds for it.

    Args:
        choice: the clip.
        explained: the same clip's answer.
        is_label_hidden: there is a label, which `choice` does not tell.
        own_warning: a sentence that is told where the clip is a file of one's own.
    """
    left, right = st.columns([5, 7], gap="large")
    with left:
        if explained.media is not None:
            player(
                explained.media,
                title=choice.title,
                start_seconds=choice.start_seconds,
                end_seconds=choice.end_seconds,
            )
        else:
            st.info("No copy could be made that browsers play; the model read the clip.")
        transcript_box(
            explained.display.transcript,
            state.current().words,
            clip=explained.prediction.clip_hash,
            absence=why_no_words(choice, explained),
            on_words=lambda words: state.update(words=words),
        )
        if choice.transcript is None and explained.display.peaks is not None:
            speech_box(choice.speech, on_speech=take_speech)
    with right:
        headline(
            explained.prediction,
            choice.label,
            is_edited=state.current().words is not None,
            original=explained.original,
            is_label_hidden=is_label_hidden,
        )
        probability_bars(explained.prediction, choice.label, warning=own_warning if choice.is_own else "")
    inspect(explained)


def take_speech(speech: Speech) -> None:
    """Has this session's clips listened to in another way; typed words go."""
    st.session_state["speech-agreed"] = speech
    state.update(speech=speech, words=None)


def speech_for(choice: ClipChoice) -> Speech:
    """How to listen to a clip. What only a link asks for fetches nothing before a person agrees."""
    wanted = state.current().speech
    if wanted is None or wanted == choice.speech:
        return choice.speech
    if wanted != st.session_state.get("speech-agreed") and not is_at_hand(wanted):
        speech_offer(wanted, instead=choice.speech, on_speech=take_speech)
        return choice.speech
    return wanted


def why_no_words(choice: ClipChoice, explained: Explained) -> str:
    """Why a clip has no words of its own, for what was tried."""
    if choice.is_hummed:
        return HUMMED
    if choice.transcript is not None:
        return NONE_GIVEN
    return NONE_RECOGNISED if explained.display.peaks is not None else SOUNDLESS


page()
