"""Kills a command at a moment, looks at what it left, and has it go on to what an undisturbed one makes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.crashing.launcher import Launcher
from tests.crashing.subjects import SUBJECTS, Subject, content, contents, make_given

UNFINISHED = (".part", ".new", ".tmp", "-journal", "-wal")
"""What the names of unfinished files end in."""

AGAIN_SHARE = 0.25
"""Of the kills that are followed by another one, in the run that goes on."""

AIMED_SHARE = 0.3
"""Of the kills that wait for an unfinished file to be there, for writing is a small part of most work."""

ALONE_SHARE = 0.3
"""Of the kills that end the main process and leave its children to themselves."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What must not happen, and the trial in which it did."""

    name: str
    what: str


@dataclass(kw_only=True)
class Outcome:
    """Of many trials of one kind.

    Attributes:
        seconds: that an undisturbed command takes.
        counts: kills, and commands that had ended before they were killed. "in the act" are kills that left
            an unfinished file.
        moments: of the kills, in seconds.
    """

    seconds: float
    counts: Counter = field(default_factory=Counter)
    moments: list[float] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class Bench:
    """A place for trials: inputs, a launcher, and what undisturbed commands make."""

    def __init__(self, folder: Path, recordings: Sequence[Path] = ()) -> None:
        self.given, self._folder = folder / "given", folder
        make_given(self.given, recordings)
        self.launcher = Launcher()

    def place(self, name: str) -> Path:
        """A fresh folder for a command to work in."""
        place = self._folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place

    def start(self, subject: Subject, place: Path, *, again: bool = False, **how):
        """Begin the command of a subject, or go on with it."""
        arguments = [*subject.arguments(self.given, place), *(subject.again if again else ())]
        environment = {"DEEPMSI_CACHE_DIR": str(place / "kept"), "DEEPMSI_DATA_DIR": str(place)}
        return self.launcher.start(
            *arguments, log=place / "log", function=subject.function, environment=environment, **how
        )

    def undisturbed(self, subject: Subject) -> tuple[dict[str, object], float]:
        """What the command makes, and how many seconds it takes."""
        place = self.place("undisturbed")
        subject.before(self.given, place)
        began = time.monotonic()
        started = self.start(subject, place)
        if started.wait() != 0:
            raise RuntimeError(f"undisturbed, it fails: {started.said[-2000:]}")
        return contents(place), time.monotonic() - began

    def try_kills(
        self, kind: str, num: int, seed: int, *, subject: Subject | None = None, num_first: int = 2
    ) -> Outcome:
        """As many kills of a kind, at moments spread over the length of an undisturbed command.

        Args:
            kind: of `SUBJECTS`; any name where `subject` is given.
            num: of kills.
            seed: draws the moments.
            num_first: undisturbed commands before that, which have to make the same. The first reads files
                from a cold disk, so that its length says little.
        """
        subject = subject or SUBJECTS[kind]
        expected, seconds = self.undisturbed(subject)
        for _ in range(num_first - 1):
            first = expected
            expected, seconds = self.undisturbed(subject)
            if expected != first:
                raise RuntimeError(f"undisturbed, it differs from run to run: {_difference(expected, first)}")
        found, random = Outcome(seconds=seconds), np.random.default_rng(seed)
        # one in each part of the length, in random order
        parts = random.permutation(num)
        number = missed = 0
        while found.counts["killed"] < num and number < 3 * num + 6:
            # a machine that was busy before may be quicker now
            moment = seconds * (parts[number % num] + random.random()) / num / 2**missed
            killed = found.counts["killed"]
            what = self._try(subject, expected, moment, random, found)
            if what:
                found.faults.append(Fault(name=f"{kind}-{seed}-{number}", what=f"at {moment:.2f} s: {what}"))
            missed = 0 if found.counts["killed"] > killed else missed + 1
            number += 1
        return found

    def _try(
        self,
        subject: Subject,
        expected: dict[str, object],
        moment: float,
        random: np.random.Generator,
        found: Outcome,
    ) -> str:
        """What is wrong after a kill, "" for nothing."""
        place = self.place("killed")
        subject.before(self.given, place)
        before = {name: _look(place / name) for name in subject.results}
        after = {name: _look(self._folder / "undisturbed" / name) for name in subject.results}
        is_again = False
        while True:
            started = self.start(subject, place, again=is_again)
            is_alone = random.random() < ALONE_SHARE
            aim = {"until": lambda: _is_writing(place)} if random.random() < AIMED_SHARE else {}
            if started.kill_after(moment, is_alone=is_alone, **aim):
                found.counts["killed"] += 1
                found.counts["in the act"] += _is_writing(place)
                found.counts["killed alone"] += is_alone
                found.moments.append(moment)
            else:
                found.counts["ended before"] += 1
                if started.code != 0:
                    return f"it ended with {started.code}: {started.said[-1500:]}"
            for name in subject.results:
                if _look(place / name) not in (before[name], after[name]):
                    return f"{name} is half of a result"
            if wrong := subject.look(place):
                return wrong
            is_again = True
            if random.random() >= AGAIN_SHARE:
                break
            moment *= random.random()
        goes_on = self.start(subject, place, again=True)
        if goes_on.wait() != 0:
            return f"it does not go on: {goes_on.said[-1500:]}"
        if orphans := started.orphans():
            return f"processes outlive it: {'; '.join(orphans)}"
        if "Traceback" in goes_on.said:
            return f"it says more than a sentence: {goes_on.said[-1500:]}"
        made = contents(place)
        return "" if made == expected else f"another result: {_difference(made, expected)}"


@contextmanager
def bench(recordings: Sequence[Path] = ()) -> Iterator[Bench]:
    """A bench in a folder of its own; its clips are made, or copies of recordings."""
    with tempfile.TemporaryDirectory(prefix="crashing-") as folder:
        made = Bench(Path(folder), recordings)
        try:
            yield made
        finally:
            made.launcher.close()


def _is_writing(place: Path) -> bool:
    """Whether an unfinished file or folder lies there, as every writer leaves it until it is whole."""
    return any(name.endswith(UNFINISHED) for _, folders, files in os.walk(place) for name in folders + files)


def _look(path: Path) -> object:
    """What is there; None for nothing, and an error where it cannot be read."""
    try:
        return content(path) if path.exists() else None
    except Exception as error:  # noqa: BLE001, whatever a half of a file is refused by
        return f"unreadable: {error}"


def _difference(a: dict[str, object], b: dict[str, object]) -> str:
    if more := sorted(a.keys() - b.keys()):
        return f"{', '.join(more[:5])} is left lying"
    if fewer := sorted(b.keys() - a.keys()):
        return f"{', '.join(fewer[:5])} is missing"
    return f"{', '.join([name for name in a if a[name] != b[name]][:5])} differs"
