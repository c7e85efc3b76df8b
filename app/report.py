"""What a report says of an evaluation: everything that its page shows, computed and put in order.

Nothing here draws, and nothing needs a model: the same evaluation gives the same content but for the date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from app.report_origin import Command, Facts, Options, Source, card_of, commands_of, facts_of, plain
from app.thumbnails import Thumbnails
from core.attribution.modalities import listed
from core.evaluation import Comparison, Estimate, Evaluation, Scores, compare
from core.evaluation.artifact import ALL, TRUTH, Skipped, subset_name
from core.evaluation.calibration import ReliabilityBin, reliability
from core.evaluation.compare import caveats_together, flat_settings, holm
from core.evaluation.compare_sentences import conclusion
from core.evaluation.failure_sentences import answer, of_label_errors, of_slices
from core.evaluation.failures import PRESETS, MissedClass, missed_rows, why_missed
from core.evaluation.label_errors import suspected_label_errors
from core.evaluation.metrics import figures
from core.evaluation.slices import Slices, find_slices
from core.labels import MODALITIES, MODALITY_NOUNS
from training.truth_report import TruthReport, read_truth

MAX_AGAINST = 5
"""Other evaluations that a report holds its own against."""

MAX_SKIPPED = 20
"""Skipped utterances that are named before they are only counted."""

MAX_WORDS = 240
"""Characters of a mistake's transcript."""

SCENARIO = "scenario"
"""The data set's own column that tells who carries the emotion of a clip."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Majority:
    """What saying the most frequent label of every clip would score."""

    label: str
    accuracy: float
    weighted_f1: float
    macro_f1: float
    uar: float


@dataclass(frozen=True, kw_only=True)
class Versus:
    """The evaluation against another one of the same clips.

    Attributes:
        name: of the other.
        comparison: A is the other, B is the evaluation of the report.
        sentence: what follows.
        adjusted_p_value: of McNemar's test over all clips, after Holm over all others.
    """

    name: str
    comparison: Comparison
    sentence: str
    adjusted_p_value: float


@dataclass(frozen=True, kw_only=True)
class Missed:
    """Why a class is missed, in figures and in words."""

    of: MissedClass
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one modality alone says of a clip; `emotion` is "" where the clip lacks it."""

    modality: str
    emotion: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A clip that is predicted as another class than its label.

    Attributes:
        speaker / words: "" where they are not known or not wanted.
        confidence: probability of the prediction; `label_probability` that of the label.
        alone: what each modality says, in their order.
        picture: data URI, "" where there is none.
    """

    key: str
    speaker: str
    words: str
    label: str
    prediction: str
    confidence: float
    label_probability: float
    alone: tuple[Said, ...]
    picture: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Everything that a report says.

    Attributes:
        title: of the page.
        date: when the report was made, ISO 8601.
        summary: the findings in sentences, the most telling first.
        facts: what was evaluated.
        num_skipped / skipped: utterances without an answer; the first of them.
        scores: with all modalities; `subsets` by the modalities shown, `scenarios` by scenario.
        caveats: what protocol and split give away, in sentences; those that not all evaluations here share
            begin with the names of those that do.
        resampled / num_bootstrap: what intervals are drawn by, and how often.
        majority: for comparison.
        bins: of the reliability diagram.
        versus: against the others.
        missed: of the classes that are asked about.
        slices / slices_sentence: where the model errs more than elsewhere.
        label_errors: what confident learning finds, in words.
        num_wrong / mistakes: how many clips are wrong, and the most confident of them.
        num_pictures_missing: of the mistakes shown, where pictures are wanted.
        truth: how true the checkpoint's explanations are; None where that was not measured here.
        truth_problem: why it is not told although the evaluation has a file of it; else "".
        card: what the checkpoint's card says beside its scores, Markdown; "" where it is not at hand.
        commands: that make the evaluation and the report again.
        settings: of model and training, by dotted name.
    """

    title: str
    date: str
    summary: tuple[str, ...]
    facts: tuple[Facts, ...]
    num_skipped: int
    skipped: tuple[Skipped, ...]
    scores: Scores
    subsets: dict[str, Scores]
    scenarios: dict[str, Scores]
    caveats: tuple[str, ...]
    resampled: str
    num_bootstrap: int
    majority: Majority
    bins: tuple[ReliabilityBin, ...]
    versus: tuple[Versus, ...]
    missed: tuple[Missed, ...]
    slices: Slices
    slices_sentence: str
    label_errors: str
    num_wrong: int
    mistakes: tuple[Mistake, ...]
    num_pictures_missing: int
    truth: TruthReport | None
    truth_problem: str
    card: str
    commands: tuple[Command, ...]
    settings: dict[str, str]


