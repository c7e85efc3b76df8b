"""The timeline strip: what the model looked at, over the clip's own seconds, tied to the page's player.

The browser side finds the player by its container's key, seeks it to the exact time of what is clicked and
moves the playhead as it plays. Python hears only of the frame that was picked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import streamlit as st

from app.components.assets import asset
from core.media.clip import Word
from core.prediction import FrameSelection

_mount = st.components.v2.component(
    "deepmsi.timeline",
    html='<div class="timeline"></div>',
    css=asset("timeline", "timeline.css"),
    js=asset("timeline", "timeline.js"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """What the timeline shows of one clip.

    Attributes:
        title: heading of the strip.
        thumbnails: a data URI per candidate frame; empty when there is no picture.
        peaks: `(column,)` loudness in [0, 1] over the span, None when there is no sound.
        words: only those whose times are known.
    """

    title: str
    start_seconds: float
    end_seconds: float
    frames: FrameSelection | None
    thumbnails: tuple[str, ...]
    peaks: np.ndarray | None
    words: tuple[Word, ...]


def payload(strip: Strip, *, selected: int | None, player_key: str) -> dict[str, Any]:
    """The strip as the plain JSON types that the browser side reads.

    Relevance is told from 0 for the clip's lowest to 1 for its highest. The `id` changes whenever anything
    but the selected frame does: then all is drawn anew.
    """
    frames = []
    if strip.frames is not None:
        relevance = strip.frames.relevance
        heights = (relevance - relevance.min()) / max(float(np.ptp(relevance)), 1e-12)
        kept = set(strip.frames.kept.tolist())
        frames = [
            {
                "time": round(float(time), 4),
                "kept": index in kept,
                "absorbedBy": int(strip.frames.absorbed_by[index]),
                "relevance": round(float(heights[index]), 3),
                "source": source,
            }
            for index, (time, source) in enumerate(
                zip(strip.frames.times_seconds, strip.thumbnails, strict=True)
            )
        ]
    drawn = {
        "title": strip.title,
        "player": player_key,
        "start": strip.start_seconds,
        "end": strip.end_seconds,
        "frames": frames,
        "peaks": [] if strip.peaks is None else [round(float(peak), 3) for peak in strip.peaks],
        "words": [
            {"text": word.text.strip(), "start": word.start_seconds, "end": word.end_seconds}
            for word in strip.words
        ],
    }
    return drawn | {"id": sha256(json.dumps(drawn).encode()).hexdigest(), "selected": selected}


def timeline(strip: Strip, *, selected: int | None, player_key: str, key: str, on_pick) -> None:
    """Draws the strip; `on_pick(frame)` is called with the index of a candidate frame that was chosen.

    Args:
        strip: what to show.
        selected: index of the candidate frame shown as chosen, None for none.
        player_key: key of the Streamlit container that holds the page's video or sound.
        key: of the component.
        on_pick: takes one int; runs before the script or fragment that drew the strip runs again.
    """

    def picked() -> None:
        frame = st.session_state[key].get("frame")
        if isinstance(frame, int) and strip.frames is not None and 0 <= frame < len(strip.thumbnails):
            on_pick(frame)

    _mount(
        key=key,
        data=payload(strip, selected=selected, player_key=player_key),
        on_frame_change=picked,
    )
