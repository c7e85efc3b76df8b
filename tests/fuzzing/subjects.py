"""What is tried: for each kind of input, valid examples, and the project's own way of reading one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.fuzzing.documents import damaged_json, damaged_lines, damaged_table
from tests.fuzzing.mutations import damaged

if TYPE_CHECKING:
    from core.media import Clip
    from core.predict import Predictor
    from training.datasets import Utterance

NUM_FRAMES = 8

STRUCTURED_SHARE = 0.75
"""Of the cases whose file has a structure that is known, those where it is damaged by this structure."""

THOROUGH_SHARE = 0.1
"""Of the cases, those that are read in the slow ways, too."""

DAMAGES = {
    **{".json": damaged_json, ".csv": damaged_table},
    **{".jsonl": damaged_lines, ".part": damaged_lines},
}
"""By structure, by file name extension."""

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
"""Contents by relative path, inside one folder."""


def write_files(folder: Path, files: Files) -> None:
    """Puts them there."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files_of(folder: Path) -> Files:
    """What lies there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True, kw_only=True)
class Case:
    """A folder to read.

    Attributes:
        kind: key of `SUBJECTS`.
        name: tells how to make it again: seed and number.
        files: in it.
        is_thorough: whether it is read in the slow ways, too.
    """

    kind: str
    name: str
    files: Files
    is_thorough: bool = False


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of input.

    Attributes:
        examples: makes valid ones, in a folder that may be used.
        read: reads the folder of one as the product would; returns what is wrong with the result, "" for
            nothing. May raise one of `refusals`, with a sentence.
        refusals: names of the errors by which it may be refused.
        slowly: the same in ways that take long, before `read`.
    """

    examples: Callable[[Path], list[Files]]
    read: Callable[[Path], str]
    refusals: tuple[str, ...]
    slowly: Callable[[Path], str] = lambda folder: ""


def case(kind: str, examples: list[Files], seed: int, number: int) -> Case:
    """The case of that number: one of the examples by turns, one of its files damaged."""
    random = np.random.default_rng((seed, number))
    files = dict(examples[number % len(examples)])
    names = sorted(files)
    name = names[random.integers(len(names))]
    structured = DAMAGES.get(Path(name).suffix)
    if structured is not None and random.random() < STRUCTURED_SHARE:
        files[name] = structured(files[name], random)
    else:
        others = [data for example in examples for data in example.values()]
        files[name] = damaged(files[name], others, random)
    is_thorough = bool(random.random() < THOROUGH_SHARE)
    return Case(kind=kind, name=f"{seed}-{number}", files=files, is_thorough=is_thorough)


def media_examples(folder: Path) -> list[Files]:
    """A short valid file of every format that is read."""
    return [media_example(folder, extension) for extension in FORMATS]


def media_example(folder: Path, extension: str) -> Files:
    """Of one format; it stays in the folder, too."""
    from tests.core.media.made_media import grey_pictures, tone, write_media

    video_codec, audio_codec = FORMATS[extension]
    sample_rate = 48_000 if audio_codec == "libopus" else 44_100
    picture = {}
    if video_codec is not None:
        times = [k / 25 for k in range(12)]
        picture = {"pictures": grey_pictures(12), "times_seconds": times, "video_codec": video_codec}
    path = write_media(
        folder / f"clip.{extension}",
        **picture,
        sound=tone(0.5, sample_rate),
        sample_rate=sample_rate,
        audio_codec=audio_codec,
    )
    return {path.name: path.read_bytes()}


def read_media(folder: Path) -> str:
    from core.media import open_clip

    (path,) = folder.iterdir()
    return what_is_wrong_with(open_clip(path))


def read_media_slowly(folder: Path) -> str:
    """Here and in a process of its own, to the same end, each with a copy that the browser can play."""
    from core.media import MediaError

    (path,) = folder.iterdir()
    ends = []
    for is_apart in (False, True):
        try:
            ends.append(what_comes_of(path, is_apart))
        except MediaError as error:
            ends.append(str(error))
    here, apart = ends
    return "" if here == apart else f"here {here!r} and apart {apart!r}"


def what_comes_of(path: Path, is_apart: bool) -> str:
    """What is wrong with a file and its copy, or what kind of file is given to the browser."""
    from app.playback import is_playable, playable_copy
    from core.media import open_clip

    clip = open_clip(path, apart=is_apart)
    if wrong := what_is_wrong_with(clip):
        return wrong
    with tempfile.TemporaryDirectory() as place:
        playable = playable_copy(clip, Path(place), lambda told: None)
        if playable is None:
            return "no copy"
        if not is_playable(open_clip(playable.path)):
            return f"a copy that browsers do not play: {playable.path.read_bytes()[:64]!r}"
    return playable.mime


