"""The answer: which emotion, how sure, whether it is right, and what was missing."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from app.views.markup import chart, chip, color_of, percent, swatch, track
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.prediction import Prediction

BLIND = (
    '<p class="truth">No face was found and no words were read, so there is next to nothing to go by: take '
    "this answer as uncertain, whatever its percentage.</p>"
)
LABEL_HIDDEN = '<p class="truth">The label is hidden.</p>'


def learned_from(metrics: dict) -> str:
    """What a checkpoint learned from and what that means for a file of one's own, in sentences.

    Args:
        metrics: contents of its metrics.json; what they do not tell is left out, and the sources are told as
            they were given.
    """
    trained = metrics.get("num_clips")
    number = trained.get("train") if isinstance(trained, dict) else None
    recipe = metrics.get("train_config")
    told = [f"This checkpoint learned from {number:,} clips."] if isinstance(number, int) else []
    if isinstance(recipe, dict) and (sources := recipe.get("sources")):
        told.append(str(sources))
    if isinstance(recipe, dict) and (start := recipe.get("start")):
        told.append(f"It began as an earlier checkpoint, {start}, whose data and licences count, too.")
    return " ".join([*told, "For your own recording its percentages are a guess."])


def headline(
    prediction: Prediction,
    label: str | None,
    *,
    is_edited: bool = False,
    original: Prediction | None = None,
    is_label_hidden: bool = False,
) -> None:
    """Draws the predicted emotion, its probability, the truth where known, and the notes.

    Args:
        prediction: the answer.
        label: the clip's true emotion, None where unknown.
        is_edited: the model read other words than the clip's, for which the label says nothing.
        original: the answer for the clip's own words, to compare with; None where there is none.
        is_label_hidden: there is a label, which is not to be told and not given here.
    """
    answer = prediction.prediction
    uncertain = chip("? uncertain", "uncertain") if prediction.is_uncertain else ""
    st.html(
        f'<section class="answer" aria-label="Prediction"><div class="eyebrow">The model says</div>'
        f'<div class="emotion">{swatch(answer)}<strong>{escape(answer)}</strong>'
        f'<span class="confidence">{percent(prediction.confidence)}</span>{uncertain}</div>'
        f"{_before(original)}{BLIND if prediction.is_blind else _uncertainty(prediction)}"
        f"{LABEL_HIDDEN if is_label_hidden else _verdict(prediction, label, is_edited)}</section>"
    )
    if prediction.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in prediction.notes)
        st.html(f'<ul class="notes" aria-label="What was missing or unusual">{items}</ul>')


def probability_bars(prediction: Prediction, label: str | None, *, warning: str = "") -> None:
    """Draws the calibrated probability of every class, in the order of the labels, with a table twin.

    Args:
        prediction: the answer.
        label: the clip's true emotion, None where unknown.
        warning: a sentence to be read before the bars, "" for none.
    """
    if warning:
        st.html(f'<p class="guess">{escape(warning)}</p>')
    rows = "".join(_row(prediction, name, label) for name in prediction.labels)
    st.html(
        chart(
            "Probability of each emotion",
            "%, calibrated",
            f'<ul class="bars">{rows}</ul>',
            f"Calibrated: of the answers given with {percent(0.7)}, about {percent(0.7)} are right, on clips "
            "like those the model was calibrated on. The bold row is the answer"
            + ("." if label is None else "; ◆ marks the clip's own label."),
        )
    )
    with table_twin("probability-table") as is_open:
        if is_open:
            draw_table(probability_table(prediction, label))


def probability_table(prediction: Prediction, label: str | None) -> pd.DataFrame:
    """One row per class: emotion, probability and its role."""

    def role(name: str) -> str:
        words = ["answer"] * (name == prediction.prediction) + ["label"] * (name == label)
        return " and ".join(words)

    return pd.DataFrame(
        {
            "emotion": list(prediction.labels),
            "probability (%)": [f"{100 * value:.1f}" for value in prediction.probabilities],
            "role": [role(name) for name in prediction.labels],
        }
    ).set_index("emotion")


def _before(original: Prediction | None) -> str:
    if original is None:
        return ""
    answer = original.prediction
    return (
        f'<p class="truth before">With the original words: {swatch(answer)}'
        f"<b>{escape(answer.capitalize())}</b> {percent(original.confidence)}</p>"
    )


def _verdict(prediction: Prediction, label: str | None, is_edited: bool) -> str:
    if label is None:
        return '<p class="truth">No label is known for this clip, so right or wrong cannot be told.</p>'
    if is_edited:
        return (
            f'<p class="truth">The clip is labelled {escape(label)}, but with its own words; with yours, '
            "right or wrong cannot be told.</p>"
        )
    # an uncertain answer is called a guess here and above, so that "right" is no call to rely on it
    what = "This guess is " if prediction.is_uncertain else ""
    if label == prediction.prediction:
        said = f"{what}right".capitalize()
        return f'<p class="truth right"><b>✓ {said}.</b> The clip is labelled {escape(label)}.</p>'
    given = (
        f", which got {percent(prediction.probabilities[prediction.labels.index(label)])}"
        if label in prediction.labels
        else ", an emotion this model does not know"
    )
    said = f"{what}wrong".capitalize()
    return f'<p class="truth wrong"><b>✗ {said}.</b> The clip is labelled {escape(label)}{given}.</p>'


def _uncertainty(prediction: Prediction) -> str:
    if not prediction.is_uncertain:
        return ""
    ranked = sorted(zip(prediction.probabilities, prediction.labels, strict=True), reverse=True)
    second, name = ranked[1]
    return (
        f'<p class="truth">Only a guess: with {percent(prediction.confidence)} the model would rather not '
        f"decide, and next comes {escape(name)} with {percent(second)}. On the clips by which this limit was "
        "set, at least half of such guesses were wrong; do not rely on it.</p>"
    )


def _row(prediction: Prediction, name: str, label: str | None) -> str:
    value = float(prediction.probabilities[prediction.labels.index(name)])
    kind = "bar top" if name == prediction.prediction else "bar"
    mark = '<span class="mark" title="the clip\'s label">◆ label</span>' if name == label else ""
    return (
        f'<li class="{kind}"><span class="name">{swatch(name)}{escape(name)}</span>'
        f"{track(0, value, color_of(name))}"
        f'<span class="value">{percent(value)}</span>{mark}</li>'
    )
