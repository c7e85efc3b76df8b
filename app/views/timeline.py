"""The clip over time: the strip, what its elements gave to the answer, how to read both, and a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from app.components.timeline import NO_SHARES, MadeBand, Shares, Strip, timeline
from app.display import ClipDisplay
from app.explanations import METHOD_NAMES
from app.truth import Truth
from app.views.frame import guide_words
from app.views.markup import plain
from app.views.player import PLAYER_KEY
from app.views.target import value_name
from app.views.twin import table_twin
from core.attribution.elements import absent_others
from core.attribution.results import Attribution
from core.media.clip import Word
from core.prediction import Prediction

TITLE = "What the model looked at"
TRACKS = {"frame": "frames", "window": "windows", "word": "words"}
"""By element of an attribution, the track of the strip that shows it."""

NAMES = {"frames": "the frames", "windows": "the sound", "words": "the words"}


@dataclass(frozen=True, kw_only=True, eq=False)
class TimelineData:
    """All that the timeline shows of one clip.

    Attributes:
        strip: what is drawn once.
        shares: what the elements gave, which may come later.
        caption: how to read both, for what this clip has, in Markdown.
    """

    strip: Strip
    shares: Shares
    caption: str

    @classmethod
    def of(
        cls,
        prediction: Prediction,
        display: ClipDisplay,
        attributions: Mapping[str, Attribution | None],
        *,
        truth: Truth | None = None,
        still: str = "",
        is_original: bool = True,
        reads_picture: bool = True,
    ) -> TimelineData:
        """Puts together what is known of a clip.

        Args:
            prediction: the answer.
            display: the same clip's pictures, loudness and words.
            attributions: by element, "frame", "window" and "word"; None while one is being computed. Others
                are passed over. All have the same target.
            truth: how the clip was made, None where that is not known or not to be told.
            still: data URI of what the player rests on, "" for its first picture.
            is_original: the words read are the clip's own, so that the times of those hold.
            reads_picture: the model reads pictures; without one it is the clip that has none.

        Raises:
            ValueError: if attributions explain different targets, or not as many elements as the clip has.
        """
        words, has_word_times = _words(prediction, display, is_original=is_original)
        found = {track: attributions[element] for element, track in TRACKS.items() if element in attributions}
        strip = Strip(
            title=TITLE,
            start_seconds=prediction.start_seconds,
            end_seconds=prediction.end_seconds,
            frames=prediction.frames,
            thumbnails=display.thumbnails,
            peaks=display.peaks,
            words=words,
            has_word_times=has_word_times,
            still=still,
            expression=None if truth is None else _expression_band(truth),
            voice=None if truth is None else _voice_band(truth),
        )
        has = {
            "frames": prediction.frames is not None,
            "windows": prediction.present["audio"],
            "words": bool(words),
        }
        known = {track: one for track, one in found.items() if has[track]}
        drawn = *_of_frames(prediction, reads_picture=reads_picture), *_absences(strip), *_of_truth(truth)
        goes = "Click, drag or use the arrow keys to go to a moment; space plays."
        if prediction.frames is not None:
            goes += " Below, the chosen frame from the inside."
        paragraphs = " ".join(drawn), *_of_shares(known), goes
        return cls(strip=strip, shares=_shares(known), caption="\n\n".join(paragraphs))

    def table(self) -> pd.DataFrame:
        """The strip in rows: what, from when to when (seconds), what became of it, and its points."""
        strip, shares, rows = self.strip, self.shares, []
        if strip.frames is not None:
            times = strip.frames.times_seconds
            for index, time in enumerate(times):
                keeper = int(strip.frames.absorbed_by[index])
                fate = "kept" if keeper == index else f"merged into {times[keeper]:.2f} s"
                fate = "left out" if keeper < 0 else fate
                rows.append(("frame", fate, time, time, shares.frames[index] if shares.frames else None))
        rows += [("sound", "", start, end, points) for start, end, points in shares.windows]
        for index, word in enumerate(strip.words):
            begin = word.start_seconds if strip.has_word_times else None
            end = word.end_seconds if strip.has_word_times else None
            rows.append(("word", word.text, begin, end, shares.words[index] if shares.words else None))
        table = pd.DataFrame(rows, columns=["what", "element", "from (s)", "to (s)", "points"])
        table = table.astype({"from (s)": float, "to (s)": float, "points": float}).round(2)
        if not (shares.frames or shares.windows or shares.words):
            return table.drop(columns="points")
        return table.rename(columns={"points": f"to {shares.of} (points)"})


def timeline_view(data: TimelineData, *, selected: int | None, on_pick) -> None:
    """Draws the timeline below the player, how to read it, and its table.

    Args:
        data: what to show.
        selected: index of the chosen candidate frame, None for none.
        on_pick: called with the index of another one.
    """
    timeline(
        data.strip, data.shares, selected=selected, player_key=PLAYER_KEY, key="timeline", on_pick=on_pick
    )
    st.caption(data.caption)
    with table_twin("timeline-table", "The timeline as a table") as is_open:
        if is_open:
            st.dataframe(data.table(), hide_index=True, height=260)


def _words(
    prediction: Prediction, display: ClipDisplay, *, is_original: bool
) -> tuple[tuple[Word, ...], bool]:
    """The words that were read with the times at which they are drawn, and whether those are known."""
    written = prediction.transcript.split()
    timed = display.transcript.words if display.transcript is not None and is_original else ()
    if written and len(timed) == len(written):
        return tuple(
            Word(text=text, start_seconds=word.start_seconds, end_seconds=word.end_seconds)
            for text, word in zip(written, timed, strict=True)
        ), True
    edges = np.linspace(prediction.start_seconds, prediction.end_seconds, len(written) + 1).tolist()
    return tuple(
        Word(text=text, start_seconds=start, end_seconds=end)
        for text, start, end in zip(written, edges[:-1], edges[1:], strict=True)
    ), not written


def _shares(known: Mapping[str, Attribution | None]) -> Shares:
    there = {track: one for track, one in known.items() if one is not None}
    awaited = tuple(track for track in TRACKS.values() if track in known and known[track] is None)
    if not there:
        return Shares(of="", scale=0.0, awaited=awaited) if awaited else NO_SHARES
    targets = {one.target for one in there.values()}
    if len(targets) > 1:
        raise ValueError(f"attributions of {len(targets)} targets do not share a timeline")
    # bars of nothing would only take room; a sentence says so
    points = {track: (100 * one.values).tolist() for track, one in there.items() if np.any(one.values)}
    windows = ()
    if "windows" in points:
        sound = there["windows"]
        spans = sound.start_seconds.tolist(), sound.end_seconds.tolist()
        windows = tuple(zip(*spans, points["windows"], strict=True))
    return Shares(
        of=str(targets.pop()),
        scale=max((abs(value) for values in points.values() for value in values), default=0.0),
        frames=tuple(points.get("frames", ())),
        windows=windows,
        words=tuple(points.get("words", ())),
        awaited=awaited,
    )


def _of_frames(prediction: Prediction, *, reads_picture: bool) -> tuple[str, ...]:
    if prediction.frames is None:
        used = " and ".join(modality for modality, is_there in prediction.present.items() if is_there)
        why = "This clip has no picture" if reads_picture else "The model reads no picture"
        return (f"{why}; the answer rests on {used}.",)
    kept, everyone = len(prediction.frames.kept), len(prediction.frames.times_seconds)
    guide = guide_words(prediction)
    moved = f", moved by {guide} as far as training taught it" if guide else ""
    return (
        f"How to read: of {everyone} candidate frames the model kept {kept} (full colour). The bar under "
        "a frame is its relevance, from the lowest to the highest of this clip: what changes in the "
        f"face{moved}. A dimmed frame was merged into the one its line leads to; × was left out.",
    )


def _absences(strip: Strip) -> tuple[str, ...]:
    sound = ("There is no sound to show.",) if strip.peaks is None else ()
    words = ("No words were read.",) if not strip.words else ()
    return sound + words


def _of_truth(truth: Truth | None) -> tuple[str, ...]:
    bands = [] if truth is None or truth.expression is None else ["how far the expression has unfolded"]
    if truth is not None and truth.voice_window is not None:
        bands.append("under the sound, when the voice is emotional")
    if not bands:
        return ()
    return (f"Hatched, as the clip was made and not what the model found: {'; '.join(bands)}.",)


def _of_shares(known: Mapping[str, Attribution | None]) -> tuple[str, ...]:
    there = {track: one for track, one in known.items() if one is not None}
    if not there:
        return ()
    target = plain(value_name(next(iter(there.values())).target))
    by_method: dict[str, list[str]] = {}
    for track, one in there.items():
        by_method.setdefault(METHOD_NAMES.get(one.method, one.method), []).append(NAMES[track])
    methods = "; ".join(f"{plain(name)} for {' and '.join(of)}" for name, of in by_method.items())
    alone = [NAMES[track] for track, one in there.items() if absent_others(one.method, one.element)]
    by_themselves = f" Of {' and '.join(alone)} it tells what they say by themselves." if alone else ""
    zero = [NAMES[track] for track, one in there.items() if not np.any(one.values)]
    nothing = (f"Nothing came from {' and '.join(zero)}: all their points are zero.",) if zero else ()
    told = (
        f"Attribution says what each part gave to {target}, in percentage points: upward "
        "bars and words with a line below raised it, downward bars and words with a dashed line above "
        f"lowered it, all on one scale. It tells what moved this model, not what is true. By {methods}."
        f"{by_themselves}",
        *nothing,
    )
    return (" ".join(told),)


def _expression_band(truth: Truth) -> MadeBand | None:
    """The face's expression over time, None where the face has none."""
    if truth.expression is None:
        return None
    return MadeBand(
        values=truth.expression.envelope,
        start_seconds=0.0,
        step_seconds=1 / truth.expression.frames_per_second,
        says=f"How it was made. {truth.expression.sentence}",
    )


def _voice_band(truth: Truth) -> MadeBand | None:
    """When the voice is emotional, None where it is not."""
    if truth.voice_window is None:
        return None
    start, end = truth.voice_window
    return MadeBand(
        values=(1.0, 1.0),
        start_seconds=start,
        step_seconds=end - start,
        says=f"How it was made. {truth.voice_sentence}",
    )
