"""Long work that is started from the app: processes of their own, watched by whoever looks.

A run is one or several `deepmsi` commands, one after the other. It goes on when the page that started it is
closed, and ends with the app: by Ctrl-C, SIGTERM or a closed terminal (`app.server`). How it stands lies in
a file, so that a later app can tell.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from app.folders import data_folder, make_closed
from core.sentences import SentenceError
from core.writing import replacing

DONE, FAILED, STOPPED = "done", "failed", "stopped"
OVER = (DONE, FAILED, STOPPED)
"""States in which a run is over; before that its state is what its current command does."""

BROKEN_OFF, ELSEWHERE = "broken off", "elsewhere"
"""Of a run that an earlier app began: nothing of it goes on, or its process still does."""

PROGRAM = (sys.executable, "-m", "app.cli")
"""What is given the arguments of a command."""

NUM_LINES = 12
"""Of the log that are shown."""

STOP_SECONDS = 60.0
"""A process that was asked to end has so long to keep its state."""

_CLAIM_TRIES = 4
_CLAIM_SECONDS = 0.05


class RunError(SentenceError):
    """A run that cannot be started, told in one sentence."""


class Work(Protocol):
    """What a run is to do.

    Attributes:
        name: tells runs apart, and is part of the names of files; begins with no dot.
        states: what each of its commands does, in a word.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def states(self) -> tuple[str, ...]: ...  # noqa: D102

    def commands(self, folder: Path) -> list[list[str]]:
        """Arguments of `deepmsi` for each command; what they make lies inside `folder`."""

    def begin(self, folder: Path) -> None:
        """Writes what a run leaves for later apps; called once the folder is its own. Raises OSError."""


