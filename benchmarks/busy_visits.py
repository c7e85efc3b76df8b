"""Whether a busy browser shows what the server sent last: visits to the Clip page beside busy loops.

    python benchmarks/busy_visits.py                         # what docs quote
    python benchmarks/busy_visits.py --num 6 --loops 1

On a machine with more work than cores the page is drawn anew before the browser drew it the first time. Each
visit is a session of its own, to a clip whose explanations an earlier one had computed. Counted are the
visits on which, so many seconds after the answer, the box of words is not the clip's own, or the timeline
still says that something is being computed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

from browsed_app import chromium, running_app, wait_for_rest
from playwright.sync_api import Page

from app.clips import shipped_clips

PATIENCE_SECONDS = 20
COMING = "being computed"


def main() -> None:
    """Visits, and says how many went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=22, help="visits")
    parser.add_argument("--loops", type=int, default=3, help="busy loops beside them")
    options = parser.parse_args()
    clip = shipped_clips()[0]
    without_words = outdated = 0
    with running_app() as address, chromium() as browser:
        # everything is computed once, without haste
        visit(browser.new_context().new_page(), f"{address}?clip={clip.key}", seconds=600)
        with busy(options.loops):
            for _ in range(options.num):
                context = browser.new_context()
                page = context.new_page()
                visit(page, f"{address}?clip={clip.key}", seconds=PATIENCE_SECONDS)
                without_words += page.locator("textarea:visible").input_value() != clip.transcript
                outdated += page.get_by_text(COMING).count() > 0
                context.close()
    beside = f"{options.num} visits beside {options.loops} busy loops"
    print(f"{beside}: {without_words} with other words in the box, {outdated} with outdated explanations.")


def visit(page: Page, address: str, *, seconds: float) -> None:
    """Opens a page and waits until it shows all, as long as that is worth waiting for."""
    page.set_default_timeout(180_000)
    page.goto(address)
    page.wait_for_selector(".emotion strong")
    wait_for_rest(page)
    deadline = time.monotonic() + seconds
    while page.get_by_text(COMING).count() and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    wait_for_rest(page)


@contextmanager
def busy(num_loops: int) -> Iterator[None]:
    """Processes that do nothing as fast as they can."""
    loops = [multiprocessing.Process(target=spin, daemon=True) for _ in range(num_loops)]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()


def spin() -> None:
    """Never ends."""
    while True:
        pass


if __name__ == "__main__":
    main()
