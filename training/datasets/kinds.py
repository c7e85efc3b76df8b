"""One way in to every data set: `read_dataset` tells by its files which kind a folder is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.labels import SCHEMES
from core.media import MEDIA_SUFFIXES
from training.datasets import cremad, iemocap, meld, ravdess
from training.datasets.clips import has_clips, read_clips
from training.datasets.folders import files_below
from training.datasets.manifest import read_manifest
from training.datasets.utterance import DataError, Dataset

_MANIFESTS = tuple(f"manifest{suffix}" for suffix in (".csv", ".tsv", ".parquet", ".jsonl"))


def _manifest(path: Path, *, allow_outside: bool = False, needs_labels: bool = True) -> Dataset:
    utterances = tuple(read_manifest(path, allow_outside=allow_outside, needs_labels=needs_labels))
    labels = {utterance.label for utterance in utterances} - {""}
    schemes = [scheme for scheme in SCHEMES.values() if labels and labels <= set(scheme.labels)]
    # several fit where few labels occur: then the order of `SCHEMES` decides, as it does in the presets
    return Dataset(name="manifest", scheme=schemes[0].name if schemes else None, utterances=utterances)


def _fer2013(path: Path) -> Dataset:
    from training.datasets.fer2013 import read_fer2013

    return read_fer2013(path)


def _authors(path: Path) -> Dataset:
    # brings torch with it
    from training.datasets.authors import read_authors

    return read_authors(path)


def _is_fer2013(files: list[Path]) -> bool:
    from training.datasets.fer2013 import FOLDER_LABELS, find_table

    has_folders = any(
        file.suffix.lower() in (".png", ".jpg", ".jpeg") and file.parent.name.lower() in FOLDER_LABELS
        for file in files
    )
    return has_folders or find_table(files) is not None or any(map(_is_still_table, files))


def _is_still_table(file: Path) -> bool:
    if file.suffix != ".parquet":
        return False
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(file).names
    except (OSError, ValueError):
        return False
    return "jpeg" in names and "path" not in names


def _is_media_of(pattern) -> Callable[[Path, list[Path]], bool]:
    return lambda folder, files: any(
        file.suffix.lower() in MEDIA_SUFFIXES and pattern.fullmatch(file.stem) for file in files
    )


def _has_authors_pickles(folder: Path, files: list[Path]) -> bool:
    if not any(file.suffix == ".pkl" for file in files):
        return False
    from training.datasets.authors import find_authors_folders

    return bool(find_authors_folders(folder))


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of data set: what tells it, and its reader."""

    looked_for: str
    is_it: Callable[[Path, list[Path]], bool]
    read: Callable[..., Dataset]


KINDS = {
    "manifest": _Kind(
        looked_for="manifest.csv (.tsv, .parquet, .jsonl)",
        is_it=lambda folder, files: any((folder / name).is_file() for name in _MANIFESTS),
        read=_manifest,
    ),
    "authors": _Kind(
        looked_for="train/text/*.pkl in a folder MELD or IEMOCAP (the authors' pickles)",
        is_it=_has_authors_pickles,
        read=_authors,
    ),
    "meld": _Kind(
        looked_for="train_sent_emo.csv (MELD)",
        is_it=lambda folder, files: any(file.name in meld.TABLES.values() for file in files),
        read=meld.read_meld,
    ),
    "ravdess": _Kind(
        looked_for="01-01-06-01-02-01-12.mp4 and the like (RAVDESS)",
        is_it=_is_media_of(ravdess.NAME),
        read=ravdess.read_ravdess,
    ),
    "cremad": _Kind(
        looked_for="1001_DFA_ANG_XX.flv and the like (CREMA-D)",
        is_it=_is_media_of(cremad.NAME),
        read=cremad.read_cremad,
    ),
    "fer2013": _Kind(
        looked_for="fer2013.csv, train/angry/*.png or a Parquet table with the column jpeg (FER2013)",
        is_it=lambda folder, files: _is_fer2013(files),
        read=_fer2013,
    ),
    "iemocap": _Kind(
        looked_for="Session1/dialog/EmoEvaluation (IEMOCAP)",
        is_it=lambda folder, files: bool(iemocap.find_sessions(folder)),
        read=iemocap.read_iemocap,
    ),
}
"""By name, in the order in which a folder is looked at."""


def read_dataset(
    path: str | Path,
    *,
    name: str | None = None,
    allow_outside: bool = False,
    needs_labels: bool = True,
    **options: object,
) -> Dataset:
    """Read a data set from its own layout.

    Args:
        path: a folder, or a file: a manifest, FER2013's CSV, or a Parquet table of stills.
        name: one of `KINDS`; told by the files where it is not given.
        allow_outside: a manifest may name clips outside its folder.
        needs_labels: where they are not needed, a manifest may lack them, and a folder of no known kind that
            holds clips is read as one of clips; the label of a clip without one is "".
        options: of the kind: `scheme` (iemocap), `calm` and `songs` (ravdess), `split` (cremad).

    Raises:
        DataError: the folder is of no known kind, or its reader refuses it.
        ValueError: an unknown name, or an option that the kind does not have.
    """
    path = Path(path)
    if name is not None and name not in KINDS:
        raise ValueError(f"name should be one of {', '.join(KINDS)}, not {name!r}")
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path of the data set.")
    if name is None:
        try:
            name = _recognise(path)
        except DataError:
            if needs_labels or not (path.is_dir() and has_clips(path)):
                raise
            return read_clips(path)
    read = KINDS[name].read
    if name == "manifest":
        options |= {"allow_outside": allow_outside, "needs_labels": needs_labels}
    known = list(inspect.signature(read).parameters)[1:]
    if unknown := [option for option in options if option not in known]:
        raise ValueError(
            f"{name} has no option {' or '.join(unknown)}; it has {', '.join(known) if known else 'none'}"
        )
    return read(path, **options)


def _recognise(path: Path) -> str:
    if path.is_file():
        return "fer2013" if _is_fer2013([path]) else "manifest"
    if KINDS["manifest"].is_it(path, []):
        return "manifest"
    # need not see every file below, of which there are a hundred thousand; from above, there may be others
    if any(session.parent == path for session in iemocap.find_sessions(path)):
        return "iemocap"
    files = files_below(path)
    found = [name for name, kind in KINDS.items() if kind.is_it(path, files)]
    if found[:2] == ["authors", "meld"]:
        # the authors' folders hold tables like MELD's
        del found[1]
    if len(found) > 1:
        raise DataError(
            f"{path} holds several data sets ({', '.join(found)}); give the folder of one of them."
        )
    if found:
        return found[0]
    wanted = "; ".join(kind.looked_for for kind in KINDS.values())
    raise DataError(f"{path} is no known data set: it holds none of {wanted}; give the folder that does.")
