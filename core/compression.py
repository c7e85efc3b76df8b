"""Select-and-merge: the one compression step, for patches inside a frame and for frames inside a clip.

Pure functions over a token sequence. The picture of what was kept and what was merged into what needs no
hooks: the step returns a *source map*, the very matrix that made its output tokens from its input tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import CompressionConfig

RESOLUTION = 1e-5
"""Cosines are rounded to it where tokens are chosen, so that last bits rarely decide."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compressed:
    """What one compression step did.

    Attributes:
        tokens: `(batch, kept, dim)`.
        kept: `(batch, kept)` positions of the kept tokens in the input, ascending unless the order is
            "score"; padding positions come last.
        kept_mask: `(batch, kept)` False where fewer real tokens came in than were to be kept.
        relevance: `(batch, token)` softmax over the real tokens; zero on padding.
        source_map: `(batch, kept, token)` weight of each input token in each output token; rows sum to one.
        gate: `(batch, kept)` exactly one; its gradient is that of the kept tokens' relevance (none where the
            guide is not trained). What is made of the tokens is to be multiplied by it.
    """

    tokens: Tensor
    kept: Tensor
    kept_mask: Tensor
    relevance: Tensor
    source_map: Tensor
    gate: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """What a step is to keep, decided beforehand: to ask what had been if, or to hold a selection still.

    Attributes:
        kept: `(batch, kept)`, as in `Compressed`.
        kept_mask: `(batch, kept)`.
        source_map: `(batch, kept, token)`; None to merge dropped tokens as the configuration says.
    """

    kept: Tensor
    kept_mask: Tensor
    source_map: Tensor | None = None

    @classmethod
    def made_by(cls, step: Compressed) -> Choice:
        """What a step did: with it, the step is a fixed linear map of its tokens."""
        return cls(kept=step.kept, kept_mask=step.kept_mask, source_map=step.source_map)

    def rows(self, index: Tensor) -> Choice:
        """The same for some rows of the batch, or for rows repeated."""
        source_map = None if self.source_map is None else self.source_map[index]
        return Choice(kept=self.kept[index], kept_mask=self.kept_mask[index], source_map=source_map)


def select_and_merge(
    tokens: Tensor,
    guide: Tensor,
    num_keep: int,
    config: CompressionConfig,
    *,
    metric: Tensor | None = None,
    mask: Tensor | None = None,
    choice: Choice | None = None,
) -> Compressed:
    """Keep the tokens most relevant to the guide and merge similar dropped ones into them (MODEL 1.4).

    With v the mean token and m = v + guide, relevance is softmax cos(m, X_i). The `num_keep` most relevant
    tokens stay (of equals, the earlier one). Every dropped token i gives itself to the kept tokens j with
    cos(X_i, X_j) above the threshold, with weight theta_ij = softmax_j cos(X_i, X_j); a kept token that
    receives any becomes retain · X_j + (1 − retain) · (theta-weighted mean of what it received).

    Differs from the published code: the merged tokens are used, they stay in raster order, and the guide is
    trained, through a gate whose value is exactly 1 but whose gradient is that of the kept tokens' relevance.

    Args:
        tokens: `(batch, token, dim)` what is kept and merged.
        guide: `(batch, width)` of the metric's width.
        num_keep: at least 1; when it is not below the number of tokens, all are kept.
        config: threshold, retained share and the published variants.
        metric: `(batch, token, width)` by what tokens are compared; `tokens` when None.
        mask: `(batch, token)` True on real tokens; all are when None.
        choice: in place of the most relevant; `num_keep` is not read then, and the gate has no gradient.

    Raises:
        ValueError: if `num_keep` is below 1 or the guide does not fit the metric.
    """
    metric = tokens if metric is None else metric
    if num_keep < 1:
        raise ValueError(f"num_keep should be at least 1, not {num_keep}")
    if guide.shape != (metric.shape[0], metric.shape[2]):
        raise ValueError(
            f"the guide has shape {tuple(guide.shape)}, the tokens need {(metric.shape[0], metric.shape[2])}"
        )
    batch, num_tokens, _ = metric.shape
    if mask is None:
        mask = torch.ones(batch, num_tokens, dtype=torch.bool, device=metric.device)
    num_keep = min(num_keep, num_tokens)

    unit = F.normalize(metric, dim=-1)
    num_real = mask.sum(1, keepdim=True).clamp(min=1)
    mean = (metric * mask.unsqueeze(-1)).sum(1) / num_real
    cosine = torch.einsum("btw,bw->bt", unit, F.normalize(mean + guide, dim=-1))
    cosine = cosine.masked_fill(~mask, -torch.inf)
    has_tokens = mask.any(1, keepdim=True)
    relevance = torch.where(has_tokens, cosine, torch.zeros_like(cosine)).softmax(-1) * mask

    if choice is None:
        kept = _most_relevant(cosine, mask, num_keep, config)
        choice = Choice(kept=kept, kept_mask=mask.gather(1, kept))
        is_gated = config.train_guide
    else:
        kept, is_gated = choice.kept, False
    source_map = _source_map(unit, choice, mask, config) if choice.source_map is None else choice.source_map
    gate = torch.ones_like(kept, dtype=relevance.dtype)
    if is_gated:
        weight = relevance.gather(1, kept) * num_real
        gate = gate + (weight - weight.detach())
    return Compressed(
        tokens=source_map @ tokens.flatten(2),
        kept=kept,
        kept_mask=choice.kept_mask,
        relevance=relevance,
        source_map=source_map,
        gate=gate,
    )


