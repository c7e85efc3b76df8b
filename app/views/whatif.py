"""What if the clip were another: the edits to choose from, and the answer before and after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs, urlencode

import numpy as np
import pandas as pd
import streamlit as st

from app.desk import Reply
from app.edits import KINDS, Edit
from app.views.markup import chart, color_of, track
from app.views.target import Scale, signed, title_of, unit_of, value_text
from app.views.twin import table_twin
from core.attribution.results import Target
from core.prediction import Prediction

SHIFT_SECONDS = (-1.0, -0.5, -0.2, 0.2, 0.5, 1.0)
NUM_DRAWS = 5
MAX_WORD_CHARACTERS = 60

BEFORE = "as it is"


@dataclass(frozen=True, kw_only=True)
class _Begin:
    """What the fields of `edit_picker` begin with, as of the edits, but for those about a word.

    `number` goes into their keys: a value that is put into a field once is lost where a slow browser gets to
    draw it only after the page was drawn again. The default of a field of another key is not.
    """

    number: int = 0
    kinds: tuple[str, ...] = ()
    donor: str = ""
    seconds: float = SHIFT_SECONDS[4]
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class _WordBegin:
    """The same for the fields about a word, which are said of the `words` of one transcript."""

    number: int = 0
    words: tuple[str, ...] = ()
    place: int = 0
    new: str = ""


def _key(field: str, begin: _Begin | _WordBegin) -> str:
    return f"edit-{field}-{begin.number}"


_BEGIN, _WORD_BEGIN, _SAID = "edits-begin", "edits-begin-of-word", "edits-said"


def edit_picker(
    kinds: Sequence[str], words: Sequence[str], donors: Mapping[str, str], *, wanted: str | None
) -> tuple[Edit, ...]:
    """Lets people choose edits and what they need to know of them.

    Of what was chosen for another clip, Streamlit keeps what this one offers too.

    Args:
        kinds: that apply to the clip.
        words: of its transcript.
        donors: titles of the clips that can lend a modality, by key.
        wanted: the edits as `said` wrote them after the last time, or as a link has them; of those, what the
            clip offers is chosen.

    Returns:
        The chosen edits, in the order in which they were chosen.
    """
    begin: _Begin = st.session_state.get(_BEGIN, _Begin())
    # a link, or a page that was left, of which Streamlit forgets what was chosen
    if wanted != st.session_state.get(_SAID) or _key("kinds", begin) not in st.session_state:
        begin = _choose(wanted or "", kinds, words, donors)
    edits = _fields(begin, kinds, words, donors)
    if not edits:
        # what is chosen next begins anew
        st.session_state[_BEGIN] = _Begin(number=begin.number, kinds=begin.kinds)
        _begin_of_word((), place=0, new="")
    st.session_state[_SAID] = said(edits)
    return edits


def _fields(
    begin: _Begin, kinds: Sequence[str], words: Sequence[str], donors: Mapping[str, str]
) -> tuple[Edit, ...]:
    chosen = st.multiselect(
        "Changes to try",
        kinds,
        [kind for kind in begin.kinds if kind in kinds],
        format_func=KINDS.__getitem__,
        key=_key("kinds", begin),
        placeholder="Choose one or several",
    )
    donor, seconds, place, new, seed = "", 0.0, 0, "", 0
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="edit-fields"):
        if any(kind.startswith("replace") for kind in chosen):
            donors = dict(zip(donors, _told_apart(donors.values()), strict=True))
            donor = st.selectbox(
                "Taken from",
                list(donors),
                list(donors).index(begin.donor) if begin.donor in donors else 0,
                format_func=donors.__getitem__,
                key=_key("donor", begin),
                width=320,
            )
        if "shift" in chosen:
            seconds = st.selectbox(
                "Sound comes",
                SHIFT_SECONDS,
                SHIFT_SECONDS.index(begin.seconds),
                format_func=lambda s: f"{abs(s):g} s {'later' if s > 0 else 'earlier'}",
                key=_key("seconds", begin),
                width=160,
            )
        if "word" in chosen:
            of_word = _begin_of_word(words)
            # side by side in any window
            with st.container(horizontal=True, vertical_alignment="bottom", width="content"):
                place = st.selectbox(
                    "Word",
                    range(len(words)),
                    of_word.place,
                    format_func=_told_apart(words).__getitem__,
                    key=_key("place", of_word),
                    width=160,
                )
                new = st.text_input(
                    "becomes",
                    of_word.new,
                    key=_key("word", of_word),
                    max_chars=MAX_WORD_CHARACTERS,
                    placeholder="nothing: left out",
                    width=200,
                )
        if any(kind.startswith("random") or kind.endswith("noise") for kind in chosen):
            seed = st.selectbox(
                "Draw",
                range(NUM_DRAWS),
                begin.seed,
                format_func=lambda seed: str(seed + 1),
                key=_key("seed", begin),
                width=110,
            )
    edits = []
    for kind in chosen:
        details = {}
        if kind.startswith("replace"):
            details = {"donor": donor, "donor_title": donors[donor]}
        elif kind == "shift":
            details = {"seconds": seconds}
        elif kind == "word":
            details = {"word": place, "old": words[place], "new": " ".join(new.split())}
        elif kind.startswith("random") or kind.endswith("noise"):
            details = {"seed": seed}
        edits.append(Edit(kind=kind, **details))
    return tuple(edits)


def said(edits: Sequence[Edit]) -> str | None:
    """The edits as a link holds them; None for none."""
    details = {"kinds": ",".join(edit.kind for edit in edits)}
    for edit in edits:
        if edit.donor:
            details["donor"] = edit.donor
        elif edit.kind == "shift":
            details["seconds"] = f"{edit.seconds:g}"
        elif edit.kind == "word":
            details |= {"place": str(edit.word + 1), "new": edit.new}
        elif edit.seed:
            details["draw"] = str(edit.seed + 1)
    return urlencode({name: text for name, text in details.items() if text}) or None


def edits_view(prediction: Prediction, target: Target, found: Mapping[Edit, Reply]) -> None:
    """Draws the explained number before and after each edit, and a table of all classes.

    Args:
        prediction: the answer for the clip as it is.
        target: what is explained.
        found: what is known of each edit: probabilities `(class,)`.
    """
    own = float(target.of(prediction.probabilities, prediction.labels))
    after = {
        edit: float(target.of(reply.value, prediction.labels))
        for edit, reply in found.items()
        if reply.value is not None
    }
    scale = Scale.of([own, *after.values()], target)
    ink, line = color_of(target.label), scale.place(own)
    rows = [
        _row(BEFORE, track(scale.place(0), line, ink, marks=(line,)), value_text(own, target), "", "full")
    ]
    for edit, reply in found.items():
        if edit not in after:
            told = ("…", "") if reply.is_awaited else ("–", "failed")
            rows.append(_row(edit.sentence, track(0, 0, ink, marks=(line,)), *told))
            continue
        value = after[edit]
        answer = prediction.labels[int(np.argmax(reply.value))]
        told = answer if answer != prediction.prediction else ""
        bar = track(scale.place(0), scale.place(value), ink, marks=(line,))
        change = f"{signed(100 * (value - own))}"
        rows.append(_row(edit.sentence, bar, value_text(value, target), change, says=told))
    st.html(
        chart(
            f"{title_of(target)}, before and after",
            unit_of(target),
            f'<ul class="versions edits">{"".join(rows)}</ul>',
            "Right of each bar: the value, the change in points, and “→” with the new answer where the "
            "change brings another one. The line through all bars is the clip as it is. Each change is made "
            "by itself. What it moves tells of this model; some make clips unlike all it learned from.",
        )
    )
    if after:
        with table_twin("edits-table", "All emotions as a table") as is_open:
            if is_open:
                st.dataframe(edits_table(prediction, {edit: found[edit].value for edit in after}))


def edits_table(prediction: Prediction, found: Mapping[Edit, np.ndarray]) -> pd.DataFrame:
    """One row per class: percent as it is, and with each edit, with the change in points."""
    own = 100 * prediction.probabilities
    columns = {f"{BEFORE} (%)": [f"{value:.1f}" for value in own]}
    for edit, probabilities in found.items():
        columns[f"{edit.sentence} (%, change)"] = [
            f"{100 * value:.1f} ({signed(100 * value - before)})"
            for value, before in zip(probabilities, own, strict=True)
        ]
    return pd.DataFrame(columns, index=pd.Index(prediction.labels, name="emotion"))


def _row(name: str, bar: str, value: str, change: str, kind: str = "", says: str = "") -> str:
    told = f'<span class="says">→ {escape(says)}</span>' if says else ""
    return (
        f'<li class="{kind}"><span class="name">{escape(name)}{told}</span>{bar}'
        f'<span class="value">{value}</span><span class="value">{change}</span></li>'
    )


def _choose(text: str, kinds: Sequence[str], words: Sequence[str], donors: Mapping[str, str]) -> _Begin:
    """Has fields that are not drawn yet begin with what `said` wrote, as far as the clip offers it."""
    details = {name: values[-1] for name, values in parse_qs(text).items()}
    shifts = {f"{seconds:g}": seconds for seconds in SHIFT_SECONDS}
    # the first one is left unsaid
    draws = {str(seed + 1): seed for seed in range(NUM_DRAWS)}
    donor = details.get("donor", "")
    begin = _Begin(
        number=st.session_state.get(_BEGIN, _Begin()).number + 1,
        kinds=tuple(kind for kind in dict.fromkeys(details.get("kinds", "").split(",")) if kind in kinds),
        donor=donor if donor in donors else "",
        seconds=shifts.get(details.get("seconds", ""), _Begin.seconds),
        seed=draws.get(details.get("draw", ""), 0),
    )
    st.session_state[_BEGIN] = begin
    places = {str(place + 1): place for place in range(len(words))}
    if (place := places.get(details.get("place", ""))) is None:
        _begin_of_word(words, place=0, new="")
    else:
        _begin_of_word(words, place=place, new=details.get("new", "")[:MAX_WORD_CHARACTERS])
    return begin


def _begin_of_word(words: Sequence[str], **changes) -> _WordBegin:
    """What the fields about a word begin with; those of another transcript begin anew."""
    begin: _WordBegin = st.session_state.get(_WORD_BEGIN, _WordBegin())
    if changes or begin.words != tuple(words):
        begin = _WordBegin(number=begin.number + 1, words=tuple(words), **changes)
        st.session_state[_WORD_BEGIN] = begin
    return begin


def _told_apart(names: Iterable[str]) -> list[str]:
    """The names of a menu, equal ones numbered: of what is chosen, the browser tells the name alone."""
    names = list(names)
    alike, met, apart = Counter(names), Counter(), []
    for name in names:
        met[name] += 1
        apart.append(f"{name} ({met[name]})" if alike[name] > 1 else name)
    return apart
