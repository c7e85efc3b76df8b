"""The Clip page: pick a clip, see the emotion the model finds in it, and on what grounds."""

from __future__ import annotations

import logging

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import resources, state
from app.clips import OWN_CLIP, ClipChoice, save_upload
from app.components.timeline import Strip, timeline
from app.resources import Explained
from app.views import modalities
from app.views.frame import default_frame, frame_view, guide_words
from app.views.header import header, quality
from app.views.headline import headline, probability_bars
from app.views.markup import plain
from app.views.player import PLAYER_KEY, player
from app.views.source import clip_shelf, label_filter, source_picker, upload_box
from app.views.transcript import transcript_box
from core.checkpoint import CheckpointError
from core.media import MediaError
from core.predict import Predictor


def page() -> None:
    """Draws the whole page."""
    state.adopt_link()
    names = list(resources.checkpoints())
    wanted = state.current().checkpoint
    chosen = wanted if wanted in names else next(iter(names), None)
    header(
        "Which emotion, and on what grounds",
        names,
        selected=chosen,
        worth=None if chosen is None else quality(resources.metrics(resources.checkpoints()[chosen])),
        on_pick=lambda name: state.update(checkpoint=name),
    )
    if chosen is not None and wanted not in (None, chosen):
        st.warning(
            f"The link names the checkpoint {plain(wanted)}, which is not here; {plain(chosen)} answers.",
            icon=":material/link_off:",
        )
        state.update(checkpoint=None)
    choice = pick_clip()
    # before the model is asked, so that a reload in the meantime loses nothing
    state.publish_link()
    model = open_model(chosen)
    if choice is not None and model is not None:
        explained = explain(choice, model)
        if explained is not None:
            show(choice, explained)


def pick_clip() -> ClipChoice | None:
    """The clip to show: one from the shelf, or the uploaded one."""
    clips = resources.clips()
    if state.current().clip is None and clips:
        state.update(clip=clips[0].key)
    current = state.current().clip
    with st.container(key="source"):
        bar = st.container(horizontal=True, vertical_alignment="center", gap="medium")
        with bar:
            source_picker(is_own=current == OWN_CLIP, on_pick=take_source)
        if current == OWN_CLIP:
            return own_clip()
        forget_refusal()
        if not clips:
            st.info("No sample clips are installed; choose a file of your own.", icon=":material/info:")
            return None
        with bar:
            label = label_filter(clips, selected=current, on_pick=take_clip)
        clip_shelf(clips, resources.posters(), label=label, selected=current, on_pick=take_clip)
    found = next((clip for clip in clips if clip.key == current), None)
    if found is None:
        st.warning("The link names a clip that is not here; choose one above.", icon=":material/link_off:")
    return found


def take_source(is_own: bool) -> None:
    """Turns to the file of one's own, or back to the sample clip that was shown last."""
    if is_own:
        st.session_state["last-sample"] = state.current().clip
        st.session_state.setdefault("own-clip", None)
    take_clip(OWN_CLIP if is_own else st.session_state.get("last-sample"))


def take_clip(key: str | None) -> None:
    """Makes another clip the current one, None for the first."""
    state.update(clip=key)


def own_clip() -> ClipChoice | None:
    """Draws the upload field; the uploaded clip, None where there is none or the last file was refused."""
    upload_box(on_upload=take_upload, on_remove=forget_refusal)
    place = st.empty()
    if (upload := st.session_state.get("unread-upload")) is not None:
        place.info(f"Reading {plain(upload.name)} …", icon=":material/hourglass_top:")
        read_upload(upload)
        place.empty()
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
            "A file of your own is not kept over a reload; choose it again.", icon=":material/link_off:"
        )
    elif own is not None and not own.path.is_file():
        # Streamlit ends the session's folder with its connection, but may take the session up again
        place.warning(
            "Your file went when the connection was lost; choose it again.", icon=":material/link_off:"
        )
        return None
    return own


def take_upload(upload: UploadedFile) -> None:
    """Remembers an uploaded file, to be read once the page has said so."""
    forget_refusal()
    st.session_state["unread-upload"] = upload


def read_upload(upload: UploadedFile) -> None:
    """Makes an uploaded file the session's own clip, or remembers in a sentence why it cannot be."""
    try:
        own = save_upload(upload.name, upload.getvalue(), resources.private_folder())
    except MediaError as error:
        st.session_state["upload-refusal"] = str(error)
    else:
        st.session_state["own-clip"] = own
        state.update(frame=None, emotion=None, words=None)
    st.session_state.pop("unread-upload")


def forget_refusal() -> None:
    """Takes back the sentence on a refused file, so that the clip before it is shown again.

    It was kept: browsers empty the upload field also when its file is about to be replaced.
    """
    st.session_state.pop("upload-refusal", None)


