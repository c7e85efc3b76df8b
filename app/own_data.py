"""A folder or data set of one's own: what it is, what it holds, and what can be done with it.

Nothing is decoded here, so that a data set of thousands of clips is told at once: whether a clip can be read
shows when it is asked about.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.labels import LabelScheme
from core.media import MEDIA_SUFFIXES
from training.datasets import DataError, Dataset, SkippedClip, Utterance, read_dataset
from training.datasets.check import DatasetReport, count_dataset, without_unusable
from training.datasets.folders import files_below
from training.sources import READ_ALOUD, folder_of

ALL = "all"
"""Stands for every split."""

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
"""Of manifests."""

KIND_NAMES = {
    "manifest": "A manifest",
    "authors": "The authors’ pickles",
    "meld": "MELD",
    "ravdess": "RAVDESS",
    "cremad": "CREMA-D",
    "fer2013": "FER2013",
    "iemocap": "IEMOCAP",
    "clips": "A folder of clips",
}

_CONVERT = (
    "These are the authors’ preprocessed pickles: make clips’ features of them first, with "
    "`deepmsi data convert FOLDER --out OTHER`, and give that folder."
)
_STILLS = "These are single pictures of faces and no clips; an evaluation reads them."


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnData:
    """What lies at a path that a person gave.

    Attributes:
        path: resolved.
        dataset: as its adapter read it; utterances whose file is seen to be unusable are among the skipped.
        report: the same, counted.
        num_strange: media files in the folder that the data set does not name.
    """

    path: Path
    dataset: Dataset
    report: DatasetReport
    num_strange: int = 0

    @property
    def root(self) -> Path:
        """The folder that all its clips lie in."""
        return folder_of(self.path)

    @property
    def name(self) -> str:
        """The folder's, or that of a manifest with a name of its own."""
        is_plain = self.path.is_dir() or self.path.stem == "manifest"
        return self.root.name if is_plain else self.path.stem

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return KIND_NAMES[self.dataset.name]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits; () where it has none."""
        names = {part.split: part for part in self.report.splits}
        known = {u.split for u in self.dataset.utterances} | set(self.dataset.stills)
        return tuple(name for name in names if name in known)

    @property
    def num_labelled(self) -> int:
        """Clips and pictures whose label is known."""
        return sum(bool(one.label) for one in self.dataset.utterances) + sum(
            map(len, self.dataset.stills.values())
        )

    def of_split(self, split: str) -> tuple[Utterance, ...]:
        """The utterances of a split, `ALL` for all."""
        return tuple(one for one in self.dataset.utterances if split in (ALL, one.split))

    def num_of(self, split: str) -> int:
        """Clips and pictures of a split."""
        pictures = sum(len(of) for name, of in self.dataset.stills.items() if split in (ALL, name))
        return len(self.of_split(split)) + pictures


def look(text: str) -> OwnData:
    """What lies at a path.

    Raises:
        DataError: nothing that can be used, in one sentence.
    """
    try:
        path = Path(text.strip()).expanduser().resolve()
        is_there, is_file = path.exists(), path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"This path cannot be read ({reason}); check it.") from error
    if not is_there:
        raise DataError(f"{path} does not exist on the machine where the app runs; check the path.")
    if is_file and path.suffix.lower() in MEDIA_SUFFIXES:
        raise DataError(f"{path} is a single clip; give its folder here, or the file on the Clip page.")
    try:
        dataset = read_dataset(path, needs_labels=False)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    dataset = without_unusable(dataset)
    if not dataset.utterances and not dataset.stills:
        first = f": {dataset.skipped[0].reason}" if dataset.skipped else "."
        raise DataError(f"{path} holds no clip that can be used{first}")
    return OwnData(
        path=path, dataset=dataset, report=count_dataset(dataset), num_strange=_num_strange(path, dataset)
    )


def stamp_of(text: str) -> tuple[int, ...]:
    """Changes when the path, or a manifest directly in it, has changed; deeper folders are not looked at."""
    try:
        path = Path(text.strip()).expanduser()
    except RuntimeError:
        return ()
    places = (path, *(path / f"manifest{suffix}" for suffix in TABLE_SUFFIXES))
    stamps = []
    for place in places:
        try:
            stamps.append(place.stat().st_mtime_ns)
        except (OSError, ValueError):
            stamps.append(0)
    return tuple(stamps)


def why_not_predicted(data: OwnData, split: str) -> str:
    """Why a split cannot be predicted; "" where it can."""
    if data.dataset.name == "authors":
        return _CONVERT
    if data.dataset.stills:
        return _STILLS
    if not data.num_of(split):
        return _no_split(data, split)
    if not any(_is_clip(one) for one in data.of_split(split)):
        return "No clip of this split is at hand, only words or features; an evaluation reads those."
    return ""


def why_not_evaluated(data: OwnData, split: str, scheme: LabelScheme) -> str:
    """Why a split cannot be evaluated with a checkpoint of a label scheme; "" where it can."""
    if data.dataset.name == "authors":
        return _CONVERT
    if not data.num_labelled:
        return (
            "Nothing here is labelled, so there is nothing to hold answers against: predict it, or write the "
            "labels into a manifest first (below)."
        )
    if missing := [one.key for one in data.dataset.utterances if not one.label]:
        return (
            f"{len(missing):,} of {data.num_of(ALL):,} clips have no label, {missing[0]} among them: fill "
            "them in, or take their rows out of the manifest."
        )
    if not data.num_of(split):
        return _no_split(data, split)
    # IEMOCAP is read with the labels that the checkpoint knows
    if data.dataset.name == "iemocap" and scheme.name in ("iemocap-6", "iemocap-4"):
        return ""
    known = set(scheme.labels)
    unknown = [label for label in dict.fromkeys(u.label for u in data.of_split(split)) if label not in known]
    if unknown:
        return (
            f"This checkpoint does not know the label{'s' * (len(unknown) > 1)} {', '.join(unknown)}: it "
            f"knows {', '.join(scheme.labels)}. Choose another checkpoint, or map the labels in a manifest."
        )
    return ""


def about_words(data: OwnData, split: str, *, is_evaluated: bool) -> str:
    """What is read of the words where that is not all of them, in sentences; "" where it is.

    Args:
        data: whose clips are asked about.
        split: of these, `ALL` for all.
        is_evaluated: an evaluation does not listen for words; a prediction does.
    """
    if data.dataset.stills:
        return ""
    if data.dataset.name in READ_ALOUD:
        return "All actors say the same sentences, so the words are not shown to the model."
    clips = data.of_split(split)
    lacking = sum(one.transcript is None for one in clips) if is_evaluated else 0
    told = []
    if blank := sum(one.transcript == "" for one in clips):
        told.append(
            f"{blank:,} of {len(clips):,} clips have a blank `transcript`, which means that nothing is said "
            "in them: they are not listened to."
        )
    if lacking and lacking == len(clips):
        told.append(
            "The data give no words, and an evaluation does not listen for them: these clips are judged by "
            "picture and sound. A prediction listens; its words can be put into a manifest."
        )
    elif lacking:
        told.append(
            f"{lacking:,} clips come without words, and none of those is listened to: an evaluation reads "
            "only the words that the data give."
        )
    return " ".join(told)


def about_training(data: OwnData, split: str, metrics: dict) -> str:
    """A warning where a checkpoint has learned from data of this name and is asked about them; else "".

    Args:
        data: that are asked about.
        split: of these; of dev and test nothing is learned.
        metrics: contents of the checkpoint's metrics.json.
    """
    recipe = metrics.get("train_config")
    if split not in (ALL, "train") or not isinstance(recipe, dict):
        return ""
    paths = [Path(str(one)) for one in recipe.get("data") or ()]
    learned = {path.parent.name if path.suffix in TABLE_SUFFIXES else path.name for path in paths}
    learned |= set(map(str, recipe.get("source_names") or ()))
    learned |= metrics.get("learned_before", {}).keys()
    # data sets of a known layout are called by it
    name = data.root.name if data.dataset.name in ("manifest", "clips") else data.dataset.name
    if name not in learned:
        return ""
    return (
        f"This checkpoint learned from data named {name}. If they are these, it learned from some of these "
        "very clips, and does better on them than on others: ask about a split that it did not learn from."
    )


def manifest_to_fill_in(data: OwnData, words: dict[str, str] | None = None) -> str:
    """A manifest (CSV) of clips that no table lists yet, with labels to be written and all that is known.

    Put into the folder as manifest.csv it makes the folder a labelled data set.

    Args:
        data: no manifest, whose own table would be replaced.
        words: by key, where a prediction has heard what the data do not give.
    """
    heard, clips = words or {}, [one for one in data.dataset.utterances if one.path is not None]
    rows = []
    for one in clips:
        said = heard.get(one.key) if one.transcript is None else one.transcript
        known = {name: getattr(one, name) for name in ("start_seconds", "end_seconds", "speaker", "dialogue")}
        path = one.path.relative_to(data.root).as_posix()
        rows.append(
            {"path": path, "label": one.label, "split": one.split, "transcript": said} | known | one.extra
        )
    columns = dict.fromkeys(name for row in rows for name, value in row.items() if value is not None)
    text = io.StringIO()
    writer = csv.DictWriter(
        text,
        list(dict.fromkeys(("path", "label", "split", *columns))),
        lineterminator="\n",
        extrasaction="ignore",
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def skipped_table(skipped: Sequence[SkippedClip]) -> list[dict[str, str]]:
    """Rows for people: which clip, of which split, and why it is left out."""
    return [
        {
            "clip": clip.key,
            "split": clip.split or "",
            "label": clip.label or "",
            "why": clip.reason,
            "its words are used": "yes" if clip.has_words else "no",
        }
        for clip in skipped
    ]


def _is_clip(one: Utterance) -> bool:
    return one.path is not None and one.path.suffix not in (".safetensors", ".pkl")


def _no_split(data: OwnData, split: str) -> str:
    has = ", ".join(data.splits) or "none"
    return f"No clip is of the split {split}; the splits here: {has}. Choose another, or all."


def _num_strange(path: Path, dataset: Dataset) -> int:
    """Media files of the folder that neither are given nor are told to be left out."""
    if dataset.name not in ("manifest", "ravdess", "cremad") or not path.is_dir():
        return 0
    known = {one.path for one in (*dataset.utterances, *dataset.skipped)}
    media = (file for file in files_below(path) if file.suffix.lower() in MEDIA_SUFFIXES)
    return sum(file not in known for file in media)
