"""The Checkpoints page: what is installed, what is known of it, and a training run of one's own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app import checkpoints
from app import checkpoints_state as state
from app.runs import DONE, OVER, Run, RunError, Runs
from app.summaries import Summary, summary
from app.training_runs import RunChoice
from app.views.checkpoints.listing import card, checkpoint_table
from app.views.checkpoints.run import run_form, run_view
from app.views.comparison.settings import CURVE_COLUMNS, curves, differing_settings
from app.views.markup import plain
from app.views.tables import draw_table
from core.checkpoint_files import CheckpointError
from core.evaluation.compare import config_differences
from core.shipped import shipped_checkpoints

LOOK_SECONDS = 2.0
"""How often a run that goes on is looked at."""


def page() -> None:
    """Draws the whole page."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="header"):
        st.html(
            '<div class="brand"><h1>DeepMSI-MER Explorer</h1>'
            "<span>What is installed, and how it was made</span></div>",
            width="content",
        )
    state.adopt_link()
    tell_done()
    installed = read_all()
    if installed:
        draw_table(
            checkpoint_table(installed, [name for name in installed if is_shipped(name)]),
            alt="The checkpoints that are installed, and what each is for.",
        )
        st.caption(
            "Macro F1, dev: how well it did on clips that were held out while it learned, from 0 to 1, every "
            "emotion counting alike; checkpoints that learned from other data cannot be compared by it."
        )
        show_one(installed)
    else:
        st.info("No checkpoint is installed; train one below, or name a folder.", icon=":material/info:")
    with st.expander("Another checkpoint", icon=":material/folder_open:", expanded=not installed):
        folder_box()
    st.subheader("Train one of your own", anchor=False)
    show_run()
    state.publish_link()


def read_all() -> dict[str, Summary]:
    """The installed checkpoints, read; a sentence on the page for each that cannot be."""
    found = {}
    for name, folder in checkpoints.checkpoints().items():
        try:
            found[name] = summary(folder)
        except CheckpointError as error:
            st.error(plain(str(error).replace(str(folder), name)), icon=":material/error:")
    return found


def is_shipped(name: str) -> bool:
    """Whether the checkpoint of a name is the one that ships."""
    return checkpoints.checkpoints().get(name) == shipped_checkpoints().get(name, "")


def show_one(installed: dict[str, Summary]) -> None:
    """Draws card, curves and settings of the chosen checkpoint."""
    wanted = state.current().checkpoint
    shown = wanted if wanted in installed else next(iter(installed))
    if wanted not in (None, shown):
        st.warning(
            f"The link names the checkpoint {plain(wanted)}, which is not here; name its folder below.",
            icon=":material/link_off:",
        )

    def picked() -> None:
        state.update(checkpoint=st.session_state["checkpoint-shown"])

    st.session_state["checkpoint-shown"] = shown
    with st.container(key="checkpoint-detail"):
        left, right = st.columns([6, 6], gap="large")
    with left:
        name = st.selectbox("Checkpoint", list(installed), key="checkpoint-shown", on_change=picked)
        chosen = installed[name]
        with st.container(border=True, height=560, key="card"):
            card(chosen.card or "It has no card.")
    with right:
        known = {other: one for other, one in installed.items() if set(one.history) >= CURVE_COLUMNS}
        curves({n: known[n] for n in sorted(known, key=lambda other: other != name)}, [])
    # below both columns: in one of them the settings of the chosen checkpoint would be cut off
    others = [other for other in installed if other != name]
    if others:
        other = pick_other(others)
        recipes = (
            {"model": one.config.to_dict(), "training": one.metrics.get("train_config", {})}
            for one in (installed[other], chosen)
        )
        differing_settings(other, name, config_differences(*recipes))


def pick_other(others: Sequence[str]) -> str:
    """Draws the choice of the checkpoint that settings are held against; the first where none is chosen."""

    def picked() -> None:
        state.update(other=st.session_state["checkpoint-other"])

    wanted = state.current().other
    st.session_state["checkpoint-other"] = wanted if wanted in others else others[0]
    return st.selectbox("Settings that differ from", others, key="checkpoint-other", on_change=picked)


def folder_box() -> None:
    """Draws a field for the folder of another checkpoint."""

    def given() -> None:
        st.session_state["checkpoint-refusal"] = ""
        text = st.session_state["checkpoint-folder"].strip()
        if not text:
            return
        try:
            state.update(checkpoint=checkpoints.give_checkpoint(Path(text)))
        except (CheckpointError, OSError, RuntimeError) as error:
            st.session_state["checkpoint-refusal"] = str(error)

    st.text_input(
        "Folder of a checkpoint", key="checkpoint-folder", placeholder="runs/first", on_change=given
    )
    if refusal := st.session_state.get("checkpoint-refusal"):
        st.error(plain(refusal), icon=":material/error:")


@st.cache_resource(show_spinner=False)
def runs() -> Runs:
    """The runs of this server."""
    return Runs()


def show_run() -> None:
    """Draws the form of a run, and the run that goes on or was the last."""
    of = runs()
    # once and first, so that the form and what is drawn of a run that ends meanwhile go together
    run = of.all[-1] if of.all else None
    standing = run.state if run is not None else DONE
    run_form(
        of.free_name(),
        is_busy=standing not in OVER,
        refusal=st.session_state.get("run-refusal", ""),
        on_start=start,
    )
    if run is None:
        return
    if standing in OVER:
        run_view(run, standing, on_stop=run.stop)
    else:
        watch(run, standing, itertools.count())


@st.fragment(run_every=LOOK_SECONDS)
def watch(run: Run, standing: str, turns) -> None:
    """Draws the run that goes on, first as the page found it; has the page drawn anew when it is over."""
    if next(turns):
        standing = run.state
        if standing in OVER:
            state.keep()
            st.rerun()
    run_view(run, standing, on_stop=run.stop)


def start(name: str, modalities: tuple[str, ...], num_epochs: int, seed: int) -> None:
    """Begins a run, or remembers why it cannot begin."""
    st.session_state["run-refusal"] = ""
    try:
        runs().start(RunChoice(name=name, modalities=modalities, num_epochs=num_epochs, seed=seed))
    except RunError as error:
        st.session_state["run-refusal"] = str(error)


def tell_done() -> None:
    """Tells of runs that were finished since."""
    for run in runs().all:
        if run.state == DONE and not run.is_told:
            run.is_told = True
            st.toast(plain(f"{run.choice.name} is done."))


page()
