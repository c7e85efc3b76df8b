"""A folder that one run at a time writes to, and that says what it is for.

What lies there belongs to one description; a run of another is refused rather than mixed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.writing import replacing
from sample_data.corpus.errors import CorpusError

GENERATOR = 2
"""Version of the generator: raised with every change by which the same description gives other bytes."""


@contextmanager
def claimed(folder: Path, file: str, description: Mapping[str, Any], *, what: str) -> Iterator[None]:
    """Hold a folder for one run, and from now on for one description, while the block writes to it.

    Args:
        folder: is made if it is not there.
        file: name of the file in it that keeps the description and the generator's version.
        description: everything else that decides the bytes of what is made; plain containers.
        what: is made there, in the plural, for messages.

    Raises:
        CorpusError: if another run holds the folder, it holds something else, or it cannot be written, by the
            block either.
    """
    lock = (folder / file).with_suffix(".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=0):
            try:
                _describe(folder / file, {"generator": GENERATOR, **description}, lock, what)
                yield
            finally:
                lock.unlink(missing_ok=True)
    except Timeout as error:
        raise CorpusError(
            f"Another run is making {what} in {folder}; wait for it, or choose another folder."
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{error.filename or folder} cannot be written ({error.strerror or error}); make room or choose "
            "another folder, then run the same command again: it goes on from there."
        ) from error


def _describe(path: Path, description: dict[str, Any], lock: Path, what: str) -> None:
    """Write down what the folder is for, or check that it is for this."""
    text = json.dumps(description, indent=1) + "\n"
    folder = path.parent
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CorpusError(f"{path} is damaged; remove the folder and run the same command again.")
        # as it would be read: tuples are lists there
        for name, value in json.loads(text).items():
            if name not in found or found[name] != value:
                raise CorpusError(
                    f"{folder} holds other {what} ({name} is {found.get(name, 'unknown')}, not {value}); "
                    "choose another folder, or remove this one."
                )
        return
    # what a kill may leave before the description is there
    ours = {lock.name, f"{path.name}.part"}
    if any(found.name not in ours for found in folder.iterdir()):
        raise CorpusError(
            f"{folder} is not empty and has no {path.name}, so that it is not known what is in it; choose an "
            "empty or new folder."
        )
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
