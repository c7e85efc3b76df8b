"""Each emotion with its figures and their intervals."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from app.views.markup import chart, color_of, swatch
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation import Estimate, Scores

FIGURES = ("precision", "recall", "f1")
NAMES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}


def class_chart(scores: Scores, resampled: str) -> None:
    """Draws F1, precision and recall of every class with their 95 % intervals, and the table of all figures.

    Args:
        scores: with all modalities.
        resampled: what the intervals are drawn by.
    """
    head = "".join(f"<span>{name}</span>" for name in ("", "Clips", *NAMES.values()))
    rows = "".join(
        f'<li><span class="name">{swatch(label)}{escape(label)}</span>'
        f'<span class="value">{of.support:,}</span>'
        f"{''.join(_interval(getattr(of, name), color_of(label)) for name in FIGURES)}</li>"
        for label, of in scores.classes.items()
    )
    st.html(
        chart(
            "How well each emotion is recognised",
            "0 to 1, with 95 % intervals",
            f'<ul class="estimates"><li class="head" aria-hidden="true">{head}</li>{rows}</ul>',
            f"The dot is the figure, the line its interval over {scores.num_groups:,} {resampled}s, the rail "
            "goes from 0 to 1. Precision: how many of those predicted so are labelled so. Recall: how many "
            "of those labelled so are predicted so. F1: their harmonic mean. An emotion of few clips has a "
            "wide interval, and two whose intervals overlap widely may well be equally good.",
        )
    )
    with table_twin("classes-table") as is_open:
        if is_open:
            draw_table(class_table(scores))


def class_table(scores: Scores) -> pd.DataFrame:
    """Support, predictions and all figures of every class."""
    return pd.DataFrame(
        [
            {
                "emotion": label,
                "clips": of.support,
                "predicted": of.num_predicted,
                **{NAMES[name]: f"{getattr(of, name):.2f}" for name in FIGURES},
                "AUROC": f"{of.auroc:.2f}",
            }
            for label, of in scores.classes.items()
        ]
    ).set_index("emotion")


def _interval(estimate: Estimate, color: str) -> str:
    """A dot on a rail with its interval as a line, and the number."""
    if estimate.value is None:
        return '<span class="estimate"><span class="rail"></span><span class="value">–</span></span>'
    line = ""
    if estimate.low is not None and estimate.high is not None:
        line = (
            f'<i class="reach" style="left:{100 * estimate.low:.2f}%;'
            f'width:{100 * (estimate.high - estimate.low):.2f}%"></i>'
        )
    dot = f'<i class="dot" style="left:{100 * estimate.value:.2f}%;background:{color}"></i>'
    return (
        f'<span class="estimate"><span class="rail" aria-hidden="true">{line}{dot}</span>'
        f'<span class="value">{estimate.value:.2f}</span></span>'
    )
