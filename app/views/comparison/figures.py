"""The figures of all evaluations side by side, each held against the first, and what follows in words."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd
import streamlit as st

from app.views.markup import chart, said
from app.views.twin import table_twin
from core.evaluation import Comparison, Estimate
from core.evaluation.compare import holm
from core.evaluation.compare_sentences import FIGURES, conclusion, p_value, sign_of, signed


def conclusions(comparisons: Mapping[str, Comparison]) -> list[str]:
    """A sentence per evaluation that was held against the first."""
    return [conclusion(name, one) for name, one in comparisons.items()]


def figures_view(base: str, comparisons: Mapping[str, Comparison]) -> None:
    """Draws the conclusions and the table.

    Args:
        base: name of the first evaluation.
        comparisons: of the others with it, by name; not empty.
    """
    lines = "".join(f"<li>{said(line)}</li>" for line in conclusions(comparisons))
    st.html(f'<ul class="conclusions">{lines}</ul>')
    one = next(iter(comparisons.values()))
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in (base, *comparisons))
    rows = "".join(
        f"<tr><th scope='row'>{shown}</th><td>{_interval(one.headlines[name].a)}</td>"
        f"{''.join(_cell(name, other) for other in comparisons.values())}</tr>"
        for name, shown in FIGURES.items()
    )
    raw = [other.accuracy_test.p_value for other in comparisons.values()]
    adjusted = holm(raw)
    tests = "".join(
        f"<td>only {escape(base)} {other.accuracy_test.only_a_right:,}, only {escape(name)} "
        f"{other.accuracy_test.only_b_right:,}<br><span class='change'>p {p_value(p)}</span></td>"
        for (name, other), p in zip(comparisons.items(), adjusted, strict=True)
    )
    over = f", after Holm over the {len(raw)} others" if len(raw) > 1 else ""
    table = (
        f"<table class='side-by-side'><thead><tr><td></td>{head}</tr></thead><tbody>{rows}"
        f"<tr><th scope='row'>Clips that one alone is right on</th><td></td>{tests}</tr></tbody></table>"
    )
    st.html(
        chart(
            "Figures side by side",
            "0 to 1, Brier score 0 to 2; with 95 % intervals",
            f'<div class="wide">{table}</div>',
            f"Below each figure: its difference from {base}, {_signs(one)} Of calibration error and Brier "
            "score less is better. p: McNemar’s exact test over clips, which takes them as independent"
            f"{over}.",
        )
    )
    with table_twin("figures-table") as is_open:
        if is_open:
            st.dataframe(figures_table(base, comparisons))


def figures_table(base: str, comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """Figures in rows; per evaluation its value, the difference from the first, and that one's interval."""
    one = next(iter(comparisons.values()))
    columns = {base: [_number(one.headlines[name].a.value) for name in FIGURES]}
    for other, of in comparisons.items():
        columns[other] = [_number(of.headlines[name].b.value) for name in FIGURES]
        columns[f"{other} − {base}"] = [signed(of.headlines[name].difference) for name in FIGURES]
    return pd.DataFrame(columns, index=pd.Index(FIGURES.values(), name="figure"))


def _signs(one: Comparison) -> str:
    """What interval a difference has, and what the signs mean."""
    if one.num_groups < 2:
        return f"with no interval, since there is one {one.resampled}, so that nothing can be told (≈)."
    return (
        f"with the interval of {one.num_bootstrap:,} paired resamples of {one.num_groups:,} "
        f"{one.resampled}s. ▲ better, ▼ worse, where that interval does not hold zero; ≈ where it does, and "
        "the clips cannot tell."
    )


def _cell(name: str, of: Comparison) -> str:
    one = of.headlines[name]
    sign = sign_of(name, one.difference)
    kind = {"▲": "better", "▼": "worse"}.get(sign, "")
    change = f'<span class="change {kind}">{sign} {signed(one.difference)}</span>' if sign else ""
    return f"<td>{_interval(one.b)}<br>{change}</td>"


def _interval(of: Estimate) -> str:
    if of.value is None:
        return "–"
    ends = "" if of.low is None or of.high is None else f" <span>{of.low:.2f}–{of.high:.2f}</span>"
    return f"<b>{of.value:.2f}</b>{ends}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
