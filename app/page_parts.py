"""What pages of one file share: the shell that lets nothing be loaded, tables, and bars in their cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

# nothing may be loaded, whatever a transcript holds
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, style: Path, parts: Iterable[str]) -> str:
    """A whole page that reads without a script and without the network, on screen and on paper.

    Args:
        title: as text.
        style: stylesheet of the page, put after the one that all pages share.
        parts: of the body, HTML already.
    """
    styles = "".join(file.read_text(encoding="utf-8") for file in (Path(__file__).with_suffix(".css"), style))
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{styles}</style>\n</head>\n<body>\n{body}\n</body>\n"
        "</html>\n"
    )


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Heads that begin with "#" are of numbers; cells are HTML already."""
    head = "".join(
        f'<th scope="col" class="number">{escape(name[1:])}</th>'
        if name.startswith("#")
        else f'<th scope="col">{escape(name)}</th>'
        for name in heads
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cell(text: str) -> str:
    """A cell of text."""
    return f"<td>{escape(text)}</td>"


def head_cell(content: str) -> str:
    """The cell that names its row; HTML already."""
    return f'<th scope="row">{content}</th>'


def number(text: str) -> str:
    """A cell of a number."""
    return f'<td class="number">{escape(text)}</td>'


def track(start: float, end: float, kind: str = "", marks: Sequence[float] = ()) -> str:
    """A cell with a bar between two shares of its width, and thin lines at others."""
    left, right = sorted((100 * start, 100 * end))
    lines = "".join(f'<b style="left:{100 * mark:.1f}%"></b>' for mark in marks)
    bar = f'<i class="{kind}" style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
    return f'<td class="bar"><span class="track" aria-hidden="true">{bar}{lines}</span></td>'
