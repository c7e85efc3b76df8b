"""Linear layers and convolutions as quick as a processor does them, where no gradient is asked for.

torch multiplies by MKL and convolves by oneDNN. Where nothing is to be learned, oneDNN does both here: on
matrices of a layer's size it is the quicker one, and it applies GELU while the result is still in the
processor's registers. A batch norm that only scales is taken into the weights before it. The results are
those of the plain layers up to rounding, which `tests/core/test_products.py` makes sure.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def is_asked_only(x: Tensor) -> bool:
    """Whether the quick way is open: on a processor, in single precision, nothing recorded for gradients."""
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

    def forward(self, x: Tensor) -> Tensor:
        """`(…, in)` to `(…, out)`."""
        return linear(x, self.weight, self.bias)


def quicken(network: nn.Module) -> None:
    """Let every linear layer of a network that somebody else wrote be computed by `linear`."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


def _activation(gelu: bool) -> tuple[str, list, str]:
    """Name, scalars and algorithm, as torch's operators take them; "none" is the exact GELU."""
    return ("gelu", [], "none") if gelu else ("none", [], "")
