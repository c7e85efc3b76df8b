"""Finding the files of a data set, however a release nests its folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from core.media import MEDIA_SUFFIXES
from core.media.limits import GIB, MAX_PICTURE_PIXELS, MAX_PICTURES_BYTES
from training.datasets.utterance import SPLITS, DataError, SkippedClip

MAX_FILES = 500_000
"""Below a folder. A link to the app can name any folder, such as that of the whole disk."""

PICTURE_FORMATS = ("JPEG", "PNG")
"""That are decoded, whatever a picture's name: among all that Pillow knows are some that run programs."""

_LFS_HEAD = b"version https://git-lfs.github.com/"


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, by path; hidden ones, links to folders and macOS' shadow files left out.

    Raises:
        DataError: there are so many that it will hardly be the folder of a data set.
    """
    found = list(islice(_walk(folder), MAX_FILES + 1))
    if len(found) > MAX_FILES:
        raise DataError(
            f"{folder} holds more than {MAX_FILES:,} files; give the folder of the data set itself."
        )
    return sorted(found)


def read_picture(source: Path | BinaryIO, mode: str | None = None) -> np.ndarray:
    """Pixels of a labelled picture, `(height, width)` or `(height, width, channel)`.

    Args:
        source: JPEG or PNG, whatever its name.
        mode: of Pillow, that it is brought to; None for its own.

    Raises:
        OSError, ValueError, TypeError: it is no picture, or a larger one than is read.
    """
    try:
        with Image.open(source, formats=PICTURE_FORMATS) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise ValueError(
                    f"it has {image.width:,} × {image.height:,} pixels, more than the allowed "
                    f"{MAX_PICTURE_PIXELS:,}"
                )
            return np.asarray(image if mode is None else image.convert(mode))
    except (Image.DecompressionBombError, SyntaxError) as error:
        # the latter is what Pillow says of a damaged PNG
        raise ValueError(str(error)) from error


def require_room(source: Path, num_bytes: int) -> None:
    """Raises DataError where the pictures of a data set take more memory than is allowed."""
    if num_bytes > MAX_PICTURES_BYTES:
        raise DataError(
            f"{source} holds more than the allowed {MAX_PICTURES_BYTES / GIB:g} GiB of pixels; give a part "
            "of it, or smaller pictures."
        )


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def split_of(path: Path, root: Path) -> str | None:
    """The split named by the nearest folder of a file: `dev_splits_complete` is "dev"; None where none is."""
    for part in reversed(path.relative_to(root).parts[:-1]):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return None


def best_medium(paths: Iterable[Path]) -> Path:
    """Of several files of one clip, the one with the most to see and hear, by `core.media.MEDIA_SUFFIXES`."""
    return min(paths, key=lambda path: (MEDIA_SUFFIXES.index(path.suffix.lower()), path))


def strangers(paths: Iterable[Path], folder: Path, dataset: str) -> list[SkippedClip]:
    """Clips whose names do not tell what a data set's file names tell."""
    return [
        SkippedClip(
            key=path.relative_to(folder).as_posix(),
            path=path,
            reason=f"{path.name} is not named as {dataset} names its clips, so its emotion is not known.",
        )
        for path in paths
    ]


def unusable(path: Path) -> str | None:
    """Why a file cannot be a clip, where that is seen without decoding it; None where it may be one."""
    try:
        num_bytes = path.stat().st_size
        head = b""
        if 0 < num_bytes < 1024:
            with path.open("rb") as file:
                head = file.read(len(_LFS_HEAD))
    except OSError as error:
        # such as a link to a file that is not there
        return f"{path.name} cannot be read ({error.strerror}); copy or unpack it again."
    if num_bytes == 0:
        return f"{path.name} is empty (0 bytes); copy or unpack it again."
    if head == _LFS_HEAD:
        return f"{path.name} is a Git LFS pointer, not the clip; run `git lfs pull` in its folder."
    return None


def speaker_splits(speakers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A speaker-disjoint split, the same for the same speakers.

    Of each group (men and women), in order of their names, the last sixth is "test", the sixth before it
    "dev" and the rest "train"; each of the three gets at least one where the group has three.

    Args:
        speakers: pairs of a speaker and the group it belongs to.
    """
    groups: dict[str, list[str]] = {}
    for speaker, group in sorted(set(speakers)):
        groups.setdefault(group, []).append(speaker)
    splits = {}
    for members in groups.values():
        num_held_out = max(1, round(len(members) / 6)) if len(members) >= 3 else 0
        for i, speaker in enumerate(members):
            from_end = len(members) - 1 - i
            is_test, is_dev = from_end < num_held_out, from_end < 2 * num_held_out
            splits[speaker] = "test" if is_test else "dev" if is_dev else "train"
    return splits
