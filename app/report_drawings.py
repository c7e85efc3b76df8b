"""The drawings of a report: SVG in the page's colours or an emotion's; the numbers stand beside them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from core.evaluation import Estimate
from core.evaluation.calibration import ReliabilityBin

RAIL_WIDTH, RAIL_HEIGHT = 110, 10
DOT = 3.6


def rail_svg(
    estimate: Estimate, color: str, *, low: float = 0.0, high: float = 1.0, marks: Sequence[float] = ()
) -> str:
    """A dot for the figure on a rail, a line for its interval; silent, since the numbers stand beside it.

    Args:
        estimate: of the figure; without a value the rail is empty.
        color: of the dot, as CSS.
        low: left end of the rail.
        high: right end.
        marks: values where a thin line crosses the rail, such as what chance gives.
    """

    def x(value: float) -> float:
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return DOT + share * (RAIL_WIDTH - 2 * DOT)

    middle = RAIL_HEIGHT / 2
    parts = [f'<rect class="rail" width="{RAIL_WIDTH}" height="{RAIL_HEIGHT}" rx="3"/>']
    parts += [f'<path class="mark" d="M{x(mark):.1f} 0V{RAIL_HEIGHT}"/>' for mark in marks]
    if estimate.value is not None:
        if estimate.low is not None and estimate.high is not None:
            ends = f"M{x(estimate.low):.1f} {middle}H{x(estimate.high):.1f}"
            parts.append(f'<path class="reach" d="{ends}"/>')
        parts.append(
            f'<circle class="dot" cx="{x(estimate.value):.1f}" cy="{middle}" r="{DOT}" '
            f'style="fill:{escape(color)}"/>'
        )
    box = f"0 0 {RAIL_WIDTH} {RAIL_HEIGHT}"
    return f'<svg class="rail" viewBox="{box}" aria-hidden="true">{"".join(parts)}</svg>'


def reliability_svg(bins: Sequence[ReliabilityBin]) -> str:
    """Share right against mean confidence in equal bins of confidence, and how many clips each bin holds."""
    left, top, side, gap, low = 46, 12, 300, 16, 60
    right, bottom = left + side, top + side
    base = bottom + gap + low
    most = max((one.num_clips for one in bins), default=0) or 1

    def x(value: float) -> float:
        return left + side * value

    def y(value: float) -> float:
        return bottom - side * value

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="tick" d="M{left} {y(tick):.1f}H{right}M{x(tick):.1f} {top}V{base}"/>')
        parts.append(_text(left - 6, y(tick) + 4, f"{100 * tick:.0f}", "end"))
        parts.append(_text(x(tick), base + 16, f"{100 * tick:.0f}", "middle"))
    parts.append(f'<path class="diagonal" d="M{left} {bottom}L{right} {top}"/>')
    points = []
    for one in bins:
        if not one.num_clips:
            continue
        start, width = x(one.low) + 1, side * (one.high - one.low) - 2
        height = side * one.accuracy
        parts.append(
            f'<rect class="share" x="{start:.1f}" y="{bottom - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"/>'
        )
        tall = low * one.num_clips / most
        parts.append(
            f'<rect class="count" x="{start:.1f}" y="{base - tall:.1f}" width="{width:.1f}" '
            f'height="{tall:.1f}"/>'
        )
        px, py, on_line = x(one.confidence), y(one.accuracy), y(one.confidence)
        points.append(f'<path class="gap" d="M{px:.1f} {on_line:.1f}V{py:.1f}"/>')
        points.append(f'<circle class="point" cx="{px:.1f}" cy="{py:.1f}" r="4"/>')
    parts += points
    parts.append(f'<path class="axis" d="M{left} {top}V{bottom}H{right}M{left} {base}H{right}"/>')
    parts.append(_text(left + side / 2, base + 36, "confidence in %", "middle"))
    parts.append(_turned(12, top + side / 2, "right in %"))
    parts.append(_turned(12, base - low / 2, "clips"))
    parts.append(_text(left - 6, base - low + 6, f"{most:,}", "end"))
    told = sum(one.num_clips for one in bins)
    label = (
        f"Reliability diagram of {told:,} clips in {len(bins)} bins of confidence; the table beside it has "
        "its numbers."
    )
    return (
        f'<svg class="reliability" viewBox="0 0 {right + 14} {base + 44}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="small" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _turned(x: float, y: float, text: str) -> str:
    return (
        f'<text class="small" transform="translate({x} {y:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(text)}</text>"
    )
