"""Do the lips follow the sound?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sample_data.corpus.checking import figures
from sample_data.corpus.checking.courses import LAGS_SECONDS
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section
from sample_data.corpus.checking.statistics import draw_weights

MAX_LAG_FRAMES = 1.5
MIN_CLIPS = 12
MIN_CORRELATION = 0.15
"""Of the mean curve. Loudness is not opening: hisses are loud with a small mouth, so that even perfect lips
stay far below one. Lips against other clips' sound stayed below 0.09 when this was measured (40 clips)."""

TEXT = (
    "The mouth is measured from pixels (how much brightness varies in its area) and compared with the "
    "loudness of 0.3 to 3 kHz, slow changes taken from both, at every lag. Clips in which nothing is "
    "disturbed. Above zero the mouth is late. The same with the sidecar's lip opening, for comparison."
)


def check_lips(measured: Sequence[Measured]) -> Section:
    """At what lag mouth and sound agree best, clip by clip and over all clips."""
    seen = [one for one in measured if one.row.get("lips_seen") and not one.sidecar.distractors]
    rate = float(np.median([one.sidecar.frames_per_second for one in seen])) if seen else 25.0
    checks, courses, lags = [], {}, {}
    for column, name in (("lips_seen", "as seen in the pixels"), ("lips_told", "as the sidecar tells")):
        curves = np.array([one.row[column] for one in seen]).reshape(len(seen), len(LAGS_SECONDS))
        if not len(curves):
            continue
        lags[name] = np.array(LAGS_SECONDS)[curves.argmax(axis=1)] * [
            one.sidecar.frames_per_second for one in seen
        ]
        drawn = draw_weights(len(curves)) @ curves / len(curves)
        courses[name] = (curves.mean(axis=0), *np.percentile(drawn, [2.5, 97.5], axis=0))
        if column == "lips_seen":
            checks += _checks(curves, drawn, lags[name], rate)
    exhibits = []
    if courses:
        exhibits.append(
            Exhibit(
                title="Lips and loudness, by lag",
                reading="Mean correlation over clips with its 95 % band; the peak should lie at zero.",
                columns=("lag in seconds", *(f"correlation {name}" for name in courses)),
                rows=tuple(zip(LAGS_SECONDS, *(course[0] for course in courses.values()), strict=True)),
                figure=figures.curves(
                    courses, LAGS_SECONDS, x_title="lag of the mouth in seconds", y_title="correlation"
                ),
            )
        )
        edges = np.arange(-5.5, 6.0)
        exhibits.append(
            Exhibit(
                title="Best lag, clip by clip",
                reading=(
                    "In frames. A single clip's loudness says little about its lips, so clips scatter; their "
                    "middle counts."
                ),
                columns=("lag in frames", *(f"share {name}" for name in lags)),
                rows=tuple(
                    (f"{low:+.1f} … {low + 1:+.1f}", *(_share(values, low) for values in lags.values()))
                    for low in edges[:-1]
                ),
                figure=figures.histogram(
                    lags["as seen in the pixels"], x_title="best lag in frames, from the pixels", step=0.5
                ),
            )
        )
    return Section(title="Lips and sound", text=TEXT, checks=tuple(checks), exhibits=tuple(exhibits))


def _checks(curves: np.ndarray, drawn: np.ndarray, lags: np.ndarray, rate: float) -> list[Check]:
    is_enough = len(curves) >= MIN_CLIPS
    seconds = np.array(LAGS_SECONDS)
    peaks = seconds[drawn.argmax(axis=1)] * rate
    peak = float(seconds[curves.mean(axis=0).argmax()] * rate)
    heights = drawn.max(axis=1)
    height = float(curves.mean(axis=0).max())
    median = float(np.median(lags))
    medians = np.median(lags[np.random.default_rng(0).integers(len(lags), size=(1000, len(lags)))], axis=1)
    return [
        Check(
            name="The lips move with the sound",
            value=height,
            low=float(np.percentile(heights, 2.5)),
            high=float(np.percentile(heights, 97.5)),
            bound=f"mean correlation at the best lag at least {MIN_CORRELATION}",
            is_passed=height >= MIN_CORRELATION if is_enough else None,
            num_clips=len(curves),
            reading="From pixels and sound alone. Near 0 the mouth would move by itself.",
        ),
        Check(
            name="The lips are neither early nor late, over all clips",
            value=peak,
            low=float(np.percentile(peaks, 2.5)),
            high=float(np.percentile(peaks, 97.5)),
            bound=f"peak of the mean correlation within ±{MAX_LAG_FRAMES} frames",
            is_passed=abs(peak) <= MAX_LAG_FRAMES if is_enough else None,
            num_clips=len(curves),
            reading="In frames; above zero the mouth comes after the sound.",
        ),
        Check(
            name="The lips are neither early nor late, in the middle clip",
            value=median,
            low=float(np.percentile(medians, 2.5)),
            high=float(np.percentile(medians, 97.5)),
            bound=f"median of the best lags within ±{MAX_LAG_FRAMES} frames",
            is_passed=abs(median) <= MAX_LAG_FRAMES if is_enough else None,
            num_clips=len(curves),
            reading=(
                f"In frames; {(np.abs(lags) <= MAX_LAG_FRAMES).mean():.0%} of clips lie within the bound."
            ),
        ),
    ]


def _share(values: np.ndarray, low: float) -> float:
    return float(((values >= low) & (values < low + 1)).mean())
