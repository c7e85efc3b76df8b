"""The Own data page: answers about a folder of clips or a data set on the machine where the app runs."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import streamlit as st

from app import checkpoints, evaluations
from app import own_data_state as state
from app.answering import pick_checkpoint
from app.compare_state import MAX_EVALUATIONS, names_as_text
from app.evaluations import Opened
from app.opening import open_evaluation
from app.own_answers import answers, key_in_links, own_runs
from app.own_data import (
    ALL,
    OwnData,
    about_training,
    about_words,
    look,
    stamp_of,
    why_not_evaluated,
    why_not_predicted,
)
from app.own_runs import PREDICT, OwnWork
from app.runs import DONE, Run, RunError, lines_of, log_of
from app.summaries import summary
from app.views.headline import learned_from
from app.views.markup import plain
from app.views.own_data.answers import (
    answers_table,
    chosen_view,
    downloads,
    emotion_filter,
    summary_html,
)
from app.views.own_data.evaluated import evaluated_view
from app.views.own_data.found import found_view, path_box
from app.views.own_data.task import earlier_list, run_standing, start_name, task_form
from core.checkpoint_files import CheckpointError
from training.datasets import DataError

APP = Path(__file__).parents[1]
SCREENS = APP / "screens"

LOOK_SECONDS = 1.0
"""How often a run that goes on is looked at."""


def page() -> None:
    """Draws the whole page."""
    st.html(APP / "views" / "own_data" / "own_data.css")
    state.adopt_link()
    name = pick_checkpoint(
        "Answers about clips of your own",
        wanted=state.current().checkpoint,
        on_pick=lambda picked: state.update(checkpoint=picked),
        ships=False,
    ).name
    view = state.current()
    path_box(view.data, on_path=lambda text: state.update(data=text or None))
    data = look_at(view.data) if view.data else None
    if data is not None:
        found_view(data, words=partial(words_heard, data, name), on_look_again=look_again)
        st.divider()
        if name is None:
            st.warning(
                "No checkpoint is installed, so nothing can be asked; train one on the page Checkpoints.",
                icon=":material/deployed_code_alert:",
            )
        else:
            show_task(data, name)
    show_earlier(is_first=data is None)
    state.publish_link()


@st.cache_resource(show_spinner="Looking at what is there …", max_entries=6)
def _looked(text: str, stamp: tuple[int, ...]) -> OwnData:
    return look(text)


def look_at(text: str) -> OwnData | None:
    """What lies at a path, read once; None, with a sentence on the page, where it cannot be used."""
    try:
        return _looked(text, stamp_of(text))
    except DataError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def look_again() -> None:
    """Has paths read anew."""
    _looked.clear()


def work_of(data: OwnData, name: str, task: str, split: str) -> OwnWork:
    """The run that a choice means."""
    folder = checkpoints.checkpoints()[name].resolve()
    return OwnWork(task=task, data=data.path, split=split, checkpoint=folder)


def words_heard(data: OwnData, name: str | None) -> dict[str, str]:
    """Words by key that a prediction of all clips found, if there is one."""
    if name is None:
        return {}
    try:
        table = answers(work_of(data, name, PREDICT, ALL))
    except DataError:
        return {}
    return {key: words for key, words in zip(table["key"], table["transcript"], strict=True) if words}


def show_task(data: OwnData, name: str) -> None:
    """Draws what can be done, how it stands, and what came of it."""
    view, runs = state.current(), own_runs()
    work = work_of(data, name, view.task, view.split)
    refusal, hint = why_not(data, name)
    caution = ""
    if view.task != PREDICT:
        caution = about_training(data, view.split, checkpoints.metrics(checkpoints.checkpoints()[name]))
    # once and first, so that what is drawn of a run that ends meanwhile goes together
    current = runs.current
    is_other = current is not None and current.choice != work
    standing = runs.state_of(work.name) if current is None or is_other else current.state
    is_going_on = work.goes_on(standing)
    if is_other:
        title = plain(current.choice.title)
        hint = f"“{title}” goes on; wait for it, or cancel it, before another is started."
    task_form(
        view.task,
        view.split,
        {split: data.num_of(split) for split in (ALL, *data.splits)},
        refusal=refusal,
        hint=hint,
        caution=caution,
        start=start_name(view.task, standing),
        is_startable=not is_other and not is_going_on,
        trouble=st.session_state.get("own-trouble", ""),
        on_task=lambda task: state.update(task=task),
        on_split=lambda split: state.update(split=split),
        on_start=partial(start, work),
    )
    if is_other:
        wait_for(current, itertools.count())
        st.button(
            f"Show {plain(current.choice.title)}",
            icon=":material/visibility:",
            key="own-show-current",
            on_click=turn_to,
            args=(current.choice,),
        )
    if standing is None:
        st.caption(learned_from(checkpoints.metrics(checkpoints.checkpoints()[name])))
        return
    if is_going_on:
        watch(work, standing, itertools.count())
        return
    draw_standing(work, standing)
    if view.task == PREDICT:
        show_answers(work, name)
    elif standing == DONE:
        show_evaluated(work, caution)


def why_not(data: OwnData, name: str) -> tuple[str, str]:
    """Why the chosen task cannot be done, and what is to be known before; "" each where there is nothing."""
    view = state.current()
    hint = about_words(data, view.split, is_evaluated=view.task != PREDICT)
    if view.task == PREDICT:
        return why_not_predicted(data, view.split), hint
    try:
        labels = summary(checkpoints.checkpoints()[name]).config.labels
    except CheckpointError as error:
        return str(error), ""
    return why_not_evaluated(data, view.split, labels), hint


def start(work: OwnWork) -> None:
    """Begins a run, or remembers why it cannot begin."""
    st.session_state["own-trouble"] = ""
    state.update(clip=None, emotion=None)
    try:
        own_runs().start(work)
    except RunError as error:
        st.session_state["own-trouble"] = str(error)


def cancel(work: OwnWork) -> None:
    """Ends a run."""
    if (run := own_runs().latest(work.name)) is not None:
        run.stop()
        run.join(5.0)


@st.fragment(run_every=LOOK_SECONDS)
def watch(work: OwnWork, standing: str, turns) -> None:
    """Draws the run that goes on, first as the page found it; has the page drawn anew when it is over."""
    if next(turns):
        standing = own_runs().state_of(work.name) or DONE
        if not work.goes_on(standing):
            state.keep()
            st.rerun()
    draw_standing(work, standing)


@st.fragment(run_every=LOOK_SECONDS)
def wait_for(run: Run, turns) -> None:
    """Has the page drawn anew when a run of another choice is over, so that this one can be started."""
    if next(turns) and run.is_over:
        state.keep()
        st.rerun()


def draw_standing(work: OwnWork, standing: str) -> None:
    """Draws how a run stands."""
    runs = own_runs()
    lines = lines_of(log_of(runs.folder, work.name))
    run_standing(work, standing, runs.progress(work), lines, on_cancel=partial(cancel, work))


def show_answers(work: OwnWork, name: str) -> None:
    """Draws the answers that there are, and the chosen one."""
    try:
        table = answers(work)
    except DataError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if not len(table):
        return
    view = state.current()
    st.html(summary_html(table))
    left = emotion_filter(table, view.emotion, on_emotion=lambda name: state.update(emotion=name, clip=None))
    answers_table(left, chosen=view.clip, on_clip=lambda key: state.update(clip=key))
    found = table[table["key"] == view.clip]
    if len(found):
        chosen_view(
            found.iloc[0],
            page=SCREENS / "clip.py",
            link={"clip": key_in_links(work, view.clip), "checkpoint": name},
            on_close=lambda: state.update(clip=None),
        )
    elif view.clip is not None:
        st.warning("The link names a clip that is not among the answers.", icon=":material/link_off:")
    downloads(table, f"answers-{work.home(Path()).name}")
    st.caption(f"The table lies in `{work.answers(own_runs().folder)}`.")


def show_evaluated(work: OwnWork, caution: str) -> None:
    """Draws the figures of a finished evaluation, and the ways to the pages that show it.

    `caution` tells why the figures are to be doubted, "" for nothing.
    """
    folder = work.evaluation(own_runs().folder)
    if not (folder / "evaluation.json").is_file():
        st.warning(
            "Its evaluation is not there any more; evaluate it again: what was read is kept.",
            icon=":material/link_off:",
        )
        return
    evaluations.give(folder)
    names = {found: name for name, found in evaluations.evaluations().items()}
    of: Opened | None = open_evaluation(names[folder], folder)
    if of is None:
        return
    alike = [names[other] for other in evaluated_alike(work) if other in names]
    one = {"evaluation": names[folder]}
    pages = {
        "Failures: what it gets wrong, and why": (SCREENS / "failures.py", ":material/rule:", one),
        "Embeddings: where the clips lie": (SCREENS / "embeddings.py", ":material/scatter_plot:", one),
    }
    hint = "To compare, choose another checkpoint above and evaluate the same split with it."
    if alike:
        chosen = {"evaluations": names_as_text([names[folder], *alike][:MAX_EVALUATIONS])}
        title = f"Compare with {plain(', '.join(alike))}"
        pages[title] = (SCREENS / "compare.py", ":material/compare_arrows:", chosen)
        hint = ""
    evaluated_view(of.evaluation, pages=pages, hint=hint, caution=caution)
    st.caption(f"The evaluation lies in `{folder}`; Failures, Embeddings and Compare list it by its name.")


def evaluated_alike(work: OwnWork) -> list[Path]:
    """Folders of other checkpoints' finished evaluations of the same clips."""
    runs = own_runs()
    alike = [
        other
        for other in runs.earlier()
        if (other.task, other.data, other.split) == (work.task, work.data, work.split) and other != work
    ]
    found = [other.evaluation(runs.folder) for other in alike if runs.state_of(other.name) == DONE]
    for folder in found:
        if (folder / "evaluation.json").is_file():
            evaluations.give(folder)
    return found