class Run:
    """One run, begun when it is made.

    Args:
        choice: what it is to be.
        folder: that holds what all runs make.

    Attributes:
        state: one of the choice's, or `DONE`, `FAILED`, `STOPPED`.
        is_told: a person was told that it is done.

    Raises:
        RunError: where a process goes on in this folder already.
        OSError: where it cannot be written.
    """

    def __init__(self, choice: Work, folder: Path) -> None:
        self.choice, self.folder = choice, folder
        self.log = log_of(folder, choice.name)
        self.is_told = False
        self._process: subprocess.Popen | None = None
        self._is_stop_wanted = threading.Event()
        self._lock = threading.Lock()
        make_closed(folder)
        self.log.parent.mkdir(exist_ok=True)
        self._claim = _claim(folder, choice.name)
        self._state = ""
        try:
            choice.begin(folder)
            self.state = choice.states[0]
        except OSError:
            os.close(self._claim)
            raise
        self._thread = threading.Thread(target=self._work, name=f"run {choice.name}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """What it does, or how it ended."""
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        self._state = state
        _write_state(self.folder, self.choice.name, state)

    @property
    def is_over(self) -> bool:
        """Nothing is being done any more."""
        return self.state in OVER

    def text(self) -> str:
        """The whole log."""
        return text_of(self.log)

    def lines(self) -> list[str]:
        """The last lines of the log."""
        return lines_of(self.log)

    def stop(self) -> None:
        """Asks the run to end; it keeps its state, and the same choice goes on from there."""
        self._is_stop_wanted.set()
        self._end(signal.SIGTERM)

    def join(self, seconds: float = STOP_SECONDS) -> None:
        """Waits until it is over; one that takes longer is ended where it is."""
        self._thread.join(seconds)
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, how)

    def _work(self) -> None:
        try:
            self._finish(self._do())
        except OSError:
            logging.getLogger(__name__).exception("run %s", self.choice.name)
            self._finish(FAILED)

    def _finish(self, state: str) -> None:
        # others are told while it is still held, or they would take it for broken off; this app when it is
        # not, for whoever sees it may begin another run
        try:
            _write_state(self.folder, self.choice.name, state)
        except OSError:
            logging.getLogger(__name__).exception("run %s", self.choice.name)
        os.close(self._claim)
        self._state = state

    def _do(self) -> str:
        """All steps; the state in which that ends."""
        environment = os.environ | {"COLUMNS": "200", "OMP_WAIT_POLICY": "PASSIVE"}
        steps = zip(self.choice.states, self.choice.commands(self.folder), strict=True)
        with self.log.open("wb") as log:
            for state, arguments in steps:
                with self._lock:
                    if self._is_stop_wanted.is_set():
                        break
                    self.state = state
                    self._process = subprocess.Popen(
                        [*PROGRAM, *arguments],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=environment,
                        start_new_session=True,
                        # the claim lasts as long as the process, even if the app is killed
                        pass_fds=(self._claim,),
                    )
                if self._process.wait() != 0:
                    break
            else:
                return DONE
        return STOPPED if self._is_stop_wanted.is_set() else FAILED


class Runs:
    """The runs of this server, the latest last; one goes on at a time, for they take all of a machine.

    Args:
        folder: see `Run`; that of this user's training runs by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_folder() / "runs" if folder is None else folder
        self._runs: list[Run] = []
        self._lock = threading.Lock()
        atexit.register(self.end)

    @property
    def all(self) -> tuple[Run, ...]:
        """All that were begun."""
        return tuple(self._runs)

    def free_name(self) -> str:
        """One that no run here has had."""
        number = 1
        while any((self.folder / f"own-{number}{suffix}").exists() for suffix in ("", ".run")) or any(
            run.choice.name == f"own-{number}" for run in self._runs
        ):
            number += 1
        return f"own-{number}"

    @property
    def current(self) -> Run | None:
        """The one that goes on."""
        return next((run for run in reversed(self._runs) if not run.is_over), None)

    def latest(self, name: str) -> Run | None:
        """The last one of a name that this server began."""
        return next((run for run in reversed(self._runs) if run.choice.name == name), None)

    def state_of(self, name: str) -> str | None:
        """How the run of a name stands, also one that an earlier app began; None where there was none."""
        if (run := self.latest(name)) is not None:
            return run.state
        state = _read_state(self.folder, name)
        if state is None or state in OVER:
            return state
        return ELSEWHERE if _holder(self.folder) == name else BROKEN_OFF

    def start(self, choice: Work) -> Run:
        """Begins a run, or goes on with a stopped one of the same name.

        Raises:
            RunError: where one goes on already, or the folder cannot be written.
        """
        with self._lock:
            if (current := self.current) is not None:
                raise RunError(f"The run {current.choice.name} goes on; wait for it, or stop it first.")
            try:
                run = Run(choice, self.folder)
            except OSError as error:
                raise RunError(f"{self.folder} cannot be written ({error.strerror}).") from error
            self._runs.append(run)
            return run

    def forget(self, name: str) -> None:
        """Removes log and state of a run that is over."""
        self._runs = [run for run in self._runs if run.choice.name != name]
        for path in (log_of(self.folder, name), _state_file(self.folder, name)):
            path.unlink(missing_ok=True)

    def end(self) -> None:
        """Stops what goes on."""
        if (current := self.current) is not None:
            current.stop()
            current.join()


def log_of(folder: Path, name: str) -> Path:
    """Where a run's log lies."""
    # no name of a run begins with a dot
    return folder / ".logs" / f"{name}.log"


def text_of(log: Path) -> str:
    """A whole log; "" where there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def lines_of(log: Path) -> list[str]:
    """The last lines of a log."""
    return [line.rstrip() for line in text_of(log).splitlines() if line.strip()][-NUM_LINES:]


def _state_file(folder: Path, name: str) -> Path:
    return folder / ".logs" / f"{name}.json"


def _write_state(folder: Path, name: str, state: str) -> None:
    with replacing(_state_file(folder, name)) as part:
        part.write_text(json.dumps({"state": state, "at": time.time()}), encoding="utf-8")


def _read_state(folder: Path, name: str) -> str | None:
    try:
        state = json.loads(_state_file(folder, name).read_text(encoding="utf-8"))["state"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if isinstance(state, str) else None


def _claim(folder: Path, name: str) -> int:
    """A descriptor that holds the folder for one run, until it and its copies in processes are closed."""
    claim = os.open(folder / ".claim", os.O_RDWR | os.O_CREAT, 0o600)
    for left in reversed(range(_CLAIM_TRIES)):
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            # one that only looks lets go at once
            if left:
                time.sleep(_CLAIM_SECONDS)
                continue
            os.close(claim)
            raise RunError(
                f"Another process works in {folder} already, perhaps one that an app left behind; wait for "
                "it, or end it."
            ) from error
    os.ftruncate(claim, 0)
    os.pwrite(claim, name.encode(), 0)
    return claim


def _holder(folder: Path) -> str | None:
    """Name of the run that holds the folder; None where none does."""
    try:
        claim = os.open(folder / ".claim", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.pread(claim, 200, 0).decode("utf-8", "replace")
    finally:
        os.close(claim)
    return None
