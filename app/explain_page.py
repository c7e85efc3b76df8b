"""One explanation as one self-contained HTML page: no script, nothing from the network, all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from app.display import ClipDisplay
from app.explain_drawings import curves_svg, patches_svg, points, timeline_svg
from app.explain_files import versions
from app.explain_timeline import Timeline
from app.limits import OF_AN_EXPLANATION
from app.page_parts import cell, document, number, table, track
from core.attribution.effects import CompressionEffects, LevelEffects
from core.attribution.elements import METHODS, absent_others
from core.attribution.explain import Explanation
from core.attribution.faithfulness import Faithfulness
from core.attribution.modalities import shown_verdict
from core.attribution.results import Attribution, Target
from core.labels import MODALITIES
from core.prediction import PAIRS, SUBSETS, Prediction

MANY = {"word": "Words", "window": "Sound", "frame": "Frames", "patch": "Patches"}
"""What the elements are called, in headings."""

NUM_PICTURES = 4
"""Frames that are shown with their patches."""


def page(explanation: Explanation, display: ClipDisplay) -> str:
    """The page of an explanation.

    Args:
        explanation: what is told.
        display: pictures, loudness and words of the same clip.
    """
    prediction = explanation.prediction
    name = escape(Path(prediction.path).name)
    parts = [
        _answer(explanation, name),
        _modalities(prediction, explanation.target),
        _timeline(explanation, display),
        _words(explanation),
        _pictures(explanation, display),
        _tests(explanation),
        _effects(explanation.effects),
        _origin(explanation),
    ]
    title = f"{prediction.prediction}: {Path(prediction.path).name}"
    return document(title, Path(__file__).with_suffix(".css"), [part for part in parts if part])


def _answer(explanation: Explanation, name: str) -> str:
    prediction = explanation.prediction
    uncertain = ' <strong class="chip dashed">? uncertain</strong>' if prediction.is_uncertain else ""
    words = f'<p class="quote">“{escape(prediction.transcript)}”</p>' if prediction.transcript else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in prediction.notes)
    rows = [
        [cell(label), track(0, value), number(_percent(value))]
        for label, value in sorted(
            zip(prediction.labels, prediction.probabilities.tolist(), strict=True), key=lambda pair: -pair[1]
        )
    ]
    return (
        f'<header class="pair"><div><h1>{name}</h1><p class="answer">{escape(prediction.prediction)} '
        f"<span>{_percent(prediction.confidence)}</span></p>{uncertain}{words}{notes}</div>"
        f"<div>{table('', ('Emotion', '', '#Calibrated probability'), rows)}</div></header>"
    )


def _modalities(prediction: Prediction, target: Target) -> str:
    report, labels = prediction.modalities, prediction.labels
    verdict, sentence = shown_verdict(prediction)
    dashed = " dashed" if verdict in ("conflict", "unclear") else ""
    values = target.of(report.probabilities, labels)
    known = values[~np.isnan(values)]
    low, high = min(0.0, float(known.min())), max(1.0 if target.instead_of is None else 0.0, known.max())
    nothing = float(values[SUBSETS.index(())])

    def place(value: float) -> float:
        return (value - low) / ((high - low) or 1.0)

    rows = []
    for subset, value, row in zip(SUBSETS, values, report.probabilities, strict=True):
        used = cell(" + ".join(subset) or "nothing")
        if np.isnan(value):
            rows.append([used, cell("not in this clip"), cell(""), cell("")])
            continue
        bar = track(place(0), place(float(value)), marks=(place(nothing),))
        rows.append([used, bar, number(_value(float(value), target)), cell(labels[int(row.argmax())])])
    coalitions = table(
        f"{_capital(_what(target))} when the model may use only …",
        ("Modalities", "", f"#{'Difference' if target.instead_of else 'Probability'}", "It would answer"),
        rows,
    )
    shapley = target.of(report.shapley, labels)
    pairs = target.of(np.vstack([report.pair_interactions, report.triple_interaction]), labels)
    shares = [
        [cell(m), _diverging(float(v), shapley), number(points(float(v)))]
        for m, v in zip(MODALITIES, shapley, strict=True)
        if prediction.present[m]
    ]
    together = [
        [cell(" + ".join(group)), _diverging(float(v), pairs), number(points(float(v)))]
        for group, v in zip((*PAIRS, MODALITIES), pairs, strict=True)
        if all(prediction.present[m] for m in group)
    ]
    gave = table("What each gave (Shapley value)", ("Modality", "", "#Points"), shares)
    if together:
        gave += table("What they give only together (interaction)", ("Modalities", "", "#Points"), together)
    total = _value(nothing + float(shapley.sum()), target)
    return (
        f"<section><h2>What the modalities say</h2>"
        f'<p><strong class="chip{dashed}">{verdict}</strong> '
        f"{escape(sentence)}</p>"
        f'<div class="pair"><div>{coalitions}</div><div>{gave}</div></div>'
        f'<p class="note">From nothing the model guesses {_value(nothing, target)} (the thin line); the '
        f"Shapley values lead from there to {total}. They are exact: the model was asked about every "
        "coalition. Interactions above zero: together they give more than one by one; below zero: they tell "
        "the same. An absent modality is the vector that the model learned for “not there”.</p></section>"
    )


def _timeline(explanation: Explanation, display: ClipDisplay) -> str:
    timeline = Timeline.of(explanation, display)
    found = [
        explanation.attributions[e] for e in ("frame", "window", "word") if e in explanation.attributions
    ]
    told = []
    if timeline.frames:
        kept = sum(frame.keeper == frame.index for frame in timeline.frames)
        told.append(
            f"Of {len(timeline.frames)} candidate frames the model kept {kept} (framed); a dimmed one was "
            "merged into the frame its line leads to, × was lost."
        )
    if found:
        told.append(
            f"Bars upwards (blue) raised {_what(explanation.target)}, bars downwards (orange) lowered it, "
            f"all on one scale: the longest is {100 * timeline.longest:.1f} points of probability."
        )
    if timeline.words and not timeline.has_word_times:
        told.append("When the words are spoken is not known: they are spread evenly.")
    if _alone(explanation):
        told.append("Words are read by themselves, without picture and sound.")
    svg = timeline_svg(timeline, display.thumbnails)
    return (
        f'<section class="long"><h2>Over time</h2><figure><div class="scroll">{svg}</div>'
        f"<figcaption>{escape(' '.join(told))}</figcaption></figure>{_sums(explanation)}{_elements(found)}"
        "</section>"
    )


def _alone(explanation: Explanation) -> bool:
    """Whether the words were explained with picture and sound absent."""
    words = explanation.attributions.get("word")
    return words is not None and bool(absent_others(words.method, "word"))


def _sums(explanation: Explanation) -> str:
    """What the shares of each kind of element add up to, and what their method leaves unexplained."""
    target = explanation.target
    rows = []
    for element, one in explanation.attributions.items():
        alone = " alone" if element == "word" and _alone(explanation) else ""
        rows.append(
            [
                cell(f"{MANY[element]}{alone}"),
                cell(one.method),
                number(_value(one.baseline_value, target)),
                number(_value(one.value, target)),
                number(points(float(one.values.sum()))),
                number("does not apply" if np.isnan(one.gap) else points(one.gap)),
            ]
        )
    if not rows:
        return ""
    heads = ("Shares of", "Method", "#Without any", "#With all", "#Sum, points", "#Left unexplained, points")
    return (
        f"{table(f'From {_what(target)} without these elements to that with them', heads, rows)}"
        '<p class="note">Every line adds up by itself. The lines do not add up together: frames and patches '
        "are the same picture, and words, sound and picture overlap. Shares by occlusion add up to nothing "
        "in particular.</p>"
    )


def _elements(found: Sequence[Attribution]) -> str:
    """The table twin of the timeline."""
    rows = []
    for one in found:
        for i, value in enumerate(one.values.tolist()):
            start, end = float(one.start_seconds[i]), float(one.end_seconds[i])
            when = "" if np.isnan(start) else f"{start:.2f}" if start == end else f"{start:.2f} – {end:.2f}"
            text = one.words[i] if one.words else str(i + 1)
            rows.append([cell(one.element), cell(text), cell(when), number(points(value))])
    if not rows:
        return ""
    twin = table("", ("Element", "Which", "Seconds", "#Points"), rows)
    return f"<details><summary>The timeline as a table</summary>{twin}</details>"


def _words(explanation: Explanation) -> str:
    found = explanation.attributions.get("word")
    if found is None:
        return ""
    items = "".join(
        f'<li class="{"raise" if value > 0 else "lower"}">{escape(word)}<small>{points(value)}</small></li>'
        for word, value in zip(found.words, found.values.tolist(), strict=True)
    )
    alone = (
        " The words are read by themselves, so the shares lead from what the model guesses from nothing to "
        "what it says of the words alone, not to the answer."
    )
    return (
        f'<section><h2>Words</h2><ul class="words">{items}</ul><p class="note">Points of probability that '
        f"each word gave to {escape(_what(explanation.target))}: a solid line raised it, a dashed one "
        f"lowered it.{alone if _alone(explanation) else ''}</p></section>"
    )


def _pictures(explanation: Explanation, display: ClipDisplay) -> str:
    found = explanation.attributions.get("patch")
    if found is None:
        return ""
    frames = explanation.prediction.frames
    mass = np.abs(found.values).sum((1, 2))
    chosen = sorted(sorted(frames.kept.tolist(), key=lambda i: -mass[i])[:NUM_PICTURES])
    largest = float(np.abs(found.values[chosen]).max()) or 1.0
    figures = []
    for i in chosen:
        name = f"Frame {i + 1} at {frames.times_seconds[i]:.2f} s"
        svg = patches_svg(display.pictures[i], found.values[i], largest, f"{name} with its patches' shares")
        figures.append(
            f"<figure>{svg}<figcaption>{name}: {points(float(found.values[i].sum()))} points</figcaption>"
            "</figure>"
        )
    return (
        f'<section><h2>Inside the frames</h2><div class="frames">{"".join(figures)}</div>'
        f'<p class="note">The kept frames with the most attribution, as the model saw them. Blue patches '
        f"raised {escape(_what(explanation.target))}, orange ones lowered it; full colour is "
        f"{100 * largest:.2f} points.</p></section>"
    )


def _tests(explanation: Explanation) -> str:
    if not explanation.faithfulness:
        return ""
    tests = "".join(_test(found) for found in explanation.faithfulness.values())
    return (
        f'<section class="long"><h2>Can these explanations be trusted?</h2><div class="pair">{tests}</div>'
        '<p class="note">Curves: the value, in percent or, for a contrast, in points, while elements are '
        "removed, those with the largest attribution first (solid blue), last (dashed orange), and in random "
        "orders (grey). The further blue lies below the grey ones, and orange above, the better the order. "
        "Adding elements is removing them in the reversed order, watched backwards. Chance is where the mean "
        "value of one more random order would lie with 95 %. Change under noise: 0 is the same attribution, "
        "1.41 one that has nothing in common. Likeness should be near 0: what random weights give too does "
        "not tell what was learned.</p></section>"
    )


def _test(found: Faithfulness) -> str:
    curves = found.curves
    target = found.target
    # the interval is Student's, which knows nothing of what the value can be
    least = 0.0 if target.instead_of is None else -1.0
    chance = " to ".join(_value(min(max(end, least), 1.0), target) for end in curves.random_interval)
    down, up = (_value(area, target) for area in (curves.deletion_area, curves.insertion_area))
    rows = [
        ("Mean value while removing", f"{down} (chance {chance}; less is better)"),
        ("Mean value while adding", f"{up} (chance {chance}; more is better)"),
        ("Completeness gap", _unknown(_percent(found.relative_gap), "of the difference is left unexplained")),
        (
            "Foretelling removals",
            f"{found.infidelity.unexplained:.2f} of the changes unexplained "
            f"({found.infidelity.shuffled_unexplained:.2f} if the shares were dealt out at random)",
        ),
        ("Change under unnoticed noise", _unknown(f"{found.sensitivity:.2f}", "of the attribution’s length")),
    ]
    if found.randomised:
        last = found.randomised[-1]
        likeness = f"rank correlation {last.correlation:.2f}".replace("-", "−")
        rows.append(("Likeness to a network of random weights", likeness))
    body = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found.reasons)
    dashed = "" if found.verdict == "supported" else " dashed"
    name = MANY[found.element]
    return (
        f'<article class="test"><h3>{name}: <span class="chip{dashed}">{escape(found.verdict)}</span></h3>'
        f'<p class="note">{escape(found.method)}</p><ul>{reasons}</ul>'
        f"{curves_svg(curves, f'{name}: the value while they are removed')}<table>{body}</table></article>"
    )


def _effects(effects: CompressionEffects | None) -> str:
    if effects is None:
        return ""
    target, value = effects.target, effects.value
    rows = [[cell("As it is"), number(_value(value, target)), cell("")]]
    for level in (effects.frames, effects.patches):
        if level is not None:
            rows += _level(level, target, value)
    for text, other in (
        ("All frames and patches kept", effects.all_restored),
        ("What was dropped lost instead of merged", effects.unmerged),
    ):
        rows.append(_version(text, other, target, value))
    masses = "".join(
        f" Kept {_level_name(level)} hold {_percent(level.positive_mass)} of what raised the value, and are "
        f"{_percent(level.share_kept)} of {'all' if level.element == 'frame' else 'those of a kept frame'}."
        for level in (effects.frames, effects.patches)
        if level is not None and not np.isnan(level.positive_mass)
    )
    heads = ("Had the model kept …", f"#{'Difference' if target.instead_of else 'Probability'}", "#Change")
    return (
        f"<section><h2>What the compression carries</h2>{table(_capital(_what(target)), heads, rows)}"
        f'<p class="note">Changes in points. If a random choice gives as much as the model’s own, the '
        f"choice carries nothing for this clip, however plausible the kept frames look.{masses}</p></section>"
    )


def _level(level: LevelEffects, target: Target, value: float) -> Iterable[list[str]]:
    name = _level_name(level)
    of_each = "" if level.element == "frame" else " of each kept frame"
    if level.num_kept == level.num_elements:
        return [[cell(f"All {level.num_elements} {name}{of_each} were kept"), cell(""), cell("")]]
    low, high = (_value(end, target) for end in level.random_range)
    return [
        _version(
            f"All {level.num_elements} {name}{of_each}, not {level.num_kept}", level.restored, target, value
        ),
        _version(f"{level.num_exchanged} dropped {name} for kept ones", level.exchanged, target, value),
        _version(f"{level.num_kept} {name}, evenly spread", level.evenly, target, value),
        _version(
            f"{level.num_kept} {name} at random (mean; {low} to {high})", level.random_mean, target, value
        ),
    ]


def _level_name(level: LevelEffects) -> str:
    return "frames" if level.element == "frame" else "patches"


def _version(text: str, other: float, target: Target, value: float) -> list[str]:
    return [cell(text), number(_value(other, target)), number(points(other - value))]


def _origin(explanation: Explanation) -> str:
    prediction = explanation.prediction
    facts = [
        ("Clip", escape(Path(prediction.path).name)),
        ("Span", f"{prediction.start_seconds:.2f} to {prediction.end_seconds:.2f} s"),
        ("Clip SHA-256", f'<span class="hash">{escape(prediction.clip_hash or "none")}</span>'),
        ("Checkpoint", escape(prediction.checkpoint)),
        ("Checkpoint SHA-256", f'<span class="hash">{escape(prediction.checkpoint_hash)}</span>'),
        ("Explained", escape(_what(explanation.target))),
        ("Versions", escape(", ".join(f"{name} {version}" for name, version in versions().items()))),
    ]
    methods = dict.fromkeys(explanation.methods.values())
    for method in methods:
        used = ", ".join(MANY[e].lower() for e, name in explanation.methods.items() if name == method)
        facts.append((f"{escape(method)}", f"{used}: {escape(METHODS[method].sentence)}"))
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in OF_AN_EXPLANATION)
    return (
        f"<section><h2>Limits</h2><ul>{limits}</ul></section>"
        f"<section><h2>How this was made</h2><dl>{rows}</dl></section>"
    )


def _what(target: Target) -> str:
    if target.instead_of is None:
        return f"the probability of {target.label}"
    return f"the probability of {target.label} less that of {target.instead_of}"


def _diverging(value: float, among: np.ndarray) -> str:
    reach = float(np.abs(among).max()) or 1.0
    end = 0.5 + value / reach / 2
    return track(0.5, end, "raise" if value > 0 else "lower", marks=(0.5,))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %".replace("-", "−")


def _value(value: float, target: Target) -> str:
    return _percent(value) if target.instead_of is None else f"{points(value)} points"


def _unknown(figure: str, what: str) -> str:
    return "not measured for these" if "nan" in figure else f"{figure} {what}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
