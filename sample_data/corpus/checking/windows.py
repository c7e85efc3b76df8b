"""Does every distractor disturb what it should, when it should?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sample_data.corpus.checking import figures
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import MAX_CULPRITS, Check, Exhibit, Section
from sample_data.corpus.checking.statistics import separation
from sample_data.corpus.distractors import AUDIO_SHARES, KINDS, VIDEO_SHARES

MIN_SEPARATION = 0.9
MIN_CLIPS = 5
MEASURES = {
    "occlude_mouth": "how much further the mouth's colours are from the usual ones",
    "occlude_eyes": "how much darker the eyes are",
    "blur": "how much less sharp the picture is",
    "pixelate": "how much less sharp the picture is",
    "dark": "how much darker the picture is",
    "grain": "how much grainier calm areas are",
    "hiss": "rise of the quietest tenth of 3 to 7 kHz",
    "babble": "rise of the quietest tenth of 0.3 to 3 kHz",
    "hum": "rise of the quietest tenth around 100 Hz",
    "dropout": "fall of the loudest tenth",
}
TEXT = (
    "Each kind has one measure, taken inside and outside its window. The same in undisturbed clips, in "
    "windows that mean nothing, shows how much it moves by itself. Clips with one distractor of a modality "
    "that leaves a part of the clip undisturbed. Pictures are measured in powers of two, sound in dB."
)

Effects = dict[tuple[str, bool], list[tuple[float, str]]]
"""(kind, whether it is there) → effects with the names of their clips."""


def check_windows(measured: Sequence[Measured]) -> Section:
    """For every kind of distractor, how well its measure tells disturbed windows from idle ones."""
    effects: Effects = {}
    for one in measured:
        for row in one.row.get("windows") or ():
            effects.setdefault((row["kind"], row["is_disturbed"]), []).append((row["effect"], one.name))
    return Section(
        title="Distractors",
        text=TEXT,
        checks=tuple(_check(kind, effects) for kind in KINDS),
        exhibits=(
            _exhibit("Picture", "powers of two", VIDEO_SHARES, effects),
            _exhibit("Sound", "dB", AUDIO_SHARES, effects),
        ),
    )


def _check(kind: str, effects: Effects) -> Check:
    disturbed, idle = effects.get((kind, True), []), effects.get((kind, False), [])
    values, usual = [value for value, _ in disturbed], [value for value, _ in idle]
    can_tell = len(values) >= MIN_CLIPS and len(usual) >= MIN_CLIPS
    score = separation(values, usual) if values and usual else None
    middle = float(np.median(usual)) if usual else 0.0
    hidden = [name for value, name in disturbed if value <= middle]
    return Check(
        name=f"{kind} shows in its window",
        value=score,
        bound=f"separation at least {MIN_SEPARATION}",
        is_passed=score >= MIN_SEPARATION if can_tell else None,
        num_clips=len(values),
        reading=(
            "How often a disturbed window's measure is above an idle one's; 0.5 by chance, 1 always. "
            f"Measure: {MEASURES[kind]}."
        ),
        culprits=tuple(hidden[:MAX_CULPRITS]),
        num_culprits=len(hidden),
    )


def _exhibit(title: str, unit: str, kinds: Iterable[str], effects: Effects) -> Exhibit:
    rows, groups = [], {}
    for kind in kinds:
        for is_disturbed, name in ((True, kind), (False, f"{kind}, idle")):
            values = [value for value, _ in effects.get((kind, is_disturbed), [])]
            if values:
                quartiles = map(float, np.percentile(values, [25, 50, 75]))
                rows.append((name, MEASURES[kind], *quartiles, len(values)))
                groups[name] = values
    return Exhibit(
        title=f"{title}: distractors inside against outside their windows",
        reading=f"In {unit}. Idle windows mean nothing; a distractor should lie clearly above them.",
        columns=("distractor", "measure", "lower quartile", "median", "upper quartile", "clips"),
        rows=tuple(rows),
        figure=figures.boxes(groups, y_title=unit, zero=0.0) if groups else None,
    )
