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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "google-chrome", "chromium-browser")
FLAGS = ("--no-sandbox", "--disable-gpu")
RESTS = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
"""Whether the page's script has ended."""

AWAITED = r"being computed|loading the numerical|wait for their turn|… \d+%"
"""What pages say, as a regular expression, while something is still to come."""

START_SECONDS = 240

_ALL = """const all = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll('*')].flatMap(one => one.shadowRoot ? all(selector, one.shadowRoot) : []),
]"""


@contextmanager
def running_app(*arguments: str, temporary: Path | None = None, log: Path | None = None) -> Iterator[str]:
    """Starts the app, with nothing in its folders but what ships, and gives its address.

    Args:
        arguments: of the command, beside port and browser.
        temporary: where its sessions put their files, None where the system has them.
        log: takes what it says of its errors, None for the terminal.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "app", "--port", str(port), "--no-browser", *arguments]
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as private:
        own = {"DEEPMSI_DATA_DIR": private, "DEEPMSI_CACHE_DIR": str(Path(private) / "cache")}
        if temporary is not None:
            own["TMPDIR"] = str(temporary)
        with (
            nullcontext() if log is None else log.open("w") as errors,
            subprocess.Popen(
                command, cwd=root, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=errors
            ) as server,
        ):
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
def chromium(*flags: str) -> Iterator[Browser]:
    """The installed Chromium, without a window; with some more flags."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path_of_chromium(), args=(*FLAGS, *flags))
        yield browser
        browser.close()


def path_of_chromium() -> str:
    """Where the installed Chromium lies."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise SystemExit("Chromium is needed: install it, for example with apt-get install chromium.")
    return path


def wait_for(page: Page, condition: str) -> Any:
    """Waits until an expression of JavaScript holds, looked at before every frame of the screen; its value.

    In it, `all(selector)` gives the elements of the page and of its components, whose trees are their own.
    """
    return page.wait_for_function(holds(condition), polling="raf").json_value()


def holds(condition: str) -> str:
    """A function of JavaScript that returns an expression; in it `all` is as `wait_for` says."""
    return f"() => {{ {_ALL}; return {condition} }}"


def wait_for_rest(page: Page, *, still_seconds: float = 0.5) -> None:
    """Waits until nothing is drawn any more, and explanations that are being computed have come."""
    quiet = 0.0
    while quiet < still_seconds:
        is_quiet = page.evaluate(f"{RESTS} && !/{AWAITED}/.test(document.body.innerText)")
        quiet = quiet + 0.1 if is_quiet else 0.0
        page.wait_for_timeout(100)
