"""What is to be done with the data, and how it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from app.own_runs import EVALUATE, PREDICT, TASKS, OwnWork, Progress, left_in_words, sentence_of
from app.runs import BROKEN_OFF, DONE, FAILED, STOPPED
from app.views.markup import plain
from app.views.picking import is_drawn, menu_key, picked_option
from app.views.runs import standing

TASK_NAMES = {PREDICT: "Predict", EVALUATE: "Evaluate"}

WHAT_IT_DOES = {
    PREDICT: "Asks about every clip and makes a table of the answers, per modality and together, with "
    "probabilities. Labels are not needed. Words that the data do not give are recognised from the sound.",
    EVALUATE: "Asks about every clip, holds the answers against the labels, and makes an evaluation: figures "
    "with intervals, failures, embeddings, comparisons.",
}
GOING_ON = {PREDICT: "is being predicted.", EVALUATE: "is being evaluated."}
STATE_NAMES = {
    "done": "done",
    "failed": "failed",
    "stopped": "cancelled",
    "broken off": "broke off",
    None: "not begun",
}


def task_form(
    task: str,
    split: str,
    splits: Mapping[str, int],
    *,
    refusal: str,
    hint: str,
    caution: str,
    start: str,
    is_startable: bool,
    trouble: str,
    on_task,
    on_split,
    on_start,
) -> None:
    """Draws the choice of task and split, and the button that starts it.

    Args:
        task: of `TASKS`, the current one.
        split: the current one.
        splits: number of clips by split, that of all among them.
        refusal: why the task cannot be done with this split; "" where it can.
        hint: what else is to be known before; "" for nothing.
        caution: why what comes of it is to be doubted; "" for nothing.
        start: what the button says.
        is_startable: nothing else goes on.
        trouble: why the last start did not work; "" where it did.
        on_task: takes another task.
        on_split: takes another split.
        on_start: starts it.
    """
    names = list(splits) if split in splits else [*splits, split]

    def picked_split() -> None:
        if is_drawn(split_key) and (chosen := picked_option(split_key, names)) is not None:
            on_split(chosen)

    def picked_task() -> None:
        if is_drawn(task_key):
            on_task(st.session_state[task_key])

    task_key, split_key = menu_key("own-task", task), menu_key("own-split", split)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="own-choices"):
        st.segmented_control(
            "What to do",
            TASKS,
            format_func=TASK_NAMES.get,
            key=task_key,
            on_change=picked_task,
            required=True,
        )
        # without splits there is nothing to choose, unless a link names one
        if len(splits) > 1 or split not in splits:
            st.selectbox(
                "Split",
                names,
                format_func=lambda name: f"{name}: {splits.get(name, 0):,}",
                key=split_key,
                on_change=picked_split,
                width=200,
            )
        st.button(
            start,
            icon=":material/play_arrow:",
            type="primary",
            key="own-start",
            disabled=bool(refusal) or not is_startable,
            on_click=on_start,
        )
    st.caption(" ".join(filter(None, (WHAT_IT_DOES[task], hint if not refusal else ""))))
    if refusal:
        st.warning(plain(refusal), icon=":material/block:")
    elif caution:
        st.warning(plain(caution), icon=":material/school:")
    if trouble:
        st.error(plain(trouble), icon=":material/error:")


def start_name(task: str, state: str | None) -> str:
    """What the button that starts a run says, for how an earlier one of the same choice stands."""
    if state in (DONE, FAILED):
        return f"{TASK_NAMES[task]} again"
    return "Go on" if state in (STOPPED, BROKEN_OFF) else TASK_NAMES[task]


def run_standing(
    work: OwnWork, state: str, progress: Progress | None, lines: Sequence[str], *, on_cancel
) -> None:
    """Draws how a run stands: a sentence, clips done of all with the time left, cancel, and its log.

    Args:
        work: what it does.
        state: see `app.runs.Runs.state_of`.
        progress: how far it is; None while nothing is known.
        lines: the last ones of its log.
        on_cancel: ends it.
    """
    is_here = state in work.states
    told = f"**{plain(work.title)}** {GOING_ON[work.task] if is_here else sentence_of(state)}"
    goes_on = work.goes_on(state)
    is_asked = state != DONE and progress is not None and progress.total
    share = progress.done / progress.total if is_asked else 0.0 if goes_on else None
    standing(
        told,
        share=share,
        said=progress_words(progress if is_asked else None, goes_on=goes_on),
        lines=lines if state == FAILED else (),
        stop="Cancel",
        on_stop=on_cancel if is_here else None,
        key="own-cancel",
    )
    if lines and state not in (FAILED, DONE):
        with st.expander("Log", icon=":material/terminal:"):
            st.code("\n".join(lines), language=None, wrap_lines=True)


def progress_words(progress: Progress | None, *, goes_on: bool = True) -> str:
    """How far a run is, for the bar; of one that does not go on, how far it came."""
    if progress is not None and not goes_on:
        return f"{progress.done:,} of {progress.total:,} clips were done"
    if progress is None:
        return "Starting: loading the libraries and the model …"
    left = left_in_words(progress.left_seconds) if progress.done < progress.total else ""
    count = f"{progress.done:,} of {progress.total:,} clips"
    text = progress.text if progress.done < progress.total else "finishing"
    return plain(" · ".join(filter(None, (count, left, text))))


def earlier_list(works: Sequence[tuple[OwnWork, str | None]], *, trouble: str, on_open, on_remove) -> None:
    """Draws the runs that there are; `on_open(work)` turns to one, `on_remove(work)` deletes what it made."""
    titles = Counter((work.task, work.title) for work, _ in works)
    for place, (work, state) in enumerate(works):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            name = f"{TASK_NAMES[work.task]}: {work.title}"
            if titles[work.task, work.title] > 1:
                name += f", from {work.data}"
            st.button(
                f"{plain(name)} ({STATE_NAMES.get(state, 'goes on')})",
                type="tertiary",
                icon=":material/history:",
                key=f"own-earlier-{place}",
                help=plain(str(work.data)),
                on_click=on_open,
                args=(work,),
            )
            with st.popover("Remove", type="tertiary", icon=":material/delete:"):
                st.write("Deletes the results of this run. Your clips stay untouched.")
                st.button("Remove its results", key=f"own-remove-{place}", on_click=on_remove, args=(work,))
    if trouble:
        st.error(plain(trouble), icon=":material/error:")
