"""Clip-level pretraining: which frames of a clip to keep, and how they add up over time.

Both are taught on clips whose sidecars tell when the face shows what. Pictures pass the encoder once (the
frames' summaries for the first, the kept frames' vectors for the second), so that an epoch takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from core.encoders.video import VideoEncoder
from core.temporal import TemporalNetwork
from training.augment import augment_pictures, resample
from training.datasets.stills import IGNORED, SHOWN_ENVELOPE, Expression, Stills
from training.optimizer import warmup_cosine, weight_decay_groups

NUM_VIEWS, NUM_PASSES = 4, 3000
"""Most augmented views of a clip, and clips that pass the encoder in all: of many clips fewer views do."""

SHARPNESS = 10.0
"""Factor of the relevance's cosines before their softmax is compared with the truth's."""


@dataclass(frozen=True, kw_only=True)
class SelectionScores:
    """Share of frames in which the expression is shown: of those kept, of all candidates, at best."""

    kept: float
    candidates: float
    best: float


@dataclass(frozen=True, kw_only=True)
class ExpressionScores:
    """How well the temporal network's feature tells the face's emotion of a clip, read linearly."""

    accuracy: float
    macro_f1: float


def teach_selection(
    video: VideoEncoder,
    stills: Stills,
    *,
    num_epochs: int = 20,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> None:
    """Teach the frame selector to find the frames in which an expression is shown, by a listwise loss.

    The softmax of the relevance over a clip's frames is compared with the share of the expression in each
    (ListNet, Cao et al. 2007). Only the selector's descriptor, constant and bias change.

    Args:
        video: in evaluation mode.
        stills: with at least one clip whose expression is shown (`shows_something`).
        num_epochs: over those clips.
        batch_size: clips per step.
        learning_rate: constant.
        seed: decides order and noise.
    """
    clips = list(filter(shows_something, stills.expressions))
    summaries, mask = _pad([_summaries(video, stills, clip) for clip in clips])
    shown, _ = _pad([torch.from_numpy(clip.shown).to(summaries) for clip in clips])
    truth = shown / shown.sum(1, keepdim=True)
    noise = 0.05 * summaries[mask].std()
    generator = torch.Generator().manual_seed(seed)
    selector = video.selector
    taught = [selector.descriptor.weight, selector.constant, selector.guide.bias]
    optimizer = torch.optim.AdamW(taught, lr=learning_rate, weight_decay=0.05)
    for _ in range(num_epochs):
        for chosen in torch.randperm(len(clips), generator=generator).split(batch_size):
            noisy = summaries[chosen]
            noisy = noisy + noise * torch.randn(noisy.shape, generator=generator).to(noisy)
            relevance = _select(video, noisy, mask[chosen]).relevance
            # log relevance is the cosine, less one number per clip
            logits = (SHARPNESS * relevance.clamp_min(1e-30).log()).masked_fill(~mask[chosen], -1e4)
            loss = -(truth[chosen] * logits.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@torch.inference_mode()
def score_selection(video: VideoEncoder, stills: Stills) -> SelectionScores | None:
    """How many of the frames kept, without words and sound, show the expression; None where no clip does."""
    kept, candidates, best = [], [], []
    for clip in filter(shows_something, stills.expressions):
        is_shown = clip.shown >= SHOWN_ENVELOPE
        summaries, mask = _pad([_summaries(video, stills, clip)])
        chosen = _select(video, summaries, mask).kept[0].cpu().numpy()
        kept.append(is_shown[chosen].mean())
        candidates.append(is_shown.mean())
        best.append(min(is_shown.sum() / len(chosen), 1.0))
    if not kept:
        return None
    return SelectionScores(
        kept=float(np.mean(kept)), candidates=float(np.mean(candidates)), best=float(np.mean(best))
    )


def shows_something(clip: Expression) -> bool:
    """Whether the clip's face shows an expression, and not in all of its frames."""
    is_shown = clip.shown >= SHOWN_ENVELOPE
    return bool(is_shown.any() and not is_shown.all())


