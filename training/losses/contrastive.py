"""Losses: the class term, with or without correction for rare classes, and the contrastive term."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.labels import MODALITIES

CONTRASTIVE_FORMS = ("corrected", "published")


def cross_modal_contrastive(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.5,
    form: str = "corrected",
) -> Tensor:
    """Supervised contrastive loss between two modalities' projections of the same clips (MODEL section 1.8).

    With s_ij = cos(first_i, second_j) / temperature, N(i) the clips of other labels and P(i) the positives of
    anchor i, an anchor's terms are −log( e^{s_ij} / (e^{s_ij} + Σ_{n∈N(i)} e^{s_in}) ), j ∈ P(i).

    - "corrected": P(i) are the clips of i's label, its own other modality among them; mean over P(i), mean
      over anchors, and the mean of both directions. So a rare class weighs as much per clip as a common one.
    - "published": P(i) leaves out i itself; sum over P(i) divided by B − 1, mean over anchors, one way.

    An anchor without negatives contributes zero, as the formula says (its fraction is one).

    Args:
        first: `(clip, width)`, not yet normalised.
        second: likewise, of the same clips.
        labels: `(clip,)` class indices.
        temperature: of the similarities.
        form: "corrected" or "published".

    Returns:
        A scalar; zero (with a gradient of zero) for fewer clips than the form needs: one, or two.

    Raises:
        ValueError: for an unknown form.
    """
    if form not in CONTRASTIVE_FORMS:
        raise ValueError(f"form should be one of {', '.join(CONTRASTIVE_FORMS)}, not {form!r}")
    num_clips = len(labels)
    if num_clips < (1 if form == "corrected" else 2):
        return (first.sum() + second.sum()) * 0.0
    similarity = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    same = labels[:, None] == labels[None, :]
    share = same.to(similarity.dtype)
    if form == "corrected":
        weights = share / share.sum(dim=1, keepdim=True)
        return (_terms(similarity, same, weights) + _terms(similarity.T, same, weights)) / 2
    others = share - torch.eye(num_clips).to(share)
    return _terms(similarity, same, others / (num_clips - 1))


def _terms(similarity: Tensor, same: Tensor, weights: Tensor) -> Tensor:
    """Mean over anchors (rows) of the weighted sum of their terms."""
    negatives = similarity.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
    # log(e^s + Σ e^n) − s, in a form that neither over- nor underflows
    terms = F.softplus(negatives - similarity)
    return (terms * weights).sum(dim=1).mean()


def contrastive_loss(
    projections: dict[str, Tensor],
    present: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.5,
    form: str = "corrected",
    text_audio_weight: float = 0.0,
) -> Tensor:
    """Mean of the video–text and video–audio losses and, with a weight, the text–audio one.

    Each pair is taken over the clips that have both of its modalities.

    Args:
        projections: per modality `(clip, width)`.
        present: `(clip, modality)` in the order of `MODALITIES`.
        labels: `(clip,)`.
        temperature: see `cross_modal_contrastive`.
        form: likewise.
        text_audio_weight: of the third pair beside one for each of the others; zero in the paper.
    """
    pairs = [("video", "text", 1.0), ("video", "audio", 1.0), ("text", "audio", text_audio_weight)]
    total = labels.new_zeros((), dtype=torch.float32)
    for first, second, weight in pairs:
        if weight:
            both = present[:, MODALITIES.index(first)] & present[:, MODALITIES.index(second)]
            total = total + weight * cross_modal_contrastive(
                projections[first][both],
                projections[second][both],
                labels[both],
                temperature=temperature,
                form=form,
            )
    return total / sum(weight for *_, weight in pairs)


def class_loss(
    logits: Tensor, labels: Tensor, *, log_prior: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy; with a log prior, of logits adjusted by it.

    Adding `tau · log p(class)` while training (Menon et al. 2021; with tau = 1, the balanced softmax of Ren
    et al. 2020) makes the plain logits those of a world in which all classes are equally frequent.

    Args:
        logits: `(clip, class)`.
        labels: `(clip,)`.
        log_prior: `(class,)`, tau included.
        label_smoothing: share of the target spread over all classes.
    """
    if log_prior is not None:
        logits = logits + log_prior
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def log_prior(counts: Tensor, tau: float = 1.0) -> Tensor:
    """`tau · log p(class)` from the training clips of each class; an absent class counts half a clip."""
    share = counts.clamp_min(0.5) / counts.clamp_min(0.5).sum()
    return tau * share.log()
