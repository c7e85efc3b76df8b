"""Work in several processes ends as soon as it has failed or was told to, and begins nothing any more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from sample_data.corpus.errors import CorpusError
from sample_data.corpus.workers import run_tasks

LONG_SECONDS = 120.0
"""Of a task that nobody can have waited for."""


def failing_task(path, number):
    """Notes that it was begun; the first one fails."""
    (path / str(number)).touch()
    if number == 0:
        raise OSError(28, "No space left on device")
    time.sleep(0.2)


def sleep_or_fail(path, does_fail):
    """Sleeps for long, or fails once another task does so."""
    note = path / "pid"
    if not does_fail:
        note.with_suffix(".part").write_text(str(os.getpid()))
        note.with_suffix(".part").rename(note)
        time.sleep(LONG_SECONDS)
    while not note.exists():
        time.sleep(0.05)
    raise OSError(28, "No space left on device")


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_after_a_failure_nothing_is_begun_any_more(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        run_tasks(failing_task, [(tmp_path, number) for number in range(12)], 1, lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_a_failure_ends_the_tasks_beside_it(tmp_path):
    began = time.monotonic()
    with pytest.raises(OSError, match="No space left"):
        run_tasks(sleep_or_fail, [(tmp_path, False), (tmp_path, True)], 2, lambda: None)
    assert time.monotonic() - began < LONG_SECONDS / 2
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_an_interruption_of_this_process_alone_ends_its_tasks(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import signal\n"
        "from pathlib import Path\n"
        "from sample_data.corpus.workers import run_tasks\n"
        "from test_workers import sleep_or_fail\n"
        # tests that run in the background of a shell inherit that it is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "if __name__ == '__main__':\n"
        f"    run_tasks(sleep_or_fail, [(Path({str(tmp_path)!r}), False)], 1, lambda: None)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + LONG_SECONDS / 2
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=LONG_SECONDS / 4)
    assert "KeyboardInterrupt" in told
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_the_main_script_is_not_run_again(tmp_path, monkeypatch):
    """As under Streamlit, whose pages stand as the main script for a while."""
    script = tmp_path / "page.py"
    script.write_text("raise NameError('run twice')")
    page = ModuleType("__main__")
    page.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", page)
    out = tmp_path / "out"
    run_tasks(os.mkdir, [(out,)], 1, lambda: None)
    assert out.is_dir() and sys.modules["__main__"] is page


def test_a_process_that_is_killed_is_told_in_a_sentence():
    with pytest.raises(CorpusError, match="ended from outside.*use fewer workers"):
        run_tasks(os._exit, [(9,)], 1, lambda: None)
