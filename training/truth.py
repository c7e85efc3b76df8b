"""Are explanations true? Measured on made clips, of which it is known what carries the emotion, and when.

Each measure is one number of one clip beside what chance would give there; figures are means over clips with
intervals that resample speakers. Elements are explained for answers that are right: a wrong one rests on
something else by definition. Words carry an emotion together, so what is planted is a whole sentence: the
clip's own, beside a sentence of the corpus that says nothing about feeling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from core.attribution.elements import absent_others, attribute
from core.attribution.explain import AGAIN
from core.attribution.faithfulness import MAX_RANDOMISED, removable_elements, values_of
from core.attribution.randomisation import randomised
from core.attribution.removal import Remembered, curves
from core.attribution.results import Attribution, Target
from core.attribution.subject import Subject
from core.labels import MODALITIES
from core.media import Transcript, open_clip
from core.predict import Predictor, PreparedClip
from core.prediction import Prediction
from sample_data.corpus.checking.statistics import Estimate, clustered_mean
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import Sidecar
from sample_data.corpus.sentences import draw_sentence

TESTS = {
    "deletion": (
        "mean probability of the answer while {} are removed, the most important first (lower is better; "
        "chance is random orders)"
    ),
    "insertion": (
        "mean probability of the answer while {} are added, the most important first (higher is better; "
        "chance is random orders)"
    ),
    "randomised": (
        "explanations of {} that a network of random weights gives nearly the same (rank correlation of 0.5 "
        "or more, and more than chance gives; lower is better)"
    ),
}
"""What explanations are tested for that asks for no planted truth; measured only where it is asked for."""

FIGURES = {
    "kept frames in the apex": "of the frames that were kept, how many show the expression at its height",
    "apex frames kept": "of the frames that show the expression at its height, how many were kept",
    "kept frames in the apex, against uniform": (
        "the same, where chance is the same number of frames at equal steps"
    ),
    "kept patches in the face": "of the patches that were kept, how many lie in the face",
    "kept patches on eyes or mouth": "of the patches that were kept, how many lie on the eyes or the mouth",
    "modality named": "where one modality alone carries the emotion, its Shapley value is the largest",
    "conflict found": "of the clips made with a conflict, how many are told to have one (recall)",
    "conflict right": "of the clips told to have a conflict, how many were made with one (precision)",
    "frame pointing": "the most important frame shows the expression at its height",
    "frame mass": "share of the positive attribution that lies on frames at the expression's height",
    "sound pointing": "the most important window of sound lies where the voice is emotional",
    "sound mass": "share of the positive attribution that lies where the voice is emotional",
    "word pointing": "the most important word is of the sentence that carries the emotion",
    "word mass": "share of the positive attribution that lies on the sentence that carries the emotion",
    **{
        f"{name} {test}": sentence.format(many)
        for name, many in (("frame", "frames"), ("sound", "windows of sound"), ("word", "words"))
        for test, sentence in TESTS.items()
    },
}
"""What is measured, by name, and in words."""

CONFLICT_SCENARIOS = ("sarcasm", "banter", "masking")

NUM_RANDOM = 6
"""Random orders that deletion and insertion are held against, the same ones for every method."""

_ELEMENT_MODALITY = {"frame": "video", "window": "audio", "word": "text"}
_ELEMENT_NAME = {"frame": "frame", "window": "sound", "word": "word"}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of one clip.

    Attributes:
        figure: a key of `FIGURES`.
        method: of the attribution, or "".
        value: what was found.
        chance: what choosing at random would give on average, in this clip.
    """

    figure: str
    method: str
    clip: str
    speaker: str
    scenario: str
    value: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class TruthFigure:
    """A measure over all clips to which it applies.

    Attributes:
        estimate: mean and interval.
        chance: mean of what chance gives on the same clips.
        gain: mean and interval of value − chance.
    """

    figure: str
    method: str
    estimate: Estimate
    chance: float
    gain: Estimate


def measure_clip(
    predictor: Predictor,
    path: Path,
    sidecar: Sidecar,
    methods: Sequence[tuple[str, str]],
    with_tests: bool = False,
) -> list[Measure]:
    """All that can be measured on one made clip.

    Args:
        predictor: whose model explains.
        path: of the clip.
        sidecar: the clip's truth.
        methods: pairs of element ("frame", "window" or "word") and method (`core.attribution.elements`).
        with_tests: put every explanation to the test as well: deletion, insertion and randomisation. They ask
            the model far more often than the explanations themselves.

    Raises:
        MediaError: if the clip cannot be read.
    """
    words = Transcript(text=sidecar.transcript) if sidecar.transcript else None
    clip = open_clip(path, apart=True).with_transcript(words)
    prepared = predictor.prepare(clip, transcribe=False)
    prediction = predictor.predict(prepared)
    measures = [
        *_of_compression(prediction, sidecar),
        *_of_modalities(prediction, sidecar),
        *_of_elements(predictor, prepared, prediction, sidecar, methods, with_tests),
    ]
    plan = sidecar.plan
    own = {"clip": plan.clip_id, "speaker": plan.speaker.speaker_id, "scenario": plan.scenario}
    return [Measure(**own, **values) for values in measures]


