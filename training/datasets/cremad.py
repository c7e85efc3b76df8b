"""CREMA-D: 91 actors say twelve sentences in six emotions; file names such as `1001_DFA_ANG_XX.flv`."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

from core.labels import MELD_7
from core.media import MEDIA_SUFFIXES
from core.media.limits import MIB
from core.texts import require_size
from training.datasets.folders import best_medium, files_below, speaker_splits, strangers, unusable
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

# one file of older copies ends in a single X
NAME = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)")

SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "joy",
    "NEU": "neutral",
    "SAD": "sadness",
}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}

SENTENCES_OF_SPLITS = {"dev": ("ITS", "IWL"), "test": ("TSI", "WSI")}
"""Of the text-independent split; all other sentences, with that of three levels among them, are "train"."""


def read_cremad(folder: str | Path, *, split: str = "actor") -> Dataset:
    """One utterance per clip, given with its film where the folder has it, else with its sound.

    Args:
        folder: the repository's folder, or any that holds its files.
        split: "actor": no actor is in two splits (`folders.speaker_splits`). "text-independent": no actor and
            no sentence is in two; clips that would mix them are skipped, which is about half of them.

    Raises:
        DataError: no file is named as CREMA-D names them, or none of them is a clip.
    """
    if split not in ("actor", "text-independent"):
        raise ValueError(f"split should be 'actor' or 'text-independent', not {split!r}")
    folder = Path(folder)
    files = files_below(folder)
    clips: dict[str, list[Path]] = defaultdict(list)
    unread: dict[str, tuple[Path, str]] = {}
    strays: list[Path] = []
    for path in files:
        if path.suffix.lower() not in MEDIA_SUFFIXES:
            continue
        if not NAME.fullmatch(path.stem):
            strays.append(path)
        elif reason := unusable(path):
            unread.setdefault(path.stem, (path, reason))
        else:
            clips[path.stem].append(path)
    if not clips:
        if unread:
            raise DataError(f"{folder} holds no clip that can be read: {next(iter(unread.values()))[1]}")
        raise DataError(f"{folder} holds no file named like 1001_DFA_ANG_XX.flv; give CREMA-D's folder.")
    actors = _read_demographics(files)
    skipped = [
        SkippedClip(key=name, path=path, reason=reason)
        for name, (path, reason) in unread.items()
        if name not in clips
    ]
    skipped += strangers(strays, folder, "CREMA-D")
    splits = speaker_splits((name[:4], actors.get(name[:4], {}).get("sex", "")) for name in clips)
    utterances = []
    for name, paths in sorted(clips.items()):
        actor, sentence, emotion, level = NAME.fullmatch(name).groups()
        path = best_medium(paths)
        if reason := _reason_against(name, sentence, splits[actor], split):
            skipped.append(SkippedClip(key=name, path=path, label=EMOTIONS[emotion], reason=reason))
            continue
        utterances.append(
            Utterance(
                key=name,
                path=path,
                label=EMOTIONS[emotion],
                transcript=SENTENCES[sentence],
                speaker=actor,
                split=splits[actor],
                extra={"sentence": sentence, "level": LEVELS[level], **actors.get(actor, {})},
            )
        )
    notes = () if actors else ("VideoDemographics.csv is missing: the split is not balanced by sex.",)
    if partial := [reason for name, (_, reason) in unread.items() if name in clips]:
        notes += (f"Of {len(partial)} clips one of two files is of no use, the other is given: {partial[0]}",)
    return Dataset(
        name="cremad",
        scheme=MELD_7.name,
        utterances=tuple(utterances),
        skipped=tuple(skipped),
        notes=notes,
    )


def _reason_against(name: str, sentence: str, part: str, split: str) -> str | None:
    if sentence not in SENTENCES:
        return f"{name} has the unknown sentence {sentence}."
    if split == "actor":
        return None
    own = next((s for s, sentences in SENTENCES_OF_SPLITS.items() if sentence in sentences), "train")
    if own != part:
        return f"Its actor is of {part} and its sentence of {own}, so that neither split may have it."
    return None


def _read_demographics(files: list[Path]) -> dict[str, dict[str, str]]:
    """Age, sex, race and ethnicity by actor; empty where the table is missing."""
    path = next((path for path in files if path.name == "VideoDemographics.csv"), None)
    if path is None:
        return {}
    try:
        # it tells of 91 actors
        require_size(path, DataError, "copy it again", max_bytes=MIB)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a table in UTF-8 ({error}); copy it again.") from error
    if rows and "ActorID" not in rows[0]:
        raise DataError(f"{path} lacks the column ActorID; copy it again.")
    return {
        row["ActorID"]: {
            name.lower(): value.lower()
            for name, value in row.items()
            if name not in ("ActorID", None) and value
        }
        for row in rows
    }
