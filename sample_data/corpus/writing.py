"""Files that appear in one step, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, is_shared: bool = False) -> Iterator[Path]:
    """Give a path to write to; when all went well, what lies there takes the place of `path`.

    Args:
        path: what is to appear.
        is_shared: other processes may write the same file at the same time, so each needs a name of its own;
            otherwise what a kill left half written is written over by the next try.
    """
    mark = f".{uuid.uuid4().hex}" if is_shared else ""
    part = path.with_name(f"{path.name}{mark}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
