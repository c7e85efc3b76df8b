"""Temporal convolutional network over frame vectors (MODEL 1.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from core.config import TemporalConfig


class TemporalBlock(nn.Module):
    """Two weight-normalised dilated causal convolutions with a residual connection."""

    def __init__(self, width_in: int, width_out: int, kernel_size: int, dilation: int, dropout: float):
        super().__init__()
        self.padding = (kernel_size - 1) * dilation
        self.conv1 = weight_norm(nn.Conv1d(width_in, width_out, kernel_size, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(width_out, width_out, kernel_size, dilation=dilation))
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Conv1d(width_in, width_out, 1) if width_in != width_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, width_in, frame)` to `(batch, width_out, frame)`."""
        hidden = x
        for conv in (self.conv1, self.conv2):
            hidden = self.dropout(F.relu(conv(F.pad(hidden, (self.padding, 0)))))
        return F.relu(hidden + self.shortcut(x))


class TemporalNetwork(nn.Module):
    """Residual causal blocks with dilations 1, 2, 4, …, and a summary of their states (`TemporalConfig`)."""

    def __init__(self, width_in: int, config: TemporalConfig):
        super().__init__()
        self.width = config.channels[-1]
        widths = (width_in, *config.channels)
        self.blocks = nn.Sequential(
            *(
                TemporalBlock(widths[i], widths[i + 1], config.kernel_size, 2**i, config.dropout)
                for i in range(len(config.channels))
            )
        )
        self.score = None
        if config.summary == "attention":
            self.score = nn.Linear(self.width, 1, bias=False)
            # all frames count alike at first
            nn.init.zeros_(self.score.weight)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Summarise frame vectors.

        Args:
            frames: `(batch, frame, width)` in the order of time, real frames first.
            mask: `(batch, frame)` True on real frames; at least one per clip.

        Returns:
            `(batch, channels[-1])`. What lies behind the last real frame has no influence: the network is
            causal, and states there are not read.
        """
        states = self.blocks(frames.transpose(1, 2)).transpose(1, 2)
        if self.score is None:
            last = mask.sum(1).clamp(min=1) - 1
            return states[torch.arange(len(states), device=states.device), last]
        weight = self.score(states).squeeze(2).masked_fill(~mask, -torch.inf).softmax(1)
        return (weight.unsqueeze(2) * states).sum(1)
