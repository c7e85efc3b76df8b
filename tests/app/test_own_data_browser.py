"""A folder of clips of one's own, predicted in a real Chromium: watched, cancelled, gone on with, opened."""

import os
import re
import shutil

import pytest
from playwright.sync_api import expect

from app.folders import VARIABLE
from sample_data import DEMO
from tests.app.browsing import chromium, served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SLOW_MS = 280_000
NUM_CLIPS = 12


@pytest.fixture
def page(tmp_path):
    environment = os.environ | {
        VARIABLE: str(tmp_path / "home"),
        "DEEPMSI_CACHE_DIR": str(tmp_path / "cache"),
    }
    with served(the_app, environment) as url, chromium() as browser, tab_of(browser, url) as tab:
        tab.set_default_timeout(SLOW_MS)
        yield tab, url


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "interviews"
    folder.mkdir()
    for path in sorted(DEMO.glob("*/*.mp4"))[:NUM_CLIPS]:
        shutil.copy(path, folder)
    (folder / "broken.mp4").write_bytes(b"this is no film")
    return folder


def test_a_folder_is_predicted_cancelled_gone_on_with_and_opened(page, clips, tmp_path):
    tab, url = page
    expect.set_options(timeout=SLOW_MS)
    tab.goto(f"{url}own_data")
    field = tab.get_by_role("textbox", name="Folder, manifest or data set")
    field.fill(str(clips / "nowhere"))
    field.press("Enter")
    expect(tab.get_by_text("does not exist on the machine")).to_be_visible()
    wait_for_rest(tab)
    field.fill(str(clips))
    field.press("Enter")
    expect(tab.get_by_text(f"A folder of clips · {NUM_CLIPS + 1} clips · no labels")).to_be_visible()
    wait_for_rest(tab)
    assert "data=" in tab.url

    # nothing is labelled
    tab.get_by_role("radio", name="Evaluate").click()
    expect(tab.get_by_text("Nothing here is labelled")).to_be_visible()
    expect(tab.get_by_role("button", name="Evaluate")).to_be_disabled()
    wait_for_rest(tab)
    tab.get_by_role("radio", name="Predict").click()
    expect(tab.get_by_text("Nothing here is labelled")).to_have_count(0)
    wait_for_rest(tab)

    tab.get_by_role("button", name="Predict", exact=True).click()
    expect(tab.get_by_text("is being predicted")).to_be_visible()
    expect(tab.get_by_text(re.compile(rf"[1-9]\d* of {NUM_CLIPS + 1} clips"))).to_be_visible()
    # found again from the address
    tab.reload()
    expect(tab.get_by_text("is being predicted")).to_be_visible()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_text("was cancelled")).to_be_visible()
    wait_for_rest(tab)
    (journal,) = (tmp_path / "home" / "own-data").glob("predict-interviews-*/answers.parquet.part")
    num_kept = len(journal.read_text().splitlines())
    assert 0 < num_kept < NUM_CLIPS + 1

    tab.get_by_role("button", name="Go on").click()
    expect(tab.get_by_text("is done.")).to_be_visible()
    expect(tab.get_by_text(f"{NUM_CLIPS} answered")).to_be_visible()
    expect(tab.get_by_text("1 without an answer")).to_be_visible()
    (log,) = (tmp_path / "home" / "own-data" / ".logs").glob("*.log")
    known = int(re.search(rf"{NUM_CLIPS} answers, (\d+) of them from before", log.read_text())[1])
    # the broken one is tried again
    assert num_kept - 1 <= known <= num_kept
    wait_for_rest(tab)

    # the second row: the first is the broken clip
    tab.locator("[data-testid=stDataFrame] canvas").first.scroll_into_view_if_needed()
    place = tab.locator("[data-testid=stDataFrame] canvas").last.bounding_box()
    tab.mouse.click(place["x"] + 20, place["y"] + 35 + 35 + 17)
    tab.wait_for_url("**open=**")
    name = sorted(path.name for path in clips.iterdir())[1]
    chosen = tab.locator(".st-key-own-chosen")
    expect(chosen.locator(".eyebrow").first).to_contain_text(name)
    said = chosen.locator(".emotion strong").text_content().strip()
    wait_for_rest(tab)
    chosen.get_by_role("link", name="See why, on the Clip page").click()
    tab.wait_for_url("**clip=data**")
    expect(tab.locator(".own-name")).to_contain_text(f"{name}: clip 2 of {NUM_CLIPS + 1}")
    expect(tab.locator(".emotion strong").first).to_have_text(said)
    tab.wait_for_function("document.querySelector('.st-key-player video')?.readyState >= 2")
