"""Each emotion: the difference in F1 with its interval, and the test of its recall."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from app.views.markup import chart, color_of, swatch
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation import Comparison
from core.evaluation.compare_sentences import p_value

LEAST_REACH = 0.1
"""The plot reaches at least so far to both sides of zero."""


def forest(base: str, other: str, comparison: Comparison) -> None:
    """Draws the forest plot of the classes, and its table."""
    reach = max(
        LEAST_REACH,
        *(
            abs(end)
            for of in comparison.classes.values()
            for end in (of.f1.difference.low, of.f1.difference.value, of.f1.difference.high)
            if end is not None
        ),
    )
    head = "".join(
        f"<span>{escape(name)}</span>"
        for name in ("", "Clips", base, other, f"← {base} better · {other} better →", "p")
    )
    rows = "".join(_row(label, comparison, reach) for label in comparison.classes)
    st.html(
        chart(
            f"F1 of each emotion: {other} against {base}",
            f"difference, −{reach:.2f} to +{reach:.2f}",
            f'<ul class="forest"><li class="head" aria-hidden="true">{head}</li>{rows}</ul>',
            f"The dot is the difference, {_interval_words(comparison)}, the middle line no difference. p is "
            "of recall, not of F1: McNemar’s exact test of the clips of that emotion, after Holm over the "
            "emotions of this pair: below 0.05 one recognises it more often than the other beyond chance, if "
            "clips are independent.",
        )
    )
    with table_twin("forest-table") as is_open:
        if is_open:
            draw_table(forest_table(base, other, comparison))


def _interval_words(of: Comparison) -> str:
    if of.num_groups < 2:
        return f"without an interval, since there is one {of.resampled}"
    return f"the line its 95 % interval over paired resamples of {of.num_groups:,} {of.resampled}s"


def forest_table(base: str, other: str, comparison: Comparison) -> pd.DataFrame:
    """Per class: clips, both F1, difference with interval, clips that one alone recognises, adjusted p."""
    rows = []
    for label, of in comparison.classes.items():
        change = of.f1.difference
        has_ends = change.low is not None and change.high is not None
        rows.append(
            {
                "emotion": label,
                "clips": of.support,
                f"F1 of {base}": _number(of.f1.a.value),
                f"F1 of {other}": _number(of.f1.b.value),
                "difference": _number(change.value, "+.2f"),
                "95 % interval": f"{change.low:+.2f} to {change.high:+.2f}" if has_ends else "–",
                f"only {base} right": of.recall.only_a_right,
                f"only {other} right": of.recall.only_b_right,
                "p (Holm)": "–"
                if of.adjusted_p_value is None
                else p_value(of.adjusted_p_value).removeprefix("= "),
            }
        )
    return pd.DataFrame(rows).set_index("emotion")


def _row(label: str, comparison: Comparison, reach: float) -> str:
    of = comparison.classes[label]
    change = of.f1.difference

    def place(value: float) -> float:
        return 50 + 50 * value / reach

    marks = ""
    if change.value is not None:
        if change.low is not None and change.high is not None:
            low, high = place(change.low), place(change.high)
            marks = f'<i class="reach" style="left:{low:.2f}%;width:{high - low:.2f}%"></i>'
        marks += f'<i class="dot" style="left:{place(change.value):.2f}%;background:{color_of(label)}"></i>'
    p = "–" if of.adjusted_p_value is None else p_value(of.adjusted_p_value).removeprefix("= ")
    return (
        f'<li><span class="name">{swatch(label)}{escape(label)}</span>'
        f'<span class="value">{of.support:,}</span><span class="value">{_number(of.f1.a.value)}</span>'
        f'<span class="value">{_number(of.f1.b.value)}</span>'
        f'<span class="estimate"><span class="rail" aria-hidden="true"><b></b>{marks}</span>'
        f'<span class="value">{_number(change.value, "+.2f")}</span></span>'
        f'<span class="value">{p}</span></li>'
    )


def _number(value: float | None, form: str = ".2f") -> str:
    text = "–" if value is None else format(value, form).replace("-", "−")
    return "0.00" if text in ("+0.00", "−0.00") else text