def make_report(
    source: Source,
    against: Sequence[Source] = (),
    *,
    on: date,
    options: Options | None = None,
    thumbnails: Thumbnails | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Report:
    """Compute what a report says.

    Args:
        source: the evaluation that it is about.
        against: others of the same clips, each of which it is held against.
        on: the date that is printed on it.
        options: what of the clips themselves it holds.
        thumbnails: that keep pictures which were made before.
        progress: told how many steps are done, of how many, and the next one.

    Raises:
        EvaluationError: if one of the others is not of the same clips.
    """
    options = options or Options()
    evaluation, info = source.evaluation, source.evaluation.info
    wrong = missed_rows(evaluation)
    shown = wrong[: options.num_mistakes]
    total, done = len(against) + 2 + len(shown), 0

    def step(text: str) -> None:
        nonlocal done
        progress(done, total, text)
        done += 1

    comparisons = []
    for other in against:
        step(f"Comparing with {other.name}")
        comparisons.append(compare(other.evaluation, evaluation))
    step("Looking at slices")
    slices = find_slices(evaluation)
    step("Looking at labels")
    label_errors = suspected_label_errors(evaluation)
    thumbnails = thumbnails or Thumbnails(max_pictures=options.num_mistakes)
    mistakes = []
    for number, row in enumerate(shown):
        step(f"Mistake {number + 1} of {len(shown)}")
        mistakes.append(_mistake(evaluation, int(row), options, thumbnails))
    progress(total, total, "")

    truth, truth_problem = _truth(source)
    scores = evaluation.metrics.subsets[subset_name(ALL)]
    adjusted = holm([one.accuracy_test.p_value for one in comparisons])
    settings = flat_settings(info.recipe)
    return Report(
        title=f"{info.checkpoint} on {info.data}, split {info.split}",
        date=on.isoformat(),
        summary=tuple(_summary(evaluation, scores)),
        facts=facts_of(source),
        num_skipped=len(info.skipped),
        skipped=info.skipped[:MAX_SKIPPED],
        scores=scores,
        subsets=evaluation.metrics.subsets,
        scenarios=evaluation.metrics.slices.get(SCENARIO, {}),
        resampled=info.resampled,
        num_bootstrap=info.num_bootstrap,
        caveats=caveats_together({one.name: one.evaluation for one in (source, *against)}),
        majority=_majority(evaluation),
        bins=reliability(evaluation.truth, evaluation.probabilities()),
        versus=tuple(
            Versus(
                name=other.name,
                comparison=one,
                sentence=conclusion(source.name, one, base=other.name),
                adjusted_p_value=p_value,
            )
            for other, one, p_value in zip(against, comparisons, adjusted, strict=True)
        ),
        missed=tuple(
            Missed(of=of, sentences=answer(of))
            for of in (why_missed(evaluation, label, source.training) for label in asked_about(evaluation))
        ),
        slices=slices,
        slices_sentence=of_slices(slices),
        label_errors=of_label_errors(label_errors, len(evaluation.predictions), len(wrong), info.split),
        num_wrong=len(wrong),
        mistakes=tuple(mistakes),
        num_pictures_missing=sum(not one.picture for one in mistakes) if options.has_pictures else 0,
        truth=truth,
        truth_problem=truth_problem,
        card=card_of(source.checkpoint),
        commands=commands_of(source, against, options),
        settings={name: plain(value) for name, value in settings.items()},
    )


def asked_about(evaluation: Evaluation) -> tuple[str, ...]:
    """Two classes whose misses are explained: fear and disgust, and in their place those of least recall."""
    classes = evaluation.metrics.subsets[subset_name(ALL)].classes
    first = [label for label in PRESETS if label in classes]
    others = [label for label, of in classes.items() if of.support and label not in first]
    others.sort(key=lambda label: classes[label].recall.value)
    return (*first, *others)[: len(PRESETS)]


def _summary(evaluation: Evaluation, scores: Scores) -> Iterable[str]:
    info = evaluation.info
    clips = "the one clip" if scores.num_clips == 1 else f"{scores.num_clips:,} clips"
    yield (
        f"{info.checkpoint} is right on {told(scores.accuracy)} of {clips} of {info.data} (split "
        f"{info.split}); macro F1 {told(scores.macro_f1)}, mean recall {told(scores.uar)}."
    )
    known = [(label, of) for label, of in scores.classes.items() if of.support and of.f1.value is not None]
    if len(known) > 1:
        best, worst = (pick(known, key=lambda one: one[1].f1.value) for pick in (max, min))
        yield (
            f"Recognised best: {best[0]}, F1 {told(best[1].f1)} on {_clips(best[1].support)}. Recognised "
            f"worst: {worst[0]}, F1 {told(worst[1].f1)} on {_clips(worst[1].support)}."
        )
    if absent := [label for label, of in scores.classes.items() if not of.support]:
        verb = "has" if len(absent) == 1 else "have"
        yield f"{listed(absent).capitalize()} {verb} no clip here, so nothing is known of {_them(absent)}."
    alone = {m: evaluation.metrics.subsets[m] for m in MODALITIES if evaluation.metrics.subsets[m].num_clips}
    singles = {m: of.macro_f1 for m, of in alone.items() if of.macro_f1.value is not None}
    if len(singles) > 1:
        best = max(singles, key=lambda m: singles[m].value)
        verb = "reach" if best == "text" else "reaches"
        yield (
            f"Of the modalities alone the {MODALITY_NOUNS[best]} {verb} the most, macro F1 "
            f"{told(singles[best])}."
        )
    yield f"Its confidence is off by {told(scores.ece)} (calibration error)."


def told(estimate: Estimate) -> str:
    """As "0.72 [0.65–0.79]"; without ends where there is no interval."""
    if estimate.value is None:
        return "– (undefined)"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate:.2f}"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count:,} clips"


