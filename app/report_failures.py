"""The part of a report that tells where the model fails, and why."""

from __future__ import annotations

from html import escape

from app.page_parts import head_cell, number, table
from app.report import Missed, Mistake, Report
from app.report_tables import Numbers, listing, tabled
from app.views.markup import nouns, percent, said, swatch
from core.evaluation.compare_sentences import p_value
from core.evaluation.failure_sentences import how_to_read_slices
from core.evaluation.slices import SIGNIFICANT
from core.labels import MODALITY_NOUNS

NUM_SLICES = 10
"""Slices that are listed, those most surely worse first."""


def failures_html(report: Report, numbers: Numbers) -> str:
    """Why classes are missed, the worst slices, labels in doubt, and the most confident mistakes."""
    parts = [_missed(one, numbers) for one in report.missed]
    parts.append(_slices(report, numbers))
    parts.append(f"<h3>Labels that may be wrong</h3><p>{said(report.label_errors)}</p>")
    parts.append(_mistakes(report, numbers))
    return "".join(parts)


def _missed(one: Missed, numbers: Numbers) -> str:
    of, (first, *others) = one.of, one.sentences
    rows = [
        [
            head_cell(escape(nouns(subset))),
            number(f"{share.count} of {share.total}"),
            number(f"{100 * share.value:.0f}"),
        ]
        for subset, share in of.right_alone.items()
        if share.total
    ]
    alone = ""
    if rows:
        caption = numbers.table(f"Missed clips of {of.label} that some modalities alone get right")
        alone = tabled(table(caption, ("Shown alone", "#Right", "#%"), rows))
    return (
        f'<article class="missed"><h3>{swatch(of.label)}Why {escape(of.label)} is missed</h3>'
        f'<div class="pair"><div><p class="first">{said(first)}</p>{listing(others)}</div>{alone}</div>'
        "</article>"
    )


def _slices(report: Report, numbers: Numbers) -> str:
    found = report.slices
    text = f"<h3>Where it errs more than elsewhere</h3><p>{said(report.slices_sentence)}</p>"
    if not found.slices:
        return text
    rows = [
        [
            head_cell(f"{escape(f'{part.column}: {part.value}')}{_star(part.adjusted_p_value)}"),
            number(f"{part.num_clips:,}"),
            number(f"{100 * part.error:.0f}"),
            number(f"{100 * part.rest_error:.0f}"),
            number(p_value(part.p_value).removeprefix("= ")),
            number(p_value(part.adjusted_p_value).removeprefix("= ")),
        ]
        for part in found.slices[:NUM_SLICES]
    ]
    caption = numbers.table(f"The {len(rows)} of {found.num_looked_at} slices with the smallest p")
    heads = ("Slice", "#Clips", "#Wrong in %", "#Rest in %", "#p", "#p adjusted")
    listed = tabled(table(caption, heads, rows), how_to_read_slices(found))
    return f'<article class="slices">{text}{listed}</article>'


def _star(adjusted_p_value: float) -> str:
    return " ★" if adjusted_p_value <= SIGNIFICANT else ""


def _mistakes(report: Report, numbers: Numbers) -> str:
    if not report.num_wrong:
        return (
            "<h3>The most confident mistakes</h3><p>No clip is predicted as another class than its label.</p>"
        )
    if not report.mistakes:
        return ""
    missing = report.num_pictures_missing
    lacking = ""
    if missing:
        verb = "has" if missing == 1 else "have"
        lacking = f" {missing} {verb} no picture: the clip is not at hand, or has none."
    caption = numbers.figure(
        f"The {len(report.mistakes)} of {report.num_wrong:,} mistakes that the model was surest of: what the "
        "clip is labelled, what the model says, and what it would say of each modality alone. They show what "
        f"can go wrong, not how often.{lacking}"
    )
    own = ""
    if any(one.picture or one.words for one in report.mistakes):
        own = (
            '<p class="note">Pictures and words are the data set’s. Before you publish them see whether its '
            "licence and the people shown allow it; --no-pictures and --no-words leave them out.</p>"
        )
    items = "".join(f"<li>{_mistake(one)}</li>" for one in report.mistakes)
    return (
        f'<h3>The most confident mistakes</h3><figure><ul class="mistakes">{items}</ul>'
        f"<figcaption>{escape(caption)}</figcaption></figure>{own}"
    )


def _mistake(one: Mistake) -> str:
    picture = '<div class="none" aria-hidden="true"></div>'
    if one.picture:
        picture = f'<img src="{escape(one.picture)}" alt="{escape(f"A frame of {one.key}")}">'
    alone = ", ".join(
        f"<span>{MODALITY_NOUNS[it.modality]}: {escape(it.emotion)} {percent(it.probability)}</span>"
        if it.emotion
        else f"<span>{MODALITY_NOUNS[it.modality]}: none</span>"
        for it in one.alone
    )
    words = f'<p class="quote">“{escape(one.words)}”</p>' if one.words else ""
    speaker = f", {escape(one.speaker)}" if one.speaker else ""
    return (
        f"{picture}<div><p>labelled {swatch(one.label)}<b>{escape(one.label)}</b> "
        f"{percent(one.label_probability)}<br>predicted {swatch(one.prediction)}"
        f"<b>{escape(one.prediction)}</b> {percent(one.confidence)}</p>{words}"
        f'<p class="note">{alone}</p><p class="note key">{escape(one.key)}{speaker}</p></div>'
    )
