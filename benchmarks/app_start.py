"""Seconds until the app shows its first prediction, and the most memory that it holds.

    python benchmarks/app_start.py               # what README quotes

Predictions themselves are measured by `deepmsi bench speed`, clicks by `pages.py`.
"""

from __future__ import annotations

import os
import threading
import time

import psutil
from browsed_app import chromium, running_app

ANSWER = "section.answer"
"""What the Clip page shows once there is a prediction."""

SETTLE_SECONDS = 1


def main() -> None:
    """Measure once: a second start finds files in the system's cache."""
    with chromium() as browser, PeakMemory("app.cli", "app.server") as memory:
        page = browser.new_page()
        begin = time.perf_counter()
        with running_app() as address:
            listening = time.perf_counter() - begin
            page.goto(address)
            page.locator(ANSWER).first.wait_for(timeout=180_000)
            first = time.perf_counter() - begin
            # what the page still asks for belongs to its memory
            time.sleep(SETTLE_SECONDS)
    print(
        f"Listening after {listening:.1f} s, first prediction after {first:.1f} s, peak memory "
        f"{memory.mib:.0f} MiB; load {os.getloadavg()[0]:.1f}."
    )


class PeakMemory:
    """Samples the resident memory of the processes started here that run some modules, and their children.

    Attributes:
        mib: the largest sum seen.
    """

    def __init__(self, *modules: str) -> None:
        self.mib = 0.0
        self._modules = modules
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            found = set()
            for process in psutil.Process().children(recursive=True):
                try:
                    if set(self._modules) & set(process.cmdline()):
                        found |= {process, *process.children(recursive=True)}
                except psutil.NoSuchProcess:
                    continue
            self.mib = max(self.mib, sum(map(_resident, found)) / 2**20)


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
