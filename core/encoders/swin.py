"""Swin Transformer V2, to be run in pieces on grids that shrink on the way.

timm's network has the parameters, `window_blocks` computes its blocks. Tokens may be removed between those of
stage 3, and the blocks behind work on the smaller grid. V2's continuous position bias serves the smaller
windows: every block keeps the coordinates of the window it was (or would have been) pretrained with, so that
a shift of one token means the same at every size.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn

from core.config import VideoConfig
from core.encoders.backbones import resolve
from core.encoders.convolutions import ConvStem
from core.encoders.products import quicken
from core.encoders.window_blocks import CompiledBlocks, WindowPlan, run_block

RESIDUAL_START = {"swin": 0.2, "conv": 0.05}
"""Weight of what a block adds at the start, by `VideoConfig.early_stages`; see `_start_residuals`."""


class Swin(SwinTransformerV2):
    """timm's network with the stem that the configuration asks for, and without stages that it replaces.

    Args:
        config: geometry.
        weights: "pretrained" loads `config.backbone`'s weights, "random" does not; without a backbone both
            are random.

    Attributes:
        sha256: of the weights that were loaded; None for random ones.
    """

    def __init__(self, config: VideoConfig, weights: str = "random"):
        super().__init__(
            img_size=config.image_size,
            patch_size=config.patch_size,
            num_classes=0,
            embed_dim=config.embed_dim,
            depths=config.depths,
            num_heads=config.num_heads,
            window_size=config.window_size,
            drop_path_rate=config.drop_path,
            pretrained_window_sizes=(config.window_size,) * 4,
            strict_img_size=False,
        )
        self.sha256 = None
        self._most_window = config.window_size
        self._compiled: CompiledBlocks | None = None
        quicken(self)
        if weights == "pretrained" and config.backbone is not None:
            self._load_backbone(config.backbone)
        if config.stem == "conv":
            self.patch_embed = ConvStem(config.embed_dim)
        if config.early_stages == "conv":
            # nothing that is never used is to be stored, or to wait for a gradient
            self.layers[0] = self.layers[1] = self.layers[2].downsample = nn.Identity()
        if self.sha256 is None:
            self._start_residuals(RESIDUAL_START[config.early_stages])

    def _load_backbone(self, name: str) -> None:
        from safetensors.torch import load_file

        found = resolve(name if "/" in name else f"timm/{name}.ms_in1k")
        self.sha256 = found.sha256
        # the rest are buffers that timm computes and the classifier of ImageNet
        wanted = self.state_dict()
        self.load_state_dict({k: v for k, v in load_file(found.weights).items() if k in wanted})

    def _start_residuals(self, weight: float) -> None:
        # V2 starts every block as the identity (norm weight 0), which delays a small network trained from
        # random weights by hundreds of steps; a small residual from the start does not. Behind convolutions,
        # which learn by themselves, it is noise: less of it
        for layer in self.layers:
            for block in getattr(layer, "blocks", ()):
                for norm in (block.norm1, block.norm2):
                    nn.init.constant_(norm.weight, weight)

    @torch.inference_mode(False)  # the tables made here serve training too, wherever a size is first met
    def fit(self, side: int, steps: Mapping[int, tuple[int, int]]) -> None:
        """Tell every block the grid it will meet.

        Args:
            side: of the square grid of embedded tokens.
            steps: the grids that are left behind blocks of stage 3, by their position.
        """
        grid = side, side
        for stage, layer in enumerate(self.layers):
            if stage > 0:
                grid = tuple((side + 1) // 2 for side in grid)
            for position, block in enumerate(getattr(layer, "blocks", ())):
                block.set_input_size(grid, self._window(grid))
                if stage == 2:
                    grid = steps.get(position, grid)
        self._make_plans()

    def _make_plans(self) -> None:
        self._plans = {
            (stage, position): WindowPlan.of(block)
            for stage, layer in enumerate(self.layers)
            for position, block in enumerate(getattr(layer, "blocks", ()))
        }

    def _apply(self, *args, **options) -> Swin:
        super()._apply(*args, **options)
        # plans are no buffers: they follow the weights to another device by being made anew
        self._make_plans()
        return self

    def _window(self, grid: tuple[int, int]) -> tuple[int, int]:
        """The largest window not above the configured one that tiles the grid."""
        most = self._most_window
        return tuple(max(w for w in range(1, min(most, side) + 1) if side % w == 0) for side in grid)

    def compile_blocks(self) -> None:
        """Let torch compile the blocks, each size when it is first met: that takes a C++ compiler, and long.

        Gradients are computed as before. Whether it gains anything depends on compiler and processor:
        `deepmsi bench speed --part compiled` tells.
        """
        self._compiled = CompiledBlocks()

    def enter_stage3(self, tokens: Tensor) -> Tensor:
        """Embedded tokens `(n, rows, columns, embed_dim)` through the first two stages, and merged."""
        return self.layers[2].downsample(self._stage(1, self._stage(0, tokens)))

    def stage3(self, x: Tensor, begin: int, end: int | None = None) -> Tensor:
        """Tokens `(n, rows, columns, width)` through stage 3 from block `begin` to before block `end`."""
        for position in range(len(self.layers[2].blocks))[begin:end]:
            x = self.block(2, position, x)
        return x

    def finish(self, x: Tensor) -> Tensor:
        """What comes out of stage 3 to vectors `(n, feature_width)`."""
        return self.norm(self._stage(3, x)).mean((1, 2))

    def block(self, stage: int, position: int, x: Tensor) -> Tensor:
        """Tokens `(n, rows, columns, width)` through one block; stages count from zero."""
        run = self._compiled or run_block
        return run(self.layers[stage].blocks[position], self._plans[stage, position], x)

    def _stage(self, stage: int, x: Tensor) -> Tensor:
        layer = self.layers[stage]
        x = layer.downsample(x)
        for position in range(len(layer.blocks)):
            x = self.block(stage, position, x)
        return x
