"""The preprocessed data of the paper's authors: one pickle per utterance and modality, converted once.

`MELD/train.csv` and `MELD/{train,valid,test}/{video,text,audio}/dia0_utt0.pkl`; `IEMOCAP/train.txt` (tab
separated: name, emotion, words; no header) and the same folders. A pickle holds `images` (15, 3, 256, 256),
`text_feature` (1024) and `label`, or `audio_feature` (768).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from core.labels import IEMOCAP_6, MELD_7, LabelScheme
from core.texts import require_size
from core.writing import AGAIN, replacing, written
from training.datasets.meld import repaired_text
from training.datasets.pickles import read_pickle
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

PARTS = {"train": "train", "valid": "dev", "test": "test"}
"""The authors' folders, and our splits; their protocol pools all three (`training.protocol`)."""

_MEAN, _DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])

_IEMOCAP_NAMES = {
    "happiness": "joy",
    "happy": "joy",
    "excitement": "excited",
    "angry": "anger",
    "sad": "sadness",
    "frustrated": "frustration",
}


@dataclass(frozen=True, kw_only=True)
class _Row:
    name: str
    label: str
    words: str
    speaker: str | None
    dialogue: str
    extra: dict[str, str]


def find_authors_folders(folder: Path) -> dict[str, Path]:
    """`MELD` and `IEMOCAP` below a folder (or the folder itself) that hold the authors' pickles."""
    found = {}
    for name in ("MELD", "IEMOCAP"):
        for path in (folder / name, folder / "data" / name, folder):
            if path.name.upper() == name and any(
                next((path / part / "text").glob("*.pkl"), None) for part in PARTS
            ):
                found[name] = path
                break
    return found


def read_authors(folder: str | Path) -> Dataset:
    """What the index tables list; no pickle is opened, and `path` is that of the utterance's video pickle.

    To train on it, convert it first (`convert`): nothing else in the project reads a pickle.

    Raises:
        DataError: there is no such data, data of both sets at once, or an index is damaged.
    """
    name, root = _only(Path(folder))
    scheme = MELD_7 if name == "MELD" else IEMOCAP_6
    utterances, skipped = [], []
    for part, split in PARTS.items():
        for row in _read_index(name, root, part):
            key = f"{split}/{row.name}"
            paths = _pickles(root, part, row.name)
            missing = [modality for modality, path in paths.items() if not path.is_file()]
            if missing or row.label not in scheme.labels:
                reason = (
                    f"The pickle of {' and '.join(missing)} is missing."
                    if missing
                    else f"Its label {row.label!r} is not one of {scheme.name}."
                )
                skipped.append(SkippedClip(key=key, split=split, label=row.label, reason=reason))
                continue
            utterances.append(
                Utterance(
                    key=key,
                    path=paths["video"],
                    label=row.label,
                    transcript=row.words,
                    speaker=row.speaker,
                    dialogue=row.dialogue,
                    split=split,
                    extra=row.extra,
                )
            )
    notes = ("These are pickles: `deepmsi data convert` makes of them what training reads.",)
    return Dataset(
        name="authors",
        scheme=scheme.name,
        utterances=tuple(utterances),
        skipped=tuple(skipped),
        notes=notes,
    )


