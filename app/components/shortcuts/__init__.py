"""The list of keyboard shortcuts of a page: a button in the header and the key "?" open it."""

from __future__ import annotations

from app.components.browser_side import browser_side
from app.shortcuts import shortcuts_of

_mount = browser_side(
    "shortcuts",
    html=(
        '<button class="open" type="button" aria-haspopup="dialog" aria-keyshortcuts="?">'
        '<kbd aria-hidden="true">?</kbd> Keyboard shortcuts</button>'
        '<dialog aria-labelledby="title"><div class="head"><h2 id="title"></h2>'
        '<button class="close" type="button">Close</button></div><div class="places"></div></dialog>'
    ),
    css="shortcuts.css",
    js=("shortcuts.js",),
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
