"""Predictions and evaluations of one's own data that the app runs, and where their results lie.

Each run has a folder of its own, named after what it does of which data with which checkpoint: the same
choice is the same run, so that whoever comes back finds it, and starting it again goes on from what is there.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.folders import data_folder, free_name
from app.runs import BROKEN_OFF, ELSEWHERE, Run, RunError, Runs
from core.evaluation.artifact import INFO
from core.writing import replacing
from training.sources import folder_of

PREDICT, EVALUATE = "predict", "evaluate"
TASKS = (PREDICT, EVALUATE)

ANSWERS, RECORD, PROGRESS = "answers.parquet", "run.json", "progress.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,80}")


@dataclass(frozen=True, kw_only=True)
class OwnWork:
    """What is to be done with one's own data.

    Attributes:
        task: of `TASKS`.
        data: path of the folder or manifest, resolved.
        split: "all" for every clip.
        checkpoint: its folder, resolved.
    """

    states_of: ClassVar[dict[str, str]] = {PREDICT: "predicting", EVALUATE: "evaluating"}

    task: str
    data: Path
    split: str
    checkpoint: Path

    @property
    def states(self) -> tuple[str, ...]:
        """See `app.runs.Work`."""
        return (self.states_of[self.task],)

    @property
    def name(self) -> str:
        """Of the run and its folder: readable, and another one for whatever differs."""
        what = (self.task, str(self.data), self.split, str(self.checkpoint))
        digest = hashlib.sha256("\n".join(what).encode()).hexdigest()[:10]
        return f"{self.task}-{_slug(folder_of(self.data).name)}-{digest}"

    def goes_on(self, state: str | None) -> bool:
        """Whether a state of this run means that it is being done, here or by what another app left."""
        return state == ELSEWHERE or state in self.states

    @property
    def title(self) -> str:
        """What it is of, for people: "demo, split test, by full"."""
        split = "" if self.split == "all" else f", split {self.split}"
        return f"{folder_of(self.data).name}{split}, by {self.checkpoint.name}"

    def home(self, folder: Path) -> Path:
        """The run's own folder, inside that of all runs."""
        return folder / self.name

    def answers(self, folder: Path) -> Path:
        """The table that a prediction makes."""
        return self.home(folder) / ANSWERS

    def evaluation(self, folder: Path) -> Path:
        """The folder that an evaluation makes; its name is what pages call it."""
        parts = (folder_of(self.data).name, self.split, self.checkpoint.name)
        return self.home(folder) / "-".join(map(_slug, parts))

    def commands(self, folder: Path) -> list[list[str]]:
        """See `app.runs.Work`."""
        data = ["--data", str(self.data), "--split", self.split]
        progress = ["--progress", str(self.home(folder) / PROGRESS)]
        if self.task == PREDICT:
            checkpoint = ["--checkpoint", str(self.checkpoint)]
            return [["predict", *data, *checkpoint, "--out", str(self.answers(folder)), *progress]]
        out = ["--out", str(self.evaluation(folder)), "--cache-dir", str(_features(folder, self.data))]
        return [["evaluate", str(self.checkpoint), *data, *out, *progress]]

    def begin(self, folder: Path) -> None:
        """See `app.runs.Work`: what the run is, and nothing of how far an earlier one came."""
        home = self.home(folder)
        home.mkdir(exist_ok=True)
        (home / PROGRESS).unlink(missing_ok=True)
        with replacing(home / RECORD) as part:
            part.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")

    def to_dict(self) -> dict[str, str]:
        """As plain values for JSON."""
        return {name: str(getattr(self, name)) for name in ("task", "data", "split", "checkpoint")}

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> OwnWork:
        """What `to_dict` told. Raises KeyError, TypeError or ValueError where that is not it."""
        if values["task"] not in TASKS:
            raise ValueError(values["task"])
        return cls(
            task=values["task"],
            data=Path(values["data"]),
            split=values["split"],
            checkpoint=Path(values["checkpoint"]),
        )


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        text: what is being done, or to which clip.
        left_seconds: None where that cannot be told yet.
    """

    done: int
    total: int
    text: str
    left_seconds: float | None


class OwnRuns(Runs):
    """The runs over one's own data, of this server and of earlier ones.

    Args:
        folder: that of this user by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(data_folder() / "own-data" if folder is None else folder)

    def start(self, choice: OwnWork) -> Run:
        """Begins a run, or goes on with one that ended. Raises RunError where it cannot."""
        if (current := self.current) is not None:
            raise RunError(f"“{current.choice.title}” goes on; wait for it, or cancel it first.")
        return super().start(choice)

    def known(self, name: str) -> OwnWork | None:
        """What the run of a name is; None where there is none."""
        return _recorded(self.folder, name)

    def earlier(self) -> tuple[OwnWork, ...]:
        """All runs that there are, the latest first."""
        records = self.folder.glob(f"*/{RECORD}") if self.folder.is_dir() else ()
        with suppress(OSError):
            names = [path.parent.name for path in sorted(records, key=_when, reverse=True)]
            return tuple(found for name in names if (found := self.known(name)) is not None)
        return ()

    def progress(self, of: OwnWork) -> Progress | None:
        """How far a run is; None where nothing is known yet."""
        try:
            values = json.loads((of.home(self.folder) / PROGRESS).read_text(encoding="utf-8"))
            left = values["left_seconds"]
            return Progress(
                done=int(values["done"]),
                total=int(values["total"]),
                text=str(values["text"]),
                left_seconds=None if left is None else float(left),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self, of: OwnWork) -> None:
        """Deletes all that a run made; features of the data too, where no other run is of them.

        Raises:
            RunError: it goes on, or cannot be deleted.
        """
        if of.goes_on(self.state_of(of.name)):
            raise RunError(f"“{of.title}” goes on; cancel it first.")
        try:
            shutil.rmtree(of.home(self.folder))
            self.forget(of.name)
            if all(other.data != of.data for other in self.earlier()):
                shutil.rmtree(_features(self.folder, of.data), ignore_errors=True)
        except OSError as error:
            raise RunError(f"{of.home(self.folder)} cannot be removed ({error.strerror}).") from error


