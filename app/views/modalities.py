"""What each modality says: the subsets, the exact Shapley values, and the verdict in a word."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from app.views.markup import UNIT_SPACE, chart, chip, color_of, percent, points, swatch, track
from core.attribution.modalities import SAYS_MARGIN
from core.labels import MODALITIES
from core.prediction import SUBSETS, Prediction

NOTHING, ALL = "nothing", "all"
"""What the empty coalition, and the one of everything the clip has, are called in charts and tables."""

VERDICTS = {
    "agree": ("=", "agree", "each modality, given alone, says the answer."),
    "redundant": ("×2", "redundant", "two alone say the answer, so that one could be missed."),
    "complementary": ("+", "complementary", "one alone says the answer, or only all together do."),
    "conflict": ("→←", "conflict", "two alone say different emotions, each of them clearly."),
    "unclear": ("?", "unclear", "none says the answer, nor do all: it is hardly more than a guess."),
    "single": ("1", "single modality", "only one modality is present, so there is nothing to compare."),
}
"""Sign, word and definition of every verdict of `ModalityReport`."""


def class_picker(labels: tuple[str, ...], *, selected: str, predicted: str, on_pick) -> None:
    """Lets people choose the emotion that is explained; `on_pick(label)` is called with another one."""

    def picked() -> None:
        on_pick(st.session_state["class-picker"])

    st.session_state["class-picker"] = selected
    st.selectbox(
        "Emotion to explain",
        labels,
        format_func=lambda name: f"{name} (the answer)" if name == predicted else name,
        key="class-picker",
        on_change=picked,
        help="Shapley values and probabilities below are those of this emotion.",
    )


def verdict(prediction: Prediction) -> None:
    """Draws the verdict word, a way to what the words mean, and the verdict's sentence."""
    report = prediction.modalities
    sign, word, _ = VERDICTS[report.verdict]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="verdict"):
        st.html(chip(f"{sign} {word}", report.verdict), width="content")
        with st.popover("What this word means", icon=":material/help:", type="tertiary"):
            st.html(_definitions(report.verdict))
    st.html(f'<p class="verdict">{escape(report.sentence.replace(" %", f"{UNIT_SPACE}%"))}</p>')


def subset_chart(prediction: Prediction, emotion: str) -> None:
    """Draws the probability of `emotion` under each subset of the modalities that the clip has."""
    st.html(
        chart(
            f"Probability of {emotion} when the model may use only …",
            "%",
            f'<ul class="subsets">{_subset_head()}{"".join(_subset_rows(prediction, emotion))}</ul>',
            "Filled dots are what the model was given; “nothing” is what it guesses before it sees anything. "
            f"Right of each bar: the probability of {emotion}, and the emotion the model would answer from "
            "that alone.",
        )
    )


def shapley_chart(prediction: Prediction, emotion: str) -> None:
    """Draws the way from nothing to the full answer: one step per modality, of its Shapley value."""
    st.html(
        chart(
            f"What each modality adds to {emotion}",
            "percentage points",
            f'<ul class="steps">{"".join(_step_rows(prediction, emotion))}</ul>',
            "On average over every order in which the modalities can be added, "
            f"{_changes(prediction, emotion)}. Such an average is a modality’s Shapley value, exact here. "
            "Each bar starts where the one above ends; together they lead from “nothing” to “all”.",
        )
    )


def modality_table(prediction: Prediction, emotion: str) -> pd.DataFrame:
    """The subsets of the clip's modalities with their probability of `emotion` and their own answer."""
    column = prediction.labels.index(emotion)
    return pd.DataFrame(
        [
            {
                "modalities": " + ".join(subset) or NOTHING,
                f"{emotion} (%)": f"{100 * row[column]:.1f}",
                "answer from these": prediction.labels[int(np.argmax(row))],
            }
            for subset, row in _known_subsets(prediction)
        ]
    ).set_index("modalities")


def shapley_table(prediction: Prediction, emotion: str) -> pd.DataFrame:
    """The way from nothing to all of the clip's modalities by their Shapley values for `emotion`."""
    base, steps = contributions(prediction, emotion)
    return pd.DataFrame(
        {
            "modality": [NOTHING, *steps, ALL],
            f"Shapley value for {emotion} (points)": ["", *(f"{value:+.1f}" for value in steps.values()), ""],
            f"{emotion} (%)": [f"{base:.1f}", *[""] * len(steps), f"{base + sum(steps.values()):.1f}"],
        }
    ).set_index("modality")


def tables(prediction: Prediction, emotion: str) -> None:
    """The table twins of both charts, folded away."""
    with st.expander("As tables", icon=":material/table_rows:"):
        st.table(modality_table(prediction, emotion))
        st.table(shapley_table(prediction, emotion))


