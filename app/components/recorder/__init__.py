"""Records a clip with camera and microphone; nothing leaves the browser before it is to be used."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from app.components.browser_side import browser_side
from core.sentences import SentenceError

MAX_SECONDS = 15
"""A recording ends by itself after this. Clips of a few seconds are what models here are trained on."""

MAX_MEGABYTES = 12
"""Far above what `MAX_SECONDS` take at the bit rate that is asked for, which browsers only aim at."""

SUFFIXES = {"video/webm": ".webm", "audio/webm": ".webm", "video/mp4": ".mp4", "audio/mp4": ".m4a"}
"""File endings of what browsers record, by MIME type; the guarded reader goes by the content."""

_mount = browser_side(
    "recorder",
    html='<div class="recorder" role="group" aria-label="Record a clip"></div>',
    css="recorder.css",
    js=("recorder.js",),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """What was recorded: a file's name and its bytes."""

    name: str
    content: bytes


class RecordingError(SentenceError):
    """A recording that did not arrive as it should; one sentence."""


def recording_of(sent: Any, now: datetime | None = None) -> Recording:
    """What the browser side sent, checked.

    Args:
        sent: a mapping with the MIME type and the bytes in base64.
        now: names the recording; the current time if None.

    Raises:
        RecordingError: it is nothing that a recorder sends.
    """
    kind, text = (sent.get("kind"), sent.get("base64")) if isinstance(sent, dict) else (None, None)
    suffix = SUFFIXES.get(kind.split(";")[0].strip().lower()) if isinstance(kind, str) else None
    if suffix is None or not isinstance(text, str):
        raise RecordingError("The recording did not arrive as a video or sound; record it again.")
    if len(text) > MAX_MEGABYTES * 1_000_000 * 4 / 3 + 4:
        raise RecordingError(f"The recording has more than {MAX_MEGABYTES} MB; record a shorter one.")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RecordingError("The recording was damaged on its way; record it again.") from error
    return Recording(name=f"Recording of {now or datetime.now():%H-%M-%S}{suffix}", content=content)


def recorder(*, key: str, on_recording, on_fault) -> None:
    """Draws the recorder: consent, preview, recording with a countdown, review.

    Args:
        key: another one starts anew, with the camera off.
        on_recording: called with a `Recording` that shall be used.
        on_fault: called with a sentence where what arrived is none.
    """

    def arrived() -> None:
        sent = st.session_state[key].get("clip")
        if sent is None:
            return
        try:
            recording = recording_of(sent)
        except RecordingError as error:
            on_fault(str(error))
        else:
            on_recording(recording)

    _mount(key=key, data={"seconds": MAX_SECONDS, "megabytes": MAX_MEGABYTES}, on_clip_change=arrived)
