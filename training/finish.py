"""What is done with a run's best weights: they are calibrated on the dev split and saved as a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from core.checkpoint import save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.evaluation.artifact import ALL
from core.evaluation.calibration import choose_threshold, fit_temperature
from core.evaluation.failures import COUNTS
from core.model import DeepMSI
from core.space import Space
from training.card import CAVEATS, write_card
from training.config import TrainConfig
from training.data import TrainingData
from training.datasets import DataError
from training.held_out import PARTED_OTHERWISE, shared_with_train, started_on_other_parts
from training.offsets import NUM_FOLDS, LogitOffsets, tune_offsets
from training.scores import Answers, evaluate
from training.sources import SOURCE


def save_finished(
    config: TrainConfig,
    model: DeepMSI,
    data: TrainingData,
    *,
    best_epoch: int,
    history: list[dict],
    space: Space,
    began_with: dict[str, str | None],
    learned_before: dict[str, str | None],
) -> None:
    """Calibrate finished weights, read the test split once, and write the checkpoint to `config.out`.

    Args:
        config: of the run.
        model: with the weights; where offsets are tuned, its classifier's bias gets them.
        data: that it learned from.
        best_epoch: whose weights these are.
        history: one row per epoch.
        space: how the embedding space took shape.
        began_with: see `training.resume.began_with`.
        learned_before: see `training.resume.learned_before`.

    Raises:
        CheckpointError: where the checkpoint cannot be written.
    """
    dev = evaluate(model, data.dev)
    offsets = None
    if config.tune_offsets:
        dev, offsets = _with_offsets(model, dev)
    usable = _usable(dev)
    # of several data sets the calibration is not to be that of the largest
    weights = dev.weights()[usable]
    temperature = fit_temperature(dev.logits[ALL][usable], dev.truth[usable], weights)
    dev = replace(dev, temperature=temperature)
    metrics = {"dev": dev.to_dict()}
    if len(data.test):
        metrics["test"] = evaluate(model, data.test, temperature=dev.temperature).to_dict()
    metrics[CAVEATS] = _caveats(config, data, learned_before)
    metrics["best_epoch"] = best_epoch
    metrics["logit_offsets"] = None if offsets is None else vars(offsets)
    metrics["num_clips"] = {name: len(getattr(data, name)) for name in ("train", "dev", "test")}
    metrics[COUNTS] = data.num_train_per_label(model.config.labels.labels)
    metrics["split_sha256"] = data.split_sha256
    metrics["began_with"] = began_with
    metrics["learned_before"] = learned_before
    metrics["train_config"] = config.recipe() | {"source_names": list(data.names)}
    video = model.config.video
    save_checkpoint(
        config.out,
        model,
        info=CheckpointInfo(
            temperature=dev.temperature,
            uncertainty_threshold=choose_threshold(dev.probabilities()[usable], dev.truth[usable], weights),
            data_sha256=data.sha256,
            seed=config.seed,
            preprocessing={
                "frames": f"{video.num_candidate_frames} evenly spaced, cropped to the speaker's face",
                "image_size": f"{video.image_size}",
            },
        ),
        history=history,
        space=space,
        metrics=metrics,
        card=write_card(config, model.config, metrics),
        dtype=torch.float16 if config.half_weights else torch.float32,
    )


def require_enough(config: TrainConfig, dev: Answers) -> None:
    """Check, before anything is learned, that there are dev clips enough for what is done at the end.

    Raises:
        DataError: where there are not.
    """
    num, needed = int(_usable(dev).sum()), NUM_FOLDS if config.tune_offsets else 1
    if num < needed:
        raise DataError(
            f"{', '.join(map(str, config.data))}: {num or 'no'} clips of the split dev hold anything of "
            f"{', '.join(config.modalities)}, and at least {needed} are needed"
            f"{' to tune offsets' * config.tune_offsets}; mark more."
        )


def _caveats(config: TrainConfig, data: TrainingData, learned_before: dict[str, str | None]) -> list[str]:
    """What the test part gives away: the start may have met it, or it shares much with what was learned."""
    is_met = len(data.test) and started_on_other_parts(data.names, config.protocol, learned_before)
    parts = [*data.train.utterances, *data.test.utterances]
    told = [PARTED_OTHERWISE] if is_met else []
    # of several data sets, within each
    for name in data.names:
        own = [one for one in parts if one.extra.get(SOURCE, data.names[0]) == name]
        start = f"{name}: " if len(data.names) > 1 else ""
        told += [f"{start}{said}" for said in shared_with_train(own, "test")]
    return told


def _usable(answers: Answers) -> np.ndarray:
    """`(clip,)` whether it shows the model anything."""
    return np.isfinite(answers.logits[ALL]).all(axis=1)


def _with_offsets(model: DeepMSI, dev: Answers) -> tuple[Answers, LogitOffsets]:
    """Tune offsets and make them part of the classifier's bias, so that every later answer has them."""
    usable = _usable(dev)
    offsets = tune_offsets(dev.logits[ALL][usable], dev.truth[usable])
    with torch.no_grad():
        model.classifier.output.bias += torch.tensor(offsets.values).to(model.classifier.output.bias)
    shifted = {subset: logits + np.array(offsets.values) for subset, logits in dev.logits.items()}
    return replace(dev, logits=shifted), offsets
