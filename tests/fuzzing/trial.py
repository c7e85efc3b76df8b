"""Tries files in a process of its own, so that a crash, a hang or a flood of memory is seen and outlived."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests.fuzzing.mutations import Case

MAX_SECONDS = 20.0
"""That one file may take; a valid one takes some hundredths of a second."""

MAX_GROWTH_BYTES = 512 * 1024**2
"""That the process may grow by over one file."""

MAX_SENTENCE = 400
NUM_FRAMES = 8

READ, REFUSED = "read", "refused"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What must not happen, and the file that made it happen."""

    case: Case
    what: str


def try_all(
    cases: Iterable[Case], *, max_seconds: float = MAX_SECONDS
) -> tuple[Counter, list[Fault], list[str]]:
    """Opens and decodes every file as the app would.

    Returns:
        How many were read and how many refused; what went wrong; and the sentences of the refusals.
    """
    outcomes, faults, sentences = Counter(), [], []
    worker = None
    for case in cases:
        worker = worker or _Worker()
        kind, told = worker.try_one(case, max_seconds)
        if kind in (READ, REFUSED):
            outcomes[kind] += 1
            sentences += [told] if told else []
            continue
        faults.append(Fault(case=case, what=f"{kind}: {told}"))
        worker.kill()
        worker = None
    if worker is not None:
        worker.kill()
    return outcomes, faults, sentences


class _Worker:
    """The process, and the line to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        other.close()
        # it has imported all it needs
        self._line.recv()

    def try_one(self, case: Case, max_seconds: float) -> tuple[str, str]:
        self._line.send(case)
        if not self._line.poll(max_seconds):
            return "hangs", f"not done after {max_seconds:g} s"
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
    from core.media import open_clip  # noqa: F401  imported before time is taken

    with tempfile.TemporaryDirectory() as folder:
        line.send("ready")
        while True:
            case: Case = line.recv()
            path = Path(folder) / case.name
            path.write_bytes(case.data)
            line.send(_try(path))
            path.unlink()


def _try(path: Path) -> tuple[str, str]:
    from core.media import MediaError, decode, open_clip

    before = _peak_bytes()
    try:
        clip = open_clip(path)
        media = decode(clip, num_frames=NUM_FRAMES)
    except MediaError as error:
        outcome = REFUSED, str(error)
        if not _is_a_sentence(outcome[1], path.name):
            return "does not tell it in a sentence", outcome[1]
    except Exception as error:  # anything else is what is looked for
        return "raises", f"{type(error).__name__}: {error}"
    else:
        outcome = READ, ""
        if wrong := _what_is_wrong(clip, media):
            return "gives what cannot be", wrong
    grown = _peak_bytes() - before
    if grown > MAX_GROWTH_BYTES:
        return "floods memory", f"{grown / 1024**2:.0f} MiB more"
    return outcome


def _is_a_sentence(told: str, name: str) -> bool:
    return told.startswith(name) and told.endswith(".") and "\n" not in told and len(told) < MAX_SENTENCE


def _what_is_wrong(clip, media) -> str:
    """What a model could not work with; "" where all is as promised."""
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
        return (
            f"a waveform {waveform.shape} with {np.sum(~np.isfinite(waveform))} samples that are no numbers"
        )
    return ""


def _peak_bytes() -> int:
    # kilobytes on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
