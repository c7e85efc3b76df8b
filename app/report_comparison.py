"""The part of a report that holds the evaluation against another one of the same clips."""

from __future__ import annotations

from html import escape

from app.page_parts import cell, head_cell, number, table
from app.report import Report, Versus
from app.report_drawings import rail_svg
from app.report_origin import plain
from app.report_tables import FILL, Numbers, tabled
from app.views.markup import color_of, said, swatch
from core.evaluation import Comparison, Estimate
from core.evaluation.compare_sentences import FIGURES, p_value, sign_of, signed

LEAST_REACH = 0.1
"""Rails of differences reach at least so far to both sides of zero."""

LONG = 20
"""Rows of a table that may be parted between pages."""

SPACE = "\N{NO-BREAK SPACE}"

SIGNS = {"▲": "▲ better", "▼": "▼ worse", "≈": "≈ cannot be told", "": "–"}


def versus_html(one: Versus, report: Report, numbers: Numbers) -> str:
    """What the comparison says, with its tables."""
    result = one.comparison
    test = result.accuracy_test
    only = (
        f"Only {one.name} is right on {_clips(test.only_a_right)}, only this one on "
        f"{_clips(test.only_b_right)}; were they equally good, p{SPACE}{_unbroken(test.p_value)} (McNemar, "
        "exact"
    )
    if len(report.versus) > 1:
        adjusted = _unbroken(one.adjusted_p_value).removeprefix(f"={SPACE}")
        only += f"; {adjusted} after Holm over the {len(report.versus)} others"
    return (
        f'<article class="versus"><h3>Against {escape(one.name)}</h3>'
        f'<p class="first">{said(one.sentence)}</p>'
        f"<p>{escape(only)}).</p>{_figures(one, numbers)}{_classes(one, numbers)}{_settings(one, numbers)}"
        "</article>"
    )


def _figures(one: Versus, numbers: Numbers) -> str:
    result = one.comparison
    reach = _reach(*(of.difference for of in result.headlines.values()))
    rows = [
        [
            head_cell(escape(name)),
            _plain(result.headlines[key].a),
            _plain(result.headlines[key].b),
            _difference(result.headlines[key].difference, FILL, reach),
            cell(SIGNS[sign_of(key, result.headlines[key].difference)]),
        ]
        for key, name in FIGURES.items()
    ]
    heads = ("Figure", f"#{one.name}", "#This one", "Difference and interval", "This one is")
    return tabled(
        table(numbers.table(f"This evaluation against {one.name}"), heads, rows),
        f"Differences are this one less {one.name}, with intervals of {_paired(result)}; the rail goes from "
        f"−{reach:.2f} to +{reach:.2f}, the thin line is no difference. Where an interval holds zero the "
        "clips cannot tell. McNemar’s test takes clips as independent.",
    )


def _classes(one: Versus, numbers: Numbers) -> str:
    result = one.comparison
    reach = _reach(*(of.f1.difference for of in result.classes.values()))
    rows = [
        [
            head_cell(f"{swatch(label)}{escape(label)}"),
            number(f"{of.support:,}"),
            _plain(of.f1.a),
            _plain(of.f1.b),
            _difference(of.f1.difference, color_of(label), reach),
            number(f"{of.recall.only_a_right}"),
            number(f"{of.recall.only_b_right}"),
            number("–" if of.adjusted_p_value is None else p_value(of.adjusted_p_value).removeprefix("= ")),
        ]
        for label, of in result.classes.items()
    ]
    heads = (
        *("Emotion", "#Clips", f"#F1 of {one.name}", "#F1 of this one", "Difference and interval"),
        *(f"#Only {one.name} right", "#Only this one right", "#p"),
    )
    return tabled(
        table(numbers.table(f"Each emotion against {one.name}"), heads, rows),
        f"The rail goes from −{reach:.2f} to +{reach:.2f}. p: McNemar’s exact test of the clips of that "
        "emotion, after Holm over the emotions of this pair.",
    )


def _settings(one: Versus, numbers: Numbers) -> str:
    config = one.comparison.config
    if not config:
        return "<p>Both were made with the same settings of model and training.</p>"
    rows = [
        [f'<th scope="row" class="hash">{escape(name)}</th>', _code(of_a), _code(of_b)]
        for name, (of_a, of_b) in config.items()
    ]
    caption = numbers.table(f"Settings that differ from {one.name}")
    return tabled(
        table(caption, ("Setting", one.name, "This one"), rows),
        kind="settings long" if len(rows) > LONG else "settings",
    )


def _code(value: object) -> str:
    return f'<td class="hash">{escape(plain(value))}</td>'


def _paired(result: Comparison) -> str:
    if result.num_groups < 2:
        return f"none, since there is one {result.resampled}"
    return f"{result.num_bootstrap:,} paired resamples of {result.num_groups:,} {result.resampled}s"


def _plain(estimate: Estimate) -> str:
    return number("–" if estimate.value is None else f"{estimate.value:.2f}")


def _difference(difference: Estimate, color: str, reach: float) -> str:
    if difference.value is None:
        return '<td class="estimate">–</td>'
    rail = rail_svg(difference, color, low=-reach, high=reach, marks=(0.0,))
    return f'<td class="estimate">{escape(signed(difference))}{rail}</td>'


def _reach(*differences: Estimate) -> float:
    ends = [abs(end) for of in differences for end in (of.low, of.value, of.high) if end is not None]
    return max(LEAST_REACH, *ends) if ends else LEAST_REACH


def _unbroken(p: float) -> str:
    return p_value(p).replace(" ", SPACE)


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count:,} clips"
