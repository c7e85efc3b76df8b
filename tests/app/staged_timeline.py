"""A page of the timeline alone, for the browser's tests: no model, and attributions that come on demand.

Run by Streamlit. `STAGED_MEDIA` names the clip that is played; `?kind=sound` leaves out the picture.
"""

import os
from pathlib import Path

import numpy as np
import streamlit as st

from app.display import ClipDisplay, picture_uri
from app.launch import MAIN
from app.playback import Playable
from app.views.frame import frame_view
from app.views.player import player
from app.views.timeline import TimelineData, timeline_view
from core.media.clip import Transcript, Word
from tests.app.conftest import hand_made_prediction
from tests.app.made_attributions import an_attribution

MEDIA = Path(os.environ["STAGED_MEDIA"])
WORDS = tuple(
    Word(text=text, start_seconds=start, end_seconds=end)
    for text, start, end in (("Do", 0.1, 0.3), ("not", 0.4, 0.6), ("move.", 0.7, 1.1))
)

st.set_page_config(layout="wide")
st.html(MAIN.parent / "style.css")
is_sound = st.query_params.get("kind") == "sound"
grey = picture_uri(np.full((32, 32, 3), 120, dtype=np.uint8))
without = {"frames": None, "patch_steps": (), "present": {"video": False, "audio": True, "text": True}}
prediction = hand_made_prediction(**(without if is_sound else {}))
display = ClipDisplay(
    pictures=() if is_sound else (grey,) * 6,
    thumbnails=() if is_sound else (grey,) * 6,
    peaks=np.abs(np.sin(np.linspace(0, 9, 60))),
    transcript=Transcript(text="Do not move.", words=WORDS),
)
player(
    Playable(
        path=MEDIA.with_suffix(".wav" if is_sound else ".mp4"), mime="audio/wav" if is_sound else "video/mp4"
    ),
    title="staged",
)


def chosen(frame: int) -> None:
    st.session_state["heard"] = [*st.session_state.get("heard", []), frame]


@st.fragment
def stage() -> None:
    """The part that reruns when a frame is chosen or attributions come."""
    elements = ("window", "word") if is_sound else ("frame", "window", "word", "patch")
    is_there = st.session_state.get("is-there", False)
    attributions = {name: an_attribution(name) if is_there else None for name in elements}
    heard = st.session_state.get("heard", [])
    frame = None if is_sound else (heard or [2])[-1]
    timeline_view(TimelineData.of(prediction, display, attributions), selected=frame, on_pick=chosen)
    st.button("Fill in", on_click=lambda: st.session_state.update({"is-there": True}))
    st.html(f'<span class="heard">{" ".join(map(str, heard))}</span>')
    if frame is not None:
        frame_view(
            prediction,
            display.pictures,
            frame=frame,
            step=2,
            on_frame=chosen,
            on_step=print,
            on_overlays=print,
            attribution=attributions["patch"],
            is_awaited=not is_there,
        )


stage()
