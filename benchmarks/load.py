"""Many people at once: browser sessions that work with one app, and whether each sees its own answers.

    python benchmarks/load.py                             # 20 sessions, ten minutes: docs/reliability.md
    python benchmarks/load.py --light 16                  # four of them in browsers, sixteen without
    python benchmarks/load.py --sessions 6 --minutes 2
    python benchmarks/load.py --files recordings/         # they upload these in place of made clips

Every session is a browser context of its own, or, as browsers take far more of the machine than the server, a
connection of the kind that a browser opens. A visitor chooses sample clips, uploads files (everybody's has
the same name), asks about other emotions, waits for explanations, goes to other pages, and leaves after a
while, by chance in the middle of something; then the next one comes. Every answer that a page shows has to be
that of a predictor asked alone, with each probability. Once all have left, none of their files may be left
after the app's own time limit, and no work; and the memory of the app may not grow on and on. Exit code 1
where anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
from browsed_app import FLAGS, path_of_chromium, running_app
from light_visitors import LightVisitor
from playwright.async_api import Browser, async_playwright
from visitors import MAX_SECONDS, Alone, Found, Visitor
from watched_app import Watch

from app.clips import shipped_clips, transcript_of
from app.launch import MAIN
from core.checkpoint import load_checkpoint
from core.media import MEDIA_SUFFIXES, open_clip
from core.predict import Predictor
from core.shipped import default_checkpoint
from sample_data import CLIPS

MAX_LATE_SECONDS = 20.0
"""In which the first visitors come."""

SLACK_SECONDS = 30.0
"""Beside the app's own limit, for a server that looks only now and then."""

NUM_FILES = 8

SETTLED_SECONDS, MAX_GROWTH = 180.0, 0.25
"""From when on memory counts, when all code is loaded and every session has come; and how far it may grow."""

LIGHT = ("--blink-settings=imagesEnabled=false", "--mute-audio")
"""For browsers that share the machine with the server, which on a real one they would not."""


async def load(
    address: str, alone: dict[str | Path, Alone], temporary: Path, options: argparse.Namespace
) -> tuple[Found, Watch]:
    """Has visitors come and go, and waits until nothing is left of them."""
    found, watch, numbers = Found(), Watch(temporary), itertools.count(1)
    watching = asyncio.create_task(watch.keep())

    async def chair(browser: Browser, late_seconds: float, is_light: bool) -> None:
        await asyncio.sleep(late_seconds)
        while time.monotonic() < until:
            if is_light:
                visitor = LightVisitor(address, next(numbers), alone, found)
            else:
                context = await browser.new_context(reduced_motion="reduce")
                visitor = Visitor(context, address, next(numbers), alone, found)
            await visitor.visit(until)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path_of_chromium(), args=[*FLAGS, *LIGHT])
        until = time.monotonic() + 60 * options.minutes
        spread = [MAX_LATE_SECONDS * k / options.sessions for k in range(options.sessions)]
        # all along the line
        is_light = [(k * options.light) % options.sessions < options.light for k in range(options.sessions)]
        await asyncio.gather(*(chair(browser, *one) for one in zip(spread, is_light, strict=True)))
        await browser.close()
    found.num_visitors = next(numbers) - 1
    await end(found, watch)
    watching.cancel()
    return found, watch


async def end(found: Found, watch: Watch) -> None:
    """Waits until nobody's files and work are left, or tells what is."""
    allowed, left_seconds = session_limit() + SLACK_SECONDS, watch.now().seconds
    begin = time.monotonic()
    if await watch.rest(allowed) is None:
        found.faults.append(f"the server still works {allowed:g} s after all have left")
    found.work_seconds = time.monotonic() - begin
    while watch.files() and time.monotonic() - begin < allowed:
        await asyncio.sleep(1)
    found.files_seconds = time.monotonic() - begin
    if left := watch.files():
        found.faults.append(
            f"{len(left)} files are left {allowed:g} s after all have left, as {left[0].name}"
        )
    if not watch.is_running:
        found.faults.append("the server ended")
    growth = watch.growth(SETTLED_SECONDS, left_seconds)
    if growth is None:
        print("Too short to tell whether memory grows.", flush=True)
    elif growth > MAX_GROWTH:
        found.faults.append(f"memory grew by {growth:.0%} after the first {SETTLED_SECONDS / 60:g} minutes")


