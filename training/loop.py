"""The training loop: features in, a checkpoint out, chosen on the dev split by macro-F1.

Of several processes (`torchrun --nproc-per-node 2 -m app.cli train …`) each learns from its share of every
batch; the main one alone evaluates, decides when to stop, and saves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from core.checkpoint import CheckpointInfo, require_replaceable, save_checkpoint
from core.config import PRESETS, ModelConfig, VideoConfig
from core.model import DeepMSI, ModelInput, build_model
from training import processes
from training.average import WeightAverage
from training.card import write_card
from training.config import TrainConfig
from training.datasets.manifest import DataError, read_manifest
from training.evaluate import ALL, Evaluation, choose_threshold, evaluate, figure, fit_temperature
from training.features import FeatureSet, prepare
from training.losses import class_loss, contrastive_loss, log_prior
from training.pretrained import load_pretrained
from training.sampler import Batch, epoch_batches, label_indices, random_stream, training_batch
from training.schedule import warmup_cosine, weight_decay_groups
from training.selection import SelectionProbe

EPOCH_SUBSETS = (ALL, ("video",), ("audio",), ("text",))
"""Subsets of the modalities that the dev split is read with after every epoch."""

console = Console(stderr=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Data:
    train: FeatureSet
    dev: FeatureSet
    test: FeatureSet
    sha256: str


def train(config: TrainConfig) -> Path:
    """Train a model and save the checkpoint that did best on the dev split.

    Returns:
        `config.out`, a folder as `core.checkpoint` describes it.

    Raises:
        DataError: where a split is too small, a label is unknown, or the pretrained encoder does not fit.
        CheckpointError: where `config.out` holds something else; told before anything is done.
    """
    require_replaceable(config.out)
    accelerator = processes.join(num_threads=config.num_threads, precision=config.precision)
    torch.manual_seed(config.seed)
    model = _build(config)
    with accelerator.main_process_first():
        data = _load(config, model, accelerator)
    if (sounds := data.train.sounds()) is not None:
        model.audio.standardise_to(sounds)
    # dropout of its own for each process
    torch.manual_seed(config.seed + accelerator.process_index)
    run = _Run(config, model, data, accelerator)
    best = run.fit()
    if accelerator.is_main_process:
        run.save(best)
    accelerator.wait_for_everyone()
    return config.out


def _build(config: TrainConfig) -> DeepMSI:
    model_config: ModelConfig = PRESETS[config.preset]
    if config.compression is not None:
        model_config = replace(model_config, compression=config.compression)
    model = build_model(model_config)
    if config.pretrained_video is not None:
        load_pretrained(model, config.pretrained_video)
    return model


def _load(config: TrainConfig, model: DeepMSI, accelerator: Accelerator) -> _Data:
    utterances = [u for path in config.data for u in read_manifest(path, allow_outside=True)]
    known = model.config.labels.labels
    for utterance in utterances:
        if utterance.label not in known:
            raise DataError(
                f"{utterance.key} has the label {utterance.label!r}, which {model.config.labels.name} lacks; "
                f"it knows {', '.join(known)}."
            )
    is_main = accelerator.is_main_process
    features = prepare(utterances, model, config.cache_dir, num_workers=config.num_workers, progress=is_main)
    for skipped in features.skipped if is_main else ():
        console.print(f"skipped {skipped.utterance.key}: {skipped.reason}", style="yellow", highlight=False)
    data = _Data(
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


class _Learner(nn.Module):
    """The model, giving only what the loss reads.

    Processes wait for the gradient of all that an output depends on: also of the guide, which leads nowhere
    when no clip of a batch shows its video.
    """

    def __init__(self, model: DeepMSI) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: ModelInput) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        output = self.model(inputs)
        return output.logits, output.projections, output.present


@dataclass(frozen=True, kw_only=True, eq=False)
class _Best:
    epoch: int
    macro_f1: float
    state: dict[str, torch.Tensor]


class _Run:
    """One run's moving parts."""

    def __init__(self, config: TrainConfig, model: DeepMSI, data: _Data, accelerator: Accelerator) -> None:
        self.config, self.data, self.accelerator = config, data, accelerator
        self.model_config = model.config
        self.labels = label_indices(data.train, model.config.labels)
        optimizer = _optimizer(config, model)
        self.learner, self.optimizer = accelerator.prepare(_Learner(model), optimizer)
        self.plain_model = model
        self.average = WeightAverage(model, config.weight_average) if config.weight_average else None
        per_process = max(2, config.batch_size // accelerator.num_processes)
        self.batch_size = per_process * accelerator.num_processes
        self.num_steps = len(self._batches(0)) * config.num_epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        counts = torch.bincount(torch.from_numpy(self.labels), minlength=len(model.config.labels)).float()
        self.prior = log_prior(counts, config.prior_tau).to(accelerator.device) if config.prior_tau else None
        self.history: list[dict] = []
        self.step = 0

    @property
    def evaluated_model(self) -> DeepMSI:
        """The network whose weights are evaluated and saved."""
        return self.average.model if self.average else self.plain_model

    def fit(self) -> _Best | None:
        """Train to the last epoch or the end of patience. The main process returns the best, others None."""
        is_main, probe = self.accelerator.is_main_process, SelectionProbe()
        if is_main:
            self._evaluate(probe)
            probe.remember()
        best, began = None, time.monotonic()
        for epoch in range(self.config.num_epochs):
            started = time.monotonic()
            losses = self._epoch(epoch)
            if is_main:
                best = self._judge(epoch, losses, started, probe, best)
                self._report(self.history[-1], best, began)
            # one decision for all: batch norm's statistics, hence scores, differ a little between processes
            is_over = (
                is_main and epoch - max(best.epoch, self.config.num_blind_epochs) >= self.config.patience
            )
            if broadcast_object_list([is_over])[0]:
                break
        return best

    def _judge(
        self, epoch: int, losses: dict[str, float], started: float, probe: SelectionProbe, best: _Best | None
    ) -> _Best:
        """Read the dev split, add a row to the history, and return the best epoch so far."""
        train_seconds = time.monotonic() - started
        evaluation = self._evaluate(probe)
        row = {"epoch": epoch, **losses, "learning_rate": self.schedule.get_last_lr()[0]}
        for subset in EPOCH_SUBSETS:
            scores = evaluation.scores(subset)
            for name in ("accuracy", "weighted_f1", "macro_f1"):
                row[f"dev_{'+'.join(subset)}_{name}"] = getattr(scores, name)
        row |= probe.changes()
        row |= {"train_seconds": train_seconds, "seconds": time.monotonic() - started}
        self.history.append(row)
        macro_f1 = evaluation.scores().macro_f1
        if best is not None and macro_f1 <= best.macro_f1:
            return best
        state = {k: v.detach().clone() for k, v in self.evaluated_model.state_dict().items()}
        return _Best(epoch=epoch, macro_f1=macro_f1, state=state)

    def save(self, best: _Best) -> None:
        """Calibrate the best weights on the dev split and write the checkpoint."""
        model = self.evaluated_model
        model.load_state_dict(best.state)
        dev = evaluate(model, self.data.dev)
        dev = replace(dev, temperature=fit_temperature(dev))
        metrics = {"dev": dev.to_dict()}
        if len(self.data.test):
            metrics["test"] = evaluate(model, self.data.test, temperature=dev.temperature).to_dict()
        metrics["best_epoch"] = best.epoch
        metrics["num_clips"] = {name: len(getattr(self.data, name)) for name in ("train", "dev", "test")}
        metrics["train_config"] = self.config.recipe()
        video = self.model_config.video
        save_checkpoint(
            self.config.out,
            model,
            info=CheckpointInfo(
                temperature=dev.temperature,
                uncertainty_threshold=choose_threshold(dev),
                data_sha256=self.data.sha256,
                seed=self.config.seed,
                preprocessing={
                    "frames": f"{video.num_candidate_frames} evenly spaced, cropped to the speaker's face",
                    "image_size": f"{video.image_size}",
                },
            ),
            history=self.history,
            metrics=metrics,
            card=write_card(self.config, self.model_config, metrics),
            dtype=torch.float16 if self.config.half_weights else torch.float32,
        )

    def _batches(self, epoch: int) -> list[np.ndarray]:
        random = random_stream(self.config.seed, 1, epoch)
        return epoch_batches(self.labels, self.batch_size, random, class_balance=self.config.class_balance)

    def _make(self, epoch: int, step: int, indices: np.ndarray) -> Batch:
        rank, num = self.accelerator.process_index, self.accelerator.num_processes
        is_blind = epoch < self.config.num_blind_epochs
        num_frames = random_stream(self.config.seed, 2, epoch, step).choice(self.config.num_train_frames)
        return training_batch(
            self.data.train,
            indices[rank::num],
            self.model_config,
            random_stream(self.config.seed, 3, epoch, step, rank),
            num_frames=1 if is_blind else int(num_frames),
            is_blind=is_blind,
            modality_dropout=self.config.modality_dropout,
            augment=self.config.augment,
        )

    def _epoch(self, epoch: int) -> dict[str, float]:
        batches = self._batches(epoch)
        sums, num_batches = {"loss": 0.0, "class_loss": 0.0, "contrastive_loss": 0.0}, len(batches)
        self.learner.train()
        # the next batch is read and augmented while the network works on this one
        with ThreadPoolExecutor(1) as pool, self._progress(epoch) as bar:
            task = bar.add_task("", total=num_batches)
            future = pool.submit(self._make, epoch, 0, batches[0])
            for step in range(num_batches):
                batch = future.result()
                if step + 1 < num_batches:
                    future = pool.submit(self._make, epoch, step + 1, batches[step + 1])
                for name, value in self._train_step(batch).items():
                    sums[name] += value / num_batches
                bar.advance(task)
        return sums

    def _progress(self, epoch: int) -> Progress:
        return Progress(
            TextColumn(f"Epoch {epoch + 1}/{self.config.num_epochs}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self.accelerator.is_main_process,
        )

    def _train_step(self, batch: Batch) -> dict[str, float]:
        device = self.accelerator.device
        inputs, labels = batch.inputs.to(device), batch.labels.to(device)
        with self._frames_kept(inputs), self.accelerator.autocast():
            logits, projections, present = self.learner(inputs)
        by_class = class_loss(
            logits.float(), labels, log_prior=self.prior, label_smoothing=self.config.label_smoothing
        )
        contrast = contrastive_loss(
            {name: value.float() for name, value in projections.items()},
            present,
            labels,
            temperature=self.config.temperature,
            form=self.config.contrastive_form,
            text_audio_weight=self.config.text_audio_weight,
        )
        loss = by_class + self.config.contrastive_weight * contrast
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.plain_model.trained_parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        if self.average:
            self.average.update(self.plain_model)
        return {"loss": loss.item(), "class_loss": by_class.item(), "contrastive_loss": contrast.item()}

    def _frames_kept(self, inputs):
        """With fewer candidates, the same share of them is kept: else none would be compressed."""
        video = self.model_config.video
        num_candidates = 0 if inputs.frames is None else inputs.frames.shape[1]
        share = video.num_kept_frames / video.num_candidate_frames
        num_kept = max(1, min(video.num_kept_frames, round(num_candidates * share)))
        return _with_video_config(self.plain_model, replace(video, num_kept_frames=num_kept))

    def _evaluate(self, probe: SelectionProbe) -> Evaluation:
        return evaluate(self.evaluated_model, self.data.dev, subsets=EPOCH_SUBSETS, watch=probe.watch)

    def _rate(self, step: int) -> float:
        return warmup_cosine(step, max(1, round(self.num_steps * self.config.warmup_share)), self.num_steps)

    def _report(self, row: dict, best: _Best, began: float) -> None:
        done = row["epoch"] + 1
        left = (time.monotonic() - began) / done * (self.config.num_epochs - done)
        names = ["+".join(subset) for subset in EPOCH_SUBSETS]
        f1 = "  ".join(f"{name} {figure(row[f'dev_{name}_macro_f1'])}" for name in names)
        console.print(
            f"epoch {done}/{self.config.num_epochs}  loss {row['loss']:.3f}  dev macro-F1: {f1}  "
            f"(best {best.macro_f1:.3f} in epoch {best.epoch + 1})  "
            f"frames kept otherwise than at the start {row['changed_frames']:.0%}, "
            f"than without the guide {row['guided_frames']:.0%}  "
            f"{row['seconds']:.0f} s, {left / 60:.1f} min left",
            highlight=False,
            soft_wrap=True,
        )


@contextmanager
def _with_video_config(model: DeepMSI, config: VideoConfig) -> Iterator[None]:
    """For a while, another configuration of a model's video encoder."""
    usual, model.video.config = model.video.config, config
    try:
        yield
    finally:
        model.video.config = usual


def _optimizer(config: TrainConfig, model: DeepMSI) -> torch.optim.Optimizer:
    """What can be pretrained has a rate of its own."""
    pretrainable, others = [], []
    for name, parameter in model.named_parameters():
        # the guides learn with the early fusion that feeds them
        is_pretrainable = name.startswith(("video.", "temporal.")) and "guide" not in name
        (pretrainable if is_pretrainable else others).append(parameter)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(
        {**group, "lr": rate}
        for parameters, rate in (
            (others, config.learning_rate),
            (pretrainable, config.video_learning_rate),
        )
        for group in weight_decay_groups(parameters, config.weight_decay)
    )
