"""Training runs that are started from the app: processes of their own, watched by whoever looks.

A run is `deepmsi train` on the training clips that ship, and then `deepmsi evaluate` on the test clips. It
goes on when the page that started it is closed, and ends with the app.
"""

from __future__ import annotations

import atexit
import fcntl
import itertools
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.folders import data_folder
from core.labels import MODALITIES
from sample_data import BACKBONES, CLIPS

TRAINING, EVALUATING, DONE, FAILED, STOPPED = "training", "evaluating", "done", "failed", "stopped"

NUM_LINES = 12
"""Of the log that are shown."""

STOP_SECONDS = 60.0
"""A process that was asked to end has so long to keep its state."""

_EPOCH = re.compile(r"^epoch (\d+)/(\d+) ", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}")


class RunError(Exception):
    """A run that cannot be started, told in one sentence."""


@dataclass(frozen=True, kw_only=True)
class RunChoice:
    """What a run is to be.

    Attributes:
        name: of the checkpoint, and of its folder.
        modalities: that the model reads.
        num_epochs: of training.
        seed: of everything that is drawn.
    """

    name: str
    modalities: tuple[str, ...] = ("audio", "text")
    num_epochs: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RunError(
                f"A run cannot be named “{self.name}”: use up to 40 letters, digits, dots, dashes and "
                "underscores, a letter or digit first."
            )

    def commands(self, folder: Path) -> list[list[str]]:
        """Arguments of `deepmsi` for training and evaluation, into folders inside `folder`."""
        checkpoint = folder / self.name
        settings = {
            "prior_tau": "0.0",
            "class_balance": "0.5",
            "num_train_frames": "[4,8,12,16]",
            "weight_average": "0.97",
            "half_weights": "true",
        }
        train = ["train", "--preset", "mini", "--data", str(CLIPS / "train"), "--out", str(checkpoint)]
        train += ["--epochs", str(self.num_epochs), "--batch-size", "24", "--seed", str(self.seed)]
        if "video" in self.modalities:
            train += ["--pretrained-video", str(BACKBONES / "video-mini")]
            if len(self.modalities) > 1:
                settings["num_blind_epochs"] = str(self.num_epochs // 2)
        if self.modalities != MODALITIES:
            settings["modalities"] = "[" + ",".join(f'"{name}"' for name in self.modalities) + "]"
        for name, value in settings.items():
            train += ["--set", f"{name}={value}"]
        cache = ["--cache-dir", str(folder / ".features")]
        evaluate = ["evaluate", str(checkpoint), "--data", str(CLIPS / "test"), "--split", "test"]
        evaluate += ["--out", str(folder / f"{self.name}-test")]
        return [[*train, *cache, "--resume"], [*evaluate, *cache]]


class Run:
    """One run, begun when it is made.

    Args:
        choice: what it is to be.
        folder: that holds the checkpoints, evaluations and features of all runs.

    Attributes:
        state: of `TRAINING`, `EVALUATING`, `DONE`, `FAILED`, `STOPPED`.
        is_offered: what it made was offered on the pages.

    Raises:
        RunError: where a process goes on in this folder already.
        OSError: where it cannot be written.
    """

    def __init__(self, choice: RunChoice, folder: Path) -> None:
        self.choice, self.folder = choice, folder
        self.state = TRAINING
        # no name of a run begins with a dot
        self.log = folder / ".logs" / f"{choice.name}.log"
        self.is_offered = False
        self._process: subprocess.Popen | None = None
        self._is_stop_wanted = threading.Event()
        self._lock = threading.Lock()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._claim = _claim(folder)
        self._thread = threading.Thread(target=self._work, name=f"run {choice.name}", daemon=True)
        self._thread.start()

    @property
    def checkpoint(self) -> Path:
        """Folder of the checkpoint that it makes."""
        return self.folder / self.choice.name

    @property
    def evaluation(self) -> Path:
        """Folder of the evaluation that it makes."""
        return self.folder / f"{self.choice.name}-test"

    @property
    def is_over(self) -> bool:
        """Nothing is being done any more."""
        return self.state in (DONE, FAILED, STOPPED)

    def lines(self) -> list[str]:
        """The last lines of the log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()][-NUM_LINES:]

    def num_epochs_done(self) -> int:
        """Epochs that training has finished."""
        try:
            found = _EPOCH.findall(self.log.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return 0
        return int(found[-1][0]) if found else 0

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
            self.state = self._do()
        except OSError:
            logging.getLogger(__name__).exception("run %s", self.choice.name)
            self.state = FAILED
        finally:
            os.close(self._claim)

    def _do(self) -> str:
        """All steps; the state in which that ends."""
        environment = os.environ | {"COLUMNS": "200", "OMP_WAIT_POLICY": "PASSIVE"}
        steps = zip((TRAINING, EVALUATING), self.choice.commands(self.folder), strict=True)
        with self.log.open("wb") as log:
            for state, arguments in steps:
                with self._lock:
                    if self._is_stop_wanted.is_set():
                        break
                    self.state = state
                    self._process = subprocess.Popen(
                        [sys.executable, "-m", "app.cli", *arguments],
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


def _claim(folder: Path) -> int:
    """A descriptor that holds the folder for one run, until it and its copies in processes are closed."""
    claim = os.open(folder / ".claim", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(claim)
        raise RunError(
            f"Another process trains in {folder} already, perhaps one that an app left behind; wait for it, "
            "or end it."
        ) from error
    return claim


class Runs:
    """The runs of this server, the latest last; one goes on at a time, for they take all of a machine.

    Args:
        folder: see `Run`; that of this user by default.
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
        numbers = itertools.count(1)
        names = (f"own-{number}" for number in numbers)
        return next(
            name
            for name in names
            if not any((self.folder / f"{name}{suffix}").exists() for suffix in ("", ".run"))
            and all(run.choice.name != name for run in self._runs)
        )

    @property
    def current(self) -> Run | None:
        """The one that goes on."""
        return next((run for run in reversed(self._runs) if not run.is_over), None)

    def start(self, choice: RunChoice) -> Run:
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

    def end(self) -> None:
        """Stops what goes on."""
        if (current := self.current) is not None:
            current.stop()
            current.join()
