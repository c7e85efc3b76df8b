"""The app and a real Chromium, for the scripts that drive one with the other."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "google-chrome", "chromium-browser")
RESTS = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
"""Whether the page's script has ended."""

START_SECONDS = 240

_ALL = """const all = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll('*')].flatMap(one => one.shadowRoot ? all(selector, one.shadowRoot) : []),
]"""


@contextmanager
def running_app() -> Iterator[str]:
    """Starts the app, with nothing in its folders but what ships, and gives its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "app", "--port", str(port), "--no-browser"]
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as private:
        own = {"DEEPMSI_DATA_DIR": private, "DEEPMSI_CACHE_DIR": str(Path(private) / "cache")}
        with subprocess.Popen(command, cwd=root, env=os.environ | own, stdout=subprocess.DEVNULL) as server:
            try:
                address = f"http://localhost:{port}/"
                deadline = time.monotonic() + START_SECONDS
                while not _listens(address):
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit("The app did not start; `deepmsi app` says why.")
                    time.sleep(0.2)
                yield address
            finally:
                server.terminate()


def _listens(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}_stcore/health", timeout=1)
    except OSError:
        return False
    return True


@contextmanager
def chromium() -> Iterator[Browser]:
    """The installed Chromium, without a window."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise SystemExit("Chromium is needed: install it, for example with apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def wait_for(page: Page, condition: str) -> Any:
    """Waits until an expression of JavaScript holds, looked at before every frame of the screen; its value.

    In it, `all(selector)` gives the elements of the page and of its components, whose trees are their own.
    """
    found = page.wait_for_function(f"() => {{ {_ALL}; return {condition} }}", polling="raf")
    return found.json_value()


def wait_for_rest(page: Page, *, still_seconds: float = 0.5) -> None:
    """Waits until nothing is drawn any more, and explanations that are being computed have come."""
    quiet = 0.0
    while quiet < still_seconds:
        is_quiet = page.evaluate(
            f"{RESTS} && !/being computed|loading the numerical/.test(document.body.innerText)"
        )
        quiet = quiet + 0.1 if is_quiet else 0.0
        page.wait_for_timeout(100)
