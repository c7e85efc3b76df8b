"""Are the files what their sidecars and the plan say, and do splits share nothing?"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from core.labels import MELD_7
from sample_data.corpus.checking import figures
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section, rule
from sample_data.corpus.make import CORPUS_FILE, MANIFEST_FILE, manifest_row
from sample_data.corpus.plan import CELLS, LABEL_WEIGHTS, plan_hash
from sample_data.corpus.presets import PRESETS
from sample_data.corpus.schema import SPLITS, Sidecar

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 7.0
DURATION_TOLERANCE_SECONDS = 0.1
START_TOLERANCE_SECONDS, END_TOLERANCE_SECONDS = 0.3, 0.5
"""Breath and the fading of the last sound lie below what is counted as speech."""

SPEECH_SHARE = 0.99
TEXT = "Every file is opened and decoded through the project's own guarded reader, as the app does it."


def check_files(measured: Sequence[Measured], folder: Path) -> Section:
    """Streams, sizes, times, counts and splits."""
    read = [one for one in measured if not one.row["error"]]
    checks = [
        rule(
            "Every clip can be read",
            [f"{one.name}: {one.row['error']}" for one in measured if one.row["error"]],
            len(measured),
            "A file that is missing or damaged is named; make the corpus again.",
        ),
        _clip_rule(
            "Streams are there but where one is planned to be missing",
            read,
            _has_planned_streams,
            "A clip without sound has no audio stream, one without picture no video stream.",
        ),
        _clip_rule(
            "Files last as long as their sidecars say",
            read,
            lambda one: (
                abs(one.row["file_seconds"] - one.sidecar.duration_seconds) <= DURATION_TOLERANCE_SECONDS
            ),
            f"Within {DURATION_TOLERANCE_SECONDS} s: sound comes in blocks of 64 ms.",
        ),
        _clip_rule(
            f"Clips last {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds",
            read,
            lambda one: SHORTEST_SECONDS <= one.sidecar.duration_seconds <= LONGEST_SECONDS,
            "As utterances of the real data sets mostly do.",
        ),
        _clip_rule(
            "Pictures have the size and number that the sidecars say",
            [one for one in read if one.row["has_video"] and one.sidecar.face is not None],
            lambda one: (
                (one.row["width"], one.row["height"], one.row["num_frames"])
                == (one.sidecar.size, one.sidecar.size, one.sidecar.num_frames)
            ),
            "Otherwise the tracks of the sidecar do not belong to the frames.",
        ),
        _clip_rule(
            "Speech begins and ends when the sidecars say",
            [one for one in read if _has_clear_speech(one)],
            _speaks_in_time,
            f"Measured from the sound, within {START_TOLERANCE_SECONDS} s and {END_TOLERANCE_SECONDS} s. "
            "Another clip's sound would be found here.",
            share=SPEECH_SHARE,
        ),
        _clip_rule(
            "Every word of the transcript has a time",
            [one for one in measured if one.sidecar.sound is not None and one.sidecar.transcript],
            _has_timed_words,
            "The words of the sidecar are those of the transcript, in order; each begins before it ends, and "
            "none before the one that it follows. Clips with a voice and words.",
        ),
        _clip_rule(
            "The sidecar beside a clip says the same as the corpus's table",
            read,
            lambda one: not one.row["sidecar_differs"],
            "They are written from the same numbers.",
        ),
        _manifest(measured, folder),
        *_plan(measured, folder),
        *(_disjoint(measured, *one) for one in _DISJOINT),
    ]
    return Section(
        title="Files", text=TEXT, checks=tuple(checks), exhibits=(_counts(measured), _durations(measured))
    )


def normalised(text: str) -> str:
    """A sentence without case, punctuation and double spaces."""
    return " ".join(re.findall(r"[\w']+", text.lower()))


def _clip_rule(
    name: str,
    clips: Sequence[Measured],
    holds: Callable[[Measured], bool],
    reading: str,
    *,
    share: float = 1.0,
) -> Check:
    return rule(name, [one.name for one in clips if not holds(one)], len(clips), reading, share=share)


def _has_planned_streams(one: Measured) -> bool:
    missing = one.sidecar.plan.missing
    is_text_right = bool(one.sidecar.transcript) == (missing != "text")
    streams = one.row["has_video"], one.row["has_audio"]
    return is_text_right and streams == (missing != "video", missing != "audio")


def _has_clear_speech(one: Measured) -> bool:
    return one.row["has_audio"] and one.sidecar.sound is not None and not one.disturbs("audio")


def _speaks_in_time(one: Measured) -> bool:
    start, end = one.row["voice_start"], one.row["voice_end"]
    if start is None or end is None:
        return False
    return (
        abs(start - one.sidecar.speech_start_seconds) <= START_TOLERANCE_SECONDS
        and abs(end - one.sidecar.speech_end_seconds) <= END_TOLERANCE_SECONDS
    )


def _has_timed_words(one: Measured) -> bool:
    timed, spoken = one.sidecar.sound.words, map(_bare, one.sidecar.transcript.split())
    starts = [word.start_seconds for word in timed]
    return (
        [_bare(word.text) for word in timed] == [word for word in spoken if word]
        and starts == sorted(starts)
        and all(word.start_seconds < word.end_seconds for word in timed)
    )


def _bare(word: str) -> str:
    return normalised(word).strip("'")


def _manifest(measured: Sequence[Measured], folder: Path) -> Check:
    expected = {
        str(one.path.relative_to(folder)): {
            name: str(value)
            for name, value in manifest_row(one.sidecar, one.path.relative_to(folder).as_posix()).items()
        }
        for one in measured
    }
    try:
        with (folder / MANIFEST_FILE).open(newline="", encoding="utf-8") as file:
            found = {row["path"]: row for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error):
        found = {}
    wrong = [path for path in sorted({*expected, *found}) if expected.get(path) != found.get(path)]
    return rule(
        "The manifest tells the same clips as the table", wrong, len(measured), "Training reads the manifest."
    )


def _plan(measured: Sequence[Measured], folder: Path) -> list[Check]:
    plans = tuple(one.sidecar.plan for one in measured)
    try:
        description = json.loads((folder / CORPUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        description = {}
    preset = PRESETS.get(description.get("preset", ""))
    is_same = description.get("plan_sha256") == plan_hash(plans)
    checks = [
        rule(
            f"The clips are those that {CORPUS_FILE} was written for",
            [] if is_same else [f"{len(plans)} clips, their plans do not have the recorded SHA-256"],
            len(plans),
            "The hash of all plans is recorded before the first clip is made.",
        )
    ]
    if preset is None:
        return checks
    if preset.design == "balanced":
        counts = Counter((plan.cell, plan.label) for plan in plans)
        cells = [(cell, label) for cell in CELLS for label in MELD_7.labels]
        most = max(counts[cell] for cell in cells)
        wrong = [
            f"{cell}, {label}: {counts[cell, label]}"
            for cell, label in cells
            if counts[cell, label] < most - 1
        ]
        name = "Every label is in every cell equally often"
    else:
        wrong = []
        for split in SPLITS:
            labels = Counter(plan.label for plan in plans if plan.split == split)
            clips_per_weight = labels.total() / sum(LABEL_WEIGHTS.values())
            for label, weight in LABEL_WEIGHTS.items():
                if abs(labels[label] - weight * clips_per_weight) > 1:
                    wrong.append(f"{split}, {label}: {labels[label]} of {labels.total()}")
        name = "Labels have the planned shares in every split"
    checks.append(rule(name, wrong, len(plans), "Within one clip."))
    return checks


_DISJOINT: tuple[tuple[str, Callable[[Sidecar], Sequence[str]]], ...] = (
    ("speaker", lambda sidecar: [sidecar.plan.speaker.speaker_id]),
    ("face", lambda sidecar: [str(sidecar.plan.speaker.identity_seed)]),
    ("voice", lambda sidecar: sidecar.plan.speaker.voices),
    ("sentence", lambda sidecar: [normalised(sidecar.plan.transcript)]),
)


def _disjoint(
    measured: Sequence[Measured], name: str, values_of: Callable[[Sidecar], Sequence[str]]
) -> Check:
    splits = defaultdict(set)
    for one in measured:
        for value in values_of(one.sidecar):
            splits[value].add(one.sidecar.plan.split)
    shared = [f"{value}: {', '.join(sorted(where))}" for value, where in splits.items() if len(where) > 1]
    return rule(
        f"No {name} is in two splits",
        shared,
        len(measured),
        f"{len(splits)} in all. What training has seen must not be tested on.",
    )


def _counts(measured: Sequence[Measured]) -> Exhibit:
    counts = Counter((one.sidecar.plan.cell, one.sidecar.plan.label) for one in measured)
    return Exhibit(
        title="Clips by cell and label",
        reading="A cell is what carries the label; a neutral clip is set against one.",
        columns=("cell", *MELD_7.labels, "all"),
        rows=tuple(
            (cell, *row, sum(row))
            for cell in CELLS
            if sum(row := [counts[cell, label] for label in MELD_7.labels])
        ),
    )


def _durations(measured: Sequence[Measured]) -> Exhibit:
    groups = {
        label: [one.sidecar.duration_seconds for one in measured if one.sidecar.plan.label == label]
        for label in MELD_7.labels
    }
    groups = {label: values for label, values in groups.items() if values}
    return Exhibit(
        title="Duration by label",
        reading="In seconds. Slow voices make longer clips, as people do.",
        columns=("label", "clips", "shortest", "mean", "longest"),
        rows=tuple(
            (label, len(values), min(values), sum(values) / len(values), max(values))
            for label, values in groups.items()
        ),
        figure=figures.boxes(groups, y_title="seconds"),
    )
