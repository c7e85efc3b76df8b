"""What an evaluation of one's own data found, and the pages that show it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from app.evaluation_commands import HEADLINE_NAMES
from app.views.markup import plain
from app.views.tables import draw_table
from core.evaluation import Evaluation
from core.evaluation.artifact import ALL, subset_name


def figures_table(evaluation: Evaluation) -> pd.DataFrame:
    """The headline figures with their 95 % intervals, of all modalities together."""
    scores = evaluation.metrics.subsets[subset_name(ALL)]
    rows = {shown: str(getattr(scores, name)) for name, shown in HEADLINE_NAMES.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value [95 % interval]"])


def evaluated_view(
    evaluation: Evaluation,
    *,
    pages: Mapping[str, tuple[object, str, dict[str, str]]],
    hint: str,
    caution: str,
) -> None:
    """Draws the figures and links to the pages that show the evaluation.

    Args:
        evaluation: that was made.
        pages: by label the page, its icon and the parameters of the link.
        hint: what is needed for more; "" for nothing.
        caution: why the figures are to be doubted; "" for nothing.
    """
    info = evaluation.info
    left, right = st.columns([6, 6], gap="large")
    with left:
        st.html(
            '<div class="chart-title">How good the answers are '
            f"<span>{info.num_clips:,} clips, all modalities</span></div>"
        )
        if caution:
            st.caption(f":material/warning: {plain(caution)}")
        draw_table(figures_table(evaluation))
        st.caption(f"Intervals: {info.num_bootstrap:,} resamples of {info.resampled}s.")
    with right:
        st.html('<div class="chart-title">Look closer</div>')
        for label, (page, icon, parameters) in pages.items():
            st.page_link(page, label=label, icon=icon, query_params=parameters)
        if hint:
            st.caption(hint)
        if info.skipped:
            st.html(f'<div class="chart-title">Left out <span>{len(info.skipped):,}, and why</span></div>')
            st.dataframe(
                pd.DataFrame([{"clip": one.key, "why": one.reason} for one in info.skipped]),
                hide_index=True,
                height=min(220, 40 + 35 * len(info.skipped)),
                column_config={"why": st.column_config.TextColumn(width="large")},
            )
