"""Device, precision and processes of a run: the one place that sets Accelerate up.

A run is one process, or several that `torchrun` starts and that share the gradient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list

from training.datasets.utterance import DataError

Answer = TypeVar("Answer")


def from_main(accelerator: Accelerator, ask: Callable[[], Answer]) -> Answer:
    """What the main process answers, in every process; what it raises is raised in every one."""
    told: list[object] = [None, None]
    if accelerator.is_main_process:
        try:
            told = [ask(), None]
        except Exception as error:  # noqa: BLE001, raised again below
            told = [None, error]
    answer, error = broadcast_object_list(told)
    if error is not None:
        raise error
    return answer


def in_any(accelerator: Accelerator, is_so: bool) -> bool:
    """Whether something is so in any process; all of them must ask."""
    if accelerator.num_processes == 1:
        return is_so
    told = torch.tensor(float(is_so), device=accelerator.device)
    return bool(accelerator.reduce(told, "sum") > 0)


def join(*, num_threads: int, precision: str = "no") -> Accelerator:
    """This process as one of its run's.

    Args:
        num_threads: of this process.
        precision: "no", "bf16" or "fp16".

    Raises:
        DataError: for fp16 without a GPU.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise DataError("The precision fp16 needs a GPU, and there is none; take bf16, or no.")
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=precision,
        kwargs_handlers=[
            # a frozen encoder, a modality that no clip of a batch has, a step that a resolution leaves out:
            # some parameters get no gradient
            DistributedDataParallelKwargs(find_unused_parameters=True),
            # the others wait while the main process makes features or evaluates, longer than the usual limit
            InitProcessGroupKwargs(timeout=timedelta(days=1)),
        ],
    )
    # after the above, which may set it too
    torch.set_num_threads(num_threads)
    return accelerator


@contextmanager
def all_threads(num_threads: int) -> Iterator[None]:
    """While the main process works alone: its threads and those of the processes that wait on this machine.

    Args:
        num_threads: of one process.
    """
    torch.set_num_threads(num_threads * int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
