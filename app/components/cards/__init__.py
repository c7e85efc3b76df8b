"""Cards of clips, each with what it should have been and what the model says; one may be opened."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

from app.components.browser_side import browser_side

_mount = browser_side(
    "cards",
    html='<div class="cards" role="listbox" aria-label="Clips"></div>',
    css="cards.css",
    js=("cards.js",),
)


@dataclass(frozen=True, kw_only=True)
class Said:
    """An emotion that is said: by the label, the model, or a modality.

    Attributes:
        who: "label", "model", or a modality's noun.
        emotion: "" where nothing is said.
        color: a CSS colour that goes with it.
        percent: its probability as text, "" for a label.
        is_right: equal to the label.
    """

    who: str
    emotion: str
    color: str
    percent: str = ""
    is_right: bool = False


@dataclass(frozen=True, kw_only=True)
class Card:
    """One clip.

    Attributes:
        title: the words, or the clip's name.
        picture: a data URI; "" while there is none.
        label / model: truth and prediction.
        modalities: what each modality says alone.
        marks: short words on the picture, as "conflict".
    """

    key: str
    title: str
    picture: str
    label: Said
    model: Said
    modalities: tuple[Said, ...]
    marks: tuple[str, ...] = ()


def cards(items: tuple[Card, ...], *, selected: str | None, key: str, scroll_to: str, on_pick) -> None:
    """Draws the cards; `on_pick(key)` is called when a card is clicked, or entered with the keyboard.

    Args:
        items: in their order.
        selected: key of the opened clip.
        key: of the component.
        scroll_to: key of the container that is scrolled into view once a card was chosen.
        on_pick: takes a card's key.
    """
    known = {item.key for item in items}

    def picked() -> None:
        choice = st.session_state[key].get("pick")
        if choice in known:
            on_pick(choice)

    _mount(
        key=key,
        data={
            "items": [asdict(item) for item in items],
            "selected": selected if selected in known else None,
            "scrollTo": scroll_to,
        },
        on_pick_change=picked,
    )
