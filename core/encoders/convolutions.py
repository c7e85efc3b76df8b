"""Convolutions in place of the early parts of Swin Transformer V2, for networks that learn from little."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


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
        return self.norm(self.layers(pictures).permute(0, 2, 3, 1))


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
        return F.gelu(self.branch(x) + self.shortcut(x))


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
