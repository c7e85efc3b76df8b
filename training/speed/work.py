"""How much a network multiplies, counted, and how fast this machine can multiply, measured.

One multiplication with its addition counts as two operations. Counted are products of matrices, convolutions
and attention; norms, activations and copies are not, so what a network takes beyond the time of its products
is what these cost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

SQUARE = 1024
"""Side of the large square matrices by which the peak is measured; 512 … 3072 differ by less than 10 %."""

NUM_SQUARES = 8


@dataclass(frozen=True)
class Product:
    """A product of `(rows, inner)` and `(inner, columns)` matrices, so many side by side."""

    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """Operations."""
        return 2 * self.batch * self.rows * self.inner * self.columns


class WorkCounter(TorchDispatchMode):
    """Counts the products of whatever runs in its block.

    torch's own `FlopCounterMode` gives the same sum, but no shapes, counts attention on a GPU only, and fails
    on layers with normed weights where gradients are off.

    Attributes:
        products: how often each was met. A convolution counts as the product that it is when its input is
            laid out as a matrix, attention as its two products.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[Product] = Counter()

    @property
    def flops(self) -> int:
        """Operations so far."""
        return sum(product.flops * times for product, times in self.products.items())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run one operation; what is made of others is taken apart first."""
        kwargs, formula = kwargs or {}, _FORMULAS.get(func.overloadpacket)
        if formula is None:
            with self:
                parts = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if parts is NotImplemented else parts
        result = func(*args, **kwargs)
        self.products.update(formula(args, result))
        return result


def _product(a: Tensor, b: Tensor) -> tuple[Product, ...]:
    batch = len(a) if a.ndim == 3 else 1
    return (Product(batch, a.shape[-2], a.shape[-1], b.shape[-1]),)


def _linear(x: Tensor, weight: Tensor) -> tuple[Product, ...]:
    return (Product(1, math.prod(x.shape[:-1]), x.shape[-1], len(weight)),)


def _convolution(x: Tensor, weight: Tensor, result: Tensor) -> tuple[Product, ...]:
    groups = x.shape[1] // weight.shape[1]
    places = len(result) * math.prod(result.shape[2:])
    return (Product(groups, places, math.prod(weight.shape[1:]), len(weight) // groups),)


def _attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Product, ...]:
    batch, rows, width = math.prod(query.shape[:-2]), query.shape[-2], query.shape[-1]
    return (
        Product(batch, rows, width, key.shape[-2]),
        Product(batch, rows, value.shape[-2], value.shape[-1]),
    )


_FORMULAS: dict[object, Callable[[tuple, object], tuple[Product, ...]]] = {
    aten.mm: lambda args, result: _product(*args[:2]),
    aten.bmm: lambda args, result: _product(*args[:2]),
    aten.addmm: lambda args, result: _product(*args[1:3]),
    aten.baddbmm: lambda args, result: _product(*args[1:3]),
    aten.convolution: lambda args, result: _convolution(*args[:2], result),
    aten._scaled_dot_product_flash_attention_for_cpu: lambda args, result: _attention(*args[:3]),
}
if torch.backends.mkldnn.is_available():  # elsewhere it has no such operators
    _FORMULAS |= {
        torch.ops.mkldnn._linear_pointwise: lambda args, result: _linear(*args[:2]),
        torch.ops.mkldnn._convolution_pointwise: lambda args, result: _convolution(*args[:2], result),
    }


def products_of(work: Callable[[], object]) -> Counter[Product]:
    """The products of one run of the work, the second: what the first one keeps is not worked out again."""
    work()
    with WorkCounter() as counter:
        work()
    return counter.products


def flops_of(work: Callable[[], object]) -> int:
    """The operations of one run of the work, as `products_of`."""
    return sum(product.flops * times for product, times in products_of(work).items())


def squares(side: int = SQUARE, num: int = NUM_SQUARES) -> tuple[Callable[[], None], int]:
    """Work that does nothing but multiply large square matrices, and its operations: the peak."""
    a, b, out = torch.randn(side, side), torch.randn(side, side), torch.empty(side, side)

    def multiply() -> None:
        for _ in range(num):
            torch.mm(a, b, out=out)

    return multiply, num * Product(1, side, side, side).flops


def bare(products: Counter[Product]) -> Callable[[], None]:
    """Work that does these products and nothing else, with matrices laid out as a linear layer has them."""
    operands = [
        (torch.randn(one.batch, one.rows, one.inner), torch.randn(one.batch, one.columns, one.inner), times)
        for one, times in products.items()
    ]

    def multiply() -> None:
        for a, b, times in operands:
            for _ in range(times):
                if len(a) == 1:
                    torch.mm(a[0], b[0].t())
                else:
                    torch.bmm(a, b.transpose(1, 2))

    return multiply
