"""A plain folder of clips: no table and no names that tell anything, so nothing is known but the files."""

from __future__ import annotations

from pathlib import Path

from core.media import MEDIA_SUFFIXES
from training.datasets.folders import files_below, split_of, unusable
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance


def has_clips(folder: Path) -> bool:
    """Whether the folder, or one below it, holds a media file."""
    return any(_is_medium(path) for path in files_below(folder))


def read_clips(folder: str | Path) -> Dataset:
    """One utterance per media file, by path; its label is "", and its split that of a folder named so.

    Raises:
        DataError: no media file is there.
    """
    folder = Path(folder)
    utterances: list[Utterance] = []
    skipped: list[SkippedClip] = []
    for path in filter(_is_medium, files_below(folder)):
        key, split = path.relative_to(folder).as_posix(), split_of(path, folder)
        if reason := unusable(path):
            skipped.append(SkippedClip(key=key, path=path, split=split, reason=reason))
        else:
            utterances.append(Utterance(key=key, path=path, label="", split=split))
    if not utterances and not skipped:
        raise DataError(f"{folder} holds no media file; give another folder.")
    return Dataset(name="clips", scheme=None, utterances=tuple(utterances), skipped=tuple(skipped))


def _is_medium(path: Path) -> bool:
    return path.suffix.lower() in MEDIA_SUFFIXES
