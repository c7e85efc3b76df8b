"""The contrastive loss between two modalities of the same clips, as published and corrected."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.labels import MODALITIES
from training.losses.memory import ClassQueue

CONTRASTIVE_FORMS = ("corrected", "published")

Remembered = tuple[Tensor, Tensor]
"""Earlier clips' projections of one modality: unit vectors `(entry, width)` and labels `(entry,)`."""


def cross_modal_contrastive(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.5,
    form: str = "corrected",
    remembered: tuple[Remembered, Remembered] | None = None,
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
        remembered: earlier clips in the first and in the second modality, further positives and negatives
            for anchors of the respective other one; for the corrected form alone.

    Returns:
        A scalar; zero (with a gradient of zero) for fewer clips than the form needs: one, or two.

    Raises:
        ValueError: for an unknown form, or the published one with remembered clips.
    """
    if form not in CONTRASTIVE_FORMS:
        raise ValueError(f"form should be one of {', '.join(CONTRASTIVE_FORMS)}, not {form!r}")
    if remembered is not None and form == "published":
        raise ValueError("the published form has no remembered clips: choose the corrected one")
    num_clips = len(labels)
    if num_clips < (1 if form == "corrected" else 2):
        return (first.sum() + second.sum()) * 0.0
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    if form == "published":
        same = labels[:, None] == labels[None, :]
        others = same.to(first.dtype) - torch.eye(num_clips).to(first)
        return _terms(first @ second.T / temperature, same, others / (num_clips - 1))
    of_first, of_second = remembered if remembered is not None else (None, None)
    directions = ((first, second, of_second), (second, first, of_first))
    return sum(_one_way(*direction, labels, temperature) for direction in directions) / 2


def _one_way(
    anchors: Tensor, others: Tensor, remembered: Remembered | None, labels: Tensor, temperature: float
) -> Tensor:
    """The corrected form's mean over anchors, for unit vectors."""
    other_labels = labels
    if remembered is not None:
        others, other_labels = torch.cat([others, remembered[0]]), torch.cat([labels, remembered[1]])
    same = labels[:, None] == other_labels[None, :]
    share = same.to(anchors.dtype)
    return _terms(anchors @ others.T / temperature, same, share / share.sum(dim=1, keepdim=True))


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
    queue: ClassQueue | None = None,
) -> Tensor:
    """Weighted mean of the video–text, the video–audio and, with a weight, the text–audio loss.

    Each pair is taken over the clips that have both of its modalities, and counts by their number: where few
    clips of a batch have a picture, video's pairs neither take over nor thin out the others. Where all have
    all, it is the plain mean of the pairs (paper).

    Args:
        projections: per modality `(clip, width)`.
        present: `(clip, modality)` in the order of `MODALITIES`.
        labels: `(clip,)`.
        temperature: see `cross_modal_contrastive`.
        form: likewise.
        text_audio_weight: of the third pair beside one for each of the others; zero in the paper.
        queue: of earlier clips, read and not changed; see `cross_modal_contrastive`.
    """
    pairs = [("video", "text", 1.0), ("video", "audio", 1.0), ("text", "audio", text_audio_weight)]
    total = sum_of_weights = labels.new_zeros((), dtype=torch.float32)
    for first, second, weight in pairs:
        if weight:
            both = present[:, MODALITIES.index(first)] & present[:, MODALITIES.index(second)]
            num = both.sum()
            clips_weigh = weight * num * (num >= (1 if form == "corrected" else 2))
            sum_of_weights = sum_of_weights + clips_weigh
            total = total + clips_weigh * cross_modal_contrastive(
                projections[first][both],
                projections[second][both],
                labels[both],
                temperature=temperature,
                form=form,
                remembered=None if queue is None else (queue.entries(first), queue.entries(second)),
            )
    return total / sum_of_weights.clamp(min=torch.finfo(torch.float32).tiny)
