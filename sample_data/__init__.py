"""What the project ships: made clips, a checkpoint and the small backbones it needs."""

from pathlib import Path

SAMPLE_DATA = Path(__file__).resolve().parent
BACKBONES = SAMPLE_DATA / "backbones"
CHECKPOINTS = SAMPLE_DATA / "checkpoints"
CLIPS = SAMPLE_DATA / "clips"
DEMO = CLIPS / "demo"
"""The made clips that the app offers; beside it in `CLIPS`, those that evaluations refer to."""


def is_shipped(path: Path) -> bool:
    """Whether a file is one of the clips that ship, and so no stranger's."""
    return path.resolve().is_relative_to(CLIPS)
