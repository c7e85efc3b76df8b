"""A line under an editable box that tells, while somebody types, that the answer is not for these words.

Python hears of what is typed only when the form is sent, so the browser side compares by itself.
"""

from __future__ import annotations

from app.components.browser_side import browser_side

_mount = browser_side(
    "pending",
    html='<div class="pending" role="status"></div>',
    css="pending.css",
    js=("pending.js",),
)


def pending(read: str, *, box_key: str, max_characters: int, key: str) -> None:
    """Draws the line, which is empty while the box holds the words that the answer is for.

    Args:
        read: what the model read, without doubled blanks.
        box_key: key of the text area.
        max_characters: longest text that is read whole; the line says where it is longer.
        key: of the component.
    """
    _mount(key=key, data={"read": read, "box": box_key, "limit": max_characters})
