"""The app without a mouse, in a real Chromium."""

import os

import pytest
from playwright.sync_api import expect

from app.folders import VARIABLE
from tests.app.browsing import chromium, served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(500)]

SLOW_MS = 120_000


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    private = tmp_path_factory.mktemp("private")
    environment = os.environ | {VARIABLE: str(private), "DEEPMSI_CACHE_DIR": str(private / "cache")}
    with served(the_app, environment) as url:
        yield url


def focused(tab) -> dict:
    """Name of the focused control, within components too, and how it is framed."""
    return tab.evaluate(
        """() => {
            let element = document.activeElement;
            while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
            const { outlineStyle, outlineWidth } = getComputedStyle(element);
            return { name: element.innerText, frame: `${outlineWidth} ${outlineStyle}` };
        }"""
    )


def test_shortcuts_are_listed_and_focus_is_framed(address):
    expect.set_options(timeout=SLOW_MS)
    with chromium() as browser, tab_of(browser, address) as tab:
        tab.set_default_timeout(SLOW_MS)
        tab.goto(f"{address}embeddings")
        expect(tab.locator(".stPlotlyChart .js-plotly-plot")).to_be_visible()
        wait_for_rest(tab)
        dialog = tab.get_by_role("dialog")
        expect(dialog).to_have_count(0)
        tab.keyboard.press("?")
        expect(dialog).to_be_visible()
        expect(dialog).to_contain_text("Keyboard shortcuts: Embeddings")
        expect(dialog).to_contain_text("Cards of clips")
        expect(dialog).not_to_contain_text("Timeline")
        tab.keyboard.press("?")
        expect(dialog).to_have_count(0)
        opener = tab.get_by_role("button", name="Keyboard shortcuts")
        opener.focus()
        tab.keyboard.press("Enter")
        expect(dialog).to_be_visible()
        tab.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        # where somebody types, it is a character
        tab.locator("summary", has_text="Another evaluation").click()
        tab.get_by_role("textbox", name="Folder of an evaluation").click()
        tab.keyboard.type("why?")
        expect(tab.get_by_role("textbox", name="Folder of an evaluation")).to_have_value("why?")
        expect(dialog).to_have_count(0)

        summary = tab.locator("summary", has_text="The map as a table")
        summary.focus()
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("button", name="Choose these 560 clips")).to_be_visible()
        wait_for_rest(tab)
        for _ in range(12):
            tab.keyboard.press("Tab")
            if (now := focused(tab))["name"] and "Choose these" in now["name"]:
                break
        assert "Choose these 560 clips" in now["name"] and now["frame"] == "3px solid"
        tab.keyboard.press("Enter")
        expect(tab.locator(".gallery-title")).to_contain_text("560 chosen clips")
        wait_for_rest(tab)
        expect(tab.locator(".stPlotlyChart .js-plotly-plot")).to_have_count(1)


PLACES = "[...document.querySelectorAll('.scatterlayer .point')].map(one => one.getCTM().e)"
"""How far right every point is drawn, in pixels."""


def test_the_space_over_epochs_is_played_without_a_mouse(address):
    expect.set_options(timeout=SLOW_MS)
    with chromium() as browser, tab_of(browser, address) as tab:
        tab.set_default_timeout(SLOW_MS)
        tab.goto(f"{address}embeddings?part=epochs")
        slider = tab.get_by_role("slider", name="Epoch")
        expect(slider).to_have_attribute("aria-valuetext", "epoch 14")
        tab.wait_for_selector(".scatterlayer .point")
        wait_for_rest(tab)
        last = tab.evaluate(PLACES)
        slider.focus()
        tab.keyboard.press("Home")
        expect(slider).to_have_attribute("aria-valuetext", "start")
        tab.wait_for_function(
            f"last => {PLACES}.filter((one, k) => Math.abs(one - last[k]) > 1).length > 80", arg=last
        )
        assert focused(tab)["frame"] == "3px solid"
        tab.keyboard.press("Shift+Tab")
        assert "Play" in focused(tab)["name"] and focused(tab)["frame"] == "3px solid"
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("button", name="Pause")).to_be_visible()
        # it ends where it was, and can be played again
        expect(slider).to_have_attribute("aria-valuetext", "epoch 14")
        expect(tab.get_by_role("button", name="Play")).to_be_visible()
        tab.wait_for_function(f"last => {PLACES}.every((one, k) => Math.abs(one - last[k]) < 1)", arg=last)
