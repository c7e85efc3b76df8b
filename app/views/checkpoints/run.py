"""Starting a training run, and watching it."""

from __future__ import annotations

import streamlit as st

from app.runs import DONE, FAILED, OVER, STOPPED, Run
from app.training_runs import EVALUATING, TRAINING, num_epochs_done
from app.views.markup import plain
from app.views.runs import standing
from core.labels import MODALITIES

READS = {
    ("audio", "text"): "sound and words: seconds an epoch",
    MODALITIES: "picture, sound and words: minutes an epoch",
}

TOLD = {
    TRAINING: "is training",
    EVALUATING: "is trained; the test clips are being evaluated",
    DONE: "is done: it answers on the Clip page, and its evaluation is on Failures, Embeddings and Compare.",
    FAILED: "failed; the last lines of its log say why.",
    STOPPED: "was stopped. What it had done is kept: start it again by the same name and settings, "
    "and it goes on.",
}


def run_form(name: str, *, is_busy: bool, refusal: str, on_start) -> None:
    """Draws what can be chosen of a run; `on_start(name, modalities, num_epochs, seed)` is called.

    Args:
        name: that is offered.
        is_busy: a run goes on, so that another cannot begin.
        refusal: why the last one could not be begun, "" where it could.
        on_start: takes the choice.
    """

    def submitted() -> None:
        state = st.session_state
        on_start(
            state["run-name"].strip(), state["run-reads"], int(state["run-epochs"]), int(state["run-seed"])
        )

    # the name that was offered stands as long as nobody wrote another
    if st.session_state.get("run-name") in (None, st.session_state.get("run-name-offered")):
        st.session_state["run-name"] = st.session_state["run-name-offered"] = name
    with st.form("run", border=True):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            st.text_input("Name of the checkpoint", key="run-name", max_chars=40, width=220)
            st.selectbox("Reads", list(READS), format_func=READS.get, key="run-reads", width=340)
            st.number_input("Epochs", 1, 60, 8, key="run-epochs", width=110)
            st.number_input("Seed", 0, 9999, 0, key="run-seed", width=110)
        st.form_submit_button(
            "Start training", icon=":material/play_arrow:", on_click=submitted, disabled=is_busy
        )
    st.caption(
        "On the 1,760 training clips that ship, chosen by 220 dev clips, then evaluated on the 400 test "
        "clips. Before the first epoch the features of the clips are computed once: some ten minutes on two "
        "cores. The run is a process of its own and goes on when this page is closed, but not when the app "
        "ends."
    )
    if refusal:
        st.error(plain(refusal), icon=":material/error:")


def run_view(run: Run, state: str, *, on_stop) -> None:
    """Draws how a run stands: state, epochs, the last lines of its log, and a button that stops it.

    Args:
        run: that is shown.
        state: how it stood when the page looked, once for all that is drawn.
        on_stop: called without arguments.
    """
    planned = run.choice.num_epochs
    is_training = state == TRAINING
    done = num_epochs_done(run) if is_training else 0
    first = "; the features of the clips are computed before the first" if not done else ""
    standing(
        f"**{plain(run.choice.name)}** {TOLD[state]}",
        share=done / planned if is_training else None,
        said=f"{done} of {planned} epochs{first}",
        lines=run.lines() if state != DONE else (),
        on_stop=None if state in OVER else on_stop,
        key="run-stop",
    )
