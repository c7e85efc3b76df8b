"""Convolutions in place of the early parts of Swin Transformer V2, for networks that learn from little."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.encoders.products import convolve, is_asked_only


class ConvStem(nn.Module):
    """Convolutions in place of the patch embedding: a small Swin learns far sooner behind them."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2

        def layer(width_in: int, width_out: int, stride: int) -> list[nn.Module]:
            conv = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
            return [conv, nn.BatchNorm2d(width_out), nn.GELU()]

        self.layers = nn.Sequential(
            *layer(3, half, 2), *layer(half, half, 1), *layer(half, width, 2), nn.Conv2d(width, width, 1)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, pictures: Tensor) -> Tensor:
        """`(n, 3, size, size)` to `(n, size / 4, size / 4, width)`."""
        if is_asked_only(pictures):
            # three colours are too few for oneDNN to choose this layout by itself
            pictures = pictures.contiguous(memory_format=torch.channels_last)
        first, norm1, _, second, norm2, _, third, norm3, _, last = self.layers
        x = pictures
        for convolution, norm in ((first, norm1), (second, norm2), (third, norm3)):
            x = convolve(x, convolution, norm, gelu=True)
        return self.norm(convolve(x, last).permute(0, 2, 3, 1))


class ResidualConvolution(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al. 2016), the first of them with the stride."""

    def __init__(self, width_in: int, width_out: int, stride: int = 1):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.GELU(),
            nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width_out),
        )
        is_same = width_in == width_out and stride == 1
        self.shortcut = (
            nn.Identity()
            if is_same
            else nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(n, width_in, rows, columns)` to `(n, width_out, rows / stride, columns / stride)`."""
        first, norm1, _, second, norm2 = self.branch
        added = convolve(convolve(x, first, norm1, gelu=True), second, norm2)
        beside = x if isinstance(self.shortcut, nn.Identity) else convolve(x, *self.shortcut)
        if is_asked_only(x):
            return torch.ops.aten.gelu_(added.add_(beside))
        return F.gelu(added + beside)


class ConvStages(nn.Module):
    """Residual convolutions in place of stages 1 and 2, with their depths, and of what leads to stage 3."""

    def __init__(self, width: int, depths: tuple[int, int]):
        super().__init__()
        first = [ResidualConvolution(width, width) for _ in range(depths[0])]
        second = [ResidualConvolution(2 * width, 2 * width) for _ in range(depths[1] - 1)]
        self.layers = nn.Sequential(
            *first,
            ResidualConvolution(width, 2 * width, 2),
            *second,
            ResidualConvolution(2 * width, 4 * width, 2),
        )
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(n, rows, columns, width)` to `(n, rows / 4, columns / 4, 4 · width)`."""
        return self.norm(self.layers(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
