"""The table beside a chart: closed at first, and drawn when it is opened.

A browser takes long to draw tables, also where nobody sees them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.linked import keep_shown


@contextmanager
def table_twin(key: str, title: str = "As a table") -> Iterator[bool]:
    """Draws the box of a table twin, and gives whether it is open, so that the table is to be drawn in it.

    Args:
        key: of the box, whose state it holds.
        title: what is told while it is closed; with another one it is another box.
    """
    box = st.expander(title, icon=":material/table_rows:", key=key, on_change=keep_shown)
    with box:
        yield bool(box.open)
