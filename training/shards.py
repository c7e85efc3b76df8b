"""Parts of a long list of clips, for several machines: every so-many-th clip, in a table of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from training.datasets import DataError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """One part of several.

    Attributes:
        number: which, from 1.
        num: of how many.
    """

    number: int
    num: int

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Its items: taken in turn, so that long and short, and what a folder sorts, spread evenly."""
        return items[self.number - 1 :: self.num]

    def table(self, out: Path) -> Path:
        """Where its answers go, beside the table of all."""
        return out.with_name(f"{out.stem}.{self.number}-of-{self.num}{out.suffix}")


def shard_named(text: str) -> Shard:
    """From "2/8". Raises DataError where it is none."""
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, num = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= num:
        raise DataError(f"A shard is a part of several, such as 1/4 to 4/4, not {text}.")
    return Shard(number, num)


def shard_of_this_process() -> Shard | None:
    """That of a process that `accelerate launch` or `torchrun` started; None where there is one alone."""
    num, rank = (os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK"))
    if not (num.isdecimal() and rank.isdecimal()) or int(num) < 2:
        return None
    return Shard(int(rank) + 1, int(num))


def shards_beside(out: Path) -> list[Path]:
    """Tables of shards of a table that are there, finished or not."""
    pattern = re.compile(rf"{re.escape(out.stem)}\.\d+-of-\d+{re.escape(out.suffix)}(\.part)?", re.ASCII)
    if not out.parent.is_dir():
        return []
    names = {one.name.removesuffix(".part") for one in out.parent.iterdir() if pattern.fullmatch(one.name)}
    return [out.with_name(name) for name in sorted(names)]
