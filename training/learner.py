"""The network while it learns: losses, gradients, the optimizer, and the average of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from core.checkpoint import stored_state
from core.config import VideoConfig
from core.model import DeepMSI, ModelInput
from training.average import WeightAverage
from training.config import TrainConfig
from training.datasets import DataError
from training.losses.objective import Objective
from training.optimizer import build_optimizer, warmup_cosine
from training.recompute import recompute_early_blocks
from training.sampler import Batch
from training.shared import Team, share_batch_norms
from training.state import (
    RunState,
    optimizer_tensors,
    random_state,
    restore_optimizer,
    restore_random,
    with_prefix,
)


class Learner:
    """A model in training, in one process or shared by several.

    Args:
        config: of the run.
        model: changed by every step.
        counts: `(source, class)` training clips.
        num_steps: of the whole run, for the learning rate.
        accelerator: device, precision and processes.

    Attributes:
        num_steps_done: so far.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: DeepMSI,
        counts: Tensor,
        num_steps: int,
        accelerator: Accelerator,
    ) -> None:
        self.config, self.model, self.accelerator = config, model, accelerator
        self.num_steps, self.num_steps_done = num_steps, 0
        if config.recompute:
            recompute_early_blocks(model)
        team = Team.of_run()
        # where two kinds of exchange would meet on a GPU, and order matters, it was not tried
        if team.num > 1 and accelerator.device.type == "cpu":
            share_batch_norms(model.early_fusion, team)
            share_batch_norms(model.classifier, team)
        self._plain_optimizer = build_optimizer(config, model)
        self._network, self._optimizer = accelerator.prepare(
            _Network(model, is_shared=team.num > 1), self._plain_optimizer
        )
        self._average = WeightAverage(model, config.weight_average) if config.weight_average else None
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._plain_optimizer, self._rate)
        width = model.config.heads.projection_width
        self._objective = Objective(config, counts, width, team).to(accelerator.device)

    @property
    def evaluated_model(self) -> DeepMSI:
        """The network whose weights are evaluated and saved."""
        return self._average.model if self._average else self.model

    @property
    def learning_rate(self) -> float:
        """Of what is neither video encoder nor backbone, now."""
        return self.config.learning_rate * self._rate(self.num_steps_done)

    def train(self) -> None:
        """Put the network into training mode."""
        self._network.train()

    def backward(self, batch: Batch, *, epoch: int, num_batches: int, is_last: bool) -> dict[str, float]:
        """Add the gradient of one batch to what the step has so far.

        Args:
            batch: this process's share.
            epoch: counted from zero.
            num_batches: of this step.
            is_last: of them; only then do processes exchange their gradients.

        Returns:
            Losses by name.

        Raises:
            DataError: the loss is no number any more.
        """
        device = self.accelerator.device
        inputs, labels = batch.inputs.to(device), batch.labels.to(device)
        with nullcontext() if is_last else self.accelerator.no_sync(self._network):
            with self._frames_kept(inputs), self.accelerator.autocast():
                logits, projections, present = self._network(inputs)
            losses = self._objective(
                logits, projections, present, labels, epoch=epoch, sources=batch.sources.to(device)
            )
            self.accelerator.backward(losses.total / num_batches)
        values = losses.values()
        # in half precision a step whose gradient overflows is left out, and the next is scaled less
        if not math.isfinite(values["loss"]) and self.accelerator.scaler is None:
            raise DataError(
                f"The loss is {values['loss']} in epoch {epoch + 1}, for the weights have run away: lower "
                f"learning_rate (or its like), remove {self.config.run_folder} and start anew."
            )
        return values

    def step(self) -> None:
        """Move the weights along the gradient that was gathered."""
        self.accelerator.clip_grad_norm_(self.model.trained_parameters(), self.config.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._schedule.step()
        self.num_steps_done += 1
        if self._average:
            self._average.update(self.model)

    def state(self) -> RunState:
        """All that decides the next steps. All processes take part; each has the same answer."""
        own = with_prefix("random", random_state()) | with_prefix("objective", self._objective.state_dict())
        tensors = with_prefix("model", stored_state(self.model))
        tensors |= with_prefix("optimizer", optimizer_tensors(self._plain_optimizer))
        for rank, part in enumerate(gather_object([own])):
            tensors |= with_prefix(f"process.{rank}", part)
        if self._average:
            tensors |= with_prefix("average", stored_state(self._average.model))
        scaler = self.accelerator.scaler
        values = {
            "num_steps_done": self.num_steps_done,
            "num_averaged": self._average.num_steps if self._average else 0,
            "schedule": {k: v for k, v in self._schedule.state_dict().items() if k != "lr_lambdas"},
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        return RunState(tensors=tensors, values=values)

    def restore(self, state: RunState) -> None:
        """The inverse of `state`, for this process. Raises what a damaged one gives rise to."""
        values = state.values
        _load(self.model, state.part("model").tensors)
        if self._average:
            _load(self._average.model, state.part("average").tensors)
            self._average.num_steps = values["num_averaged"]
        own = state.part(f"process.{self.accelerator.process_index}")
        self._objective.load_state_dict(own.part("objective").tensors)
        restore_random(own.part("random").tensors)
        rates = values["schedule"]["_last_lr"]
        restore_optimizer(self._plain_optimizer, state.part("optimizer").tensors, rates)
        self._schedule.load_state_dict({**values["schedule"], "lr_lambdas": [None] * len(rates)})
        if values["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(values["scaler"])
        self.num_steps_done = values["num_steps_done"]

    def _rate(self, step: int) -> float:
        return warmup_cosine(step, max(1, round(self.num_steps * self.config.warmup_share)), self.num_steps)

    def _frames_kept(self, inputs: ModelInput):
        """With fewer candidates, the same share of them is kept: else none would be compressed."""
        if inputs.frames is None:
            return nullcontext()
        video, num_candidates = self.model.config.video, inputs.frames.shape[1]
        share = video.num_kept_frames / video.num_candidate_frames
        num_kept = max(1, min(video.num_kept_frames, round(num_candidates * share)))
        return _with_video_config(self.model, replace(video, num_kept_frames=num_kept))


def _load(model: DeepMSI, weights: dict[str, Tensor]) -> None:
    """Put in the weights that `stored_state` told, all of them; the others are frozen."""
    if differing := sorted(stored_state(model).keys() ^ weights.keys()):
        raise ValueError(f"{differing[0]} is in one and not in the other")
    model.load_state_dict(weights, strict=False)


class _Network(nn.Module):
    """The model, giving only what the loss reads.

    Processes wait for the gradient of all that an output depends on: also of the guide, which would lead
    nowhere when no clip of a batch shows its video.
    """

    def __init__(self, model: DeepMSI, *, is_shared: bool) -> None:
        super().__init__()
        self.model, self.is_shared = model, is_shared

    def forward(self, inputs: ModelInput) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        output = self.model(inputs)
        logits = output.logits + 0.0 * output.guide.sum() if self.is_shared else output.logits
        return logits, output.projections, output.present


@contextmanager
def _with_video_config(model: DeepMSI, config: VideoConfig) -> Iterator[None]:
    """For a while, another configuration of a model's video encoder."""
    usual, model.video.config = model.video.config, config
    try:
        yield
    finally:
        model.video.config = usual
