"""How far back the temporal network looks."""

from __future__ import annotations

import streamlit as st

from app.display import ClipDisplay
from app.views.markup import chart, track
from core.config import TemporalConfig
from core.prediction import Prediction

CONVOLUTIONS_PER_BLOCK = 2
"""Of `core.temporal.TemporalBlock`."""


def spans(config: TemporalConfig) -> tuple[int, ...]:
    """How many frames, itself included, a state sees after each block.

    Block i has two causal convolutions with dilation 2^i; each looks (kernel size − 1) · 2^i further back.
    """
    found, seen = [], 1
    for block in range(len(config.channels)):
        seen += CONVOLUTIONS_PER_BLOCK * (config.kernel_size - 1) * 2**block
        found.append(seen)
    return tuple(found)


def span_words(config: TemporalConfig, prediction: Prediction) -> str:
    """The receptive field in sentences, with this clip's kept frames; the clip needs a picture."""
    frames, reach = prediction.frames, spans(config)[-1]
    num = len(frames.kept)
    times = frames.times_seconds[frames.kept]
    dilations = " + ".join(str(2**block) for block in range(len(config.channels)))
    first = max(num - reach, 0)
    what = "all of them" if first == 0 else f"the last {reach} of them"
    return (
        f"The receptive field is 1 + {CONVOLUTIONS_PER_BLOCK} × ({config.kernel_size} − 1) × ({dilations}) = "
        f"{reach} frames. This clip has {num} kept frames, so the state at the last one spans {what}, from "
        f"{times[first]:.2f} s to {times[-1]:.2f} s. {_summary(config)}"
    )


def _summary(config: TemporalConfig) -> str:
    if config.summary == "attention":
        return "The answer is read from all states, each weighted by a learned score."
    return "The answer is read from the state at the last frame."


def span_chart(config: TemporalConfig, num_kept: int) -> None:
    """Draws how many frames a state sees after each block, beside the number of kept frames."""
    found = spans(config)
    longest = max(*found, num_kept)
    rows = "".join(
        f'<li><span class="name">block {block + 1} (dilation {2**block})</span>'
        f"{track(0, seen / longest, 'var(--learn-ink)', marks=(num_kept / longest,))}"
        f'<span class="value">{seen} frames</span></li>'
        for block, seen in enumerate(found)
    )
    st.html(
        chart(
            "How far a state sees after each block",
            "kept frames, itself included",
            f'<ul class="learn-spans">{rows}</ul>',
            f"Each block looks further back than the one before. The thin line marks the {num_kept} kept "
            "frames of this clip: a bar that reaches it sees the whole clip from its last frame.",
        )
    )


def seen_strip(config: TemporalConfig, prediction: Prediction, display: ClipDisplay) -> None:
    """Draws the kept frames in order; those that the state at the last one sees stand out."""
    frames = prediction.frames
    first = max(len(frames.kept) - spans(config)[-1], 0)
    cells = "".join(
        f'<li class="{"kept" if place >= first else "gone"}"><img src="{display.thumbnails[index]}" alt="">'
        f"<small>{frames.times_seconds[index]:.1f} s</small></li>"
        for place, index in enumerate(frames.kept)
    )
    st.html(
        chart(
            "What the last state sees",
            "kept frames by their time in seconds",
            f'<ul class="learn-strip">{cells}</ul>',
            "In the order of time, in rows. Framed: within the receptive field of the state at the last "
            "frame. Pale: too far back.",
        )
    )