def _majority(evaluation: Evaluation) -> Majority:
    truth = evaluation.truth
    support = np.bincount(truth, minlength=len(evaluation.labels))
    column = int(support.argmax())
    always = np.zeros((len(truth), len(support)))
    always[:, column] = 1.0
    found = figures(truth, always)
    return Majority(
        label=evaluation.labels[column],
        **{name: float(found[name][0]) for name in ("accuracy", "weighted_f1", "macro_f1", "uar")},
    )


def _mistake(evaluation: Evaluation, row: int, options: Options, thumbnails: Thumbnails) -> Mistake:
    clip, labels = evaluation.predictions.iloc[row], evaluation.labels

    def answer_of(subset: Sequence[str]) -> np.ndarray | None:
        return evaluation.predictions[f"probabilities:{subset_name(subset)}"].iat[row]

    together = np.asarray(answer_of(ALL), float)
    alone = []
    for modality in MODALITIES:
        found = answer_of((modality,))
        best = None if found is None else int(np.argmax(found))
        alone.append(
            Said(
                modality=modality,
                emotion="" if best is None else labels[best],
                probability=0.0 if best is None else float(found[best]),
            )
        )
    words = _text(clip["transcript"]) if options.has_words else ""
    return Mistake(
        key=clip["key"],
        speaker=_text(clip["speaker"]),
        words=words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}…",
        label=clip["label"],
        prediction=clip["prediction"],
        confidence=float(together.max()),
        label_probability=float(together[labels.index(clip["label"])]),
        alone=tuple(alone),
        picture=thumbnails.make(evaluation, row) if options.has_pictures else "",
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _truth(source: Source) -> tuple[TruthReport | None, str]:
    """The truth scores beside the evaluation, or why they are not told."""
    if not (source.folder / TRUTH).is_file():
        return None, ""
    try:
        found = read_truth(source.folder)
    except ValueError:
        return None, (
            f"The evaluation’s {TRUTH} is damaged, so the truth scores are left out; make it again "
            "with deepmsi bench truth."
        )
    if found.checkpoint_sha256 != source.evaluation.info.checkpoint_sha256:
        return None, (
            f"The evaluation’s {TRUTH} is of another checkpoint ({found.checkpoint}, "
            f"{found.checkpoint_sha256[:12]}…), so the truth scores are left out."
        )
    return found, ""
