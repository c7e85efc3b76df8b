"""RAVDESS: 24 actors say two sentences in eight emotions; the file's name tells everything.

`MM-VC-EE-II-SS-RR-AA`: modality, speech or song, emotion, intensity, statement, repetition, actor.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from core.labels import MELD_7
from core.media import MEDIA_SUFFIXES
from training.datasets.folders import best_medium, files_below, speaker_splits, strangers, unusable
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "joy",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}

_BEST_MODALITY = ("01", "03", "02")
"""Picture and sound, sound alone, picture alone."""


def read_ravdess(folder: str | Path, *, calm: str = "neutral", songs: bool = False) -> Dataset:
    """One utterance per performance, split by actor (men and women evenly: see `folders.speaker_splits`).

    A performance that exists as film, as sound and as silent film is given once, with the most there is. Of
    24 actors, 17 to 20 are "dev" and 21 to 24 "test"; of the first 20, 13 to 16 and 17 to 20.

    Args:
        folder: that holds the files, in any folders.
        calm: "neutral" counts calm as neutral; "skip" leaves it out.
        songs: also the sung performances.

    Raises:
        DataError: no file is named as RAVDESS names them.
    """
    if calm not in ("neutral", "skip"):
        raise ValueError(f"calm should be 'neutral' or 'skip', not {calm!r}")
    # a word such as "no" would count as true
    if not isinstance(songs, bool):
        raise ValueError(f"songs should be true or false, not {songs!r}")
    folder = Path(folder)
    performances: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    skipped: list[SkippedClip] = []
    strays: list[Path] = []
    for path in files_below(folder):
        if path.suffix.lower() not in MEDIA_SUFFIXES:
            continue
        if not NAME.fullmatch(path.stem):
            strays.append(path)
            continue
        if reason := unusable(path):
            skipped.append(SkippedClip(key=path.stem, path=path, reason=reason))
            continue
        modality, _, rest = path.stem.partition("-")
        performances[rest][modality].append(path)
    if not performances and not skipped:
        raise DataError(f"{folder} holds no file named like 01-01-06-01-02-01-12.mp4; give RAVDESS' folder.")
    skipped += strangers(strays, folder, "RAVDESS")
    chosen: list[tuple[Path, str]] = []
    for rest, files in sorted(performances.items()):
        modality = next(m for m in _BEST_MODALITY if m in files)
        path = best_medium(files[modality])
        reason = _reason_against(path, rest, calm, songs)
        if reason is None:
            chosen.append((path, rest))
        for other in sorted(p for paths in files.values() for p in paths):
            if other != path:
                why = f"{other.name} is the same performance as {path.name}."
            elif reason is not None:
                why = reason
            else:
                continue
            skipped.append(SkippedClip(key=other.stem, path=other, reason=why))
    splits = speaker_splits((rest[-2:], _sex(rest)) for _, rest in chosen)
    return Dataset(
        name="ravdess",
        scheme=MELD_7.name,
        utterances=tuple(_utterance(path, splits) for path, _ in chosen),
        skipped=tuple(skipped),
    )


def _reason_against(path: Path, rest: str, calm: str, songs: bool) -> str | None:
    channel, emotion = rest.split("-")[:2]
    if channel == "02" and not songs:
        return f"{path.name} is a song; ask for songs to have it."
    if EMOTIONS[emotion] == "calm" and calm == "skip":
        return f"{path.name} is calm, which {MELD_7.name} does not know."
    return None


def _sex(rest: str) -> str:
    return "male" if int(rest[-2:]) % 2 else "female"


def _utterance(path: Path, splits: dict[str, str]) -> Utterance:
    modality, channel, emotion, intensity, statement, repetition, actor = path.stem.split("-")
    name = EMOTIONS[emotion]
    return Utterance(
        key=path.stem,
        path=path,
        label="neutral" if name == "calm" else name,
        transcript=STATEMENTS[statement],
        speaker=actor,
        split=splits[actor],
        extra={
            "sex": "male" if int(actor) % 2 else "female",
            "emotion": name,
            "intensity": "strong" if intensity == "02" else "normal",
            "statement": statement,
            "repetition": str(int(repetition)),
            "kind": "song" if channel == "02" else "speech",
            "modality": {"01": "audio-video", "02": "video", "03": "audio"}[modality],
        },
    )
