"""Blocks of Swin Transformer V2 computed with less: timm's parameters, and no step that changes nothing.

timm's block computes position bias and mask anew in every pass, copies all tokens four times to shift and
part them, and normalises queries and keys out of place. Here the order of tokens in windows is one
permutation, positions and mask are one cached tensor added inside the attention, and without gradients
everything else is done in place. The result is timm's up to rounding, as `tests/core/test_window_blocks.py`
makes sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from timm.models.swin_transformer_v2 import SwinTransformerV2Block, WindowAttention
from torch import Tensor

from core.encoders.products import run_linear

MOST_HIDDEN = 1_000_000
"""Elements of the hidden layer at once, without gradients."""

MOST_SIZES = 64
"""Sizes of tokens and windows that blocks are compiled for; what comes beyond is computed as it was."""

LARGEST_SCALE = math.log(100.0)
"""Of the logarithm of the attention's scale (Liu et al. 2022, section 3.3)."""


class _Permuted(torch.autograd.Function):
    """Rows in another order; the gradient comes back by the inverse order, not by adding up."""

    @staticmethod
    def forward(ctx, tokens: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return tokens.index_select(1, order)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        _, inverse = ctx.saved_tensors
        return gradient.index_select(1, inverse), None, None


@dataclass(eq=False)
class WindowPlan:
    """What a block needs to know of the grid it works on.

    Attributes:
        shape: rows and columns of the grid.
        num_windows: that it is parted into.
        area: tokens of a window.
        order / inverse: `(token,)` from the grid into windows, and back; None where there is one window.
        mask: `(window, area, area)` added between tokens that the shift brought together; None without one.
    """

    shape: tuple[int, int]
    num_windows: int
    area: int
    order: Tensor | None
    inverse: Tensor | None
    mask: Tensor | None
    _bias: Tensor | None = None
    _bias_key: tuple = ()
    _masked: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, block: SwinTransformerV2Block) -> WindowPlan:
        """The plan of a block that was told its grid (`set_input_size`), which its windows have to tile."""
        rows, columns = block.input_resolution
        height, width = block.window_size
        assert rows % height == 0 and columns % width == 0, "windows have to tile the grid"
        num = (rows // height) * (columns // width)
        device = block.norm1.weight.device
        order = inverse = None
        if num > 1:
            grid = torch.arange(rows * columns, device=device).view(rows, columns)
            grid = grid.roll((-block.shift_size[0], -block.shift_size[1]), (0, 1))
            order = grid.view(rows // height, height, columns // width, width).transpose(1, 2).flatten()
            inverse = order.argsort()
        return cls(
            shape=(rows, columns),
            num_windows=num,
            area=height * width,
            order=order,
            inverse=inverse,
            # where timm allows any size of picture, the block keeps none and makes it in every pass
            mask=block.get_attn_mask(device=device, dtype=block.norm1.weight.dtype),
        )

    def bias(self, attention: WindowAttention, batch: int, dtype: torch.dtype) -> Tensor:
        """Positions and mask of so many grids: `(1 or batch · window, head, area, area)`."""
        mlp = attention.cpb_mlp
        parameters = (mlp[0].weight, mlp[0].bias, mlp[2].weight)
        is_learned = torch.is_grad_enabled() and any(one.requires_grad for one in parameters)
        # parameters made in inference mode do not tell when they were changed
        if is_learned or any(one.is_inference() for one in parameters):
            return self._with_mask(_position_bias(attention).to(dtype), batch)
        # fused optimizers do not raise versions; they work with gradients, in training, where nothing is kept
        key = (dtype, *((one.data_ptr(), one._version, one.device) for one in parameters))
        # what is kept by a prediction is read by an explanation, whose gradients refuse tensors of inference
        with torch.inference_mode(False), torch.no_grad():
            if key != self._bias_key:
                self._bias, self._bias_key, self._masked = _position_bias(attention).to(dtype), key, {}
            if batch not in self._masked:
                if len(self._masked) > 4:
                    self._masked.clear()
                self._masked[batch] = self._with_mask(self._bias, batch)
        return self._masked[batch]

    def _with_mask(self, bias: Tensor, batch: int) -> Tensor:
        if self.mask is None:
            return bias.unsqueeze(0)
        return (bias + self.mask.to(bias).unsqueeze(1)).repeat(batch, 1, 1, 1)


def run_block(block: SwinTransformerV2Block, plan: WindowPlan, x: Tensor) -> Tensor:
    """What `block(x)` gives, `(n, rows, columns, width)`.

    Args:
        block: of timm; its parameters, dropout of whole paths and norms are used.
        plan: of its grid.
        x: `(n, rows, columns, width)`.
    """
    return _computed(block, plan, x, lambda dtype: plan.bias(block.attn, len(x), dtype))


class CompiledBlocks:
    """`run_block` compiled by torch, which takes a C++ compiler: block by block, when each size is first met.

    What decides which tokens are kept stays as it is, and so does everything where gradients are recorded.
    """

    def __init__(self) -> None:
        # what does not compile, or comes in too many sizes, is computed as it was
        self._computed = torch.compile(_with_bias)

    def __call__(self, block: SwinTransformerV2Block, plan: WindowPlan, x: Tensor) -> Tensor:
        """As `run_block`."""
        if torch.is_grad_enabled() or block.training:
            return run_block(block, plan, x)
        # kept from one call to the next, which is nothing for a compiler
        bias = plan.bias(block.attn, len(x), x.dtype)
        with torch._dynamo.config.patch(recompile_limit=MOST_SIZES):
            return self._computed(block, plan, x, bias)


def _with_bias(block: SwinTransformerV2Block, plan: WindowPlan, x: Tensor, bias: Tensor) -> Tensor:
    return _computed(block, plan, x, lambda dtype: bias)


def _computed(
    block: SwinTransformerV2Block, plan: WindowPlan, x: Tensor, bias_of: Callable[[torch.dtype], Tensor]
) -> Tensor:
    n, rows, columns, width = x.shape
    assert (rows, columns) == plan.shape, "the block was told of another grid"
    tokens = x.reshape(n, rows * columns, width)
    if plan.order is not None:
        tokens = _permuted(tokens, plan.order, plan.inverse)
    windows = tokens.reshape(n * plan.num_windows, plan.area, width)
    attended = _attend(block.attn, windows, bias_of).reshape(n, rows * columns, width)
    if torch.is_grad_enabled() or block.training:
        tokens = tokens + block.drop_path1(block.norm1(attended))
        tokens = tokens + block.drop_path2(block.norm2(block.mlp(tokens)))
    else:
        # the first sum is new where the tokens are the caller's own
        add = torch.Tensor.add if plan.order is None else torch.Tensor.add_
        tokens = add(tokens, block.norm1(attended))
        # the widest tensor by far: in parts that the processor's cache holds
        first, second = block.mlp.fc1, block.mlp.fc2
        every = tokens.flatten(0, 1)
        # one for a compiler, which would make a graph for every number of parts
        num = len(every) if torch.compiler.is_compiling() else max(1, MOST_HIDDEN // first.out_features)
        for part in every.split(num):
            part.add_(block.norm2(run_linear(second, run_linear(first, part, gelu=True))))
    if plan.order is not None:
        tokens = _permuted(tokens, plan.inverse, plan.order)
    return tokens.view(n, rows, columns, width)


def _permuted(tokens: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        return _Permuted.apply(tokens, order, inverse)
    return tokens.index_select(1, order)


def _attend(attention: WindowAttention, windows: Tensor, bias_of: Callable[[torch.dtype], Tensor]) -> Tensor:
    """Scaled cosine attention within windows `(window, area, width)`."""
    num, area, width = windows.shape
    heads = attention.num_heads
    bias = torch.cat((attention.q_bias, attention.k_bias, attention.v_bias))
    qkv = run_linear(attention.qkv, windows, bias=bias).view(num, area, 3, heads, -1)
    scale = attention.logit_scale.clamp(max=LARGEST_SCALE).exp().view(heads, 1)
    if torch.is_grad_enabled():
        query, key, value = qkv.unbind(2)
        query, key = F.normalize(query, dim=-1) * scale.to(query.dtype), F.normalize(key, dim=-1)
    else:
        pair = qkv[:, :, :2]
        factor = torch.linalg.vector_norm(pair, dim=-1, keepdim=True).clamp_(min=1e-12).reciprocal_()
        factor[:, :, 0] *= scale
        pair.mul_(factor)
        query, key, value = qkv.unbind(2)
    found = F.scaled_dot_product_attention(
        *(one.transpose(1, 2) for one in (query, key, value)),
        attn_mask=bias_of(query.dtype),
        scale=1.0,
    )
    return run_linear(attention.proj, found.transpose(1, 2).reshape(num, area, width))


def _position_bias(attention: WindowAttention) -> Tensor:
    """Continuous relative position bias `(head, area, area)` (Liu et al. 2022, equation 4)."""
    table = attention.cpb_mlp(attention.relative_coords_table).view(-1, attention.num_heads)
    index = attention.relative_position_index
    return 16 * torch.sigmoid(table[index.flatten()].view(*index.shape, -1).permute(2, 0, 1))
