"""Whole walks in a real Chromium: a lesson from guess to last step, and a training run from start to stop."""

import csv
import os
import re
import shutil

import pytest
from playwright.sync_api import expect

from app import launch
from app.folders import VARIABLE
from app.learn_state import STEPS
from sample_data import CLIPS
from tests.app.browsing import chromium, served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW_MS = 200_000
expect.set_options(timeout=SLOW_MS)

NUM_OF_SPLIT = {"train": 120, "dev": 20}
"""Enough clips that a run of 60 epochs is not over before it is stopped."""

WITH_FEW_CLIPS = """
import sys
from pathlib import Path
from app import training_runs
training_runs.CLIPS = Path({clips!r})
from streamlit.web.cli import main
sys.argv = ["streamlit", *{arguments!r}]
main()
"""


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


@pytest.fixture
def few_clips(tmp_path):
    """A folder like that of the sample clips, with fewer in it."""
    for folder, wanted in {"train": NUM_OF_SPLIT, "test": {"test": 2}}.items():
        with (CLIPS / folder / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        chosen = []
        for split, num in wanted.items():
            chosen += [row for row in rows if row["split"] == split][:num]
        for row in chosen:
            target = tmp_path / "clips" / folder / row["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CLIPS / folder / row["path"], target)
        with (tmp_path / "clips" / folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(chosen)
    return tmp_path / "clips"


def test_a_training_run_is_started_watched_and_stopped(browser, few_clips, tmp_path):
    def command(port: int) -> list[str]:
        arguments = launch.streamlit_arguments(port=port, open_browser=False)
        return ["-c", WITH_FEW_CLIPS.format(clips=str(few_clips), arguments=arguments)]

    home = tmp_path / "home"
    environment = launch.environment() | {VARIABLE: str(home), "DEEPMSI_CACHE_DIR": str(tmp_path / "cache")}
    with served(command, environment) as address, tab_of(browser, address) as page:
        page.set_default_timeout(SLOW_MS)
        page.goto(f"{address}checkpoints")
        name = page.get_by_role("textbox", name="Name of the checkpoint")
        expect(name).to_have_value("own-1")
        wait_for_rest(page)
        name.fill("small")
        page.get_by_role("spinbutton", name="Epochs").fill("60")
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_text("small is training")).to_be_visible()
        expect(page.get_by_role("button", name="Start training")).to_be_disabled()
        # watched: the page tells of epochs that were not done when it was drawn
        expect(page.get_by_text(re.compile(r"[1-9]\d* of 60 epochs"))).to_be_visible()
        page.locator(".st-key-run-stop button").click()
        expect(page.get_by_text("small was stopped. What it had done is kept")).to_be_visible()
        expect(page.get_by_role("button", name="Start training")).to_be_enabled()
        expect(page.locator(".st-key-run-stop")).to_have_count(0)
    assert list((home / "runs").rglob("state.safetensors")), sorted(map(str, home.rglob("*")))
