"""What a run tells while it goes on: lines in the terminal, and curves for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True)


class Curves:
    """Curves of a run, for `tensorboard --logdir FOLDER`.

    Args:
        folder: made where it does not exist; None writes nothing.
        first_step: curves that an interrupted run wrote from there on are overwritten.
    """

    def __init__(self, folder: Path | None, first_step: int = 0) -> None:
        self._writer = None
        if folder is not None:
            # takes a second to import
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(folder, purge_step=first_step)

    def add(self, step: int, values: dict[str, float | None]) -> None:
        """One point of each curve; those without a value are passed over."""
        if self._writer is not None:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


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
