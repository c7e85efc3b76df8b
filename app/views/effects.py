"""What the compression carries: the explained number had the model kept more, or others, than it did."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from app.views.markup import chart, color_of, percent, points, track
from app.views.tables import draw_table
from app.views.target import Scale, name_of, signed, title_of, unit_of, value_text
from app.views.twin import table_twin
from core.attribution.effects import CompressionEffects, LevelEffects

AS_IT_IS = "as it is"
LEVELS = {"frame": "frames", "patch": "patches"}

NOTICEABLE = 0.05
"""Changes below five points are called none: about one standard error of a probability that was calibrated on
a hundred clips."""


def effects_view(effects: CompressionEffects) -> None:
    """Draws the versions beside the clip as it is, what follows from them, and their table."""
    told = "".join(f'<p class="concluded">{escape(sentence)}</p>' for sentence in conclusions(effects))
    rows = versions(effects)
    values = [value for _, value, _ in rows] + [end for *_, ends in rows for end in ends]
    scale, own = Scale.of(values, effects.target), effects.value
    ink = color_of(effects.target.label)
    bars = "".join(
        f'<li class="{"full" if name == AS_IT_IS else ""}"><span class="name">{escape(name)}</span>'
        f"{track(scale.place(0), scale.place(value), ink, marks=[scale.place(x) for x in (own, *ends)])}"
        f'<span class="value">{value_text(value, effects.target)}</span>'
        f'<span class="value">{"" if name == AS_IT_IS else signed(100 * (value - own))}</span></li>'
        for name, value, ends in rows
    )
    st.html(
        f'<div class="chart">{told}</div>'
        + chart(
            f"{title_of(effects.target)} had the model kept …",
            unit_of(effects.target),
            f'<ul class="versions">{bars}</ul>',
            "Right of each bar: the value, and the change in points. The line through all bars is the clip "
            "as it is. Of random choices the bar is the mean, and two more lines are the least and the most. "
            "If a random choice gives as much as the model’s own, the choice carries nothing for this clip.",
        )
    )
    with table_twin("effects-table") as is_open:
        if is_open:
            draw_table(effects_table(effects))
            draw_table(mass_table(effects))


def versions(effects: CompressionEffects) -> list[tuple[str, float, tuple[float, ...]]]:
    """Name, value, and least and most where it was drawn at random, of every version that could be asked."""
    rows: list[tuple[str, float, tuple[float, ...]]] = [(AS_IT_IS, effects.value, ())]
    for level in _compressed(effects):
        many = LEVELS[level.element]
        rows += [
            (f"all {level.num_elements} {many}, not {level.num_kept}", level.restored, ()),
            (f"{level.num_exchanged} dropped {many} for kept ones", level.exchanged, ()),
            (f"{level.num_kept} {many} at random", level.random_mean, level.random_range),
            (f"{level.num_kept} {many}, evenly spread", level.evenly, ()),
        ]
    rows.append(("all frames and patches", effects.all_restored, ()))
    rows.append(("the model’s own choice, the rest lost, not merged", effects.unmerged, ()))
    return rows


def conclusions(effects: CompressionEffects) -> list[str]:
    """What follows, a sentence for each level that was compressed."""
    found = [_conclusion(effects, level) for level in _compressed(effects)]
    kept_all = [
        f"All {LEVELS[level.element]} were kept, so there was no choice to try."
        for level in (effects.frames, effects.patches)
        if level is not None and level.num_kept == level.num_elements
    ]
    return found + kept_all


def effects_table(effects: CompressionEffects) -> pd.DataFrame:
    """The versions in rows: value, change, and the range of random choices."""
    unit = unit_of(effects.target)
    return pd.DataFrame(
        [
            {
                "had the model kept": name,
                f"{effects.target} ({unit})": f"{100 * value:.1f}",
                "change (points)": "" if name == AS_IT_IS else signed(100 * (value - effects.value)),
                f"least to most ({unit})": " to ".join(f"{100 * end:.1f}" for end in ends),
            }
            for name, value, ends in versions(effects)
        ]
    ).set_index("had the model kept")


def mass_table(effects: CompressionEffects) -> pd.DataFrame:
    """How much of the attribution lies on what was kept, beside the share that was kept."""
    return pd.DataFrame(
        [
            {
                "level": LEVELS[level.element],
                "kept": percent(level.share_kept),
                "of what raised it": _known(level.positive_mass),
                "of all attribution": _known(level.absolute_mass),
            }
            for level in (effects.frames, effects.patches)
            if level is not None
        ]
    ).set_index("level")


def _compressed(effects: CompressionEffects) -> list[LevelEffects]:
    levels = (effects.frames, effects.patches)
    return [level for level in levels if level is not None and level.num_kept < level.num_elements]


def _conclusion(effects: CompressionEffects, level: LevelEffects) -> str:
    many, one = LEVELS[level.element], name_of(effects.target)
    gain, low, high = effects.value - level.random_mean, *level.random_range
    if low <= effects.value <= high or abs(gain) < NOTICEABLE:
        said = (
            f"The choice of {many} carries little here: as many at random give {one} about the same "
            f"({value_text(level.random_mean, effects.target)} on average{_without(effects, level)})."
        )
    elif gain > 0:
        said = f"The kept {many} carry {one}: as many at random give {points(-100 * gain)}."
    else:
        said = (
            f"The choice of {many} works against {one}: as many at random give {points(-100 * gain)} more"
        ).replace("+", "") + "."
    change = level.restored - effects.value
    if abs(change) >= NOTICEABLE:
        said += f" With none dropped it would change by {points(100 * change)}."
    if not np.isnan(level.positive_mass):
        whole = "all" if level.element == "frame" else "a kept frame’s"
        said += (
            f" On the kept {many}, {percent(level.share_kept)} of {whole}, lies "
            f"{percent(level.positive_mass)} of what raised it."
        )
    return said


def _without(effects: CompressionEffects, level: LevelEffects) -> str:
    """What only dropped ones would give, where that differs: random ones mostly hold some of the kept."""
    if abs(level.exchanged - effects.value) < NOTICEABLE:
        return ""
    return f"; only dropped ones would give {value_text(level.exchanged, effects.target)}"


def _known(share: float) -> str:
    return "not known" if np.isnan(share) else percent(share)
