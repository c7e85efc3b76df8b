"""From a model's answers to an `Evaluation`: predictions, what each modality gave to them, the figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.attribution.modalities import report
from core.evaluation.artifact import (
    ALL,
    EXTRA,
    FACE,
    NON_EMPTY,
    SHIPPED,
    Evaluation,
    EvaluationInfo,
    portable_path,
    schema_of,
    subset_name,
)
from core.evaluation.metrics import Metrics, Scores, choose_groups, score
from core.labels import MODALITIES
from core.prediction import SUBSETS

MAX_SLICE_VALUES = 20
"""A column of the data set with more different values is a measure or a name, and not sliced by."""


@dataclass(frozen=True, kw_only=True)
class EvaluatedClip:
    """What is known of an utterance beside the model's answer; names as in predictions.parquet.

    Attributes:
        path: of the media file; None where the words are all there is.
        start_seconds / end_seconds: None where the whole file is meant.
        region: half of the picture that shows the speaker; None for all of it.
        kept_frame_seconds: on the media file's clock, ascending; None where the clip has no video.
        face: "none", "one" or "several" that were found; None where the clip has no video.
        extra: the data set's own columns.
    """

    key: str
    path: Path | None
    label: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    region: str | None = None
    speaker: str | None = None
    dialogue: str | None = None
    transcript: str | None = None
    kept_frame_seconds: tuple[float, ...] | None = None
    face: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


def build_evaluation(
    info: EvaluationInfo,
    clips: Sequence[EvaluatedClip],
    probabilities: np.ndarray,
    embeddings: dict[str, np.ndarray],
    *,
    media_folder: Path,
) -> Evaluation:
    """Predictions, Shapley values, verdicts and figures of a model's answers.

    Args:
        info: its `num_clips`, `resampled` and `empty_probabilities` are filled in.
        clips: `(clip,)`, each with a label among `info.labels`.
        probabilities: `(clip, subset, class)` calibrated, in the order of `SUBSETS`. A subset shows of a clip
            those of its modalities that the clip has; NaN where it has none of them.
        embeddings: see `Evaluation`.
        media_folder: that paths of clips which do not ship are told from.

    Raises:
        ValueError: if a clip has no modality at all.
    """
    labels = info.labels
    predicted = probabilities[:, SUBSETS.index(ALL)].argmax(1)
    shapley, verdicts = np.zeros((len(clips), len(MODALITIES))), []
    for row, of_clip in enumerate(probabilities):
        present = {m: not np.isnan(of_clip[SUBSETS.index((m,))]).any() for m in MODALITIES}
        modalities = report(of_clip, labels, present)
        shapley[row] = modalities.shapley[:, predicted[row]]
        verdicts.append(modalities.verdict)
    paths = [portable_path(clip.path, media_folder) for clip in clips]
    known = ("start_seconds", "end_seconds", "region", "speaker", "dialogue", "transcript", "label")
    columns = {
        "key": [clip.key for clip in clips],
        "path": paths,
        **{name: [getattr(clip, name) for clip in clips] for name in known},
        "prediction": [labels[i] for i in predicted],
        "probabilities": _rows(probabilities[:, SUBSETS.index(ALL)]),
        **{
            f"probabilities:{subset_name(subset)}": _rows(probabilities[:, SUBSETS.index(subset)])
            for subset in NON_EMPTY
        },
        **{f"shapley:{modality}": shapley[:, i] for i, modality in enumerate(MODALITIES)},
        "verdict": verdicts,
        "is_conflict": [verdict == "conflict" for verdict in verdicts],
        "num_kept_frames": [len(clip.kept_frame_seconds or ()) for clip in clips],
        "kept_frame_seconds": [clip.kept_frame_seconds for clip in clips],
        FACE: [clip.face for clip in clips],
    }
    for name in dict.fromkeys(name for clip in clips for name in clip.extra):
        columns[EXTRA + name] = [clip.extra.get(name) for clip in clips]
    # through arrow, so that a table is the same before and after it was written
    predictions = pa.table(columns, schema=schema_of(list(columns))).to_pandas()
    resampled, groups = choose_groups(
        {name: [getattr(clip, name) or "" for clip in clips] for name in ("speaker", "dialogue")}, len(clips)
    )
    info = dataclasses.replace(
        info,
        num_clips=len(clips),
        resampled=resampled,
        empty_probabilities=tuple(probabilities[0, SUBSETS.index(())].tolist()),
    )
    evaluation = Evaluation(
        info=info,
        predictions=predictions,
        embeddings=embeddings,
        metrics=Metrics(subsets={}, slices={}),
        media_folder=media_folder if any(path and not path.startswith(SHIPPED) for path in paths) else None,
    )
    return dataclasses.replace(evaluation, metrics=_metrics(evaluation, groups))


def groups_of(evaluation: Evaluation) -> np.ndarray:
    """`(utterance,)` numbers of the speakers, dialogues or clips that the intervals are drawn by."""
    resampled, table = evaluation.info.resampled, evaluation.predictions
    columns = {} if resampled == "clip" else {resampled: table[resampled].fillna("").tolist()}
    return choose_groups(columns, len(table))[1]


def _metrics(evaluation: Evaluation, groups: np.ndarray) -> Metrics:
    info, truth = evaluation.info, evaluation.truth

    def of(probabilities: np.ndarray, rows: np.ndarray) -> Scores:
        return score(
            truth[rows],
            probabilities[rows],
            info.labels,
            groups[rows],
            num_bootstrap=info.num_bootstrap,
            seed=info.bootstrap_seed,
        )

    subsets = {}
    for subset in NON_EMPTY:
        probabilities = evaluation.probabilities(subset)
        subsets[subset_name(subset)] = of(probabilities, ~np.isnan(probabilities).any(1))
    together, slices = evaluation.probabilities(), {}
    for name, values in evaluation.extra.items():
        if 2 <= values.nunique(dropna=False) <= MAX_SLICE_VALUES:
            slices[name] = {
                value: of(together, (values == value).to_numpy())
                for value in sorted(values.dropna().unique())
            }
    return Metrics(subsets=subsets, slices=slices)


def _rows(values: np.ndarray) -> list[list[float] | None]:
    return [None if np.isnan(row).any() else row.tolist() for row in values]