def summarise(measures: Iterable[Measure]) -> list[TruthFigure]:
    """The figures, in the order of `FIGURES`, methods in the order in which they were measured."""
    columns = [field.name for field in fields(Measure)]
    table = pd.DataFrame([vars(measure) for measure in measures], columns=columns)
    found = []
    for name in FIGURES:
        of_figure = table[table["figure"] == name]
        for method in of_figure["method"].unique():
            rows = of_figure[of_figure["method"] == method]
            found.append(
                TruthFigure(
                    figure=name,
                    method=method,
                    estimate=clustered_mean(rows["value"], rows["speaker"]),
                    chance=float(rows["chance"].mean()),
                    gain=clustered_mean(rows["value"] - rows["chance"], rows["speaker"]),
                )
            )
    return found


def planted(element: str, start_seconds: np.ndarray, end_seconds: np.ndarray, sidecar: Sidecar) -> np.ndarray:
    """Which frames or windows of sound carry the emotion: `(element,)` bool by the middle of each.

    None of them where the clip has no truth about it.
    """
    if element == "frame":
        face = sidecar.face
        span = None if face is None else (face.apex_start_seconds, face.apex_end_seconds)
    else:
        sound = sidecar.sound
        span = None if sound is None else (sound.emotional_start_seconds, sound.emotional_end_seconds)
    middle = (np.asarray(start_seconds) + np.asarray(end_seconds)) / 2
    if span is None or span[0] is None:
        return np.zeros(len(middle), bool)
    return (middle >= span[0]) & (middle <= span[1])


def _of_compression(prediction: Prediction, sidecar: Sidecar) -> list[dict]:
    frames, plan = prediction.frames, sidecar.plan
    if frames is None or "video" not in plan.informative:
        return []
    measures = []
    is_apex = planted("frame", frames.times_seconds, frames.times_seconds, sidecar)
    if 0 < is_apex.sum() < len(is_apex) and len(frames.kept) < len(is_apex):
        num = len(frames.kept)
        evenly = np.round(np.linspace(0, len(is_apex) - 1, num)).astype(int)
        kept = np.isin(np.arange(len(is_apex)), frames.kept)
        inside = is_apex[kept].mean()
        measures += [
            _measure("kept frames in the apex", inside, is_apex.mean()),
            _measure("kept frames in the apex, against uniform", inside, is_apex[evenly].mean()),
            _measure("apex frames kept", kept[is_apex].mean(), num / len(is_apex)),
        ]
    if prediction.patch_steps:
        measures += _of_patches(prediction, sidecar)
    return measures


def _of_patches(prediction: Prediction, sidecar: Sidecar) -> list[dict]:
    step, face = prediction.patch_steps[-1], sidecar.face
    rows, columns = step.grid
    is_kept = np.zeros((len(step.kept), rows * columns), bool)
    np.put_along_axis(is_kept, step.kept, True, axis=1)
    in_face, in_parts = np.zeros_like(is_kept), np.zeros_like(is_kept)
    for place, candidate in enumerate(prediction.frames.kept):
        time = prediction.frames.times_seconds[candidate]
        frame = min(round(time * sidecar.frames_per_second), sidecar.num_frames - 1)
        x, y = _patch_middles(prediction.crop_boxes[candidate], prediction.frame_size, step.grid)
        in_face[place] = _inside(x, y, face.face_box[frame])
        in_parts[place] = _inside(x, y, face.eyes_box[frame]) | _inside(x, y, face.mouth_box[frame])
    return [
        _measure(name, where[is_kept].mean(), where.mean())
        for name, where in (
            ("kept patches in the face", in_face),
            ("kept patches on eyes or mouth", in_parts),
        )
        if 0 < where.sum() < where.size
    ]


