"""The Failures page: what a checkpoint gets wrong, why, and the clips themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.errors import StreamlitAPIException

from app import evaluations
from app import failures_state as state
from app.evaluated_clip import to_explanation
from app.evaluations import Opened
from app.failures_state import FailuresView
from app.notes import (
    Note,
    NoteChangedError,
    Notes,
    NotesError,
    default_notes,
    place_of,
    read_csv,
    tidy_tags,
    with_paragraphs,
)
from app.opening import REFUSAL, give_folder, not_here, open_evaluation
from app.report_maker import report_button
from app.views.failures import detail
from app.views.failures.answer import answer_box
from app.views.failures.classes import class_chart
from app.views.failures.clip_cards import DETAIL_KEY, fetch_pictures, gallery
from app.views.failures.confusion import confusion_chart
from app.views.failures.header import NO_EVALUATION, folder_box, header, warn_of_link
from app.views.failures.notes_box import field_keys, known_tags, note_box, notes_list
from app.views.failures.selection import Selection, select
from app.views.failures.tables import slices_list, suspects_list
from app.views.markup import plain
from core.evaluation import Evaluation
from core.evaluation.artifact import ALL, subset_name
from core.evaluation.failures import why_missed
from core.evaluation.neighbours import nearest

APP = Path(__file__).parents[1]

PART_NAMES = {
    state.CONFUSION: "Confusions",
    state.CLASSES: "Each emotion",
    state.SLICES: "Slices",
    state.SUSPECTS: "Suspected labels",
    state.NOTES: "Notes",
}


def page() -> None:
    """Draws the whole page."""
    st.html(APP / "views" / "failures" / "failures.css")
    state.adopt_link()
    folders = evaluations.evaluations()
    # what is drawn above or not must not move the parts: Streamlit knows them by their place
    top, parts = st.container(), st.container()
    wanted = state.current().evaluation
    chosen = wanted if wanted in folders else next(iter(folders), None)
    of = None if chosen is None else open_evaluation(chosen, folders[chosen])
    with top:
        header(
            list(folders),
            selected=chosen,
            evaluation=None if of is None else of.evaluation,
            on_pick=lambda name: state.update(evaluation=name),
            action=None if of is None else partial(report_button, {chosen: of}, first=chosen),
        )
        warn_of_link(wanted, chosen)
        if chosen is None:
            st.info(NO_EVALUATION, icon=":material/info:")
    if of is not None and len(of.evaluation.predictions):
        with parts:
            show(of)
    with st.expander("Another evaluation", icon=":material/folder_open:", expanded=chosen is None):
        folder_box(refusal=st.session_state.get(REFUSAL, ""), on_folder=take_folder)
    state.publish_link()


def take_folder(text: str) -> None:
    """Offers the evaluations of a folder and turns to the first of them."""
    if (name := give_folder(text)) is not None:
        state.update(evaluation=name)


@st.fragment
def show(of: Opened) -> None:
    """Draws the parts of the page for an evaluation; what is chosen in them reruns nothing else."""
    if evaluations.is_changed(of):
        st.rerun()
    view = state.keep_within(of.evaluation)
    store = default_notes()
    notes = read_notes(store, of)
    with st.container(key="failures-top"):
        left, right = st.columns([7, 5], gap="large")
    with left:
        show_part(of, view, store, notes)
    with right:
        show_answer(of, view)
    noted = frozenset(note.key for note in notes)
    selection = chosen_clips(of, view, noted)
    is_lacking = show_gallery(of, view, selection, noted)
    if view.clip in set(of.evaluation.predictions["key"]):
        show_clip(of, view.clip, store, notes)
    elif view.clip is not None:
        st.warning(not_here(view.clip), icon=":material/link_off:")
    state.publish_link()
    if is_lacking:
        # last, so that the page can be used meanwhile
        fetch_pictures(of.evaluation, selection.rows, evaluations.thumbnails(), page=view.page)
        try:
            st.rerun(scope="fragment")
        except StreamlitAPIException:  # the whole page is being drawn
            st.rerun()


def show_part(of: Opened, view: FailuresView, store: Notes, notes: tuple[Note, ...]) -> None:
    """Draws what clips are chosen by."""

    def picked() -> None:
        state.update(part=st.session_state["part-picker"])

    st.session_state["part-picker"] = view.part
    st.segmented_control(
        "Look at",
        state.PARTS,
        format_func=PART_NAMES.get,
        key="part-picker",
        on_change=picked,
        required=True,
        label_visibility="collapsed",
    )
    evaluation, focus = of.evaluation, state.focus_of(view, of.evaluation.labels)
    if view.part == state.CONFUSION:
        confusion_chart(
            evaluation,
            is_share=view.is_share,
            chosen=(view.label, view.prediction) if view.show == state.CELL else None,
            on_share=lambda is_share: state.update(is_share=is_share),
            on_cell=take_cell,
        )
    elif view.part == state.CLASSES:
        class_chart(evaluation.metrics.subsets[subset_name(ALL)], evaluation.info.resampled)
    elif view.part == state.SLICES:
        slices_list(
            evaluations.slices(of, focus if view.is_within else None),
            focus,
            is_within=view.is_within,
            chosen=view.slice if view.show == state.SLICE else None,
            on_within=lambda is_within: state.update(is_within=is_within),
            on_slice=take_slice,
        )
    elif view.part == state.SUSPECTS:
        suspects_list(
            evaluations.label_errors(of),
            evaluation,
            is_shown=view.show == state.SUSPECT,
            opened=view.clip,
            on_open=lambda key: state.update(show=state.SUSPECT, clip=key),
            on_show=partial(state.update, show=state.SUSPECT),
        )
    else:
        show_notes(of, view, store, notes)


def take_cell(label: str | None, prediction: str | None) -> None:
    """Shows the clips of a cell, and asks about its label."""
    focus = {} if label is None else {"focus": label}
    state.update(show=state.CELL, label=label, prediction=prediction, **focus)


def take_slice(of: tuple[str, str] | None) -> None:
    """Shows the wrong clips of a slice, or the missed ones where it is let go."""
    state.update(show=state.MISSED if of is None else state.SLICE, slice=of)


def show_answer(of: Opened, view: FailuresView) -> None:
    """Draws why the focus is missed."""
    labels = of.evaluation.labels
    missed = why_missed(of.evaluation, state.focus_of(view, labels), of.training)
    answer_box(
        missed,
        labels,
        is_shown=view.show == state.MISSED,
        on_focus=lambda label: state.update(focus=label, show=state.MISSED),
        on_show=partial(state.update, show=state.MISSED),
    )


def chosen_clips(of: Opened, view: FailuresView, noted: frozenset[str]) -> Selection:
    """The clips that the gallery holds."""
    within = state.focus_of(view, of.evaluation.labels) if view.is_within else None
    return select(
        view,
        of.evaluation,
        slices=evaluations.slices(of, within) if view.show == state.SLICE else None,
        errors=evaluations.label_errors(of) if view.show == state.SUSPECT else None,
        noted=noted,
    )


def show_gallery(of: Opened, view: FailuresView, selection: Selection, noted: frozenset[str]) -> bool:
    """Draws the chosen clips with the pictures that are known; whether some are not."""
    order = f" <span>{selection.order}</span>" if len(selection.rows) > 1 else ""
    st.html(f'<div class="gallery-title">{escape(selection.title)}{order}</div>')
    if not len(selection.rows):
        return False
    return gallery(
        of.evaluation,
        selection.rows,
        evaluations.thumbnails(),
        selected=view.clip,
        page=view.page,
        noted=noted,
        on_pick=lambda key: state.update(clip=key),
        on_page=lambda number: state.update(page=number, clip=None),
    )


def show_clip(of: Opened, key: str, store: Notes, notes: tuple[Note, ...]) -> None:
    """Draws the opened clip: it plays, tells its figures, and takes tags and notes."""
    evaluation = of.evaluation
    row = int(np.flatnonzero((evaluation.predictions["key"] == key).to_numpy())[0])
    path = evaluations.media_of(evaluation, row)
    with st.container(key=DETAIL_KEY):
        left, right = st.columns([4, 7], gap="large")
        with left:
            detail.media(evaluation, row, path)
            to_explanation(of, row)
            note = note_of(store, evaluation, key)
            note_box(
                note,
                known_tags(notes),
                begin=st.session_state.get("note-merged", {}).get(field_keys(note), (note.tags, note.note)),
                refusal=st.session_state.get("note-refusal", {}).get(key, ""),
                on_save=partial(keep_note, store, evaluation, key),
            )
        with right:
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top"):
                detail.headline(evaluation, row)
                st.button(
                    "Close",
                    icon=":material/close:",
                    type="tertiary",
                    key="close-clip",
                    on_click=partial(state.update, clip=None),
                )
            detail.figures(evaluation, row)
            if of.training is not None:
                label = str(evaluation.predictions["label"].iat[row])
                detail.neighbours_list(nearest(evaluation, row, of.training), label)


def read_notes(store: Notes, of: Opened) -> tuple[Note, ...]:
    """The notes on the evaluation's data; none, with a sentence on the page, where they cannot be read."""
    try:
        return store.all(of.evaluation.info.data, place_of(of.evaluation))
    except NotesError as error:
        st.warning(plain(str(error)), icon=":material/error:")
        return ()


