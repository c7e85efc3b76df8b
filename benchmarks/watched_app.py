"""What the app holds while it runs: memory, threads, files and work, for the scripts that load it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

MIB = 2**20
REST_SHARE = 0.05
"""Of one processor: the app looks now and then whether a session has ended, so it is never wholly still."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the app holds at a moment.

    Attributes:
        seconds: since the watch began.
        server_mib: resident memory of the server.
        readers_mib: of the processes that decode files, all together; pages that they share with each other
            are counted by each.
        num_readers: how many these are.
        num_threads: of the server.
        num_open: its open files and connections.
    """

    seconds: float
    server_mib: float
    readers_mib: float
    num_readers: int
    num_threads: int
    num_open: int


class Watch:
    """Watches the app that this process has started.

    Args:
        temporary: the folder in which its sessions put their files.

    Attributes:
        samples: one a second.
    """

    def __init__(self, temporary: Path) -> None:
        self.samples: list[Held] = []
        self._temporary = temporary
        self._begin = time.monotonic()
        everything = psutil.Process().children(recursive=True)
        self._server = next(one for one in everything if "app.server" in one.cmdline())

    @property
    def is_running(self) -> bool:
        """Whether the server still does."""
        return self._server.is_running() and self._server.status() != psutil.STATUS_ZOMBIE

    def now(self) -> Held:
        """What it holds."""
        readers = self._server.children(recursive=True)
        sizes = []
        for reader in readers:
            # it may just have ended
            with suppress(psutil.NoSuchProcess):
                sizes.append(reader.memory_info().rss / MIB)
        return Held(
            seconds=time.monotonic() - self._begin,
            server_mib=self._server.memory_info().rss / MIB,
            readers_mib=sum(sizes),
            num_readers=len(sizes),
            num_threads=self._server.num_threads(),
            num_open=self._server.num_fds(),
        )

    async def keep(self) -> None:
        """Takes samples until it is cancelled."""
        while True:
            with suppress(psutil.NoSuchProcess):
                self.samples.append(self.now())
            await asyncio.sleep(1)

    def growth(self, begin: float, end: float) -> float | None:
        """How much more it holds in the minute before `end` than in the one after `begin`, as a share.

        Both in seconds since it is watched; None where the two minutes are not apart.
        """
        if end - begin < 120:
            return None
        held = [(sample.seconds, sample.server_mib + sample.readers_mib) for sample in self.samples]
        first = [mib for seconds, mib in held if begin <= seconds < begin + 60]
        last = [mib for seconds, mib in held if end - 60 <= seconds < end]
        return float(np.median(last) / np.median(first) - 1)

    def files(self) -> list[Path]:
        """Of all sessions."""
        return sorted(path for path in self._temporary.rglob("*") if path.is_file())

    async def rest(self, max_seconds: float) -> float | None:
        """Seconds until the server does nothing any more; None where it still works after `max_seconds`."""
        begin = time.monotonic()
        while time.monotonic() - begin < max_seconds:
            spent = sum(self._server.cpu_times()[:2])
            await asyncio.sleep(2)
            if sum(self._server.cpu_times()[:2]) - spent < 2 * REST_SHARE:
                return time.monotonic() - begin
        return None

    def table(self) -> str:
        """Memory, threads and open files in Markdown: at the begin, at every minute, and at the end."""
        lines = [
            "| minute | server, MiB | readers, MiB (number) | threads | open files |",
            "|---|---|---|---|---|",
        ]
        chosen, wanted = [], 0.0
        for sample in self.samples:
            if sample.seconds >= wanted:
                chosen.append(sample)
                wanted = 60 * (sample.seconds // 60 + 1)
        if self.samples and chosen[-1] is not self.samples[-1]:
            chosen.append(self.samples[-1])
        lines += [
            f"| {one.seconds / 60:.1f} | {one.server_mib:.0f} | {one.readers_mib:.0f} ({one.num_readers}) | "
            f"{one.num_threads} | {one.num_open} |"
            for one in chosen
        ]
        return "\n".join(lines)
