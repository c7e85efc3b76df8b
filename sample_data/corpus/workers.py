"""Long work by several processes, that ends at once when it is told to and leaves no process behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

import threadpoolctl

from sample_data.corpus.errors import CorpusError

LOST = CorpusError(
    "A process that made clips was ended from outside, perhaps for want of memory; use fewer workers and run "
    "the same command again: it goes on from there."
)


def run_tasks(
    function: Callable,
    tasks: Iterable[tuple],
    num_workers: int,
    tell: Callable[[], None],
    *,
    on_result: Callable[[Any], None] = lambda result: None,
    lost: Exception = LOST,
) -> None:
    """Call `function(*task)` for every task, in `num_workers` processes.

    A task is begun only when a process is free, so that nothing is begun any more after a failure. Tasks that
    run at that moment, or when this process is interrupted, are ended where they are.

    Args:
        function: of a module's top level.
        tasks: tuples of arguments.
        num_workers: processes, each with one thread for numerical work.
        tell: called about once a second.
        on_result: called with what `function` returned, as it comes.
        lost: raised if a process was killed from outside.

    Raises:
        CorpusError: or what is given as `lost`. Whatever `function` raises is raised again.
    """
    waiting: set[Future] = set()
    left = iter(tasks)
    context = _Spawning()
    try:
        with (
            ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start) as pool,
            context.ended_on_failure(),
        ):
            while True:
                with _without_main():
                    for task in islice(left, num_workers - len(waiting)):
                        waiting.add(pool.submit(function, *task))
                if not waiting:
                    return
                finished, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in finished:
                    on_result(future.result())
                tell()
    except BrokenProcessPool as error:
        raise lost from error


class _Spawning(SpawnContext):
    """Begins processes anew, since fork would copy a numba and an ONNX runtime that have threads.

    Keeps hold of them: a pool waits for what its processes are doing, and gives no way to end them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # noqa: N802
        self.processes.append(SpawnProcess(*args, **kwargs))
        return self.processes[-1]

    @contextmanager
    def ended_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for process in self.processes:
                # not yet begun, if the interruption came just then
                if process.pid is not None:
                    process.kill()
            raise


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes begin without running the main script again: they import what they call.

    Under Streamlit, and in tests of it, what stands as the main script cannot be run twice.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start() -> None:
    """One thread per process, and none that outlives the process that started it, however that one ended."""
    threadpoolctl.threadpool_limits(1)
    # what is half made is made again; a traceback per process would hide the one sentence
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    def end_with_parent() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
