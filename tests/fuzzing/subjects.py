"""What is tried: for each kind of input, valid examples, and the project's own way of reading one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fuzzing.documents import damaged_json, damaged_table
from tests.fuzzing.mutations import damaged

NUM_FRAMES = 8

FORMATS = {
    "mp4": ("libx264", "aac"),
    "mkv": ("libx264", "aac"),
    "webm": ("libvpx", "libopus"),
    "avi": ("mpeg4", "libmp3lame"),
    "ts": ("libx264", "aac"),
    "flv": ("flv", "libmp3lame"),
    "mpg": ("mpeg1video", "mp2"),
    "wav": (None, "pcm_s16le"),
    "mp3": (None, "libmp3lame"),
    "flac": (None, "flac"),
    "ogg": (None, "libopus"),
    "m4a": (None, "aac"),
}
"""Codecs of picture and sound by file name extension."""

Files = dict[str, bytes]
"""Contents by name, inside one folder."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A folder to read.

    Attributes:
        kind: key of `SUBJECTS`.
        name: tells how to make it again: seed and number.
        files: in it.
    """

    kind: str
    name: str
    files: Files


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of input.

    Attributes:
        examples: makes valid ones, in a folder that may be used.
        read: reads the folder of one as the product would; returns what is wrong with the result, "" for
            nothing. May raise one of `refusals`, with a sentence.
        refusals: names of the errors by which it may be refused.
    """

    examples: Callable[[Path], list[Files]]
    read: Callable[[Path], str]
    refusals: tuple[str, ...]


def case(kind: str, examples: list[Files], seed: int, number: int) -> Case:
    """The case of that number: one of the examples by turns, one of its files damaged."""
    random = np.random.default_rng((seed, number))
    files = dict(examples[number % len(examples)])
    names = sorted(files)
    name = names[random.integers(len(names))]
    structured = {".json": damaged_json, ".csv": damaged_table}.get(Path(name).suffix)
    if structured is not None and random.random() < 0.75:
        files[name] = structured(files[name], random)
    else:
        others = [data for example in examples for data in example.values()]
        files[name] = damaged(files[name], others, random)
    return Case(kind=kind, name=f"{seed}-{number}", files=files)


def media_examples(folder: Path) -> list[Files]:
    """A short valid file of every format that is read."""
    from tests.core.media.made_media import grey_pictures, tone, write_media

    found = []
    for extension, (video_codec, audio_codec) in FORMATS.items():
        sample_rate = 48_000 if audio_codec == "libopus" else 44_100
        picture = {}
        if video_codec is not None:
            times = [k / 25 for k in range(12)]
            picture = {"pictures": grey_pictures(12), "times_seconds": times, "video_codec": video_codec}
        name = f"clip.{extension}"
        path = write_media(
            folder / name,
            **picture,
            sound=tone(0.5, sample_rate),
            sample_rate=sample_rate,
            audio_codec=audio_codec,
        )
        found.append({name: path.read_bytes()})
    return found


def read_media(folder: Path) -> str:
    from core.media import decode, open_clip

    (path,) = folder.iterdir()
    clip = open_clip(path)
    media = decode(clip, num_frames=NUM_FRAMES)
    frames, waveform = media.frames, media.waveform
    if frames is None and waveform is None:
        return "neither picture nor sound"
    if not 0 <= clip.start_seconds < clip.end_seconds:
        return f"a span from {clip.start_seconds} to {clip.end_seconds} s"
    if frames is not None:
        times = frames.times_seconds
        if frames.pixels.dtype != np.uint8 or frames.pixels.ndim != 4 or frames.pixels.shape[3] != 3:
            return f"pictures of {frames.pixels.dtype} {frames.pixels.shape}"
        if len(times) != len(frames.pixels) or not 0 < len(times) <= NUM_FRAMES:
            return f"{len(frames.pixels)} pictures at {len(times)} times"
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            return f"times {times.tolist()}"
    if waveform is not None and (waveform.ndim != 1 or not np.isfinite(waveform).all()):
        return f"a waveform {waveform.shape} with samples that are no numbers"
    return ""


