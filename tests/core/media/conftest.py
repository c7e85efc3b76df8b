"""A small clip that most reader tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_media import grey_pictures, tone, write_media


@pytest.fixture
def talking_clip(tmp_path: Path) -> Path:
    """2 s of 20 grey frames and a 440 Hz tone, as an mp4 that can be read from its start."""
    return write_media(
        tmp_path / "talk.mp4",
        pictures=grey_pictures(20),
        sound=tone(2.0, 16_000),
        options={"movflags": "faststart"},
    )
