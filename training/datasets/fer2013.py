"""FER2013: 35,887 grey pictures of faces, 48 × 48, in seven emotions: stills, not clips.

Three layouts are read: the challenge's table (`emotion,pixels,Usage`), folders of pictures by label
(`train/angry/*.png`), and Parquet tables of encoded pictures (`training.datasets.stills.read_stills`).

The pictures are used whole, as face crops: around the faces that the detector of clips found in 130 of 150 of
them, the crop's side would have been 0.96 of the picture's (median).
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from core.labels import MELD_7
from core.media.limits import MIB
from core.texts import require_size
from training.datasets.folders import files_below, read_picture, require_room, split_of
from training.datasets.utterance import DataError, Dataset, SkippedClip

EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
"""In the order of the challenge's numbers."""

FOLDER_LABELS = {
    **{label: label for label in EMOTIONS},
    "angry": "anger",
    "happy": "joy",
    "happiness": "joy",
    "sad": "sadness",
    "fearful": "fear",
    "surprised": "surprise",
    "disgusted": "disgust",
}
USAGES = {"Training": "train", "PublicTest": "public test", "PrivateTest": "private test"}

MAX_TABLE_BYTES = 512 * MIB
"""Of the challenge's table, which has 287 MB."""

MAX_ROWS = 500_000
"""Of it; it has 35,887. Of each row that is no picture a note is kept, however short it is."""

_MAX_LINE = 131_072
"""Characters of a line, as many as `csv` reads of a cell; one of 48 × 48 numbers has at most 9,300."""

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
_SIDE = 48

LabelledPictures = tuple[list[np.ndarray], list[str]]
"""Pictures `(height, width, channel)` uint8 and their labels."""


def read_fer2013(path: str | Path) -> Dataset:
    """FER2013's pictures by split, each split one `Stills`.

    The challenge's public test is "dev" where its private test is there too, which is "test"; alone, it is
    "test", and a dev part must be taken from the training pictures (`Stills.held_out`).

    Args:
        path: the challenge's CSV, a folder that holds it, label folders or Parquet tables.

    Raises:
        DataError: naming what is wrong, and where.
    """
    from training.datasets.stills import Stills, make_stills, read_stills

    path = Path(path)
    files = files_below(path) if path.is_dir() else [path]
    parts: dict[str, Stills] = {}
    skipped: list[SkippedClip] = []
    if table := find_table(files):
        for name, (pictures, labels) in read_table(table, skipped).items():
            parts[name] = make_stills("fer2013", pictures, labels, MELD_7, source=table)
    elif tables := [file for file in files if file.suffix == ".parquet"]:
        for file in tables:
            name = _part_of(file.stem)
            if name in parts:
                raise DataError(f"{path} holds two tables of the part {name}; keep one of them.")
            parts[name] = read_stills(file, MELD_7)
    else:
        for name, (pictures, labels) in read_folders(path, files, skipped).items():
            parts[name] = make_stills("fer2013", pictures, labels, MELD_7, source=path)
    if not parts and skipped:
        raise DataError(f"{path} holds no picture that can be read; the first reason: {skipped[0].reason}")
    if not parts:
        raise DataError(
            f"{path} holds no fer2013.csv, no folders of pictures by emotion and no Parquet table; give "
            "FER2013's folder."
        )
    public = "dev" if "private test" in parts else "test"
    names = {"public test": public, "private test": "test"}
    stills = {
        names.get(part, part): replace(still, name=path.stem if path.is_file() else path.name)
        for part, still in parts.items()
    }
    notes = ()
    if "train" in stills and "dev" not in stills:
        notes = ("There is no dev part: training takes a tenth of the training pictures for it.",)
    return Dataset(name="fer2013", scheme=MELD_7.name, stills=stills, skipped=tuple(skipped), notes=notes)


def find_table(files: Iterable[Path]) -> Path | None:
    """The first CSV whose header is the challenge's; None where there is none."""
    for file in files:
        if file.suffix.lower() == ".csv" and file.is_file():
            with file.open(encoding="utf-8-sig", errors="replace") as lines:
                header = [name.strip().lower() for name in lines.readline(_MAX_LINE).split(",")]
            if {"emotion", "pixels"} <= set(header):
                return file
    return None


