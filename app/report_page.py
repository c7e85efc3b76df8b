"""A report as one self-contained HTML page: no script, nothing from the network, all text escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from app.limits import MAY_NOT, OF_FIGURES
from app.page_parts import cell, document, head_cell, number, table
from app.report import Report, told
from app.report_comparison import versus_html
from app.report_drawings import reliability_svg
from app.report_failures import failures_html
from app.report_origin import Fact
from app.report_tables import FILL, Numbers, estimate_cell, listing, tabled
from app.views.markup import color_of, nouns, said, swatch
from core.evaluation import Estimate, Scores
from core.evaluation.compare_sentences import FIGURES
from training.truth import FIGURES as TRUTH_FIGURES
from training.truth_report import TruthReport

TILES = ("accuracy", "macro_f1", "uar", "ece")
"""Figures that stand at the top."""

MEANINGS = {
    "accuracy": "share of the clips whose prediction is the label",
    "weighted_f1": "mean of the classes’ F1, weighted by their clips",
    "macro_f1": "plain mean of the classes’ F1",
    "uar": "plain mean of the classes’ recall",
    "macro_auroc": "mean of the classes’ AUROC: the chance that a clip of the class gets more of its "
    "probability than another clip",
    "ece": "mean distance of confidence and share right; less is better",
    "brier": "squared error of the probabilities, 0 to 2; less is better",
}


def report_page(report: Report) -> str:
    """The page of a report."""
    numbers = Numbers()
    sections = [
        ("What was evaluated", _facts(report)),
        ("How good it is", _scores(report, numbers)),
        ("Against other evaluations", "".join(versus_html(one, report, numbers) for one in report.versus)),
        ("Where it fails, and why", failures_html(report, numbers)),
        ("Are its explanations true?", _truth(report, numbers)),
        ("Limits", _limits(report)),
        ("What the checkpoint’s card says", _card(report)),
        ("How to make it again", _commands(report)),
        ("Settings of model and training", _settings(report, numbers)),
    ]
    sections = [(title, body) for title, body in sections if body]
    contents = "".join(
        f'<li><a href="#part-{number}">{escape(title)}</a></li>'
        for number, (title, _) in enumerate(sections, 1)
    )
    parts = [
        _head(report),
        f'<nav aria-label="Contents"><h2>Contents</h2><ol>{contents}</ol></nav>',
        *(
            f'<section class="long" id="part-{number}"><h2>{number}. {escape(title)}</h2>{body}</section>'
            for number, (title, body) in enumerate(sections, 1)
        ),
    ]
    return document(f"Evaluation report: {report.title}", Path(__file__).with_suffix(".css"), parts)


def _head(report: Report) -> str:
    tiles = "".join(
        f"<div><dt>{escape(FIGURES[name])}</dt><dd>{_tile(getattr(report.scores, name))}</dd></div>"
        for name in TILES
    )
    sentences = [*report.summary, *(f"Against {one.name}: {one.sentence}" for one in report.versus)]
    return (
        f'<header><p class="kind">Evaluation report</p><h1>{escape(report.title)}</h1>'
        f'<p class="date"><time datetime="{escape(report.date)}">{escape(report.date)}</time></p>'
        f'<dl class="tiles">{tiles}</dl>{listing(sentences)}'
        f'<p class="note">In brackets, and beside figures, stand 95 % intervals: {_drawn_by(report)}.</p>'
        "</header>"
    )


def _tile(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    ends = "" if estimate.low is None or estimate.high is None else f"{estimate.low:.2f}–{estimate.high:.2f}"
    return f"<b>{estimate.value:.2f}</b> <small>{ends or 'no interval'}</small>"


def _drawn_by(report: Report) -> str:
    num = report.scores.num_groups
    if num < 2:
        return (
            f"none, since one {report.resampled} cannot be resampled, but for exact ones of shares of 0 or 1"
        )
    return f"{report.num_bootstrap:,} bootstrap resamples of {num:,} {report.resampled}s"


def _facts(report: Report) -> str:
    groups = "".join(
        f"<div><h3>{escape(group.title)}</h3><dl>{''.join(map(_fact, group.facts))}</dl></div>"
        for group in report.facts
    )
    skipped = ""
    if report.num_skipped:
        more = report.num_skipped - len(report.skipped)
        lines = [f"{one.key}: {one.reason}" for one in report.skipped]
        lines += [f"… and {more:,} more, all in evaluation.json."] * (more > 0)
        skipped = f"<h3>Skipped: they have no answer and are in no figure</h3>{listing(lines)}"
    return f'<div class="facts">{groups}</div>{skipped}'


def _fact(fact: Fact) -> str:
    kind = ' class="hash"' if fact.is_code else ""
    return f"<dt>{escape(fact.name)}</dt><dd{kind}>{escape(fact.value)}</dd>"


def _scores(report: Report, numbers: Numbers) -> str:
    parts = [_headlines(report, numbers), _classes(report, numbers), _confusion(report, numbers)]
    subsets = {nouns(name): of for name, of in report.subsets.items() if of.num_clips}
    parts.append(
        _parts(
            numbers.table("What it reaches when it is shown only …"),
            "Modalities",
            subsets,
            "Each row is over the clips that have any of its modalities. An absent one is the vector that "
            "the model learned for “not there”.",
        )
    )
    if report.scenarios:
        parts.append(
            _parts(
                numbers.table("Each scenario: who carries the emotion"),
                "Scenario",
                report.scenarios,
                "With all modalities. A scenario is named after what carries the emotion; in sarcasm, banter "
                "and masking something contradicts it; plain, lively and lexical_trap are neutral. Those of "
                "few clips differ by chance. Macro F1 is a mean over the classes that have a clip in the "
                "scenario.",
            )
        )
    parts.append(_reliability(report, numbers))
    return "".join(parts)


def _headlines(report: Report, numbers: Numbers) -> str:
    always = report.majority
    constant = {
        name: f"{getattr(always, name):.2f}" for name in ("accuracy", "weighted_f1", "macro_f1", "uar")
    }
    rows = [
        [
            head_cell(escape(name)),
            estimate_cell(getattr(report.scores, key), FILL, high=2.0 if key == "brier" else 1.0),
            number(constant.get(key, "0.50" if key == "macro_auroc" else "–")),
            cell(MEANINGS[key]),
        ]
        for key, name in FIGURES.items()
    ]
    heads = ("Figure", "Value and interval", f"#Always {always.label}", "What it is")
    return tabled(
        table(numbers.table(f"Figures of all {report.scores.num_clips:,} clips"), heads, rows),
        f"Always {always.label}: what answering the most frequent label of every clip would score. Rails go "
        "from 0 to 1, that of the Brier score to 2.",
    )


def _classes(report: Report, numbers: Numbers) -> str:
    rows = [
        [
            head_cell(f"{swatch(label)}{escape(label)}"),
            number(f"{of.support:,}"),
            number(f"{of.num_predicted:,}"),
            *(
                estimate_cell(getattr(of, name), color_of(label))
                for name in ("precision", "recall", "f1", "auroc")
            ),
        ]
        for label, of in report.scores.classes.items()
    ]
    return tabled(
        table(
            numbers.table("Each emotion"),
            ("Emotion", "#Clips", "#Predicted", "Precision", "Recall", "F1", "AUROC"),
            rows,
        ),
        "Precision: how many of those predicted so are labelled so. Recall: how many of those labelled so "
        "are predicted so. F1: their harmonic mean. A dash: undefined, as the recall of a class without a "
        "clip.",
    )


def _confusion(report: Report, numbers: Numbers) -> str:
    labels = list(report.scores.classes)
    rows = []
    for label, counts in zip(labels, report.scores.confusion, strict=True):
        total = sum(counts)
        cells = []
        for told_as, count in zip(labels, counts, strict=True):
            share = count / total if total else 0.0
            kind = ("right " * (told_as == label) + "full" * (share > 0.45)).strip()
            said = f"<br><small>{100 * share:.0f} %</small>" if count else ""
            cells.append(f'<td class="cell {kind}" style="--share:{100 * share:.0f}%">{count:,}{said}</td>')
        rows.append([head_cell(f"{swatch(label)}{escape(label)}"), *cells, number(f"{total:,}")])
    heads = ("Labelled ↓  predicted →", *labels, "#Clips")
    return tabled(
        table(numbers.table("Confusion matrix"), heads, rows),
        "Rows are labels, columns predictions, in clips and in percent of the row; the diagonal, in bold and "
        "framed, is right. The fuller a cell, the larger its share of the row.",
        kind="confusion",
    )


def _parts(caption: str, name: str, scores: Mapping[str, Scores], note: str) -> str:
    rows = [
        [
            head_cell(escape(key)),
            number(f"{of.num_clips:,}"),
            *(estimate_cell(getattr(of, figure), FILL) for figure in ("accuracy", "macro_f1", "uar")),
        ]
        for key, of in scores.items()
    ]
    heads = (name, "#Clips", *(FIGURES[figure] for figure in ("accuracy", "macro_f1", "uar")))
    return tabled(table(caption, heads, rows), note)


def _reliability(report: Report, numbers: Numbers) -> str:
    rows = [
        [
            head_cell(f"{100 * one.low:.0f}–{100 * one.high:.0f}"),
            number(f"{one.num_clips:,}"),
            number(f"{100 * one.confidence:.0f}"),
            number(f"{100 * one.accuracy:.0f}"),
        ]
        for one in report.bins
        if one.num_clips
    ]
    heads = ("Confidence in %", "#Clips", "#Mean confidence", "#Right in %")
    twin = table(numbers.table("The reliability diagram in numbers"), heads, rows)
    caption = numbers.figure(
        "Reliability diagram. A point above the diagonal: the model is right more often than it is sure; "
        "below: it is too sure. Bars are the share right, below them the clips of each bin; points of few "
        f"clips lie anywhere. Calibration error {told(report.scores.ece)}."
    )
    return (
        f'<div class="pair reliable"><figure>{reliability_svg(report.bins)}'
        f"<figcaption>{said(caption)}</figcaption></figure>{tabled(twin)}</div>"
    )


def _truth(report: Report, numbers: Numbers) -> str:
    if report.truth is None:
        return f"<p>{escape(report.truth_problem)}</p>" if report.truth_problem else ""
    truth = report.truth
    rows = [
        [
            head_cell(f"{escape(one.figure)}<br><small>{escape(TRUTH_FIGURES.get(one.figure, ''))}</small>"),
            cell(one.method),
            estimate_cell(
                Estimate(
                    value=_known(one.estimate.value),
                    low=_known(one.estimate.low),
                    high=_known(one.estimate.high),
                ),
                FILL,
                marks=() if _known(one.chance) is None else (one.chance,),
            ),
            number("–" if _known(one.chance) is None else f"{one.chance:.2f}"),
            number(f"{one.estimate.num:,}"),
        ]
        for one in truth.figures
    ]
    heads = ("What", "Method", "Found", "#Chance", "#Clips")
    return f"<p>{escape(_measured_on(truth))}</p>" + tabled(
        table(numbers.table("Truth of explanations on made clips"), heads, rows),
        "The thin line on a rail is what chance gives on the same clips. Intervals resample speakers. "
        "Elements are explained where the answer is right. A method that scores well here need not do so on "
        "recordings of people.",
        kind="long",
    )


def _measured_on(truth: TruthReport) -> str:
    split = f", split {truth.split}" if truth.split else ""
    return (
        f"On {truth.num_clips:,} made clips{split} it is known what carries the emotion, and when. Kept "
        "frames and patches, told conflicts and attributions were held against that (deepmsi bench truth; "
        f"the corpus’s plan has the SHA-256 {truth.plan_sha256[:16]}…)."
    )


def _known(value: float) -> float | None:
    return None if value != value else value


def _limits(report: Report) -> str:
    few = [label for label, of in report.scores.classes.items() if 0 < of.support < 10]
    lines = [*report.caveats, *OF_FIGURES]
    if few:
        lines.append(f"Fewer than ten clips have the label {', '.join(few)}: these figures are examples.")
    if report.resampled == "clip":
        lines.append(
            "Clips were resampled one by one, since too few speakers or dialogues are known. Clips of one "
            "speaker err alike, so the intervals are too short if there are some."
        )
    return (
        f"<h3>What the figures do not show</h3>{listing(lines)}"
        f"<h3>What this may not be used for</h3>{listing(MAY_NOT)}"
    )


def _card(report: Report) -> str:
    if not report.card:
        return (
            "<p>The checkpoint that was evaluated is not at hand, so its card, which tells its data, sources "
            "and licences, cannot be quoted. Name its folder with --checkpoint.</p>"
        )
    return f'<blockquote class="card">{card_html(report.card)}</blockquote>'


def card_html(text: str) -> str:
    """A card's Markdown as HTML: no tags of its own, no pictures, headings below those of the page."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + 2)}" if token.tag != "h2" else "h3"
    return parser.renderer.render(tokens, parser.options, {})


def _commands(report: Report) -> str:
    lines = "".join(f"<h3>{escape(one.what)}</h3><pre>{escape(one.line)}</pre>" for one in report.commands)
    return (
        f'{lines}<p class="note">Run where these folders lie. Hashes and versions above tell whether '
        "checkpoint, data and packages are the same; the same evaluation gives the same report but for the "
        "date.</p>"
    )


def _settings(report: Report, numbers: Numbers) -> str:
    if not report.settings:
        return ""
    rows = [
        [f'<th scope="row" class="hash">{escape(name)}</th>', f'<td class="hash">{escape(value)}</td>']
        for name, value in report.settings.items()
    ]
    caption = numbers.table("What the configuration digest is of")
    return tabled(table(caption, ("Setting", "Value"), rows), kind="long settings all")