def note_of(store: Notes, evaluation: Evaluation, key: str) -> Note:
    """The note on a clip as it was when the clip was opened, or kept last, in this session."""
    seen = st.session_state.get("note-seen")
    data, place = evaluation.info.data, place_of(evaluation)
    if seen is None or (seen.data, seen.place, seen.key) != (data, place, key):
        try:
            seen = store.get(data, key, place)
        except NotesError:  # told above
            seen = Note(data=data, place=place, key=key)
        st.session_state["note-seen"] = seen
    return seen


def keep_note(store: Notes, evaluation: Evaluation, key: str, tags: tuple[str, ...], text: str) -> None:
    """Keeps tags and text of a clip, or remembers in a sentence why not.

    Where somebody else wrote meanwhile, both are put into the fields, so that the next click keeps both.
    """
    st.session_state["note-refusal"] = {}
    seen = note_of(store, evaluation, key)
    try:
        st.session_state["note-seen"] = store.save(seen, tags=tags, note=text)
    except NoteChangedError as error:
        st.session_state["note-refusal"] = {key: str(error)}
        other = st.session_state["note-seen"] = error.other
        merged = tidy_tags([*other.tags, *tags]), with_paragraphs(other.note, text)
        st.session_state["note-merged"] = {field_keys(other): merged}
    except NotesError as error:
        st.session_state["note-refusal"] = {key: str(error)}


