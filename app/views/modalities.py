"""What each modality says: the eight subsets, the exact Shapley values, and the verdict in a word."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from app.views.markup import UNIT_SPACE, chart, chip, color_of, percent, points, swatch, track
from core.labels import MODALITIES
from core.prediction import SUBSETS, Prediction

VERDICTS = {
    "agree": ("≡", "agree"),
    "redundant": ("=", "redundant"),
    "complementary": ("+", "complementary"),
    "conflict": ("≠", "conflict"),
    "single": ("1", "single modality"),
}
"""Sign and word of every verdict of `ModalityReport`."""


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
    """Draws the verdict word and its sentence."""
    report = prediction.modalities
    sign, word = VERDICTS[report.verdict]
    st.html(
        f'<p class="verdict">{chip(f"{sign} {word}", report.verdict)} '
        f"<span>{escape(report.sentence.replace(' %', f'{UNIT_SPACE}%'))}</span></p>"
    )


def subset_chart(prediction: Prediction, emotion: str) -> None:
    """Draws the probability of `emotion` under each of the eight subsets of modalities."""
    st.html(
        chart(
            f"Probability of {emotion} when the model may use only …",
            "%",
            f'<ul class="subsets">{_subset_head()}{"".join(_subset_rows(prediction, emotion))}</ul>',
            "Filled dots are what the model was given. Right of each bar: the probability, and the emotion "
            "the model would answer from that alone. “None” is what it guesses before it sees anything.",
        )
    )


def shapley_chart(prediction: Prediction, emotion: str) -> None:
    """Draws the way from nothing to the full answer: one step per modality, of its Shapley value."""
    st.html(
        chart(
            f"What each modality adds to {emotion}",
            "percentage points",
            f'<ul class="steps">{"".join(_step_rows(prediction, emotion))}</ul>',
            "Each bar starts where the one above ends. A modality's step is its exact Shapley value: the "
            "mean, over all orders, of what its joining changes. A step to the right raises the "
            "probability, one to the left lowers it; the steps add up from “nothing” to “all”.",
        )
    )


def modality_table(prediction: Prediction, emotion: str) -> pd.DataFrame:
    """The eight subsets with their probability of `emotion` and their own answer."""
    column = prediction.labels.index(emotion)
    rows = []
    for subset, row in zip(SUBSETS, prediction.modalities.probabilities, strict=True):
        known = not np.isnan(row).any()
        rows.append(
            {
                "modalities": " + ".join(subset) or "none",
                f"{emotion} (%)": f"{100 * row[column]:.1f}" if known else "not in this clip",
                "answer from these": prediction.labels[int(np.argmax(row))] if known else "",
            }
        )
    return pd.DataFrame(rows).set_index("modalities")


def shapley_table(prediction: Prediction, emotion: str) -> pd.DataFrame:
    """The Shapley value of each modality for `emotion`, in percentage points, and their sum."""
    values = 100 * prediction.modalities.shapley[:, prediction.labels.index(emotion)]
    return pd.DataFrame(
        {
            "modality": [*MODALITIES, "sum"],
            f"Shapley value for {emotion} (points)": [f"{value:+.1f}" for value in (*values, values.sum())],
        }
    ).set_index("modality")


def tables(prediction: Prediction, emotion: str) -> None:
    """The table twins of both charts, folded away."""
    with st.expander("The same as tables", icon=":material/table_rows:"):
        st.table(modality_table(prediction, emotion))
        st.table(shapley_table(prediction, emotion))


def _subset_head() -> str:
    names = "".join(f"<span>{modality}</span>" for modality in MODALITIES)
    return f'<li class="head" aria-hidden="true"><span class="dots">{names}</span></li>'


def _subset_rows(prediction: Prediction, emotion: str):
    column = prediction.labels.index(emotion)
    everything = tuple(modality for modality in MODALITIES if prediction.present[modality])
    for subset, row in zip(SUBSETS, prediction.modalities.probabilities, strict=True):
        dots = "".join(
            f'<span class="{"on" if modality in subset else "off"}"></span>' for modality in MODALITIES
        )
        name = " and ".join(subset) or "none"
        lead = f'<span class="dots" role="img" aria-label="{name}">{dots}</span>'
        if np.isnan(row).any():
            missing = " and ".join(modality for modality in subset if not prediction.present[modality])
            yield f'<li class="absent">{lead}<span class="why">no {missing} in this clip</span></li>'
            continue
        value, answer = float(row[column]), prediction.labels[int(np.argmax(row))]
        kind = ' class="full"' if subset == everything else ""
        yield (
            f"<li{kind}>{lead}{track(0, value, color_of(emotion))}"
            f'<span class="value">{percent(value)}</span>'
            f'<span class="says">{swatch(answer)}{escape(answer)}</span></li>'
        )


def _step_rows(prediction: Prediction, emotion: str):
    report, column = prediction.modalities, prediction.labels.index(emotion)
    level = float(report.probabilities[0, column])
    base, color = level, color_of(emotion)
    yield _step("nothing", 0, level, "var(--muted-bar)", percent(level), base)
    for modality, value in zip(MODALITIES, report.shapley[:, column].tolist(), strict=True):
        if not prediction.present[modality]:
            yield (
                f'<li class="absent"><span class="name">{modality}</span>'
                f'<span class="why">not in this clip</span></li>'
            )
            continue
        sign = "▲" if value > 0.005 else "▼" if value < -0.005 else "·"
        yield _step(modality, level, level + value, color, f"{sign} {points(value)}", base)
        level += value
    yield _step("all", 0, level, color, percent(level), base, kind="full")


def _step(name: str, start: float, end: float, color: str, value: str, base: float, kind: str = "") -> str:
    return (
        f'<li class="{kind}"><span class="name">{name}</span>{track(start, end, color, marks=(base,))}'
        f'<span class="value">{value}</span></li>'
    )
