"""Which rows of a batch are the same to the bit, so that they are computed once.

A clip is asked about with every coalition of its modalities, and what sound and words move of what is kept of
its frames is little: most rows of the video encoder come again. So do the frames of a still picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.compression import Compressed

LOOKED_AT = 1024
"""Elements of a row, spread over it, by which rows are told apart before they are compared."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Rows that are the same as others.

    Attributes:
        first: `(single,)` rows that are the first of their kind; None where no two are the same.
        index: `(row,)` which of these every row is.
    """

    first: Tensor | None
    index: Tensor

    @classmethod
    def none(cls, rows: Tensor) -> Alike:
        """Without looking."""
        return cls(None, torch.arange(len(rows), device=rows.device))

    @classmethod
    def of(cls, rows: Tensor) -> Alike:
        """By content; rows lie in the processor's memory."""
        flat = rows.detach().flatten(1).contiguous()
        some = flat[:, :: 1 + flat.shape[1] // LOOKED_AT].contiguous().view(torch.uint8).numpy()
        found: dict[int, list[int]] = {}

        def kind(row: int) -> int:
            # the sum finds them, the comparison decides
            among = found.setdefault(zlib.crc32(some[row]), [])
            same = next((other for other in among if torch.equal(flat[other], flat[row])), None)
            if same is None:
                among.append(row)
            return row if same is None else same

        return cls.by(kind(row) for row in range(len(flat)))

    @classmethod
    def by(cls, kinds: Iterable[Hashable]) -> Alike:
        """By what is known of each row."""
        numbers: dict[Hashable, int] = {}
        first, index = [], []
        for row, kind in enumerate(kinds):
            if kind not in numbers:
                numbers[kind] = len(numbers)
                first.append(row)
            index.append(numbers[kind])
        return cls(None if len(first) == len(index) else torch.tensor(first), torch.tensor(index))

    def then(self, among: Alike) -> Alike:
        """The same, where some of the single rows turned out to be the same."""
        return self.by(among.index[self.index].tolist())

    def after(self, step: Compressed) -> Alike:
        """Those that were the same before a step, and of which it kept and merged the same."""
        parts = (contents(part) for part in (step.kept, step.source_map))
        return self.by(zip(self.index.tolist(), *parts, strict=True))

    def single(self, rows: Tensor) -> Tensor:
        """One row of every kind."""
        return rows if self.first is None else rows[self.first]

    def every(self, single: Tensor) -> Tensor:
        """All rows again, from one of every kind."""
        return single if self.first is None else single[self.index]


def contents(rows: Tensor) -> list[bytes]:
    """Every row as what can be looked up."""
    return [one.tobytes() for one in rows.contiguous().view(torch.uint8).numpy()]