def show_notes(of: Opened, view: FailuresView, store: Notes, notes: tuple[Note, ...]) -> None:
    """Draws all notes, with export and import."""
    data, place = of.evaluation.info.data, place_of(of.evaluation)
    try:
        elsewhere = store.elsewhere(data, place)
    except NotesError:  # told above
        elsewhere = {}
    notes_list(
        notes,
        data=data,
        is_shown=view.show == state.NOTED,
        opened=view.clip,
        to_csv=partial(store.to_csv, data, place),
        faults=st.session_state.get("import-faults", ()),
        told=st.session_state.get("import-told", ""),
        number=st.session_state.get("import-number", 0),
        on_show=partial(state.update, show=state.NOTED),
        on_open=lambda key: state.update(show=state.NOTED, clip=key),
        on_import=partial(take_notes, store, data, place),
        elsewhere=elsewhere,
        on_copy=partial(copy_notes, store, place),
    )


def copy_notes(store: Notes, place: str, notes: tuple[Note, ...]) -> None:
    """Adds the notes of another place to those of this one."""
    st.session_state["import-faults"], st.session_state["import-told"] = (), ""
    try:
        num = store.add(replace(note, place=place) for note in notes)
        st.session_state["import-told"] = told_of("copied", len(notes), num)
        st.session_state.pop("note-seen", None)
    except NotesError as error:
        st.session_state["import-faults"] = (str(error),)


def told_of(what: str, num_notes: int, num_new: int) -> str:
    """What was done with notes, in a sentence."""
    if num_notes == 1:
        return f"One note was {what}" + ("." if num_new else ", which told nothing new.")
    return f"{num_notes} notes were {what}, {num_new} of them told something new."


def take_notes(store: Notes, data: str, place: str, content: bytes) -> None:
    """Merges the notes of a CSV into those that are kept, or remembers what is wrong with it.

    Those on data of the shown name are taken for notes on the shown data; others are left out, and told.
    """
    st.session_state["import-number"] = st.session_state.get("import-number", 0) + 1
    st.session_state["import-told"] = ""
    try:
        notes, faults = read_csv(content.decode("utf-8"))
        if not faults:
            own = [replace(note, place=place) for note in notes if note.data == data]
            told = told_of("read", len(own), store.add(own)) if own else ""
            if others := sorted({note.data for note in notes} - {data}):
                told += (
                    f" {len(notes) - len(own)} on other data ({', '.join(others[:5])}) were left out: import "
                    "the file again while these are looked at."
                )
            st.session_state["import-told"] = told.strip()
            st.session_state.pop("note-seen", None)
    except UnicodeDecodeError:
        faults = ("The file is not in UTF-8; export it again as UTF-8.",)
    except NotesError as error:
        faults = (str(error),)
    st.session_state["import-faults"] = tuple(faults)


page()