def session_limit() -> float:
    """Seconds after which the app forgets a session that has left."""
    settings = tomllib.loads((MAIN.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    own = os.environ.get("STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL")
    return float(own or settings["server"]["disconnectedSessionTTL"])


def answers_alone(options: argparse.Namespace) -> dict[str | Path, Alone]:
    """The right answers, each by a predictor that nobody else asks."""
    begin = time.process_time()
    alone: dict[str | Path, Alone] = {}
    predictor = Predictor(load_checkpoint(options.checkpoint or default_checkpoint()))
    for choice in shipped_clips()[: options.samples or None]:
        clip = open_clip(choice.path, transcript=transcript_of(choice))
        alone[choice.key] = Alone.of(predictor.predict_clip(clip))
    predictor = Predictor(load_checkpoint(options.checkpoint or default_checkpoint(own=True)))
    for path in files_of(options.files):
        alone[path] = Alone.of(predictor.predict_clip(open_clip(path, apart=True)))
    print(f"{len(alone)} answers alone, {time.process_time() - begin:.0f} s of processor time.", flush=True)
    return alone


def files_of(folder: Path | None) -> list[Path]:
    """Media files to upload."""
    if folder is None:
        return sorted((CLIPS / "test").rglob("*.mp4"))[:NUM_FILES]
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in MEDIA_SUFFIXES)
    if not found:
        raise SystemExit(f"{folder} holds no media file; give another folder.")
    return found


def complaints(log: Path) -> list[str]:
    """What the server said of its errors."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [f"log: {line}" for line in lines if line.strip()]


def report(found: Found, watch: Watch, options: argparse.Namespace) -> None:
    """Prints what happened."""
    num = sum(map(len, found.seconds.values()))
    peak = max(watch.samples, key=lambda one: one.server_mib + one.readers_mib)
    print(
        f"{options.sessions} sessions, {options.light} of them without a browser, for {options.minutes:g} "
        f"minutes on {os.cpu_count()} cores (load "
        f"{os.getloadavg()[1]:.1f}): {found.num_visitors} visitors, {num} actions, {found.num_answers} "
        f"answers compared, {found.num_late} of them told late.\n\n"
        "| action | number | median | 95th percentile | worst |\n|---|---|---|---|---|"
    )
    for what, seconds in sorted(found.seconds.items()):
        middle, late = np.median(seconds), np.percentile(seconds, 95)
        print(f"| {what} | {len(seconds)} | {middle:.1f} s | {late:.1f} s | {max(seconds):.1f} s |")
    print(
        f"\n{found.num_given_up} explanations were given up after {MAX_SECONDS:g} s. At most "
        f"{peak.server_mib + peak.readers_mib:.0f} MiB, {peak.readers_mib:.0f} of them by {peak.num_readers} "
        f"readers.\n\n{watch.table()}\n\nAfter all had left, the server came to rest within "
        f"{found.work_seconds:.0f} s, and no file was left after {found.files_seconds:.0f} s."
    )


def main() -> None:
    """Load the app, and tell what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20, help="at once")
    parser.add_argument("--light", type=int, default=0, help="of the sessions so many without a browser")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=0, help="of the sample clips only so many; 0 for all")
    parser.add_argument("--checkpoint", type=Path, help="folder of one that answers, in place of the shipped")
    parser.add_argument("--files", type=Path, help="folder of media to upload")
    options = parser.parse_args()
    if not 0 <= options.light <= options.sessions:
        parser.error("--light should be no more than --sessions")
    alone = answers_alone(options)
    with tempfile.TemporaryDirectory() as folder:
        temporary, log = Path(folder) / "sessions", Path(folder) / "log"
        temporary.mkdir()
        named = () if options.checkpoint is None else ("--checkpoint", str(options.checkpoint))
        with running_app(*named, temporary=temporary, log=log) as address:
            found, watch = asyncio.run(load(address, alone, temporary, options))
        said = complaints(log)
        faults = found.faults + said
    report(found, watch, options)
    print("\n".join(said))
    for fault, times in Counter(faults).most_common(40):
        print(f"FAULT {times} × {fault[:1500]}")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
