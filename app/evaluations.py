"""The evaluations that pages show, and what is read or made from them once for all sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.folders import free_name
from app.own_runs import finished_evaluations
from app.summaries import known_summary
from app.thumbnails import Thumbnails
from app.training_runs import trained_evaluations
from core.evaluation import Comparison, Evaluation, EvaluationError, compare, read_evaluation, spaces
from core.evaluation.artifact import ALL, INFO, subset_name
from core.evaluation.label_errors import LabelErrors, suspected_label_errors
from core.evaluation.neighbours import TRAINING_SUFFIX, read_training
from core.evaluation.slices import Slices, find_slices
from core.evaluation.spaces import (
    PairQuality,
    Picture,
    SpaceQuality,
    pair_quality,
    picture_quality,
    points_of,
    space_quality,
    uniformity,
)
from core.prediction import PAIRS
from core.shipped import FIRST
from sample_data import SAMPLE_DATA

SHIPPED_EVALUATIONS = SAMPLE_DATA / "evaluations"
"""Where evaluations that ship lie, one folder each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """An evaluation with what lies beside it.

    Attributes:
        folder: that it was read from.
        stamp: changes when the folder's content, or what lies beside it, does.
        training: of the clips that the same checkpoint learned from; None where it is not at hand.
    """

    folder: Path
    stamp: int
    evaluation: Evaluation
    training: Evaluation | None


def evaluations() -> dict[str, Path]:
    """Folders of the evaluations one can choose from, by name: those that ship, then what runs made.

    First come those of the checkpoint that comes first, whose clips ship too. A name that occurs twice is
    told with the folders around it; one that was removed is not among them.
    """
    shipped = sorted(evaluations_in(SHIPPED_EVALUATIONS), key=lambda f: not f.name.startswith(f"{FIRST}-"))
    named = {folder.name: folder for folder in shipped}
    for name, folder in finished_evaluations().items():
        named[free_name(folder, named) if name in named else name] = folder
    for folder in (*trained_evaluations(), *_given()):
        if folder not in named.values() and (folder / INFO).is_file():
            named[free_name(folder, named)] = folder
    return named


def evaluations_in(folder: Path) -> tuple[Path, ...]:
    """The folder itself if it is an evaluation, or else those directly inside it, by name."""
    if (folder / INFO).is_file():
        return (folder,)
    if not folder.is_dir():
        return ()
    return tuple(sorted(inside for inside in folder.iterdir() if (inside / INFO).is_file()))


def give(folder: Path) -> tuple[Path, ...]:
    """Offer a folder's evaluations in all sessions of this server.

    Returns:
        Those that were found.

    Raises:
        EvaluationError: if there is none.
    """
    folder = folder.expanduser().resolve()
    found = evaluations_in(folder)
    if not found:
        raise EvaluationError(
            f"{folder} is no evaluation and holds none; make one with deepmsi evaluate, or name its folder."
        )
    _given().update(dict.fromkeys(found))
    return found


@st.cache_resource(show_spinner=False)
def _given() -> dict[Path, None]:
    """Folders that people named, in their order."""
    return {}


def opened(folder: Path) -> Opened:
    """An evaluation, read anew where it, or one of training clips beside it, was. Raises EvaluationError."""
    return _opened(folder, _stamp(folder))


def is_changed(of: Opened) -> bool:
    """Whether `opened` would read it anew."""
    return _stamp(of.folder) != of.stamp


def _stamp(folder: Path) -> int:
    beside = folder.resolve().parent.glob(f"*{TRAINING_SUFFIX}/{INFO}")
    return sum(map(_changed_ns, (folder / INFO, *beside)))


def _changed_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(show_spinner="Reading the evaluation …", max_entries=24)
def _opened(folder: Path, stamp: int) -> Opened:
    evaluation = read_evaluation(folder)
    return Opened(
        folder=folder, stamp=stamp, evaluation=evaluation, training=read_training(folder, evaluation)
    )


def slices(of: Opened, label: str | None) -> Slices:
    """The slices of an evaluation, looked for once."""
    return _slices(of.folder, of.stamp, label, of)


