"""Tries inputs in a process of its own, so that a crash, a hang or a flood of memory is seen and outlived."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzzing.subjects import SUBJECTS, Case

MAX_SECONDS = 20.0
"""That one input may take; a valid one takes some hundredths of a second."""

START_SECONDS = 120.0
MAX_GROWTH_BYTES = 512 * 1024**2
"""That the process may grow by over one input."""

MAX_SENTENCE = 700

READ, REFUSED = "read", "refused"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What must not happen, and the input that made it happen."""

    case: Case
    what: str


@dataclass(kw_only=True)
class Outcome:
    """Of many trials.

    Attributes:
        counts: how many were read, and how many refused.
        faults: what went wrong.
        sentences: of the refusals.
    """

    counts: Counter = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def try_all(cases: Iterable[Case], *, max_seconds: float = MAX_SECONDS) -> Outcome:
    """Reads every input as the product would."""
    found, worker = Outcome(), None
    for case in cases:
        worker = worker or _Worker()
        kind, told = worker.try_one(case, max_seconds)
        if kind in (READ, REFUSED):
            found.counts[kind] += 1
            found.sentences += [told] if told else []
            continue
        found.faults.append(Fault(case=case, what=f"{kind}: {told}"))
        worker.kill()
        worker = None
    if worker is not None:
        worker.kill()
    return found


class _Worker:
    """The process, and the line to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._line.recv()
        self._seen: set[str] = set()

    def try_one(self, case: Case, max_seconds: float) -> tuple[str, str]:
        # the first of a kind waits for what it imports
        limit = max_seconds if case.kind in self._seen else START_SECONDS
        self._seen.add(case.kind)
        self._line.send(case)
        if not self._line.poll(limit):
            return "hangs", f"not done after {limit:g} s"
        try:
            return self._line.recv()
        except EOFError:
            self._process.join(5)
            return "crashes", f"exit status {self._process.exitcode}"

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._line.close()


def _work(line: Connection) -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as root:
        line.send("ready")
        while True:
            case: Case = line.recv()
            folder = Path(root) / case.name
            folder.mkdir()
            for name, data in case.files.items():
                (folder / name).write_bytes(data)
            line.send(_try(case.kind, folder))
            shutil.rmtree(folder)


def _try(kind: str, folder: Path) -> tuple[str, str]:
    subject, before = SUBJECTS[kind], _peak_bytes()
    try:
        wrong = subject.read(folder)
    except Exception as error:  # whatever is not a refusal is what is looked for
        if type(error).__name__ not in subject.refusals:
            return "raises", f"{type(error).__name__}: {error}"
        outcome = REFUSED, str(error)
        if not _is_a_sentence(outcome[1]):
            return "does not tell it in a sentence", outcome[1]
    else:
        if wrong:
            return "gives what cannot be", wrong
        outcome = READ, ""
    grown = _peak_bytes() - before
    if grown > MAX_GROWTH_BYTES:
        return "floods memory", f"{grown / 1024**2:.0f} MiB more"
    return outcome


def _is_a_sentence(told: str) -> bool:
    return told.endswith((".", ")")) and "\n" not in told and len(told) < MAX_SENTENCE


def _peak_bytes() -> int:
    # kilobytes on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
