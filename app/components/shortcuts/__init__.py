"""The list of keyboard shortcuts of a page: a button in the header and the key "?" open it."""

from __future__ import annotations

import streamlit as st

from app.components.assets import asset
from app.shortcuts import shortcuts_of

_mount = st.components.v2.component(
    "deepmsi.shortcuts",
    html=(
        '<button class="open" type="button" aria-haspopup="dialog" aria-keyshortcuts="?">'
        '<kbd aria-hidden="true">?</kbd> Keyboard shortcuts</button>'
        '<dialog aria-labelledby="title"><div class="head"><h2 id="title"></h2>'
        '<button class="close" type="button">Close</button></div><div class="places"></div></dialog>'
    ),
    css=asset("shortcuts", "shortcuts.css"),
    js=asset("shortcuts", "shortcuts.js"),
)


def shortcuts(page: str) -> None:
    """Draws the button for the list of a page's shortcuts.

    Args:
        page: title of the page.
    """
    places = [
        {"name": name, "rows": [{"keys": list(one.keys), "does": one.does} for one in rows]}
        for name, rows in shortcuts_of(page)
    ]
    _mount(key="shortcuts", data={"page": page, "places": places})
