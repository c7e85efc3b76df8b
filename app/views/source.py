"""Where the clip comes from: the shelf of shipped clips, or a file of one's own."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.clips import MAX_UPLOAD_MEGABYTES, MEDIA_SUFFIXES, ClipChoice
from app.components.gallery import GalleryItem, gallery
from app.views.markup import color_of

SHIPPED, OWN = "Sample clips", "Your own file"
ALL = "all"
MIXED = "mixed signals"
MIXED_HINT = "Mixed signals: made so that face, voice and words do not all carry the same emotion."


def source_picker(*, is_own: bool, on_pick) -> None:
    """Draws the choice between the shipped clips and a file of one's own; `on_pick(is_own)` tells another."""

    def picked() -> None:
        on_pick(st.session_state["source-picker"] == OWN)

    st.session_state["source-picker"] = OWN if is_own else SHIPPED
    st.segmented_control(
        "Source",
        [SHIPPED, OWN],
        required=True,
        key="source-picker",
        on_change=picked,
        label_visibility="collapsed",
    )


def label_filter(clips: tuple[ClipChoice, ...], *, selected: str | None, on_pick) -> str | None:
    """Draws a choice among the labels of the clips; returns one, or None for all.

    The current clip always has the label that is returned: another label takes its first clip, by
    `on_pick(key)`, and another clip takes the filter away.
    """
    labels = list(dict.fromkeys(clip.label for clip in clips if clip.label))
    current = next((clip.label for clip in clips if clip.key == selected), None)

    def picked() -> None:
        wanted = st.session_state["label-filter"]
        if wanted not in (ALL, current):
            on_pick(next(clip.key for clip in clips if clip.label == wanted))

    if st.session_state.get("label-filter") != current:
        st.session_state["label-filter"] = ALL
    wanted = st.pills(
        "Show clips labelled",
        [ALL, *labels],
        required=True,
        key="label-filter",
        on_change=picked,
        label_visibility="collapsed",
    )
    return None if wanted == ALL else wanted


def clip_shelf(
    clips: tuple[ClipChoice, ...],
    posters: Mapping[str, str],
    *,
    label: str | None,
    selected: str | None,
    on_pick,
) -> None:
    """Draws the shipped clips; `on_pick(key)` is called with another clip.

    Args:
        clips: to choose from.
        posters: data URI of a picture by clip key; missing ones are left blank.
        label: show only clips with this label, None for all.
        selected: key of the current clip, None when it is not one of these.
        on_pick: takes the key of a clip.
    """
    items = tuple(
        GalleryItem(
            key=clip.key,
            title=clip.title,
            label=clip.label or "",
            color=color_of(clip.label or ""),
            picture=posters.get(clip.key, ""),
            badge=MIXED if clip.is_mixed else "",
            hint=MIXED_HINT if clip.is_mixed else "",
        )
        for clip in clips
        if label in (None, clip.label)
    )
    gallery(items, selected=selected, key="gallery", on_pick=on_pick)


def upload_box(*, on_upload, on_remove) -> None:
    """Draws the upload field; calls `on_upload(file)` with a new file, `on_remove()` without one."""

    def uploaded() -> None:
        file = st.session_state["upload"]
        if file is None:
            on_remove()
        else:
            on_upload(file)

    st.file_uploader(
        "A video or sound file of your own",
        type=[suffix[1:] for suffix in MEDIA_SUFFIXES],
        max_upload_size=MAX_UPLOAD_MEGABYTES,
        key="upload",
        on_change=uploaded,
        help="One person speaking works best. Clips of a few seconds are what the model was trained on.",
    )
    st.caption(
        "The file stays on this machine, in a private folder that is deleted with your session. "
        "Neither a link nor a reload keeps it."
    )
