"""What an explanation does not show, what the model may not be used for, and the words of the walk."""

from __future__ import annotations

from html import escape

import streamlit as st

from app.limits import DOES_NOT_SHOW, MAY_NOT
from app.views.markup import percent
from core.prediction import Prediction

GLOSSARY = {
    "modality": "one kind of signal: picture (video), sound (audio) or words (text).",
    "label": "the emotion that a clip is said to show, by people or, for made clips, by how it was made.",
    "early fusion": "joining signals before the answer is formed; here sound and words, into the guide.",
    "guide": "a vector made from sound and words, with a fixed learned part, that says what to look for.",
    "relevance": "how near a frame or patch is to what the guide looks for, as a share of the whole.",
    "patch": "a small square of the frame, the unit in which the picture is read.",
    "compression": "keeping the most relevant frames and patches and merging similar ones into them.",
    "receptive field": "how many frames one state of the temporal network can depend on.",
    "embedding": "a clip as a point in a space; near points are alike to the model.",
    "Shapley value": "what a modality adds to a probability, averaged over every order of adding them.",
    "confidence": "the probability of the answer. Calibrated: of answers given with 70 %, about 70 % are "
    "right, on clips like those the model was calibrated on.",
    "uncertain": "the confidence is below the model’s threshold: it would rather not decide.",
}


def confidence_words(prediction: Prediction, threshold: float) -> str:
    """How the answer's confidence lies to the threshold below which the model would rather not decide."""
    if threshold <= 0:
        return "This checkpoint has no threshold, so no answer of it is marked uncertain by its confidence."
    side = "below" if prediction.confidence < threshold else "not below"
    return (
        f"Its confidence of {percent(prediction.confidence)} is {side} this checkpoint’s threshold of "
        f"{percent(threshold)}, under which answers are marked “? uncertain”."
    )


def limits() -> None:
    """Draws what an explanation does not show, and what the model may not be used for."""
    st.html(
        f'<div class="learn-limits"><section><h3>What an explanation does not show</h3>{_list(DOES_NOT_SHOW)}'
        f"</section><section><h3>What this may not be used for</h3>{_list(MAY_NOT)}</section></div>"
    )


def glossary() -> None:
    """Draws the words of the walk, folded away."""
    with st.expander("Glossary", icon=":material/dictionary:"):
        terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(what)}</dd>" for term, what in GLOSSARY.items())
        st.html(f'<dl class="learn-glossary">{terms}</dl>')


def _list(sentences: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"