def read_table(path: Path, skipped: list[SkippedClip]) -> dict[str, LabelledPictures]:
    """The challenge's CSV by part; rows that are no picture are added to `skipped`.

    Raises:
        DataError: the file is not such a table, is larger than is read, or no row of it is a picture.
    """
    parts: dict[str, LabelledPictures] = {}
    for number, (emotion, text, usage) in enumerate(_rows(path), start=2):
        if number > MAX_ROWS + 1:
            raise DataError(f"{path} has more than the allowed {MAX_ROWS:,} rows; give a part of it.")
        picture = _picture(text)
        is_emotion = emotion.isdecimal() and len(emotion) < 4 and int(emotion) < len(EMOTIONS)
        if picture is None or not is_emotion or usage not in USAGES:
            what = "pixels" if picture is None else "usage" if is_emotion else "emotion"
            skipped.append(
                SkippedClip(
                    key=f"{path.name}#{number}",
                    path=path,
                    reason=f"Row {number} of {path.name} has no valid {what}.",
                )
            )
            continue
        pictures, labels = parts.setdefault(USAGES[usage], ([], []))
        pictures.append(picture)
        labels.append(EMOTIONS[int(emotion)])
    if not parts:
        raise DataError(f"{path} holds no picture of 48 × 48 numbers with an emotion from 0 to 6; check it.")
    return parts


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Emotion, pixels and usage of each row, as the table tells them; one after another, to hold little."""
    try:
        require_size(path, DataError, "give the challenge's own", max_bytes=MAX_TABLE_BYTES)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(_lines(file), skipinitialspace=True, strict=True)
            columns = [name.strip().lower() for name in next(reader, [])]
            for name in ("emotion", "pixels", "usage"):
                if columns.count(name) > 1:
                    raise DataError(f"{path} has the column {name} twice; remove one.")
            for row in (row for row in reader if any(map(str.strip, row))):
                if len(row) > len(columns):
                    raise DataError(
                        f"{path} is not a readable table (line {reader.line_num} has {len(row):,} cells and "
                        f"the header {len(columns)}); copy it again."
                    )
                cells = dict(zip(columns, row, strict=False))
                yield (
                    cells.get("emotion", ""),
                    cells.get("pixels", ""),
                    cells.get("usage", "" if "usage" in columns else "Training"),
                )
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a readable table ({error}); copy it again.") from error


def _lines(file: TextIO) -> Iterator[str]:
    for number in itertools.count(1):
        line = file.readline(_MAX_LINE)
        if not line:
            return
        if len(line) == _MAX_LINE and not line.endswith(("\n", "\r")):
            raise ValueError(f"line {number} has more than {_MAX_LINE:,} characters")
        yield line


def _picture(text: str) -> np.ndarray | None:
    try:
        pixels = np.array(text.split(), np.int32)
    except (ValueError, OverflowError):
        return None
    if pixels.size != _SIDE**2 or pixels.min() < 0 or pixels.max() > 255:
        return None
    return pixels.astype(np.uint8).reshape(_SIDE, _SIDE, 1)


def read_folders(
    root: Path, files: Iterable[Path], skipped: list[SkippedClip]
) -> dict[str, LabelledPictures]:
    """Pictures by part and label folder; what cannot be decoded is added to `skipped`.

    A folder without parts, of label folders alone, is all "train".
    """
    parts: dict[str, LabelledPictures] = {}
    num_bytes = 0
    for file in files:
        label = FOLDER_LABELS.get(file.parent.name.lower())
        if label is None or file.suffix.lower() not in _PICTURE_SUFFIXES:
            continue
        try:
            pixels = read_picture(file, "L")
        except (OSError, ValueError) as error:
            skipped.append(
                SkippedClip(
                    key=file.relative_to(root).as_posix(),
                    path=file,
                    label=label,
                    reason=f"{file.name} cannot be decoded ({error}).",
                )
            )
            continue
        num_bytes += pixels.nbytes
        require_room(root, num_bytes)
        pictures, labels = parts.setdefault(split_of(file, root) or "train", ([], []))
        pictures.append(pixels[..., None])
        labels.append(label)
    return parts


def _part_of(stem: str) -> str:
    stem = stem.lower().replace("-", "_")
    if "public" in stem:
        return "public test"
    if "private" in stem:
        return "private test"
    # a name such as train-00000-of-00001 names a split too
    return split_of(Path(stem, "_"), Path()) or "train"
