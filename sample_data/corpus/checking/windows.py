"""Does every distractor disturb what it should, when it should?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sample_data.corpus.checking import figures
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section
from sample_data.corpus.checking.statistics import separation
from sample_data.corpus.distractors import KINDS

MIN_SEPARATION = 0.9
MIN_CLIPS = 5
MEASURES = {
    "occlude_mouth": "difference of the mouth's colours from those outside the window, in levels",
    "occlude_eyes": "how much darker the eyes are, in powers of two",
    "blur": "how much less sharp the picture is, in powers of two",
    "pixelate": "how much less sharp the picture is, in powers of two",
    "dark": "how much darker the picture is, in powers of two",
    "grain": "how much grainier calm areas are, in powers of two",
    "hiss": "rise of the quietest tenth of 3 to 7 kHz, in dB",
    "babble": "rise of the quietest tenth of 0.3 to 3 kHz, in dB",
    "hum": "rise of the quietest tenth around 100 Hz, in dB",
    "dropout": "fall of the loudest tenth, in dB",
}
TEXT = (
    "Each kind has one measure, taken inside and outside its window. The same in undisturbed clips, in "
    "windows that mean nothing, shows how much it moves by itself. Clips with one distractor of a modality "
    "that leaves a part of the clip undisturbed."
)


def check_windows(measured: Sequence[Measured]) -> Section:
    """For every kind of distractor, how well its measure tells disturbed windows from idle ones."""
    effects: dict[tuple[str, bool], list[tuple[float, str]]] = {}
    for one in measured:
        for row in one.row.get("windows") or ():
            effects.setdefault((row["kind"], row["is_disturbed"]), []).append((row["effect"], one.name))
    checks, rows, groups = [], [], {}
    for kind in KINDS:
        disturbed, idle = effects.get((kind, True), []), effects.get((kind, False), [])
        values, usual = [value for value, _ in disturbed], [value for value, _ in idle]
        can_tell = len(values) >= MIN_CLIPS and len(usual) >= MIN_CLIPS
        score = separation(values, usual) if values and usual else None
        middle = float(np.median(usual)) if usual else 0.0
        hidden = [name for value, name in disturbed if value <= middle]
        checks.append(
            Check(
                name=f"{kind} shows in its window",
                value=score,
                bound=f"separation at least {MIN_SEPARATION}",
                is_passed=score >= MIN_SEPARATION if can_tell else None,
                num_clips=len(values),
                reading=(
                    "How often a disturbed window's measure is above an idle one's; 0.5 by chance, 1 always. "
                    f"Measure: {MEASURES[kind]}."
                ),
                culprits=tuple(hidden[:20]),
                num_culprits=len(hidden),
            )
        )
        if values or usual:
            rows.append(
                (kind, MEASURES[kind], *_quartiles(values), len(values), *_quartiles(usual), len(usual))
            )
        if values:
            groups |= {kind: values, f"{kind}, idle": usual}
    exhibit = Exhibit(
        title="Distractors inside against outside their windows",
        reading="Medians with the middle half; idle windows mean nothing and should lie around 0.",
        columns=(
            *("kind", "measure", "disturbed: lower quartile", "median", "upper quartile", "clips"),
            *("idle: lower quartile", "median (idle)", "upper quartile (idle)", "clips (idle)"),
        ),
        rows=tuple(rows),
        figure=figures.boxes(groups, y_title="effect, in the measure's own unit", zero=0.0)
        if groups
        else None,
    )
    return Section(title="Distractors", text=TEXT, checks=tuple(checks), exhibits=(exhibit,))


def _quartiles(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(map(float, np.percentile(values, [25, 50, 75]))) if values else (None, None, None)
