"""What is explained: an emotion, or one rather than another, and by which methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from app.explanations import MANY, METHOD_NAMES, methods_for
from app.views.markup import UNIT_SPACE, percent
from app.views.picking import is_drawn, menu_key, picked_option
from core.attribution.elements import METHODS
from core.attribution.results import Target

NOTHING_ELSE = "–"
"""What is chosen where an emotion is held against no other."""


def target_picker(
    labels: tuple[str, ...], target: Target, *, predicted: str, on_emotion, on_instead_of
) -> None:
    """Lets people choose what is explained.

    Args:
        labels: classes to choose from.
        target: the current choice.
        predicted: the answer.
        on_emotion: called with another class.
        on_instead_of: called with the class that it is held against, or with None.
    """

    def picked() -> None:
        chosen = picked_option(emotion_key, labels)
        if chosen is not None and is_drawn(emotion_key):
            on_emotion(chosen)

    def held() -> None:
        chosen = picked_option(other_key, others)
        if chosen is not None and is_drawn(other_key):
            on_instead_of(None if chosen == NOTHING_ELSE else chosen)

    others = (NOTHING_ELSE, *(label for label in labels if label != target.label))
    emotion_key = menu_key("class-picker", target.label)
    other_key = menu_key("contrast-picker", target.instead_of or NOTHING_ELSE)
    st.selectbox(
        "Emotion to explain",
        labels,
        format_func=lambda name: f"{name} (the answer)" if name == predicted else name,
        key=emotion_key,
        on_change=picked,
        width=220,
        help="Everything below explains the probability of this emotion.",
    )
    st.selectbox(
        "instead of …",
        others,
        format_func=lambda name: "no other" if name == NOTHING_ELSE else name,
        key=other_key,
        on_change=held,
        width=180,
        help="Why the one and not the other? Then everything below explains by how much the probability of "
        "the first exceeds that of the second.",
    )


def method_picker(elements: tuple[str, ...], chosen: Mapping[str, str], *, on_pick) -> None:
    """Lets people choose the methods where there are several.

    Args:
        elements: that the clip has.
        chosen: method by element.
        on_pick: called with an element and another method.
    """

    def picked(element: str) -> None:
        on_pick(element, st.session_state[f"method {element}"])

    with st.popover(
        "Methods", icon=":material/tune:", help="How words, sound, frames and patches are explained"
    ):
        for element in elements:
            st.session_state[f"method {element}"] = chosen[element]
            st.selectbox(
                MANY[element].capitalize(),
                methods_for(element),
                format_func=lambda name: METHOD_NAMES[name].capitalize(),
                key=f"method {element}",
                on_change=picked,
                args=(element,),
            )
            st.caption(METHODS[chosen[element]].sentence)


def name_of(target: Target) -> str:
    """The explained number as a thing that can be raised: "fear", "the lead of fear over surprise"."""
    if target.instead_of is None:
        return target.label
    return f"the lead of {target.label} over {target.instead_of}"


def title_of(target: Target) -> str:
    """The explained number at the head of a chart: "Probability of fear", "Lead of fear over surprise"."""
    if target.instead_of is None:
        return f"Probability of {target.label}"
    return f"Lead of {target.label} over {target.instead_of}"


def value_name(target: Target) -> str:
    """The explained number in a sentence: "the probability of fear", "the lead of fear over surprise"."""
    title = title_of(target)
    return f"the {title[0].lower()}{title[1:]}"


def unit_of(target: Target) -> str:
    """Of the explained number: a lead is a difference of percentages."""
    return "%" if target.instead_of is None else "percentage points"


def value_text(value: float, target: Target) -> str:
    """The explained number in the unit of `unit_of`, which is told for a probability: "12.3 %", "−4.0"."""
    return percent(value, decimals=1) if target.instead_of is None else signed(100 * value)


def signed(percentage_points: float) -> str:
    """To a tenth, with its sign and a real minus: "+12.4", "−0.4", "0.0"."""
    text = f"{percentage_points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def tenths(percentage: float, target: Target) -> str:
    """A number that is in whole tenths already, as `value_text` would have it."""
    return f"{percentage:.1f}{UNIT_SPACE}%" if target.instead_of is None else signed(percentage)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Where values lie along a bar.

    Attributes:
        low, high: values at its ends.
    """

    low: float
    high: float

    @classmethod
    def of(cls, values, target: Target) -> Scale:
        """The scale of a chart's values: 0 … 1 for a probability, no wider than needed for a lead."""
        if target.instead_of is None:
            return cls(low=0.0, high=1.0)
        known = np.asarray(values, dtype=float)
        known = known[~np.isnan(known)]
        low, high = min(0.0, float(known.min(initial=0))), max(0.0, float(known.max(initial=0)))
        return cls(low=low, high=high if high > low else low + 1)

    @classmethod
    def around_zero(cls, values) -> Scale:
        """As far to the left as to the right, for changes."""
        known = np.abs(np.asarray(values, dtype=float))
        reach = float(known[~np.isnan(known)].max(initial=0)) or 1.0
        return cls(low=-reach, high=reach)

    def place(self, value: float) -> float:
        """0 at the left end, 1 at the right one."""
        return (value - self.low) / (self.high - self.low)
