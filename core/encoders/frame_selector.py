"""Frames as tokens of the frame-level step: what of them is compared, and what the guide looks for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DESCRIPTOR_SIDE = 8
"""Of the coarse pictures that frames are compared by."""


class FrameSelector(nn.Module):
    """Frames as tokens: short descriptors by which the guide keeps some and the others are merged into them.

    A descriptor tells how a frame *deviates* from its clip's mean frame (expression and pose rather than
    identity), scaled by the clip's typical deviation. A learned constant is added, so that in a clip without
    motion all frames are equal and similar, not undefined.

    By itself relevance is closeness to the mean frame, and that is a still face. The guide's bias tells what
    to look for whatever is said (`training.expressions` teaches it); its weights start small, so that words
    and sound move the choice as far as training finds it useful.
    """

    def __init__(self, token_width: int, guide_width: int, frame_width: int):
        super().__init__()
        self.descriptor = nn.Linear(token_width * DESCRIPTOR_SIDE**2, frame_width, bias=False)
        self.constant = nn.Parameter(torch.full((frame_width,), 0.3 / frame_width**0.5))
        self.guide = nn.Linear(guide_width, frame_width)
        nn.init.normal_(self.guide.weight, std=0.01)

    @staticmethod
    def summary(tokens: Tensor) -> Tensor:
        """A coarse picture `(frame, summary)` of each embedded frame `(frame, rows, columns, width)`."""
        return F.adaptive_avg_pool2d(tokens.permute(0, 3, 1, 2), DESCRIPTOR_SIDE).flatten(1)

    def metric(self, summaries: Tensor, mask: Tensor) -> Tensor:
        """Descriptors `(batch, frame, frame_width)` of the clips' summaries `(batch, frame, summary)`."""
        pooled, weight = summaries, mask.unsqueeze(-1).to(summaries.dtype)
        count = weight.sum(1, keepdim=True).clamp(min=1)
        deviation = (pooled - (pooled * weight).sum(1, keepdim=True) / count) * weight
        descriptor = self.descriptor(deviation)
        typical = (descriptor.square().sum(-1, keepdim=True).sum(1, keepdim=True) / count + 1e-6).sqrt()
        return descriptor / typical + self.constant