def show_earlier(*, is_first: bool) -> None:
    """Draws what was run before, to come back to."""
    runs = own_runs()
    works = [(work, runs.state_of(work.name)) for work in runs.earlier()]
    if not works and not st.session_state.get("own-remove-trouble"):
        return
    with st.expander(f"Earlier runs ({len(works)})", icon=":material/history:", expanded=is_first):
        earlier_list(
            works,
            trouble=st.session_state.get("own-remove-trouble", ""),
            on_open=turn_to,
            on_remove=remove,
        )


def turn_to(work: OwnWork) -> None:
    """Shows a run that there is, with the checkpoint that it is of where that can be opened."""
    folders = {folder.resolve(): name for name, folder in checkpoints.checkpoints().items()}
    name = folders.get(work.checkpoint)
    if name is None:
        try:
            name = checkpoints.give_checkpoint(work.checkpoint)
        except (CheckpointError, OSError) as error:
            st.session_state["own-remove-trouble"] = str(error)
            return
    st.session_state["own-trouble"] = st.session_state["own-remove-trouble"] = ""
    state.update(data=str(work.data), checkpoint=name, split=work.split, task=work.task)


def remove(work: OwnWork) -> None:
    """Deletes what a run made, or remembers why it cannot be."""
    st.session_state["own-remove-trouble"] = ""
    try:
        own_runs().remove(work)
    except RunError as error:
        st.session_state["own-remove-trouble"] = str(error)


page()
