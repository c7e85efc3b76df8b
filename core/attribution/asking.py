"""Asking a subject for the value of a target: what all methods of attribution do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from core.attribution.results import Target
from core.attribution.subject import Cancelled, Subject, check
from core.attribution.variants import Variant
from core.model import DeepMSI

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

    def value(self, num: int, answer: Callable[[DeepMSI], Tensor]) -> Tensor:
        """`(num,)` from probabilities `(num, class)`."""
        check(self.cancelled)
        with self.subject.model() as model:
            value = self.target.of(answer(model), self.subject.labels)
        self._count(num)
        return value

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
