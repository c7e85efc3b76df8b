"""How optimizers are set up: the learning rate over time, and what decays."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn


def warmup_cosine(step: int, warmup_steps: int, num_steps: int) -> float:
    """Factor of the learning rate: linear to one over the warm-up, then half a cosine to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def weight_decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict]:
    """What has two or more dimensions decays, biases and norms do not."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
