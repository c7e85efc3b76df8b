"""An evaluation is a folder: what a checkpoint says of every clip of a data set, and how good that is.

    evaluation.json         which checkpoint on which data, and everything needed to repeat it
    predictions.parquet     one row per utterance
    embeddings.safetensors  video, audio, text and fused, `(utterance, dim)`; rows as in predictions.parquet
    metrics.json            figures with their intervals

What `deepmsi bench truth` writes may lie beside them, and stays where an evaluation is made anew.

docs/evaluation.md describes every column. Whatever shows, compares or reports results reads such folders and
nothing else: no checkpoint and no data set is needed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

from core.evaluation.metrics import Metrics
from core.labels import MODALITIES
from core.prediction import SUBSETS
from core.sentences import SentenceError
from core.writing import replacing_folder, require_writable, written
from sample_data import CLIPS, SAMPLE_DATA

FORMAT = 1
"""Raised when the files change their meaning."""

INFO, PREDICTIONS, EMBEDDINGS, METRICS = (
    "evaluation.json",
    "predictions.parquet",
    "embeddings.safetensors",
    "metrics.json",
)
TRUTH, TRUTH_MEASURES, TRUTH_UNFINISHED = "truth.json", "measures.parquet", "unfinished.jsonl"
"""Of a checkpoint's explanations (`training.truth_report`); each tells which checkpoint it is of."""

ALL = MODALITIES
"""The subset of all modalities: each clip is shown with everything it has."""

NON_EMPTY = SUBSETS[1:]
"""The seven subsets of the modalities that show a clip at all."""

SHIPPED = CLIPS.relative_to(SAMPLE_DATA.parent).as_posix()
"""What the paths of shipped clips begin with."""

EXTRA = "extra:"
"""What the names of a data set's own columns begin with."""


def subset_name(subset: Sequence[str]) -> str:
    """How files and tables call a subset of the modalities, as "video+audio"."""
    return "+".join(subset)


FACE = "face"
"""Column that tells whether a face was found: "none", "one" or "several"; null without video."""

_COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("key", "path"), pa.string()),
    **dict.fromkeys(("start_seconds", "end_seconds"), pa.float64()),
    **dict.fromkeys(("region", "speaker", "dialogue", "transcript", "label", "prediction"), pa.string()),
    "probabilities": pa.list_(pa.float64()),
    **{f"probabilities:{subset_name(subset)}": pa.list_(pa.float64()) for subset in NON_EMPTY},
    **{f"shapley:{modality}": pa.float64() for modality in MODALITIES},
    "verdict": pa.string(),
    "is_conflict": pa.bool_(),
    "num_kept_frames": pa.int64(),
    "kept_frame_seconds": pa.list_(pa.float64()),
    FACE: pa.string(),
}

_LATER = {FACE}
"""Columns that evaluations of earlier versions lack."""

_BESIDE = (TRUTH, TRUTH_MEASURES, TRUTH_UNFINISHED)


