"""What people pick in menus whose wording changes from clip to clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

Option = TypeVar("Option")


def picked_option(key: str, options: Sequence[Option]) -> Option | None:
    """The option that the menu `key` holds; None for one that is not offered, which nobody picked.

    The browser tells a choice by the text it shows. One that still shows the menu of the clip before tells a
    text that is no option any more; Streamlit passes it on as it is, and calls it a change.
    """
    held = st.session_state[key]
    return held if held in options else None