def convert(
    folder: str | Path,
    out: str | Path,
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> tuple[Path, tuple[SkippedClip, ...]]:
    """Rewrite the authors' pickles as safetensors with a manifest; what is there already is kept.

    A file holds `frames` (15, 256, 256, rgb) uint8, `text` (1024) and `audio` (768), both float32.

    Args:
        folder: as for `read_authors`.
        out: made where it does not exist.
        progress: called with done, total and the utterance's key.

    Returns:
        The manifest, which `read_dataset` and `deepmsi train` read, and what was left out.

    Raises:
        DataError: as `read_authors`; or nothing could be converted, or `out` cannot be written.
    """
    dataset, out = read_authors(folder), Path(out)
    scheme = MELD_7 if dataset.scheme == MELD_7.name else IEMOCAP_6
    skipped = list(dataset.skipped)
    kept: list[tuple[Utterance, str]] = []
    for number, utterance in enumerate(dataset.utterances):
        target = out / f"{utterance.key}.safetensors"
        progress(number, len(dataset.utterances), utterance.key)
        if not target.is_file():
            part = utterance.path.parent.parent
            try:
                tensors, label = _tensors(_pickles(part.parent, part.name, utterance.path.stem), scheme)
            except DataError as error:
                skipped.append(_skip(utterance, str(error)))
                continue
            if label != utterance.label:
                why = f"Its pickle says {label} and the table {utterance.label}."
                skipped.append(_skip(utterance, why))
                continue
            with written(out, DataError, AGAIN):
                target.parent.mkdir(parents=True, exist_ok=True)
                with replacing(target) as part:
                    save_file(tensors, part)
        kept.append((utterance, target.relative_to(out).as_posix()))
    if not kept:
        raise DataError(f"{folder}: nothing could be converted; the first reason: {skipped[0].reason}")
    manifest = out / "manifest.csv"
    with (
        written(out, DataError, AGAIN),
        replacing(manifest) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        extra = sorted({column for u, _ in kept for column in u.extra})
        writer.writerow(("path", "label", "transcript", "speaker", "dialogue", "split", *extra))
        for u, name in kept:
            known = (name, u.label, u.transcript, u.speaker or "", u.dialogue or "", u.split)
            writer.writerow((*known, *(u.extra.get(column, "") for column in extra)))
    return manifest, tuple(skipped)


def _skip(utterance: Utterance, reason: str) -> SkippedClip:
    return SkippedClip(key=utterance.key, split=utterance.split, label=utterance.label, reason=reason)


def _only(folder: Path) -> tuple[str, Path]:
    found = find_authors_folders(folder)
    if not found:
        raise DataError(
            f"{folder} holds no MELD/train/text/*.pkl and no IEMOCAP/train/text/*.pkl; give the authors' "
            "folder `data`, or one of the two in it."
        )
    if len(found) > 1:
        raise DataError(
            f"{folder} holds both MELD and IEMOCAP; give one of {', '.join(map(str, found.values()))}."
        )
    return next(iter(found.items()))


def _pickles(root: Path, part: str, name: str) -> dict[str, Path]:
    return {modality: root / part / modality / f"{name}.pkl" for modality in ("video", "audio", "text")}


def _read_index(name: str, root: Path, part: str) -> list[_Row]:
    suffix = "csv" if name == "MELD" else "txt"
    candidates = [root / f"{part}.{suffix}", root / f"{PARTS[part]}_sent_emo.csv", root / f"{part}.tsv"]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise DataError(f"{root} lacks {part}.{suffix}, the table of its utterances; copy it there.")
    try:
        require_size(path, DataError, "copy it again")
        text = io.StringIO(repaired_text(path.read_bytes()), newline="")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); copy it again.") from error
    try:
        if name == "MELD":
            return [_meld_row(part, _whole(row)) for row in csv.DictReader(text)]
        # quotes are words here, not cells
        rows = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [_iemocap_row(row) for row in rows if row]
    except (KeyError, IndexError, csv.Error) as error:
        raise DataError(
            f"{path} is not the table of the authors' {name} ({error!r}); copy it again."
        ) from error


def _whole(row: dict[str, str | None]) -> dict[str, str | None]:
    if None in row.values():
        raise IndexError(f"the row {', '.join(filter(None, row.values()))} is short")
    return row


def _meld_row(part: str, row: Mapping[str, str]) -> _Row:
    dialogue = f"dia{row['Dialogue_ID'].strip()}"
    return _Row(
        name=f"{dialogue}_utt{row['Utterance_ID'].strip()}",
        label=row["Emotion"].strip().lower(),
        words=row["Utterance"].strip(),
        speaker=row.get("Speaker") or None,
        dialogue=f"{PARTS[part]}/{dialogue}",
        extra={name: row[name.capitalize()] for name in ("season", "episode") if row.get(name.capitalize())},
    )


def _iemocap_row(row: list[str]) -> _Row:
    name, emotion, words = row[0].strip(), row[1].strip().lower(), row[2].strip()
    dialogue, _, turn = name.rpartition("_")
    return _Row(
        name=name,
        label=_IEMOCAP_NAMES.get(emotion, emotion),
        words=words,
        speaker=f"{name[:5]}{turn[:1]}" if name.startswith("Ses") else None,
        dialogue=dialogue or name,
        extra={"session": str(int(name[3:5]))} if name.startswith("Ses") and name[3:5].isdecimal() else {},
    )


def _tensors(paths: Mapping[str, Path], scheme: LabelScheme) -> tuple[dict[str, np.ndarray], str]:
    """Arrays as `convert` writes them, and the label."""
    values = {modality: read_pickle(path) for modality, path in paths.items()}
    for modality, value in values.items():
        if not isinstance(value, dict):
            raise DataError(f"{paths[modality]} holds no dictionary of features; download it again.")
    frames = _frames(paths["video"], _entry(paths["video"], values["video"], "images"))
    vectors = {
        name: _entry(paths[name], values[name], f"{name}_feature").astype(np.float32).reshape(-1)
        for name in ("text", "audio")
    }
    index = _entry(paths["text"], values["text"], "label").reshape(-1)
    if index.size != 1 or not 0 <= int(index[0]) < len(scheme):
        raise DataError(
            f"{paths['text']} has the label {index.tolist()}, not one number below {len(scheme)}."
        )
    return {"frames": frames, **vectors}, scheme.labels[int(index[0])]


def _entry(path: Path, value: dict, name: str) -> np.ndarray:
    entry = value.get(name)
    if isinstance(entry, torch.Tensor):
        entry = (entry.float() if entry.dtype == torch.bfloat16 else entry).numpy()
    if not isinstance(entry, np.ndarray | int | float):
        raise DataError(f"{path} has no array {name}; it holds {', '.join(map(str, value)) or 'nothing'}.")
    return np.asarray(entry)


def _frames(path: Path, images: np.ndarray) -> np.ndarray:
    """Pictures `(frame, height, width, rgb)` uint8 from whichever scale the pickle has them in."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"{path} has images of the shape {images.shape}; they should be (15, 3, 256, 256).")
    images = images.transpose(0, 2, 3, 1)
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        if images.min(initial=0) < 0:
            images = images * _DEVIATION + _MEAN
        scale = 1.0 if images.max(initial=0) > 1.5 else 255.0
        images = np.rint(images * scale)
        if images.min(initial=0) < -1 or images.max(initial=0) > 256:
            raise DataError(f"{path} has images whose numbers are no colours; it is not read.")
    return np.ascontiguousarray(images.clip(0, 255).astype(np.uint8))
