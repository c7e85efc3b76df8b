"""What each modality gave, alone and together with others: exact Shapley values and interactions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from app.views.markup import chart, color_of, points, track
from app.views.modalities import NOTHING, absence_row
from app.views.target import Scale, name_of, signed, tenths, unit_of
from core.attribution.modalities import listed
from core.attribution.results import Target
from core.labels import MODALITIES
from core.prediction import PAIRS, SUBSETS, Prediction

ALL = "all"
"""What the coalition of everything the clip has is called."""

SILENT_POINTS = 0.5
"""An interaction below it is told as none: charts show whole tenths, people read whole points."""


def shapley_chart(prediction: Prediction, target: Target) -> str:
    """HTML of the way from nothing to the full answer: one step per modality, of its Shapley value."""
    return chart(
        f"What each modality adds to {name_of(target)}",
        "percentage points",
        f'<ul class="steps">{"".join(_step_rows(prediction, target))}</ul>',
        "On average over every order in which the modalities can be added, "
        f"{_changes(prediction, target)}. Such an average is a modality’s Shapley value, exact here. "
        "Each bar starts where the one above ends; together they lead from “nothing” to “all”.",
    )


def interaction_chart(prediction: Prediction, target: Target) -> str:
    """HTML of what modalities give only together; "" where the clip has a single one."""
    found = interactions(prediction, target)
    if not found:
        return ""
    scale = Scale.around_zero(list(found.values()))
    rows = "".join(
        f'<li><span class="name">{" + ".join(group)}</span>'
        f"{track(scale.place(0), scale.place(value), color_of(target.label), marks=(scale.place(0),))}"
        f'<span class="value">{_arrow(value)} {points(value)}</span>'
        f'<span class="meaning">{meaning(group, value)}</span></li>'
        for group, value in found.items()
    )
    return chart(
        "What they give only together",
        "percentage points",
        f'<ul class="steps interactions">{rows}</ul>',
        "Shapley interaction indices, exact here. Right of the middle line (▲): together they give more "
        "than one by one. Left of it (▼): less, because they tell the same or pull apart. At zero they "
        "simply add up.",
    )


def interactions(prediction: Prediction, target: Target) -> dict[tuple[str, ...], float]:
    """Percentage points of each pair of modalities that the clip has, and of all three."""
    report, labels = prediction.modalities, prediction.labels
    values = np.vstack([report.pair_interactions, report.triple_interaction])
    return {
        group: 100 * float(value)
        for group, value in zip((*PAIRS, MODALITIES), target.of(values, labels), strict=True)
        if all(prediction.present[modality] for modality in group)
    }


def meaning(group: tuple[str, ...], value: float) -> str:
    """An interaction of so many percentage points in a few words."""
    if abs(value) < SILENT_POINTS:
        return "they add up" if len(group) == 2 else "no more than pairs explain"
    if len(group) > 2:
        return "beyond what pairs explain"
    return "more than one by one" if value > 0 else "less than one by one"


def shapley_table(prediction: Prediction, target: Target) -> pd.DataFrame:
    """The way from nothing to all of the clip's modalities by their Shapley values."""
    base, steps = contributions(prediction, target)
    return pd.DataFrame(
        {
            "modality": [NOTHING, *steps, ALL],
            f"Shapley value for {target} (points)": ["", *(f"{value:+.1f}" for value in steps.values()), ""],
            f"{target} ({unit_of(target)})": [
                f"{base:.1f}",
                *[""] * len(steps),
                f"{base + sum(steps.values()):.1f}",
            ],
        }
    ).set_index("modality")


def interaction_table(prediction: Prediction, target: Target) -> pd.DataFrame:
    """Pairs of modalities, and all three, with what they give only together."""
    return pd.DataFrame(
        [
            {
                "modalities": " + ".join(group),
                f"interaction for {target} (points)": signed(value),
                "meaning": meaning(group, value),
            }
            for group, value in interactions(prediction, target).items()
        ],
        columns=["modalities", f"interaction for {target} (points)", "meaning"],
    ).set_index("modalities")


def contributions(prediction: Prediction, target: Target) -> tuple[float, dict[str, float]]:
    """The explained number from nothing, and Shapley values, so rounded that they add up.

    Returns:
        Percent, and percentage points of each modality that is present, in whole tenths. Their sum is the
        number from all modalities, itself rounded to a tenth: where rounding each by itself misses it, the
        values that were nearest to the other tenth go there instead (the largest remainders).
    """
    report, labels = prediction.modalities, prediction.labels
    shapley, given = target.of(report.shapley, labels), target.of(report.probabilities, labels)
    there = [modality for modality in MODALITIES if prediction.present[modality]]
    exact = 1000 * shapley[[MODALITIES.index(modality) for modality in there]]
    base, goal = round(1000 * given[SUBSETS.index(())]), round(1000 * given[SUBSETS.index(tuple(there))])
    rounded = np.round(exact).astype(int)
    missing = goal - base - int(rounded.sum())
    remainders = np.sign(missing) * (exact - rounded)
    rounded[np.argsort(-remainders, kind="stable")[: abs(missing)]] += np.sign(missing)
    return base / 10, dict(zip(there, (rounded / 10).tolist(), strict=True))


def _changes(prediction: Prediction, target: Target) -> str:
    """The Shapley values in words: "video raises joy by 30.0 points, and text lowers it by 4.3 points"."""
    phrases = []
    for modality, value in contributions(prediction, target)[1].items():
        what = name_of(target) if not phrases else "it"
        amount = points(abs(value)).lstrip("+")
        phrases.append(
            f"{modality} {'raises' if value > 0 else 'lowers'} {what} by {amount}"
            if value
            else f"{modality} leaves {what} as it is"
        )
    return listed(phrases)


def _step_rows(prediction: Prediction, target: Target):
    color = color_of(target.label)
    base, steps = contributions(prediction, target)
    levels = base + np.cumsum([0.0, *steps.values()])
    scale = Scale.of(levels / 100, target)

    def row(name: str, start: float, end: float, ink: str, value: str, kind: str = "") -> str:
        places = [scale.place(level / 100) for level in (start, end, base)]
        bar = track(places[0], places[1], ink, marks=places[2:])
        return (
            f'<li class="{kind}"><span class="name">{name}</span>{bar}<span class="value">{value}</span></li>'
        )

    yield row(NOTHING, 0, base, "var(--muted-bar)", tenths(base, target))
    for (modality, value), start, end in zip(steps.items(), levels[:-1], levels[1:], strict=True):
        yield row(modality, start, end, color, f"{_arrow(value)} {points(value)}")
    yield row(ALL, 0, levels[-1], color, tenths(levels[-1], target), kind="full")
    yield absence_row(prediction)


def _arrow(value: float) -> str:
    return "▲" if value > 0 else "▼" if value < 0 else "·"