class EvaluationError(SentenceError):
    """A folder that is no usable evaluation, or two that cannot be compared, told in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An utterance that could not be asked about, and why, in one sentence."""

    key: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class EvaluationInfo:
    """Contents of evaluation.json.

    Attributes:
        checkpoint / checkpoint_sha256: name of its folder, and its hash.
        data: name of the data set.
        data_sha256: of the evaluated clips' bytes and what is known of them.
        split: that was evaluated, "all" for every clip.
        protocol: by which the data were parted; "official" where the data set brings its splits.
        fold: of the protocol; "" where it has none, and in evaluations of earlier versions.
        label_scheme / labels: name and order of the classes.
        seed: of the training run.
        temperature / uncertainty_threshold: of the checkpoint.
        created: date and time (ISO 8601, UTC).
        versions: of the packages that made it.
        recipe: of the checkpoint: configurations of its model and of its training, for comparison.
        skipped: what has no row.
        num_bootstrap / bootstrap_seed: of the resamples.
        resampled: "speaker", "dialogue" or "clip": what intervals are drawn by.
        num_clips: rows of predictions.parquet.
        caveats: sentences to tell with every figure, on what the clips or the protocol give away.
        empty_probabilities: what the model says of nothing; with it a clip's report can be made again.
    """

    checkpoint: str
    checkpoint_sha256: str
    data: str
    data_sha256: str
    split: str
    protocol: str
    label_scheme: str
    labels: tuple[str, ...]
    seed: int
    temperature: float
    uncertainty_threshold: float
    created: str
    versions: dict[str, str]
    recipe: dict = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    num_bootstrap: int
    bootstrap_seed: int = 0
    resampled: str = "clip"
    num_clips: int = 0
    caveats: tuple[str, ...] = ()
    empty_probabilities: tuple[float, ...] = ()
    fold: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What a checkpoint says of every clip of a data set. Make one with `core.evaluation.build`.

    Attributes:
        predictions: one row per utterance (docs/evaluation.md).
        embeddings: per modality and "fused": `(utterance, dim)` float32, NaN where the clip lacks it.
        media_folder: that the paths are relative to; None where only shipped clips are named.
    """

    info: EvaluationInfo
    predictions: pd.DataFrame
    embeddings: dict[str, np.ndarray]
    metrics: Metrics
    media_folder: Path | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of all that is per class."""
        return self.info.labels

    @property
    def truth(self) -> np.ndarray:
        """`(utterance,)` class indices of the labels."""
        return pd.Index(self.labels).get_indexer(self.predictions["label"])

    def probabilities(self, subset: Sequence[str] = ALL) -> np.ndarray:
        """`(utterance, class)` with a subset of the modalities shown; NaN where a clip has none of them."""
        none = np.full(len(self.labels), np.nan)
        rows = self.predictions[f"probabilities:{subset_name(subset)}"]
        return np.stack([none if row is None else row for row in rows])

    @property
    def shapley(self) -> np.ndarray:
        """`(utterance, modality)` Shapley values of the predicted class's probability."""
        return self.predictions[[f"shapley:{modality}" for modality in MODALITIES]].to_numpy()

    @property
    def extra(self) -> pd.DataFrame:
        """The data set's own columns, under their own names; missing values are NaN."""
        names = [name for name in self.predictions if name.startswith(EXTRA)]
        return self.predictions[names].rename(columns=lambda name: name.removeprefix(EXTRA))

    def without_words(self) -> Evaluation:
        """The same without transcripts, which a data set's licence may not allow to pass on."""
        return replace(self, predictions=self.predictions.assign(transcript=None))

    def find_media(self, path: str | None, roots: Sequence[Path] = ()) -> Path | None:
        """The file that a row's `path` names, None where it names none or it is not at hand.

        Looked for under `roots`, then among the shipped clips, then in the folder that the evaluation was
        made from, if that is still where it was, seen from the evaluation.
        """
        if not isinstance(path, str):
            return None
        inner = path.removeprefix(f"{SHIPPED}/")
        shipped = [(CLIPS, inner)] if inner != path else []
        known = [] if self.media_folder is None else [(self.media_folder, path)]
        for root, name in (*((root, path) for root in roots), *shipped, *known):
            # an evaluation may come from anyone: what it names must lie where clips are looked for, and may
            # be no path at all, or too long for one
            with suppress(OSError, RuntimeError, ValueError):
                found = (Path(root) / name).resolve()
                if found.is_relative_to(Path(root).resolve()) and found.is_file():
                    return found
        return None

    def write(self, folder: str | Path) -> Path:
        """Write the folder; it appears whole or not at all, and replaces an evaluation that was there.

        How true the explanations are stays, where that was measured there.

        Raises:
            EvaluationError: if the folder holds something else, or cannot be written.
        """
        folder = Path(folder)
        require_replaceable(folder)
        root = None
        if self.media_folder is not None and _travels_with(self.media_folder.resolve(), folder.resolve()):
            root = Path(os.path.relpath(self.media_folder.resolve(), folder.resolve())).as_posix()
        values = {"format": FORMAT, **dataclasses.asdict(self.info), "media_folder": root}
        table = pa.Table.from_pandas(self.predictions, schema_of(self.predictions), preserve_index=False)
        embeddings = {name: np.ascontiguousarray(rows) for name, rows in self.embeddings.items()}
        with written(folder, EvaluationError), replacing_folder(folder) as new:
            _write_json(new / INFO, values)
            _write_json(new / METRICS, {"format": FORMAT, **self.metrics.to_dict()})
            pq.write_table(table.replace_schema_metadata(None), new / PREDICTIONS, compression="zstd")
            (new / EMBEDDINGS).write_bytes(save(embeddings))
            for name in _BESIDE:
                if (folder / name).is_file():
                    shutil.copy2(folder / name, new / name)
        return folder


def _travels_with(media_folder: Path, folder: Path) -> bool:
    """Whether the clips stay beside the evaluation: what ships does without what does not ship."""
    ships = folder.is_relative_to(SAMPLE_DATA)
    return media_folder.is_relative_to(SAMPLE_DATA) or not ships


def require_replaceable(folder: str | Path) -> None:
    """Check that an evaluation can be written there and destroys nothing else; to be asked before long work.

    Raises:
        EvaluationError: if the folder is a file, holds anything that is not an evaluation's, or cannot be
            written.
    """
    folder = Path(folder)
    with written(folder, EvaluationError):
        require_writable(folder)
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not folder.exists():
        return
    own = names - set(_BESIDE)
    others = sorted(own - {INFO, PREDICTIONS, EMBEDDINGS, METRICS})
    if not folder.is_dir() or others or (own and INFO not in own):
        what = f"holds other things ({', '.join(others[:3])})" if others else "is no evaluation"
        raise EvaluationError(f"{folder} exists and {what}, so it is not replaced; choose another folder.")


def schema_of(columns: Sequence[str]) -> pa.Schema:
    """Types of the columns of predictions.parquet, in their order; those of the data set last.

    Raises:
        ValueError: naming the columns that are missing or unknown.
    """
    extra = [name for name in columns if name.startswith(EXTRA)]
    missing = sorted(set(_COLUMNS) - set(columns) - _LATER)
    unknown = sorted(set(columns) - set(_COLUMNS) - set(extra))
    if missing or unknown:
        said = [
            f"{what} {', '.join(names)}"
            for what, names in (("no", missing), ("the unknown", unknown))
            if names
        ]
        raise ValueError(f"it has {' and '.join(said)}")
    there = {name: kind for name, kind in _COLUMNS.items() if name in set(columns)}
    return pa.schema({**there, **dict.fromkeys(extra, pa.string())})


def portable_path(path: Path | None, root: Path) -> str | None:
    """How an evaluation names a media file: `sample_data/clips/…` if it ships, else relative to `root`.

    Never the path of a machine, so that an evaluation can be given away.
    """
    if path is None:
        return None
    path = path.resolve()
    if path.is_relative_to(CLIPS):
        return f"{SHIPPED}/{path.relative_to(CLIPS).as_posix()}"
    return Path(os.path.relpath(path, root.resolve())).as_posix()


def _write_json(path: Path, values: dict) -> None:
    path.write_text(
        json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
