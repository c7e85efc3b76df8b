"""Menus whose wording, or whose choice, changes with what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

Option = TypeVar("Option")

_MENUS = "menus-drawn"
"""Where a session keeps, by menu, how often it was drawn anew, and its key."""


def menu_key(menu: str, shown: object) -> str:
    """The key of a menu that is about to be drawn and shall show `shown`, which is put there.

    With every event a browser tells what all menus hold. Until it has heard of a choice that was changed here
    it tells the one of before, and Streamlit takes that for somebody's. So a menu whose choice was changed by
    anything but itself is drawn under another key: what is told of the one before is nobody's choice.

    Args:
        menu: its name.
        shown: one of its options.
    """
    menus = st.session_state.setdefault(_MENUS, {})
    number, key = menus.get(menu, (0, menu))
    if st.session_state.get(key, shown) != shown:
        number, key = number + 1, f"{menu}-{number + 1}"
    menus[menu] = number, key
    st.session_state[key] = shown
    return key


def is_drawn(key: str) -> bool:
    """Whether a menu still has the key that `menu_key` gave it."""
    return any(key == drawn for _, drawn in st.session_state[_MENUS].values())


def ticked(row: int | None) -> dict[str, dict[str, list]]:
    """What a table holds of which this row alone is ticked; None where none is."""
    return {"selection": {"rows": [] if row is None else [row], "columns": [], "cells": []}}


def ticked_row(key: str) -> int | None:
    """The row that is ticked in the table `key`; None where none is."""
    return next(iter(st.session_state[key]["selection"]["rows"]), None)


def picked_option(key: str, options: Sequence[Option]) -> Option | None:
    """The option that the menu `key` holds; None for one that is not offered, which nobody picked.

    The browser tells a choice by the text it shows. One that still shows the menu of the clip before tells a
    text that is no option any more; Streamlit passes it on as it is, and calls it a change.
    """
    held = st.session_state[key]
    return held if held in options else None
