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
    called = f' aria-label="{escape(alt)}"' if alt else ""
    return (
        f'<div class="wide"><table class="plain-table"{called}><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    kind = "" if isinstance(value, str) else ' class="number"'
    return f"<td{kind}>{escape(_shown(value))}</td>"


def _shown(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int | np.integer) and not isinstance(value, bool) else str(value)
