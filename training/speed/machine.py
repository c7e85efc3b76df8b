"""The machine on which figures were taken, as far as they depend on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What figures depend on beside the code.

    Attributes:
        load_before / load_after: processes that wanted to run, the mean of a minute, when measuring began and
            when it ended.
    """

    processor: str
    num_cores: int
    python: str
    versions: dict[str, str]
    load_before: float
    load_after: float

    @property
    def sentence(self) -> str:
        """For the heading of a table."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.processor}, {self.num_cores} cores, Python {self.python}, {versions}. The machine's load "
            f"was {self.load_before:.1f} at the beginning and {self.load_after:.1f} at the end, of which the "
            "measuring itself is one or two."
        )


def load() -> float:
    """Processes that want to run, the mean of a minute; NaN where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def this_machine(load_before: float, cores: int) -> Machine:
    """This one, now, of which so many cores may be used."""
    return Machine(
        processor=_processor(),
        num_cores=cores,
        python=platform.python_version(),
        versions={name: metadata.version(name) for name in ("torch", "timm", "transformers", "av")},
        load_before=load_before,
        load_after=load(),
    )


@contextmanager
def using_cores(number: int) -> Iterator[None]:
    """In the block, torch has so many threads, and threads that are started then share so many cores.

    Blocks should come with rising numbers: a thread that was started for one core stays there.
    """
    before, allowed = torch.get_num_threads(), None
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(allowed)[:number])
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if allowed is not None:
            os.sched_setaffinity(0, allowed)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    found = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())
