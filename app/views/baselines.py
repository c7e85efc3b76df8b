"""The choice of what stands for an absent modality, and a warning where the explanation hangs on it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.views.markup import plain
from app.views.picking import is_drawn, menu_key
from core.attribution.baselines import compare_baselines
from core.attribution.results import Target
from core.prediction import ModalityReport

CHOICES = {
    "absent-token": "what the model learned for “not there”",
    "donor": "other clips, one at a time",
    "mean": "the mean of other clips",
}
"""What may stand for an absent modality, the default first; names are those of `BASELINES`."""

MEANINGS = {
    "absent-token": "as the model was trained to take a clip without it.",
    "donor": "the clip with somebody else’s face, voice or words; the answers are averaged over the others.",
    "mean": "an input that says nothing in particular, and which no clip has.",
}


def baseline_picker(chosen: str, *, on_pick) -> None:
    """Lets people choose what stands for an absent modality; `on_pick(baseline)` is called."""

    def picked() -> None:
        if is_drawn(key):
            on_pick(st.session_state[key])

    key = menu_key("baseline-picker", chosen)
    st.selectbox(
        "In place of an absent modality",
        list(CHOICES),
        format_func=CHOICES.__getitem__,
        key=key,
        on_change=picked,
        help=" ".join(f"**{CHOICES[name].capitalize()}**: {MEANINGS[name]}" for name in CHOICES)
        + " The others are sample clips by other speakers, the clearest one of each emotion.",
    )


def agreement(reports: Mapping[str, ModalityReport], labels: tuple[str, ...], target: Target) -> None:
    """Says whether the baselines that are known lead to one conclusion; nothing while only one is known."""
    if len(reports) < 2:
        return
    found = compare_baselines(reports, labels, target)
    if found.agree:
        st.caption(plain(found.sentence))
    else:
        st.warning(plain(found.sentence), icon=":material/warning:")
