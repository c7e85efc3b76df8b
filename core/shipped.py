"""The checkpoints that ship, and which of them answers when none is chosen."""

from __future__ import annotations

from pathlib import Path

from core.checkpoint_files import CONFIG, CheckpointError
from sample_data import CHECKPOINTS, CLIPS

FIRST, EVERYDAY = "full", "everyday"
"""Names of the shipped checkpoints that answer when none is chosen: on made clips, and on people's own."""


def shipped_checkpoints() -> dict[str, Path]:
    """Folders of the checkpoints that ship, by name; `FIRST` and `EVERYDAY` come first."""
    folders = {path.parent.name: path.parent for path in CHECKPOINTS.glob(f"*/{CONFIG}")}
    return {name: folders[name] for name in sorted(folders, key=lambda n: (n != FIRST, n != EVERYDAY, n))}


def default_checkpoint(*, own: bool = False) -> Path:
    """The shipped checkpoint for made clips, or for people's own. Raises CheckpointError where none ships."""
    shipped = shipped_checkpoints()
    if not shipped:
        raise CheckpointError("No checkpoint ships with this copy; give the folder of one.")
    return shipped[EVERYDAY] if own and EVERYDAY in shipped else next(iter(shipped.values()))


def checkpoint_for(*clips: str | Path) -> Path:
    """The shipped checkpoint that answers for clips: the one for made clips only where all of them ship.

    Raises:
        CheckpointError: where none ships.
    """
    return default_checkpoint(own=not all(Path(clip).resolve().is_relative_to(CLIPS) for clip in clips))
