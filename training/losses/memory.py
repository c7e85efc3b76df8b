"""What the contrastive terms remember of earlier batches: clips of every class, and the classes' means.

Both hold unit vectors per modality and class, without a gradient, and are part of a run's state. Of several
processes each takes in the whole batch, so all remember the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.labels import MODALITIES


class ClassQueue(nn.Module):
    """The last projections of every class and modality, first in, first out.

    Of three batches of 16 MELD clips one holds a fear clip; with the queue every anchor meets clips of all
    classes. (Song et al. 2022 keep such class queues against the same imbalance; a memory of detached
    features goes back to He et al. 2020.)

    Args:
        num_classes: that labels may have.
        width: of a projection.
        size: entries per class and modality; all classes have the same, so common ones do not outnumber rare
            ones.
    """

    def __init__(self, num_classes: int, width: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("vectors", torch.zeros(len(MODALITIES), num_classes, size, width))
        self.register_buffer("num_pushed", torch.zeros(len(MODALITIES), num_classes, dtype=torch.long))

    def entries(self, modality: str) -> tuple[Tensor, Tensor]:
        """Unit vectors `(entry, width)` and labels `(entry,)` of all that is remembered of a modality."""
        index = MODALITIES.index(modality)
        is_filled = torch.arange(self.size, device=self.vectors.device) < self.num_pushed[index, :, None]
        return self.vectors[index][is_filled], is_filled.nonzero()[:, 0]

    @torch.no_grad()
    def take_in(self, projections: dict[str, Tensor], present: Tensor, labels: Tensor) -> None:
        """Take in a batch; where the queue of a class is full, its oldest entries go.

        Args:
            projections: per modality `(clip, width)`, not yet normalised.
            present: `(clip, modality)`; what a clip lacks is not taken in.
            labels: `(clip,)`.
        """
        for index, modality in enumerate(MODALITIES):
            for label in labels[present[:, index]].unique().tolist():
                chosen = projections[modality][present[:, index] & (labels == label)]
                before = self.num_pushed[index, label]
                places = (before + torch.arange(len(chosen), device=chosen.device))[-self.size :] % self.size
                newest = F.normalize(chosen[-self.size :].float(), dim=1)
                self.vectors[index, label, places] = newest
                self.num_pushed[index, label] += len(chosen)


class ClassPrototypes(nn.Module):
    """A running mean direction of every class in every modality, and the contrast of clips with them.

    The contrast is −log( e^{cos(z, c_y) / temperature} / Σ_k e^{cos(z, c_k) / temperature} ) with momentum
    prototypes c_k ← normalised (momentum · c_k + (1 − momentum) · mean of the batch's z of class k): MoPro
    (Li et al. 2021), for true labels and per modality. (Song et al. 2022 use supervised prototypes for
    emotions in conversations.) Every clip meets every class, however rare, in every step.

    Args:
        num_classes: that labels may have.
        width: of a projection.
        momentum: share of the old prototype in the new one.
    """

    def __init__(self, num_classes: int, width: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("vectors", torch.zeros(len(MODALITIES), num_classes, width))
        self.register_buffer("is_known", torch.zeros(len(MODALITIES), num_classes, dtype=torch.bool))

    def loss(
        self, projections: dict[str, Tensor], present: Tensor, labels: Tensor, *, temperature: float = 0.5
    ) -> Tensor:
        """Mean over the clips of a modality, then over the modalities; see the class for the formula.

        A class without a prototype yet is left out, with its clips.

        Args:
            projections: per modality `(clip, width)`, not yet normalised.
            present: `(clip, modality)`.
            labels: `(clip,)`.
            temperature: of the similarities.

        Returns:
            A scalar; zero (with a gradient of zero) where no clip has a prototype to meet.
        """
        losses = []
        for index, modality in enumerate(MODALITIES):
            known = self.is_known[index]
            rows = present[:, index] & known[labels]
            if rows.any():
                # a copy: the prototypes move before the gradient is asked for
                similarity = F.normalize(projections[modality][rows], dim=1) @ self.vectors[index].clone().T
                logits = (similarity / temperature).masked_fill(~known, -torch.inf)
                losses.append(F.cross_entropy(logits, labels[rows]))
        if not losses:
            return sum(projection.sum() for projection in projections.values()) * 0.0
        return torch.stack(losses).mean()

    @torch.no_grad()
    def take_in(self, projections: dict[str, Tensor], present: Tensor, labels: Tensor) -> None:
        """Move the prototypes of the batch's classes towards their clips; the first clips set them.

        Args:
            projections: as for `loss`.
            present: likewise.
            labels: likewise.
        """
        for index, modality in enumerate(MODALITIES):
            for label in labels[present[:, index]].unique().tolist():
                chosen = projections[modality][present[:, index] & (labels == label)]
                mean = F.normalize(chosen.float(), dim=1).mean(0)
                old = self.vectors[index, label]
                share = self.momentum if self.is_known[index, label] else 0.0
                self.vectors[index, label] = F.normalize(share * old + (1.0 - share) * mean, dim=0)
                self.is_known[index, label] = True
