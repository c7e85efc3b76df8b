"""What the recorder sends is checked like anything else that comes from outside."""

import base64
from datetime import datetime

import pytest

from app.components.recorder import MAX_MEGABYTES, SUFFIXES, RecordingError, recording_of
from core.media import MEDIA_SUFFIXES

NOON = datetime(2026, 5, 1, 12, 0, 7)


def sent(content: bytes, kind: str = "video/webm;codecs=vp8,opus") -> dict:
    return {"kind": kind, "base64": base64.b64encode(content).decode()}


@pytest.mark.parametrize(
    "kind, suffix",
    [
        ("video/webm;codecs=vp8,opus", "webm"),
        ("VIDEO/mp4", "mp4"),
        ("audio/webm", "webm"),
        ("audio/mp4", "m4a"),
    ],
)
def test_a_recording_is_named_by_its_time_and_kind(kind, suffix):
    recording = recording_of(sent(b"\x1aE\xdf\xa3 and more", kind), NOON)
    assert recording.name == f"Recording of 12-00-07.{suffix}"
    assert recording.content == b"\x1aE\xdf\xa3 and more"


def test_what_browsers_record_may_be_uploaded_too():
    assert set(SUFFIXES.values()) <= set(MEDIA_SUFFIXES)


@pytest.mark.parametrize(
    "what",
    [
        None,
        7,
        [],
        {},
        {"kind": "video/webm"},
        {"base64": "AAAA"},
        sent(b"x", "text/html"),
        {"kind": 3, "base64": "A"},
    ],
)
def test_what_is_no_recording_is_refused(what):
    with pytest.raises(RecordingError, match="did not arrive as a video or sound"):
        recording_of(what)


def test_damaged_and_huge_recordings_are_refused():
    with pytest.raises(RecordingError, match="damaged"):
        recording_of({"kind": "video/webm", "base64": "no base64 !"})
    limit = MAX_MEGABYTES * 1_000_000
    assert len(recording_of(sent(bytes(limit))).content) == limit
    with pytest.raises(RecordingError, match=f"more than {MAX_MEGABYTES} MB"):
        recording_of(sent(bytes(limit + 10)))
