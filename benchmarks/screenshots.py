"""Pictures of every page of the app, as docs show them.

    python benchmarks/screenshots.py                              # into docs/images
    python benchmarks/screenshots.py --only clip --out runs/looks

Each page in light and dark, 1440 and 800 px wide, in a state that shows what it is for, on what ships.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from browsed_app import chromium, running_app, wait_for, wait_for_rest
from PIL import Image
from playwright.sync_api import Browser, Page

HEIGHTS = {1440: 1000, 800: 1100}
MAX_BYTES = 250_000
COVERAGE = Image.Quantize.MAXCOVERAGE


@dataclass(frozen=True, kw_only=True)
class Look:
    """A page in one state.

    Attributes:
        name: of the picture.
        link: that leads there.
        sign: selector of what is there once it is.
        prepare: brings about what no link does.
    """

    name: str
    link: str
    sign: str
    prepare: Callable[[Page], None] = lambda page: None


def to_top_of(selector: str) -> Callable[[Page], None]:
    """Scrolls so that something stands at the top."""
    below_header = "one => { one.style.scrollMarginTop = '4.5rem'; one.scrollIntoView(); }"
    return lambda page: page.locator(selector).first.evaluate(below_header)


def predicted(page: Page) -> None:
    """Has all clips of the data answered, where they are not, and scrolls to the answers."""
    if not page.locator(".st-key-own-csv").count():
        page.locator(".st-key-own-start button").click()
        page.locator(".st-key-own-csv").wait_for()
    wait_for_rest(page, still_seconds=2)
    to_top_of(".st-key-own-choices")(page)


def report(page: Page) -> None:
    """Opens the report of an evaluation in place of the page that offers it."""
    page.locator("[data-testid=stPopover] button").first.click()
    page.locator(".st-key-make-report button").click()
    with page.expect_download() as found:
        page.locator(".st-key-download-report button").click()
    path = Path(found.value.path())
    page.set_content(path.read_text(encoding="utf-8"))
    page.wait_for_timeout(1000)


LOOKS = (
    Look(name="clip", link="", sign=".timeline [role=option]"),
    Look(name="clip-trust", link="", sign=".timeline [role=option]", prepare=to_top_of(".timeline")),
    Look(name="failures", link="failures?emotion=fear", sign=".cards [role=option]"),
    Look(name="embeddings", link="embeddings?space=together", sign=".stPlotlyChart .point"),
    Look(
        name="compare",
        link="compare?evaluations=full-test,no-contrastive-test",
        sign=".side-by-side thead th",
    ),
    Look(name="checkpoints", link="checkpoints", sign=".plain-table"),
    Look(
        name="own-data",
        link="own_data?data=sample_data/clips/demo",
        sign=".st-key-own-start button",
        prepare=predicted,
    ),
    Look(name="learn", link="learn?step=3&present=1", sign=".learn-strip img"),
    Look(name="report", link="failures", sign=".cards [role=option]", prepare=report),
)


def main() -> None:
    """Take what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", nargs="*", choices=[look.name for look in LOOKS], help="of these pages")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kinds = [(width, theme) for width in HEIGHTS for theme in ("light", "dark")]
    with running_app() as address, chromium() as browser:
        for look in LOOKS:
            if options.only and look.name not in options.only:
                continue
            for width, theme in kinds:
                path = options.out / f"{look.name}-{width}-{theme}.png"
                path.write_bytes(small(taken(browser, address, look, width=width, theme=theme)))
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def taken(browser: Browser, address: str, look: Look, *, width: int, theme: str) -> Image.Image:
    """One picture of one page."""
    size = {"width": width, "height": HEIGHTS[width]}
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(300_000)
    page.goto(address + look.link)
    page.locator(look.sign).first.wait_for()
    wait_for_rest(page, still_seconds=2)
    look.prepare(page)
    wait_for_pictures(page)
    found = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return found


def wait_for_pictures(page: Page) -> None:
    """Waits until whatever pictures the page has are there."""
    wait_for(page, "[...document.images].every(one => one.complete)")
    page.wait_for_timeout(800)


def small(picture: Image.Image) -> bytes:
    """As PNG with a palette of as many colours as keep it below `MAX_BYTES`."""
    for num_colors in (256, 128, 64, 32):
        file = io.BytesIO()
        # by coverage, so that few points of an emotion's colour count; then as near as can be
        few = picture.convert("RGB").quantize(num_colors, COVERAGE, kmeans=4, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)
        if file.tell() < MAX_BYTES:
            break
    return file.getvalue()


if __name__ == "__main__":
    main()
