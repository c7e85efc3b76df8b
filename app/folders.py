"""Where the app keeps what people make with it."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

VARIABLE = "DEEPMSI_DATA_DIR"
"""Environment variable that names another folder for notes and training runs."""


def data_folder() -> Path:
    """The folder of this user: `DEEPMSI_DATA_DIR`, or else one in the user's data folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "deepmsi"


def free_name(folder: Path, taken: Collection[str]) -> str:
    """A folder's name, with as many of the folders around it as it takes to differ from those taken."""
    parts = folder.parts
    names = ("/".join(parts[-number:]) for number in range(1, len(parts)))
    return next((name for name in names if name not in taken), str(folder))
