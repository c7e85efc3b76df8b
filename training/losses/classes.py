"""The class loss, with or without correction for rare classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def class_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    log_prior: Tensor | None = None,
    weights: Tensor | None = None,
    focal_gamma: float = 0.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean over the clips of w_y · (1 − p_y)^gamma · H(q, p): cross-entropy with any of its corrections.

    p is the softmax of the logits, q the label, smoothed or not. Factors are of the clip's own label, also
    when it is smoothed: weighing each class's share of q by itself would smooth towards the rare classes.

    - Logit adjustment: adding `tau · log p(class)` while training (Menon et al. 2021; with tau = 1, the
      balanced softmax of Ren et al. 2020) makes the plain logits those of a world in which all classes are
      equally frequent.
    - Class weights: see `effective_number_weights`. The mean is over clips, not over weights (which would
      take the weight of a batch's only class away, and differ between processes).
    - Focal loss (Lin et al. 2017, its softmax form): clips that are already right count less.

    Args:
        logits: `(clip, class)`.
        labels: `(clip,)`.
        log_prior: `(class,)`, or `(clip, class)` where clips are of data sets with priors of their own; tau
            included.
        weights: `(class,)`; one for each if None.
        focal_gamma: zero for plain cross-entropy.
        label_smoothing: share of the target spread over all classes.
    """
    if log_prior is not None:
        logits = logits + log_prior
    losses = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    if focal_gamma:
        # log(1 − p_y) from the other classes' logits: exact, with a finite slope, where p_y rounds to one too
        others = logits.scatter(1, labels[:, None], -torch.inf)
        losses = losses * (focal_gamma * (others.logsumexp(1) - logits.logsumexp(1))).exp()
    if weights is not None:
        losses = losses * weights[labels]
    return losses.mean()


def log_prior(counts: Tensor, tau: float = 1.0) -> Tensor:
    """`tau · log p(class)` from the training clips `(…, class)`; an absent class counts half a clip."""
    share = counts.clamp_min(0.5) / counts.clamp_min(0.5).sum(-1, keepdim=True)
    return tau * share.log()


def effective_number_weights(counts: Tensor, beta: float) -> Tensor:
    """Class weights ∝ (1 − beta) / (1 − beta^n), the inverse effective number of clips (Cui et al. 2019).

    Scaled so that their mean over the training clips is one (the paper's mean is over classes), so that the
    class loss keeps its size beside the other losses whatever beta is.

    Args:
        counts: `(class,)` training clips; an absent class is weighed like one with a single clip.
        beta: in [0, 1): zero weighs all alike, towards one a class weighs inversely to its clips.
    """
    exact = counts.double()
    weights = (1.0 - beta) / (1.0 - beta ** exact.clamp_min(1.0))
    return (weights * exact.sum() / (exact * weights).sum()).to(counts)
