"""MELD: utterances of the series Friends, seven emotions, with an official split.

The annotations are `{train,dev,test}_sent_emo.csv`; the clips are `dia{X}_utt{Y}.mp4`, in folders that each
release names and nests in its own way. Dialogue ids restart in each split, so that an utterance is known by
split, dialogue and utterance together.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from core.labels import MELD_7
from core.media import MEDIA_SUFFIXES
from core.texts import require_size
from training.datasets.folders import best_medium, files_below, split_of, unusable
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

TABLES = {split: f"{split}_sent_emo.csv" for split in ("train", "dev", "test")}

MAX_ANNOTATED_SECONDS = 30.0
"""Longer than any utterance: three rows have 41, 235 and 305 s, and their clips show other scenes."""

BROKEN_IN_THE_RELEASE = {("train", "dia125_utt3")}
"""Clips that no player opens (no moov atom) unless a person has put a repaired one in their place."""

_COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
_CLIP = re.compile(r"dia\d+_utt\d+", re.IGNORECASE)
_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})")
_CP1252 = {byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)}
# control characters that are cp1252's quotes and dashes in disguise, and bytes that are not UTF-8, escaped
_REPAIRS = {byte: text for byte, text in _CP1252.items() if byte < 0xA0} | {0xA0: " "}
_REPAIRS |= {0xDC00 + byte: text for byte, text in _CP1252.items()}


def read_meld(folder: str | Path) -> Dataset:
    """The utterances of MELD's annotations, with their clips where the folder holds clips.

    A row whose clip is missing or broken is skipped. A row whose clip is mis-cut is given by its words alone.
    Where no clip of a split is at hand, all its rows are given by their words alone. Clips without a row are
    ignored, and told.

    Raises:
        DataError: no table is found, or a table is not MELD's.
    """
    folder = Path(folder)
    files = files_below(folder)
    tables = {split: _shallowest(files, name) for split, name in TABLES.items()}
    if not any(tables.values()):
        raise DataError(
            f"{folder} holds none of {', '.join(TABLES.values())}; give the folder of MELD's annotations."
        )
    notes = [f"{TABLES[split]} is missing; {split} is empty." for split, path in tables.items() if not path]
    clips, strays = _find_clips(folder, files)
    utterances: list[Utterance] = []
    skipped: list[SkippedClip] = []
    without_clips = []
    for split, table in tables.items():
        rows = _read_table(table, split) if table else []
        of_split = clips.get(split, {})
        if rows and not of_split:
            without_clips.append(split)
        for utterance in rows:
            name = utterance.key.partition("/")[2]
            given, reason = _with_clip(utterance, name, of_split) if of_split else (utterance, None)
            if given is not None:
                utterances.append(given)
            if reason is not None:
                skipped.append(
                    SkippedClip(
                        key=utterance.key,
                        path=of_split.get(name),
                        split=split,
                        label=utterance.label,
                        reason=reason,
                        has_words=given is not None,
                    )
                )
        names = {utterance.key.partition("/")[2] for utterance in rows}
        strays += [path for name, path in of_split.items() if name not in names]
    skipped += [
        SkippedClip(
            key=path.relative_to(folder).as_posix(),
            path=path,
            split=split_of(path, folder),
            reason=f"{path.name} has no row in the annotations, so its emotion is not known.",
        )
        for path in sorted(strays)
    ]
    if without_clips:
        notes.append(f"No clip of {', '.join(without_clips)} is at hand: these are words alone.")
    if archives := [path.name for path in files if path.name.endswith(".tar.gz")]:
        notes.append(f"{', '.join(archives)}: not read; unpack archives that hold clips.")
    return Dataset(
        name="meld",
        scheme=MELD_7.name,
        utterances=tuple(utterances),
        skipped=tuple(skipped),
        notes=tuple(notes),
    )


def _shallowest(files: list[Path], name: str) -> Path | None:
    found = [path for path in files if path.name == name]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def _find_clips(folder: Path, files: list[Path]) -> tuple[dict[str, dict[str, Path]], list[Path]]:
    """Clips by split and name, of the folder with the most of them; and clips that are no utterance's."""
    folders: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    strays = []
    for path in files:
        if path.suffix.lower() not in MEDIA_SUFFIXES:
            continue
        if _CLIP.fullmatch(path.stem):
            folders[path.parent][path.stem.lower()].append(path)
        else:
            strays.append(path)
    chosen: dict[str, dict[str, Path]] = {}
    for _, clips in sorted(folders.items()):
        one_each = {name: best_medium(paths) for name, paths in clips.items()}
        split = split_of(next(iter(one_each.values())), folder)
        if split is None:
            strays += one_each.values()
        elif len(one_each) > len(chosen.get(split, ())):
            chosen[split] = one_each
    return chosen, strays


