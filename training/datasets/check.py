"""What a data set holds, counted: splits, labels, lengths, what was left out and what splits share."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.labels import SCHEMES
from core.writing import replacing, written
from training.datasets.folders import unusable
from training.datasets.leakage import Shared, leakage, shared_values
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

if TYPE_CHECKING:
    from core.media import Clip
    from training.datasets.stills import Stills

MIN_FRAMES = 3
"""Clips with fewer pictures are counted: there is nothing to see moving in them."""

NO_SPLIT = "(none)"
"""Stands for the split of utterances that have none."""


@dataclass(frozen=True, kw_only=True)
class Durations:
    """Lengths of a split's utterances, in seconds, of those `num_known` whose length is known."""

    num_known: int
    total_seconds: float
    shortest_seconds: float
    median_seconds: float
    longest_seconds: float


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """One split in numbers.

    Attributes:
        num_rows: utterances, or pictures.
        num_with_media: of which a clip or picture is at hand.
        num_with_words: with a transcript that is not empty.
        num_left_out: labelled utterances that are not among the rows, because of their clip or their label.
        num_speakers / num_dialogues: different ones; zero where none is known.
        labels: rows by label, in the scheme's order.
        durations: None where no length is known.
    """

    split: str
    num_rows: int
    num_with_media: int
    num_with_words: int
    num_left_out: int
    num_speakers: int
    num_dialogues: int
    labels: dict[str, int]
    durations: Durations | None


