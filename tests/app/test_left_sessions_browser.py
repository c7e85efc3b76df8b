"""What was shown to somebody who has left cannot be fetched any more, also where nobody comes after."""

import os
import time
import urllib.error
import urllib.request

import pytest

from app.folders import VARIABLE
from tests.app.browsing import served, the_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SLOW_MS = 200_000


def is_there(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=30).close()
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return False
    return True


def test_what_the_player_fetched_ends_with_its_session(browser, tmp_path):
    own = {VARIABLE: str(tmp_path / "home"), "DEEPMSI_CACHE_DIR": str(tmp_path / "cache")}
    short = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "1"}
    with served(the_app, os.environ | own | short) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector(".st-key-player video", timeout=SLOW_MS)
        film = page.evaluate("document.querySelector('.st-key-player video').src")
        assert is_there(film)
        context.close()
        deadline = time.monotonic() + 60
        while is_there(film):
            assert time.monotonic() < deadline, "a minute after its session it can still be fetched"
            time.sleep(0.1)
