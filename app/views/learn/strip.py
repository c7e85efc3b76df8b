"""The candidate frames as a strip: how relevant each is, and what became of it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.display import ClipDisplay
from app.views.markup import chart, percent
from core.prediction import Prediction


def relevance_strip(prediction: Prediction, display: ClipDisplay) -> None:
    """Draws every candidate frame with a bar of its relevance; the clip needs a picture."""
    frames = prediction.frames
    top = float(frames.relevance.max()) or 1.0
    even = 100 / len(frames.relevance) / top
    cells = "".join(
        f'<li class="{"kept" if index in frames.kept else "gone"}" title="'
        f'{frames.times_seconds[index]:.2f} s: {percent(float(value), decimals=1)}">'
        f'<span class="column"><span style="height:{100 * value / top:.1f}%"></span>'
        f'<b style="bottom:{even:.1f}%"></b></span>'
        f'<img src="{display.thumbnails[index]}" alt="">'
        f"<small>{percent(float(value), decimals=1)}</small></li>"
        for index, value in enumerate(frames.relevance)
    )
    st.html(
        chart(
            "Relevance of every candidate frame",
            "% of the clip’s relevance",
            f'<ul class="learn-strip">{cells}</ul>',
            "From the clip’s beginning to its end, in rows. Higher bar: nearer to what the guide looks for. "
            f"The thin line is an even share. Framed and filled: the {len(frames.kept)} that are kept. Only "
            "the order of the bars decides what is kept.",
        )
    )


def kept_strip(prediction: Prediction, display: ClipDisplay, *, looked_at: int) -> None:
    """Draws which candidate frames were kept and where the others went; the clip needs a picture."""
    frames = prediction.frames
    cells = "".join(_fate(prediction, display, index, looked_at) for index in range(len(frames.absorbed_by)))
    merged = int(
        np.sum((frames.absorbed_by >= 0) & (frames.absorbed_by != np.arange(len(frames.absorbed_by))))
    )
    gone = int(np.sum(frames.absorbed_by < 0))
    st.html(
        chart(
            "What became of the frames",
            f"{len(frames.kept)} kept, {merged} merged, {gone} left out",
            f'<ul class="learn-strip">{cells}</ul>',
            "From the clip’s beginning to its end, in rows. Framed: kept. Pale with an arrow: merged into "
            "the kept frame of that time. Pale with ×: left out. Underlined: the one that is looked into.",
        )
    )


def _fate(prediction: Prediction, display: ClipDisplay, index: int, looked_at: int) -> str:
    frames = prediction.frames
    keeper, time = int(frames.absorbed_by[index]), frames.times_seconds[index]
    if keeper == index:
        kind, said = "kept", f"{time:.1f} s"
    elif keeper < 0:
        kind, said = "gone", "×"
    else:
        kind, said = "gone", f"→ {frames.times_seconds[keeper]:.1f} s"
    here = " looked-at" if index == looked_at else ""
    return (
        f'<li class="{kind}{here}"><img src="{display.thumbnails[index]}" alt=""><small>{said}</small></li>'
    )
