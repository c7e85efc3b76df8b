"""Seconds that the app's pages need: from each page to each, and for typical clicks, in a real Chromium.

    python benchmarks/pages.py                   # what docs quote
    python benchmarks/pages.py --repeats 5

All on the evaluations, checkpoints and clips that ship, in one session, after everything was seen once: what
is computed once for all sessions is there. Measured from the click until what it asked for is on the page and
the page's script has ended. Of clicks also the processor time of the browser's main thread in that time,
which other work on the machine hardly changes. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from browsed_app import RESTS, chromium, running_app, wait_for, wait_for_rest
from playwright.sync_api import CDPSession, Page

PAGES = {
    "Clip": ("", ".timeline [role=option]"),
    "Failures": ("failures", ".matrix .cell"),
    "Embeddings": ("embeddings", ".stPlotlyChart .js-plotly-plot .point"),
    "Compare": ("compare", ".side-by-side thead th"),
    "Checkpoints": ("checkpoints", ".plain-table tbody tr"),
    "Own data": ("own_data", ".brand + *, [data-testid=stTextInput]"),
    "Learn": ("learn", ".learn-step h2"),
}
"""Each page's address, and something that it has once it can be used."""

COLOURED = (
    ("right or wrong", "right", "wrong", "rgb(200, 105, 28)"),
    ("label", "label", "anger", "rgb(209, 70, 47)"),
)
"""Ways of colouring the map: what the page and the chart call it, a group, and the colour of its points."""

AIM_SWITCH, AIM_CLICK = 0.5, 0.3
TELL_CLICKS = "addEventListener('pointerdown', (event) => { window.lastClick = event.timeStamp; }, true)"


@dataclass(frozen=True, kw_only=True)
class Click:
    """Something that people do on a page, by turns.

    Attributes:
        name: what it is.
        page: title of the page.
        prepare: leads to where it is done.
        act: does it for the n-th time, and returns what holds, in JavaScript, once it is done.
    """

    name: str
    page: str
    act: Callable[[Page, int], str]
    prepare: Callable[[Page], None] = lambda page: None


def main() -> None:
    """Measure all, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="of every click and every pair of pages")
    options = parser.parse_args()
    with running_app() as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(60_000)
        page.add_init_script(TELL_CLICKS)
        page.goto(address)
        for name in PAGES:
            if name != "Clip":
                turn_to(page, name)
            wait_for_rest(page, still_seconds=2)
        switches = measure_switches(page, options.repeats)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        measured = {click.name: measure_click(page, devtools, click, options.repeats) for click in CLICKS}
    clicks = {name: [seconds for seconds, _ in pairs] for name, pairs in measured.items()}
    busy = {name: [spent for _, spent in pairs] for name, pairs in measured.items()}
    print(f"{options.repeats} repeats; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
    print_table("to the page", f"from all others (aim < {AIM_SWITCH} s)", switches)
    print()
    print_table("click", f"until it is done (aim < {AIM_CLICK} s)", clicks)
    print()
    print_table("click", "processor time of the browser's main thread", busy)


def until(page: Page, condition: str) -> float:
    """Seconds from the last click until the page's script has ended and `condition` of JavaScript holds."""
    return wait_for(page, f"{RESTS} && ({condition}) && (performance.now() - window.lastClick) / 1000")


def turn_to(page: Page, name: str) -> float:
    """Goes to a page by its link; seconds until it can be used."""
    path, sign = PAGES[name]
    before = page.locator(".brand span").first.inner_text()
    page.locator(f"header a[href$='/{path}']").first.click()
    return until(page, f"all('.brand span')[0]?.innerText !== {before!r} && all({sign!r}).length > 0")


def measure_switches(page: Page, repeats: int) -> dict[str, list[float]]:
    """Seconds by page that was turned to, from every other page."""
    found: dict[str, list[float]] = {name: [] for name in PAGES}
    names = list(PAGES)
    place = names.index(current(page))
    for _ in range(repeats):
        # the number of pages is a prime: in steps of each size around their circle every pair comes once
        for size in range(1, len(names)):
            for _ in names:
                place = (place + size) % len(names)
                found[names[place]].append(turn_to(page, names[place]))
                wait_for_rest(page, still_seconds=0.2)
    return found


