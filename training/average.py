"""The running average of weights that is evaluated and saved in place of the last step's."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """Running average of a model's trained parameters; buffers are copied.

    Attributes:
        model: with the averaged weights, in evaluation mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_steps = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.num_steps += 1
        # short memory at first, or the random start would linger
        decay = min(self.decay, self.num_steps / (self.num_steps + 9))
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        mine = self.model.state_dict()
        for name, value in model.state_dict().items():
            if name in trained:
                mine[name].lerp_(value, 1.0 - decay)
            elif not name.startswith(("text.backbone.", "audio.backbone.")):
                mine[name].copy_(value)
