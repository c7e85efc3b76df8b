"""What becomes of a run when the terminal of the app is closed, or is no more than hung up."""

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect

pytestmark = pytest.mark.timeout(240)

PAGE = """
import sys
from pathlib import Path
import streamlit as st
from app import runs

runs.PROGRAM = (sys.executable, "-c", "import time; time.sleep(600)")

class Long:
    name, states = "one", ("training",)

    def commands(self, folder):
        return [[]]

    def begin(self, folder):
        pass

@st.cache_resource
def started():
    found = runs.Runs(Path({folder!r}))
    found.start(Long())
    return found

started()
"""
START = "from pathlib import Path; from app import cli, launch; launch.MAIN = Path({page!r}); cli.main()"


def state_of(folder) -> str:
    try:
        return json.loads((folder / ".logs" / "one.json").read_text())["state"]
    except (OSError, ValueError):
        return ""


def is_held(folder) -> bool:
    """Whether a process of the run is left."""
    with (folder / ".claim").open() as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def until(is_so, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def listens(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
    except OSError:
        return False
    return True


def visit(port: int) -> None:
    """Has the page drawn once, as a browser does."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    address = f"ws://localhost:{port}/_stcore/stream"
    with connect(address, subprotocols=["streamlit"], origin=f"http://localhost:{port}") as connection:
        connection.send(message.SerializeToString())
        connection.recv(timeout=60)
        time.sleep(1)


@pytest.fixture
def app(tmp_path):
    """An app in a terminal of its own, with a run that goes on: process, the terminal's other end, folder."""
    folder = tmp_path / "runs"
    folder.mkdir()
    page = tmp_path / "page.py"
    page.write_text(PAGE.format(folder=str(folder)))
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    screen, terminal = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        # whatever the tests were started by ignores
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    command = [sys.executable, "-c", START.format(page=str(page)), "app", "--no-browser", "--port", str(port)]
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=take_terminal
    ) as process:
        os.close(terminal)
        try:
            until(lambda: listens(f"http://localhost:{port}"))
            visit(port)
            until(lambda: state_of(folder) == "training" and is_held(folder))
            yield process, screen, folder
        finally:
            if process.poll() is None:
                process.kill()


def test_a_closed_terminal_ends_app_and_run(app):
    process, screen, folder = app
    os.close(screen)
    process.wait(60)
    # as after Ctrl-C: the run was told to end and can go on, and nothing of it is left
    until(lambda: not is_held(folder))
    assert state_of(folder) == "stopped"


def test_ctrl_c_ends_app_and_run(app):
    process, screen, folder = app
    os.write(screen, b"\x03")
    process.wait(60)
    until(lambda: not is_held(folder))
    assert state_of(folder) == "stopped"
    os.close(screen)
