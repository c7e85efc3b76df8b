"""What the commands share in a terminal: errors of one sentence, and a bar for long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(sentence: str) -> None:
    """Print the sentence on stderr and leave with code 1."""
    errors.print(f"Error: {escape(sentence)}", style="red")
    raise typer.Exit(1)


@contextmanager
def told() -> Iterator[None]:
    """Errors that are one sentence already are printed as such."""
    try:
        yield
    except Exception as error:
        # these take seconds to import, which a command that is refused early should not
        from core.checkpoint import CheckpointError
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
