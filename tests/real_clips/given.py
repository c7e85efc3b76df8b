"""Files given to the app in a real Chromium, and what its page says of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Page

from app.folders import VARIABLE
from app.views.markup import percent
from core.prediction import Prediction
from tests.app.browsing import chromium, served, the_app, wait_for_rest

SLOW_MS = 200_000

READ = """() => ({
  answer: document.querySelector('.emotion strong')?.textContent ?? '',
  rows: [...document.querySelectorAll('.bars .bar')].map(one => [
    one.querySelector('.name').textContent, one.querySelector('.value').textContent
  ]),
  errors: [...document.querySelectorAll('[data-testid=stException], [data-testid=stAlertContentError]')]
    .map(one => one.innerText),
})"""
"""What the Clip page says."""


def shown_by_the_app(answers: Mapping[Path, Prediction]) -> Iterator[tuple[Path, str]]:
    """Uploads each file and compares; yields it with what is wrong, "" for nothing.

    Args:
        answers: what a predictor says that is asked alone.
    """
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        own = {VARIABLE: home, "DEEPMSI_CACHE_DIR": str(Path(home) / "cache")}
        with served(the_app, os.environ | own) as address:
            for path, answer in answers.items():
                context = browser.new_context()
                page = context.new_page()
                page.set_default_timeout(SLOW_MS)
                told: list[str] = []
                page.on("pageerror", lambda error, told=told: told.append(str(error)))
                page.goto(address)
                yield path, difference(give(page, path), answer, told)
                context.close()


def give(page: Page, path: Path) -> dict:
    """Uploads a file; what the page says of it."""
    page.locator("section.answer").wait_for()
    wait_for_rest(page)
    page.get_by_role("radio", name="Your own file").click()
    page.locator("input[type=file]").set_input_files(path)
    page.locator(".own-name").or_(page.locator("[data-testid=stAlertContentError]")).first.wait_for()
    page.locator("section.answer, [data-testid=stAlertContentError]").first.wait_for()
    wait_for_rest(page)
    return page.evaluate(READ)


def difference(shown: dict, answer: Prediction, told: list[str]) -> str:
    """What a page says otherwise than the answer, or complained of; "" for nothing."""
    if complaints := [*shown["errors"], *told]:
        return " ".join(complaints)
    said = dict(shown["rows"])
    is_same = shown["answer"] == answer.prediction and list(said) == list(answer.labels)
    if is_same and all(
        said[label] == percent(value)
        for label, value in zip(answer.labels, answer.probabilities, strict=True)
    ):
        return ""
    return f"the page says {shown['answer']}, {said}, and not {answer.prediction}, {answer.probabilities}"