def _patch_middles(
    box: np.ndarray, frame_size: tuple[int, int], grid: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Middles of a crop's patches in row-major order, as shares of the picture's sides."""
    rows, columns = grid
    x = box[0] + (np.arange(columns) + 0.5) / columns * (box[2] - box[0])
    y = box[1] + (np.arange(rows) + 0.5) / rows * (box[3] - box[1])
    y, x = np.meshgrid(y / frame_size[1], x / frame_size[0], indexing="ij")
    return x.ravel(), y.ravel()


def _inside(x: np.ndarray, y: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    left, top, right, bottom = box
    return (left <= x) & (x <= right) & (top <= y) & (y <= bottom)


def _of_modalities(prediction: Prediction, sidecar: Sidecar) -> list[dict]:
    plan, report = sidecar.plan, prediction.modalities
    there = [m for m in MODALITIES if prediction.present[m]]
    measures = []
    is_right = prediction.prediction == plan.label
    if is_right and len(plan.informative) == 1 and len(there) > 1:
        given = report.shapley[:, prediction.labels.index(plan.label)]
        first = max(there, key=lambda m: given[MODALITIES.index(m)])
        measures.append(_measure("modality named", first == plan.informative[0], 1 / len(there)))
    if not plan.missing and len(there) == len(MODALITIES):
        is_told = report.verdict == "conflict"
        if plan.scenario in CONFLICT_SCENARIOS:
            measures.append(_measure("conflict found", is_told, np.nan))
        if is_told:
            measures.append(_measure("conflict right", plan.conflict, np.nan))
    return measures


def _of_elements(
    predictor: Predictor,
    prepared: PreparedClip,
    prediction: Prediction,
    sidecar: Sidecar,
    methods: Sequence[tuple[str, str]],
    with_tests: bool,
) -> list[dict]:
    plan, measures = sidecar.plan, []
    if plan.label == "neutral" or prediction.prediction != plan.label:
        return []
    subject = Subject(predictor, prepared)
    composed = None
    for element, method in methods:
        modality = _ELEMENT_MODALITY[element]
        if modality not in plan.informative or not prediction.present[modality]:
            continue
        if element == "word":
            if composed is None:
                composed = _beside_a_neutral_sentence(predictor, prepared, sidecar)
            asked, is_planted = composed
            if asked is None:
                continue
        else:
            asked = subject
            starts, ends = (
                (subject.frame_times, subject.frame_times)
                if element == "frame"
                else (subject.window_starts, subject.window_ends)
            )
            is_planted = planted(element, starts, ends, sidecar)
            # where the whole speech is emotional, to point into it says nothing
            if element == "window" and plan.voice_window is None:
                continue
        if 0 < is_planted.sum() < len(is_planted):
            found = attribute(asked, element, method, Target(label=plan.label))
            measures += _pointing(found, is_planted)
            if with_tests:
                measures += _tests(asked, found)
    return measures


def _beside_a_neutral_sentence(
    predictor: Predictor, prepared: PreparedClip, sidecar: Sidecar
) -> tuple[Subject | None, np.ndarray]:
    """The clip with a sentence more, and which words are its own; None where the answer changes by it."""
    plan = sidecar.plan
    draw = stream(plan.seed, "sentence beside")
    other = draw_sentence("neutral", plan.split, draw)
    is_first = bool(draw.integers(2))
    own = sidecar.transcript
    text = f"{own} {other}" if is_first else f"{other} {own}"
    changed = prepared.with_transcript(text)
    subject = Subject(predictor, changed)
    of_own, of_other = [True] * len(own.split()), [False] * len(other.split())
    is_own = np.array(of_own + of_other if is_first else of_other + of_own)
    is_right = subject.labels[int(subject.probabilities.argmax())] == plan.label
    return (subject if is_right else None), is_own


def _pointing(attribution: Attribution, is_planted: np.ndarray) -> list[dict]:
    values, name = attribution.values, _ELEMENT_NAME[attribution.element]
    positive = np.clip(values, 0, None)
    chance = is_planted.mean()
    measures = [_measure(f"{name} pointing", is_planted[int(values.argmax())], chance, attribution.method)]
    if positive.sum() > 0:
        mass = positive[is_planted].sum() / positive.sum()
        measures.append(_measure(f"{name} mass", mass, chance, attribution.method))
    return measures


def _tests(subject: Subject, attribution: Attribution) -> list[dict]:
    """What an explanation is worth without any planted truth: as `core.attribution.faithfulness` tests it."""
    element, method, target = attribution.element, attribution.method, attribution.target
    tested, absent = removable_elements(subject, attribution), absent_others(method, element)
    values = Remembered(values_of(subject, element, target, tested, absent=absent))
    rng = np.random.default_rng(0)
    found = curves(values, attribution.values[tested].astype(float), num_random=NUM_RANDOM, rng=rng)
    settings = AGAIN.get(method, {})

    def again(other: Subject) -> Attribution:
        return attribute(other, element, method, target, **settings)

    own = again(subject) if settings else attribution
    [forgotten] = randomised(subject, own, again, only_whole=True)
    name, by_chance = _ELEMENT_NAME[element], found.random_areas.mean()
    return [
        _measure(f"{name} deletion", found.deletion_area, by_chance, method),
        _measure(f"{name} insertion", found.insertion_area, by_chance, method),
        _measure(f"{name} randomised", forgotten.is_alike(MAX_RANDOMISED), np.nan, method),
    ]


def _measure(figure: str, value: float, chance: float, method: str = "") -> dict:
    return {"figure": figure, "method": method, "value": float(value), "chance": float(chance)}
