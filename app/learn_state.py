"""What a class is looking at on the Learn page: one frozen value, mirrored in the link, and its votes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from app.clips import ClipChoice
from app.linked import Linked
from app.state import read_overlays, said_overlays

STEPS = (
    "Guess first",
    "Three modalities",
    "Early fusion",
    "Compression",
    "Time",
    "The space",
    "The decision, and its limits",
)
"""Titles of the steps, in their order; links count them from one."""

_GUESSES, _VOTES = "learn-guesses", "learn-votes"


@dataclass(frozen=True, kw_only=True)
class LearnView:
    """Everything a link to the Learn page restores; what was voted is not in it.

    Attributes:
        step: index into `STEPS`.
        clip: key of the clip, None for the first one.
        frame: index of the candidate frame that is looked into, None for the most relevant kept one.
        patches: compression steps shown in that frame, None for all of them.
        overlays: what is laid over it, of `app.state.OVERLAYS`; None for what is so at first.
        checkpoint: name of the one that answers, None for the first.
        is_presented: in the layout for a projector: larger type, and only the walk's own controls.
    """

    step: int = 0
    clip: str | None = None
    frame: int | None = None
    patches: int | None = None
    overlays: tuple[str, ...] | None = None
    checkpoint: str | None = None
    is_presented: bool = False

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> LearnView:
        """Reads a link's parameters; what cannot be meant is left out."""

        def number(name: str, *, first: int) -> int | None:
            text = parameters.get(name, "")
            value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
            return value - first if value >= first else None

        step = number("step", first=1) or 0
        return cls(
            step=step if step < len(STEPS) else 0,
            clip=parameters.get("clip") or None,
            frame=number("frame", first=1),
            patches=number("patches", first=0),
            overlays=read_overlays(parameters),
            checkpoint=parameters.get("checkpoint") or None,
            is_presented=parameters.get("present") == "1",
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""
        values = {
            "step": self.step + 1 if self.step else None,
            "clip": self.clip,
            "frame": None if self.frame is None else self.frame + 1,
            "patches": self.patches,
            "over": said_overlays(self.overlays),
            "checkpoint": self.checkpoint,
            "present": 1 if self.is_presented else None,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    def changed(self, **changes) -> LearnView:
        """The changed view; another clip or checkpoint forgets frame and patches of the one before."""
        chooses = ("clip", "checkpoint")
        if any(changes.get(name, getattr(self, name)) != getattr(self, name) for name in chooses):
            changes = {"frame": None, "patches": None, **changes}
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What was said of a clip whose label was revealed.

    Attributes:
        label: the truth.
        guess: the class's.
        answer: the model's.
        checkpoint: hash of the one that gave the answer.
    """

    label: str
    guess: str
    answer: str
    checkpoint: str


_linked = Linked("learn", LearnView, shared=("checkpoint",))
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update = _linked.update


def guess_of(clip: str) -> str | None:
    """What the class guesses at present, None before it does."""
    return st.session_state.get(_GUESSES, {}).get(clip)


def take_guess(clip: str, guess: str | None) -> None:
    """Remembers what the class guesses."""
    guesses = st.session_state.get(_GUESSES, {})
    st.session_state[_GUESSES] = guesses | {clip: guess}


def votes() -> dict[str, Vote]:
    """The votes of this session, by key of the clip."""
    return dict(st.session_state.get(_VOTES, {}))


def reveal(clip: str, vote: Vote) -> None:
    """Puts a vote on record, so that the label may be told."""
    st.session_state[_VOTES] = votes() | {clip: vote}


def score(cast: Sequence[Vote], checkpoint: str) -> tuple[int, int, int]:
    """How many votes of the class were right, how many answers of a checkpoint, and how many it gave."""
    answered = [vote for vote in cast if vote.checkpoint == checkpoint]
    right = sum(vote.answer == vote.label for vote in answered)
    return sum(vote.guess == vote.label for vote in cast), right, len(answered)


def lesson(clips: Sequence[ClipChoice]) -> tuple[ClipChoice, ...]:
    """The clips that have a label, in an order from which it cannot be guessed.

    Those with nothing missing and nothing in the way come first.
    """
    return tuple(
        sorted(
            (clip for clip in clips if clip.label),
            key=lambda clip: (
                bool(clip.missing or clip.distractors),
                hashlib.sha256(clip.key.encode()).hexdigest(),
            ),
        )
    )
