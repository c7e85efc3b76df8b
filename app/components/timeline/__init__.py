"""The timeline strip: what the model looked at, over the clip's own seconds, tied to the page's player.

The browser side finds the player by its container's key, seeks it to the exact time of what is clicked and
moves the playhead as it plays. Python hears only of the frame that was picked, or on which the playhead came
to rest. What the elements gave to the answer may come later: it is filled in, and nothing else is drawn anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import streamlit as st

from app.components.browser_side import browser_side
from core.media.clip import Word
from core.prediction import FrameSelection

_mount = browser_side(
    "timeline",
    html='<div class="timeline"></div>',
    css="timeline.css",
    js=("timeline.js", "lanes.js", "shares.js"),
)


@dataclass(frozen=True, kw_only=True)
class MadeBand:
    """What is known of a made clip over its time, hatched to be told from what the model says.

    Attributes:
        values: 0 … 1 at equal steps of `step_seconds` from `start_seconds` on; a window has two ones.
        says: the band in words.
    """

    values: tuple[float, ...]
    start_seconds: float
    step_seconds: float
    says: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """What the timeline shows of one clip.

    Attributes:
        title: heading of the strip.
        thumbnails: a data URI per candidate frame; empty when there is no picture.
        peaks: `(column,)` loudness in [0, 1] over the span, None when there is no sound.
        words: with the times at which they are drawn.
        has_word_times: those times are known; if not, the words are laid out evenly and said to be so.
        still: data URI of what the player rests on before it plays, "" for its first picture.
        expression: of a made clip's face; None where there is none or nothing shall be told.
        voice: when a made clip's voice is emotional; it is drawn where there is sound.
    """

    title: str
    start_seconds: float
    end_seconds: float
    frames: FrameSelection | None
    thumbnails: tuple[str, ...]
    peaks: np.ndarray | None
    words: tuple[Word, ...]
    has_word_times: bool = True
    still: str = ""
    expression: MadeBand | None = None
    voice: MadeBand | None = None


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What the elements of a clip gave to one number, in percentage points, all on one scale.

    Attributes:
        of: what the number is, as "p(fear)".
        scale: length of the longest bar; what is drawn in full.
        frames: one per candidate frame; empty where there are none, not yet, or all are zero.
        windows: (start in seconds, end in seconds, points) of windows of sound; empty likewise.
        words: one per word of the strip; empty likewise.
        awaited: which of "frames", "windows" and "words" are being computed.
    """

    of: str
    scale: float
    frames: tuple[float, ...] = ()
    windows: tuple[tuple[float, float, float], ...] = ()
    words: tuple[float, ...] = ()
    awaited: tuple[str, ...] = ()


NO_SHARES = Shares(of="", scale=0.0)
"""Nothing is known and nothing awaited."""


def payload(
    strip: Strip, shares: Shares = NO_SHARES, *, selected: int | None, player_key: str
) -> dict[str, Any]:
    """The strip as the plain JSON types that the browser side reads.

    Relevance is told from 0 for the clip's lowest to 1 for its highest. The `id` changes whenever anything
    but the shares and the selected frame does: then all is drawn anew.

    Raises:
        ValueError: if there are not as many shares as frames or words.
    """
    for name, told, drawn in (
        ("frames", shares.frames, strip.thumbnails),
        ("words", shares.words, strip.words),
    ):
        if told and len(told) != len(drawn):
            raise ValueError(f"there are {len(told)} shares of {len(drawn)} {name}")
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
        "hasWordTimes": strip.has_word_times,
        "still": strip.still,
        "expression": _band(strip.expression),
        "voice": _band(strip.voice),
    }
    return drawn | {
        "id": sha256(json.dumps(drawn).encode()).hexdigest(),
        "selected": selected,
        "shares": {
            "of": shares.of,
            "scale": shares.scale,
            "frames": [round(points, 4) for points in shares.frames],
            "windows": [
                [round(start, 3), round(end, 3), round(points, 4)] for start, end, points in shares.windows
            ],
            "words": [round(points, 4) for points in shares.words],
            "awaited": list(shares.awaited),
        },
    }


def _band(band: MadeBand | None) -> dict[str, Any] | None:
    if band is None:
        return None
    points = [
        [round(band.start_seconds + index * band.step_seconds, 3), round(float(value), 3)]
        for index, value in enumerate(band.values)
    ]
    return {"points": points, "says": band.says}


def timeline(
    strip: Strip, shares: Shares, *, selected: int | None, player_key: str, key: str, on_pick
) -> None:
    """Draws the strip; `on_pick(frame)` is called with the index of a candidate frame that was chosen.

    Args:
        strip: what to show.
        shares: what its elements gave, as far as that is known.
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
        data=payload(strip, shares, selected=selected, player_key=player_key),
        on_frame_change=picked,
    )
