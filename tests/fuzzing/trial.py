"""Tries inputs in a process of its own, so that a crash, a hang or a flood of memory is seen and outlived."""

from __future__ import annotations

import base64
import json
import logging
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzzing.subjects import SUBJECTS, Case, write_files

MAX_SECONDS = 20.0
"""That one input may take; a valid one takes some hundredths of a second."""

ROOT = Path(__file__).parents[2]
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
    """The process, and the lines to it: cases in, one reply each out.

    Not one of `multiprocessing`: that would run the main module again, which Streamlit's tests replace.
    """

    def __init__(self) -> None:
        self._replies, reply = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzzing.trial", str(reply)],
            stdin=subprocess.PIPE,
            pass_fds=(reply,),
            cwd=ROOT,
        )
        os.close(reply)
        self._seen: set[tuple[str, bool]] = set()

    def try_one(self, case: Case, max_seconds: float) -> tuple[str, str]:
        # the first of a kind, and the first in the slow ways, wait for what they import
        way = case.kind, case.is_thorough
        limit = max_seconds if way in self._seen else START_SECONDS
        self._seen.add(way)
        files = {name: base64.b64encode(data).decode() for name, data in case.files.items()}
        order = {"kind": case.kind, "name": case.name, "files": files, "is_thorough": case.is_thorough}
        try:
            self._process.stdin.write(f"{json.dumps(order)}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # told below
        reply, deadline = b"", time.monotonic() + limit
        while not reply.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._replies], [], [], left)[0]:
                return "hangs", f"not done after {limit:g} s"
            part = os.read(self._replies, 65536)
            if not part:
                return "crashes", f"exit status {self._process.wait()}"
            reply += part
        kind, told = json.loads(reply)
        return kind, told

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        os.close(self._replies)


def main(replies: int) -> None:
    """Reads cases from the standard input and replies to each, as `_Worker` expects."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as root, os.fdopen(replies, "w") as out:
        for line in sys.stdin:
            case = json.loads(line)
            folder = Path(root) / case["name"]
            folder.mkdir()
            write_files(folder, {name: base64.b64decode(data) for name, data in case["files"].items()})
            print(json.dumps(_try(case["kind"], folder, case["is_thorough"])), file=out, flush=True)
            shutil.rmtree(folder)


def _try(kind: str, folder: Path, is_thorough: bool) -> tuple[str, str]:
    subject, before = SUBJECTS[kind], _peak_bytes()
    try:
        wrong = (subject.slowly(folder) if is_thorough else "") or subject.read(folder)
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


if __name__ == "__main__":
    main(int(sys.argv[1]))