def _most_relevant(cosine: Tensor, mask: Tensor, num_keep: int, config: CompressionConfig) -> Tensor:
    """Positions of the tokens with the largest cosine `(batch, token)`; padding behind the real ones."""
    # equal tokens differ in their last bits, and otherwise in other batches; half precision would overflow
    kept = (
        (cosine.float() / RESOLUTION).round().sort(dim=-1, descending=True, stable=True).indices[:, :num_keep]
    )
    if config.order == "raster":
        kept = kept.sort(dim=-1).values
        # real tokens first, should padding lie between them
        padding_last = mask.gather(1, kept).logical_not().byte().sort(dim=-1, stable=True).indices
        kept = kept.gather(1, padding_last)
    return kept


def _source_map(unit: Tensor, choice: Choice, mask: Tensor, config: CompressionConfig) -> Tensor:
    """`(batch, kept, token)` from unit-length metric `(batch, token, width)`."""
    kept = choice.kept
    own = F.one_hot(kept, unit.shape[1]).to(unit.dtype)
    if not config.merge or kept.shape[1] == unit.shape[1]:
        return own
    kept_unit = unit.gather(1, kept.unsqueeze(-1).expand(-1, -1, unit.shape[2]))
    kept_mask = choice.kept_mask.unsqueeze(2)
    similarity = kept_unit @ unit.transpose(1, 2)
    theta = similarity.masked_fill(~kept_mask, -torch.inf).softmax(1)
    is_dropped = (mask & ~own.sum(1).bool()).unsqueeze(1)
    received = (similarity > config.similarity_threshold) & is_dropped & kept_mask
    theta = torch.where(received, theta, torch.zeros_like(theta))
    total = theta.sum(2, keepdim=True)
    share = (1 - config.retain) * (total > 0).to(theta.dtype)
    return own * (1 - share) + share * theta / total.clamp(min=torch.finfo(theta.dtype).tiny)


def compose(source_maps: list[Tensor]) -> Tensor:
    """The source map of several steps in a row, from the first step's input to the last step's output."""
    total = source_maps[0]
    for step in source_maps[1:]:
        total = step @ total
    return total


def holders(source_map: Tensor) -> Tensor:
    """For every input token, the output position that holds most of it; -1 where none holds any.

    Args:
        source_map: `(batch, kept, token)`.

    Returns:
        `(batch, token)`.
    """
    weight, position = source_map.max(1)
    return torch.where(weight > 0, position, torch.full_like(position, -1))
