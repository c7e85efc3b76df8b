"""The Learn page: a guided walk through the model on a sample clip, for a class and a projector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from app import learn_state as state
from app import resources
from app.answering import pick_checkpoint
from app.clips import ClipChoice
from app.learn_state import STEPS, Vote
from app.reading import open_model, read_clip
from app.resources import Explained
from app.views.embeddings.epochs import NO_SPACE, epochs_chart, epochs_figure, epochs_list, epochs_table
from app.views.frame import default_frame, frame_view
from app.views.headline import headline, probability_bars
from app.views.learn.guess import ballot, outcome, score_line
from app.views.learn.limits import confidence_words, glossary, limits
from app.views.learn.parts import alone_cards, fusion_flow, relevance_words
from app.views.learn.span import seen_strip, span_chart, span_words
from app.views.learn.steps import lead, stepper
from app.views.learn.strip import kept_strip, relevance_strip
from app.views.modalities import subset_chart, verdict
from app.views.player import player
from app.views.shapley import shapley_chart
from core.attribution.results import Target
from core.checkpoint import Checkpoint
from core.space import Space

VIEWS = Path(__file__).parents[1] / "views"
PLOT_SETTINGS = {"displaylogo": False, "displayModeBar": False}
NO_PICTURE = "No picture was read of this clip, so there is nothing to see in this step; go on to the next."


def page() -> None:
    """Draws the whole page."""
    st.html(VIEWS / "learn" / "learn.css")
    state.adopt_link()
    is_presented = state.current().is_presented
    name = pick_checkpoint(
        "How it comes to its answer",
        wanted=state.current().checkpoint,
        on_pick=lambda picked: state.update(checkpoint=picked),
        is_presented=is_presented,
    ).name
    with st.container(key="learn"):
        clips = state.lesson(resources.clips())
        choice = chosen_clip(clips)
        step = state.current().step
        stepper(
            STEPS,
            current=step,
            clip=choice.untold.title if choice is not None else "",
            is_presented=is_presented,
            on_step=lambda index: state.update(step=index),
            on_present=lambda is_wanted: state.update(is_presented=is_wanted),
        )
        # before the model is asked, so that a reload in the meantime loses nothing
        state.publish_link()
        model = open_model(name, lacking="there is no model to show")
        if choice is not None and model is not None:
            explained = read_clip(choice, None, model)
            if explained is not None:
                draw(step, choice, explained, clips)
            elif len(clips) > 1:
                next_clip(clips, choice)


def chosen_clip(clips: Sequence[ClipChoice]) -> ClipChoice | None:
    """The clip of the walk; None, with a sentence on the page, where there is none."""
    if not clips:
        st.info("No sample clips with a label are installed, so there is nothing to walk through.")
        return None
    wanted = state.current().clip
    found = next((clip for clip in clips if clip.key == wanted), None)
    if found is None and wanted is not None:
        st.warning(
            "The link names a clip that is not here; another one is shown.", icon=":material/link_off:"
        )
    if found is None:
        found = clips[0]
        state.update(clip=found.key)
    return found


def draw(step: int, choice: ClipChoice, explained: Explained, clips: Sequence[ClipChoice]) -> None:
    """Draws one step."""
    if step == 0:
        guess_first(choice, explained, clips)
        return
    steps: tuple[Callable[[ClipChoice, Explained], None], ...] = (
        three_modalities,
        early_fusion,
        compression,
        time,
        space,
        decision,
    )
    steps[step - 1](choice, explained)


def guess_first(choice: ClipChoice, explained: Explained, clips: Sequence[ClipChoice]) -> None:
    """The class votes on the clip; then label and answer are revealed."""
    cast, prediction = state.votes(), explained.prediction
    vote = cast.get(choice.key)
    left, right = st.columns([5, 6], gap="large")
    with left:
        if explained.media is not None:
            player(explained.media, title=choice.untold.title)
        else:
            st.info("No copy could be made that browsers play; the model read the clip.")
    with right:
        if vote is None:
            lead("Watch and listen. Then vote, before anything is told: which emotion does this person show?")
            guess = state.guess_of(choice.key)
            ballot(
                tuple(dict.fromkeys((*prediction.labels, choice.label))),
                guess,
                on_guess=lambda label: state.take_guess(choice.key, label),
                on_reveal=lambda: state.reveal(
                    choice.key,
                    Vote(
                        label=choice.label,
                        guess=guess,
                        answer=prediction.prediction,
                        checkpoint=prediction.checkpoint_hash,
                    ),
                ),
            )
        else:
            # another checkpoint may have answered when the vote was taken
            vote = replace(vote, answer=prediction.prediction, checkpoint=prediction.checkpoint_hash)
            outcome(vote, is_uncertain=prediction.is_uncertain)
            probability_bars(prediction, choice.label)
        shown = cast | ({} if vote is None else {choice.key: vote})
        score_line(tuple(shown.values()), len(clips), checkpoint=prediction.checkpoint_hash)
        if len(clips) > 1:
            next_clip(clips, choice)


def next_clip(clips: Sequence[ClipChoice], choice: ClipChoice) -> None:
    """Draws the button that leads to the next clip."""
    after = clips[(clips.index(choice) + 1) % len(clips)]
    st.button(
        "Next clip",
        icon=":material/skip_next:",
        key="learn-next-clip",
        on_click=lambda: state.update(clip=after.key),
    )


def three_modalities(choice: ClipChoice, explained: Explained) -> None:
    """What picture, sound and words each say alone, and in every combination."""
    prediction = explained.prediction
    lead("The same model, given one thing at a time. Do they agree?")
    alone_cards(prediction, explained.display)
    verdict(prediction)
    with st.expander("Every combination", icon=":material/join:"):
        st.html(subset_chart(prediction, Target(label=prediction.prediction), explained.truth))


def early_fusion(choice: ClipChoice, explained: Explained) -> None:
    """How sound and words guide what is kept of the picture."""
    prediction = explained.prediction
    lead(
        "Sound and words are fused first. What comes out is a guide: it tells the picture’s encoder what to "
        "look for, before the costly part begins."
    )
    fusion_flow(prediction, explained.case.predictor.config)
    if prediction.frames is None:
        st.info(NO_PICTURE, icon=":material/info:")
        return
    st.html(f'<p class="learn-lead">{relevance_words(prediction)}</p>')
    relevance_strip(prediction, explained.display)


@st.fragment
def compression(choice: ClipChoice, explained: Explained) -> None:
    """Which frames are kept, and what is kept inside one of them."""
    prediction = explained.prediction
    if prediction.frames is None:
        st.info(NO_PICTURE, icon=":material/info:")
        return
    lead(
        "First whole frames go, then patches inside each kept frame, step by step. What is much like a kept "
        "one is merged into it."
    )
    view, kept = state.current(), prediction.frames.kept.tolist()
    frame = view.frame if view.frame in kept else default_frame(prediction)
    num_steps = len(prediction.patch_steps)
    step = num_steps if view.patches is None else min(view.patches, num_steps)
    left, right = st.columns([6, 5], gap="large")
    with left:
        kept_strip(prediction, explained.display, looked_at=frame)
    with right:
        if len(kept) > 1:
            frame_slider(kept, prediction.frames.times_seconds, frame)
        frame_view(
            prediction,
            explained.display.pictures,
            frame=frame,
            step=step,
            on_frame=lambda index: state.update(frame=index),
            on_step=lambda number: state.update(patches=None if number == num_steps else number),
            on_overlays=lambda names: state.update(overlays=names),
            overlays=state.current().overlays,
        )
    state.publish_link()


def frame_slider(kept: Sequence[int], times: Sequence[float], frame: int) -> None:
    """Draws the choice of the kept frame that is looked into."""

    def moved() -> None:
        state.update(frame=st.session_state["learn-frame"])

    st.session_state["learn-frame"] = frame
    st.select_slider(
        "Look into the kept frame at",
        kept,
        format_func=lambda index: f"{times[index]:.2f} s",
        key="learn-frame",
        on_change=moved,
    )


def time(choice: ClipChoice, explained: Explained) -> None:
    """How many of the kept frames the temporal network spans."""
    prediction, config = explained.prediction, explained.case.predictor.config.temporal
    if prediction.frames is None:
        st.info(NO_PICTURE, icon=":material/info:")
        return
    lead("The kept frames are read in the order of time; each state looks back, never ahead.")
    span_chart(config, len(prediction.frames.kept))
    st.html(f'<p class="learn-lead">{span_words(config, prediction)}</p>')
    seen_strip(config, prediction, explained.display)


def space(choice: ClipChoice, explained: Explained) -> None:
    """How the space of the fused clips formed over the epochs, and where this one lies in it."""
    lead(
        "At the end a clip is a point. Training moves the points so that clips of one emotion gather. Press "
        "Play, and watch which do and which do not. The red ring is this clip: near which points does it lie?"
    )
    try:
        formed, table = formed_space(explained.case.predictor.checkpoint)
    except ValueError:  # a damaged file: as if there were none
        formed = None
    figure = None
    if formed is not None:
        figure = epochs_figure(formed, "fused", marked=explained.prediction.embeddings["fused"])
    if figure is None:
        st.info(NO_SPACE, icon=":material/info:")
        return
    epochs_chart(figure, table, key="learn-space", config=PLOT_SETTINGS)
    st.caption(
        f"**The fused space over the epochs of training** (directions without unit). {len(formed.keys):,} "
        "dev clips, one point each, coloured by their label; near means alike to the model. The directions "
        "are those of largest variance after the last epoch; “start” is before the first. The ring stays: it "
        f"is where the finished model places this clip, whose weights are those after epoch "
        f"{explained.case.predictor.checkpoint.metrics.get('best_epoch', int(formed.epochs[-1])) + 1}."
    )
    epochs_list(table)


def formed_space(checkpoint: Checkpoint) -> tuple[Space | None, pd.DataFrame | None]:
    """The space over a checkpoint's training, and its figures of every epoch, read once; None without.

    Raises:
        ValueError: where the file is damaged.
    """
    return _formed_space(checkpoint.folder, checkpoint.sha256, checkpoint)


@st.cache_resource(show_spinner=False, max_entries=8)
def _formed_space(
    folder: Path, sha256: str, _checkpoint: Checkpoint
) -> tuple[Space | None, pd.DataFrame | None]:
    formed = _checkpoint.space
    return formed, None if formed is None else epochs_table(formed, "fused")


def decision(choice: ClipChoice, explained: Explained) -> None:
    """The answer, what each modality gave to it, and what all this does not show."""
    prediction = explained.prediction
    left, right = st.columns([5, 6], gap="large")
    with left:
        headline(prediction, choice.label)
        threshold = explained.case.predictor.checkpoint.info.uncertainty_threshold
        st.html(f'<p class="truth">{escape(confidence_words(prediction, threshold))}</p>')
    with right:
        st.html(shapley_chart(prediction, Target(label=prediction.prediction)))
    limits()
    glossary()


page()
