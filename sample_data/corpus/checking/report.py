"""The report: one HTML file that needs nothing else, and the same numbers as JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.writing import replacing
from sample_data.corpus.checking.results import Check, Exhibit, Section, plain
from sample_data.corpus.errors import CorpusError

HTML_FILE, JSON_FILE = "report.html", "report.json"
_VERDICTS = {True: ("passed", "✓"), False: ("failed", "✗"), None: ("undecided", "–")}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 1060px; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { margin-top: 2.4rem; border-bottom: 1px solid #d5dae1; padding-bottom: .3rem }
h3 { margin: 1.6rem 0 .2rem; font-size: 1.05rem } p.reading { color: #55606e; margin: .2rem 0 .6rem }
table { border-collapse: collapse; font-size: 14px; margin: .5rem 0 } caption { text-align: left }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e6e9ee; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.passed { color: #23713a } .failed { color: #b3261e; font-weight: 600 } .undecided { color: #6b7480 }
details { margin: .4rem 0 } summary { cursor: pointer; color: #2f6fb5 } nav a { margin-right: 1rem }
.wide { overflow-x: auto } ul.culprits { margin: .2rem 0; font-size: 13px; color: #55606e }
"""


def summarise(sections: Sequence[Section], num_clips: int, folder: Path) -> str:
    """A few lines for a terminal: how many checks passed, which failed, and where the report lies."""
    checks = [check for section in sections for check in section.checks]
    failed = [check for check in checks if check.is_passed is False]
    undecided = sum(check.is_passed is None for check in checks)
    lines = [
        f"{num_clips} clips: {len(checks) - len(failed) - undecided} of {len(checks)} checks passed, "
        f"{len(failed)} failed, {undecided} have too few clips to tell."
    ]
    lines += [f"  failed: {check.name}: {_told_value(check)}, should be {check.bound}" for check in failed]
    return "\n".join([*lines, f"Report: {folder / HTML_FILE}"])


def numbers_of(sections: Sequence[Section], about: dict[str, Any]) -> dict[str, Any]:
    """Everything that a report shows, as plain containers."""
    return plain(
        {
            **about,
            "sections": [
                {
                    "title": section.title,
                    "checks": section.checks,
                    "tables": {
                        exhibit.title: {"columns": exhibit.columns, "rows": exhibit.rows}
                        for exhibit in section.exhibits
                    },
                }
                for section in sections
            ],
        }
    )


def write_report(sections: Sequence[Section], numbers: dict[str, Any], folder: Path) -> None:
    """Write `report.html` and `report.json`.

    Raises:
        CorpusError: if they cannot be written.
    """
    texts = {
        HTML_FILE: _page(sections, numbers),
        JSON_FILE: json.dumps(numbers, indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CorpusError(
                f"{path} cannot be written ({error.strerror or error}); choose another folder with --report."
            ) from error


def _page(sections: Sequence[Section], numbers: dict[str, Any]) -> str:
    from plotly.offline import get_plotlyjs

    checks = [check for section in sections for check in section.checks]
    counts = {verdict: sum(check.is_passed is verdict for check in checks) for verdict in (True, False, None)}
    told = ", ".join(
        f'<span class="{name}">{counts[verdict]} {name}</span>' for verdict, (name, _) in _VERDICTS.items()
    )
    about = " · ".join(
        f"{name.replace('_', ' ')}: {numbers[name]}" for name in ("corpus", "num_clips") if numbers[name]
    )
    links = " ".join(
        f'<a href="#s{at}">{html.escape(section.title)}</a>' for at, section in enumerate(sections)
    )
    body = "\n".join(_section(section, at) for at, section in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Corpus check</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body><h1>Corpus "
        f"check</h1><p>{html.escape(about)}</p><p>Checks: {told}. Undecided are those with too few clips to "
        f"tell.</p><nav>{links}</nav>{body}</body></html>\n"
    )


def _section(section: Section, at: int) -> str:
    rows = "".join(_check(check) for check in section.checks)
    table = (
        '<div class="wide"><table><thead><tr><th></th><th>Check</th><th>Measured</th><th>95 % interval</th>'
        f"<th>Should be</th><th>Clips</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    exhibits = "".join(
        _exhibit(exhibit, f"f{at}-{number}") for number, exhibit in enumerate(section.exhibits)
    )
    return (
        f'<h2 id="s{at}">{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>{table}{exhibits}'
    )


def _check(check: Check) -> str:
    name, sign = _VERDICTS[check.is_passed]
    interval = "" if check.low is None else f"{_number(check.low)} … {_number(check.high)}"
    culprits = ""
    if check.culprits:
        items = "".join(f"<li>{html.escape(one)}</li>" for one in check.culprits)
        culprits = (
            f"<details><summary>{check.num_culprits} to look at</summary>"
            f'<ul class="culprits">{items}</ul></details>'
        )
    return (
        f'<tr><td class="{name}" title="{name}">{sign}</td>'
        f'<td>{html.escape(check.name)}<p class="reading">{html.escape(check.reading)}</p>{culprits}</td>'
        f'<td class="number">{_number(check.value)}</td><td class="number">{interval}</td>'
        f'<td>{html.escape(check.bound)}</td><td class="number">{check.num_clips}</td></tr>'
    )


def _exhibit(exhibit: Exhibit, name: str) -> str:
    columns = "".join(f"<th>{html.escape(str(column))}</th>" for column in exhibit.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in exhibit.rows)
    table = f'<div class="wide"><table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>'
    figure = ""
    if exhibit.figure is not None:
        figure = exhibit.figure.to_html(full_html=False, include_plotlyjs=False, div_id=name)
        table = f"<details><summary>The same as a table</summary>{table}</details>"
    heading = f'<h3>{html.escape(exhibit.title)}</h3><p class="reading">{html.escape(exhibit.reading)}</p>'
    return heading + figure + table


def _cell(value: Any) -> str:
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return f'<td class="number">{_number(value)}</td>'
    return f"<td>{'' if value is None else html.escape(str(value))}</td>"


def _number(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return ""
    value = round(float(value), 6)
    return f"{value:.0f}" if value.is_integer() and abs(value) >= 2 else f"{value:.3g}"


def _told_value(check: Check) -> str:
    value = "nothing measured" if check.value is None else _number(check.value)
    interval = "" if check.low is None else f" ({_number(check.low)} … {_number(check.high)})"
    named = f", see {check.culprits[0]}" if check.culprits else ""
    return f"{value}{interval} in {check.num_clips} clips{named}"