def what_is_wrong_with(clip: Clip) -> str:
    """Of what decoding it gives; "" for nothing."""
    from core.media import decode

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
    (clip,) = media_example(folder, "wav").values()
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


def read_manifest_folder(folder: Path) -> str:
    from training.datasets import read_dataset
    from training.datasets.check import check_dataset

    dataset = read_dataset(folder, needs_labels=False)
    check_dataset(dataset)
    root = folder.resolve()
    outside = [u.path for u in dataset.utterances if u.path and root not in u.path.resolve().parents]
    return f"a clip outside the folder: {outside[0]}" if outside else ""


def fer2013_examples(folder: Path) -> list[Files]:
    """The challenge's table, pictures in folders by label, and a Parquet table of encoded pictures."""
    import io

    import pandas as pd
    from PIL import Image

    from tests.training.made_trees import CHALLENGE, write_challenge

    write_challenge(folder / "table", CHALLENGE)
    pictures = []
    for number, label in enumerate(("angry", "happy", "sad", "angry")):
        data = io.BytesIO()
        Image.new("L", (48, 48), 50 * number).save(data, ("PNG", "JPEG")[number % 2])
        pictures.append((label, data.getvalue()))
    folders = {
        f"{('train', 'test')[number % 2]}/{label}/{number}.png": data
        for number, (label, data) in enumerate(pictures)
    }
    table = pd.DataFrame(pictures, columns=["label", "jpeg"]).assign(au1=0.5)
    table.to_parquet(folder / "train.parquet")
    return [
        files_of(folder / "table"),
        folders,
        {"train.parquet": (folder / "train.parquet").read_bytes()},
    ]


def read_fer2013_folder(folder: Path) -> str:
    from training.datasets import read_dataset
    from training.datasets.check import check_dataset

    dataset = read_dataset(folder)
    check_dataset(dataset)
    for split, stills in dataset.stills.items():
        if stills.pixels.dtype != np.uint8 or stills.pixels.ndim != 4 or not len(stills):
            return f"pictures of {split} of {stills.pixels.dtype} {stills.pixels.shape}"
        if not len(stills.pixels) == len(stills.labels) == len(stills.targets):
            return f"{len(stills.pixels)} pictures of {split} with {len(stills.labels)} labels"
    return "" if dataset.stills else "no pictures"


def meld_examples(folder: Path) -> list[Files]:
    """The annotations, alone and with clips."""
    from tests.training.made_trees import write_meld_release, write_meld_tables

    return [
        files_of(write_meld_tables(folder / "tables")),
        files_of(write_meld_release(folder / "release")),
    ]


def read_meld_folder(folder: Path) -> str:
    from training.datasets import read_dataset
    from training.datasets.check import check_dataset

    dataset = read_dataset(folder)
    check_dataset(dataset)
    keys = [utterance.key for utterance in dataset.utterances]
    return "" if len(set(keys)) == len(keys) else "two utterances of one key"


def answers_examples(folder: Path) -> list[Files]:
    """Answers to two clips, as Parquet and as CSV, and as far as they are before the table is written."""
    from training.predictions import journal_of, predict_all, read_predictions

    found = []
    for name in ("answers.parquet", "answers.csv"):
        predict_all(some_predictor(), asked_of(folder), folder / name, root=folder)
        found.append({name: (folder / name).read_bytes()})
    lines = read_predictions(folder / "answers.csv").to_json(orient="records", lines=True)
    return [*found, {journal_of(Path("answers.parquet")).name: lines.encode()}]


@cache
def some_predictor() -> Predictor:
    """The same whenever it is made, of a network whose weights are random."""
    from core.predict import Predictor
    from tests.made_prepared import made_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        return Predictor(made_checkpoint(Path(folder) / "checkpoint"))


def asked_of(folder: Path) -> list[Utterance]:
    """A clip, which is put into the folder, and one that is not there."""
    from training.datasets import Utterance

    (wav,) = media_example(folder, "wav")
    return [
        Utterance(key="a", path=folder / wav, label="joy", transcript="No way!", speaker="s1"),
        Utterance(key="b", path=folder / "gone.wav", label="", transcript="", end_seconds=0.4),
    ]


def answers_in(folder: Path) -> Path:
    """The table that lies there, or is to be made of what does."""
    (path,) = folder.glob("answers.*")
    return path.with_name(path.name.removesuffix(".part"))