def teach_temporal(
    video: VideoEncoder,
    temporal: TemporalNetwork,
    train: Stills,
    dev: Stills,
    *,
    num_labels: int,
    num_epochs: int = 40,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    label_smoothing: float = 0.05,
    seed: int = 0,
) -> ExpressionScores | None:
    """Teach the temporal network to tell the face's emotion of a clip from the kept frames' vectors.

    It ends as it was after the epoch that did best on `dev` (macro-F1). The encoder does not change.

    Args:
        video: in evaluation mode; its selector already taught.
        temporal: on the encoder's device.
        train: its clips are seen once or several times, augmented otherwise each time.
        dev: chooses the epoch.
        num_labels: of the label scheme.
        num_epochs: over as many clips as there are, drawn from all views.
        batch_size: clips per step.
        learning_rate: its peak; one epoch of warm-up, then half a cosine.
        label_smoothing: of the cross-entropy.
        seed: decides augmentation, order and the linear head.

    Returns:
        The best scores; None, and nothing taught, where no clip of `train` or of `dev` has a known label.
    """
    if not all(any(clip.label != IGNORED for clip in part.expressions) for part in (train, dev)):
        return None
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    num_views = max(1, min(NUM_VIEWS, NUM_PASSES // len(train.expressions)))
    views = [_vectors(video, train, generator) for _ in range(num_views)]
    vectors = torch.cat([view for view, _, _ in views])
    mask = torch.cat([view for _, view, _ in views])
    labels = torch.cat([view for _, _, view in views])
    dev_vectors, dev_mask, dev_labels = _vectors(video, dev)
    head = nn.Linear(temporal.width, num_labels).to(vectors.device)
    learner = nn.ModuleList([temporal, head])
    optimizer = torch.optim.AdamW(weight_decay_groups(learner.parameters(), 0.05), lr=learning_rate)
    # rare emotions are drawn more often, half of the way to evenness
    counts = torch.bincount(labels.cpu(), minlength=num_labels).float()
    odds = counts[labels.cpu()] ** -0.5
    num_batches = max(1, len(labels) // num_views // batch_size)
    best, best_state = None, None
    for epoch in range(num_epochs):
        learner.train()
        for batch in range(num_batches):
            step = epoch * num_batches + batch
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * warmup_cosine(step, num_batches, num_epochs * num_batches)
            chosen = torch.multinomial(odds, min(batch_size, len(labels)), generator=generator)
            logits = head(temporal(vectors[chosen], mask[chosen]))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        learner.eval()
        with torch.inference_mode():
            guesses = head(temporal(dev_vectors, dev_mask)).argmax(1).cpu()
        truth = dev_labels.cpu()
        scores = ExpressionScores(
            accuracy=float(accuracy_score(truth, guesses)),
            macro_f1=float(f1_score(truth, guesses, average="macro", zero_division=0)),
        )
        if best is None or scores.macro_f1 > best.macro_f1:
            best = scores
            best_state = {name: value.clone() for name, value in temporal.state_dict().items()}
    temporal.load_state_dict(best_state)
    temporal.eval()
    return best


@torch.no_grad()
def _vectors(
    video: VideoEncoder, stills: Stills, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of clips with a label: kept frames' vectors `(clip, frame, width)`, their mask, the faces' labels."""
    clips = [clip for clip in stills.expressions if clip.label != IGNORED]
    vectors = []
    for clip in clips:
        pictures = _pictures(video, stills, clip, generator)
        mask = torch.ones(1, len(pictures), dtype=torch.bool, device=pictures.device)
        out = video(pictures[None], mask, torch.zeros_like(video.base_guide)[None])
        vectors.append(out.frame_vectors[0][out.frame_mask[0]])
    labels = torch.tensor([clip.label for clip in clips], dtype=torch.long)
    padded, mask = _pad(vectors)
    return padded, mask, labels.to(padded.device)


def _summaries(video: VideoEncoder, stills: Stills, clip: Expression) -> Tensor:
    """`(frame, summary)`."""
    with torch.no_grad():
        return video.selector.summary(video.embed(_pictures(video, stills, clip)))


def _pictures(
    video: VideoEncoder, stills: Stills, clip: Expression, generator: torch.Generator | None = None
) -> Tensor:
    pixels, size = torch.from_numpy(stills.pixels[clip.frames]), video.config.image_size
    if generator is None:
        pictures = resample(pixels, size)
    else:
        groups = torch.zeros(len(pixels), dtype=torch.long)
        pictures = augment_pictures(pixels, size, generator, groups=groups)
    return pictures.to(video.base_guide.device)


def _select(video: VideoEncoder, summaries: Tensor, mask: Tensor):
    guide = video.base_guide.expand(len(summaries), -1)
    return video.select(summaries, summaries, mask, guide)


def _pad(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """`(part, longest, …)` and the mask `(part, longest)` of what is real."""
    padded = nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
    lengths = torch.tensor([len(part) for part in parts])
    mask = torch.arange(padded.shape[1]) < lengths[:, None]
    return padded, mask.to(padded.device)