def current(page: Page) -> str:
    """Title of the page that is shown."""
    return page.locator("header a[aria-current=page]").first.inner_text().strip().splitlines()[-1]


def measure_click(page: Page, devtools: CDPSession, click: Click, repeats: int) -> list[tuple[float, float]]:
    """Of every repeat seconds, and those of the main thread, after both states of it were seen once."""
    if current(page) != click.page:
        turn_to(page, click.page)
    wait_for_rest(page)
    click.prepare(page)
    wait_for_rest(page)
    seconds = []
    for number in range(repeats + 2):
        before = busy_seconds(devtools)
        took = until(page, click.act(page, number))
        seconds.append((took, busy_seconds(devtools) - before))
        wait_for_rest(page)
    return seconds[2:]


def busy_seconds(devtools: CDPSession) -> float:
    """Processor time that the browser's main thread has spent on tasks so far."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def cell(page: Page, number: int) -> str:
    """Clicks a cell of the confusion matrix, one of two."""
    before = page.url
    page.locator(".matrix .cell").nth(7 + number % 2).click()
    return f"location.href !== {before!r} && all('.cards [role=option]').length > 0"


def preset(page: Page, number: int) -> str:
    """Turns to one of two emotions."""
    name = ("disgust", "fear")[number % 2]
    page.get_by_role("radio", name=name, exact=True).click()
    return f"document.body.innerText.includes('labelled {name} that the model misses')"


def colour(page: Page, number: int) -> str:
    """Colours the points by one of two things."""
    name, mark, group, color = COLOURED[number % 2]
    page.get_by_role("radio", name=name, exact=True).click()
    is_named = f"all('.legend .entry').some(one => one.textContent === {group!r})"
    chart = "document.querySelector('.st-key-embeddings-chart .js-plotly-plot')"
    is_drawn = f"{chart}?._fullData?.[0]?.legendgroup === {mark!r}"
    # very many points are no elements
    is_seen = f"(points => !points.length || points.some(one => one.style.fill === {color!r}))(all('.point'))"
    return f"{is_named} && {is_drawn} && {is_seen}"


def clip(page: Page, number: int) -> str:
    """Chooses one of two sample clips."""
    before = page.url
    page.locator(".gallery button").nth(1 + number % 2).click()
    chosen = f"all('.gallery button')[{1 + number % 2}].ariaSelected === 'true'"
    is_drawn = "all('.timeline [role=option]').length > 0"
    # what is cheap to look at first, for looking costs time too
    return f"location.href !== {before!r} && {chosen} && {is_drawn}"


def frame(page: Page, number: int) -> str:
    """Chooses one of two frames of the timeline."""
    before = page.url
    page.locator(".timeline [role=option]").nth(1 + 2 * (number % 2)).click()
    return f"location.href !== {before!r}"


def step(page: Page, number: int) -> str:
    """Goes a step of the walk on, or back."""
    page.locator(f".st-key-learn-{('next', 'back')[number % 2]} button").click()
    return f"all('.learn-number')[0]?.innerText === 'Step {2 + (number + 1) % 2} of 7'"


CLICKS = (
    Click(name="Failures: a cell of the confusion matrix", page="Failures", act=cell),
    Click(name="Failures: an emotion", page="Failures", act=preset),
    Click(name="Embeddings: a colour", page="Embeddings", act=colour),
    Click(name="Clip: another clip, seen before", page="Clip", act=clip),
    Click(name="Clip: a frame of the timeline", page="Clip", act=frame),
    Click(
        name="Learn: a step",
        page="Learn",
        act=step,
        prepare=lambda page: page.locator(".st-key-learn-next button").click(),
    ),
)


def print_table(what: str, how: str, found: dict[str, list[float]]) -> None:
    """Prints medians and 95th percentiles."""
    print(f"| {what} | median, {how} | 95th percentile |\n|---|---|---|")
    for name, seconds in found.items():
        print(f"| {name} | {np.median(seconds):.2f} s | {np.percentile(seconds, 95):.2f} s |")


if __name__ == "__main__":
    main()
