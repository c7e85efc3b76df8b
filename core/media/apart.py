"""Work on files from strangers, in a process of its own: what a decoder does there, it does to itself alone.

A decoder is a large program in C. One that crashes would end the app and every session in it, one that hangs
would hold a thread for ever, one that asks for all memory would have the machine end something. So such
files are decoded by a worker: a small process that has loaded what decoding takes and splits off a child for
every piece of work. The child ends with its work or is ended at a limit of time or memory; it can write no
file, and while it holds the clip it can open nothing besides, neither a file nor a connection. What it sends
back is checked, and nothing of it is unpickled. It keeps the rights of the user, so this is no jail.

A worker is a plain program that is spoken to over pipes, not one of `multiprocessing`: that would run the
main module again, which is Streamlit's.
"""

from __future__ import annotations

import importlib
import os
import pickle
import pkgutil
import secrets
import signal
import subprocess
import sys
import threading
import traceback
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from core.cores import usable_cores
from core.media.clip import MediaError
from core.media.limits import GIB, Limits
from core.media.replies import exactly, receive, send

_NUM_WORKERS = max(2, usable_cores())
"""A file that takes its time holds up those of the same moment only when it has as many companions."""

_MAX_WAIT_SECONDS = 60.0
"""For one of these to be free: longer than clips take, shorter than a person looks at "Reading"."""

_READY = b"ready"
_DIED = 64
"""A worker ends with this and the number of the signal that ended its child."""

_CHILDLESS = 63
"""A worker ends with this when the machine has no room for a child."""

_NUM_CHECKED_BYTES = 16

_START_SECONDS = 60.0
"""In which a worker has to be ready."""

_GRACE_SECONDS = 10.0
"""After which a child that did not end by its own clock is ended from here."""

_END_SECONDS = 2.0
"""In which a child has to end that has answered."""


class MachineError(MediaError):
    """The machine could not read a file, which is no fault of the file's; one sentence."""


class BusyError(MachineError):
    """Other files are being read: who has time may ask again."""


def run_apart(function: Callable, *args: object, name: str, limits: Limits) -> object:
    """What `function(*args)` returns, worked out in a process that is ended at a limit.

    Args:
        function: of a module, not of the main one. It returns numbers, texts, None, arrays of bytes or
            floats, `DecodedMedia`, `Frames` and `MediaInfo`, or tuples of these. What it is annotated to
            return is checked.
        args: what it takes; whatever can be pickled.
        name: of the file, for sentences.
        limits: `max_work_seconds` and `max_work_bytes` are kept.

    Raises:
        BusyError: so many other files are being read that its turn did not come in a minute.
        MachineError: there was no room for a process.
        MediaError: it raised one, crashed, reached a limit, or returned something else.
    """
    returns = typing.get_type_hints(function).get("return", object)
    mark = secrets.token_hex()
    order = pickle.dumps((mark, function, args, limits.max_work_seconds, limits.max_work_bytes))
    with _seat(name):
        try:
            worker = _free_worker()
            kind, value = worker.ask(order, mark, returns, limits.max_work_seconds + _GRACE_SECONDS)
        except _DiedError as error:
            raise MediaError(_death(name, error, limits)) from None
        except (OSError, EOFError):
            raise MachineError(
                f"{name} was not read, for the process that decodes it could not be started; make room in "
                "memory, end other programs, or start anew."
            ) from None
        if worker.is_done():
            with _lock:
                _idle.append(worker)
    if kind == "refused":
        raise MediaError(value)
    if kind == "memory":
        raise MediaError(_too_large(name, limits))
    if kind == "fault":
        raise RuntimeError(f"reading {name} failed apart:\n{value}")
    return value


@contextmanager
def _seat(name: str) -> Iterator[None]:
    if not _seats.acquire(timeout=_MAX_WAIT_SECONDS):
        raise BusyError(
            f"{name} was not read, for its turn did not come in {_MAX_WAIT_SECONDS:g} s: the files of others "
            "are being read; try again in some minutes."
        )
    try:
        yield
    finally:
        _seats.release()


def _death(name: str, error: _DiedError, limits: Limits) -> str:
    if error.signal == signal.SIGALRM:
        return (
            f"{name} was not read within the allowed {limits.max_work_seconds:g} s; cut it, convert it, or "
            "choose another file."
        )
    if error.signal == signal.SIGKILL:
        return f"{name} took so much memory or time that reading it was ended; cut it or scale it down."
    return (
        f"{name} made the decoder crash, so nothing of it is used; it is damaged, or made to do harm: "
        "convert it anew or choose another file."
    )


def _too_large(name: str, limits: Limits) -> str:
    return (
        f"{name} takes more than the allowed {limits.max_work_bytes / GIB:.1f} GiB of memory to decode; "
        "scale it down or choose a shorter span."
    )


class _DiedError(Exception):
    """A worker or its child is gone; `signal` ended it."""

    def __init__(self, ended_by: int) -> None:
        super().__init__(ended_by)
        self.signal = ended_by


