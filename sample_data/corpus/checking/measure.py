"""One row of numbers per clip, from its file: every file is read once, by several processes.

Rows are kept beside the report, each under the hash of the file it was measured from, so that a second check
measures only what is new. The sidecar says *where* to look (windows, boxes, which frame is the apex) and
never *what* is there; of the checks, only the rate of speech asks it how many phones are said (`voices.py`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from core.media import SAMPLE_RATE, MediaError, decode, open_clip
from core.media.apart import MachineError
from core.media.clip import DecodedMedia, MediaInfo
from core.writing import replacing
from sample_data.corpus.checking.courses import face_rows, lip_curves, window_rows
from sample_data.corpus.checking.features import clip_features
from sample_data.corpus.checking.sound import VoiceTrack, as_row, measure_voice, track_voice
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import Sidecar, read_sidecar
from sample_data.corpus.workers import run_tasks

FORMAT = 1
"""Raised when what a row holds, or how it is measured, changes."""

ROWS_FILE, PARTS_FOLDER = "measures.parquet", "measures"
_CLIPS_PER_PART = 20
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A clip, its truth and its row.

    Attributes:
        row: by name; what could not be measured is missing. `row["error"]` says why a file cannot be read.
    """

    path: Path
    sidecar: Sidecar
    row: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the file, with its shard."""
        return f"{self.path.parent.name}/{self.path.name}"

    def disturbs(self, modality: str) -> tuple[str, ...]:
        """Kinds of the distractors of a modality."""
        return tuple(one.kind for one in self.sidecar.distractors if one.modality == modality)


def measure_corpus(
    corpus: list[tuple[Path, Sidecar]],
    folder: Path,
    *,
    with_features: bool,
    num_workers: int,
    progress: Progress,
) -> list[Measured]:
    """Measure every clip that has no row yet.

    Args:
        corpus: of `read_corpus`.
        folder: where rows are kept.
        with_features: whether to run the encoders whose features classifiers learn from.
        num_workers: processes.
        progress: told how many clips are done.

    Raises:
        CorpusError: if rows cannot be kept in the folder.
    """
    keys = [_key(path, sidecar) for path, sidecar in corpus]
    known = _read_rows(folder)
    open_items = [
        (key, path, sidecar)
        for key, (path, sidecar) in zip(keys, corpus, strict=True)
        if key not in known or (with_features and not known[key]["has_features"])
    ]
    done = len(corpus) - len(open_items)
    progress(done, len(corpus), "measuring")
    tasks = [
        (_part_path(folder, part, with_features), part, with_features)
        for part in (
            open_items[at : at + _CLIPS_PER_PART] for at in range(0, len(open_items), _CLIPS_PER_PART)
        )
    ]

    def tell() -> None:
        progress(done + sum(len(part) for path, part, _ in tasks if path.is_file()), len(corpus), "measuring")

    if num_workers == 1:
        for task in tasks:
            _measure_part(*task)
            tell()
    else:
        run_tasks(_measure_part_alone, tasks, num_workers, tell)
    if tasks:
        known |= _read_rows(folder)
        _write_rows(folder / ROWS_FILE, [known[key] for key in dict.fromkeys(keys)])
        shutil.rmtree(folder / PARTS_FOLDER)
    return [
        Measured(path=path, sidecar=sidecar, row=known[key])
        for key, (path, sidecar) in zip(keys, corpus, strict=True)
    ]


def measure_clip(path: Path, sidecar: Sidecar, *, with_features: bool = False) -> dict[str, Any]:
    """The row of one clip; a file that cannot be read has an `error` and nothing else."""
    try:
        clip = open_clip(path, apart=True)
        # every frame is shown during one of twice as many parts
        media = decode(clip, num_frames=max(1, 2 * clip.info.num_frames))
    except MachineError as error:
        # says nothing about the clip
        raise CorpusError(str(error)) from error
    except MediaError as error:
        return {"error": str(error), "has_features": True}
    row = {"error": "", "has_features": with_features, **_file_row(clip.info, media)}
    track = None
    if media.waveform is not None:
        track = track_voice(media.waveform, SAMPLE_RATE)
        row |= _voice_row(track, sidecar)
    if media.frames is not None and sidecar.face is not None:
        row["faces"] = face_rows(media.frames, sidecar)
        if track is not None:
            row |= lip_curves(media.frames, media.waveform, row["voice_start"], row["voice_end"], sidecar)
    row["windows"] = window_rows(media.frames, track, media.waveform, sidecar)
    row["sidecar_differs"] = _sidecar_differs(path, sidecar)
    if with_features:
        row |= clip_features(media, sidecar)
    return row


def _file_row(info: MediaInfo, media: DecodedMedia) -> dict[str, Any]:
    return {
        "file_seconds": info.duration_seconds,
        "has_video": info.has_video,
        "has_audio": info.has_audio,
        "width": info.width,
        "height": info.height,
        "num_frames": 0 if media.frames is None else len(media.frames),
        "notes": list(media.notes),
    }


def _voice_row(track: VoiceTrack, sidecar: Sidecar) -> dict[str, float]:
    """The whole voice, and inside and outside its emotional window (for a neutral voice, any window)."""
    start, end = _emotional_window(sidecar)
    inside = measure_voice(track, start, end)
    before, after = measure_voice(track, 0.0, start), measure_voice(track, end)
    row = as_row(measure_voice(track), "voice_")
    for name in ("f0_semitones", "level"):
        outside = [getattr(part, name) for part in (before, after) if np.isfinite(getattr(part, name))]
        row[f"inside_{name}"] = float(getattr(inside, name))
        row[f"outside_{name}"] = float(np.mean(outside)) if outside else float("nan")
    return row


def _emotional_window(sidecar: Sidecar) -> tuple[float, float]:
    sound, plan = sidecar.sound, sidecar.plan
    if sound is not None and sound.emotional_start_seconds is not None and plan.voice_window is not None:
        return sound.emotional_start_seconds, sound.emotional_end_seconds
    draw = stream(plan.seed, "check window")
    spoken = sidecar.speech_end_seconds - sidecar.speech_start_seconds
    start = draw.uniform(0.05, 0.50)
    end = start + draw.uniform(0.35, 0.50)
    return sidecar.speech_start_seconds + start * spoken, sidecar.speech_start_seconds + end * spoken


def _sidecar_differs(path: Path, sidecar: Sidecar) -> bool:
    """Whether the file beside the clip says something else than the corpus's table."""
    try:
        return read_sidecar(path.with_suffix(".json")) != sidecar
    except ValueError:
        return True


