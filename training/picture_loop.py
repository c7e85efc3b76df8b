"""Training on single pictures: the loop of `training.pretrain`, which can be interrupted and go on.

What a step draws depends on the seed, the step and the process alone; where the run stands is kept at each
evaluation and when the process is asked to end.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object
from torch import Tensor, nn

from core.writing import ON_RESUME, replacing, written
from training import processes
from training.augment import resample
from training.average import WeightAverage
from training.datasets.stills import IGNORED, Stills
from training.datasets.utterance import DataError
from training.optimizer import warmup_cosine, weight_decay_groups
from training.pictures import PictureSources, StillsSampler, draw_stills, evaluate_stills
from training.pretrain_config import Phase, PretrainConfig
from training.pretrained import save_part
from training.sampler import random_stream
from training.state import (
    RunState,
    RunStopped,
    StopRequest,
    optimizer_tensors,
    random_state,
    require_same_run,
    restore_optimizer,
    restore_random,
    restoring,
    with_prefix,
    write_state,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class BestEncoder:
    """The encoder that did best on the dev pictures, and its line of the history."""

    row: dict
    state: dict[str, Tensor]


class PictureLoop:
    """One run over all phases.

    Args:
        config: of the run.
        sources: to learn from and to choose by.
        net: pictures to logits `(source, picture, class)` and targets `(picture, target)`; its `video` is the
            encoder.
        accelerator: device and processes.
        identity: of the run; a state of another is not gone on from.

    Raises:
        DataError: where the batches do not suit the sources.
    """

    def __init__(
        self,
        config: PretrainConfig,
        sources: PictureSources,
        net: nn.Module,
        accelerator: Accelerator,
        identity: dict,
    ) -> None:
        self.identity = identity
        self.config, self.sources, self.net, self.accelerator = config, sources, net, accelerator
        self.is_main = accelerator.is_main_process
        rank = accelerator.process_index
        self.counts = [_counts(config, phase, sources, accelerator.num_processes) for phase in config.phases]
        self.samplers = [
            StillsSampler(still, [config.seed, 7, i, rank]) for i, still in enumerate(sources.train)
        ]
        groups = weight_decay_groups(net.parameters(), config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self._average = WeightAverage(net, config.weight_average) if config.weight_average else None
        self.trained, self._prepared = accelerator.prepare(net, self.optimizer)
        if self._average is not None:
            self._average.model.to(accelerator.device)
        self.num_steps = sum(phase.num_steps for phase in config.phases)
        self.remaining = _Remaining(config.phases)
        # where the run stands
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.history: list[dict] = []
        self.best: BestEncoder | None = None

    def fit(self, state: RunState | None = None) -> BestEncoder | None:
        """Train to the end. The main process returns the best encoder, others None; None without a phase.

        Raises:
            DataError: if the state is of another run.
            RunStopped: on SIGTERM or Ctrl-C, in all processes together, after the state was written.
        """
        if state is not None:
            require_same_run(state, self.identity, self.config.run_folder)
            with restoring(self.config.run_folder):
                self._restore(state)
        first = 0
        with StopRequest() as stop:
            for phase, counts in zip(self.config.phases, self.counts, strict=True):
                if self.step < first + phase.num_steps:
                    self._run_phase(phase, counts, first, stop)
                else:
                    self._skip(phase, counts, phase.num_steps)
                first += phase.num_steps
        return self.best

    def _run_phase(self, phase: Phase, counts: list[int], first: int, stop: StopRequest) -> None:
        """The rest of a phase; `first` is the number of its first step."""
        config, device = self.config, self.accelerator.device
        stills = [still.at_size(phase.image_size) for still in self.sources.train]
        if phase.image_size == self.net.video.config.image_size and not self.net.video.base_guide.any():
            # the first compressed phase
            self.net.eval()
            self.net.video.aim_guide(_examples(stills[0], phase.image_size).to(device))
            # batch norm's statistics differ between processes, parameters may not
            self.net.video.base_guide.data.copy_(broadcast(self.net.video.base_guide.data))
            if self._average is not None:
                self._average.model.video.base_guide.data.copy_(self.net.video.base_guide.data)
        self._skip(phase, counts, self.step - first)
        started = time.monotonic() - self.seconds
        while self.step < first + phase.num_steps:
            # a schedule for each phase: at the tail of a common one, a new resolution was not learned
            factor = warmup_cosine(self.step - first, config.warmup_steps, phase.num_steps)
            for group in self.optimizer.param_groups:
                group["lr"] = config.learning_rate * factor
            self.losses.append(self._learn(stills, counts, phase.image_size))
            self.step += 1
            self.seconds = time.monotonic() - started
            self.remaining.step(phase)
            is_end = self.step == first + phase.num_steps
            is_evaluation = self.step % config.eval_every == 0 or self.step == self.num_steps
            if is_evaluation:
                loss = self._mean_loss()
                if self.is_main:
                    self._evaluate(phase, loss, config.learning_rate * factor)
                    self.seconds = time.monotonic() - started
                self.losses.clear()
            # a signal may reach one process a step earlier than another
            is_stopped = processes.in_any(self.accelerator, stop.is_made)
            if is_evaluation or is_end or is_stopped:
                self._write_state()
            if is_stopped and self.step < self.num_steps:
                raise RunStopped(
                    f"Stopped after step {self.step} of {self.num_steps}; the run's state is kept in "
                    f"{config.run_folder}: the same command with --resume goes on."
                )

    def _learn(self, stills: list[Stills], counts: list[int], image_size: int) -> float:
        config, device = self.config, self.accelerator.device
        self.trained.train()
        random = random_stream(config.seed, 8, self.step, self.accelerator.process_index)
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        pictures, labels, targets, origins = (
            part.to(device) for part in draw_stills(stills, self.samplers, counts, image_size, generator)
        )
        with self.accelerator.autocast():
            logits, predicted = self.trained(pictures)
        loss = _loss((logits.float(), predicted.float()), labels, targets, origins, config)
        self._prepared.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.trained.parameters(), config.clip_norm)
        self._prepared.step()
        if self._average is not None:
            self._average.update(self.net)
        return float(loss.detach())

    def _skip(self, phase: Phase, counts: list[int], num_steps: int) -> None:
        """Steps that an earlier process has done: what it drew is not drawn again."""
        for _ in range(num_steps):
            for sampler, count in zip(self.samplers, counts, strict=True):
                sampler.draw(count)
            self.remaining.pass_over(phase)

    def _mean_loss(self) -> float:
        """Since the last evaluation, over all processes."""
        mean = torch.tensor(float(np.mean(self.losses)), device=self.accelerator.device)
        return self.accelerator.reduce(mean, "mean").item()

    def _evaluate(self, phase: Phase, loss: float, learning_rate: float) -> None:
        """One line of history; keeps the encoder when it is the best of the last phase so far."""
        net = self.net if self._average is None else self._average.model
        scores = evaluate_stills(
            net,
            self.sources,
            phase.image_size,
            num_pictures=self.config.num_eval_pictures,
            device=self.accelerator.device,
        )
        row = {
            "step": self.step,
            "image_size": phase.image_size,
            "loss": loss,
            "learning_rate": learning_rate,
            "seconds": self.seconds,
            "dev": {name: dataclasses.asdict(score) for name, score in scores.items()},
        }
        self.history.append(row)
        lines = "".join(f"{json.dumps(line)}\n" for line in self.history)
        with (
            written(self.config.out, DataError, ON_RESUME),
            replacing(self.config.out / "history.jsonl") as unfinished,
        ):
            unfinished.write_text(lines, encoding="utf-8")
        # the score of another resolution says nothing of the one that will be used
        if phase is self.config.phases[-1] and (self.best is None or _mean_f1(row) > _mean_f1(self.best.row)):
            state = {k: v.detach().cpu().clone() for k, v in net.video.state_dict().items()}
            self.best = BestEncoder(row=row, state=state)
            save_part(self.config.out / "video.safetensors", net.video)
        print(_line(row, self.num_steps, self.remaining.seconds), flush=True)

    def _write_state(self) -> None:
        """Replace the state on disk; all processes take part, the main one writes."""
        # each has met its own pictures; who goes on from here starts with the same losses in all
        if self.losses and self.accelerator.num_processes > 1:
            losses = torch.tensor(self.losses, device=self.accelerator.device)
            self.losses = self.accelerator.reduce(losses, "mean").tolist()
        parts = gather_object([random_state()])
        if not self.is_main:
            return
        tensors = with_prefix("net", self.net.state_dict())
        tensors |= with_prefix("optimizer", optimizer_tensors(self.optimizer))
        if self._average is not None:
            tensors |= with_prefix("average", self._average.model.state_dict())
        for rank, part in enumerate(parts):
            tensors |= with_prefix(f"process.{rank}", part)
        if self.best is not None:
            tensors |= with_prefix("best", self.best.state)
        values = {
            "identity": self.identity,
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "history": self.history,
            "best": None if self.best is None else self.best.row,
        }
        write_state(self.config.run_folder, RunState(tensors=tensors, values=values))

    def _restore(self, state: RunState) -> None:
        values = state.values
        self.net.load_state_dict(state.part("net").tensors)
        if self._average is not None:
            self._average.model.load_state_dict(state.part("average").tensors)
            self._average.num_steps = values["step"]
        own = state.part(f"process.{self.accelerator.process_index}")
        restore_random(own.tensors)
        # each step sets its own
        rates = [self.config.learning_rate] * len(self.optimizer.param_groups)
        restore_optimizer(self.optimizer, state.part("optimizer").tensors, rates)
        self.step, self.seconds = values["step"], values["seconds"]
        self.losses, self.history = list(values["losses"]), list(values["history"])
        if values["best"] is not None:
            self.best = BestEncoder(row=values["best"], state=state.part("best").tensors)


def _mean_f1(row: dict) -> float:
    return float(np.mean([scores["macro_f1"] for scores in row["dev"].values()]))


def _examples(stills: Stills, image_size: int, num_pictures: int = 256) -> Tensor:
    """Some of the pictures, unaugmented: `(picture, 3, size, size)`."""
    chosen = np.unique(np.linspace(0, len(stills) - 1, num_pictures).astype(int))
    return resample(torch.from_numpy(stills.pixels[chosen]), image_size)


def _counts(config: PretrainConfig, phase: Phase, sources: PictureSources, num_processes: int) -> list[int]:
    """Pictures per source in one process's share of a batch."""
    shares = np.asarray(config.shares or [1.0] * len(sources.train), float)
    names = ", ".join(still.name for still in sources.train)
    if len(shares) != len(sources.train):
        raise DataError(f"{len(shares)} shares were given for the sources {names}; give one for each.")
    counts = np.round(shares / shares.sum() * (phase.batch_size // num_processes)).astype(int)
    if counts.min() < 1:
        raise DataError(
            f"A batch of {phase.batch_size} over {num_processes} processes has no room for a picture of each "
            f"of {names}; make it larger."
        )
    return counts.tolist()


def _loss(outputs, labels: Tensor, targets: Tensor, sources: Tensor, config: PretrainConfig) -> Tensor:
    """Cross-entropy of each picture's own emotion head + weighted squared error of its targets."""
    logits, predicted = outputs
    own = logits[sources, torch.arange(len(sources), device=sources.device)]
    # every head takes part: processes wait for the gradient of all that comes out
    loss = (own.sum() + predicted.sum()) * 0.0
    if (labels != IGNORED).any():
        loss = loss + F.cross_entropy(
            own, labels, ignore_index=IGNORED, label_smoothing=config.label_smoothing
        )
    known = ~targets.isnan()
    if known.any():
        loss = loss + config.target_weight * F.mse_loss(predicted[known], targets[known])
    return loss


class _Remaining:
    """Time left, from the measured seconds per step of this phase and the sizes of those to come."""

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        self.costs = {phase: phase.image_size**2 * phase.batch_size for phase in phases}
        self.left = sum(self.costs[phase] * phase.num_steps for phase in phases)
        self.done, self.began = 0, time.monotonic()
        self.phase = None

    def step(self, phase: Phase) -> None:
        if phase != self.phase:
            self.phase, self.done, self.began = phase, 0, time.monotonic()
        self.done += self.costs[phase]
        self.left -= self.costs[phase]

    def pass_over(self, phase: Phase) -> None:
        """A step that need not be done."""
        self.left -= self.costs[phase]

    @property
    def seconds(self) -> float:
        return (time.monotonic() - self.began) / max(1, self.done) * self.left


def _line(row: dict, num_steps: int, seconds_left: float) -> str:
    scores = "  ".join(
        f"{name} acc {s['accuracy']:.3f} F1 {s['macro_f1']:.3f}"
        + ("" if s["target_r2"] is None else f" AU R² {s['target_r2']:.3f}")
        for name, s in row["dev"].items()
    )
    return (
        f"step {row['step']}/{num_steps} @{row['image_size']} px  loss {row['loss']:.3f}  {scores}  "
        f"{row['seconds'] / 60:.1f} min, {seconds_left / 60:.1f} left"
    )