class _Worker:
    """The process and the pipes to it; one piece of work at a time."""

    def __init__(self) -> None:
        # its own session, so that its children can be ended with it and Ctrl-C is for this process alone
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.media.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            # no threads of the numerical libraries, which do not live on in a child
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self._pid = os.getpid()
        with self._watched(_START_SECONDS):
            exactly(self._process.stdout, len(_READY))

    @property
    def is_alive(self) -> bool:
        # after a fork the pipes are another process's
        return self._pid == os.getpid() and self._process.poll() is None

    def ask(self, order: bytes, mark: str, returns: object, max_seconds: float) -> tuple[str, object]:
        """The kind of the answer and its value.

        Raises:
            _DiedError: there is none that can be believed.
            OSError, EOFError: the machine had no room for a child.
        """
        with self._watched(max_seconds):
            try:
                with suppress(BrokenPipeError):
                    self._process.stdin.write(len(order).to_bytes(8, "big") + order)
                    self._process.stdin.flush()
                return receive(self._process.stdout, mark, returns)
            except EOFError:
                code = self._process.wait()
                if 0 <= code < _DIED:
                    raise
                raise _DiedError(code - _DIED if code > _DIED else -code) from None
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
                raise _DiedError(signal.SIGABRT) from None

    def is_done(self) -> bool:
        """Whether its child ended well and left only the answer in the pipe; the worker is ended if not.

        The worker sends back what it gets when the child is gone. The child, which has no access to the
        orders, could not have sent it ahead.
        """
        check = secrets.token_bytes(_NUM_CHECKED_BYTES)
        try:
            with self._watched(_END_SECONDS):
                self._process.stdin.write(check)
                self._process.stdin.flush()
                if exactly(self._process.stdout, len(check)) != check:
                    raise EOFError
        except (OSError, EOFError):
            return False
        return self.is_alive

    @contextmanager
    def _watched(self, max_seconds: float) -> Iterator[None]:
        """Ends the worker after a time, and where the block fails: what comes later belongs to nobody."""
        timer = threading.Timer(max_seconds, self.kill)
        try:
            try:
                timer.start()
            except RuntimeError as error:  # no room for a thread
                raise OSError from error
            yield
        except BaseException:
            self.kill()
            raise
        finally:
            timer.cancel()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


_lock = threading.Lock()
_idle: list[_Worker] = []
_seats = threading.BoundedSemaphore(_NUM_WORKERS)


def _free_worker() -> _Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.is_alive:
                return worker
    return _Worker()


def _serve() -> None:
    """The worker: reads orders and splits off a child for each, until nobody is there any more."""
    _import_all()
    replies = os.dup(1)
    orders = os.fdopen(os.dup(0), "rb")
    os.write(replies, _READY)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    # until nobody asks any more
    with suppress(EOFError, BrokenPipeError):
        while True:
            order = exactly(orders, int.from_bytes(exactly(orders, 8), "big"))
            try:
                child = os.fork()
            except OSError:
                os._exit(_CHILDLESS)
            if child == 0:
                with suppress(BaseException):
                    orders.close()
                    _work(order, replies)
                    os._exit(0)
                os._exit(1)
            _, status = os.waitpid(child, 0)
            if status:
                # an answer may have been cut off, so the pipe is of no use any more
                os._exit(_DIED + (os.WTERMSIG(status) if os.WIFSIGNALED(status) else signal.SIGABRT))
            os.write(replies, exactly(orders, _NUM_CHECKED_BYTES))


def _import_all() -> None:
    """Imports what decoding takes, and what PyAV would import on the way: a child can open no file for it."""
    import av

    import core.media.reader  # noqa: F401

    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            importlib.import_module(module.name)


def _work(order: bytes, replies: int) -> None:
    # from `run_apart`, by a pipe that nobody else has; what a file may have made is never unpickled
    mark, function, args, seconds, max_bytes = pickle.loads(order)
    _limit(seconds, max_bytes, above=replies)
    try:
        kind, value = "result", function(*args)
    except MediaError as error:
        kind, value = "refused", str(error)
    except MemoryError:
        kind, value = "memory", None
    except Exception:  # noqa: BLE001  told by the other side
        kind, value = "fault", traceback.format_exc()[-8000:]
    with os.fdopen(replies, "wb") as out:
        send(out, mark, kind, value)


def _limit(seconds: float, max_bytes: int, *, above: int) -> None:
    """Ends this process at a time, and bounds what it may take: one open file more, and none to write to.

    Args:
        seconds: until it is ended, whatever it is doing.
        max_bytes: of its address space.
        above: the highest descriptor that it has open.
    """
    import resource

    # a crash is told by the other side
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    bounds = {
        resource.RLIMIT_AS: max_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: above + 2,
        resource.RLIMIT_FSIZE: 0,
    }
    for what, bound in bounds.items():
        # not every system knows every bound
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (bound, bound))


if __name__ == "__main__":
    # the functions that are called know this module by its own name
    from core.media import apart

    apart._serve()
