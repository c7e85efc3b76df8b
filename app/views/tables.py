"""Small tables. Every cell of Streamlit's own ones is Markdown, which a browser takes long to draw."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import streamlit as st


def draw_table(table: pd.DataFrame, *, alt: str = "") -> None:
    """Draws a table whose index names its rows; whatever it holds is shown letter by letter.

    Args:
        table: of texts and numbers.
        alt: what it is, for who cannot see what stands around it.
    """
    st.html(table_html(table, alt=alt))


def table_html(table: pd.DataFrame, *, alt: str = "") -> str:
    """The table as HTML, which scrolls by itself where there is no room for it."""
    head = "".join(
        f'<th scope="col">{escape(_shown(name))}</th>' for name in (table.index.name or "", *table.columns)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(_shown(name))}</th>{"".join(map(_cell, values))}</tr>'
        for name, values in zip(table.index, table.to_numpy(object), strict=True)
    )
    # what scrolls can be reached by keyboard, and has a name
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(alt or "Table")}">'
        f'<table class="plain-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cell(value: object) -> str:
    kind = ' class="number"' if _is_number(value) else ""
    return f"<td{kind}>{escape(_shown(value))}</td>"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _shown(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return "–"
    if not _is_number(value):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace("-", "−")
    told = f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= 1e-3 else f"{value:.3g}"
    return told.replace("-", "−")
