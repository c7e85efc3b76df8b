"""What a check says: a verdict with its numbers, and pictures that each have a table twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MAX_CULPRITS = 20


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was measured against what was planned.

    Attributes:
        name: a sentence that holds when the check is passed.
        value: what was measured; None where nothing could be.
        low / high: 95 % interval of the value, where it has one.
        bound: what the value had to be, in words.
        is_passed: None where there are too few clips, or speakers, to tell.
        num_clips: that were measured.
        reading: how to read the value, and what a failure would mean.
        culprits: clips, speakers or sentences that break the rule, the first `MAX_CULPRITS` of them.
        num_culprits: all of them.
    """

    name: str
    value: float | None
    bound: str
    is_passed: bool | None
    num_clips: int
    reading: str
    low: float | None = None
    high: float | None = None
    culprits: tuple[str, ...] = ()
    num_culprits: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Exhibit:
    """A figure and the table of the same numbers.

    Attributes:
        figure: a Plotly figure; None where the table is enough.
    """

    title: str
    reading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    figure: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """Checks of one kind."""

    title: str
    text: str
    checks: tuple[Check, ...]
    exhibits: tuple[Exhibit, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckResult:
    """What `check_corpus` found.

    Attributes:
        summary: a few lines for a terminal.
        numbers: everything that was measured, as it lies in `report.json`.
    """

    sections: tuple[Section, ...]
    summary: str
    numbers: dict[str, Any]

    @property
    def checks(self) -> tuple[Check, ...]:
        """Of all sections."""
        return tuple(check for section in self.sections for check in section.checks)

    @property
    def is_passed(self) -> bool:
        """Whether no check failed; those with too few clips to tell do not count."""
        return not any(check.is_passed is False for check in self.checks)


def rule(name: str, culprits: Sequence[str], num_clips: int, reading: str, *, share: float = 1.0) -> Check:
    """A rule that every clip has to keep, or at least a share of them."""
    kept = 1.0 - len(culprits) / num_clips if num_clips else None
    return Check(
        name=name,
        value=kept,
        bound="all" if share == 1.0 else f"at least {share:.0%}",
        is_passed=None if kept is None else kept >= share,
        num_clips=num_clips,
        reading=reading,
        culprits=tuple(culprits[:MAX_CULPRITS]),
        num_culprits=len(culprits),
    )


def plain(value: Any) -> Any:
    """A result as JSON holds it: no NumPy, and None for what is not a number."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (Check,)):
        return plain(asdict(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 5) if np.isfinite(value) else None
    return value
