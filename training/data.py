"""The splits that a run learns from, chooses by and is tested on, with their features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from accelerate import Accelerator

from core.model import DeepMSI
from training.config import TrainConfig
from training.datasets import DataError
from training.features import FeatureSet
from training.logs import console
from training.protocol import Fold, make_folds, with_splits
from training.sources import SOURCE, Sources, make_features, read_sources, require_labels


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Features of the three splits; `test` may be empty.

    Attributes:
        sha256: of all clips' bytes and what is known of them.
        names: of the data sets.
    """

    train: FeatureSet
    dev: FeatureSet
    test: FeatureSet
    sha256: str
    names: tuple[str, ...]

    def sources(self) -> np.ndarray:
        """`(clip,)` number of the data set that each training clip is of."""
        if len(self.names) == 1:
            return np.zeros(len(self.train), int)
        return np.array([self.names.index(one.extra[SOURCE]) for one in self.train.utterances])


def load_data(config: TrainConfig, model: DeepMSI, accelerator: Accelerator) -> TrainingData:
    """Read what the configuration names, and make or find the features.

    Raises:
        DataError: where a split is too small or a label is unknown.
    """
    sources = read_sources(config.data, allow_outside=config.allow_outside, scheme=config.labels)
    if config.protocol is not None:
        sources = split_by(config, sources)
    require_labels(sources, model.config.labels)
    is_main = accelerator.is_main_process
    features = make_features(
        sources, model, config.cache_dir, num_workers=config.num_workers, progress=is_main
    )
    for skipped in features.skipped if is_main else ():
        console.print(f"skipped {skipped.utterance.key}: {skipped.reason}", style="yellow", highlight=False)
    data = TrainingData(
        train=features.of_split("train"),
        dev=features.of_split("dev"),
        test=features.of_split("test"),
        sha256=features.data_sha256,
        names=sources.names,
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


def configured_folds(config: TrainConfig) -> tuple[Fold, ...]:
    """The folds of the configuration's protocol.

    Raises:
        DataError: where the data cannot be read, or cannot serve the protocol.
    """
    sources = read_sources(config.data, allow_outside=config.allow_outside, scheme=config.labels)
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
