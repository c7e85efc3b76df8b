"""The page's player: picture and sound, or sound alone."""

from __future__ import annotations

import math

import streamlit as st

from app.playback import Playable

PLAYER_KEY = "player"
"""Key of the container by which the timeline finds the player."""


def player(
    media: Playable,
    *,
    title: str,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
) -> None:
    """Draws the player of a media file that browsers can play.

    Args:
        media: the file.
        title: for those who cannot see it.
        start_seconds: where the span begins that the clip is; None for the begin of the file.
        end_seconds: where it ends; None for the end of the file.
    """
    with st.container(key=PLAYER_KEY):
        draw = st.video if media.has_picture else st.audio
        draw(
            media.path,
            format=media.mime,
            alt=title,
            start_time=int(start_seconds or 0),
            end_time=None if end_seconds is None else math.ceil(end_seconds),
        )
