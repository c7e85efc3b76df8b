"""What the commands share in a terminal: errors of one sentence, and a bar for long work."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

OF_TRAINING = ("accelerate", "tensorboard")
INSTALL_HINT = 'run `pip install "deepmsi-mer-explorer[train]"` (in a checkout: `pip install -e ".[train]"`)'

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(sentence: str) -> None:
    """Print the sentence on stderr and leave with code 1."""
    errors.print(f"Error: {escape(sentence)}", style="red")
    raise typer.Exit(1)


def sentence_of_disk(error: Exception, place: object) -> str | None:
    """What to tell where the disk or the rights of a place are to blame for an error; else None."""
    from core.writing import ELSEWHERE, NOT_PERMITTED, NOT_WRITABLE

    number = getattr(error, "errno", None)
    if number in NOT_PERMITTED:
        return f"{place} cannot be used ({error.strerror}); give yourself the rights, or name another place."
    return f"{place} cannot be written ({error.strerror}); {ELSEWHERE}." if number in NOT_WRITABLE else None


@contextmanager
def told() -> Iterator[None]:
    """Errors that are one sentence already are printed as such; so is what the disk refuses."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in OF_TRAINING:
            fail(f"Training and evaluating need the package {error.name}; {INSTALL_HINT}.")
        place = getattr(error, "filename", None)
        if place is not None and (sentence := sentence_of_disk(error, place)) is not None:
            fail(sentence)
        # these take seconds to import, which a command that is refused early should not
        from core.checkpoint_files import CheckpointError
        from core.encoders.backbones import BackboneError
        from core.evaluation.artifact import EvaluationError
        from core.media.clip import MediaError
        from sample_data.corpus.errors import CorpusError
        from training.datasets.manifest import DataError
        from training.state import RunStopped

        known = (
            MediaError,
            CheckpointError,
            BackboneError,
            EvaluationError,
            DataError,
            CorpusError,
            RunStopped,
        )
        if isinstance(error, known):
            fail(str(error))
        raise


@contextmanager
def progress_bar(*, is_long: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr that goes away when the work is done; yields `update(done, total, text)`.

    Where stderr is no terminal, as in a log, long work writes a line at every tenth and other work nothing.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if not errors.is_terminal:
        yield _Log() if is_long else lambda done, total, text: None
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, text: bar.update(
            task, completed=done, total=total, description=escape(text)
        )


@contextmanager
def progress_file(path: Path | None) -> Iterator[Callable[[int, int, str], None]]:
    """Tells how far work is in a file, for a program that looks: yields `update(done, total, text)`.

    The file holds a JSON object: `done`, `total`, `text`, `left_seconds` (null while nothing is known) and
    `at`, the time in seconds since 1970. It is always whole. None writes none.
    """
    yield (lambda done, total, text: None) if path is None else _ProgressFile(path)


class _ProgressFile:
    """Writes at most twice a second; the time left is told from the speed of the last half minute."""

    _SECONDS = 0.5
    _WINDOW_SECONDS = 30.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = -self._SECONDS
        self._of: int | None = None
        self._marks: deque[tuple[float, int]] = deque()

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if total != self._of or (self._marks and done < self._marks[-1][1]):
            # another stage of the work
            self._marks.clear()
            self._of, self._last = total, -self._SECONDS
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._WINDOW_SECONDS:
            self._marks.popleft()
        if now - self._last < self._SECONDS and done < total:
            return
        self._last = now
        begin, first = self._marks[0]
        left = None if done == first else (now - begin) * (total - done) / (done - first)
        values = {"done": done, "total": total, "text": text, "left_seconds": left, "at": time.time()}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_name(f"{self._path.name}.new")
            fresh.write_text(json.dumps(values), encoding="utf-8")
            os.replace(fresh, self._path)
        except OSError as error:
            fail(f"{self._path} cannot be written ({error.strerror}); choose another file.")


class _Log:
    """One line for every tenth of the work, with the time left as it looks then."""

    def __init__(self) -> None:
        self._begin: tuple[float, int] | None = None
        self._tenth = 0

    def __call__(self, done: int, total: int, text: str) -> None:
        # what an earlier run had done says nothing of the speed
        now = time.monotonic()
        begin_seconds, begin_done = self._begin = self._begin or (now, done)
        tenth = 10 * done // max(1, total)
        if tenth <= self._tenth or done <= begin_done:
            return
        self._tenth = tenth
        left = (now - begin_seconds) * (total - done) / (done - begin_done)
        errors.print(f"{done} of {total}, {left / 60:.1f} min left")
