"""Is the face found, and where it is said to be?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sample_data.corpus.checking import figures
from sample_data.corpus.checking.courses import FOUND_OVERLAP
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import MAX_CULPRITS, Check, Exhibit, Section
from sample_data.corpus.checking.statistics import clustered_mean

MIN_FOUND, MIN_OVERLAP = 0.99, 0.5
MIN_FRAMES = 30
TEXT = (
    "The project's own face detector looks at eight frames of every clip. A face is found where a detected "
    f"box and the true one overlap by at least {FOUND_OVERLAP} (intersection over union)."
)


def check_faces(measured: Sequence[Measured]) -> Section:
    """How often the face is found, undisturbed and under each video distractor."""
    frames = [
        (
            one,
            frame,
            frame["kinds"][0] if len(frame["kinds"]) == 1 else "several" if frame["kinds"] else "none",
        )
        for one in measured
        for frame in one.row.get("faces") or ()
    ]
    undisturbed = [(one, frame) for one, frame, kind in frames if kind == "none"]
    found = [frame["overlap"] >= FOUND_OVERLAP for _, frame in undisturbed]
    missed = dict.fromkeys(
        one.name for (one, _), is_found in zip(undisturbed, found, strict=True) if not is_found
    )
    share = clustered_mean(found, [one.sidecar.plan.speaker.speaker_id for one, _ in undisturbed])
    overlaps = [frame["overlap"] for (_, frame), is_found in zip(undisturbed, found, strict=True) if is_found]
    median = float(np.median(overlaps)) if overlaps else None
    num_clips = len({one.name for one, _ in undisturbed})
    is_enough = len(undisturbed) >= MIN_FRAMES
    checks = (
        Check(
            name="The face is found in undisturbed frames",
            value=share.value if undisturbed else None,
            low=share.low,
            high=share.high,
            bound=f"at least {MIN_FOUND:.0%} of frames",
            is_passed=share.value >= MIN_FOUND if is_enough else None,
            num_clips=num_clips,
            reading=(
                "A face that is missed cannot be read by the model either; look at the clips that are named."
            ),
            culprits=tuple(missed)[:MAX_CULPRITS],
            num_culprits=len(missed),
        ),
        Check(
            name="The face is where the sidecar says",
            value=median,
            bound=f"median overlap at least {MIN_OVERLAP}",
            is_passed=median is not None and median >= MIN_OVERLAP if is_enough else None,
            num_clips=num_clips,
            reading=(
                "Intersection over union of the detected and the true box. The detector leaves out part of "
                "the forehead, so 1 is not to be expected."
            ),
        ),
    )
    rows, drawn = [], []
    for kind in sorted({kind for _, _, kind in frames}, key=lambda kind: (kind != "none", kind)):
        of_kind = [(one, frame) for one, frame, which in frames if which == kind]
        rate = clustered_mean(
            [frame["overlap"] >= FOUND_OVERLAP for _, frame in of_kind],
            [one.sidecar.plan.speaker.speaker_id for one, _ in of_kind],
        )
        middle = float(np.median([frame["overlap"] for _, frame in of_kind]))
        several = float(np.mean([frame["num_found"] > 1 for _, frame in of_kind]))
        rows.append((kind, rate.value, rate.low, rate.high, middle, several, len(of_kind)))
        drawn.append((kind, "found", rate.value, rate.low, rate.high))
    return Section(
        title="Faces",
        text=TEXT,
        checks=checks,
        exhibits=(
            Exhibit(
                title="Faces found, by what disturbs the picture",
                reading=(
                    "Share of frames; what disturbs the picture may well hide the face from the detector."
                ),
                columns=("distractor", "found", "low", "high", "median overlap", "several found", "frames"),
                rows=tuple(rows),
                figure=figures.intervals(drawn, x_title="share of frames", zero=MIN_FOUND) if drawn else None,
            ),
        ),
    )
