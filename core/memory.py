"""How much memory this process may still take."""

from __future__ import annotations

import re
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
