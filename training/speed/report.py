"""Figures of one run as JSON, with every number, and as tables to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from core.writing import replacing
from training.speed.machine import Machine
from training.speed.turns import Spread, Turns

JSON_FILE, TABLE_FILE = "speed.json", "speed.md"


class Written(Protocol):
    """A dataclass of plain types that has a table."""

    def to_markdown(self) -> str:
        """The table."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One subject's figures; None where there is none.

    Attributes:
        cpu_seconds / wall_seconds: of one run.
        cpu_ratio / wall_ratio: to the reference, turn by turn.
        gflop: thousands of millions of operations.
        of_peak: CPU time to that of as many operations in large square products, turn by turn.
        of_own: CPU time to that of the subject's own products with nothing around them, turn by turn.
        mib: the most memory that its process held.
    """

    name: str
    cpu_seconds: Spread | None = None
    wall_seconds: Spread | None = None
    cpu_ratio: Spread | None = None
    wall_ratio: Spread | None = None
    gflop: float | None = None
    of_peak: Spread | None = None
    of_own: Spread | None = None
    mib: float | None = None


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What was aimed at, and what was reached.

    Attributes:
        unit: "×" or "s".
    """

    text: str
    at_most: float
    reached: float
    unit: str = "×"

    @property
    def is_met(self) -> bool:
        """Whether it was."""
        return self.reached <= self.at_most


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one part measured of one preset with one number of threads.

    Attributes:
        part: its name on the command line.
        title: what the rows have in common.
        reference: the row to which the others are ratios; "" for none.
        peak_gflops: thousands of millions of operations a second and core, in large square products.
        num_turns: that were measured.
        notes: sentences below the table.
    """

    part: str
    preset: str
    threads: int
    title: str
    reference: str
    rows: tuple[Row, ...]
    peak_gflops: Spread | None = None
    num_turns: int = 1
    notes: tuple[str, ...] = ()
    aims: tuple[Aim, ...] = ()

    def row(self, name: str) -> Row:
        """Raises KeyError where there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)


@dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """All that one run measured."""

    machine: Machine
    num_turns: int
    sections: tuple[Section, ...]

    def write(self, folder: Path) -> None:
        """Both files. Raises OSError."""
        write_report(self, folder / JSON_FILE, folder / TABLE_FILE)

    def to_markdown(self) -> str:
        """What belongs below the heading "Figures" of docs/performance.md."""
        blocks = [self.machine.sentence]
        aims = [(section, aim) for section in self.sections for aim in section.aims]
        if aims:
            blocks.append(
                "### What was aimed at\n\n" + _table(_AIM_HEADS, [_aim_cells(*one) for one in aims])
            )
        groups = dict.fromkeys((section.part, section.preset, section.title) for section in self.sections)
        for part, preset, title in groups:
            found = [
                one for one in self.sections if (one.part, one.preset, one.title) == (part, preset, title)
            ]
            blocks.append(_group(f"### {title} (`{part}`, `{preset}`)", found))
        return "\n\n".join(blocks) + "\n"


_AIM_HEADS = ("aim", "preset", "threads", "at most", "reached", "")


def write_report(report: Written, json_file: Path, table_file: Path) -> None:
    """A report's numbers as JSON, and its `to_markdown`. Raises OSError."""
    json_file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(json_file) as part:
        part.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    with replacing(table_file) as part:
        part.write_text(report.to_markdown(), encoding="utf-8")


def _aim_cells(section: Section, aim: Aim) -> list[str]:
    numbers = (f"{value:.2f} {aim.unit}" for value in (aim.at_most, aim.reached))
    return [aim.text, section.preset, str(section.threads), *numbers, "met" if aim.is_met else "missed"]


_COLUMNS = {
    "CPU": lambda row: _spread(row.cpu_ratio),
    "wall": lambda row: _middle(row.wall_ratio),
    "GFLOP": lambda row: "" if row.gflop is None else f"{row.gflop:.3g}",
    "× floor": lambda row: _spread(row.of_peak),
    "× own products": lambda row: _spread(row.of_own),
    "MiB": lambda row: "" if row.mib is None else f"{row.mib:.0f}",
}


def _group(heading: str, sections: Sequence[Section]) -> str:
    used = {
        name: cell
        for name, cell in _COLUMNS.items()
        if any(cell(row) for one in sections for row in one.rows)
    }
    many = len({one.threads for one in sections}) > 1
    rows = []
    for section in sections:
        threads = [str(section.threads)] if many else []
        rows += [[row.name, *threads, *(cell(row) for cell in used.values())] for row in section.rows]
    heads = ("what", *(["threads"] if many else []), *used)
    caption = " ".join(_caption(section) for section in sections)
    notes = " ".join(dict.fromkeys(note for section in sections for note in section.notes))
    table = _table(heads, rows) if rows else ""
    return "\n\n".join(filter(None, (heading, caption, table, notes)))


def _caption(section: Section) -> str:
    parts = []
    if section.reference:
        seconds = section.row(section.reference)
        parts.append(
            f"1.00 is “{section.reference}”: {_amount(seconds.cpu_seconds.median)} s of CPU, "
            f"{_amount(seconds.wall_seconds.median)} s by the clock"
        )
    if section.peak_gflops:
        parts.append(f"products of large matrices reach {section.peak_gflops.median:.0f} GFLOP/s a core")
    if not parts:
        return ""
    turns = f"{section.num_turns} turn{'s' if section.num_turns > 1 else ''}"
    threads = f"{section.threads} thread{'s' if section.threads > 1 else ''}"
    return f"{threads}, {turns}: {'; '.join(parts)}."


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _amount(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.01 else f"{value:.4f}"


def _middle(spread: Spread | None) -> str:
    return "" if spread is None else _amount(spread.median)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{_amount(spread.median)} ({_amount(spread.low)} to {_amount(spread.high)})"


def rows_of(
    turns: Turns,
    names: Sequence[str],
    *,
    reference: str = "",
    flops: dict[str, int] | None = None,
    peak: tuple[str, int] | None = None,
) -> tuple[Row, ...]:
    """Rows of subjects that took turns.

    Args:
        turns: of them all.
        names: of the subjects, in the order of the table.
        reference: to which the ratios are; "" for none.
        flops: operations by name, where they were counted.
        peak: name and operations of the subject that multiplies large square matrices.
    """
    rows = []
    for name in names:
        work = (flops or {}).get(name)
        of_peak = None
        if work and peak:
            rates = [peak[1] / max(seconds, 1e-9) for seconds in turns.seconds(peak[0])]
            pairs = zip(turns.seconds(name), rates, strict=True)
            of_peak = Spread.of([seconds * rate / work for seconds, rate in pairs])
        rows.append(
            Row(
                name=name,
                cpu_seconds=turns.spread(name),
                wall_seconds=turns.spread(name, "wall"),
                cpu_ratio=turns.ratio(name, reference) if reference else None,
                wall_ratio=turns.ratio(name, reference, "wall") if reference else None,
                gflop=work / 1e9 if work else None,
                of_peak=of_peak,
            )
        )
    return tuple(rows)
