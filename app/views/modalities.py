"""What each modality says: the answer to every subset, and the verdict in a word."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from app.truth import Truth
from app.views.markup import UNIT_SPACE, chart, chip, color_of, swatch, track
from app.views.target import Scale, title_of, unit_of, value_text
from core.attribution.baselines import BASELINES
from core.attribution.modalities import (
    CONFLICT_PRODUCT,
    LEANS_PROBABILITY,
    SAYS_MARGIN,
    Heard,
    heard_alone,
    shown_verdict,
)
from core.attribution.results import Target
from core.labels import MODALITIES
from core.prediction import SUBSETS, Prediction

NOTHING = "nothing"
"""What the empty coalition is called in charts and tables."""

VERDICTS = {
    "single": ("1", "single modality", "only one modality is present, so there is nothing to compare."),
    "conflict": (
        "→←",
        "conflict",
        "one alone says joy, or excited, and another one an emotion that is neither (nor neutral), so "
        "clearly that what they give to their sides, multiplied, reaches "
        f"{100 * CONFLICT_PRODUCT:.0f} %. This is what the model hears in them, not how a clip was made.",
    ),
    "unclear": (
        "?",
        "unclear",
        "the answer is marked uncertain, or nobody says it, not even all together.",
    ),
    "agree": ("=", "agree", "each modality alone says the answer."),
    "redundant": ("×2", "redundant", "at least two alone say the answer, so that one could be missed."),
    "complementary": (
        "+",
        "complementary",
        "one alone says the answer, or none does and they say it only together.",
    ),
}
"""Sign, word and definition of every verdict of `shown_verdict`; the first that holds is told."""


def verdict(prediction: Prediction) -> None:
    """Draws the verdict word, a way to what the words mean, and the verdict's sentence."""
    name, sentence = shown_verdict(prediction)
    sign, word, _ = VERDICTS[name]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="verdict"):
        st.html(chip(f"{sign} {word}", name), width="content")
        with st.popover("What this word means", icon=":material/help:", type="tertiary"):
            st.html(_definitions(name).replace(" %", f"{UNIT_SPACE}%"))
    st.html(f'<p class="verdict">{escape(sentence.replace(" %", f"{UNIT_SPACE}%"))}</p>')


def subset_chart(
    prediction: Prediction, target: Target, truth: Truth | None = None, *, baseline: str = "absent-token"
) -> str:
    """HTML of the explained number under each subset of the modalities that the clip has.

    Args:
        prediction: the answer.
        target: what is explained.
        truth: what each modality was made to show, told under its row; None where nothing shall be told.
        baseline: what stands for an absent modality in the prediction's `modalities`.
    """
    marks = (
        " Hatched: what that modality was made to show; ✓ where the model says the same from it alone, ✗ "
        "where it says another emotion, – where it says none, and leans to one at most. To be said takes "
        "more than to be the first choice: see “What this word means”."
        if truth is not None
        else ""
    )
    return chart(
        f"{title_of(target)} when the model may use only …",
        unit_of(target),
        f'<ul class="subsets">{_subset_head()}{"".join(_subset_rows(prediction, target, truth))}</ul>',
        f"Filled dots are what the model was given; {_stands_for(baseline)} “nothing” is what it guesses "
        f"before it sees anything. Right of each bar: {_what(target)}, and the emotion the model would "
        f"answer from that alone.{marks}",
    )


def modality_table(prediction: Prediction, target: Target) -> pd.DataFrame:
    """The subsets of the clip's modalities with the explained number and their own answer."""
    return pd.DataFrame(
        [
            {
                "modalities": " + ".join(subset) or NOTHING,
                f"{target} ({unit_of(target)})": f"{100 * target.of(row, prediction.labels):.1f}",
                "answer from these": prediction.labels[int(np.argmax(row))],
            }
            for subset, row in _known_subsets(prediction)
        ]
    ).set_index("modalities")


