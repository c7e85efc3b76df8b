"""Texts, and tables in text, that may come from anyone: how large a file is, is seen before it is read."""

from __future__ import annotations

import stat
from pathlib import Path

from core.media.limits import MIB

MAX_TEXT_BYTES = 16 * MIB
"""Of a description, such as a configuration or figures; the largest that ships has 0.3 MiB."""


def require_size(
    path: Path, refusal: type[Exception], remedy: str, *, max_bytes: int = MAX_TEXT_BYTES
) -> None:
    """Check that a file is a regular one, and not larger than is read.

    Without this, a name that leads to a device would be read for ever, and a file with a hole, which takes
    no room on the disk or in a packed download, would fill the memory.

    Args:
        path: of the file, links followed.
        refusal: what is raised in place of reading it.
        remedy: what to do about it, with which the sentence ends.
        max_bytes: that it may have.

    Raises:
        refusal: in one sentence, with the file, its size, what is allowed, and the remedy.
        OSError: it is not there, or may not be looked at.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise refusal(f"{path} is not a regular file; {remedy}.")
    if status.st_size > max_bytes:
        raise refusal(f"{path} has {status.st_size:,} bytes, more than the allowed {max_bytes:,}; {remedy}.")
