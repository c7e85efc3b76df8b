"""A report of what ships, from the page's button to paper, in a real Chromium."""

import os
import re

import pytest
from playwright.sync_api import expect

from app.folders import VARIABLE
from tests.app.browsing import served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW_MS = 200_000


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory):
    """The file that the Compare page gives."""
    folder = tmp_path_factory.mktemp("report")
    environment = os.environ | {VARIABLE: str(folder / "data"), "DEEPMSI_CACHE_DIR": str(folder / "cache")}
    with served(the_app, environment) as address, tab_of(browser, address) as tab:
        tab.set_default_timeout(SLOW_MS)
        tab.goto(f"{address}compare?evaluations=text-audio-probe,full-probe")
        tab.locator(".side-by-side").wait_for()
        wait_for_rest(tab)
        tab.get_by_role("button", name="Report", expanded=False).click()
        tab.get_by_role("button", name="Make the report").click()
        button = tab.get_by_test_id("stDownloadButton").get_by_role("button")
        expect(button).to_have_text(re.compile(r"Download \(\d+ kB\)"), timeout=SLOW_MS)
        with tab.expect_download() as download:
            button.click()
        assert download.value.suggested_filename == "full-probe-report.html"
        download.value.save_as(folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize(("width", "scheme"), [(800, "dark"), (1440, "light")])
def test_it_reads_without_scripts_and_without_the_network(browser, report, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False, offline=True
    )
    asked, complaints = [], []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    expect(page.get_by_role("heading", level=1)).to_have_text("full on probe, split test")
    expect(page.get_by_role("heading", name="Are its explanations true?")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^A frame of "))).to_have_count(12)
    # wide tables scroll in themselves
    box = page.locator("body").bounding_box()
    for section in page.locator("section").all():
        inside = section.bounding_box()
        assert inside["x"] >= box["x"] and inside["x"] + inside["width"] <= box["x"] + box["width"] + 1
    page.get_by_role("link", name="How to make it again").click()
    expect(
        page.get_by_text("deepmsi report sample_data/evaluations/full-probe --against")
    ).to_be_in_viewport()
    context.close()


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_prints(browser, report, paper):
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    printed = page.pdf(format=paper, print_background=True)
    context.close()
    assert printed.startswith(b"%PDF-")
    num_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 6 <= num_pages <= 16


def test_no_table_is_wider_than_the_paper(browser, report):
    # A4 less its margins; what is wider would be printed smaller
    context = browser.new_context(viewport={"width": 680, "height": 900})
    page = context.new_page()
    page.emulate_media(media="print")
    page.goto(report.as_uri())
    width = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert width <= 680
