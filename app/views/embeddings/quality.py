"""How good the space is: figures, each with what it means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from app.views.tables import draw_table
from core.evaluation.spaces import MAX_MEASURED, NUM_NEIGHBOURS, PairQuality, Picture, SpaceQuality
from core.labels import MODALITY_NOUNS


def measured_words(quality: SpaceQuality, picture: Picture) -> str:
    """On what the figures were measured, where that is not simply all points; "" where it is."""
    num_drawn = len(picture.points.rows)
    if max(quality.num_points, num_drawn) <= MAX_MEASURED:
        return ""
    of_picture = (
        f"{MAX_MEASURED:,} of the {num_drawn:,} points"
        if num_drawn > MAX_MEASURED
        else f"all {num_drawn:,} points"
    )
    return (
        f"Measured on {MAX_MEASURED:,} of the space’s {quality.num_points:,} points, drawn at random; the "
        f"trustworthiness on {of_picture} in the map."
    )


def quality_view(
    quality: SpaceQuality, uniform: float, pairs: Sequence[PairQuality], *, picture: Picture
) -> None:
    """Draws the figures of the space, and of how the modalities lie to each other."""
    st.subheader("How good is this space?", anchor=False)
    draw_table(quality_table(quality, uniform))
    if words := measured_words(quality, picture):
        st.caption(words)
    if pairs:
        st.markdown("**The modalities in the space that they share**")
        draw_table(pair_table(pairs))
        st.caption(
            "Alignment: mean squared distance of a clip’s two projections, 0 where they are the same, 2 "
            "where they have nothing in common. Gap: distance of the two modalities’ means; far apart, each "
            "modality lies in a region of its own. Found: how often the nearest projection of the other "
            "modality, among all clips, has the same label."
        )


def quality_table(quality: SpaceQuality, uniform: float) -> pd.DataFrame:
    """Figures of a space in rows, with how to read them."""
    rows = [
        (
            "silhouette",
            _number(quality.silhouette),
            "labels parted: 1; touching: 0; mixed: below 0",
        ),
        (
            f"retrieval@{NUM_NEIGHBOURS}",
            _number(quality.retrieval),
            f"share of the {NUM_NEIGHBOURS} nearest clips with the same label; by chance "
            f"{_number(quality.chance)}",
        ),
        ("uniformity", _number(uniform), "0: all in one place; near −4: spread evenly"),
        (
            "trustworthiness of the map",
            _number(quality.trustworthiness),
            "1: neighbours in the map are neighbours in the space",
        ),
    ]
    return pd.DataFrame(rows, columns=["figure", "value", "how to read it"]).set_index("figure")


def pair_table(pairs: Sequence[PairQuality]) -> pd.DataFrame:
    """Figures of pairs of modalities in rows."""
    return pd.DataFrame(
        [
            {
                "pair": " and ".join(MODALITY_NOUNS[name] for name in one.pair),
                "clips": f"{one.num_clips:,}",
                "alignment": _number(one.alignment),
                "gap": _number(one.gap),
                "found": _number(one.retrieval),
                "by chance": _number(one.chance),
            }
            for one in pairs
        ]
    ).set_index("pair")


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