def _with_clip(
    utterance: Utterance, name: str, clips: dict[str, Path]
) -> tuple[Utterance | None, str | None]:
    """The utterance with its clip, or by its words alone, or None; and what is wrong with the clip."""
    path = clips.get(name)
    if path is None:
        return None, f"{name}.mp4 is missing from the release's folder of {utterance.split}."
    reason = unusable(path)
    if reason is None and (utterance.split, name) in BROKEN_IN_THE_RELEASE:
        reason = _refusal(path)
    if reason is not None:
        return None, reason
    seconds = utterance.annotated_seconds
    if seconds is not None and seconds > MAX_ANNOTATED_SECONDS:
        return utterance, f"{path.name} is mis-cut ({seconds:.0f} s); the words alone are used."
    return replace(utterance, path=path), None


def _refusal(path: Path) -> str | None:
    """What the guarded reader says against a clip; None where it opens it."""
    from core.media import MediaError, open_clip
    from core.media.apart import MachineError

    try:
        open_clip(path, apart=True)
    except MachineError:  # says nothing against the clip
        raise
    except MediaError as error:
        return str(error)
    return None


def _read_table(path: Path, split: str) -> list[Utterance]:
    try:
        require_size(path, DataError, "give MELD's own, of 1 MB")
        text = repaired_text(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); check the file.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    utterances, seen = [], set()
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path} is not MELD's table: it lacks the column {' and '.join(missing)}.")
        for row in reader:
            utterance = _utterance(path, reader.line_num, row, split)
            if utterance.key in seen:
                raise DataError(
                    f"{path}, row {reader.line_num}: {utterance.key} occurs twice; remove one row."
                )
            seen.add(utterance.key)
            utterances.append(utterance)
    except csv.Error as error:
        # such as a quote that nothing ends
        raise DataError(f"{path} is not a well-formed table ({error}); check its quotes.") from error
    return utterances


def _utterance(path: Path, number: int, row: dict[str, str | None], split: str) -> Utterance:
    row = {name: (value or "").strip() for name, value in row.items() if name is not None}
    where = f"{path}, row {number}"
    dialogue, turn = row["Dialogue_ID"], row["Utterance_ID"]
    if not all(number.isdecimal() and len(number) < 10 for number in (dialogue, turn)):
        raise DataError(
            f"{where}: dialogue {dialogue!r:.40} and utterance {turn!r:.40} should be whole numbers."
        )
    label = row["Emotion"].lower()
    if label not in MELD_7.labels:
        raise DataError(f"{where}: {label!r} is none of MELD's emotions {', '.join(MELD_7.labels)}.")
    extra = {
        name: row[column]
        for name, column in (("sentiment", "Sentiment"), ("season", "Season"), ("episode", "Episode"))
        if row.get(column)
    }
    start, end = _seconds(row.get("StartTime", "")), _seconds(row.get("EndTime", ""))
    if start is None or end is None or end <= start:
        # one row of the test split has the same time twice
        start = end = None
    return Utterance(
        key=f"{split}/dia{int(dialogue)}_utt{int(turn)}",
        path=None,
        label=label,
        transcript=row["Utterance"],
        speaker=row["Speaker"] or None,
        dialogue=f"{split}/dia{int(dialogue)}",
        split=split,
        extra=extra,
        annotated_start_seconds=start,
        annotated_end_seconds=end,
    )


def _seconds(text: str) -> float | None:
    """Seconds of `hh:mm:ss,mmm`; None for anything else."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds, milliseconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(milliseconds.ljust(3, "0")) / 1000


def repaired_text(data: bytes) -> str:
    """Text of a table that mixes UTF-8 with Windows' cp1252, as some archives of MELD do.

    Bytes that are not UTF-8 are read as cp1252, and control characters as what cp1252 has in their place.
    """
    return data.decode("utf-8-sig", "surrogateescape").translate(_REPAIRS)
