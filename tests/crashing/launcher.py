"""Starts the project's commands quickly: a process that has imported all, and splits off one per command.

What a command does then is what counts, and not the seconds that its imports take. It is spoken to in lines
of JSON: an order comes in, and two lines go out, one with the process that was begun, one with how it ended.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
COMMAND_LINE = "app.cli:main"

LIMIT_SECONDS = 240.0
"""That an undisturbed command may take."""

ORPHAN_SECONDS = 20.0
"""In which processes have to end whose parent was killed."""

_PRELOADED = (
    *("app.cli", "core.checkpoint", "core.predict", "core.evaluation", "core.attribution.explain"),
    *("training.loop", "training.evaluate", "training.predictions", "training.sources", "training.pretrain"),
    *("app.explain_files", "app.explain_page", "app.explain_picture", "app.report", "app.report_page"),
    *("torch.utils.tensorboard", "transformers.models.bert.modeling_bert", "sample_data.corpus.make"),
    *("transformers.models.whisper.modeling_whisper", "training.truth_report", "app.notes", "app.own_runs"),
)


class Launcher:
    """The process that splits off others."""

    def __init__(self) -> None:
        threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashing.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | threads | {"HF_HUB_OFFLINE": "1", "COLUMNS": "200"},
            text=True,
        )

    def start(
        self,
        *arguments: str,
        log: Path,
        function: str = COMMAND_LINE,
        environment: dict[str, str] | None = None,
        max_file_bytes: int | None = None,
    ) -> Started:
        """Begin `function`, as a rule the command line, in a process and session of its own.

        Args:
            arguments: of the command.
            log: what it says on both outputs.
            function: "module:name".
            environment: more of it.
            max_file_bytes: larger files cannot be written, as on a full disk.
        """
        order = {
            "function": function,
            "arguments": arguments,
            "log": str(log),
            "environment": environment or {},
            "max_file_bytes": max_file_bytes,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Started(self, int(self.answer()), log)

    def run(self, *arguments: str, **how) -> tuple[int, str]:
        """Exit code of a command that may end by itself, and what it said."""
        started = self.start(*arguments, **how)
        return started.wait(), started.said

    def answer(self) -> str:
        """One line."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the launcher has ended")
        return line

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@dataclass(kw_only=False)
class Started:
    """A command that goes on; wait for it before the next."""

    launcher: Launcher
    pid: int
    log: Path
    code: int | None = None

    @property
    def said(self) -> str:
        """On both outputs."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> int:
        """Until it has ended; the exit code, or minus the signal that ended it."""
        if self.code is None:
            self.code = int(self.launcher.answer())
        return self.code

    def kill_after(
        self, seconds: float, *, is_alone: bool = False, until: Callable[[], bool] = lambda: True
    ) -> bool:
        """Kill it at a moment, if it is still at work then.

        Args:
            seconds: after which it is killed.
            is_alone: leave its children to themselves.
            until: asked from that moment on, until it says yes.

        Returns:
            Whether it was still at work.
        """
        process = psutil.Process(self.pid)
        with suppress(psutil.TimeoutExpired):
            process.wait(seconds)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and not until():
            time.sleep(0.0005)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL) if is_alone else os.killpg(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def orphans(self) -> list[str]:
        """Names of processes of its session that go on long after it."""
        deadline, left = time.monotonic() + ORPHAN_SECONDS, [""]
        while left and time.monotonic() < deadline:
            left = []
            for process in psutil.process_iter(["pid", "cmdline", "status"]):
                with suppress(ProcessLookupError, PermissionError):
                    if (
                        os.getsid(process.info["pid"]) == self.pid
                        and process.info["status"] != psutil.STATUS_ZOMBIE
                    ):
                        left.append(" ".join(process.info["cmdline"] or ())[:200])
            time.sleep(0.02)
        return left


def main() -> None:
    """Obeys orders until there are no more."""
    # what commands print must not pass for an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in _PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(order)
        print(pid, file=answers, flush=True)
        # it stays to be killed until its end is told
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _become(order: dict) -> None:
    code = 1
    try:
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order["environment"])
        sys.argv = ["deepmsi", *order["arguments"]]
        if order["max_file_bytes"] is not None:
            limit = order["max_file_bytes"]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        module, name = order["function"].split(":")
        getattr(importlib.import_module(module), name)()
        code = 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 0 if leave.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
