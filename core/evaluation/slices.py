"""Where the model errs more often than elsewhere: every slice of an evaluation that is large enough.

Slices are looked at by the dozen, so some stand out by chance. Each gets the exact probability of as many
errors inside it if errors fell anywhere, and all of them together the correction of Benjamini and Hochberg
(1995). The test takes clips as independent: clips of one speaker err alike, which makes p-values too small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from core.evaluation.artifact import FACE, Evaluation
from core.evaluation.build import MAX_SLICE_VALUES

MIN_CLIPS = 10
"""Clips that a slice, and the rest beside it, must have to be looked at."""

SIGNIFICANT = 0.05
"""False discovery rate up to which a slice is said to stand out."""

NUM_BINS = 4
"""Parts of equal size that a measure is cut into."""

FACES = {"none": "no face found", "one": "one face", "several": "several faces"}
"""What the states of `core.media.faces.FaceTrack` are called."""

CONFIDENCE_EDGES = (0.0, 0.4, 0.6, 0.8, 1.0)
"""Bins of the prediction's probability; each is closed below, and the last above too."""

DURATION_COLUMN = "duration_seconds"
"""The data set's own column that tells a clip's length where the spans do not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """Clips that have something in common, against all others.

    Attributes:
        column: what the clips are parted by.
        value: what those inside have, in words.
        rows: `(clip,)` of the evaluation's predictions.
        num_wrong: of them.
        rest / rest_wrong: clips outside, and how many of them are wrong.
        p_value: probability of at least so many errors inside if errors were spread at random over the clips
            (hypergeometric; Fisher's exact test, one-sided).
        adjusted_p_value: after Benjamini and Hochberg over all slices that were looked at.
    """

    column: str
    value: str
    rows: np.ndarray
    num_wrong: int
    rest: int
    rest_wrong: int
    p_value: float
    adjusted_p_value: float

    @property
    def num_clips(self) -> int:
        """Inside."""
        return len(self.rows)

    @property
    def error(self) -> float:
        """Share of the clips inside that is wrong."""
        return self.num_wrong / self.num_clips

    @property
    def rest_error(self) -> float:
        """Share of the clips outside that is wrong."""
        return self.rest_wrong / self.rest


@dataclass(frozen=True, kw_only=True, eq=False)
class Slices:
    """All slices that were looked at, those that err most surely more often than the rest first.

    Attributes:
        label: of the clips that were looked at; None for all.
        num_too_small: slices that were not looked at since they, or the rest, are too small.
    """

    label: str | None
    min_clips: int
    num_too_small: int
    slices: tuple[Slice, ...]

    @property
    def num_looked_at(self) -> int:
        """Over which p-values are adjusted."""
        return len(self.slices)


def find_slices(evaluation: Evaluation, *, label: str | None = None, min_clips: int = MIN_CLIPS) -> Slices:
    """Every slice by the data set's columns, speaker, duration, words, frames, face, conflict, confidence.

    Columns with up to `MAX_SLICE_VALUES` values give one slice each; longer columns of numbers, and all
    measures, `NUM_BINS` bins of equal size; longer columns of text none, but for speakers.

    Args:
        evaluation: read or made.
        label: look among the clips labelled so alone, None among all.
        min_clips: a slice, and the rest, must have as many.
    """
    table = evaluation.predictions
    rows = np.arange(len(table)) if label is None else np.flatnonzero((table["label"] == label).to_numpy())
    is_wrong = (table["label"] != table["prediction"]).to_numpy()[rows]
    found: list[tuple[str, str, np.ndarray]] = []
    num_too_small = 0
    for column, values in _columns(evaluation, rows):
        codes, names = pd.factorize(values, sort=True)
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        if len(names) + bool((codes < 0).any()) < 2:
            continue
        for number, name in enumerate(names):
            if min(sizes[number], len(rows) - sizes[number]) < min_clips:
                num_too_small += 1
            else:
                found.append((column, str(name), codes == number))
    if not found:
        return Slices(label=label, min_clips=min_clips, num_too_small=num_too_small, slices=())
    sizes = np.array([inside.sum() for _, _, inside in found])
    wrong = np.array([is_wrong[inside].sum() for _, _, inside in found])
    total = int(is_wrong.sum())
    p_values = np.clip(hypergeom.sf(wrong - 1, len(rows), total, sizes), 0.0, 1.0)
    adjusted = false_discovery_control(p_values)
    slices = [
        Slice(
            column=column,
            value=value,
            rows=rows[inside],
            num_wrong=int(wrong[i]),
            rest=int(len(rows) - sizes[i]),
            rest_wrong=int(total - wrong[i]),
            p_value=float(p_values[i]),
            adjusted_p_value=float(adjusted[i]),
        )
        for i, (column, value, inside) in enumerate(found)
    ]
    slices.sort(key=lambda part: (part.p_value, part.rest_error - part.error))
    return Slices(label=label, min_clips=min_clips, num_too_small=num_too_small, slices=tuple(slices))


def _columns(evaluation: Evaluation, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray | pd.Series]]:
    """Names of what clips are parted by, with `(clip,)` values; missing values belong to no slice."""
    table, extra = evaluation.predictions.iloc[rows], evaluation.extra.iloc[rows]
    if table["speaker"].notna().any():
        yield "speaker", table["speaker"].to_numpy(object)
    for name in extra:
        values = extra[name]
        if name == DURATION_COLUMN:
            continue
        numbers = pd.to_numeric(values, errors="coerce")
        if values.nunique() <= MAX_SLICE_VALUES:
            yield name, values.to_numpy(object)
        elif (numbers.notna() == values.notna()).all():
            yield name, binned(numbers.to_numpy(float))
    yield "duration", binned(_durations(table, extra), unit=" s")
    words = table["transcript"].fillna("").str.split().str.len().to_numpy(float)
    yield "words", binned(words, decimals=0)
    yield "kept frames", _kept(evaluation, table)
    if FACE in table:
        yield "face", table[FACE].map(FACES).to_numpy(object)
    yield "modalities", np.where(table["is_conflict"].to_numpy(bool), "conflict", "no conflict")
    confidence = evaluation.probabilities()[rows].max(1)
    numbers = np.searchsorted(CONFIDENCE_EDGES[1:-1], confidence, side="right")
    ranges = [
        f"{100 * low:.0f}–{100 * high:.0f} %"
        for low, high in zip(CONFIDENCE_EDGES, CONFIDENCE_EDGES[1:], strict=False)
    ]
    yield "confidence", np.array(ranges, object)[numbers]


def binned(values: np.ndarray, *, unit: str = "", decimals: int = 1) -> np.ndarray:
    """`(clip,)` names of the bins that measures lie in, as "2.0–3.5 s"; None for NaN.

    Up to `NUM_BINS` different values are bins of their own; otherwise the edges are quantiles, each bin
    closed above, the first below too. Names are the smallest and the largest value inside.

    Args:
        values: `(clip,)`.
        unit: put after the numbers.
        decimals: of the numbers.
    """
    names = np.full(len(values), None, object)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return names
    there = values[known]
    different = np.unique(there)
    if len(different) <= NUM_BINS:
        numbers = np.searchsorted(different, there)
    else:
        edges = np.unique(np.quantile(there, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
        numbers = np.searchsorted(edges, there, side="left")
    for number in np.unique(numbers):
        inside = there[numbers == number]
        low, high = (f"{value:.{decimals}f}" for value in (inside.min(), inside.max()))
        names[known[numbers == number]] = f"{low}{unit}" if low == high else f"{low}–{high}{unit}"
    return names


def _durations(table: pd.DataFrame, extra: pd.DataFrame) -> np.ndarray:
    """`(clip,)` seconds; NaN where neither the span nor the data set tells."""
    spans = (table["end_seconds"] - table["start_seconds"].fillna(0)).to_numpy(float)
    if DURATION_COLUMN in extra:
        own = pd.to_numeric(extra[DURATION_COLUMN], errors="coerce").to_numpy(float)
        spans = np.where(np.isnan(spans), own, spans)
    return spans


def _kept(evaluation: Evaluation, table: pd.DataFrame) -> np.ndarray:
    """`(clip,)` bins of the share of candidate frames that was kept, or of their number where that is all.

    Clips without video are in none.
    """
    # a column with gaps is given as it is kept, which is not to be changed
    kept = table["num_kept_frames"].to_numpy(float, copy=True)
    kept[kept == 0] = np.nan
    model = evaluation.info.recipe.get("model")
    video = model.get("video") if isinstance(model, dict) else None
    candidates = video.get("num_candidate_frames") if isinstance(video, dict) else None
    if isinstance(candidates, int) and candidates > 0:
        return binned(100 * kept / candidates, unit=" % of the candidates", decimals=0)
    return binned(kept, decimals=0)
