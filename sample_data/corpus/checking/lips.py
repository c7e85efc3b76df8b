"""Do the lips follow the sound?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sample_data.corpus.checking import figures
from sample_data.corpus.checking.courses import LAGS_SECONDS
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section
from sample_data.corpus.checking.statistics import MIN_CLUSTERS, clustered_statistic, drawn_means

MAX_LAG_FRAMES = 1.5
MIN_CLIPS = 100
CURVES = {
    "lips_seen": "as seen in the pixels",
    "lips_told": "as the sidecar tells",
    "lips_idle": "as seen, sound backwards",
}
TEXT = (
    "The mouth is measured from pixels: how far its area looks from how it looks before and after speech. "
    "That is compared with the loudness of 0.3 to 3 kHz within speech, slow changes taken from both, at "
    "every lag. Above zero the mouth is late. The same with the sound played backwards shows what chance "
    "gives, and with the sidecar's lip opening, how much the pixels can show at best: hisses are loud with "
    "a small mouth. Clips in which nothing is disturbed; intervals are 95 % bootstrap intervals over "
    f"speakers. A check takes {MIN_CLIPS} clips of {MIN_CLUSTERS} speakers."
)


def check_lips(measured: Sequence[Measured]) -> Section:
    """At what lag mouth and sound agree best, clip by clip and over all clips."""
    clips = [one for one in measured if one.row.get("lips_seen") and not one.sidecar.distractors]
    if not clips:
        return Section(title="Lips and sound", text=TEXT, checks=())
    rates = np.array([one.sidecar.frames_per_second for one in clips])
    speakers = [one.sidecar.plan.speaker.speaker_id for one in clips]
    curves = {name: np.array([one.row[name] for one in clips]) for name in CURVES}
    lags = {
        name: np.array(LAGS_SECONDS)[curves[name].argmax(axis=1)] * rates
        for name in ("lips_seen", "lips_told")
    }
    return Section(
        title="Lips and sound",
        text=TEXT,
        checks=tuple(_checks(curves, lags["lips_seen"], float(np.median(rates)), speakers)),
        exhibits=(_curves(curves, speakers), _lags(lags)),
    )


def _checks(
    curves: dict[str, np.ndarray], lags: np.ndarray, rate: float, speakers: Sequence[str]
) -> list[Check]:
    seconds = np.array(LAGS_SECONDS)
    is_near = np.abs(seconds) * rate <= MAX_LAG_FRAMES

    def gain_of(means: np.ndarray) -> np.ndarray:
        seen, idle = means[:, 0, is_near], means[:, 1, is_near]
        return seen.max(axis=1) - idle.max(axis=1)

    def peak_of(means: np.ndarray) -> np.ndarray:
        return seconds[means.argmax(axis=1)] * rate

    both = np.stack([curves["lips_seen"], curves["lips_idle"]], axis=1)
    gain = clustered_statistic(gain_of, both, speakers)
    peak = clustered_statistic(peak_of, curves["lips_seen"], speakers)
    best = curves["lips_seen"].mean(axis=0)[is_near].max()
    share = np.mean(np.abs(lags) <= MAX_LAG_FRAMES)
    return [
        Check(
            name="The lips move with the sound",
            value=gain.value,
            low=gain.low,
            high=gain.high,
            bound="above 0, and so is the interval",
            is_passed=gain.verdict(gain.low > 0, MIN_CLIPS),
            num_clips=gain.num,
            reading=(
                f"Mean correlation at the best lag within ±{MAX_LAG_FRAMES} frames "
                f"({best:.2f}), less the same with the sound played backwards. From pixels "
                "and sound alone."
            ),
        ),
        Check(
            name="The lips are neither early nor late",
            value=peak.value,
            low=peak.low,
            high=peak.high,
            bound=f"peak of the mean correlation within ±{MAX_LAG_FRAMES} frames",
            is_passed=peak.verdict(abs(peak.value) <= MAX_LAG_FRAMES, MIN_CLIPS),
            num_clips=peak.num,
            reading=(
                f"In frames; above zero the mouth comes after the sound. Clip by clip the median of the best "
                f"lags is {np.median(lags):+.2f} frames, and {share:.0%} of clips lie within the bound."
            ),
        ),
    ]


def _curves(curves: dict[str, np.ndarray], speakers: Sequence[str]) -> Exhibit:
    courses = {}
    for name, told in CURVES.items():
        drawn = drawn_means(curves[name], speakers)
        courses[told] = (curves[name].mean(axis=0), *np.percentile(drawn, [2.5, 97.5], axis=0))
    return Exhibit(
        title="Lips and loudness, by lag",
        reading="Mean correlation over clips with its 95 % band; the peak should lie near zero.",
        columns=("lag in seconds", *(f"correlation {name}" for name in courses)),
        rows=tuple(zip(LAGS_SECONDS, *(course[0] for course in courses.values()), strict=True)),
        figure=figures.curves(
            courses, LAGS_SECONDS, x_title="lag of the mouth in seconds", y_title="correlation"
        ),
    )


def _lags(lags: dict[str, np.ndarray]) -> Exhibit:
    edges = np.arange(-5.5, 6.0)
    return Exhibit(
        title="Best lag, clip by clip",
        reading=(
            "In frames. One clip's loudness says little about its lips, so clips scatter; their middle "
            "counts."
        ),
        columns=("lag in frames", *(f"share {CURVES[name]}" for name in lags)),
        rows=tuple(
            (f"{low:+.1f} … {low + 1:+.1f}", *(_share(values, low) for values in lags.values()))
            for low in edges[:-1]
        ),
        figure=figures.histogram(lags["lips_seen"], x_title="best lag in frames, from the pixels", step=0.5),
    )


def _share(values: np.ndarray, low: float) -> float:
    return float(((values >= low) & (values < low + 1)).mean())
