"""The drawings of an explanation's page, as SVG whose colours are the page's."""

from __future__ import annotations

from html import escape

import numpy as np

from app.explain_timeline import Bar, Timeline
from core.attribution.removal import Curves

WIDTH, GUTTER = 1000, 118
"""Of the timeline, in its own pixels; names of tracks stand in the gutter."""

SPACE = 10
TIES, BARS, WAVE, ROW = 26, 74, 40, 20
"""Heights of the tracks: lines to the keepers, bars, sound, a row of words."""

LOWEST, HIGHEST = 36, 66
"""Of the pictures: narrow ones are lower, so that they show more than a slice of a face."""


def points(value: float) -> str:
    """Points of probability with their sign: "+3.1", "−0.4", and "0.0" without one."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def timeline_svg(timeline: Timeline, thumbnails: tuple[str, ...]) -> str:
    """Frames, sound and words over time, each with what it gave, on one scale.

    Args:
        timeline: where everything stands.
        thumbnails: data URI of every candidate frame.
    """
    parts, y = [], 2
    if timeline.frames:
        strip = min(max(1.5 * (WIDTH - GUTTER) * timeline.frame_width, LOWEST), HIGHEST)
        parts += [_name("frames", y + strip / 2), *_strip(timeline.frames, thumbnails, y, strip)]
        y += strip
        parts += _ties(timeline.frames, y)
        y += TIES
        if timeline.frames[0].share is not None:
            parts += [_name("what they gave", y + BARS / 2), *_bars(timeline.frames, y)]
            y += BARS
        y += SPACE
    if timeline.peaks is not None:
        parts += [_name("sound", y + WAVE / 2), _wave(timeline.peaks, y)]
        y += WAVE
    if timeline.windows:
        parts += [_name("what it gave", y + BARS / 2), *_bars(timeline.windows, y)]
        y += BARS + SPACE
    if timeline.words:
        height = ROW * timeline.num_word_rows
        parts += [_name("words", y + height / 2), *_words(timeline.words, y)]
        y += height
        if timeline.words[0].share is not None:
            parts += [_name("what they gave", y + BARS / 2), *_bars(timeline.words, y)]
            y += BARS
    ticks = []
    for place, seconds in timeline.ticks:
        x = _x(place)
        ticks.append(f'<path class="tick" d="M{x:.1f} 0V{y + 4:.1f}"/>')
        ticks.append(
            f'<text class="small" x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{seconds:g} s</text>'
        )
    label = (
        "Timeline of frames, sound and words with what each gave to the answer; the table has the figures."
    )
    return (
        f'<svg class="timeline" viewBox="0 0 {WIDTH + 12} {y + 24:.0f}" role="img" aria-label="{label}">'
        f"{''.join(ticks)}{''.join(parts)}</svg>"
    )


def patches_svg(picture: str, values: np.ndarray, largest: float, title: str) -> str:
    """A frame with what each patch gave: the stronger the colour, the more.

    Args:
        picture: data URI.
        values: `(row, column)`.
        largest: absolute attribution that is drawn in full colour.
        title: what it shows, for those who do not see it.
    """
    rows, columns = values.shape
    cells = [
        f'<rect class="{_sign(values[row, column])}" x="{column}" y="{row}" width="1" height="1" '
        f'fill-opacity="{0.8 * min(1.0, abs(values[row, column]) / largest):.2f}"/>'
        for row, column in zip(*np.nonzero(np.abs(values) > 0.02 * largest), strict=True)
    ]
    return (
        f'<svg class="patches" viewBox="0 0 {columns} {rows}" role="img" aria-label="{escape(title)}">'
        f'<image href="{picture}" width="{columns}" height="{rows}"/>{"".join(cells)}</svg>'
    )


def curves_svg(curves: Curves, title: str) -> str:
    """The value while elements are removed: by attribution, in the reversed order, and in random ones."""
    width, height, left, top = 300, 130, 40, 8
    every = np.concatenate([curves.deletion, curves.reversed_deletion, curves.random.ravel()])
    low, high = float(every.min()), float(every.max())
    high = max(high, low + 0.02)

    def line(values: np.ndarray, name: str) -> str:
        xs = left + width * curves.removed
        ys = top + height * (high - values) / (high - low)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        return f'<polyline class="{name}" points="{path}"/>'

    lines = [line(order, "random") for order in curves.random]
    lines += [line(curves.reversed_deletion, "reversed"), line(curves.deletion, "deletion")]
    texts = [
        f'<text class="small" x="{left - 5}" y="{y}" text-anchor="end">{100 * value:.0f}</text>'
        for value, y in ((high, top + 5), (low, top + height))
    ]
    texts += [
        f'<text class="small" x="{x}" y="{top + height + 16}" text-anchor="{anchor}">{text}</text>'
        for x, anchor, text in ((left, "start", "all there"), (left + width, "end", "all removed"))
    ]
    return (
        f'<svg class="curves" viewBox="0 0 {left + width + 6} {top + height + 22}" role="img" '
        f'aria-label="{escape(title)}"><path class="axis" d="M{left} {top}V{top + height}H{left + width}"/>'
        f"{''.join(lines)}{''.join(texts)}</svg>"
    )


def _x(place: float) -> float:
    return GUTTER + place * (WIDTH - GUTTER)


def _sign(value: float) -> str:
    return "raise" if value > 0 else "lower"


def _name(text: str, y: float) -> str:
    return f'<text class="small" x="0" y="{y + 4:.1f}">{text}</text>'


def _strip(frames: tuple[Bar, ...], thumbnails: tuple[str, ...], y: float, strip: float) -> list[str]:
    parts = []
    for frame in frames:
        x, width = _x(frame.left) + 1, _x(frame.right) - _x(frame.left) - 2
        is_kept = frame.keeper == frame.index
        top, height = (y, strip - 4) if is_kept else (y + 6, strip - 16)
        box = f'x="{x:.1f}" y="{top}" width="{width:.1f}" height="{height:.1f}"'
        parts.append(
            f'<image class="{"kept" if is_kept else "dropped"}" {box} preserveAspectRatio="xMidYMid slice" '
            f'href="{thumbnails[frame.index]}"/>'
        )
        if is_kept:
            parts.append(f'<rect class="frame" {box}/>')
    return parts


def _ties(frames: tuple[Bar, ...], y: float) -> list[str]:
    parts = []
    for frame in frames:
        x = _x(frame.middle)
        if frame.keeper == frame.index:
            parts.append(f'<circle class="keeper" cx="{x:.1f}" cy="{y + 3}" r="3"/>')
        elif frame.keeper < 0:
            parts.append(f'<text class="small" x="{x:.1f}" y="{y + 6}" text-anchor="middle">×</text>')
        else:
            to = _x(frames[frame.keeper].middle)
            low = y + TIES - 4
            parts.append(
                f'<path class="tie" d="M{x:.1f} {y - 6}C{x:.1f} {low} {to:.1f} {low} {to:.1f} {y + 5}"/>'
            )
    return parts


def _bars(bars: tuple[Bar, ...], y: float) -> list[str]:
    """Upwards for what raised the value, downwards for what lowered it."""
    middle, reach = y + BARS / 2, BARS / 2 - 4
    parts = [f'<path class="axis" d="M{GUTTER} {middle}H{WIDTH}"/>']
    for bar in bars:
        height = abs(bar.share) * reach
        if height < 0.05:
            continue
        top = middle - height if bar.share > 0 else middle
        width = max(_x(bar.right) - _x(bar.left) - 3, 2)
        parts.append(
            f'<rect class="{_sign(bar.share)}" x="{_x(bar.left) + 1.5:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}"/>'
        )
    return parts


def _wave(peaks: np.ndarray, y: float) -> str:
    xs = _x(0) + (WIDTH - GUTTER) * (np.arange(len(peaks)) + 0.5) / len(peaks)
    middle, reach = y + WAVE / 2, WAVE / 2 - 2
    top = " ".join(f"{x:.1f},{middle - reach * p:.1f}" for x, p in zip(xs, peaks, strict=True))
    bottom = " ".join(f"{x:.1f},{middle + reach * p:.1f}" for x, p in zip(xs[::-1], peaks[::-1], strict=True))
    return f'<polygon class="wave" points="{top} {bottom}"/>'


def _words(words: tuple[Bar, ...], y: float) -> list[str]:
    return [
        f'<text class="word" x="{_x(word.label):.1f}" y="{y + ROW * word.row + 15}" text-anchor="middle">'
        f"{escape(word.text)}</text>"
        for word in words
    ]
