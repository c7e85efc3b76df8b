"""Data sets as one list of clips: their keys made unique, their pictures made clips, and their features.

Several data sets may be mixed, also such as show, sound or say only: the network learns from whatever a clip
has. Each utterance then tells in its extra column `source` which data set it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from core.labels import MELD_7, SCHEMES, LabelScheme
from core.model import DeepMSI
from training.datasets import DataError, SkippedClip, Utterance, read_dataset
from training.datasets.iemocap import LABELS
from training.datasets.stills import IGNORED, Stills, honest_parts
from training.feature_cache import Skipped
from training.features import FeatureSet, pictures_as_clips, prepare

SOURCE = "source"
"""Extra column of an utterance that names its data set, where there are several."""

READ_ALOUD = ("ravdess", "cremad")
"""Data sets whose actors say the same sentences in every emotion: the words are not shown to the network."""


_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True, eq=False)
class Sources:
    """What was read of one or several data sets.

    Attributes:
        utterances: clips, and words without media.
        pictures: with an utterance for each picture.
        names: of the data sets, in order.
        skipped: clips that the data sets list and do not hold, or not whole.
    """

    utterances: tuple[Utterance, ...]
    pictures: tuple[tuple[Stills, tuple[Utterance, ...]], ...]
    names: tuple[str, ...]
    skipped: tuple[SkippedClip, ...] = ()


def read_sources(
    data: Sequence[Path],
    *,
    allow_outside: bool = False,
    scheme: str | None = None,
    options: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Sources:
    """Read data sets.

    Args:
        data: see `training.datasets.read_dataset`.
        allow_outside: admit clips outside the folder of the manifest that names them.
        scheme: name of the labels wanted, of data sets that have several.
        options: of their readers, by name of the data set; those of a data set that is not here are not used.

    Raises:
        DataError: where a data set cannot be read, or has no such option.
    """
    utterances: list[Utterance] = []
    pictures: list[tuple[Stills, tuple[Utterance, ...]]] = []
    names: list[str] = []
    skipped: list[SkippedClip] = []
    for path in data:
        dataset = read_dataset(path, **({"allow_outside": True} if allow_outside else {}))
        if dataset.name == "authors":
            raise DataError(
                f"{path} holds the authors' pickles; make safetensors of them first, with "
                f"`deepmsi data convert {path} --out FOLDER`, and give that folder."
            )
        if dataset.name == "iemocap" and scheme in LABELS and scheme != dataset.scheme:
            dataset = read_dataset(path, name="iemocap", scheme=scheme)
        if wanted := options.get(dataset.name):
            values = {name: _TRUTHS.get(value, value) for name, value in wanted.items()}
            try:
                dataset = read_dataset(path, name=dataset.name, **values)
            except ValueError as error:
                raise DataError(f"{path} cannot be read as data_options say: {error}.") from error
        name = dataset.name if dataset.name != "manifest" else folder_of(path).name
        if name in names:
            name = f"{name}-{len(names)}"
        names.append(name)
        mark = name if len(data) > 1 else ""
        skipped += [replace(one, key=f"{mark}:{one.key}" if mark else one.key) for one in dataset.skipped]
        utterances += [_marked(one, mark, dataset.name) for one in dataset.utterances]
        for split, stills in honest_parts(dataset.stills).items():
            known = stills.select(np.flatnonzero(stills.labels != IGNORED))
            pictures.append((known, _as_utterances(known, split, mark)))
    return Sources(
        utterances=tuple(utterances), pictures=tuple(pictures), names=tuple(names), skipped=tuple(skipped)
    )


def folder_of(path: Path) -> Path:
    """The folder of a data set that is given as a folder or as a file in it, however it is written."""
    path = path.resolve()
    return path if path.is_dir() else path.parent


def require_labels(sources: Sources, scheme: LabelScheme, *, may_change: bool = False) -> None:
    """Check that a model can have learned every label. Raises DataError for the first it cannot.

    Args:
        sources: whose labels are asked about.
        scheme: of the model.
        may_change: the scheme can still be another: one that has all labels is named.
    """
    groups = [sources.utterances, *(utterances for _, utterances in sources.pictures)]
    labels = {one.label for group in groups for one in group}
    for utterance in (one for group in groups for one in group):
        if utterance.label not in scheme.labels:
            others = [other.name for other in SCHEMES.values() if labels <= set(other.labels)]
            asked = f", or train with --set labels={others[0]}" if others and may_change else ""
            raise DataError(
                f"{utterance.key} of {', '.join(sources.names)} has the label {utterance.label!r}, which "
                f"{scheme.name} lacks; write one of {', '.join(scheme.labels)}, or leave the clip out{asked}."
            )


def of_split(sources: Sources, split: str) -> Sources:
    """What is of one split; "all" for everything.

    Raises:
        DataError: if nothing is; it tells which splits there are.
    """
    if split == "all":
        return sources
    utterances = tuple(one for one in sources.utterances if one.split == split)
    pictures = tuple(part for part in sources.pictures if part[1] and part[1][0].split == split)
    if not utterances and not pictures:
        there = {one.split for one in sources.utterances} | {part[1][0].split for part in sources.pictures}
        names = sorted(filter(None, there))
        has = f"has {', '.join(names)}" if names else "has no splits"
        raise DataError(
            f"{', '.join(sources.names)}: no clip is of the split {split}: it {has}; choose one, or all."
        )
    skipped = tuple(one for one in sources.skipped if one.split == split)
    return replace(sources, utterances=utterances, pictures=pictures, skipped=skipped)


def make_features(
    sources: Sources,
    model: DeepMSI,
    cache_dir: Path,
    *,
    num_workers: int = 2,
    progress: bool = True,
    told: Callable[[int, int], None] | None = None,
) -> FeatureSet:
    """The features of everything; see `training.features.prepare`."""
    parts = []
    if sources.utterances:
        parts.append(
            prepare(
                sources.utterances,
                model,
                cache_dir,
                num_workers=num_workers,
                progress=progress,
                told=told,
            )
        )
    size = model.config.video.image_size
    for stills, utterances in sources.pictures:
        parts.append(pictures_as_clips(stills.pixels, utterances, size))
    # what still has its words is among the utterances
    parts.append(
        FeatureSet(
            (),
            [
                Skipped(
                    utterance=Utterance(key=one.key, path=one.path, label=one.label or ""), reason=one.reason
                )
                for one in sources.skipped
                if not one.has_words
            ],
        )
    )
    return FeatureSet.joined(parts)


def _marked(utterance: Utterance, mark: str, kind: str) -> Utterance:
    if kind in READ_ALOUD:
        utterance = replace(utterance, transcript=None)
    if not mark:
        return utterance
    return replace(utterance, key=f"{mark}:{utterance.key}", extra={**utterance.extra, SOURCE: mark})


def _as_utterances(stills: Stills, split: str, mark: str) -> tuple[Utterance, ...]:
    extra = {SOURCE: mark} if mark else {}
    start = f"{mark}:" if mark else ""
    return tuple(
        Utterance(
            key=f"{start}{split}/{number}", path=None, label=MELD_7.labels[label], split=split, extra=extra
        )
        for number, label in enumerate(stills.labels)
    )
