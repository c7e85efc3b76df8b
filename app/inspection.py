"""The Clip page below the answer: timeline, frame, modalities, and whether to believe what they say.

What is chosen here reruns nothing else. Explanations come from the desk; while any is awaited, a small part
of its own looks for it once a second and has the page drawn anew when there is something to draw. Nothing of
that touches the player: what is drawn as it was is left alone by the browser.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from app import checkpoints, resources, state
from app.desk import Order, Reply
from app.edits import Edit, offered
from app.explanations import (
    Case,
    attribution_order,
    baseline_order,
    edit_order,
    effects_order,
    elements_of,
    trial_order,
)
from app.resources import Explained
from app.views import modalities, shapley, trust
from app.views.baselines import CHOICES, agreement, baseline_picker
from app.views.effects import effects_view
from app.views.frame import default_frame, frame_view
from app.views.markup import plain
from app.views.tables import draw_table
from app.views.target import method_picker, target_picker
from app.views.timeline import TimelineData, timeline_view
from app.views.truth import truth_block
from app.views.twin import table_twin
from app.views.whatif import edit_picker, edits_view, said
from core.attribution.explain import DEFAULTS
from core.attribution.modalities import shown_verdict
from core.attribution.results import Attribution, Target

LOOK_SECONDS = 1.0
"""How often the page looks whether something has come, while it waits."""


@st.fragment
def inspect(explained: Explained) -> None:
    """Draws all that explains an answer."""
    prediction = explained.prediction
    view = state.keep_within(
        num_frames=0 if prediction.frames is None else len(prediction.frames.times_seconds),
        num_steps=len(prediction.patch_steps),
        labels=prediction.labels,
        predicted=prediction.prediction,
    )
    frame = default_frame(prediction) if view.frame is None else view.frame
    target = Target(label=view.emotion or prediction.prediction, instead_of=view.instead_of)
    methods = {element: DEFAULTS[element] for element in elements_of(prediction)}
    methods |= {element: name for element, name in view.methods if element in methods}

    case, asked = explained.case, Asked.of(explained.case)
    if view.baseline not in CHOICES:
        state.note(baseline=None)
    asked.take_baseline(state.current().baseline or "absent-token")
    choices = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="target")
    over_time, side_by_side, changes = (st.container() for _ in range(3))
    with changes:
        edits = choose_edits(explained)
    orders = Orders(case, target, methods, asked, edits)
    desk, seat = resources.desk(), resources.seat()
    num_drawn = seat.num_arrived
    replies = desk.ask(seat, orders.all)

    with choices:
        draw_target(explained, target, methods)
        if any(reply.is_awaited for reply in replies.values()):
            watch(num_drawn, itertools.count())
    attributions = attributions_of(orders, replies)
    with over_time:
        show_timeline(explained, attributions, frame)
        told_in_place = {order.key for order in (*orders.baselines.values(), *orders.tests.values())}
        wrong = (reply.error for key, reply in replies.items() if reply.error and key not in told_in_place)
        for sentence in dict.fromkeys(wrong):
            st.warning(plain(sentence), icon=":material/error:")
    with side_by_side:
        if frame is None:
            panel = st.container()
        else:
            left, panel = st.columns([5, 7], gap="large")
            with left:
                show_frame(explained, attributions, frame)
        with panel:
            show_modalities(explained, target, asked, orders, replies)
    if edits:
        with changes:
            found = {edit: replies[order.key] for edit, order in orders.edits.items()}
            edits_view(prediction, target, found)
    with st.container(key="grounds"):
        judged, carried = st.columns([7, 5], gap="large") if orders.effects else (st.container(), None)
    with judged:
        show_trust(explained, asked, orders, replies)
    if carried is not None:
        with carried:
            show_effects(replies[orders.effects.key])
    state.publish_link()


@st.fragment(run_every=LOOK_SECONDS)
def watch(num_drawn: int, turns: Iterator[int]) -> None:
    """Says what is being computed, and has the page drawn anew once there is more than was drawn.

    Args:
        num_drawn: replies that had come when the rest was drawn.
        turns: counts how often this was run; the first time is while the rest is being drawn.
    """
    num_arrived, what, share = resources.desk().look(resources.seat())
    if next(turns) and num_arrived != num_drawn:
        state.keep()
        st.rerun()
    said = f"{what[0].upper()}{what[1:]} … {share:.0%}" if what else "Explanations wait for their turn …"
    st.caption(f":material/hourglass_top: {plain(said)}")


@dataclass(kw_only=True)
class Asked:
    """What was asked for by hand of one answer; another clip or other words forget it, but for the baseline.

    Attributes:
        key: of the case.
        baseline: what stands for an absent modality.
        baselines: those that were chosen so far, beside the default one.
        tests: (element, method, target) of the explanations to be put to the test.
    """

    key: tuple[Hashable, ...]
    baseline: str = "absent-token"
    baselines: list[str] = field(default_factory=list)
    tests: set[tuple[str, str, Target]] = field(default_factory=set)

    @classmethod
    def of(cls, case: Case) -> Asked:
        """What this session asked of a case."""
        asked = st.session_state.get("asked")
        if asked is None or asked.key != case.key:
            asked = st.session_state["asked"] = cls(key=case.key)
        return asked

    def take_baseline(self, name: str) -> None:
        """Makes another baseline the current one."""
        self.baseline = name
        if name != "absent-token" and name not in self.baselines:
            self.baselines.append(name)


class Orders:
    """What the page wants of the desk, most wanted first: what was just asked for, then what comes anyway.

    The tests come last, for they take longest.

    Args:
        case: the clip's answer.
        target: what is explained.
        methods: method by element, of those that the clip has.
        asked: what was asked for by hand.
        edits: the changes to try.
    """

    def __init__(
        self,
        case: Case,
        target: Target,
        methods: Mapping[str, str],
        asked: Asked,
        edits: Sequence[Edit],
    ) -> None:
        self.case = case
        self.target = target
        self.methods = methods
        self.edits = {edit: edit_order(case, edit) for edit in edits}
        self.baselines = {name: baseline_order(case, name) for name in asked.baselines}
        self.tests = {
            element: trial_order(case, element, method, target)
            for element, method in methods.items()
            if (element, method, target) in asked.tests
        }
        self.attributions = {
            element: attribution_order(case, element, method, target) for element, method in methods.items()
        }
        self.effects = effects_order(case, methods, target) if case.prediction.present["video"] else None

    @property
    def all(self) -> list[Order]:
        """In the order in which they are to be done."""
        return [
            *self.edits.values(),
            *self.baselines.values(),
            *self.attributions.values(),
            *([self.effects] if self.effects else []),
            *self.tests.values(),
        ]


def draw_target(explained: Explained, target: Target, methods: Mapping[str, str]) -> None:
    """Draws the choice of what is explained, and how."""
    predicted = explained.prediction.prediction

    def take_emotion(label: str) -> None:
        state.update(emotion=None if label == predicted else label)

    def take_method(element: str, method: str) -> None:
        others = {name: chosen for name, chosen in state.current().methods if name != element}
        if method != DEFAULTS[element]:
            others[element] = method
        state.update(methods=tuple(sorted(others.items())))

    target_picker(
        explained.prediction.labels,
        target,
        predicted=predicted,
        on_emotion=take_emotion,
        on_instead_of=lambda label: state.update(instead_of=label),
    )
    if methods:
        method_picker(tuple(methods), methods, on_pick=take_method)


def attributions_of(orders: Orders, replies: Mapping[Hashable, Reply]) -> dict[str, Attribution | None]:
    """What the elements gave, by "frame", "window", "word" and "patch".

    None stands for one that is being computed; one that failed is left out.
    """
    found = {element: replies[order.key] for element, order in orders.attributions.items()}
    return {element: reply.value for element, reply in found.items() if not reply.error}


def show_timeline(
    explained: Explained, attributions: Mapping[str, Attribution | None], frame: int | None
) -> None:
    """Draws the timeline with the chosen frame."""
    timeline_view(
        TimelineData.of(
            explained.prediction,
            explained.display,
            attributions,
            truth=explained.truth,
            still=explained.still,
            # recognised words have times; edited ones would not fit them any more
            is_original=state.current().words is None,
            reads_picture=explained.has_face is not None,
        ),
        selected=frame,
        on_pick=lambda index: state.update(frame=index),
    )


def show_frame(explained: Explained, attributions: Mapping[str, Attribution | None], frame: int) -> None:
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
        on_overlays=lambda names: state.update(overlays=names),
        overlays=state.current().overlays,
        attribution=attributions.get("patch"),
        is_awaited="patch" in attributions and attributions["patch"] is None,
    )


def show_modalities(
    explained: Explained, target: Target, asked: Asked, orders: Orders, replies: Mapping[Hashable, Reply]
) -> None:
    """Draws what each modality says about what is explained, and what it was made to say where known."""
    prediction, truth = explained.prediction, explained.truth
    st.subheader("What each modality says", anchor=False)
    modalities.verdict(prediction)
    is_edited = state.current().words is not None
    if truth is not None:
        is_conflict = shown_verdict(prediction)[0] == "conflict"
        truth_block(truth, is_edited=is_edited, tells_conflict=is_conflict)
        truth = truth.with_other_words() if is_edited else truth
    reports = {"absent-token": prediction.modalities}
    reports |= {
        name: replies[order.key].value
        for name, order in orders.baselines.items()
        if replies[order.key].value is not None
    }

    def take_baseline(name: str) -> None:
        asked.take_baseline(name)
        state.update(baseline=None if name == "absent-token" else name)

    if orders.case.donors:
        baseline_picker(asked.baseline, on_pick=take_baseline)
        if asked.baseline not in reports:
            reply = replies[orders.baselines[asked.baseline].key]
            if reply.is_awaited:
                st.caption("Being computed … Until then the charts show the default.")
            else:
                failed(reply, orders.baselines[asked.baseline])
        agreement(reports, prediction.labels, target)
    shown = asked.baseline if asked.baseline in reports else "absent-token"
    if shown != "absent-token":
        # what a modality was made to say is held against what the model hears in it alone
        prediction, truth = replace(prediction, modalities=reports[shown]), None
    st.html(
        modalities.subset_chart(prediction, target, truth, baseline=shown)
        + shapley.shapley_chart(prediction, target)
        + shapley.interaction_chart(prediction, target)
    )
    with table_twin("modality-tables", "As tables") as is_open:
        if is_open:
            draw_table(modalities.modality_table(prediction, target))
            draw_table(shapley.shapley_table(prediction, target))
            if len(interactions := shapley.interaction_table(prediction, target)):
                draw_table(interactions)


def choose_edits(explained: Explained) -> tuple[Edit, ...]:
    """Draws the choice of changes to try."""
    prediction, case = explained.prediction, explained.case
    kinds = offered(prediction, has_face=explained.has_face is True, has_donors=bool(case.donors))
    if not kinds:
        return ()
    st.subheader("What if the clip were another?", anchor=False)
    titles = {clip.key: clip for clip in resources.clips() if clip.key in case.donors}
    is_hidden = state.current().is_truth_hidden
    donors = {
        key: clip.untold.title if is_hidden else f"{clip.label}: {clip.title}" for key, clip in titles.items()
    }
    edits = edit_picker(kinds, prediction.transcript.split(), donors, wanted=state.current().edits)
    state.note(edits=said(edits))
    return edits


def failed(reply: Reply, order: Order) -> None:
    """Says in place why something that was asked for is not there, and offers to try again."""
    st.warning(plain(reply.error), icon=":material/error:")
    st.button(
        "Try again",
        icon=":material/refresh:",
        key=f"again-{order.what}",
        on_click=resources.desk().retry,
        args=(resources.seat(), order.key),
    )


def show_trust(explained: Explained, asked: Asked, orders: Orders, replies: Mapping[Hashable, Reply]) -> None:
    """Draws whether an explanation can be believed: its tests, and how its method scored elsewhere."""
    if not orders.methods:
        return
    st.subheader("Can this explanation be trusted?", anchor=False)
    elements = tuple(orders.methods)
    wanted = state.current().judged
    element = wanted if wanted in elements else elements[0]
    state.note(judged=None if element == elements[0] else element)
    trust.element_picker(
        elements,
        element,
        on_pick=lambda name: state.update(judged=None if name == elements[0] else name),
    )
    method = orders.methods[element]
    order = orders.tests.get(element)
    reply = None if order is None else replies[order.key]
    if reply is None:
        st.button(
            "Put this explanation to the test",
            icon=":material/experiment:",
            key="test",
            on_click=asked.tests.add,
            args=((element, method, orders.target),),
            help="Asks the model some hundred times more: a minute or a few.",
        )
    elif reply.is_awaited:
        begun = "" if reply.share is None else f" ({reply.share:.0%})"
        st.caption(f":material/hourglass_top: Being tested{begun} … This takes a minute or a few.")
    elif reply.value is not None:
        trust.trust_view(reply.value)
    else:
        failed(reply, order)
    trust.planted_truth(checkpoints.truth_report(explained.case.predictor.checkpoint), element, method)


def show_effects(reply: Reply) -> None:
    """Draws what the compression carries, once it is known."""
    st.subheader("What the compression carries", anchor=False)
    if reply.is_awaited:
        st.caption(":material/hourglass_top: Being computed …")
    elif reply.value is not None:
        effects_view(reply.value)
