"""Small pieces of HTML and wording that the views share. Whatever comes from outside is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from core.labels import EMOTION_COLORS, MODALITY_NOUNS

FALLBACK_COLOR = "#8a8f99"
UNIT_SPACE = "\N{NARROW NO-BREAK SPACE}"

_ESTIMATE = re.compile(r"[+−]?\d[\d.]* \[[+−]?\d[\d.]*(?:–|, )[+−]?\d[\d.]*\]")
"""As "0.51 [0.29–0.74]" or "−0.03 [−0.05, +0.01]"."""


def color_of(label: str) -> str:
    """The emotion's colour, the same in every view; a grey for classes the project does not know."""
    return EMOTION_COLORS.get(label, FALLBACK_COLOR)


def percent(probability: float, *, decimals: int = 0) -> str:
    """A probability as people say it: "72 %", and never "0 %" or "100 %" for what is not."""
    step = 10.0**-decimals
    if 0 < probability < step / 200:
        return f"<{step:.{decimals}f}{UNIT_SPACE}%"
    if 1 - step / 200 < probability < 1:
        return f">{100 - step:.{decimals}f}{UNIT_SPACE}%"
    return f"{probability * 100:.{decimals}f}{UNIT_SPACE}%"


def points(change: float) -> str:
    """A change in percentage points to a tenth, with its sign: "+12.4 points"."""
    value = round(change, 1)
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return f"{sign}{abs(value):.1f} point{'' if abs(value) == 1 else 's'}"


def plain(text: str) -> str:
    """`text` so that Streamlit's Markdown shows it letter by letter, free of links, pictures and colours."""
    # addresses become links whatever is escaped in them; a joiner that nobody sees is in their way
    parted = re.sub(r"(https?(?=:)|www(?=\.)|(?=@))", "\\1\N{WORD JOINER}", text, flags=re.IGNORECASE)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", re.sub(rf"[^\S{UNIT_SPACE}]+", " ", parted))


def said(sentence: str) -> str:
    """A sentence as HTML whose numbers stay in one line with their "%", and figures with their interval."""
    text = escape(sentence.replace(" %", f"{UNIT_SPACE}%"))
    return _ESTIMATE.sub(r'<span class="unbroken">\g<0></span>', text)


def nouns(subset: str) -> str:
    """A subset of the modalities as pages call it: "picture + sound" for "video+audio"."""
    return " + ".join(MODALITY_NOUNS.get(modality, modality) for modality in subset.split("+"))


def plotted(text: str) -> str:
    """`text` so that Plotly, which takes tags for links and line breaks, shows it letter by letter."""
    return escape(text, quote=False)


def swatch(label: str) -> str:
    """A small square in the emotion's colour, silent to screen readers."""
    return f'<i class="swatch" style="background:{color_of(label)}" aria-hidden="true"></i>'


def track(start: float, end: float, color: str, *, marks: Iterable[float] = ()) -> str:
    """A horizontal bar from `start` to `end`, both shares of the full width, over a faint rail.

    `marks` are shares where a thin line crosses the rail.
    """
    low, high = sorted((min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)))
    lines = "".join(f'<b style="left:{100 * mark:.2f}%"></b>' for mark in marks)
    return (
        f'<span class="track" aria-hidden="true">'
        f'<span style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%;background:{color}"></span>'
        f"{lines}</span>"
    )


def chart(title: str, unit: str, body: str, how_to_read: str) -> str:
    """A figure with its title, unit and a caption that says how to read it. `body` is HTML already."""
    return (
        f'<figure class="chart"><div class="chart-title">{escape(title)} <span>{escape(unit)}</span></div>'
        f"{body}<figcaption>{escape(how_to_read)}</figcaption></figure>"
    )


def chip(text: str, kind: str) -> str:
    """A word on a coloured ground; `kind` is a class of style.css."""
    return f'<span class="chip {escape(kind)}">{escape(text)}</span>'
