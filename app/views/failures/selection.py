"""Which clips the gallery holds, and what it says above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app import failures_state as state
from app.failures_state import FailuresView
from core.evaluation import Evaluation
from core.evaluation.failures import cell_rows, missed_rows, surest_first
from core.evaluation.label_errors import LabelErrors
from core.evaluation.slices import Slices


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Clips with a heading.

    Attributes:
        rows: of the evaluation's predictions, in the order they are shown in.
        title: what they have in common.
        order: how they are ordered.
    """

    rows: np.ndarray
    title: str
    order: str = "those that the model was surest of first"


def select(
    view: FailuresView,
    evaluation: Evaluation,
    *,
    slices: Slices | None,
    errors: LabelErrors | None,
    noted: frozenset[str],
) -> Selection:
    """The clips that a view asks for.

    Args:
        view: what is looked at.
        evaluation: that the rows are of.
        slices: where the view shows one.
        errors: where the view shows suspected label errors.
        noted: keys of the clips that somebody wrote about.
    """
    if view.show == state.CELL:
        return _cell(view, evaluation)
    if view.show == state.SLICE and slices is not None:
        return _slice(view, evaluation, slices)
    if view.show == state.SUSPECT and errors is not None:
        rows = np.array([suspect.row for suspect in errors.suspects], int)
        return Selection(
            rows=rows,
            title=f"{_clips(len(rows))} with a suspected label error",
            order="those that the model contradicts most first",
        )
    if view.show == state.NOTED:
        rows = np.flatnonzero(evaluation.predictions["key"].isin(noted).to_numpy())
        return Selection(rows=rows, title=f"{_clips(len(rows))} with a tag or a note", order="by key")
    focus = state.focus_of(view, evaluation.labels)
    rows = missed_rows(evaluation, focus)
    return Selection(rows=rows, title=f"{_clips(len(rows))} labelled {focus} that the model misses")


def _cell(view: FailuresView, evaluation: Evaluation) -> Selection:
    rows = cell_rows(evaluation, label=view.label, prediction=view.prediction)
    parts = [f"labelled {view.label}" if view.label else "of any label"]
    parts.append(f"predicted as {view.prediction}" if view.prediction else "whatever is predicted")
    return Selection(rows=rows, title=f"{_clips(len(rows))} {' and '.join(parts)}")


def _slice(view: FailuresView, evaluation: Evaluation, slices: Slices) -> Selection:
    found = next((part for part in slices.slices if (part.column, part.value) == view.slice), None)
    if found is None:
        return Selection(rows=np.array([], int), title="This slice is not among those that were looked at")
    table = evaluation.predictions.iloc[found.rows]
    wrong = found.rows[(table["label"] != table["prediction"]).to_numpy()]
    labelled = f" labelled {slices.label}" if slices.label else ""
    which = f"{_clips(found.num_clips)}{labelled} with {found.column}: {found.value}"
    return Selection(rows=surest_first(evaluation, wrong), title=f"{len(wrong):,} wrong of {which}")


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count:,} clips"
