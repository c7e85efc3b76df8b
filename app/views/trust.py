"""Can this explanation be trusted? Its tests, and how its method scored where truth was planted."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.explanations import MANY, METHOD_NAMES
from app.views.markup import chip, percent, plain, plotted
from app.views.picking import is_drawn, menu_key
from app.views.tables import draw_table
from app.views.target import title_of, unit_of
from app.views.twin import table_twin
from core.attribution.faithfulness import Faithfulness
from core.attribution.removal import prediction_interval

if TYPE_CHECKING:
    from training.truth_report import TruthReport

SIGNS = {"supported": "✓", "weak": "~", "do not rely on this": "✗"}
"""Beside each verdict, so that nothing hangs on colour."""

ORDERED, REVERSED, RANDOM = "#2f7fd6", "#c8691c", "#8a8f99"
"""Ink of the curves; blue and orange are told apart by colour-blind people, and their dashes differ."""

REMOVED = MANY | {"window": "windows of sound"}
"""By element, what is removed one after another."""

PLANTED = {"frame": "frame", "window": "sound", "word": "word"}
"""By element, how the figures of the benchmark begin."""

UNKNOWN, NOT_APPLICABLE = "not measured", "does not apply"


def element_picker(elements: tuple[str, ...], chosen: str, *, on_pick) -> None:
    """Lets people choose whose explanation is judged; `on_pick(element)` is called."""

    def picked() -> None:
        if is_drawn(key):
            on_pick(st.session_state[key])

    key = menu_key("trust-element", chosen)
    st.segmented_control(
        "The explanation of the …",
        elements,
        format_func=MANY.__getitem__,
        required=True,
        key=key,
        on_change=picked,
    )


def trust_view(found: Faithfulness) -> None:
    """Draws the verdict with its reasons, the curves, and every figure with its meaning."""
    kind = "" if found.verdict == "supported" else "uncertain"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found.reasons)
    st.html(
        f'<div class="judged">{chip(f"{SIGNS[found.verdict]} {found.verdict}", kind)}'
        f'<ul class="reasons">{reasons}</ul></div>'
    )
    many = REMOVED[found.element]
    st.markdown(f"**{plain(title_of(found.target))} while the {many} are removed**")
    st.plotly_chart(
        curves_figure(found), key="trust-curves", alt=curves_words(found), config={"displayModeBar": False}
    )
    st.caption(
        f"Deletion (solid, ●) removes the {many} with the largest attribution first: it should fall below "
        "the band, in which one more random order lies with 95 %. The reversed order (dashed, ◆) removes "
        "them last: it should stay above. Read from right to left it is insertion, which adds the largest "
        "first."
    )
    draw_table(figures_table(found))
    with table_twin("trust-table", "The curves as a table") as is_open:
        if is_open:
            draw_table(curves_table(found))


def curves_words(found: Faithfulness) -> str:
    """The curves in a sentence, for who cannot see them."""
    curves = found.curves
    first, half = 100 * curves.deletion[0], len(curves.removed) // 2
    removed = percent(float(curves.removed[half]))
    return (
        f"Curves from {first:.1f} with nothing removed: with {removed} removed, deletion is at "
        f"{100 * curves.deletion[half]:.1f}, random orders at {100 * curves.random[:, half].mean():.1f} on "
        f"average, the reversed order at {100 * curves.reversed_deletion[half]:.1f} "
        f"({unit_of(found.target)}). The box below, once opened, has every step."
    )


def curves_figure(found: Faithfulness) -> go.Figure:
    """Deletion, the reversed order, and the band of random orders."""
    curves = found.curves
    removed = 100 * curves.removed
    low, high = _band(found)
    middle = 100 * curves.random.mean(axis=0)
    unit = unit_of(found.target)
    lines = [
        go.Scatter(
            x=np.concatenate([removed, removed[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            mode="lines",
            fill="toself",
            fillcolor="rgba(138,143,153,0.25)",
            line={"width": 0},
            hoverinfo="skip",
            name="random orders, 95 %",
        ),
        go.Scatter(
            x=removed,
            y=middle,
            mode="lines",
            name="random orders, mean",
            line={"color": RANDOM, "dash": "dot", "width": 1.5},
        ),
        go.Scatter(
            x=removed,
            y=100 * curves.reversed_deletion,
            name="reversed order",
            mode="lines+markers",
            line={"color": REVERSED, "dash": "dash", "width": 2.5},
            marker={"symbol": "diamond", "size": 8},
        ),
        go.Scatter(
            x=removed,
            y=100 * curves.deletion,
            name="deletion",
            mode="lines+markers",
            line={"color": ORDERED, "width": 2.5},
            marker={"symbol": "circle", "size": 8},
        ),
    ]
    figure = go.Figure(lines)
    figure.update_layout(
        height=300,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        xaxis={"title": f"{REMOVED[found.element]} removed (%)", "range": [-2, 102]},
        yaxis={"title": plotted(f"{found.target} ({unit})")},
        hovermode="x unified",
    )
    return figure


def figures_table(found: Faithfulness) -> pd.DataFrame:
    """Every figure of the tests, what chance would give, and how to read it."""
    curves, unit = found.curves, unit_of(found.target)
    ends = np.clip(100 * np.array(curves.random_interval), _least(found), 100.0)
    chance = " to ".join(f"{end:.1f}" for end in ends)
    last = found.randomised[-1].correlation if found.randomised else np.nan
    size = found.infidelity
    rows = [
        (f"deletion: mean value ({unit})", f"{100 * curves.deletion_area:.1f}", chance, "lower is better"),
        (f"insertion: mean value ({unit})", f"{100 * curves.insertion_area:.1f}", chance, "higher is better"),
        (
            "infidelity: changes not foretold",
            percent(size.unexplained),
            percent(size.shuffled_unexplained),
            "lower is better",
        ),
        (
            "sensitivity to unnoticed noise",
            # a word cannot be changed so little that nobody notices
            NOT_APPLICABLE if found.element == "word" else _number(found.sensitivity),
            "" if found.element == "word" else "1.41",
            "0 is steady, above 1 is not",
        ),
        (
            "likeness to a network of random weights",
            _number(last),
            "0.00",
            "rank correlation; near 0 is better",
        ),
        ("gap: difference not explained", _share(found.relative_gap), "", "below 10 % is good"),
    ]
    return pd.DataFrame(rows, columns=["test", "found", "by chance", "how to read it"]).set_index("test")


def curves_table(found: Faithfulness) -> pd.DataFrame:
    """The curves in numbers, in the unit of the explained number."""
    curves = found.curves
    low, high = _band(found)
    unit = unit_of(found.target)
    return pd.DataFrame(
        {
            "removed (%)": [f"{100 * share:.0f}" for share in curves.removed],
            f"deletion ({unit})": [f"{100 * value:.1f}" for value in curves.deletion],
            f"reversed ({unit})": [f"{100 * value:.1f}" for value in curves.reversed_deletion],
            f"random, 95 % ({unit})": [f"{a:.1f} to {b:.1f}" for a, b in zip(low, high, strict=True)],
        }
    ).set_index("removed (%)")


def _band(found: Faithfulness) -> tuple[np.ndarray, np.ndarray]:
    """In which one more random order lies with 95 %, within what the explained number can be."""
    low, high = prediction_interval(100 * found.curves.random)
    return np.clip(low, _least(found), 100.0), np.clip(high, _least(found), 100.0)


def _least(found: Faithfulness) -> float:
    """What the explained number cannot fall below, in its unit."""
    return 0.0 if found.target.instead_of is None else -100.0


def planted_truth(report: TruthReport | None, element: str, method: str) -> None:
    """Tells how a method scored on clips of which it is known what carries the emotion."""
    title = f"Where the truth is known: {METHOD_NAMES[method]} for the {MANY[element]}"
    sentences = "".join(f"<p>{escape(one)}</p>" for one in planted_sentences(report, element, method))
    st.html(f'<div class="planted"><b>{escape(title)}</b>{sentences}</div>')


def planted_sentences(report: TruthReport | None, element: str, method: str) -> list[str]:
    """The same in sentences; one that says so where it was not measured."""
    if element not in PLANTED:
        return [
            "No truth was planted for single patches, so how true their shares are has not been measured."
        ]
    if report is None:
        return [
            "Not measured for this checkpoint: “deepmsi bench truth” would do it, on clips made so that it "
            "is known what carries the emotion, and when."
        ]
    # it brings all that made clips are made with
    from training.truth import FIGURES, TESTS

    sentences = []
    for name in (f"{PLANTED[element]} {what}" for what in ("pointing", "mass", *TESTS)):
        figure = report.figure(name, method)
        if figure is None or not figure.estimate.num:
            continue
        one = figure.estimate
        chance = "" if np.isnan(figure.chance) else f"; by chance {percent(figure.chance)}"
        sentences.append(
            f"{FIGURES[name][0].upper()}{FIGURES[name][1:]}: {percent(one.value)} (95 % interval "
            f"{percent(one.low)} to {percent(one.high)}, {one.num} made clips{chance})."
        )
    return sentences or [
        "This method was not measured for this checkpoint; choose another one under Methods."
    ]


def _number(value: float) -> str:
    return UNKNOWN if np.isnan(value) else f"{value:.2f}"


def _share(value: float) -> str:
    return "does not apply" if np.isnan(value) else percent(value)
