"""What is killed: the project's own commands on tiny inputs, and what they leave when they are done."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.numpy
from PIL import Image

from core.attribution.store import SUFFIX
from core.media import MEDIA_SUFFIXES
from tests.crashing import writers
from tests.crashing.launcher import COMMAND_LINE

COLORS = {"joy": (230, 200, 40), "sadness": (30, 60, 160), "anger": (200, 40, 30)}
WORDS = {"joy": "what a lovely day", "sadness": "he is gone forever", "anger": "get out of here now"}
NUM_CLIPS = {"train": 12, "dev": 6, "test": 4}

_CHANGING = {
    "created",
    "seconds",
    "timings_seconds",
    "train_seconds",
    "at",
    "left_seconds",
    "changed",
    "num_threads",
}
"""Of JSON, tables and notes: what two runs tell differently."""

_PASSING = ("log", "curves", writers.CONFIRMED)
"""Files and folders that tell of a run, and are no result."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A command that is killed.

    Attributes:
        arguments: of it, from the folder of inputs and the folder where it works.
        again: more of them, to go on.
        function: that they go to.
        before: puts into the folder where it works what lies there already.
        results: names in that folder that are whole whenever they are there: as before, or as in the end.
        look: tells what else is wrong in that folder after a kill, "" for nothing.
    """

    arguments: Callable[[Path, Path], list[str]]
    again: tuple[str, ...] = ()
    function: str = COMMAND_LINE
    before: Callable[[Path, Path], None] = lambda given, place: None
    results: tuple[str, ...] = ()
    look: Callable[[Path], str] = lambda place: ""


def recordings_of(folder: Path) -> list[Path]:
    """The clips in a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = sorted(path.absolute() for path in folder.iterdir() if path.suffix.lower() in MEDIA_SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{folder} holds no media file; give another folder.")
    return found


def make_given(folder: Path, recordings: Sequence[Path] = ()) -> None:
    """Inputs of all subjects: clips with a manifest, pictures, a checkpoint and an evaluation.

    Args:
        folder: where they go.
        recordings: that the clips are copies of, by turns; made ones where there are none.
    """
    from tests.made_evaluations import LABELS, made_evaluation
    from tests.made_prepared import made_checkpoint
    from tests.training.made_clips import write_clip

    clips = folder / "clips"
    clips.mkdir(parents=True)
    rows = [("path", "label", "transcript", "speaker", "split")]
    for split, num in NUM_CLIPS.items():
        for number in range(num):
            label, name = list(COLORS)[number % 3], f"{split}{number}.mp4"
            if recordings:
                shutil.copyfile(recordings[len(rows) % len(recordings)], clips / name)
            else:
                write_clip(clips / name, color=COLORS[label], tone_hz=200 + 40 * number)
            rows.append((name, label, WORDS[label], f"{split}-speaker", split))
    with (clips / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    made_checkpoint(folder / "checkpoint")
    pictures = []
    for number in range(16):
        label, data = list(COLORS)[number % 3], io.BytesIO()
        Image.new("RGB", (32, 32), tuple(min(255, part + 3 * number) for part in COLORS[label])).save(
            data, "JPEG"
        )
        pictures.append({"jpeg": data.getvalue(), "label": label})
    pd.DataFrame(pictures).to_parquet(folder / "stills.parquet")
    labels = list(LABELS) * 4
    made_evaluation(labels, labels[::-1], clips).write(folder / "evaluation")


def _train(given: Path, place: Path) -> list[str]:
    return [
        *("train", "--preset", "tiny", "--data", str(given / "clips"), "--out", str(place / "made")),
        *("--cache-dir", str(given / "features"), "--epochs", "3", "--batch-size", "4", "--threads", "1"),
        # everything that remembers something, and a state after every step
        *("--set", "save_every=1", "--set", "weight_average=0.9", "--set", "queue_size=2"),
    ]


def _pretrain(given: Path, place: Path) -> list[str]:
    return [
        *("pretrain", "--preset", "tiny", "--stills", str(given / "stills.parquet"), "--phase", "32:12:8"),
        *("--dev-stills", str(given / "stills.parquet"), "--out", str(place / "made"), "--threads", "1"),
        *("--cache-dir", str(given / "features"), "--set", "eval_every=3"),
    ]


def _half_of_pretraining(place: Path) -> str:
    """What is wrong with history and best encoder, which are replaced while it runs; "" for nothing."""
    history, encoder = (place / "made" / name for name in ("history.jsonl", "video.safetensors"))
    try:
        steps = [row["step"] for row in content(history)] if history.exists() else []
    except ValueError as error:
        return f"{history.name} is half of a result: {error}"
    if steps != sorted(set(steps)):
        return f"{history.name} tells of the steps {steps}"
    try:
        if encoder.exists() and not safetensors.numpy.load_file(encoder):
            return f"{encoder.name} is empty"
    except safetensors.SafetensorError as error:
        return f"{encoder.name} is half of a result: {error}"
    return ""


def _evaluate(features: str) -> Callable[[Path, Path], list[str]]:
    def arguments(given: Path, place: Path) -> list[str]:
        cache = place / features if features == "cache" else given / features
        return [
            *("evaluate", str(given / "checkpoint"), "--data", str(given / "clips"), "--split", "all"),
            *("--out", str(place / "made"), "--cache-dir", str(cache), "--bootstrap", "100"),
        ]

    return arguments


def _older_evaluation(given: Path, place: Path) -> None:
    shutil.copytree(given / "evaluation", place / "made")


def _predict(given: Path, place: Path) -> list[str]:
    return [
        *("predict", "--data", str(given / "clips"), "--checkpoint", str(given / "checkpoint")),
        *("--no-transcribe", "--out", str(place / "made.csv")),
    ]


def _explain(given: Path, place: Path) -> list[str]:
    return [
        *("explain", str(given / "clips" / "test0.mp4"), "--transcript", "what a day", "--no-trust"),
        *("--checkpoint", str(given / "checkpoint"), "--out", str(place / "made")),
    ]


def _report(given: Path, place: Path) -> list[str]:
    return ["report", str(given / "evaluation"), "--out", str(place / "made.html"), "--date", "2026-01-01"]


def _corpus(given: Path, place: Path) -> list[str]:
    return [
        *("corpus", "make", "--preset", "probe", "--clips", "3", "--size", "64", "--fps", "6"),
        *("--out", str(place / "made"), "--workers", "2"),
    ]


def _write(given: Path, place: Path) -> list[str]:
    return [str(place)]


SUBJECTS = {
    "training": Subject(arguments=_train, again=("--resume",), results=("made",)),
    "pretraining": Subject(
        arguments=_pretrain,
        again=("--resume",),
        results=("made/pretrain.json",),
        look=_half_of_pretraining,
    ),
    "evaluation": Subject(arguments=_evaluate("features"), before=_older_evaluation, results=("made",)),
    "cache": Subject(arguments=_evaluate("cache"), results=("made",)),
    "prediction": Subject(arguments=_predict, results=("made.csv",)),
    "explanation": Subject(
        arguments=_explain,
        results=(
            "made/elements.parquet",
            *(f"made/explanation.{kind}" for kind in ("json", "png", "html")),
        ),
    ),
    "report": Subject(arguments=_report, results=("made.html",)),
    "corpus": Subject(arguments=_corpus, results=("made/corpus.parquet", "made/manifest.csv")),
    "notes": Subject(arguments=_write, function=f"{writers.__name__}:keep_notes", look=writers.lost_notes),
    "runs": Subject(arguments=_write, function=f"{writers.__name__}:keep_runs", look=writers.lost_runs),
}
"""By kind."""


def contents(place: Path) -> dict[str, object]:
    """What lies in a folder, by relative name, without what two runs tell differently."""
    return {
        name: content(path)
        for path in sorted(place.rglob("*"))
        if path.is_file()
        and not {path.relative_to(place).parts[0], path.parent.name} & set(_PASSING)
        and not (name := str(path.relative_to(place))).endswith(("-wal", "-shm"))
    }


def content(path: Path) -> object:
    """Of a file or a folder, to be compared with ==. Raises whatever reading a damaged one raises."""
    if path.is_dir():
        return {inside.name: content(inside) for inside in sorted(path.iterdir())}
    if path.suffix in (".json", ".jsonl"):
        return [_steady(json.loads(line)) for line in _documents(path)]
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        return [_steady(table.attrs), *(_steady(row) for row in table.to_dict("records"))]
    if path.suffix == ".sqlite":
        with sqlite3.connect(path) as connection:
            (state,) = connection.execute("PRAGMA integrity_check").fetchone()
            rows = connection.execute("SELECT data, key, tags, note FROM notes ORDER BY data, key").fetchall()
        connection.close()
        return [state, rows]
    if path.suffix == SUFFIX:
        return _explanation(path.read_bytes())
    return path.read_bytes()


def _explanation(entry: bytes) -> object:
    """An entry of the store of explanations: a checksum, arrays, and JSON that tells how long each took."""
    digest, data = entry[:32], entry[32:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("its checksum is wrong")
    tensors = safetensors.numpy.load(data)
    plain = json.loads(tensors.pop("json").tobytes())
    return [_steady(plain), _steady(tensors)]


def _documents(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _steady(value: object) -> object:
    """Without what changes from run to run; arrays as lists, and what is no number as a word."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: _steady(inside) for key, inside in value.items() if key not in _CHANGING}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_steady(inside) for inside in value]
    if isinstance(value, float) and np.isnan(value):
        return "nan"
    return value
