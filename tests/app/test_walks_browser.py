"""A whole lesson in a real Chromium, from the guess to the last step."""

import os
import re

import pytest
from playwright.sync_api import expect

from app.folders import VARIABLE
from app.learn_state import STEPS
from tests.app.browsing import chromium, served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW_MS = 200_000
expect.set_options(timeout=SLOW_MS)


@pytest.fixture
def browser():
    with chromium() as running:
        yield running


def test_a_lesson_from_the_guess_to_the_last_step(browser, tmp_path):
    environment = os.environ | {VARIABLE: str(tmp_path), "DEEPMSI_CACHE_DIR": str(tmp_path / "cache")}
    with served(the_app, environment) as address, tab_of(browser, address) as page:
        page.set_default_timeout(SLOW_MS)
        page.goto(f"{address}learn")
        reveal = page.get_by_role("button", name="Reveal")
        expect(reveal).to_be_disabled()
        wait_for_rest(page)
        page.get_by_role("button", name="Joy", exact=True).or_(
            page.get_by_role("radio", name="Joy", exact=True)
        ).click()
        expect(reveal).to_be_enabled()
        expect(page.get_by_text("The label", exact=True)).to_have_count(0)
        reveal.click()
        expect(page.get_by_text("The label", exact=True)).to_be_visible()
        score = page.locator(".learn-score")
        expect(score).to_contain_text(re.compile("class [01] of 1 right, model [01] of 1 right"))
        told = score.inner_text()
        page.get_by_role("button", name="Present").click()
        expect(page.locator(".stAppHeader")).to_be_hidden()
        expect(page.get_by_role("combobox", name="Checkpoint")).to_have_count(0)
        size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
        assert page.evaluate(size) > 20
        for number, title in enumerate(STEPS[1:], start=2):
            wait_for_rest(page)
            page.locator(".st-key-learn-next button").click()
            expect(page.locator(".learn-step h2")).to_have_text(title)
            page.wait_for_url(f"**step={number}**")
            wait_for_rest(page)
            expect(page.locator("[data-testid=stException]")).to_have_count(0)
            assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 1440
            if title == "The space":
                chart = page.locator(".stPlotlyChart .js-plotly-plot")
                expect(chart.locator(".legendtext", has_text="this clip")).to_be_visible()
        expect(page.locator(".st-key-learn-next button")).to_be_disabled()
        page.get_by_role("button", name="Leave").click()
        expect(page.locator(".stAppHeader")).to_be_visible()
        for _ in STEPS[1:]:
            wait_for_rest(page)
            page.locator(".st-key-learn-back button").click()
        expect(score).to_have_text(told)