def _key(path: Path, sidecar: Sidecar) -> str:
    digest = hashlib.sha256(json.dumps([FORMAT, sidecar.to_dict()], sort_keys=True).encode())
    for file in (path, path.with_suffix(".json")):
        digest.update(hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest())
    return digest.hexdigest()


def _part_path(folder: Path, part: list[tuple[str, Path, Sidecar]], with_features: bool) -> Path:
    name = hashlib.sha256(f"{part[0][0]} {with_features}".encode()).hexdigest()
    return folder / PARTS_FOLDER / f"{name}.parquet"


def _measure_part(path: Path, part: list[tuple[str, Path, Sidecar]], with_features: bool) -> None:
    rows = [
        {"key": key, **measure_clip(clip, sidecar, with_features=with_features)}
        for key, clip, sidecar in part
    ]
    _write_rows(path, rows)


def _measure_part_alone(path: Path, part: list[tuple[str, Path, Sidecar]], with_features: bool) -> None:
    """The same in a process of its own, which may tell torch to take one thread."""
    import torch

    torch.set_num_threads(1)
    _measure_part(path, part, with_features)


def _read_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run; a file that cannot be read is measured again."""
    rows = {}
    for path in (folder / ROWS_FILE, *sorted((folder / PARTS_FOLDER).glob("*.parquet"))):
        try:
            rows |= {row["key"]: row for row in pyarrow.parquet.read_table(path).to_pylist()}
        except (OSError, pa.ArrowException, KeyError):
            continue
    return rows


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        names = dict.fromkeys(name for row in rows for name in row)
        table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
        with replacing(path) as part:
            pyarrow.parquet.write_table(table, part, compression="zstd")
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be written ({error.strerror or error}); choose another folder with --report."
        ) from error
