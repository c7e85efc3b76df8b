"""What is set against rare classes, as fields of `training.config.TrainConfig`: what is compared."""

from __future__ import annotations

from dataclasses import fields

from training.config import TrainConfig

PLAIN = {
    "prior_tau": 0.0,
    "class_balance": 0.0,
    "class_weight_beta": 0.0,
    "class_weight_start": 0.0,
    "label_smoothing": 0.0,
    "contrastive_weight": 0.0,
    "weight_decay": 0.01,
}
"""Settings of cross-entropy, which every recipe changes."""


def recipes() -> dict[str, dict]:
    """Fields of `TrainConfig` by the recipe's name."""
    usual = {field.name: field.default for field in fields(TrainConfig)}
    contrast = {"contrastive_weight": 0.5}
    deferred = {"class_weight_beta": 0.9999, "class_weight_start": 0.75}
    return {
        "default": {name: usual[name] for name in PLAIN if name != "weight_decay"},
        "cross-entropy": {},
        "label-smoothing": {"label_smoothing": 0.1},
        "logit-adjustment-half": {"prior_tau": 0.5},
        "balanced-softmax": {"prior_tau": 1.0},
        "class-weights": {"class_weight_beta": 0.999},
        "deferred-weights": deferred,
        "focal": {"focal_gamma": 2.0},
        "class-balanced-focal": {"class_weight_beta": 0.999, "focal_gamma": 2.0},
        "square-root-sampling": {"class_balance": 0.5},
        "balanced-sampling": {"class_balance": 1.0},
        "progressive-sampling": {"class_balance": 1.0, "progressive_balance": True},
        "contrast-published": contrast | {"contrastive_form": "published"},
        "contrast": contrast,
        "contrast-queue": contrast | {"queue_size": 16},
        "prototypes": {"prototype_weight": 0.5},
        "contrast-and-deferred-weights": contrast | deferred,
        "contrast-and-logit-adjustment-half": contrast | {"prior_tau": 0.5},
        "contrast-and-square-root-sampling": contrast | {"class_balance": 0.5, "label_smoothing": 0.05},
    }
