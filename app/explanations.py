"""What the desk can be asked about one clip: the orders that the page's panels wait for.

Whatever `core.attribution.explain` makes goes through the store of explanations, so that a clip that anybody
looked at before costs nothing. Other baselines and edits are quick, and kept by the session alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.desk import Order, Progress
from app.edits import Edit, answer
from core.attribution.baselines import BASELINES, explain_modalities
from core.attribution.elements import METHODS, MODALITY_OF
from core.attribution.explain import DEFAULTS, ELEMENTS, STORE_BYTES, explain
from core.attribution.results import Target
from core.attribution.store import ExplanationStore
from core.attribution.subject import Cancelled, Subject, check
from core.predict import Predictor, PreparedClip
from core.prediction import ModalityReport, Prediction

MANY = {"word": "words", "window": "sound", "frame": "frames", "patch": "patches"}
"""What the elements are called, in sentences."""

METHOD_NAMES = {
    "integrated-gradients": "integrated gradients",
    "gradients-and-stretches": "gradients and stretches",
    "occlusion": "occlusion",
    "shapley-sampling": "Shapley sampling",
}


class PrivateStore(ExplanationStore):
    """A store inside the folder of a clip of one's own: it never outlives that folder.

    Args:
        clip_folder: where the clip lies, alone.
    """

    def __init__(self, clip_folder: Path) -> None:
        super().__init__(clip_folder / "explanations", STORE_BYTES)

    def put(self, key, result: object) -> None:
        """As ever; nothing where the clip is gone, for an explanation that was under way then."""
        if self.folder.parent.is_dir():
            super().put(key, result)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One clip, as the model read it, with all that explaining its answer takes.

    Attributes:
        key: tells cases apart: the checkpoint, the clip and the words.
        predictor: whose model answered.
        prepared: the clip with the words that were read.
        prediction: the answer.
        store: where its explanations are kept.
        subject: gives the clip before the model, to be asked about changed versions; slow the first time.
        donor: gives another clip, by its key among the shipped ones, as the model reads it; slow likewise.
        donors: keys of the clips that stand in where a modality is absent, other speakers' and of every
            emotion; whether they hold what this clip does shows when they are read.
    """

    key: tuple[Hashable, ...]
    predictor: Predictor
    prepared: PreparedClip
    prediction: Prediction
    store: ExplanationStore
    subject: Callable[[], Subject]
    donor: Callable[[str], PreparedClip]
    donors: tuple[str, ...] = ()


def methods_for(element: str) -> tuple[str, ...]:
    """The methods there are for an element, the default one first."""
    names = [name for name, method in METHODS.items() if element in method.elements]
    return tuple(sorted(names, key=lambda name: name != DEFAULTS[element]))


def elements_of(prediction: Prediction) -> tuple[str, ...]:
    """The kinds of elements that an answered clip has, in the order in which they are explained."""
    return tuple(
        element
        for element in ELEMENTS
        if prediction.present[MODALITY_OF[element]] and (element != "patch" or prediction.patch_steps)
    )


def attribution_order(case: Case, element: str, method: str, target: Target) -> Order:
    """What the elements of one kind gave: an `Attribution`."""

    def work(cancelled: Cancelled, progress: Progress) -> object:
        found = _explain(case, target, {element: method}, cancelled, progress)
        return found.attributions[element]

    key = ("attribution", case.key, element, method, target)
    return Order(key=key, what=f"explaining the {MANY[element]}", work=work)


def trial_order(case: Case, element: str, method: str, target: Target) -> Order:
    """An attribution put to the test: a `Faithfulness`."""

    def work(cancelled: Cancelled, progress: Progress) -> object:
        found = _explain(case, target, {element: method}, cancelled, progress, tested=(element,))
        return found.faithfulness[element]

    key = ("test", case.key, element, method, target)
    return Order(key=key, what=f"testing the explanation of the {MANY[element]}", work=work)


def effects_order(case: Case, methods: Mapping[str, str], target: Target) -> Order:
    """What the compression carries: `CompressionEffects`, with the masses of these attributions."""
    seen = {element: methods[element] for element in ("frame", "patch") if element in methods}

    def work(cancelled: Cancelled, progress: Progress) -> object:
        return _explain(case, target, seen, cancelled, progress, with_effects=True).effects

    key = ("effects", case.key, tuple(seen.items()), target)
    return Order(key=key, what="trying what the compression keeps", work=work)


def baseline_order(case: Case, baseline: str) -> Order:
    """What each modality gave where something else stands for an absent one: a `ModalityReport`."""

    def work(cancelled: Cancelled, progress: Progress) -> ModalityReport:
        reference = _reference(case, cancelled, lambda share: progress(share / 2))
        return explain_modalities(
            case.predictor, case.prepared, baseline=baseline, reference=reference, cancelled=cancelled
        )

    what = f"asking with {BASELINES[baseline]} in place of what is absent"
    return Order(key=("baseline", case.key, baseline), what=what, work=work)


def edit_order(case: Case, edit: Edit) -> Order:
    """The probabilities `(class,)` of the clip with a change."""

    def work(cancelled: Cancelled, progress: Progress) -> np.ndarray:
        check(cancelled)
        donor = case.donor(edit.donor) if edit.donor else None
        check(cancelled)
        return answer(edit, case.predictor, case.prepared, case.subject(), donor, cancelled)

    return Order(key=("edit", case.key, edit), what=f"trying: {edit.sentence}", work=work)


def _explain(
    case: Case,
    target: Target,
    methods: Mapping[str, str],
    cancelled: Cancelled,
    progress: Progress,
    *,
    tested: Sequence[str] = (),
    with_effects: bool = False,
):
    return explain(
        case.predictor,
        case.prepared,
        target=target,
        methods=methods,
        store=case.store,
        with_faithfulness=tested,
        with_effects=with_effects,
        prediction=case.prediction,
        subject=case.subject,
        cancelled=cancelled,
        progress=lambda share, text: progress(share),
    )


def _reference(case: Case, cancelled: Cancelled, progress: Progress) -> list[PreparedClip]:
    """The donors that hold all the clip does."""
    there = [modality for modality, is_there in case.prepared.present.items() if is_there]
    found = []
    for number, name in enumerate(case.donors):
        check(cancelled)
        progress(number / len(case.donors))
        donor = case.donor(name)
        if all(donor.present[modality] for modality in there):
            found.append(donor)
    return found
