"""Damage to what is text: JSON, alone or line by line, with odd values, and tables with odd cells."""

from __future__ import annotations

import csv
import io
import json

import numpy as np

ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 10**30, 10**400, 1e308, 0.5, float("nan"), float("inf")),
    *("", " ", "0", "nan", "a\x00b", "../../etc/passwd", "/etc/passwd", "http://localhost/x", "🙂" * 300),
    *("<script>alert(1)</script>", "\u202eevil", "a\nb", "x" * 100_000, "\ud800"),
    *([], [[]], {}, {"": {}}, ["a", 1, None], [1.0] * 1000),
)
"""What may stand where something else belongs."""

ODD_CELLS = tuple(value for value in ODD_VALUES if isinstance(value, str)) + (
    "1e999",
    "-5",
    "=1+1",
    '"',
    ";,\t",
)


def damaged_json(data: bytes, random: np.random.Generator) -> bytes:
    """A document with one to three of its nodes replaced, renamed, removed or doubled."""
    values = json.loads(data)
    for _ in range(random.integers(1, 4)):
        found = list(places(values))
        if not found:
            break
        holder, key = found[random.integers(len(found))]
        how = random.integers(4)
        if how == 0 and isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        elif how == 1:
            del holder[key]
        elif how == 2 and isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[key] = ODD_VALUES[random.integers(len(ODD_VALUES))]
    return json.dumps(values).encode()


def damaged_lines(data: bytes, random: np.random.Generator) -> bytes:
    """Documents of one line each, one of them damaged, missing, doubled or none any more."""
    lines = data.splitlines()
    number = int(random.integers(len(lines)))
    how = random.integers(6)
    if how == 0:
        del lines[number]
    elif how == 1:
        lines.insert(number, lines[number])
    elif how == 2:
        lines[number] = json.dumps(ODD_VALUES[random.integers(len(ODD_VALUES))]).encode()
    else:
        lines[number] = damaged_json(lines[number], random)
    return b"".join(line + b"\n" for line in lines)


def damaged_table(data: bytes, random: np.random.Generator) -> bytes:
    """A CSV with odd cells, rows of another length, or a row or column that is missing or twice there."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    for _ in range(random.integers(1, 5)):
        row = int(random.integers(len(rows)))
        column = int(random.integers(max(1, len(rows[row]))))
        how = random.integers(6)
        if how == 0:
            rows[row] = rows[row][:column]
        elif how == 1:
            rows[row] = rows[row] + ["more"]
        elif how == 2:
            rows.insert(row, list(rows[row]))
        elif how == 3 and len(rows) > 1:
            del rows[row]
        elif rows[row]:
            rows[row][min(column, len(rows[row]) - 1)] = ODD_CELLS[random.integers(len(ODD_CELLS))]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    # a lone half of a surrogate pair cannot be written as UTF-8
    return text.getvalue().encode("utf-8", "replace")


def places(values: object):
    """Every place in a document, as its holder and its key or index."""
    pairs = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    for key, value in list(pairs):
        yield values, key
        yield from places(value)