def contributions(prediction: Prediction, emotion: str) -> tuple[float, dict[str, float]]:
    """Probability of `emotion` from nothing, and Shapley values, so rounded that they add up.

    Returns:
        Percent, and percentage points of each modality that is present, in whole tenths. Their sum is the
        probability from all modalities, itself rounded to a tenth: where rounding each by itself misses it,
        the values that were nearest to the other tenth go there instead (the largest remainders).
    """
    report, column = prediction.modalities, prediction.labels.index(emotion)
    there = [modality for modality in MODALITIES if prediction.present[modality]]
    exact = 1000 * report.shapley[[MODALITIES.index(modality) for modality in there], column]
    level = 1000 * report.probabilities[SUBSETS.index(()), column]
    base, goal = round(level), round(1000 * report.probabilities[SUBSETS.index(tuple(there)), column])
    tenths = np.round(exact).astype(int)
    missing = goal - base - int(tenths.sum())
    remainders = np.sign(missing) * (exact - tenths)
    tenths[np.argsort(-remainders, kind="stable")[: abs(missing)]] += np.sign(missing)
    return base / 10, dict(zip(there, (tenths / 10).tolist(), strict=True))


def _definitions(current: str) -> str:
    """One line for every verdict; the current one stands out."""
    lines = "".join(
        f'<li class="{"current" if verdict == current else ""}"><b>{escape(f"{sign} {word}")}</b>: '
        f"{escape(what)}</li>"
        for verdict, (sign, word, what) in VERDICTS.items()
    )
    says = (
        f"A modality “says” an emotion where that is its first choice when it is given alone, by at least "
        f"{100 * SAYS_MARGIN:.0f} points more than the model guesses from nothing."
    )
    return f'<ul class="definitions">{lines}</ul><p class="says-what">{says}</p>'


def _known_subsets(prediction: Prediction):
    for subset, row in zip(SUBSETS, prediction.modalities.probabilities, strict=True):
        if all(prediction.present[modality] for modality in subset):
            yield subset, row


def _absence(prediction: Prediction) -> str:
    """Why rows are missing, as a last row; nothing where the clip has every modality."""
    absent = [modality for modality in MODALITIES if not prediction.present[modality]]
    return f'<li class="absent">no {" and no ".join(absent)} in this clip</li>' if absent else ""


def _changes(prediction: Prediction, emotion: str) -> str:
    """The Shapley values in words: "video raises joy by 30.0 points, and text lowers it by 4.3 points"."""
    phrases = []
    for modality, value in contributions(prediction, emotion)[1].items():
        what = emotion if not phrases else "it"
        amount = points(abs(value)).lstrip("+")
        phrases.append(
            f"{modality} {'raises' if value > 0 else 'lowers'} {what} by {amount}"
            if value
            else f"{modality} leaves {what} as it is"
        )
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _subset_head() -> str:
    names = "".join(f"<span>{modality}</span>" for modality in MODALITIES)
    return f'<li class="head" aria-hidden="true"><span class="dots">{names}</span></li>'


def _subset_rows(prediction: Prediction, emotion: str):
    column = prediction.labels.index(emotion)
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
        value, answer = float(row[column]), prediction.labels[int(np.argmax(row))]
        kind = ' class="full"' if subset == everything else ""
        yield (
            f"<li{kind}>{lead}{track(0, value, color_of(emotion))}"
            f'<span class="value">{percent(value, decimals=1)}</span>'
            f'<span class="says">{swatch(answer)}{escape(answer)}</span></li>'
        )
    yield _absence(prediction)


def _step_rows(prediction: Prediction, emotion: str):
    color = color_of(emotion)
    base, steps = contributions(prediction, emotion)
    yield _step(NOTHING, 0, base, "var(--muted-bar)", _tenths(base), base)
    level = base
    for modality, value in steps.items():
        sign = "▲" if value > 0 else "▼" if value < 0 else "·"
        yield _step(modality, level, level + value, color, f"{sign} {points(value)}", base)
        level += value
    yield _step(ALL, 0, level, color, _tenths(level), base, kind="full")
    yield _absence(prediction)


def _step(name: str, start: float, end: float, color: str, value: str, base: float, kind: str = "") -> str:
    """One row of the way up; `start`, `end` and `base` in percent."""
    bar = track(start / 100, end / 100, color, marks=(base / 100,))
    return f'<li class="{kind}"><span class="name">{name}</span>{bar}<span class="value">{value}</span></li>'


def _tenths(percentage: float) -> str:
    return f"{percentage:.1f}{UNIT_SPACE}%"
