"""The page's player: picture and sound, or sound alone."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

PLAYER_KEY = "player"
"""Key of the container by which the timeline finds the player."""


def player(path: Path, *, title: str, is_video: bool, is_titled: bool) -> None:
    """Draws the player of a media file that browsers can play, and its title below if it should have one."""
    with st.container(key=PLAYER_KEY):
        if is_video:
            st.video(path, format="video/webm" if path.suffix == ".webm" else "video/mp4", alt=title)
        else:
            st.audio(path)
    if is_titled:
        st.html(f'<div class="clip-title">{escape(title)}</div>')
