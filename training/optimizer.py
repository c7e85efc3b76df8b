"""How optimizers are set up: the learning rate over time and over layers, and what decays."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import torch
from torch import nn

from core.model import DeepMSI
from training.config import TrainConfig


def warmup_cosine(step: int, warmup_steps: int, num_steps: int) -> float:
    """Factor of the learning rate: linear to one over the warm-up, then half a cosine to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def weight_decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict]:
    """What has two or more dimensions decays, biases and norms do not."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def build_optimizer(config: TrainConfig, model: DeepMSI) -> torch.optim.Optimizer:
    """Adam or AdamW over all trained parameters, each at the rate that `learning_rates` says."""
    at_rate: dict[float, list[nn.Parameter]] = {}
    rates = learning_rates(config, model)
    for name, parameter in model.named_parameters():
        if name in rates:
            at_rate.setdefault(rates[name], []).append(parameter)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(
        {**group, "lr": rate}
        for rate, parameters in at_rate.items()
        for group in weight_decay_groups(parameters, config.weight_decay)
        if group["params"]
    )


def learning_rates(config: TrainConfig, model: DeepMSI) -> dict[str, float]:
    """The highest learning rate of every trained parameter, by name.

    The topmost layer of a text or audio backbone has `encoder_learning_rate`, each layer below it
    `layer_decay` times that of the one above, the embeddings the least (Howard & Ruder 2018, discriminative
    fine-tuning; as by Clark et al. 2020).
    """
    rates = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith(("text.backbone.", "audio.backbone.")):
            depth = _depth(name, model)
            rates[name] = config.encoder_learning_rate * config.layer_decay**depth
        # the guides learn with the early fusion that feeds them
        elif name.startswith(("video.", "temporal.")) and "guide" not in name:
            rates[name] = config.video_learning_rate
        else:
            rates[name] = config.learning_rate
    return rates


def _depth(name: str, model: DeepMSI) -> int:
    """Layers above the one that a backbone's parameter belongs to; as many as there are for embeddings."""
    backbone = model.get_submodule(name.split(".backbone.")[0]).backbone
    numbers = [
        int(found[1]) for other, _ in backbone.named_parameters() if (found := _LAYER.search(f".{other}"))
    ]
    num_layers = max(numbers) + 1
    found = _LAYER.search(name)
    return num_layers - 1 - int(found[1]) if found else num_layers


_LAYER = re.compile(r"\.layers?\.(\d+)\.")