def manifest_examples(folder: Path) -> list[Files]:
    """A manifest beside a clip and its sidecar, as CSV and as JSON Lines."""
    (clip,) = media_examples_of(folder, "wav").values()
    sidecar = json.dumps({"label": "joy", "transcript": "No way!", "speaker": "a"}).encode()
    table = (
        b"path,label,transcript,start_seconds,end_seconds,speaker,split\n"
        b'a.wav,joy,"No way!",0.0,0.4,s1,train\na.wav,fear,,,,s2,dev\na.wav,anger,Go!,0.1,,s3,test\n'
    )
    lines = (
        b'{"path": "a.wav", "label": "joy", "split": "train"}\n'
        b'{"path": "a.wav", "label": "fear", "start_seconds": 0.1}\n'
    )
    files = {"a.wav": clip, "a.json": sidecar}
    return [files | {"manifest.csv": table}, files | {"manifest.jsonl": lines}]


def media_examples_of(folder: Path, extension: str) -> Files:
    """The example of one format."""
    return next(files for files in media_examples(folder) if f"clip.{extension}" in files)


def read_manifest_folder(folder: Path) -> str:
    from training.datasets import read_dataset
    from training.datasets.check import check_dataset

    dataset = read_dataset(folder, needs_labels=False)
    check_dataset(dataset)
    root = folder.resolve()
    outside = [u.path for u in dataset.utterances if u.path and root not in u.path.resolve().parents]
    return f"a clip outside the folder: {outside[0]}" if outside else ""


def checkpoint_examples(folder: Path) -> list[Files]:
    """A checkpoint of the smallest preset."""
    import torch

    from core.checkpoint import CheckpointInfo, save_checkpoint
    from core.config import PRESETS
    from core.model import DeepMSI

    torch.manual_seed(0)
    made = save_checkpoint(
        folder / "made",
        DeepMSI(PRESETS["tiny"], "random").eval(),
        info=CheckpointInfo(temperature=1.7, uncertainty_threshold=0.45, data_sha256="d" * 64, seed=11),
        history=[{"epoch": 0, "loss": 1.9}, {"epoch": 1, "loss": 1.2}],
        metrics={"test": {"macro_f1": 0.61}, "num_clips": {"train": 3}},
        card="# A card\n",
    )
    return [{path.name: path.read_bytes() for path in made.iterdir()}]


def read_checkpoint_folder(folder: Path) -> str:
    import torch

    from app.summaries import summary
    from app.views.header import quality
    from app.views.headline import learned_from
    from core.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(folder)
    quality(checkpoint.metrics)
    learned_from(checkpoint.metrics)
    summary(folder)
    broken = [
        name for name, value in checkpoint.model.state_dict().items() if not torch.isfinite(value).all()
    ]
    return f"weights that are no numbers: {broken[0]}" if broken else ""


def evaluation_examples(folder: Path) -> list[Files]:
    """An evaluation of a few clips."""
    from tests.made_evaluations import LABELS, made_evaluation

    labels = list(LABELS) * 2
    target = folder / "evaluation"
    made_evaluation(labels, labels[::-1], folder).write(target)
    return [{path.name: path.read_bytes() for path in target.iterdir()}]


def read_evaluation_folder(folder: Path) -> str:
    from core.evaluation.artifact import read_evaluation

    evaluation = read_evaluation(folder)
    return "" if len(evaluation.predictions) else "an evaluation of nothing"


def notes_examples(folder: Path) -> list[Files]:
    """Notes as they are exported."""
    return [{"notes.csv": "data,key,tags,note\nprobe,clip-1,odd; loud,Why?\nprobe,clip-2,,“Hm”\n".encode()}]


def read_notes(folder: Path) -> str:
    from app.notes import read_csv

    # as the page does it
    text = (folder / "notes.csv").read_bytes().decode("utf-8", "replace")
    notes, faults = read_csv(text)
    if not all(fault.endswith(".") and "\n" not in fault for fault in faults):
        return f"a fault that is no sentence: {faults}"
    return "" if all(note.data and note.key for note in notes) else "a note on nothing"


SUBJECTS = {
    "media": Subject(examples=media_examples, read=read_media, refusals=("MediaError",)),
    "manifest": Subject(examples=manifest_examples, read=read_manifest_folder, refusals=("DataError",)),
    "checkpoint": Subject(
        examples=checkpoint_examples, read=read_checkpoint_folder, refusals=("CheckpointError",)
    ),
    "evaluation": Subject(
        examples=evaluation_examples, read=read_evaluation_folder, refusals=("EvaluationError",)
    ),
    "notes": Subject(examples=notes_examples, read=read_notes, refusals=()),
}
"""By kind."""
