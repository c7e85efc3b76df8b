"""Less memory for training: early blocks of the video encoder are computed again in place of being kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.model import DeepMSI

NUM_STAGES = 2
"""The first two hold most of what a clip takes, on the largest grids, and the smaller part of the work."""


def recompute_early_blocks(model: DeepMSI) -> None:
    """Have the backward pass compute stages 1 and 2 again. Gradients are the same up to rounding."""
    if model.video is not None:
        # of the instance, and copied with it: the average of the weights has its own
        swin = model.video.swin
        swin.block = _Recomputed(swin.block)


class _Recomputed:
    """In place of a network's way to compute a block."""

    def __init__(self, run: Callable[[int, int, Tensor], Tensor]) -> None:
        self._run = run

    def __call__(self, stage: int, position: int, x: Tensor) -> Tensor:
        if stage < NUM_STAGES and torch.is_grad_enabled() and x.requires_grad:
            return checkpoint(self._run, stage, position, x, use_reentrant=False)
        return self._run(stage, position, x)
