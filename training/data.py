"""The splits that a run learns from, chooses by and is tested on, with their features."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from core.model import DeepMSI
from training.config import TrainConfig
from training.datasets import DataError
from training.features import FeatureSet
from training.logs import console
from training.protocol import Fold, make_folds, with_splits
from training.sources import SOURCE, Sources, make_features, read_sources, require_labels

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Features of the three splits; `test` may be empty.

    Attributes:
        sha256: of all clips' bytes and what is known of them.
        names: of the data sets.
        split_sha256: of the keys in each split, as a protocol parted them; empty where none did.
    """

    train: FeatureSet
    dev: FeatureSet
    test: FeatureSet
    sha256: str
    names: tuple[str, ...]
    split_sha256: dict[str, str]

    def sources(self) -> np.ndarray:
        """`(clip,)` number of the data set that each training clip is of."""
        if len(self.names) == 1:
            return np.zeros(len(self.train), int)
        return np.array([self.names.index(one.extra[SOURCE]) for one in self.train.utterances])

    def num_train_per_label(self, labels: Sequence[str]) -> dict[str, int]:
        """How many training clips each class has."""
        counts = Counter(one.label for one in self.train.utterances)
        return {label: counts[label] for label in labels}


NUM_TOLD = 10
"""Skipped clips that are told one by one."""


def load_data(config: TrainConfig, model: DeepMSI, accelerator: Accelerator) -> TrainingData:
    """Read what the configuration names, and make or find the features.

    Raises:
        DataError: where a split is too small or a label is unknown.
    """
    sources = read_configured(config, model.config.labels.name)
    if config.protocol is not None:
        sources = split_by(config, sources)
    require_labels(sources, model.config.labels, may_change=True)
    is_main = accelerator.is_main_process
    features = make_features(
        sources, model, config.cache_dir, num_workers=config.num_workers, progress=is_main
    )
    if is_main:
        _tell_skipped(features)
    features, num_blank = _shown(features, model.config.modalities)
    if is_main and num_blank:
        console.print(
            f"left out {num_blank} clips that have nothing of {', '.join(model.config.modalities)}",
            style="yellow",
            highlight=False,
        )
    _tell_unparted(features, sources.names, is_main)
    data = TrainingData(
        train=features.of_split("train"),
        dev=features.of_split("dev"),
        test=features.of_split("test"),
        sha256=features.data_sha256,
        names=sources.names,
        split_sha256=split_hashes(sources) if config.protocol else {},
    )
    for name, part in (("train", data.train), ("dev", data.dev)):
        if not len(part):
            raise DataError(
                f"{', '.join(map(str, config.data))}: no usable clip is of the split {name}; mark some in "
                "the column split."
            )
    # batch norm needs two clips
    num_needed = 2 * accelerator.num_processes
    if len(data.train) < num_needed:
        raise DataError(
            f"{', '.join(map(str, config.data))}: at least {num_needed} usable clips of the split train are "
            f"needed (two per process), not {len(data.train)}; mark more."
        )
    return data


def _shown(features: FeatureSet, modalities: Sequence[str]) -> tuple[FeatureSet, int]:
    """The clips that have something for a model that reads these modalities, and how many have nothing."""
    kept = [i for i in range(len(features)) if features.may_show(i, modalities)]
    return features.select(kept), len(features) - len(kept)


def _tell_unparted(features: FeatureSet, names: Sequence[str], is_main: bool) -> None:
    """Tell how many clips are of no split. Raises DataError where a data set has no other."""
    of = {name: [0, 0] for name in names}
    for utterance in features.utterances:
        counts = of[utterance.extra.get(SOURCE, names[0])]
        counts[utterance.split not in SPLITS] += 1
    for name, (parted, unparted) in of.items():
        if unparted and not parted:
            raise DataError(
                f"{name}: no clip is of a split (train, dev or test), so that it would not be used; "
                "mark some in the column split, choose a protocol, or leave the data set away."
            )
        if unparted and is_main:
            console.print(
                f"{name}: {unparted} clips are of no split and are not used", style="yellow", highlight=False
            )


def require_same_clips(data: TrainingData, config: TrainConfig) -> None:
    """Check that all processes read the same clips; each of them must call this.

    Those that skipped others would learn from unlike batches, or wait for each other for ever.

    Raises:
        DataError: where they did not.
    """
    if len(set(gather_object([data.sha256]))) > 1:
        raise DataError(
            f"{', '.join(map(str, config.data))}: the processes could not read the same clips; the lines "
            "above tell which one was skipped where. Mend it, or remove it from the data."
        )


def read_configured(config: TrainConfig, scheme: str | None) -> Sources:
    """The data of a configuration, with their own splits, for a label scheme of this name.

    Raises:
        DataError: where they cannot be read.
    """
    return read_sources(
        config.data,
        allow_outside=config.allow_outside,
        scheme=scheme,
        options=config.data_options,
    )


def split_hashes(sources: Sources) -> dict[str, str]:
    """SHA-256 of the keys of each split: whether data are parted as they were."""
    keys = {name: sorted(u.key for u in sources.utterances if u.split == name) for name in SPLITS}
    return {name: hashlib.sha256("\n".join(own).encode()).hexdigest() for name, own in keys.items()}


def configured_folds(config: TrainConfig) -> tuple[Fold, ...]:
    """The folds of the configuration's protocol.

    Raises:
        DataError: where the data cannot be read, or cannot serve the protocol.
    """
    sources = read_configured(config, config.labels)
    return _folds(config, sources)


def _folds(config: TrainConfig, sources: Sources) -> tuple[Fold, ...]:
    if sources.pictures:
        raise DataError(
            f"{', '.join(sources.names)}: single pictures have neither speakers nor dialogues, so no "
            "protocol can part them; leave it away, and they are parted at random."
        )
    return make_folds(
        sources.utterances, config.protocol, num_folds=config.num_folds, group=config.fold_group
    )


def split_by(config: TrainConfig, sources: Sources) -> Sources:
    """The same with the splits of the configuration's protocol and fold.

    Raises:
        DataError: if the data cannot serve the protocol, or it has no such fold.
    """
    folds = {fold.name: fold for fold in _folds(config, sources)}
    if config.fold:
        fold = folds.get(config.fold)
    else:
        fold = next(iter(folds.values())) if len(folds) == 1 else None
    if fold is None:
        raise DataError(
            f"The protocol {config.protocol} has the folds {', '.join(folds)}, so one of them must be named, "
            f"not {config.fold or 'none'}."
        )
    return replace(sources, utterances=with_splits(sources.utterances, fold))


def _tell_skipped(features: FeatureSet) -> None:
    lines = [f"skipped {skipped.utterance.key}: {skipped.reason}" for skipped in features.skipped]
    if len(lines) > NUM_TOLD:
        num_more = len(lines) - NUM_TOLD
        told = f"… and {num_more} more; `deepmsi data check DATA --open --skipped FILE.csv` lists them"
        lines = [*lines[:NUM_TOLD], told]
    for line in lines:
        console.print(line, style="yellow", highlight=False, markup=False)
