"""Linear layers and convolutions as quick as a processor does them, where no gradient is asked for.

torch multiplies by MKL and convolves by oneDNN. Where nothing is to be learned, oneDNN does both here: on
matrices of a layer's size it is the quicker one, and it applies GELU while the result is still in the
processor's registers. A batch norm that only scales is taken into the weights before it. The results are
those of the plain layers up to rounding, which `tests/core/test_products.py` makes sure.
"""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def is_asked_only(x: Tensor) -> bool:
    """Whether the quick way is open: on a processor, in single precision, nothing recorded for gradients."""
    if torch.compiler.is_compiling():  # which finds its own way, and stumbles over ours
        return False
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool = False) -> Tensor:
    """`F.linear`, and GELU behind it where that is asked for."""
    if is_asked_only(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, *_activation(gelu))
    x = F.linear(x, weight, bias)
    return F.gelu(x) if gelu else x


def convolve(
    x: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None = None, *, gelu: bool = False
) -> Tensor:
    """A convolution, the batch norm behind it and GELU; quick where the norm does not learn from the batch.

    Args:
        x: `(n, width, rows, columns)`; laid out with the width last, it is an eighth quicker.
        convolution: whose parameters are used.
        norm: None for none.
        gelu: whether GELU follows.
    """
    if not is_asked_only(x) or (norm is not None and norm.training):
        x = convolution(x)
        x = x if norm is None else norm(x)
        return F.gelu(x) if gelu else x
    weight, bias = convolution.weight, convolution.bias
    if norm is not None:
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = weight * scale.view(-1, 1, 1, 1)
        bias = norm.bias + ((0 if bias is None else bias) - norm.running_mean) * scale
    return torch.ops.mkldnn._convolution_pointwise(
        x,
        weight,
        bias,
        convolution.padding,
        convolution.stride,
        convolution.dilation,
        convolution.groups,
        *_activation(gelu),
    )


class Linear(nn.Linear):
    """torch's linear layer, computed by `linear`."""

    def forward(self, x: Tensor, *, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
        """`(…, in)` to `(…, out)`, with `bias` where one is given, else with the layer's own."""
        return linear(x, self.weight, self.bias if bias is None else bias, gelu=gelu)


def adds_in_32_bits() -> bool:
    """Whether the processor adds up products of 8 bits in 32 (VNNI).

    Others add pairs of them in 16 bits, so that inputs have to be rounded to 7.
    """
    return torch.cpu._is_vnni_supported()


class Int8Linear(Linear):
    """A linear layer of weights rounded to 8 bits, one scale for each output, and so are its inputs.

    Inputs are rounded between the least and the largest of all that come together, so results depend a little
    on what they are computed with. Where gradients are recorded, the layer is what it was.
    """

    packed: torch.ScriptObject

    @classmethod
    def take_over(cls, layer: Linear) -> None:
        """Let a layer be one of these from now on."""
        weight = layer.weight.detach()
        scale = weight.abs().amax(1).clamp(min=1e-12).double() / 127
        with warnings.catch_warnings():
            # torch means to replace these tensors, and not yet the products that take them
            warnings.simplefilter("ignore", UserWarning)
            whole = torch.quantize_per_channel(weight, scale, torch.zeros_like(scale).long(), 0, torch.qint8)
        layer.packed = torch.ops.quantized.linear_prepack(whole, layer.bias)
        layer.__class__ = cls

    def forward(self, x: Tensor, *, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
        """As `Linear`."""
        if not is_asked_only(x):
            return super().forward(x, bias=bias, gelu=gelu)
        y = torch.ops.quantized.linear_dynamic(x, self.packed, not adds_in_32_bits())
        if bias is not None:
            y.add_(bias)
        return torch.ops.aten.gelu_(y) if gelu else y


def run_linear(layer: nn.Linear, x: Tensor, *, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
    """A linear layer of whatever kind, with GELU behind it where that is asked for.

    Args:
        layer: torch's, or one of these.
        x: `(…, in)`.
        bias: for a layer that has none.
        gelu: whether GELU follows.
    """
    if isinstance(layer, Linear):
        return layer(x, bias=bias, gelu=gelu)
    return linear(x, layer.weight, layer.bias if bias is None else bias, gelu=gelu)


def quicken(network: nn.Module) -> None:
    """Let every linear layer of a network that somebody else wrote be computed by `linear`."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


def _activation(gelu: bool) -> tuple[str, list, str]:
    """Name, scalars and algorithm, as torch's operators take them; "none" is the exact GELU."""
    return ("gelu", [], "none") if gelu else ("none", [], "")
