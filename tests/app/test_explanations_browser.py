"""Explanations that arrive one by one on the Clip page, and are given up when it is left, in a browser."""

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app import launch
from app.folders import VARIABLE
from tests.app.browsing import chromium, served, tab_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW_MS = 120_000
expect.set_options(timeout=SLOW_MS)

WITH_GATES = """
import sys, time
from pathlib import Path
from app import explanations
from core.attribution.subject import check

gates, really = Path({gates!r}), explanations._explain

def gated(case, target, methods, cancelled, progress, **options):
    (element,) = methods if len(methods) == 1 else ("rest",)
    (gates / f"begun-{{element}}").touch()
    while not (gates / f"open-{{element}}").exists():
        progress(0.5)
        time.sleep(0.05)
        try:
            check(cancelled)
        except BaseException:
            (gates / f"given-up-{{element}}").touch()
            raise
    return really(case, target, methods, cancelled, progress, **options)

explanations._explain = gated
from streamlit.web.cli import main
sys.argv = ["streamlit", *{arguments!r}]
main()
"""
"""The app, whose worker waits before each explanation until a file lets it go on."""


def wait_for(path: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, (
            f"{path.name} never came; there is {sorted(os.listdir(path.parent))}"
        )
        time.sleep(0.05)


def test_parts_fill_in_as_they_are_ready_and_leaving_the_page_gives_up_the_rest(tmp_path):
    gates = tmp_path / "gates"
    gates.mkdir()

    def command(port: int) -> list[str]:
        arguments = launch.streamlit_arguments(port=port, open_browser=False)
        return ["-c", WITH_GATES.format(gates=str(gates), arguments=arguments)]

    own = {VARIABLE: str(tmp_path / "home"), "DEEPMSI_CACHE_DIR": str(tmp_path / "cache")}
    with (
        chromium() as browser,
        served(command, launch.environment() | own) as address,
        tab_of(browser, address) as page,
    ):
        page.set_default_timeout(SLOW_MS)
        page.goto(address)
        # what needs no more than the eight answers is there, while the rest waits
        expect(page.locator(".emotion strong")).to_be_visible()
        expect(page.get_by_text("What each modality says")).to_be_visible()
        expect(page.locator(".timeline .word").first).to_be_visible()
        expect(page.get_by_text("from each word: being computed …")).to_be_visible()
        expect(page.get_by_text("from each frame: being computed …")).to_be_visible()
        wait_for(gates / "begun-word")
        # the page answers while the worker works
        page.get_by_role("radio", name="neutral", exact=True).click()
        page.get_by_role("radio", name="all", exact=True).click()
        (gates / "open-word").touch()
        expect(page.get_by_text("from each word: being computed …")).to_have_count(0)
        expect(page.locator(".timeline .word.raises, .timeline .word.lowers").first).to_be_visible()
        expect(page.get_by_text("from each frame: being computed …")).to_be_visible()
        begun = next(name for name in ("window", "frame") if not (gates / f"open-{name}").exists())
        wait_for(gates / f"begun-{begun}")
        page.get_by_role("link", name="Failures").click()
        wait_for(gates / f"given-up-{begun}")
        # back again, what was given up is computed after all
        page.get_by_role("link", name="Clip").click()
        for name in ("window", "frame", "patch", "rest"):
            (gates / f"open-{name}").touch()
        expect(page.locator(".shares[data-of=windows] .plot i").first).to_be_visible()
        expect(page.locator(".shares[data-of=frames] .plot i").first).to_be_visible()
        expect(page.get_by_text("being computed")).to_have_count(0)
