"""The splits that a run learns from, chooses by and is tested on, with their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from core.labels import LabelScheme
from core.model import DeepMSI
from training.config import TrainConfig
from training.datasets import DataError, Utterance, read_dataset
from training.features import FeatureSet, prepare
from training.logs import console
from training.protocol import Fold, make_folds, with_splits


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Features of the three splits; `test` may be empty.

    Attributes:
        sha256: of all clips' bytes and what is known of them.
    """

    train: FeatureSet
    dev: FeatureSet
    test: FeatureSet
    sha256: str


def load_data(config: TrainConfig, model: DeepMSI, accelerator: Accelerator) -> TrainingData:
    """Read what the configuration names, and make or find the features.

    Raises:
        DataError: where a split is too small or a label is unknown.
    """
    utterances = read_configured(config)
    if config.protocol is not None:
        utterances = _split_by(config, utterances)
    require_labels(utterances, model.config.labels)
    is_main = accelerator.is_main_process
    features = prepare(utterances, model, config.cache_dir, num_workers=config.num_workers, progress=is_main)
    for skipped in features.skipped if is_main else ():
        console.print(f"skipped {skipped.utterance.key}: {skipped.reason}", style="yellow", highlight=False)
    data = TrainingData(
        train=features.of_split("train"),
        dev=features.of_split("dev"),
        test=features.of_split("test"),
        sha256=features.data_sha256,
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


def require_labels(utterances: Sequence[Utterance], scheme: LabelScheme) -> None:
    """Check that a model can have learned every label. Raises DataError for the first it cannot."""
    for utterance in utterances:
        if utterance.label not in scheme.labels:
            raise DataError(
                f"{utterance.key} has the label {utterance.label!r}, which {scheme.name} lacks; "
                f"it knows {', '.join(scheme.labels)}."
            )


def read_configured(config: TrainConfig) -> list[Utterance]:
    """`read_utterances` as a run's configuration says."""
    return read_utterances(config.data, allow_outside=config.allow_outside, scheme=config.labels)


def make_configured_folds(config: TrainConfig, utterances: Sequence[Utterance]) -> tuple[Fold, ...]:
    """The folds of the configuration's protocol."""
    return make_folds(utterances, config.protocol, num_folds=config.num_folds, group=config.fold_group)


def read_utterances(
    data: Sequence[Path], *, allow_outside: bool = False, scheme: str | None = None
) -> list[Utterance]:
    """The utterances of all data sets, their keys unique over all of them.

    Args:
        data: see `training.datasets.read_dataset`.
        allow_outside: admit clips outside the folder of the manifest that names them.
        scheme: name of the labels wanted, of data sets that have several.

    Raises:
        DataError: where a data set cannot be read.
    """
    utterances = []
    for number, path in enumerate(data):
        options = {"allow_outside": True} if allow_outside else {}
        dataset = read_dataset(path, **options)
        if dataset.name == "iemocap" and scheme not in (None, dataset.scheme):
            dataset = read_dataset(path, name="iemocap", scheme=scheme)
        if not dataset.utterances:
            raise DataError(
                f"{path} holds single pictures, not clips; give it to `deepmsi pretrain --stills`."
            )
        mark = f"{number}:" if len(data) > 1 else ""
        utterances += [replace(one, key=mark + one.key) for one in dataset.utterances]
    return utterances


def _split_by(config: TrainConfig, utterances: list[Utterance]) -> list[Utterance]:
    folds = {fold.name: fold for fold in make_configured_folds(config, utterances)}
    if config.fold:
        fold = folds.get(config.fold)
    else:
        fold = next(iter(folds.values())) if len(folds) == 1 else None
    if fold is None:
        raise DataError(
            f"The protocol {config.protocol} has the folds {', '.join(folds)}, so one of them must be named, "
            f"not {config.fold or 'none'}."
        )
    return list(with_splits(utterances, fold))
