"""Clips that exactly one of two checkpoints is right on, and one of them with both answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from app.components.cards import Card, Said, cards
from app.thumbnails import Thumbnails
from app.views.failures import detail
from app.views.failures.clip_cards import MAX_TITLE_CHARACTERS, PAGE_SIZE, num_pages, turner
from app.views.markup import color_of, percent, plain
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation import Evaluation
from core.evaluation.compare import Flip

DETAIL_KEY = "compare-detail"
"""Key of the container that the opened clip is drawn into."""

SIDES = "left", "right"


def direction_picker(names: tuple[str, str], num_right: int, num_wrong: int, chosen: str, *, on_pick) -> None:
    """Lets people choose the clips that one alone is right on; `on_pick("right" or "wrong")` is called.

    Args:
        names: of the evaluation that is held against, and of the other.
        num_right: clips that the other alone is right on.
        num_wrong: clips that the first alone is right on.
        chosen: "right" for those of the other, "wrong" for those of the first.
        on_pick: takes one of these.
    """

    def picked() -> None:
        on_pick(st.session_state["compare-became"])

    st.session_state["compare-became"] = chosen
    st.segmented_control(
        "Right only by",
        ("right", "wrong"),
        format_func={
            "right": f"{plain(names[1])}: {num_right:,}",
            "wrong": f"{plain(names[0])}: {num_wrong:,}",
        }.__getitem__,
        key="compare-became",
        required=True,
        on_change=picked,
    )


def on_page(flips: Sequence[Flip], page: int) -> Sequence[Flip]:
    """Those of one page, counted from one; of the last one where there are not so many."""
    page = min(page, num_pages(flips))
    return flips[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]


def flip_cards(
    names: tuple[str, str],
    evaluation: Evaluation,
    flips: Sequence[Flip],
    thumbnails: Thumbnails,
    *,
    selected: str | None,
    page: int,
    on_pick,
    on_page_change,
) -> bool:
    """Draws one page of the clips with the pictures that are known.

    Args:
        names: of the evaluation that is held against, and of the other.
        evaluation: either one, for words and pictures.
        flips: of one direction.
        thumbnails: of which unknown ones are not made here.
        selected: key of the opened clip.
        page: from one.
        on_pick: takes a clip's key.
        on_page_change: takes the number of another page.

    Returns:
        Whether pictures are missing.
    """
    shown = on_page(flips, page)
    rows = rows_of(evaluation, [flip.key for flip in shown])
    items = tuple(_card(_apart(names), evaluation, *one, thumbnails) for one in zip(shown, rows, strict=True))
    cards(items, selected=selected, key="flip-cards", scroll_to=DETAIL_KEY, on_pick=on_pick)
    turner(num_pages(flips), page, key="compare-page", on_page=on_page_change)
    return any(thumbnails.known(evaluation, row) is None for row in rows)


def rows_of(evaluation: Evaluation, keys: Sequence[str]) -> np.ndarray:
    """Rows of clips in the table of predictions."""
    return evaluation.predictions.set_index("key").index.get_indexer(keys)


def side_by_side(names: tuple[str, str], evaluations: tuple[Evaluation, Evaluation], key: str) -> None:
    """Draws what both say of a clip, and from what."""
    columns = zip(SIDES, st.columns(2, gap="large"), names, evaluations, strict=True)
    for side, column, name, evaluation in columns:
        row = int(rows_of(evaluation, [key])[0])
        with column:
            st.html(f'<div class="who">{escape(name)}</div>')
            detail.headline(evaluation, row)
            st.html(detail.probabilities_chart(evaluation, row))
            st.html(detail.modalities_chart(evaluation, row))
            with table_twin(f"{side}-table") as is_open:
                if is_open:
                    draw_table(detail.subset_table(evaluation, row))


def _apart(names: tuple[str, str]) -> tuple[str, str]:
    """The names without what ends both, as the data that they are of: there is little room on a card."""
    first, other = (name.split("-") for name in names)
    while len(first) > 1 and len(other) > 1 and first[-1] == other[-1]:
        first, other = first[:-1], other[:-1]
    return "-".join(first), "-".join(other)


def _card(
    names: tuple[str, str], evaluation: Evaluation, flip: Flip, row: int, thumbnails: Thumbnails
) -> Card:
    words = evaluation.predictions["transcript"].iat[row]
    title = words if isinstance(words, str) and words else flip.key
    said = [
        Said(
            who=name,
            emotion=emotion,
            color=color_of(emotion),
            percent=percent(confidence),
            is_right=emotion == flip.label,
        )
        for name, emotion, confidence in (
            (names[0], flip.prediction_a, flip.confidence_a),
            (names[1], flip.prediction_b, flip.confidence_b),
        )
    ]
    return Card(
        key=flip.key,
        title=title if len(title) <= MAX_TITLE_CHARACTERS else f"{title[:MAX_TITLE_CHARACTERS]}…",
        picture=thumbnails.known(evaluation, row) or "",
        label=Said(who="label", emotion=flip.label, color=color_of(flip.label)),
        model=said[0],
        modalities=(said[1],),
    )
