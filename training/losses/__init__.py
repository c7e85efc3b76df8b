"""Losses: the class term with its corrections for rare classes, and the contrastive terms."""

from training.losses.classes import class_loss, effective_number_weights, log_prior
from training.losses.contrastive import CONTRASTIVE_FORMS, contrastive_loss, cross_modal_contrastive
from training.losses.memory import ClassPrototypes, ClassQueue

__all__ = [
    "CONTRASTIVE_FORMS",
    "ClassPrototypes",
    "ClassQueue",
    "class_loss",
    "contrastive_loss",
    "cross_modal_contrastive",
    "effective_number_weights",
    "log_prior",
]
