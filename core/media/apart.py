"""Work on files from strangers, in a process of its own: what a decoder does there, it does to itself alone.

A decoder is a large program in C. One that crashes would end the app and every session in it, one that hangs
would hold a thread for ever, one that asks for all memory would have the machine end something. So such
files are decoded by a worker: a small process that has loaded what decoding takes and splits off a child for
every piece of work. The child ends with its work or is ended at a limit of time or memory; it can write no
file, and while it holds the clip it can open nothing besides, neither a file nor a connection. What it sends
back is checked, and nothing of it is unpickled. It keeps the rights of the user, so this is no jail.

A worker is a plain program that is spoken to over pipes, not one of `multiprocessing`: that would run the
main module again, which is Streamlit's. Where processes cannot be split (Windows) the work is done in place.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
import pickle
import pkgutil
import secrets
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from core.media.clip import DecodedMedia, Frames, MediaError, MediaInfo
from core.media.limits import GIB, Limits

_NUM_WORKERS = max(2, min(4, os.cpu_count() or 1))
"""A file that takes its time holds up those of the same moment only when it has as many companions."""

_RESULTS = {kind.__name__: kind for kind in (DecodedMedia, Frames, MediaInfo)}
_ARRAYS = ("uint8", "float32", "float64")
_MAX_HEADER_BYTES = 1 << 20
_MAX_REPLY_BYTES = GIB

_READY = b"ready"
_DIED = 64
"""A worker ends with this and the number of the signal that ended its child."""

_GRACE_SECONDS = 10.0
"""After which a child that did not end by its own clock is ended from here."""


def run_apart(function: Callable, *args: object, name: str, limits: Limits, writes: bool = False) -> object:
    """What `function(*args)` returns, worked out in a process that is ended at a limit.

    Args:
        function: of a module, not of the main one. It returns numbers, texts, None, arrays of bytes or
            floats, `DecodedMedia`, `Frames` and `MediaInfo`, or tuples of these.
        args: what it takes; whatever can be pickled.
        name: of the file, for sentences.
        limits: `max_work_seconds` and `max_work_bytes` are kept.
        writes: whether it may write a file.

    Raises:
        MediaError: it raised one, crashed, or reached a limit.
    """
    if not hasattr(os, "fork"):
        return function(*args)
    mark = secrets.token_hex()
    order = pickle.dumps((mark, function, args, limits.max_work_seconds, limits.max_work_bytes, writes))
    with _seats:
        try:
            worker = _free_worker()
        except (OSError, EOFError):
            raise MediaError(
                f"{name} was not read, for the process that decodes it could not be started; make room in "
                "memory, or start anew."
            ) from None
        try:
            kind, value = worker.ask(order, mark, limits.max_work_seconds + _GRACE_SECONDS)
        except _DiedError as error:
            worker.kill()
            raise MediaError(_death(name, error, limits)) from None
        except BaseException:  # an answer that was not heard to its end belongs to nobody
            worker.kill()
            raise
        with _lock:
            _idle.append(worker)
    if kind == "refused":
        raise MediaError(str(value))
    if kind == "memory":
        raise MediaError(_too_large(name, limits))
    if kind != "result":
        raise RuntimeError(f"reading {name} failed apart:\n{value}")
    return value


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
        _exactly(self._process.stdout, len(_READY))

    @property
    def is_alive(self) -> bool:
        # after a fork the pipes are another process's
        return self._pid == os.getpid() and self._process.poll() is None

    def ask(self, order: bytes, mark: str, max_seconds: float) -> tuple[str, object]:
        timer = threading.Timer(max_seconds, self.kill)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                self._process.stdin.write(len(order).to_bytes(8, "big") + order)
                self._process.stdin.flush()
            return _receive(self._process.stdout, mark)
        except EOFError:
            code = self._process.wait()
            raise _DiedError(code - _DIED if code > _DIED else -code) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise _DiedError(signal.SIGABRT) from None
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


def _send(out: BinaryIO, mark: str, kind: str, value: object) -> None:
    arrays: list[np.ndarray] = []
    header = json.dumps({"mark": mark, "kind": kind, "value": _packed(value, arrays)}).encode()
    out.write(len(header).to_bytes(8, "big") + header)
    for array in arrays:
        out.write(array.data if array.size else b"")
    out.flush()


def _packed(value: object, arrays: list[np.ndarray]) -> object:
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.name, *value.shape]}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {type(value).__name__: {name: _packed(part, arrays) for name, part in fields.items()}}
    if isinstance(value, tuple):
        return [_packed(part, arrays) for part in value]
    # numpy's numbers are none that JSON knows
    return value.item() if isinstance(value, np.generic) else value


def _receive(source: BinaryIO, mark: str) -> tuple[str, object]:
    """The kind of an answer and its value; EOFError where the other side is gone.

    The other side may have been taken over by what it decoded, so an answer is believed only as far as it has
    the form of one; ValueError, TypeError or LookupError where it has not, or where it lacks the mark of the
    order, as one would that was sent ahead.
    """
    size = int.from_bytes(_exactly(source, 8), "big")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(size)
    header = json.loads(_exactly(source, size))
    if header["mark"] != mark:
        raise ValueError(mark)
    left = [_MAX_REPLY_BYTES]
    return header["kind"], _unpacked(header["value"], source, left)


def _unpacked(value: object, source: BinaryIO, left: list[int]) -> object:
    if isinstance(value, list):
        return tuple(_unpacked(part, source, left) for part in value)
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind != "array":
        fields = {name: _unpacked(part, source, left) for name, part in inside.items()}
        return _RESULTS[kind](**fields)
    dtype, *shape = inside
    if dtype not in _ARRAYS:
        raise ValueError(inside)
    left[0] -= math.prod(shape) * np.dtype(dtype).itemsize
    if left[0] < 0:
        raise ValueError(shape)
    array = np.empty(shape, dtype)
    if array.size:
        _fill(source, memoryview(array).cast("B"))
    return array


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _fill(source: BinaryIO, room: memoryview) -> None:
    while room:
        count = source.readinto(room)
        if not count:
            raise EOFError
        room = room[count:]


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
    while True:
        try:
            order = _exactly(orders, int.from_bytes(_exactly(orders, 8), "big"))
        except EOFError:
            return
        child = os.fork()
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


def _import_all() -> None:
    """Imports what decoding takes, and what PyAV would import on the way: a child can open no file for it."""
    import av

    import core.media.reader  # noqa: F401

    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            importlib.import_module(module.name)


def _work(order: bytes, replies: int) -> None:
    mark, function, args, seconds, max_bytes, writes = pickle.loads(order)
    _limit(seconds, max_bytes, num_files=2 if writes else 1, writes=writes, above=replies)
    try:
        kind, value = "result", function(*args)
    except MediaError as error:
        kind, value = "refused", str(error)
    except MemoryError:
        kind, value = "memory", None
    except Exception:  # noqa: BLE001  told by the other side
        kind, value = "fault", traceback.format_exc()[-8000:]
    with os.fdopen(replies, "wb") as out:
        _send(out, mark, kind, value)


def _limit(seconds: float, max_bytes: int, *, num_files: int, writes: bool, above: int) -> None:
    """Ends this process at a time, and bounds what it may take and open.

    Args:
        seconds: until it is ended, whatever it is doing.
        max_bytes: of its address space.
        num_files: that it may have open, beside those it has.
        writes: whether it may write files.
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
        resource.RLIMIT_NOFILE: above + 1 + num_files,
    }
    if not writes:
        bounds[resource.RLIMIT_FSIZE] = 0
    for what, bound in bounds.items():
        # not every system knows every bound
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (bound, bound))


if __name__ == "__main__":
    # the functions that are called know this module by its own name
    from core.media import apart

    apart._serve()
