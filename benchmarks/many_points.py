"""How fluid the Embeddings page is with very many clips, in a real Chromium.

    python benchmarks/many_points.py                 # 20,000 clips, what docs quote
    python benchmarks/many_points.py --clips 10000

The clips are those of a shipped evaluation over and over, each with a little noise in its projections. The
browser has no graphics card, so that the processor computes WebGL: on a machine that has one it takes less.
Measured from the click, or the end of the lasso, until what it asked for is on the page; of the mouse over
the map, the processor time of the browser's main thread for each move. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from browsed_app import chromium, running_app, wait_for, wait_for_rest
from pages import TELL_CLICKS, busy_seconds, colour, until
from playwright.sync_api import Page

from app.views.embeddings.picture import MANY_POINTS
from core.evaluation import read_evaluation
from core.evaluation.build import EvaluatedClip, build_evaluation
from core.evaluation.spaces import MAX_POINTS
from core.prediction import SUBSETS

SHIPPED = Path(__file__).parents[1] / "sample_data" / "evaluations" / "full-probe"
CHART = ".st-key-embeddings-chart .js-plotly-plot"
NUM_DRAWN = f"(all({CHART!r})[0]?._fullData ?? []).reduce((sum, trace) => sum + trace._length, 0)"
NOISE = 0.3
NUM_MOVES = 60
SWIFTSHADER = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def main() -> None:
    """Measure all, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5, help="of the lasso and of the colour")
    options = parser.parse_args()
    if not MANY_POINTS < options.clips <= MAX_POINTS:
        parser.error(f"--clips is more than {MANY_POINTS} and at most {MAX_POINTS}, of which a map draws all")
    with tempfile.TemporaryDirectory() as temporary:
        folder = many_clips(Path(temporary) / "many-probe", options.clips)
        with running_app() as address, chromium(*SWIFTSHADER) as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(90_000)
            page.add_init_script(TELL_CLICKS)
            page.goto(f"{address}embeddings")
            wait_for_rest(page)
            rows = measure(page, folder, options)
    print(f"{options.clips:,} clips; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
    print("| what | median |\n|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {np.median(seconds):.3g} s |")


def many_clips(folder: Path, num_clips: int) -> Path:
    """Writes the evaluation, and gives its folder."""
    shipped, random = read_evaluation(SHIPPED), np.random.default_rng(0)
    rows = np.resize(np.arange(len(shipped.predictions)), num_clips)
    clips = [
        EvaluatedClip(
            key=f"{number:05d} {row.key}",
            path=folder / "none.mp4",
            label=row.label,
            speaker=row.speaker,
            transcript=row.transcript,
        )
        for number, row in enumerate(shipped.predictions.iloc[rows].itertuples())
    ]
    empty = np.full((num_clips, 1, len(shipped.labels)), 1 / len(shipped.labels))
    each = [shipped.probabilities(subset)[rows, None] for subset in SUBSETS[1:]]
    spaces = {
        name: noisy(space[rows], NOISE * space.std(), random) for name, space in shipped.embeddings.items()
    }
    info = replace(shipped.info, data="many", num_bootstrap=0)
    made = build_evaluation(info, clips, np.concatenate([empty, *each], axis=1), spaces, media_folder=folder)
    return made.write(folder)


def noisy(space: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    """`(clip, dim)` with normal noise."""
    return (space + level * random.standard_normal(space.shape)).astype(np.float32)


def measure(page: Page, folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds by what was done."""
    page.locator("summary", has_text="Another evaluation").click()
    page.get_by_role("textbox", name="Folder of an evaluation").fill(str(folder))
    page.keyboard.press("Enter")
    drawn = f"{NUM_DRAWN} === {options.clips}"
    wait_for(page, drawn)
    wait_for_rest(page, still_seconds=2)
    # a menu that is scrolled to when it is clicked closes again
    page.locator(".stMain").evaluate("one => one.scrollTo(0, 0)")
    page.wait_for_timeout(1000)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    # the first of each is not counted
    again = range(options.repeats + 1)
    found = {
        "the map is drawn anew, in another colour": [recolour(page, number) for number in again][1:],
        "the mouse moves over the map (processor time of each move)": [hover(page, devtools) for _ in again][
            1:
        ],
        "a lasso: its clips are listed": [lasso(page, number) for number in again][1:],
    }
    wait_for(page, drawn)  # nothing is hidden by a choice
    return found


def recolour(page: Page, number: int) -> float:
    """Colours by one of two columns."""
    took = until(page, colour(page, number))
    wait_for_rest(page, still_seconds=2)
    return took


def hover(page: Page, devtools) -> float:
    """Moves over the middle of the map."""
    box = page.locator(CHART).bounding_box()
    before = busy_seconds(devtools)
    for number in range(NUM_MOVES):
        share = 0.3 + 0.4 * number / NUM_MOVES
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * share)
        page.wait_for_timeout(20)
    return (busy_seconds(devtools) - before) / NUM_MOVES


def lasso(page: Page, number: int) -> float:
    """Draws around some points, fewer or more."""
    box, far = page.locator(CHART).bounding_box(), 0.55 + 0.05 * (number % 2)
    corners = [(0.45, 0.4), (far, 0.4), (far, 0.6), (0.45, 0.6), (0.45, 0.4)]
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    before = page.locator(".gallery-title").all_inner_texts()
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.evaluate("window.lastClick = performance.now()")
    page.mouse.up()
    shown = "all('.gallery-title').map(one => one.innerText)"
    took = until(page, f"{shown}.length && String({shown}) !== {','.join(before)!r}")
    wait_for_rest(page)
    return took


if __name__ == "__main__":
    main()
