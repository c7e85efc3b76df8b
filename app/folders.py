"""Where the app keeps what people make with it."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

VARIABLE = "DEEPMSI_DATA_DIR"
"""Environment variable that names another folder for notes and training runs."""


def data_folder() -> Path:
    """The folder of this user: `DEEPMSI_DATA_DIR`, or else one in the user's data folder.

    Resolved, so that paths inside it may be compared.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_DATA_HOME")
    return ((Path(base) if base else Path.home() / ".local" / "share") / "deepmsi").resolve()


def make_closed(folder: Path) -> None:
    """Makes a folder in the data folder, or the data folder itself, closed to other users.

    It tells of people in clips, and what is thought of them. Where it is there already it is closed too, but
    for a data folder that `DEEPMSI_DATA_DIR` names: what else somebody keeps there is not known.

    Raises:
        OSError: it cannot be made, or belongs to another user.
    """
    top = data_folder()
    for place in (top, folder) if folder.is_relative_to(top) else (folder,):
        is_named = place == top and os.environ.get(VARIABLE) and place.is_dir()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        if not is_named and place.stat().st_mode & 0o077:
            place.chmod(0o700)


def free_name(folder: Path, taken: Collection[str]) -> str:
    """A folder's name, with as many of the folders around it as it takes to differ from those taken."""
    parts = folder.parts
    names = ("/".join(parts[-number:]) for number in range(1, len(parts)))
    return next((name for name in names if name not in taken), str(folder))
