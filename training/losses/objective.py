"""What a training step minimises, and what it remembers from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.config import TrainConfig
from training.losses.classes import class_loss, effective_number_weights, log_prior
from training.losses.contrastive import contrastive_loss
from training.losses.memory import ClassPrototypes, ClassQueue
from training.shared import ALONE, Team

HEAVIEST = 10.0
"""Weight of a class at most, where clips weigh one on average: else two clips of a class would be all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StepLosses:
    """Scalars; the total is the weighted sum of the others."""

    total: Tensor
    by_class: Tensor
    contrastive: Tensor
    prototype: Tensor

    def values(self) -> dict[str, float]:
        """For the history."""
        return {
            "loss": self.total.item(),
            "class_loss": self.by_class.item(),
            "contrastive_loss": self.contrastive.item(),
            "prototype_loss": self.prototype.item(),
        }


class Objective(nn.Module):
    """All losses of a run, as its configuration says.

    It has no parameters. Its `state_dict` holds what is remembered (empty without queue and prototypes): a
    run that is resumed must load it, of several processes each its own, to go on exactly.

    Args:
        config: the fields on losses are read.
        counts: `(source, class)` training clips of each data set: each has a prior of its own, so that what
            is common in one of them is not taken for common everywhere.
        projection_width: of the model.
        team: the processes that share a batch.
    """

    def __init__(
        self, config: TrainConfig, counts: Tensor, projection_width: int, team: Team = ALONE
    ) -> None:
        super().__init__()
        self.config, self.team = config, team
        # 0.29 · 100 is a little less than 29
        self.first_weighed_epoch = int(config.class_weight_start * config.num_epochs + 1e-6)
        prior = log_prior(counts, config.prior_tau) if config.prior_tau else None
        weights = None
        if config.class_weight_beta:
            drawn = _drawn(counts, config.source_shares).sum(0)
            weights = effective_number_weights(drawn, config.class_weight_beta).clamp(max=HEAVIEST)
        self.register_buffer("prior", prior, persistent=False)
        self.register_buffer("class_weights", weights, persistent=False)
        size = counts.shape[1], projection_width
        self.queue = ClassQueue(*size, config.queue_size) if config.queue_size else None
        self.prototypes = ClassPrototypes(*size) if config.prototype_weight else None

    def forward(
        self,
        logits: Tensor,
        projections: dict[str, Tensor],
        present: Tensor,
        labels: Tensor,
        *,
        epoch: int,
        sources: Tensor | None = None,
    ) -> StepLosses:
        """Losses of one batch; in training mode the batch is remembered, after it was compared.

        Args:
            logits: `(clip, class)`, of any precision: losses are computed in float32.
            projections: per modality `(clip, width)`.
            present: `(clip, modality)`.
            labels: `(clip,)`.
            epoch: counted from zero; class weights may come in late (Cao et al. 2019).
            sources: `(clip,)` numbers of the clips' data sets; all of the first if None.
        """
        config = self.config
        sources = torch.zeros_like(labels) if sources is None else sources
        projections = {name: value.float() for name, value in projections.items()}
        by_class = class_loss(
            logits.float(),
            labels,
            log_prior=None if self.prior is None else self.prior[sources],
            weights=self.class_weights if epoch >= self.first_weighed_epoch else None,
            focal_gamma=config.focal_gamma,
            label_smoothing=config.label_smoothing,
        )
        # compared and remembered is the whole batch, also where several processes share it
        projections = {name: self.team.of_all(value) for name, value in projections.items()}
        present, labels = self.team.of_all(present), self.team.of_all(labels)
        contrastive = contrastive_loss(
            projections,
            present,
            labels,
            temperature=config.temperature,
            form=config.contrastive_form,
            text_audio_weight=config.text_audio_weight,
            queue=self.queue,
        )
        prototype = torch.zeros_like(by_class)
        if self.prototypes is not None:
            prototype = self.prototypes.loss(projections, present, labels, temperature=config.temperature)
        if self.training:
            for memory in (self.queue, self.prototypes):
                if memory is not None:
                    memory.take_in(projections, present, labels)
        compared = config.contrastive_weight * contrastive + config.prototype_weight * prototype
        return StepLosses(
            total=by_class + self.team.for_average(compared),
            by_class=by_class,
            contrastive=contrastive,
            prototype=prototype,
        )


def _drawn(counts: Tensor, shares: tuple[float, ...]) -> Tensor:
    """`(source, class)` clips as they are met in training, as many in all as there are."""
    if not shares:
        return counts
    wanted = torch.tensor(shares, dtype=counts.dtype)
    size_of = counts.sum(1).clamp(min=1.0)
    return counts * (wanted / wanted.sum() * counts.sum() / size_of)[:, None]
