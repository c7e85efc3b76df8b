"""Where the clip comes from: the shelf of shipped clips, a file of one's own, or camera and microphone."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from app.clips import KINDS, MAX_UPLOAD_MEGABYTES, MIXED, ClipChoice
from app.components.gallery import GalleryItem, gallery
from app.components.recorder import recorder
from app.truth import IN_THE_WAY, NOISES
from app.views.markup import color_of
from app.views.picking import is_drawn, menu_key, picked_option
from core.media import MEDIA_SUFFIXES

SHIPPED, OWN, RECORDED = "Sample clips", "Your own file", "Record yourself"
SOURCES = (SHIPPED, OWN, RECORDED)
ALL = "all"
_FILTERS = "clip-filters"
"""Where a session keeps the chosen label and kind."""
MIXED_HINT = "Mixed signals: made so that face, voice and words contradict one another"
ABSENT_HINTS = {
    "video": ("no-picture", "No picture, on purpose"),
    "audio": ("no-sound", "No sound, on purpose"),
    "text": ("no-words", "No words, on purpose: the speaker hums"),
}


def source_picker(source: str, *, on_pick) -> None:
    """Draws the choice of where the clip comes from, one of `SOURCES`; `on_pick(source)` tells another."""

    def picked() -> None:
        if is_drawn(key):
            on_pick(st.session_state[key])

    key = menu_key("source-picker", source)
    st.segmented_control(
        "Source",
        SOURCES,
        required=True,
        key=key,
        on_change=picked,
        label_visibility="collapsed",
    )


def clip_filters(clips: tuple[ClipChoice, ...], *, selected: str | None, on_pick) -> tuple[ClipChoice, ...]:
    """Draws a choice among the labels and one among the kinds of the clips; returns the clips that are left.

    The current clip is always among them: another label or kind takes its first clip, by `on_pick(key)`, and
    another clip takes the filters away that it does not pass. Kinds are counted within the chosen label.
    """
    current = next((clip for clip in clips if clip.key == selected), None)
    label, kind = st.session_state.get(_FILTERS, (ALL, ALL))
    # a clip that is not here leaves nothing to filter by
    if current is None or label not in (ALL, current.label):
        label = ALL
    if current is None or (kind != ALL and kind not in current.kinds):
        kind = ALL
    st.session_state[_FILTERS] = label, kind
    label_key, kind_key = menu_key("label-filter", label), menu_key("kind-filter", kind)

    def picked_label() -> None:
        wanted = picked_option(label_key, labels) if is_drawn(label_key) else None
        if wanted is None:
            return
        st.session_state[_FILTERS] = wanted, kind
        if wanted != ALL and (current is None or wanted != current.label):
            there = [clip for clip in clips if clip.label == wanted]
            on_pick(next((clip for clip in there if kind in clip.kinds), there[0]).key)

    def picked_kind() -> None:
        wanted = picked_option(kind_key, kinds) if is_drawn(kind_key) else None
        if wanted is None:
            return
        st.session_state[_FILTERS] = label, wanted
        if wanted != ALL and (current is None or wanted not in current.kinds):
            on_pick(next(clip for clip in labelled if wanted in clip.kinds).key)

    labels = [ALL, *dict.fromkeys(clip.label for clip in clips if clip.label)]
    st.pills(
        "Show clips labelled",
        labels,
        required=True,
        wrap=True,
        key=label_key,
        on_change=picked_label,
        label_visibility="collapsed",
    )
    labelled = tuple(clip for clip in clips if label in (ALL, clip.label))
    counts = {kind: sum(kind in clip.kinds for clip in labelled) for kind in KINDS}
    if not any(counts.values()):
        return labelled
    kinds = [ALL, *(kind for kind in KINDS if counts[kind])]
    st.selectbox(
        "Kind",
        kinds,
        format_func=lambda kind: f"Kind: {kind} ({counts.get(kind, len(labelled))})",
        required=True,
        key=kind_key,
        on_change=picked_kind,
        width=270,
        label_visibility="collapsed",
    )
    return tuple(clip for clip in labelled if kind == ALL or kind in clip.kinds)


def clip_shelf(
    clips: tuple[ClipChoice, ...],
    posters: Mapping[str, str],
    *,
    selected: str | None,
    is_truth_hidden: bool = False,
    on_pick,
) -> None:
    """Draws the shipped clips; `on_pick(key)` is called with another clip.

    Args:
        clips: to choose from.
        posters: data URI of a picture by clip key; missing ones are left blank.
        selected: key of the current clip, None when it is not one of these.
        is_truth_hidden: tell neither labels nor how clips were made.
        on_pick: takes the key of a clip.
    """
    nameless = "label hidden" if is_truth_hidden else "no label"
    items = tuple(
        GalleryItem(
            key=clip.key,
            title=clip.title,
            name=clip.label or nameless,
            color=color_of(clip.label) if clip.label else "",
            picture=posters.get(clip.key, ""),
            marks=marks_of(clip),
        )
        for clip in ((clip.untold for clip in clips) if is_truth_hidden else clips)
    )
    gallery(items, selected=selected, key="gallery", on_pick=on_pick)


def marks_of(clip: ClipChoice) -> tuple[tuple[str, str], ...]:
    """The signs on a clip's poster with what each means: mixed, absent, in the way, noise."""
    marks = [("mixed", MIXED_HINT)] if MIXED in clip.kinds else []
    if clip.missing:
        marks.append(ABSENT_HINTS[clip.missing])
    for sign, what, among in (("covered", "In the way", IN_THE_WAY), ("noisy", "Noise", NOISES)):
        if there := [among[kind] for kind in clip.distractors if kind in among]:
            marks.append((sign, f"{what}, on purpose: {', '.join(there)}"))
    return tuple(marks)


def own_chip(title: str, *, on_remove) -> None:
    """Draws which file of one's own is shown, with a cross that takes it away by `on_remove()`."""
    with st.container(horizontal=True, vertical_alignment="center", gap=None, key="own-chip"):
        st.html(
            f'<span class="unseen">Shown file: </span><span class="own-name">{escape(title)}</span>',
            width="content",
        )
        st.button(
            "",
            icon=":material/close:",
            type="tertiary",
            help="Take this file away",
            key="own-remove",
            on_click=on_remove,
        )


def upload_box(*, number: int, on_upload) -> None:
    """Draws an empty upload field; calls `on_upload(file)` with a new file.

    Args:
        number: another one empties the field.
        on_upload: takes an `UploadedFile`.
    """
    key = f"upload-{number}"

    def uploaded() -> None:
        if (file := st.session_state[key]) is not None:
            on_upload(file)

    st.file_uploader(
        "A video or sound file of your own",
        type=[suffix[1:] for suffix in MEDIA_SUFFIXES],
        max_upload_size=MAX_UPLOAD_MEGABYTES,
        key=key,
        on_change=uploaded,
        help="One person speaking works best. Clips of a few seconds are what the model was trained on.",
    )
    st.caption(
        "The file stays on this machine, in a private folder that is deleted with your session. "
        "Neither a link nor a reload keeps it."
    )


def record_box(*, number: int, on_recording, on_fault) -> None:
    """Draws the recorder; calls `on_recording(recording)` with one that shall be used.

    Args:
        number: another one starts anew, with the camera off.
        on_recording: takes an `app.components.recorder.Recording`.
        on_fault: takes a sentence, where a recording did not arrive.
    """
    recorder(key=f"recorder-{number}", on_recording=on_recording, on_fault=on_fault)