@dataclass(frozen=True, kw_only=True)
class DatasetReport:
    """A data set in numbers.

    Attributes:
        name / scheme: as in `Dataset`.
        splits: train, dev and test first.
        durations_from: "files", "annotations", or None where no length is known.
        skipped: as the adapter gives them, and clips that are missing or could not be opened.
        leakage: see `training.datasets.leakage`.
        notes: sentences.
    """

    name: str
    scheme: str | None
    splits: tuple[SplitCounts, ...]
    durations_from: str | None
    skipped: tuple[SkippedClip, ...]
    leakage: tuple[Shared, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict:
        """As plain values for JSON."""
        return {
            "name": self.name,
            "scheme": self.scheme,
            "splits": [asdict(part) for part in self.splits],
            "durations_from": self.durations_from,
            "num_skipped": len(self.skipped),
            "skipped": [
                asdict(clip) | {"path": None if clip.path is None else str(clip.path)}
                for clip in self.skipped
            ],
            "leakage": [asdict(shared) | {"share": shared.share} for shared in self.leakage],
            "notes": list(self.notes),
        }


def check_dataset(
    dataset: Dataset,
    *,
    open_files: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> DatasetReport:
    """Ask the disk for a data set's clips, and count it.

    Args:
        dataset: as an adapter read it.
        open_files: open every clip with the guarded reader: broken ones are reported as skipped, and lengths
            are those of the files.
        progress: called with done, total and a file's name, while files are opened.
    """
    splits = [u.split or NO_SPLIT for u in dataset.utterances]
    dataset, seconds = without_unusable(dataset), None
    if open_files and any(_is_medium(u.path) for u in dataset.utterances):
        utterances, seconds, more, num_short = _open(dataset.utterances, progress)
        notes = [f"{num_short} clips have fewer than {MIN_FRAMES} pictures."] if num_short else []
        dataset = replace(
            dataset,
            utterances=utterances,
            skipped=(*dataset.skipped, *more),
            notes=(*dataset.notes, *notes),
        )
    return count_dataset(dataset, splits=splits, seconds=seconds)


def count_dataset(
    dataset: Dataset, *, splits: Iterable[str] = (), seconds: Mapping[str, float | None] | None = None
) -> DatasetReport:
    """Count a data set as it is given; no clip is looked at.

    Args:
        dataset: whose clips can be used, as far as that is known (`without_unusable`).
        splits: that are counted even where no clip of them is left.
        seconds: lengths of the files, by key; None where only the annotations tell any.
    """
    utterances, source = dataset.utterances, "files"
    if seconds is None:
        seconds, source = {u.key: u.annotated_seconds for u in utterances}, "annotations"
    order = SCHEMES[dataset.scheme].labels if dataset.scheme else sorted({u.label for u in utterances})
    if dataset.stills:
        counted = [_count_stills(name, stills, order) for name, stills in dataset.stills.items()]
        pictures = {name: stills.digests() for name, stills in dataset.stills.items()}
        shared = tuple(shared_values("pictures", pictures))
    else:
        left_out = Counter(c.split or NO_SPLIT for c in dataset.skipped if c.label and not c.has_words)
        of_split: dict[str, list[Utterance]] = {name: [] for name in splits}
        for u in utterances:
            of_split.setdefault(u.split or NO_SPLIT, []).append(u)
        counted = [_count(name, us, seconds, order, left_out[name]) for name, us in of_split.items()]
        shared = leakage(utterances)
    standing = {"train": 0, "dev": 1, "test": 2}
    counted.sort(key=lambda part: (standing.get(part.split, 3), part.split))
    return DatasetReport(
        name=dataset.name,
        scheme=dataset.scheme,
        splits=tuple(counted),
        durations_from=source if any(part.durations for part in counted) else None,
        skipped=dataset.skipped,
        leakage=shared,
        notes=dataset.notes,
    )


def without_unusable(dataset: Dataset) -> Dataset:
    """The data set without utterances whose file is missing or empty, which adapters of tables do not see."""
    kept, skipped, seen = [], [], {}
    for one in dataset.utterances:
        reason = None
        if one.path is not None:
            if one.path not in seen:
                seen[one.path] = _why_unusable(one.path)
            reason = seen[one.path]
        if reason is None:
            kept.append(one)
        else:
            skipped.append(
                SkippedClip(
                    key=one.key, path=one.path, split=one.split, label=one.label or None, reason=reason
                )
            )
    return replace(dataset, utterances=tuple(kept), skipped=(*dataset.skipped, *skipped))


def write_skipped(skipped: Sequence[SkippedClip], path: str | Path) -> None:
    """One row per clip that was left out: key, split, label, path, whether its words are used, reason.

    Raises:
        DataError: the file cannot be written.
    """
    with (
        written(Path(path), DataError, "choose another file"),
        replacing(Path(path)) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("key", "split", "label", "path", "has_words", "reason"))
        for clip in skipped:
            writer.writerow(
                (
                    clip.key,
                    clip.split or "",
                    clip.label or "",
                    clip.path or "",
                    "yes" if clip.has_words else "no",
                    clip.reason,
                )
            )


def _open(
    utterances: Sequence[Utterance], progress: Callable[[int, int, str], None]
) -> tuple[tuple[Utterance, ...], dict[str, float | None], list[SkippedClip], int]:
    """Utterances whose file opens; lengths by key; those left out; how many have hardly a picture."""
    from core.media.limits import DEFAULT_LIMITS

    # the limit of a span is none of the recording that spans are of
    any_length = replace(DEFAULT_LIMITS, max_span_seconds=DEFAULT_LIMITS.max_file_seconds)
    paths = sorted({u.path for u in utterances if _is_medium(u.path)})
    clips, errors = {}, {}
    for number, path in enumerate(paths):
        progress(number, len(paths), path.name)
        found = _opened(path, limits=any_length)
        (errors if isinstance(found, str) else clips)[path] = found
    kept, seconds, skipped = [], {}, []
    for u in utterances:
        clip, reason = clips.get(u.path), errors.get(u.path)
        length = u.annotated_seconds
        if clip is not None:
            start = max(clip.start_seconds, -np.inf if u.start_seconds is None else u.start_seconds)
            end = min(clip.end_seconds, np.inf if u.end_seconds is None else u.end_seconds)
            length = end - start
            if not 0 < length <= DEFAULT_LIMITS.max_span_seconds:
                found = _opened(u.path, start_seconds=u.start_seconds, end_seconds=u.end_seconds)
                reason = found if isinstance(found, str) else None
        if reason is not None:
            skipped.append(SkippedClip(key=u.key, path=u.path, split=u.split, label=u.label, reason=reason))
            continue
        kept.append(u)
        seconds[u.key] = length
    infos = [clip.info for clip in clips.values()]
    num_short = sum(info.has_video and 0 < info.num_frames < MIN_FRAMES for info in infos)
    return tuple(kept), seconds, skipped, num_short


def _opened(path: Path, **how: object) -> Clip | str:
    """The clip, or what the guarded reader says against it."""
    from core.media import MediaError, open_clip
    from core.media.apart import MachineError

    try:
        return open_clip(path, apart=True, **how)
    except MachineError:  # says nothing against the file
        raise
    except MediaError as error:
        return str(error)


def _why_unusable(path: Path) -> str | None:
    try:
        is_missing = not path.exists() and not path.is_symlink()
    except OSError:
        is_missing = False
    return f"{path.name} does not exist; check the path in the table." if is_missing else unusable(path)


def _is_medium(path: Path | None) -> bool:
    """Whether there is something to decode: the authors' features are none."""
    return path is not None and path.suffix not in (".pkl", ".safetensors")


def _count(
    name: str,
    utterances: list[Utterance],
    seconds: dict[str, float | None],
    order: Sequence[str],
    num_left_out: int,
) -> SplitCounts:
    labels = Counter(u.label for u in utterances)
    known = np.array([seconds[u.key] for u in utterances if seconds[u.key] is not None])
    return SplitCounts(
        split=name,
        num_rows=len(utterances),
        num_with_media=sum(u.path is not None for u in utterances),
        num_with_words=sum(bool(u.transcript) for u in utterances),
        num_left_out=num_left_out,
        num_speakers=len({u.speaker for u in utterances} - {None}),
        num_dialogues=len({u.dialogue for u in utterances} - {None}),
        labels={label: labels[label] for label in order},
        durations=None
        if not known.size
        else Durations(
            num_known=known.size,
            total_seconds=float(known.sum()),
            shortest_seconds=float(known.min()),
            median_seconds=float(np.median(known)),
            longest_seconds=float(known.max()),
        ),
    )


def _count_stills(name: str, stills: Stills, order: Sequence[str]) -> SplitCounts:
    counts = np.bincount(stills.labels[stills.labels >= 0], minlength=len(order))
    return SplitCounts(
        split=name,
        num_rows=len(stills),
        num_with_media=len(stills),
        num_with_words=0,
        num_left_out=0,
        num_speakers=0,
        num_dialogues=0,
        labels=dict(zip(order, counts.tolist(), strict=True)),
        durations=None,
    )