def finished_evaluations(folder: Path | None = None) -> dict[str, Path]:
    """Folders of the evaluations that runs made, by the name that pages offer them under.

    Those of data, or by checkpoints, of one name are told with the folders around these, and all of them: so
    that a link never comes to mean another one.
    """
    folder = data_folder() / "own-data" if folder is None else folder
    found = sorted(path.parent for path in folder.glob(f"evaluate-*/*/{INFO}"))
    named: dict[str, Path] = {}
    for path in found:
        name, alike = path.name, [other for other in found if other.name == path.name]
        works = [_recorded(folder, other.parent.name) for other in alike]
        if len(alike) > 1 and None not in works:
            work = works[alike.index(path)]
            data = _parted(folder_of(work.data), {folder_of(one.data) for one in works})
            checkpoint = _parted(work.checkpoint, {one.checkpoint for one in works})
            name = "".join((f"{data}/" * bool(data), name, f" ({checkpoint})" * bool(checkpoint)))
        named[free_name(path, named) if name in named else name] = path
    return named


def _recorded(folder: Path, name: str) -> OwnWork | None:
    """What the run of a name in the folder of all runs is; None where there is none."""
    if not _NAME.fullmatch(name):
        return None
    try:
        found = OwnWork.from_dict(json.loads((folder / name / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.name == name else None


def _parted(folder: Path, others: Collection[Path]) -> str:
    """The folders around one that part it from others of its name, as few as do; "" where there are none."""
    around = [other.parent.parts for other in others if other != folder]
    parts = folder.parent.parts
    for number in range(1, len(parts)):
        if all(other[-number:] != parts[-number:] for other in around):
            return "/".join(parts[-number:]) if around else ""
    return "/".join(parts) if around else ""


def left_in_words(seconds: float | None) -> str:
    """How long something still takes, roughly; "" where that is not known."""
    if seconds is None:
        return ""
    if seconds < 50:
        return "less than a minute left"
    if seconds < 90 * 60:
        return f"about {max(1, round(seconds / 60))} min left"
    return f"about {seconds / 3600:.1f} h left"


def sentence_of(state: str) -> str:
    """How a run that does not go on here stands."""
    return {
        "done": "is done.",
        "failed": "failed; the last lines of its log say why. What was done by then is kept: start it again "
        "once that is mended.",
        "stopped": "was cancelled, or ended with the app. What was done by then is kept, and starting it "
        "again goes on from there.",
        BROKEN_OFF: "broke off when the app or the machine ended. What was done by then is kept, and "
        "starting it again goes on from there.",
        ELSEWHERE: "goes on in a process that another app began, so it cannot be cancelled here.",
    }[state]


def _features(folder: Path, data: Path) -> Path:
    return folder / ".features" / hashlib.sha256(str(data).encode()).hexdigest()[:16]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:30].strip("-") or "data"


def _when(path: Path) -> float:
    return path.stat().st_mtime
