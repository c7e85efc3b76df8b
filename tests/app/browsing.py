"""A server of the project and a real Chromium, for the tests that drive one with the other."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def the_app(port: int) -> list[str]:
    """Arguments that start the app by its own command."""
    return ["-m", "app.cli", "app", "--port", str(port), "--no-browser"]


@contextmanager
def served(command: Callable[[int], list[str]], environment: dict[str, str]) -> Iterator[str]:
    """Starts a server, waits until it listens, and gives its address.

    Args:
        command: arguments of Python for a port.
        environment: of the server.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, *command(port)], cwd=ROOT, env=environment) as server:
        try:
            url = f"http://localhost:{port}/"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{url}_stcore/health", timeout=1)
                    break
                except OSError:
                    assert server.poll() is None, "the server ended before it listened"
                    time.sleep(0.25)
            yield url
        finally:
            server.terminate()


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A browser, started with further flags; a test that needs one is skipped where there is none.

    Where all tests should run it fails instead.
    """
    if CHROMIUM is None:
        reason = "no Chromium was found; install it, for example with apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield running
        running.close()


@contextmanager
def tab_of(browser: Browser, address: str, *, width: int = 1440, height: int = 1000) -> Iterator[Page]:
    """A fresh page; whatever it complained of, or fetched from elsewhere, is an error."""
    context = browser.new_context(viewport={"width": width, "height": height})
    tab = context.new_page()
    complaints = []
    own = (address, address.replace("http", "ws"), "data:", "blob:")
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith(own) else complaints.append(request.url))
    yield tab
    context.close()
    assert complaints == []


def wait_for_rest(page: Page) -> None:
    """Waits until nothing is being drawn, so that what is clicked does not move away."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(300)
