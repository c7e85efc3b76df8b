"""What each modality says alone, and how sound and words become the guide."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from app.display import ClipDisplay
from app.views.frame import default_frame, guide_words
from app.views.markup import chart, percent, swatch
from core.attribution.modalities import Heard, heard_alone
from core.config import ModelConfig
from core.labels import MODALITIES, MODALITY_NOUNS
from core.prediction import Prediction

NUM_BARS = 60
"""Columns of the drawn loudness."""


def alone_cards(prediction: Prediction, display: ClipDisplay) -> None:
    """Draws a card per modality: a piece of it, and what the model would answer from it alone."""
    alone = heard_alone(prediction)
    cards = "".join(
        f'<li><div class="learn-piece">{_piece(modality, prediction, display)}</div>'
        f"<h3>The {MODALITY_NOUNS[modality]} alone</h3>{_says(alone.get(modality))}</li>"
        for modality in MODALITIES
    )
    st.html(
        chart(
            "What each says alone",
            "probability in %",
            f'<ul class="learn-cards">{cards}</ul>',
            "The emotion that the model would name from this alone, and how probable it finds it then. It "
            "“says” one where that is clearly more than it guesses from nothing, and “leans” to one "
            "below that.",
        )
    )


def _piece(modality: str, prediction: Prediction, display: ClipDisplay) -> str:
    if not prediction.present[modality]:
        return "<em>not read</em>"
    if modality == "text":
        return f"<q>{escape(prediction.transcript)}</q>"
    if modality == "audio":
        return "" if display.peaks is None else _loudness(display.peaks)
    frame = default_frame(prediction)
    return "" if frame is None else f'<img src="{display.pictures[frame]}" alt="A frame as the model saw it">'


def _loudness(peaks: np.ndarray) -> str:
    columns = (float(part.max()) for part in np.array_split(peaks, NUM_BARS) if len(part))
    bars = "".join(f'<i style="height:{max(100 * value, 2):.0f}%"></i>' for value in columns)
    return f'<span class="learn-sound" role="img" aria-label="Loudness over the clip">{bars}</span>'


def _says(heard: Heard | None) -> str:
    if heard is None:
        return '<p class="learn-says">is not in this clip, or not read by this model.</p>'
    if not heard.is_said and not heard.is_leaning:
        return f'<p class="learn-says">says nothing clear. <small>First: {_named(heard)}</small></p>'
    verb = "says" if heard.is_said else "only leans to"
    return f'<p class="learn-says">{verb} {_named(heard)}</p>'


def _named(heard: Heard) -> str:
    return f"{swatch(heard.label)}<b>{escape(heard.label)}</b> {percent(heard.probability)}"


def fusion_flow(prediction: Prediction, config: ModelConfig) -> None:
    """Draws how sound and words become the guide, with the widths of this model."""
    video, heads = config.video, config.heads
    boxes = (
        ("Words", f"{config.text.width:,} numbers", prediction.present["text"]),
        ("Sound", f"{config.audio.feature_width:,} numbers", prediction.present["audio"]),
    )
    sources = "".join(
        f'<div class="learn-box{"" if there else " absent"}"><b>{name}</b><span>'
        f"{width if there else 'not read: a learned stand-in'}</span></div>"
        for name, width, there in boxes
    )
    st.html(
        f'<div class="learn-flow" role="img" aria-label="Words and sound are fused into a guide, which '
        f'chooses what is kept of the picture"><div class="learn-pair">{sources}</div><i>→</i>'
        f'<div class="learn-box"><b>Early fusion</b><span>{heads.early_fusion_hidden:,} hidden units</span>'
        f'</div><i>→</i><div class="learn-box"><b>Guide</b><span>{video.guide_width:,} numbers</span></div>'
        f'<i>→</i><div class="learn-box"><b>Picture</b><span>{_kept(prediction)}</span></div></div>'
    )


def _kept(prediction: Prediction) -> str:
    if prediction.frames is None:
        return "not read"
    return f"{len(prediction.frames.kept)} of {len(prediction.frames.times_seconds)} frames kept"


def relevance_words(prediction: Prediction) -> str:
    """This clip's relevance in sentences; the clip needs a picture."""
    frames = prediction.frames
    num, best = len(frames.times_seconds), int(np.argmax(frames.relevance))
    guides = guide_words(prediction)
    source = (
        f"The choice follows what changes in the face, moved by {guides} as far as training taught it."
        if guides
        else "This clip has neither sound nor words, so only the guide’s fixed part chooses."
    )
    return (
        f"{source} Of {num} candidate frames the one at {frames.times_seconds[best]:.2f} s is the most "
        f"relevant: {percent(float(frames.relevance[best]), decimals=1)}, where an even share would be "
        f"{percent(1 / num, decimals=1)}. The {len(frames.kept)} kept frames hold "
        f"{percent(float(frames.relevance[frames.kept].sum()))} of all relevance, where an even share would "
        f"be {percent(len(frames.kept) / num)}."
    )
