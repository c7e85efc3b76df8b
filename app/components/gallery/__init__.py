"""The shelf of shipped clips: a scrolling row of pictures, one of which is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.components.browser_side import browser_side

_mount = browser_side(
    "gallery",
    html=(
        '<div class="shelf">'
        '<div class="gallery" role="listbox" aria-orientation="horizontal" aria-label="Sample clips"></div>'
        '<button class="turn back" type="button" tabindex="-1" aria-label="Earlier clips">‹</button>'
        '<button class="turn on" type="button" tabindex="-1" aria-label="More clips">›</button>'
        "</div>"
    ),
    css="gallery.css",
    js=("gallery.js",),
)


@dataclass(frozen=True, kw_only=True)
class GalleryItem:
    """One clip on the shelf.

    Attributes:
        name: the clip's label, or why there is none.
        color: a CSS colour that goes with the label, "" without one.
        picture: a data URI.
        marks: small signs on the picture, each a name that gallery.js knows and what it means.
    """

    key: str
    title: str
    name: str
    color: str
    picture: str
    marks: tuple[tuple[str, str], ...] = ()


def gallery(items: tuple[GalleryItem, ...], *, selected: str | None, key: str, on_pick) -> None:
    """Draws the shelf; `on_pick(item key)` is called when another clip is chosen.

    `selected` may be a key that is not on the shelf: then none is marked, and the tab key goes to the first.
    """
    known = {item.key for item in items}

    def picked() -> None:
        choice = st.session_state[key].get("pick")
        if choice in known:
            on_pick(choice)

    _mount(
        key=key,
        data={"items": [vars(item) for item in items], "selected": selected if selected in known else None},
        on_pick_change=picked,
    )
