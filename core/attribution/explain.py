"""Everything that is said about one answer, part by part: the way from a clip to an `Explanation`.

Each part is looked up in the store before the model is asked for it, and told as soon as it is there. So
whoever waits sees the modalities first, whoever asks again waits for nothing, and what was done before an
explanation was cancelled is not done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from core.attribution.effects import CompressionEffects, compression_effects
from core.attribution.elements import METHODS, MODALITY_OF, attribute, frames_of
from core.attribution.faithfulness import Faithfulness, faithfulness
from core.attribution.results import Attribution, Target
from core.attribution.store import ExplanationKey, ExplanationStore, cache_folder
from core.attribution.subject import Cancelled, Subject, check
from core.predict import Predictor, PreparedClip
from core.prediction import Prediction

ELEMENTS = ("word", "window", "frame", "patch")
"""In the order in which they are explained: what is quick comes first."""

DEFAULTS: Mapping[str, str] = dict.fromkeys(ELEMENTS, "integrated-gradients") | {
    "word": "shapley-sampling",
    "window": "gradients-and-stretches",
}
"""Method by element: what found most of what is planted in the dev clips of the shipped checkpoint
(docs/truth.md). Integrated gradients pointed at the height of the expression in 0.96 of them, random orders
of frames in 0.56, occlusion in 0.46; random orders of words at the sentence that carries the emotion in 0.95,
occlusion in 0.79, integrated gradients in 0.76. Of sound, on train clips too, integrated gradients pointed at
the emotional part in 0.68, and in 0.79 where they lean towards stretches that say most by themselves."""

VERSIONS = {"prediction": 3, "faithfulness": 2, "compression-effects": 1}
"""Part of the key under which these are stored; raised when their code gives other results. Methods of
attribution have their own (`core.attribution.elements.METHODS`)."""

STORE_BYTES = 512 * 2**20
"""A few thousand clips: the parts of one take about 150 kB."""

COSTS = {"prediction": 2, "word": 2, "window": 4, "frame": 8, "patch": 8, "effects": 8}
"""Rough shares of the time, for whoever waits; a test of an attribution takes `TEST_COST` times as long."""

TEST_COST = 8

AGAIN = {
    "integrated-gradients": {"num_steps": 7},
    "gradients-and-stretches": {"num_steps": 7},
    "shapley-sampling": {"num_samples": 8},
    "occlusion": {},
}
"""Settings with which the tests explain hardly changed clips and networks that have forgotten something; the
clip itself is explained with them too, to be compared with."""

Part = Prediction | Attribution | Faithfulness | CompressionEffects

Progress = Callable[[float, str], None]
"""Told which share of the work is done, 0 … 1, and in a few words what is being done."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """What is said about one answer.

    Attributes:
        prediction: the answer, with what each modality gave (`prediction.modalities`).
        target: what is explained.
        attributions: by element, in the order of `ELEMENTS`; of those that the clip has and that were asked
            for.
        faithfulness: by element, of the attributions that were put to the test.
        effects: what the compression carries; None where the clip has no video, or it was not asked for.
    """

    prediction: Prediction
    target: Target
    attributions: dict[str, Attribution]
    faithfulness: dict[str, Faithfulness]
    effects: CompressionEffects | None

    @property
    def methods(self) -> dict[str, str]:
        """By element, the method that its attribution is of."""
        return {element: found.method for element, found in self.attributions.items()}


def default_store() -> ExplanationStore:
    """The store that the app and the command line share."""
    return ExplanationStore(cache_folder(), STORE_BYTES)


def explain(
    predictor: Predictor,
    prepared: PreparedClip,
    *,
    target: Target | None = None,
    methods: Mapping[str, str] = DEFAULTS,
    store: ExplanationStore | None = None,
    with_faithfulness: Collection[str] = ELEMENTS,
    with_effects: bool = True,
    prediction: Prediction | None = None,
    subject: Callable[[], Subject] | None = None,
    cancelled: Cancelled | None = None,
    progress: Progress | None = None,
    on_part: Callable[[Part], None] | None = None,
) -> Explanation:
    """Explain an answer: modalities, words, sound, frames, patches, tests of these, and the compression.

    Args:
        predictor: whose model answers.
        prepared: of `predictor.prepare`.
        target: what is explained; the predicted label when None.
        methods: by element; an element without one is left out.
        store: where parts are kept and looked up. The model is asked only for what is missing there.
        with_faithfulness: elements whose attributions are put to the test, which takes far longer than they.
        with_effects: whether the compression's choices are tried.
        prediction: this predictor's answer for the clip, where it is known already.
        subject: gives the subject of this predictor and clip, for whoever keeps one; asked once, and only if
            a part is missing in the store. None makes one.
        cancelled: asked before every part and, inside most of them, before every batch.
        progress: see there.
        on_part: told every part as soon as it is there, in the order above: a `Prediction`, then
            `Attribution`s, `Faithfulness` and `CompressionEffects`.

    Raises:
        ExplanationCancelledError: if `cancelled` says so; what was finished by then stays in the store.
        MediaError: if the clip holds no modality that the model reads.
        ValueError: if the target is no label, an element or method is unknown, or they do not go together.
    """
    _check(methods, with_faithfulness)
    asked = [e for e in ELEMENTS if e in methods and prepared.present[MODALITY_OF[e]]]
    tested = [e for e in asked if e in with_faithfulness]
    is_seen = with_effects and prepared.present["video"]
    meter = _Meter(
        ({} if prediction else {"prediction": COSTS["prediction"]})
        | {e: COSTS[e] for e in asked}
        | {f"test of {e}": TEST_COST * COSTS[e] for e in tested}
        | ({"effects": COSTS["effects"]} if is_seen else {}),
        progress,
    )
    told = on_part or (lambda part: None)
    make = subject or (lambda: Subject(predictor, prepared))
    parts = _Parts(predictor, prepared, store or _OwnStore(), make, cancelled)

    if prediction is None:
        with meter.part("prediction", "asking the model about every coalition"):
            prediction = parts.prediction()
    if target is None:
        target = Target(label=prediction.prediction)
    target.of(prediction.probabilities, prediction.labels)  # raises where it is none
    told(prediction)

    attributions = {}
    for element in asked:
        with meter.part(element, f"explaining {_MANY[element]}") as share:
            attributions[element] = parts.attribution(element, methods[element], target, share)
        told(attributions[element])
    tests = {}
    for element in tested:
        with meter.part(f"test of {element}", f"testing the explanation of {_MANY[element]}") as share:
            tests[element] = parts.faithfulness(attributions[element], share)
        told(tests[element])
    effects = None
    if is_seen:
        with meter.part("effects", "trying what the compression keeps"):
            effects = parts.effects(target, attributions.get("frame"), attributions.get("patch"))
        told(effects)
    return Explanation(
        prediction=prediction,
        target=target,
        attributions=attributions,
        faithfulness=tests,
        effects=effects,
    )


_MANY = {"word": "words", "window": "sound", "frame": "frames", "patch": "patches"}


def _check(methods: Mapping[str, str], tested: Collection[str]) -> None:
    for element in (*methods, *tested):
        if element not in ELEMENTS:
            raise ValueError(f"{element!r} is none of the elements {', '.join(ELEMENTS)}")
    for element, name in methods.items():
        known = [method for method in METHODS if element in METHODS[method].elements]
        if name not in known:
            raise ValueError(f"{name!r} is no method for a {element}; there are {', '.join(known)}")


class _OwnStore:
    """Keeps parts for one explanation: frames are made of patches, which are not to be worked out twice."""

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}

    def get_or_compute(self, key: ExplanationKey, result_type: type[T], compute: Callable[[], T]) -> T:
        if key.digest not in self._kept:
            self._kept[key.digest] = compute()
        return self._kept[key.digest]


class _Parts:
    """Every part of one clip's explanation, from the store or from the model."""

    def __init__(
        self,
        predictor: Predictor,
        prepared: PreparedClip,
        store: ExplanationStore | _OwnStore,
        make_subject: Callable[[], Subject],
        cancelled: Cancelled | None,
    ) -> None:
        self._predictor = predictor
        self._prepared = prepared
        self._store = store
        self._make_subject = make_subject
        self._cancelled = cancelled

    @cached_property
    def _subject(self) -> Subject:
        # made when the first part is missing: it costs a forward pass
        return self._make_subject()

    @cached_property
    def _content(self) -> dict[str, object]:
        """What the model reads beside the words: the file's hash knows nothing of how it was read."""
        prepared, digest = self._prepared, hashlib.sha256()
        times = prepared.frames.times_seconds if prepared.present["video"] else None
        for array in (prepared.crops, times, prepared.waveform):
            digest.update(b"-" if array is None else str((array.shape, array.dtype)).encode())
            digest.update(b"" if array is None else np.ascontiguousarray(array))
        words = prepared.transcript.words if prepared.transcript else ()
        return {
            "picture and sound": digest.hexdigest(),
            "words": [[word.text, word.start_seconds, word.end_seconds] for word in words],
        }

    def prediction(self) -> Prediction:
        """The answer. Its notes are part of the key; where the file lies is not."""
        clip = self._prepared.clip
        notes = {"notes": [*self._prepared.notes, self._prepared.words_note]}
        found = self._kept(
            "prediction",
            notes,
            VERSIONS["prediction"],
            Prediction,
            lambda: self._predictor.predict(self._prepared),
        )
        return replace(found, path=str(clip.path), checkpoint=self._predictor.checkpoint.name)

    def attribution(
        self, element: str, method: str, target: Target, share: Callable[[float], None]
    ) -> Attribution:
        """Of one kind of elements. Frames by integrated gradients are those of patches, summed."""
        if element == "frame" and method == "integrated-gradients":
            return frames_of(self.attribution("patch", method, target, share))
        return self._kept(
            method,
            {"element": element, "target": asdict(target)},
            METHODS[method].version,
            Attribution,
            lambda: attribute(
                self._subject, element, method, target, cancelled=self._cancelled, progress=share
            ),
        )

    def faithfulness(self, attribution: Attribution, share: Callable[[float], None]) -> Faithfulness:
        """The test of an attribution."""
        element, method, target = attribution.element, attribution.method, attribution.target
        num_explained = 0

        def again(other: Subject) -> Attribution:
            nonlocal num_explained
            num_explained += 1
            share(num_explained / 10)  # the clip, three that are hardly changed, five groups of layers
            if other is self._subject and not AGAIN[method]:
                return attribution
            return attribute(other, element, method, target, cancelled=self._cancelled, **AGAIN[method])

        return self._kept(
            "faithfulness",
            _named(attribution) | {"target": asdict(target)},
            VERSIONS["faithfulness"],
            Faithfulness,
            lambda: faithfulness(self._subject, attribution, explain=again, cancelled=self._cancelled),
        )

    def effects(
        self, target: Target, frames: Attribution | None, patches: Attribution | None
    ) -> CompressionEffects:
        """What the compression carries, with the masses of these attributions."""
        masses = [None if one is None else _named(one) for one in (frames, patches)]
        return self._kept(
            "compression-effects",
            {"target": asdict(target), "masses": masses},
            VERSIONS["compression-effects"],
            CompressionEffects,
            lambda: compression_effects(
                self._subject, target, frames=frames, patches=patches, cancelled=self._cancelled
            ),
        )

    def _kept(
        self,
        method: str,
        parameters: dict[str, object],
        version: int,
        result_type: type[T],
        compute: Callable[[], T],
    ) -> T:
        check(self._cancelled)
        clip, transcript = self._prepared.clip, self._prepared.transcript
        key = ExplanationKey(
            clip_sha256=clip.sha256,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            transcript=transcript.text if transcript else "",
            checkpoint_sha256=self._predictor.identity,
            method=method,
            parameters=parameters | self._content,
            version=version,
        )
        return self._store.get_or_compute(key, result_type, compute)


def _named(attribution: Attribution) -> dict[str, object]:
    """What an attribution is, for the keys of what was made from it."""
    method = attribution.method
    return {"element": attribution.element, "method": method, "method version": METHODS[method].version}


class _Meter:
    """Tells the progress of all from that of the parts, whose costs are rough."""

    def __init__(self, costs: Mapping[str, float], progress: Progress | None) -> None:
        self._costs = costs
        self._progress = progress or (lambda share, text: None)
        self._done = 0.0

    @contextmanager
    def part(self, name: str, text: str) -> Iterator[Callable[[float], None]]:
        """While a part is made; yields what is to be told the part's own share."""
        cost, total = self._costs[name], sum(self._costs.values())

        def tell(share: float) -> None:
            self._progress((self._done + share * cost) / total, text)

        tell(0)
        yield tell
        tell(1)
        self._done += cost