def read_answers(folder: Path) -> str:
    """As the page of own data does: the table is drawn, downloaded, and every clip of it opened."""
    from app.folders import VARIABLE
    from app.own_answers import OwnClipError, key_in_links, own_clip, own_runs
    from app.own_runs import PREDICT, OwnWork
    from app.views.own_data.answers import (
        answer_table,
        chosen_headline,
        modalities_chart,
        probabilities_chart,
        summary_html,
    )
    from training.predictions import read_predictions

    table = read_predictions(answers_in(folder))
    drawn = [summary_html(table), table.to_csv(index=False)]
    answer_table(table)
    for _, row in table.iterrows():
        drawn += [chosen_headline(row), probabilities_chart(row), modalities_chart(row)]
    # what cannot be encoded cannot be sent to a browser either
    for text in drawn:
        text.encode()
    os.environ[VARIABLE] = str(folder)
    own_runs.clear()
    runs = own_runs()
    work = OwnWork(task=PREDICT, data=folder, split="all", checkpoint=folder)
    work.home(runs.folder).mkdir(parents=True)
    work.begin(runs.folder)
    table.to_parquet(work.answers(runs.folder), index=False)
    for key in table["key"]:
        with suppress(OwnClipError):
            path = own_clip(key_in_links(work, key)).choice.path
            if not path.resolve().is_relative_to(folder.resolve()):
                return f"a clip outside the folder: {path}"
    return ""


def go_on_with_answers(folder: Path) -> str:
    """As `deepmsi predict` does with a table or a journal that is there already."""
    from training.predictions import predict_all, read_predictions

    asked, out = asked_of(folder), answers_in(folder)
    told = predict_all(some_predictor(), asked, out, root=folder)
    if (told.num_answered, [key for key, _ in told.failures]) != (1, ["b"]):
        return f"{told.num_answered} answers and no answers to {told.failures}"
    keys = read_predictions(out)["key"].tolist()
    return "" if keys == ["a", "b"] else f"answers to {keys}"


def checkpoint_examples(folder: Path) -> list[Files]:
    """A checkpoint of the smallest preset, with the space over its training."""
    import torch

    from core.checkpoint import save_checkpoint
    from core.checkpoint_files import CheckpointInfo
    from core.config import PRESETS
    from core.model import DeepMSI
    from core.space import SPACES, Space

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    made = save_checkpoint(
        folder / "made",
        DeepMSI(PRESETS["tiny"], "random").eval(),
        info=CheckpointInfo(temperature=1.7, uncertainty_threshold=0.45, data_sha256="d" * 64, seed=11),
        history=[{"epoch": 0, "loss": 1.9}, {"epoch": 1, "loss": 1.2}],
        space=Space(
            keys=tuple("abcd"),
            labels=("joy", "joy", "anger", "fear"),
            epochs=np.array([-1, 0, 1]),
            embeddings={name: random.normal(size=(3, 4, 8)) for name in SPACES},
        ),
        metrics={"test": {"macro_f1": 0.61}, "num_clips": {"train": 3}},
        card="# A card\n",
    )
    return [{path.name: path.read_bytes() for path in made.iterdir()}]


def read_checkpoint_folder(folder: Path) -> str:
    import torch

    from app.summaries import summary
    from app.views.embeddings.epochs import epochs_figure, epochs_table, epochs_words
    from app.views.header import quality
    from app.views.headline import learned_from
    from core.checkpoint import load_checkpoint
    from core.space import SPACES

    checkpoint = load_checkpoint(folder)
    quality(checkpoint.metrics)
    learned_from(checkpoint.metrics)
    # as the page Embeddings draws it, where it can be read
    space = summary(folder).space
    for name in SPACES if space is not None else ():
        figure = epochs_figure(space, name)
        if figure is not None:
            figure.to_json().encode()
            epochs_words(epochs_table(space, name)).encode()
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
    from core.evaluation.reading import read_evaluation

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
    "media": Subject(
        examples=media_examples, read=read_media, refusals=("MediaError",), slowly=read_media_slowly
    ),
    "manifest": Subject(examples=manifest_examples, read=read_manifest_folder, refusals=("DataError",)),
    "fer2013": Subject(examples=fer2013_examples, read=read_fer2013_folder, refusals=("DataError",)),
    "meld": Subject(examples=meld_examples, read=read_meld_folder, refusals=("DataError",)),
    "answers": Subject(
        examples=answers_examples, read=read_answers, refusals=("DataError",), slowly=go_on_with_answers
    ),
    "checkpoint": Subject(
        examples=checkpoint_examples, read=read_checkpoint_folder, refusals=("CheckpointError",)
    ),
    "evaluation": Subject(
        examples=evaluation_examples, read=read_evaluation_folder, refusals=("EvaluationError",)
    ),
    "notes": Subject(examples=notes_examples, read=read_notes, refusals=()),
}
"""By kind."""
