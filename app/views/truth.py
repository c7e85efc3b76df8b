"""How a made clip was made, apart from everything that the model says: hatched, and to be hidden."""

from __future__ import annotations

from html import escape

import streamlit as st

from app.truth import ABSENCES, CARRIER_NAMES, Truth
from app.views.markup import swatch
from app.views.picking import is_drawn, menu_key


def truth_toggle(*, is_hidden: bool, on_change) -> None:
    """Draws the switch that hides labels and how clips were made; it calls `on_change(is_hidden)`."""

    def switched() -> None:
        if is_drawn(key):
            on_change(st.session_state[key])

    key = menu_key("truth-toggle", is_hidden)
    st.toggle(
        "Hide the truth",
        key=key,
        on_change=switched,
        help="Hides the labels and how the clips were made, to let others guess first. The link keeps this "
        "choice.",
    )


def truth_block(truth: Truth, *, is_edited: bool = False, tells_conflict: bool = False) -> None:
    """Draws what is known of a made clip.

    Args:
        truth: of the clip.
        is_edited: the model read other words than the clip's.
        tells_conflict: say whether the clip was made with a conflict also where it was not, since the model's
            modalities are in one.
    """
    cells = "".join(_cell(truth, modality) for modality in CARRIER_NAMES)
    lines = [truth.scenario]
    if truth.is_conflict or tells_conflict:
        lines.append(truth.conflict_sentence)
    if truth.added:
        lines.append(f"Put in on purpose: {'; '.join(truth.added)}.")
    if truth.missing:
        lines.append(f"Left out on purpose: {ABSENCES[truth.missing]}.")
    if truth.expression is not None:
        lines.append(truth.expression.sentence)
    if truth.voice_sentence:
        lines.append(truth.voice_sentence)
    if is_edited:
        lines.append("All this is of the clip with its own words, not with yours.")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    st.html(
        '<section class="made-block" aria-label="How this clip was made">'
        f'<div class="made-title">How this clip was made <span>{escape(truth.origin)}</span></div>'
        f"<dl>{cells}{_entry('Label', truth.label, '')}</dl><ul>{items}</ul></section>"
    )


def _cell(truth: Truth, modality: str) -> str:
    name = CARRIER_NAMES[modality].capitalize()
    emotion = truth.emotions.get(modality)
    if emotion is None:
        return f"<div><dt>{name}</dt><dd>none</dd></div>"
    return _entry(name, emotion, truth.manners.get(modality, ""))


def _entry(name: str, emotion: str, manner: str) -> str:
    remark = f" <small>({escape(manner)})</small>" if manner else ""
    return f"<div><dt>{name}</dt><dd>{swatch(emotion)}<span>{escape(emotion)}{remark}</span></dd></div>"
