"""How much memory this process may still take, and how it gives back what it no longer holds."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path

from core import cores

MEMORY = Path("/proc/meminfo")
"""Where Linux tells what the machine can still give."""


def free_bytes() -> int | None:
    """What the machine can give without writing to its disk, and no more than its container may have.

    None where neither is told, as on systems other than Linux.
    """
    told = [one for one in (_of_the_machine(), _of_the_container()) if one is not None]
    return min(told, default=None)


def _of_the_machine() -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", MEMORY.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else int(found[1]) * 1024


def _of_the_container() -> int | None:
    group = cores.CONTROL_GROUP
    try:
        most = int((group / "memory.max").read_text(encoding="ascii"))
        held = int((group / "memory.current").read_text(encoding="ascii"))
        # files that were read count as held, and are let go where the memory is wanted
        files = re.search(
            r"^inactive_file (\d+)$", (group / "memory.stat").read_text(encoding="ascii"), re.MULTILINE
        )
    except (OSError, ValueError):  # there is no container, or "max": no limit
        return None
    return max(0, most - held + (int(files[1]) if files else 0))


def release_free_memory() -> None:
    """Gives what was freed back to the system, where the C library can (glibc; elsewhere nothing is done).

    An explanation asks the network with batches of many sizes, and what the C library keeps in the gaps
    between them is several times what is held. This takes some 0.1 s, so it is for when nothing else waits.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim():
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or a system that is not asked like this
        return None
