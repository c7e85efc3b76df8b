"""Whether an explanation changes when the network forgets what it has learned (Adebayo et al. 2018).

From the top of the network downwards, one group of layers after another has its weights drawn anew, and
stays so (the *cascading* test). An explanation of what was learned has to change on the way; one that stays
the same tells of the clip or of the method alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import nn

from core.attribution.results import Attribution
from core.attribution.subject import Cancelled, Subject, check
from core.model import DeepMSI

Explain = Callable[[Subject], Attribution]
"""Explains another subject with the same method, element and target."""


@dataclass(frozen=True, kw_only=True)
class Randomised:
    """How alike the attribution is after the weights of some layers were drawn anew.

    Attributes:
        layers: the group whose weights were drawn last; those of the groups before it were too.
        correlation: Spearman's, of the elements that have a part in one of the two attributions.
        num_elements: of these.
    """

    layers: str
    correlation: float
    num_elements: int

    def is_alike(self, limit: float) -> bool:
        """The correlation reaches the limit, and what chance exceeds once in twenty times."""
        by_chance = stats.norm.ppf(0.95) / np.sqrt(max(self.num_elements - 1, 1))
        return self.correlation >= max(limit, by_chance)


def randomised(
    subject: Subject,
    attribution: Attribution,
    explain: Explain,
    *,
    seed: int = 0,
    only_whole: bool = False,
    cancelled: Cancelled | None = None,
) -> tuple[Randomised, ...]:
    """Compare an attribution with those of networks that have forgotten more and more.

    Args:
        subject: that it explains.
        attribution: of any method.
        explain: asked once for every group of layers.
        seed: of the weights.
        only_whole: explain once alone, when all of these layers have forgotten.
        cancelled: asked before every group.

    Returns:
        From the classifier down to the encoder's first layer, the frozen backbone included.
    """
    generator = torch.Generator().manual_seed(seed)
    with subject.model() as model:
        other = copy.deepcopy(model)
    found, groups = [], layer_groups(other, attribution.modality)
    for number, (name, modules) in enumerate(groups, 1):
        check(cancelled)
        for module in modules:
            draw_anew(module, generator)
        if only_whole and number < len(groups):
            continue
        values = explain(subject.changed(model=other)).values
        found.append(compare(name, attribution.values, values))
    return tuple(found)


def layer_groups(model: DeepMSI, modality: str) -> list[tuple[str, list[nn.Module]]]:
    """The layers that a modality's elements pass on their way to the answer, from the top downwards.

    Each group is a name and modules; the last one holds all of the encoder.
    """
    encoder = {"video": model.video, "audio": model.audio, "text": model.text}[modality]
    if modality == "video":
        upper = [*encoder.swin.layers[2:], encoder.swin.norm]
        between = [("temporal network", [model.temporal])]
    else:
        layers = next(
            module
            for name, module in encoder.backbone.named_modules()
            if isinstance(module, nn.ModuleList) and name.split(".")[-1] in ("layer", "layers")
        )
        upper, between = list(layers[len(layers) // 2 :]), []
    return [
        ("classifier", [model.classifier]),
        # words and sound reach the answer through the choice of frames and patches too
        ("projection and guide", [model.projections[modality], model.early_fusion]),
        *between,
        ("upper encoder", upper),
        ("whole encoder", [encoder]),
    ]


@torch.no_grad()
def draw_anew(module: nn.Module, generator: torch.Generator) -> None:
    """Draw a module's parameters from normal distributions with each one's own mean and deviation.

    So the scale of what passes through stays, and only what was learned is gone.
    """
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.copy_(parameter.mean() + parameter.std(correction=0) * noise)


def compare(layers: str, values: np.ndarray, others: np.ndarray) -> Randomised:
    """Spearman's correlation of two attributions; zero where one of them ranks nothing."""
    has_part = (values != 0) | (others != 0)
    one, other = values[has_part], others[has_part]
    is_ranking = len(one) > 1 and np.ptp(one) > 0 and np.ptp(other) > 0
    correlation = float(stats.spearmanr(one, other).statistic) if is_ranking else 0.0
    return Randomised(layers=layers, correlation=correlation, num_elements=len(one))
