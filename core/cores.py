"""How many cores of the processor this process may use."""

from __future__ import annotations

import os
from pathlib import Path

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container's share of the processor (control groups, version 2)."""


def usable_cores() -> int:
    """Of the machine's cores those on which this process may run, and no more than its container's share."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (CONTROL_GROUP / "cpu.max").read_text(encoding="ascii").split()
        share = int(quota) // int(period)
    except (OSError, ValueError):  # there are none, or "max": no limit
        share = cores
    return max(1, min(cores, share))
