"""What a run tells while it goes on: lines in the terminal, and curves for TensorBoard."""

from __future__ import annotations

import threading
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True)


class Curves:
    """Curves of a run, for `tensorboard --logdir FOLDER`. Where they cannot be written, a run goes without.

    Args:
        folder: made where it does not exist; None writes nothing.
        first_step: curves that an interrupted run wrote from there on are overwritten.
    """

    def __init__(self, folder: Path | None, first_step: int = 0) -> None:
        self._writer, self._folder = None, folder
        if folder is not None:
            # takes a second to import
            from torch.utils.tensorboard import SummaryWriter

            _hush_writers()
            try:
                self._writer = SummaryWriter(folder, purge_step=first_step)
            except OSError as error:
                self._give_up(error)

    def add(self, step: int, values: dict[str, float | None]) -> None:
        """One point of each curve; those without a value are passed over."""
        try:
            for name, value in values.items():
                if value is not None and self._writer is not None:
                    self._writer.add_scalar(name, value, step)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what is left."""
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        console.print(
            f"Curves are not kept in {self._folder} any more ({error.strerror or error}); the run goes on.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _hush_writers() -> None:
    """A thread of TensorBoard's that cannot write hands its error on, so its traceback tells nothing new."""
    before = threading.excepthook
    if getattr(before, "is_hushed", False):
        return

    def hook(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__name__ != "_AsyncWriterThread" or not isinstance(args.exc_value, OSError):
            before(args)

    hook.is_hushed = True
    threading.excepthook = hook


def epoch_bar(epoch: int, num_epochs: int, *, is_shown: bool) -> Progress:
    """A bar for the batches of an epoch, with the time left."""
    return Progress(
        TextColumn(f"Epoch {epoch + 1}/{num_epochs}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not is_shown,
    )