def open_model(name: str | None) -> Predictor | None:
    """The current checkpoint's model; None, with a sentence on the page, when there is none."""
    if name is None:
        st.warning(
            "No checkpoint is installed, so no emotion can be predicted; train one with `deepmsi train`.",
            icon=":material/deployed_code_alert:",
        )
        return None
    folder = resources.checkpoints()[name]
    try:
        with st.spinner(f"Loading the model {plain(name)}: a few seconds, once …"):
            return resources.predictor(folder)
    except CheckpointError as error:
        logging.getLogger(__name__).exception("checkpoint %s", name)
        st.error(plain(str(error).replace(str(folder), name)), icon=":material/error:")
        return None


def explain(choice: ClipChoice, model: Predictor) -> Explained | None:
    """The clip explained, with words on the way; None, with a sentence on the page, when it cannot be."""
    words = state.current().words
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


def show(choice: ClipChoice, explained: Explained) -> None:
    """Draws the player, the answer and the grounds for it."""
    left, right = st.columns([5, 7], gap="large")
    with left:
        if explained.media is not None:
            player(explained.media, title=choice.title, is_titled=choice.is_own)
        else:
            st.info("No copy could be made that browsers play; the model read the clip.")
        transcript_box(
            explained.display.transcript,
            state.current().words,
            clip=explained.prediction.clip_hash,
            on_words=lambda words: state.update(words=words),
        )
    with right:
        headline(
            explained.prediction,
            choice.label,
            is_edited=state.current().words is not None,
            original=explained.original,
        )
        probability_bars(explained.prediction, choice.label)
    inspect(explained)


@st.fragment
def inspect(explained: Explained) -> None:
    """Timeline, frame view and modality panel: what is chosen here reruns nothing else."""
    prediction = explained.prediction
    view = state.keep_within(
        num_frames=0 if prediction.frames is None else len(prediction.frames.times_seconds),
        num_steps=len(prediction.patch_steps),
        labels=prediction.labels,
    )
    frame = default_frame(prediction) if view.frame is None else view.frame
    show_timeline(explained, frame)
    if frame is None:
        panel = st.container()
    else:
        left, panel = st.columns([5, 7], gap="large")
        with left:
            show_frame(explained, frame)
    with panel:
        show_modalities(explained)
    state.publish_link()


def show_timeline(explained: Explained, frame: int | None) -> None:
    """Draws the strip with the chosen frame."""
    prediction, display = explained.prediction, explained.display
    # recognised words have times; edited ones would not fit them any more
    is_original = state.current().words is None
    timeline(
        Strip(
            title="What the model looked at",
            start_seconds=prediction.start_seconds,
            end_seconds=prediction.end_seconds,
            frames=prediction.frames,
            thumbnails=display.thumbnails,
            peaks=display.peaks,
            words=display.transcript.words if display.transcript and is_original else (),
        ),
        selected=frame,
        player_key=PLAYER_KEY,
        key="timeline",
        on_pick=lambda index: state.update(frame=index),
    )
    st.caption(timeline_caption(explained))


def show_frame(explained: Explained, frame: int) -> None:
    """Draws the inside of the chosen frame."""
    steps, step = len(explained.prediction.patch_steps), state.current().step
    st.subheader("Inside one frame", anchor=False)
    frame_view(
        explained.prediction,
        explained.display.pictures,
        frame=frame,
        step=steps if step is None else step,
        on_frame=lambda index: state.update(frame=index),
        on_step=lambda step: state.update(step=None if step == steps else step),
    )


def show_modalities(explained: Explained) -> None:
    """Draws what each modality says about the chosen emotion."""
    prediction, wanted = explained.prediction, state.current().emotion
    emotion = wanted if wanted in prediction.labels else prediction.prediction
    st.subheader("What each modality says", anchor=False)
    modalities.verdict(prediction)
    modalities.class_picker(
        prediction.labels,
        selected=emotion,
        predicted=prediction.prediction,
        on_pick=lambda label: state.update(emotion=None if label == prediction.prediction else label),
    )
    modalities.subset_chart(prediction, emotion)
    modalities.shapley_chart(prediction, emotion)
    modalities.tables(prediction, emotion)


def timeline_caption(explained: Explained) -> str:
    """How to read the timeline, for what this clip has."""
    prediction = explained.prediction
    parts = []
    if prediction.frames is not None:
        kept, everyone = len(prediction.frames.kept), len(prediction.frames.times_seconds)
        guide = guide_words(prediction)
        moved = f", moved by {guide} as far as training taught it" if guide else ""
        parts.append(
            f"How to read: of {everyone} candidate frames the model kept {kept} (full colour). The bar under "
            "a frame is its relevance, from the lowest to the highest of this clip: what changes in the "
            f"face{moved}. A dimmed frame was merged into the one its line leads to; × left no trace."
        )
    else:
        used = " and ".join(modality for modality, is_there in prediction.present.items() if is_there)
        parts.append(f"This clip has no picture; the model used {used}.")
    parts.append("Click, or use the arrow keys, to go to a moment; space plays.")
    return " ".join(parts)


page()
