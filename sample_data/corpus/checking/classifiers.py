"""How far do simple classifiers get, so that nobody mistakes the corpus for solved or for noise?

Speakers who are tested on were never trained on: the test split where there are both, folds of speakers
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.labels import MELD_7
from sample_data.corpus.checking import figures
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section
from sample_data.corpus.checking.statistics import (
    Estimate,
    clustered_mean,
    clustered_statistic,
    confusions,
)
from sample_data.corpus.checking.vectors import CLASSIFIERS, feature_vectors
from sample_data.corpus.plan import CELLS

LABELS = MELD_7.labels
MIN_TRAIN, MIN_TEST = 200, 60
NUM_FOLDS = 5
MIN_CLIPS = 60
SOLVED = 0.97
LEAK_MARGIN = 0.02
"""So far above chance an accuracy may be by chance alone, though its interval says otherwise."""


TEXT = (
    "Classifiers learn the label from all training clips, those included in which their modality says "
    "nothing of it, as any model has to. Macro-F1 over the labels that occur, with 95 % bootstrap intervals "
    "over speakers; chance is what the same predictions give when they are dealt out at random. These are "
    "deliberately simple: a good network should do better, and one that does worse has a fault."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Told:
    """What a classifier said of the clips that it was tested on."""

    clips: tuple[Measured, ...]
    truth: np.ndarray
    predicted: np.ndarray

    def of_cell(self, cell: str) -> _Told:
        return self.where(lambda one: one.sidecar.plan.cell == cell)

    def where(self, holds: Callable[[Measured], bool]) -> _Told:
        kept = np.array([holds(one) for one in self.clips], bool)
        clips = tuple(one for one, is_kept in zip(self.clips, kept, strict=True) if is_kept)
        return _Told(clips=clips, truth=self.truth[kept], predicted=self.predicted[kept])


def check_classifiers(
    measured: Sequence[Measured], progress: Callable[[int, int, str], None] = lambda done, total, text: None
) -> Section:
    """Scores per classifier, cell and whether its modality carries the label."""
    clips = [one for one in measured if not one.row["error"]]
    is_trained, design = _design(clips)
    if not design:
        return _too_few(len(clips))
    checks, exhibits = [], []
    overall, by_cell, own = [], [], []
    for number, (name, (modality, description)) in enumerate(CLASSIFIERS.items()):
        progress(number, len(CLASSIFIERS), f"classifier: {name}")
        features = feature_vectors(clips, name)
        told = _predict(clips, features, name, is_trained, _label)
        if told is None:
            continue
        for group, part in _parts(told, modality).items():
            if len(part.clips):
                overall.append((name, group, *_scores(part)))
        by_cell += [(name, cell, *_scores(part)) for cell in CELLS if len((part := told.of_cell(cell)).clips)]
        checks += _checks(name, modality, told)
        exhibits.append(_confusion(name, description, told, modality))
        if modality:
            shown = _predict(clips, features, name, is_trained, partial(_shown, modality=modality))
            if shown is not None:
                own.append((name, modality, *_scores(shown)))
    columns = ("macro-F1", "low", "high", "chance", "accuracy", "commonest label", "clips")
    return Section(
        title="Simple classifiers",
        text=f"{TEXT} Here: {design}.",
        checks=tuple(checks),
        exhibits=(
            _scored(
                "Macro-F1 by classifier",
                "Over all clips that were tested, and cut by whether the classifier's modality carries the "
                "label.",
                ("classifier", "tested on", *columns),
                overall,
            ),
            _scored(
                "Macro-F1 by cell",
                "The cell says what carries the label; a classifier should fall to chance where its "
                "modality does not, but for the neutral clips.",
                ("classifier", "cell", *columns),
                by_cell,
            ),
            _scored(
                "What the modality itself shows",
                "The same classifiers, learning what their own modality shows (a masked face's smile is joy "
                "here), so that no clip is silent on it: how clear the channel is.",
                ("classifier", "modality", *columns),
                own,
            ),
            *exhibits,
        ),
    )


def _design(clips: Sequence[Measured]) -> tuple[np.ndarray | None, str]:
    """Which clips are trained on (None for folds), in words; "" where there are too few."""
    splits = np.array([one.sidecar.plan.split for one in clips])
    num_train, num_test = (splits == "train").sum(), (splits == "test").sum()
    if num_train >= MIN_TRAIN and num_test >= MIN_TEST:
        return (
            splits == "train",
            f"trained on {num_train} clips of the train split, tested on {num_test} of test",
        )
    speakers = {one.sidecar.plan.speaker.speaker_id for one in clips}
    if len(clips) < MIN_TEST or len(speakers) < NUM_FOLDS:
        return None, ""
    return None, f"{NUM_FOLDS} folds of {len(speakers)} speakers, {len(clips)} clips"


def _model(name: str):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if name == "video":
        return LinearSVC(C=0.03, class_weight="balanced", dual=False)
    if name.startswith("prosody"):
        return make_pipeline(StandardScaler(), LinearDiscriminantAnalysis())
    strength = {"audio": 0.003, "text": 0.03, "all": 3.0}[name]
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=300)
    return model if name == "all" else make_pipeline(StandardScaler(), model)


def _predict(
    clips: Sequence[Measured],
    features: list[np.ndarray | None],
    name: str,
    is_trained: np.ndarray | None,
    target: Callable[[Measured], str],
) -> _Told | None:
    from sklearn.model_selection import GroupKFold

    has = np.array([vector is not None for vector in features])
    if has.sum() < MIN_TEST:
        return None
    known = [one for one, is_known in zip(clips, has, strict=True) if is_known]
    vectors = np.array([vector for vector in features if vector is not None])
    truth = np.array([target(one) for one in known])
    predicted = np.full(len(known), "", object)
    if is_trained is not None:
        splits = np.array([one.sidecar.plan.split for one in known])
        folds = [(np.flatnonzero(splits == "train"), np.flatnonzero(splits == "test"))]
    else:
        speakers = [one.sidecar.plan.speaker.speaker_id for one in known]
        folds = GroupKFold(NUM_FOLDS).split(vectors, truth, groups=speakers)
    folds = list(folds)
    if any(len(set(truth[train])) < 2 for train, _ in folds):
        return None
    for train, test in folds:
        predicted[test] = _model(name).fit(vectors[train], truth[train]).predict(vectors[test])
    tested = predicted != ""
    return _Told(
        clips=tuple(one for one, is_tested in zip(known, tested, strict=True) if is_tested),
        truth=truth[tested],
        predicted=predicted[tested].astype(str),
    )


def confusion_counts(truth: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """`(truth, prediction)` counts in the order of the labels."""
    return confusions(truth, predicted, LABELS).sum(axis=0)


def macro_f1(counts: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
    """Mean over labels of 2 · hits / (true + predicted), from confusion matrices.

    Args:
        counts: `(…, truth, prediction)`, or shares of all clips.
        present: `(label,)` which labels count; by default those that occur in the truth of any matrix.
    """
    axes = (*range(counts.ndim - 2), -1)
    present = counts.sum(axis=axes) > 0 if present is None else present
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    scores = 2 * hits / np.maximum(counts.sum(axis=-2) + counts.sum(axis=-1), 1e-9)
    return scores[..., present].mean(axis=-1)


def _score(told: _Told) -> Estimate:
    found = confusions(told.truth, told.predicted, LABELS)
    statistic = partial(macro_f1, present=found.sum(axis=(0, 2)) > 0)
    return clustered_statistic(statistic, found, [one.sidecar.plan.speaker.speaker_id for one in told.clips])


def _chance(told: _Told) -> float:
    """Of the same predictions, dealt out to the clips at random."""
    counts = confusion_counts(told.truth, told.predicted)
    return float(macro_f1(np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()))


def _scores(told: _Told) -> tuple[float, ...]:
    score = _score(told)
    commonest = np.unique(told.truth, return_counts=True)[1].max() / len(told.truth)
    accuracy = float((told.truth == told.predicted).mean())
    return score.value, score.low, score.high, _chance(told), accuracy, float(commonest), len(told.truth)


def _checks(name: str, modality: str, told: _Told) -> list[Check]:
    carried = told.where(lambda one: not modality or modality in one.sidecar.plan.informative)
    score, chance = (_score(carried), _chance(carried)) if len(carried.clips) else (None, None)
    where = f"where {modality} carries the label" if modality else "over all clips"
    common = {
        "value": score and score.value,
        "low": score and score.low,
        "high": score and score.high,
        "num_clips": len(carried.clips),
    }
    checks = [
        Check(
            name=f"{name}: something can be learned {where}",
            bound=f"macro-F1 with its interval above chance ({chance or 0:.2f})",
            is_passed=score and score.verdict(score.low > chance, MIN_CLIPS),
            reading="At chance the modality would be noise.",
            **common,
        ),
        Check(
            name=f"{name}: it is not solved {where}",
            bound=f"macro-F1 below {SOLVED}",
            is_passed=score and score.verdict(score.value < SOLVED, MIN_CLIPS),
            reading="A simple classifier that makes no errors would leave nothing to study.",
            **common,
        ),
    ]
    if not modality:
        return checks
    silent = told.where(lambda one: _is_silent(one, name))
    gain = _gain(silent)
    checks.append(
        Check(
            name=f"{name}: nothing is told where {modality} does not carry the emotion",
            value=gain.value,
            low=gain.low,
            high=gain.high,
            bound=f"accuracy over chance not clearly above {LEAK_MARGIN}",
            is_passed=gain.verdict(gain.low <= LEAK_MARGIN, MIN_CLIPS),
            num_clips=len(silent.clips),
            reading=(
                "Emotional clips whose emotion other modalities carry, with this one neutral. Above chance, "
                "something else than the emotion gives the label away. Whisper hears words, so for it the "
                "words have to be neutral too."
            ),
        )
    )
    return checks


def _is_silent(one: Measured, name: str) -> bool:
    plan, (modality, _) = one.sidecar.plan, CLASSIFIERS[name]
    heard = ("audio", "text") if name == "audio" else (modality,)
    is_neutral = all(_shown(one, other) == "neutral" for other in heard)
    return plan.label != "neutral" and is_neutral and not set(heard) & set(plan.informative)


def _gain(told: _Told) -> Estimate:
    """Accuracy less what the same predictions give when labels are shuffled."""
    names, counts = np.unique(told.truth, return_counts=True)
    shares = dict.fromkeys(LABELS, 0.0) | dict(
        zip(names.tolist(), counts / max(1, len(told.truth)), strict=True)
    )
    right = [float(a == b) - shares[b] for a, b in zip(told.truth, told.predicted, strict=True)]
    return clustered_mean(right, [one.sidecar.plan.speaker.speaker_id for one in told.clips])


def _parts(told: _Told, modality: str) -> dict[str, _Told]:
    """All clips and, for a classifier of one modality, those whose label it carries and the others."""
    parts = {"all clips": told}
    if modality:
        parts["carries the label"] = told.where(lambda one: modality in one.sidecar.plan.informative)
        parts["does not carry it"] = told.where(lambda one: modality not in one.sidecar.plan.informative)
    return parts


def _label(one: Measured) -> str:
    return one.sidecar.plan.label


def _shown(one: Measured, modality: str) -> str:
    return getattr(one.sidecar.plan, f"{modality}_emotion")


def _confusion(name: str, description: str, told: _Told, modality: str) -> Exhibit:
    part = told.where(
        lambda one: not modality or modality in one.sidecar.plan.informative or _is_neutral(one)
    )
    counts = confusion_counts(part.truth, part.predicted)
    where = f"where {modality} carries the label, and neutral clips" if modality else "all clips"
    return Exhibit(
        title=f"Confusions: {name}",
        reading=f"{description}; {where}. Rows are labels, columns predictions.",
        columns=("label", *LABELS),
        rows=tuple((label, *map(int, row)) for label, row in zip(LABELS, counts, strict=True)),
        figure=figures.confusion(counts, LABELS),
    )


def _is_neutral(one: Measured) -> bool:
    return one.sidecar.plan.label == "neutral"


def _scored(title: str, reading: str, columns: tuple[str, ...], rows: list[tuple]) -> Exhibit:
    drawn = [(row[1], row[0], *row[2:5]) for row in rows]
    return Exhibit(
        title=title,
        reading=reading,
        columns=columns,
        rows=tuple(rows),
        figure=figures.intervals(drawn, x_title="macro-F1; dotted: one in seven", zero=1 / len(LABELS))
        if drawn
        else None,
    )


def _too_few(num_clips: int) -> Section:
    check = Check(
        name="Simple classifiers",
        value=None,
        bound=f"at least {MIN_TEST} clips of {NUM_FOLDS} speakers",
        is_passed=None,
        num_clips=num_clips,
        reading="There are too few clips to learn from.",
    )
    return Section(title="Simple classifiers", text=TEXT, checks=(check,))
