"""Device, precision and processes of a run: the one place that sets Accelerate up.

A run is one process, or several that `torchrun` starts and that share the gradient.
"""

from __future__ import annotations

from datetime import timedelta

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs


def join(*, num_threads: int, precision: str = "no") -> Accelerator:
    """This process as one of its run's.

    Args:
        num_threads: of this process.
        precision: "no", "bf16" or "fp16".
    """
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
