"""Asking a subject for the value of a target: what all methods of attribution do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from core.attribution.results import Target
from core.attribution.subject import Cancelled, Subject, check, without_gradients_of_weights
from core.attribution.variants import Variant
from core.model import DeepMSI

T = TypeVar("T")
Given = TypeVar("Given", bound=Sized)

SMALL_NETWORK = 100_000_000
"""Parameters. Two passes through a larger one at a time would hold much memory, and its products fill the
cores by themselves."""

Progress = Callable[[float], None]
"""Told from time to time which share of the work is done, 0 … 1."""


class Asking:
    """The target's value as a function, with everything that is to happen whenever it is asked for."""

    def __init__(self, subject: Subject, target: Target, cancelled: Cancelled | None, progress: Progress):
        target.of(subject.probabilities, subject.labels)  # raises where it is none
        self.subject = subject
        self.target = target
        self.cancelled = cancelled
        self.num_passes = 0
        self.num_expected = 1
        self._progress = progress
        self._pool: ThreadPoolExecutor | None = None
        self._is_warm = False

    def value(self, num: int, answer: Callable[[DeepMSI], Tensor]) -> Tensor:
        """`(num,)` from probabilities `(num, class)`."""
        check(self.cancelled)
        with self.subject.model() as model:
            value = self.target.of(answer(model), self.subject.labels)
        self._count(num)
        return value

    @contextmanager
    def two_at_a_time(self) -> Iterator[None]:
        """While it lasts, `passes` computes two passes at a time if that is quicker.

        Between the products of a small network much runs on one thread, however many torch may use. So on a
        CPU, two passes have half of the threads each.
        """
        num_threads, device = torch.get_num_threads(), self.subject.device
        with self.subject.model() as model:
            size = sum(parameter.numel() for parameter in model.parameters())
        if device.type != "cpu" or num_threads < 2 or size > SMALL_NETWORK:
            yield
            return
        with _two_workers(num_threads // 2) as self._pool:
            try:
                yield
            finally:
                self._pool = None

    def passes(self, work: Callable[[DeepMSI, Given], T], given: Sequence[Given]) -> list[T]:
        """What each pass gives, which may take gradients of anything but the weights.

        Args:
            work: makes a pass of the model and of what is given for it, as many versions of the clip as that
                has entries.
            given: one for each pass.
        """
        found: list[T] = []
        while len(found) < len(given):
            # what a network keeps from pass to pass is there after the first
            num = 2 if self._pool is not None and self._is_warm else 1
            few = given[len(found) : len(found) + num]
            check(self.cancelled)
            with self.subject.model() as model, without_gradients_of_weights(model):
                one = partial(work, model)
                found += self._pool.map(one, few) if len(few) > 1 else map(one, few)
            self._is_warm = True
            self._count(sum(len(part) for part in few))
        return found

    def variants(self, variants: Sequence[Variant], batch_size: int = 1) -> np.ndarray:
        """`(variant,)`. On a CPU larger batches of clips with video are slower."""
        values = []
        for i in range(0, len(variants), batch_size):
            part = variants[i : i + batch_size]
            probabilities = self.subject.ask(part, batch_size=batch_size, cancelled=self.cancelled)
            values.append(self.target.of(probabilities, self.subject.labels))
            self._count(len(part))
        return np.concatenate(values)

    def done(self) -> None:
        """It was not known before how many questions it takes."""
        self._progress(1.0)

    def _count(self, num: int) -> None:
        self.num_passes += num
        self._progress(min(1.0, self.num_passes / self.num_expected))


@contextmanager
def _two_workers(num_threads: int) -> Iterator[ThreadPoolExecutor | None]:
    """In which torch uses so many threads each; everywhere else as many as before. None if there are none."""
    ready = Barrier(3)

    def begin() -> None:
        torch.get_num_threads()  # or its first product would have as many as all
        torch.set_num_threads(num_threads)
        ready.wait()

    with ThreadPoolExecutor(2, "passes", begin) as pool:
        try:
            for _ in range(2):
                pool.submit(int)
        except RuntimeError:  # the machine has no room for another thread
            ready.abort()
            yield None
            return
        ready.wait()
        # torch remembers what was set last, in any thread, for threads that are yet to begin
        torch.set_num_threads(torch.get_num_threads())
        yield pool
