"""Tags and notes: on the opened clip, and all of them with their way out and in as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import streamlit as st

from app.notes import MAX_NOTE_CHARACTERS, MAX_TAG_CHARACTERS, Note, tidy_tags
from app.views.markup import plain
from app.views.picking import is_drawn, menu_key, ticked, ticked_row
from core.evaluation.artifact import SHIPPED

SUGGESTED = ("wrong label", "face hidden", "noisy", "sarcasm", "ambiguous")
"""Tags that are offered before anybody gave one."""


def note_box(
    note: Note, known_tags: Sequence[str], *, begin: tuple[tuple[str, ...], str], refusal: str, on_save
) -> None:
    """Draws the fields for tags and text of a clip; `on_save(tags, text)` is called to keep them.

    Args:
        note: that is kept.
        known_tags: that other clips have.
        begin: tags and text that the fields of this version begin with.
        refusal: why the last change was not kept, "" where it was.
        on_save: takes tags and text.
    """
    tags_key, text_key = field_keys(note)

    def save() -> None:
        on_save(tuple(st.session_state[tags_key]), st.session_state[text_key])

    tags = st.session_state.get(tags_key, begin[0])
    with st.form(f"form-{text_key}", border=False):
        st.multiselect(
            "Tags",
            list(dict.fromkeys([*tags, *begin[0], *note.tags, *known_tags, *SUGGESTED])),
            default=begin[0],
            accept_new_options=True,
            placeholder="Choose or type a tag",
            key=tags_key,
        )
        st.text_area(
            "Note",
            begin[1],
            height=90,
            max_chars=MAX_NOTE_CHARACTERS,
            key=text_key,
            placeholder="What you see and hear in this clip",
        )
        st.form_submit_button("Keep tags and note", icon=":material/save:", on_click=save)
    if refusal:
        st.error(plain(refusal), icon=":material/error:")
    elif note.version:
        changed = note.changed.replace("T", " ").removesuffix("+00:00")
        st.caption(f"Kept on this machine, last changed {changed} UTC.")


def field_keys(note: Note) -> tuple[str, str]:
    """Keys of the fields for a note's tags and text; another version has other fields, which begin anew."""
    suffix = f"{note.data}-{note.place}-{note.key}-{note.version}"
    return f"tags-{suffix}", f"note-{suffix}"


def notes_list(
    notes: tuple[Note, ...],
    *,
    data: str,
    is_shown: bool,
    opened: str | None,
    to_csv,
    faults: tuple[str, ...],
    told: str,
    number: int,
    on_show,
    on_open,
    on_import,
    elsewhere: Mapping[str, tuple[Note, ...]],
    on_copy,
) -> None:
    """Draws all notes on a data set, with export and import.

    Args:
        notes: on clips of the data set.
        data: its name.
        is_shown: the gallery holds the noted clips already.
        opened: key of the opened clip, which is ticked.
        to_csv: gives the CSV's text.
        faults: of the last import; nothing was taken from it where there are some.
        told: what the last import did.
        number: another one empties the field for a file.
        on_show: is called when the gallery shall hold the noted clips.
        on_open: takes a clip's key, or None where it is let go.
        on_import: takes the file's bytes.
        elsewhere: notes on other data sets of the same name, by place.
        on_copy: takes those of a place.
    """
    st.html(f'<div class="chart-title">Tags and notes <span>on clips of {escape(data)}</span></div>')
    if notes:
        _table(notes, is_shown=is_shown, opened=opened, on_show=on_show, on_open=on_open)
        st.download_button(
            "All as CSV",
            data=to_csv,
            file_name=f"notes-{data}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="export-notes",
        )
    else:
        st.info(
            "Nothing is noted yet: open a clip below and write what you see.", icon=":material/edit_note:"
        )
    for place, others in elsewhere.items():
        _offer(place, others, data=data, on_copy=on_copy)
    _import(faults, told, number, on_import)


def _offer(place: str, notes: tuple[Note, ...], *, data: str, on_copy) -> None:
    """Tells of notes on another data set of the same name, which may be this one before it was moved."""
    what = {SHIPPED: "the clips that ship"}.get(place, place)
    where = "whose files are not known" if place.startswith("sha256:") else f"at {plain(what)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"{len(notes)} on other data called {plain(data)}, {where}, "
            f"{'is' if len(notes) == 1 else 'are'} not shown.",
            width="content",
        )
        st.button(
            "They are the same clips: copy",
            icon=":material/content_copy:",
            type="tertiary",
            key=f"copy-notes-{place}",
            on_click=on_copy,
            args=(notes,),
            help="For data that were moved: the notes are added to these clips, and stay where they are.",
        )


def notes_table(notes: tuple[Note, ...]) -> pd.DataFrame:
    """One row per noted clip."""
    return pd.DataFrame(
        [{"clip": note.key, "tags": ", ".join(note.tags), "note": note.note} for note in notes]
    )


def _table(notes: tuple[Note, ...], *, is_shown: bool, opened: str | None, on_show, on_open) -> None:
    keys = [note.key for note in notes]

    def clicked() -> None:
        if is_drawn(key):
            row = ticked_row(key)
            on_open(None if row is None else keys[row])

    st.button(
        "Show these clips in the gallery",
        icon=":material/grid_view:",
        on_click=on_show,
        disabled=is_shown,
        key="show-noted",
    )
    key = menu_key("notes-table", ticked(keys.index(opened) if opened in keys else None))
    st.dataframe(
        notes_table(notes),
        key=key,
        on_select=clicked,
        selection_mode="single-row",
        hide_index=True,
        alt="Clips with their tags and notes.",
    )
    st.caption("Tick a row to open the clip.")


def _import(faults: tuple[str, ...], told: str, number: int, on_import) -> None:
    key = f"notes-file-{number}"

    def uploaded() -> None:
        if (file := st.session_state[key]) is not None:
            on_import(file.getvalue())

    st.file_uploader(
        "Notes from a CSV",
        type=["csv"],
        max_upload_size=10,
        key=key,
        on_change=uploaded,
        help="With the columns data, key, tags and note, as exported here. Nothing that is kept is "
        "overwritten: tags are added, and another text is put below the one that is there. "
        f"A tag has at most {MAX_TAG_CHARACTERS} characters.",
    )
    if faults:
        listed = "\n".join(f"- {plain(fault)}" for fault in faults[:20])
        more = f"\n- … and {len(faults) - 20} more" if len(faults) > 20 else ""
        st.error(f"Nothing was imported:\n{listed}{more}", icon=":material/error:")
    elif told:
        st.success(plain(told), icon=":material/check:")


def known_tags(notes: Sequence[Note]) -> tuple[str, ...]:
    """Every tag of some notes once, in alphabetical order."""
    return tuple(sorted(tidy_tags(tag for note in notes for tag in note.tags)))
