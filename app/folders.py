"""Where the app keeps what people make with it."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "DEEPMSI_DATA_DIR"
"""Environment variable that names another folder for notes and training runs."""


def data_folder() -> Path:
    """The folder of this user: `DEEPMSI_DATA_DIR`, or else one in the user's data folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "deepmsi"
