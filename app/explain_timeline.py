"""Where everything stands on the timeline of an explanation: one layout for the page and the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.display import ClipDisplay
from core.attribution.explain import Explanation
from core.prediction import Prediction

CHARACTER = 0.0098
"""Width of a character, as a share of the timeline's, at the size in which both drawings write words."""

NUM_TICKS = 8
"""Of the time axis, at most."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What one frame, window or word gave, where it is drawn.

    Attributes:
        index: of the element.
        left / right: shares of the timeline's width.
        share: points of probability over those of the longest bar, −1 … 1; None without an attribution.
        text: the word; "" of others.
        row: of a word, 0 upwards: words that would touch stand in different rows.
        label: of a word, where the middle of its text stands, so that it ends within the timeline.
        keeper: of a frame, the frame that holds it now: itself where kept, −1 where it is lost.
    """

    index: int
    left: float
    right: float
    share: float | None
    text: str = ""
    row: int = 0
    label: float = 0.0
    keeper: int = -1

    @property
    def middle(self) -> float:
        """Share of the timeline's width."""
        return (self.left + self.right) / 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """A clip from its begin to its end.

    Attributes:
        frames, windows, words: empty where the clip has none.
        peaks: `(column,)` loudness in [0, 1]; None without sound.
        has_word_times: where not, the words are spread evenly.
        longest: absolute attribution of the longest bar, in points of probability; 0 without any.
        ticks: share of the width, and seconds.
    """

    frames: tuple[Bar, ...]
    windows: tuple[Bar, ...]
    words: tuple[Bar, ...]
    peaks: np.ndarray | None
    has_word_times: bool
    longest: float
    ticks: tuple[tuple[float, float], ...]

    @property
    def frame_width(self) -> float:
        """Of the narrowest frame, as a share of the timeline's."""
        return min((frame.right - frame.left for frame in self.frames), default=0.0)

    @property
    def num_word_rows(self) -> int:
        """How many rows the words take."""
        return max((word.row for word in self.words), default=-1) + 1

    @classmethod
    def of(cls, explanation: Explanation, display: ClipDisplay) -> Timeline:
        """Lays out an explanation; the scale is one for all elements, so that they can be compared."""
        prediction, found = explanation.prediction, explanation.attributions
        start, end = prediction.start_seconds, prediction.end_seconds

        def at(seconds: np.ndarray) -> np.ndarray:
            return np.clip((np.asarray(seconds, float) - start) / (end - start), 0, 1)

        drawn = [found[element].values for element in ("frame", "window", "word") if element in found]
        longest = max((float(np.abs(values).max()) for values in drawn), default=0.0)

        def shares(element: str, num: int) -> list[float | None]:
            if element not in found:
                return [None] * num
            return (found[element].values / (longest or 1.0)).tolist()

        windows: tuple[Bar, ...] = ()
        if "window" in found:
            edges = at(found["window"].start_seconds), at(found["window"].end_seconds)
            windows = tuple(
                Bar(index=i, left=left, right=right, share=share)
                for i, (left, right, share) in enumerate(
                    zip(*(edge.tolist() for edge in edges), shares("window", len(edges[0])), strict=True)
                )
            )
        words = prediction.transcript.split()
        timed = display.transcript.words if display.transcript else ()
        has_times = len(timed) == len(words)
        if has_times:
            lefts = at([word.start_seconds for word in timed])
            rights = at([word.end_seconds for word in timed])
        else:
            edges = np.linspace(0, 1, len(words) + 1)
            lefts, rights = edges[:-1], edges[1:]
        return cls(
            frames=_frames(prediction, at, shares),
            windows=windows,
            words=_words(words, lefts.tolist(), rights.tolist(), shares("word", len(words))),
            peaks=display.peaks,
            has_word_times=has_times,
            longest=longest,
            ticks=tuple((float(at(seconds)), float(seconds)) for seconds in _ticks(start, end)),
        )


def _frames(prediction: Prediction, at, shares) -> tuple[Bar, ...]:
    if prediction.frames is None:
        return ()
    times, keepers = at(prediction.frames.times_seconds), prediction.frames.absorbed_by
    # each frame stands for the time until the middle between it and the next one
    between = (times[1:] + times[:-1]) / 2
    edges = np.concatenate([[0.0], between, [1.0]]).tolist()
    return tuple(
        Bar(index=i, left=left, right=right, share=share, keeper=int(keeper))
        for i, (left, right, share, keeper) in enumerate(
            zip(edges[:-1], edges[1:], shares("frame", len(times)), keepers, strict=True)
        )
    )


def _words(
    words: list[str], lefts: list[float], rights: list[float], shares: list[float | None]
) -> tuple[Bar, ...]:
    ends: list[float] = []
    bars = []
    for i, (text, left, right, share) in enumerate(zip(words, lefts, rights, shares, strict=True)):
        half = CHARACTER * (len(text) + 1) / 2
        middle = min(max((left + right) / 2, half), max(1 - half, half))
        row = next((row for row, end in enumerate(ends) if middle - half >= end), len(ends))
        ends[row:] = [middle + half, *ends[row + 1 :]]
        bars.append(Bar(index=i, left=left, right=right, share=share, text=text, row=row, label=middle))
    return tuple(bars)


def _ticks(start: float, end: float) -> np.ndarray:
    steps = np.array([0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600])
    fitting = steps[(end - start) / steps <= NUM_TICKS]
    step = fitting[0] if len(fitting) else steps[-1]
    # adding zero makes a plain one of −0
    return np.arange(np.ceil(start / step - 1e-9), np.floor(end / step + 1e-9) + 1) * step + 0.0
