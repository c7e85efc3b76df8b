"""What a person is looking at: one frozen value in the session, mirrored in the page's link.

Widgets report changes here and are drawn from here, so that a link, the back button and a click all take the
same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from app.clips import OWN_CLIP

MAX_WORDS_CHARACTERS = 600
"""Longest transcript that a link holds, and, where the clip's own is not longer, that the app takes."""


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """Everything a link restores.

    Attributes:
        clip: key of the chosen clip, None for the first one; `OWN_CLIP` where a file of one's own is wanted,
            whether or not there is one.
        frame: index of the chosen candidate frame, None for the most relevant kept one.
        step: compression steps shown in the frame view, None for all of them.
        emotion: the class that is explained, None for the predicted one.
        words: the transcript as edited, None where it is as given or recognised.
        checkpoint: name of the chosen checkpoint, None for the first one.
    """

    clip: str | None = None
    frame: int | None = None
    step: int | None = None
    emotion: str | None = None
    words: str | None = None
    checkpoint: str | None = None

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> ViewState:
        """Reads a link's parameters; what cannot be meant is left out."""

        def number(name: str, *, first: int) -> int | None:
            text = parameters.get(name, "")
            value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
            return value - first if value >= first else None

        words = parameters.get("words")
        return cls(
            clip=parameters.get("clip") or None,
            frame=number("frame", first=1),  # as people count, and as the page says
            step=number("step", first=0),
            emotion=parameters.get("class") or None,
            words=None if words is None else words[:MAX_WORDS_CHARACTERS],
            checkpoint=parameters.get("checkpoint") or None,
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; no link reaches into an uploaded clip.

        Words longer than `MAX_WORDS_CHARACTERS` are left out: cut ones would give another answer.
        """
        values = {"clip": self.clip, "checkpoint": self.checkpoint}
        if self.clip != OWN_CLIP:
            fits = self.words is not None and len(self.words) <= MAX_WORDS_CHARACTERS
            values |= {
                "frame": None if self.frame is None else self.frame + 1,
                "step": self.step,
                "class": self.emotion,
                "words": self.words if fits else None,
            }
        return {name: str(value) for name, value in values.items() if value is not None}


def current() -> ViewState:
    """The view of this session."""
    return st.session_state.setdefault("view", ViewState())


def update(**changes) -> None:
    """Changes the view; another clip forgets the frame, the class and the words of the one before."""
    view = current()
    if view.clip is not None and changes.get("clip", view.clip) != view.clip:
        changes = {"frame": None, "emotion": None, "words": None, **changes}
    st.session_state["view"] = replace(view, **changes)
    st.session_state["is-changed-here"] = True


def keep_within(*, num_frames: int, num_steps: int, labels: Sequence[str]) -> ViewState:
    """Takes out of the view what a clip of so many candidate frames, steps and classes does not have."""
    view = current()
    view = st.session_state["view"] = replace(
        view,
        frame=view.frame if view.frame is not None and view.frame < num_frames else None,
        step=view.step if view.step is not None and view.step < num_steps else None,
        emotion=view.emotion if view.emotion in labels else None,
    )
    return view


def adopt_link() -> None:
    """Takes over the link at the start of a session, and after the browser's back and forward buttons.

    Not after a change made on the page: a quick click comes with the address of before the last one.
    """
    parameters = st.query_params.to_dict()
    if parameters != st.session_state.get("link") and not st.session_state.get("is-changed-here"):
        st.session_state["link"] = parameters
        st.session_state["view"] = ViewState.from_link(parameters)


def publish_link() -> None:
    """Writes the view into the address bar."""
    st.session_state.pop("is-changed-here", None)
    parameters = current().to_link()
    if parameters != st.session_state.get("link"):
        st.session_state["link"] = parameters
        st.query_params.from_dict(parameters)