@st.cache_resource(show_spinner="Looking at slices …", max_entries=40)
def _slices(folder: Path, stamp: int, label: str | None, _of: Opened) -> Slices:
    return find_slices(_of.evaluation, label=label)


def label_errors(of: Opened) -> LabelErrors:
    """The suspected label errors of an evaluation, looked for once."""
    return _label_errors(of.folder, of.stamp, of)


@st.cache_resource(show_spinner=False, max_entries=6)
def _label_errors(folder: Path, stamp: int, _of: Opened) -> LabelErrors:
    return suspected_label_errors(_of.evaluation)


def comparison(of_a: Opened, of_b: Opened) -> Comparison:
    """B against A, computed once. Raises EvaluationError where they are not of the same clips."""
    return _comparison(of_a.folder, of_a.stamp, of_b.folder, of_b.stamp, of_a, of_b)


@st.cache_resource(show_spinner="Comparing …", max_entries=30)
def _comparison(a: Path, stamp_a: int, b: Path, stamp_b: int, _of_a: Opened, _of_b: Opened) -> Comparison:
    return compare(_of_a.evaluation, _of_b.evaluation)


def picture_of(of: Opened, space: str, method: str, num_dims: int) -> Picture:
    """The picture of a space, computed once."""
    return _picture_of(of.folder, of.stamp, space, method, num_dims, of)


@st.cache_resource(show_spinner="Drawing the space …", max_entries=40)
def _picture_of(folder: Path, stamp: int, space: str, method: str, num_dims: int, _of: Opened) -> Picture:
    return spaces.picture_of(points_of(_of.evaluation, space), _labels(_of), method, num_dims=num_dims)


def _labels(of: Opened) -> np.ndarray:
    return of.evaluation.predictions["label"].to_numpy(object).astype(str)


def space_figures(
    of: Opened, space: str, method: str, num_dims: int
) -> tuple[SpaceQuality, float, tuple[PairQuality, ...]]:
    """How good a space and its picture are, how even, and how the modalities lie to each other there."""
    return _space_figures(of.folder, of.stamp, space, method, num_dims, of)


@st.cache_resource(show_spinner="Measuring the space …", max_entries=40)
def _space_figures(
    folder: Path, stamp: int, space: str, method: str, num_dims: int, _of: Opened
) -> tuple[SpaceQuality, float, tuple[PairQuality, ...]]:
    points, picture = points_of(_of.evaluation, space), picture_of(_of, space, method, num_dims)
    pairs = () if space == "fused" else tuple(pair_quality(_of.evaluation, *pair) for pair in PAIRS)
    quality = replace(
        space_quality(points, _labels(_of)),
        trustworthiness=picture_quality(picture.points, picture.places),
    )
    return quality, uniformity(points), tuple(pair for pair in pairs if pair is not None)


def shipped_test(checkpoint: Path) -> dict:
    """What the shipped evaluation on test clips found, as metrics.json tells it; empty without one."""
    folder = SHIPPED_EVALUATIONS / f"{checkpoint.name}-test"
    if not (folder / INFO).is_file():
        return {}
    try:
        evaluation = opened(folder).evaluation
    except EvaluationError:  # told where evaluations are shown
        return {}
    if known_summary(checkpoint, evaluation.info.checkpoint_sha256) is None:  # of another checkpoint
        return {}
    scores = evaluation.metrics.subsets[subset_name(ALL)]
    values = {"accuracy": scores.accuracy.value, "macro_f1": scores.macro_f1.value}
    return {"test": {"subsets": {subset_name(ALL): values | {"num_clips": scores.num_clips}}}}


def media_of(evaluation: Evaluation, row: int) -> Path | None:
    """The media file of a clip, None where it is not at hand."""
    return evaluation.find_media(evaluation.predictions["path"].iat[row])


@st.cache_resource(show_spinner=False)
def thumbnails() -> Thumbnails:
    """Shared by all sessions."""
    return Thumbnails(max_pictures=4000)