def _what(target: Target) -> str:
    if target.instead_of is None:
        return f"the probability of {target.label}"
    return f"by how much {target.label} is ahead of {target.instead_of}, or behind it (−)"


def _stands_for(baseline: str) -> str:
    return "" if baseline == "absent-token" else f"in place of the others stand {BASELINES[baseline]};"


def _definitions(current: str) -> str:
    """One line for every verdict; the current one stands out."""
    lines = "".join(
        f'<li class="{"current" if verdict == current else ""}"><b>{escape(f"{sign} {word}")}</b>: '
        f"{escape(what)}</li>"
        for verdict, (sign, word, what) in VERDICTS.items()
    )
    says = (
        f"A modality “says” an emotion where that is its first choice when it is given alone, by at least "
        f"{100 * SAYS_MARGIN:.0f} points more than the model guesses from nothing; it “leans” to it where it "
        f"has {100 * LEANS_PROBABILITY:.0f} % or more, and more than from nothing, but not those points. "
        "Neutral names no emotion, so it never counts as a contradiction. The first word of this list that "
        "holds is told."
    )
    return f'<ul class="definitions">{lines}</ul><p class="says-what">{says}</p>'


def _known_subsets(prediction: Prediction):
    for subset, row in zip(SUBSETS, prediction.modalities.probabilities, strict=True):
        if all(prediction.present[modality] for modality in subset):
            yield subset, row


def absence_row(prediction: Prediction) -> str:
    """Why rows are missing, as a last row; nothing where every modality was used."""
    absent = [modality for modality in MODALITIES if not prediction.present[modality]]
    return f'<li class="absent">no {" and no ".join(absent)} was read</li>' if absent else ""


def _subset_head() -> str:
    names = "".join(f"<span>{modality}</span>" for modality in MODALITIES)
    return f'<li class="head" aria-hidden="true"><span class="dots">{names}</span></li>'


def _subset_rows(prediction: Prediction, target: Target, truth: Truth | None):
    scale = Scale.of(target.of(prediction.modalities.probabilities, prediction.labels), target)
    zero = () if target.instead_of is None else (scale.place(0),)
    alone = heard_alone(prediction)
    everything = tuple(modality for modality in MODALITIES if prediction.present[modality])
    for subset, row in _known_subsets(prediction):
        dots = "".join(
            f'<span class="{"on" if modality in subset else "off"}"></span>' for modality in MODALITIES
        )
        lead = (
            f'<span class="dots" role="img" aria-label="{" and ".join(subset)}">{dots}</span>'
            if subset
            else f'<span class="dots-none">{NOTHING}</span>'
        )
        value, answer = float(target.of(row, prediction.labels)), prediction.labels[int(np.argmax(row))]
        kind = ' class="full"' if subset == everything else ""
        yield (
            f"<li{kind}>{lead}{track(scale.place(0), scale.place(value), color_of(target.label), marks=zero)}"
            f'<span class="value">{value_text(value, target)}</span>'
            f'<span class="says">{swatch(answer)}{escape(answer)}</span>'
            f"{_made_mark(subset, alone, truth)}</li>"
        )
    yield absence_row(prediction)


def _made_mark(subset: tuple[str, ...], alone: dict[str, Heard], truth: Truth | None) -> str:
    """What a modality was made to show, and whether the model says so too; "" for other subsets."""
    made = None if truth is None or len(subset) != 1 else truth.emotions.get(subset[0])
    if made is None:
        return ""
    manner = f" ({truth.manners[subset[0]]})" if subset[0] in truth.manners else ""
    heard = alone[subset[0]]
    if heard.is_said:
        found = "✓ the model says so too" if heard.label == made else f"✗ the model says {heard.label}"
    elif heard.is_leaning:
        found = f"– the model only leans to {heard.label}"
    else:
        found = "– the model says nothing clear"
    return f'<span class="made-mark">made as {swatch(made)}{escape(f"{made}{manner}: {found}")}</span>'
