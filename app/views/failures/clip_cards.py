"""The gallery: what each chosen clip should be, and what the model and each modality say of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.components.cards import Card, Said, cards
from app.thumbnails import Thumbnails
from app.views.markup import color_of, percent
from core.evaluation import Evaluation
from core.labels import MODALITIES, MODALITY_NOUNS

PAGE_SIZE = 24
"""Clips on one page of the gallery."""

DETAIL_KEY = "failures-detail"
"""Key of the container that the opened clip is drawn into."""

MAX_TITLE_CHARACTERS = 160

FETCH_SECONDS = 1.0
"""Pictures are shown as they come, at most so long after one another."""


def gallery(
    evaluation: Evaluation,
    rows: np.ndarray,
    thumbnails: Thumbnails,
    *,
    selected: str | None,
    page: int,
    noted: frozenset[str],
    on_pick,
    on_page,
) -> bool:
    """Draws one page of the clips with the pictures that are known.

    Args:
        evaluation: read or made.
        rows: of the clips, in their order.
        thumbnails: of which unknown ones are not made here.
        selected: key of the opened clip.
        page: from one; beyond the last, the last.
        noted: keys of the clips that somebody wrote about.
        on_pick: takes a clip's key.
        on_page: takes the number of another page.

    Returns:
        Whether pictures are missing.
    """
    shown = _on_page(rows, page)
    items = tuple(cards_of(evaluation, shown, thumbnails, noted=noted))
    cards(items, selected=selected, key="failure-cards", scroll_to=DETAIL_KEY, on_pick=on_pick)
    turner(num_pages(rows), page, key="gallery-page", on_page=on_page)
    return any(thumbnails.known(evaluation, row) is None for row in shown)


def fetch_pictures(
    evaluation: Evaluation,
    rows: Sequence[int],
    thumbnails: Thumbnails,
    *,
    page: int,
    max_seconds: float = FETCH_SECONDS,
) -> None:
    """Makes pictures that a page of the gallery lacks, at least one and for about `max_seconds`."""
    begin = time.monotonic()
    for row in _on_page(rows, page):
        if thumbnails.known(evaluation, row) is None:
            thumbnails.make(evaluation, row)
            if time.monotonic() - begin > max_seconds:
                return


def _on_page(rows: np.ndarray, page: int) -> np.ndarray:
    page = min(page, num_pages(rows))
    return rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]


def turner(last: int, page: int, *, key: str, on_page) -> None:
    """Lets people turn to another page; `on_page(number)` is called. Nothing where there is one page.

    Args:
        last: number of the last page.
        page: the current one, from one; beyond the last, the last.
        key: of the widget, whose state is a number of its own for each page.
        on_page: takes a number.
    """
    if last < 2:
        return
    page = min(page, last)

    def turned() -> None:
        on_page(st.session_state[f"{key}-{page}"])

    st.pagination(last, default=page, key=f"{key}-{page}", on_change=turned)


def num_pages(rows: Sequence) -> int:
    """Pages that so many clips fill, at least one."""
    return max(1, -(-len(rows) // PAGE_SIZE))


def cards_of(
    evaluation: Evaluation, rows: Sequence[int], thumbnails: Thumbnails, *, noted: frozenset[str]
) -> list[Card]:
    """A card for each row."""
    table, together = evaluation.predictions, evaluation.probabilities()
    alone = {modality: evaluation.probabilities((modality,)) for modality in MODALITIES}
    found = []
    for row in rows:
        clip = table.iloc[row]
        label = clip["label"]
        words = (
            clip["transcript"] if isinstance(clip["transcript"], str) and clip["transcript"] else clip["key"]
        )
        marks = ["conflict"] * bool(clip["is_conflict"]) + ["noted"] * (clip["key"] in noted)
        found.append(
            Card(
                key=clip["key"],
                title=words if len(words) <= MAX_TITLE_CHARACTERS else f"{words[:MAX_TITLE_CHARACTERS]}…",
                picture=thumbnails.known(evaluation, row) or "",
                label=Said(who="label", emotion=label, color=color_of(label)),
                model=_said("model", together[row], evaluation.labels, label),
                modalities=tuple(
                    _said(MODALITY_NOUNS[m], alone[m][row], evaluation.labels, label) for m in MODALITIES
                ),
                marks=tuple(marks),
            )
        )
    return found


def _said(who: str, probabilities: np.ndarray, labels: tuple[str, ...], label: str) -> Said:
    if np.isnan(probabilities).any():
        return Said(who=who, emotion="", color="")
    emotion = labels[int(probabilities.argmax())]
    return Said(
        who=who,
        emotion=emotion,
        color=color_of(emotion),
        percent=percent(float(probabilities.max())),
        is_right=emotion == label,
    )
