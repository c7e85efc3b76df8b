"""Which clips, frames and modalities a step sees, and how they become one batch.

Every draw depends on (seed, epoch, step) alone, so a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.config import ModelConfig
from core.labels import LabelScheme
from core.model import ModelInput
from training.augment import augment_pictures, noisy_features, resample
from training.features import ClipFeatures, FeatureSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Clips as the network reads them, and their labels `(clip,)`."""

    inputs: ModelInput
    labels: Tensor


def random_stream(*numbers: int) -> np.random.Generator:
    """A generator of its own for each combination of numbers (seed, epoch, step, …)."""
    return np.random.default_rng(list(numbers))


def label_indices(features: FeatureSet, scheme: LabelScheme) -> np.ndarray:
    """`(clip,)` positions of the labels in the scheme. Raises ValueError for a label it does not know."""
    return np.array([scheme.index(utterance.label) for utterance in features.utterances], dtype=np.int64)


def epoch_batches(
    labels: np.ndarray, batch_size: int, random: np.random.Generator, *, class_balance: float = 0.0
) -> list[np.ndarray]:
    """Indices of clips for one epoch, in batches of equal size; what is left over is dropped.

    Args:
        labels: `(clip,)`.
        batch_size: clips per batch; a smaller data set makes one smaller batch.
        random: decides the order.
        class_balance: zero shows each clip once; above, a clip of a class with n clips is drawn with a
            probability ∝ n^−class_balance, with repeats.
    """
    num_clips = len(labels)
    if class_balance:
        counts = np.bincount(labels)
        weights = counts[labels].astype(float) ** -class_balance
        order = random.choice(num_clips, size=num_clips, p=weights / weights.sum())
    else:
        order = random.permutation(num_clips)
    batch_size = min(batch_size, num_clips)
    return [order[i : i + batch_size] for i in range(0, num_clips - batch_size + 1, batch_size)]


def drop_modalities(present: np.ndarray, probability: float, random: np.random.Generator) -> np.ndarray:
    """Hide modalities of some clips; every clip keeps at least one that it has.

    Args:
        present: `(clip, modality)` bool.
        probability: that a clip is shown with a proper, non-empty subset of what it has (all such subsets
            equally likely).
        random: decides.
    """
    shown = present.copy()
    for row in shown:
        has = np.flatnonzero(row)
        if len(has) < 2 or random.random() >= probability:
            continue
        subset = int(random.integers(1, 2 ** len(has) - 1))
        row[has] = [(subset >> bit) & 1 for bit in range(len(has))]
    return shown


def stratified_frames(num_frames: int, num_wanted: int, random: np.random.Generator) -> np.ndarray:
    """Ascending positions: one at random from each of `num_wanted` equal parts of the clip."""
    if num_wanted >= num_frames:
        return np.arange(num_frames)
    edges = np.linspace(0, num_frames, num_wanted + 1)
    return np.floor(edges[:-1] + random.random(num_wanted) * np.diff(edges)).astype(int)


def training_batch(
    features: FeatureSet,
    indices: Sequence[int],
    config: ModelConfig,
    random: np.random.Generator,
    *,
    num_frames: int,
    modality_dropout: float,
    augment: bool,
    is_blind: bool = False,
) -> Batch:
    """One batch to learn from: some frames of each clip, some modalities hidden, augmented.

    When blind, the picture of every clip that has anything else is hidden.
    """
    clips = []
    for index in indices:
        total = features.num_frames(index)
        frames = stratified_frames(total, num_frames, random) if total else None
        clips.append(features.read(index, frames))
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))

    def hide(present: np.ndarray) -> np.ndarray:
        if is_blind:
            present = present.copy()
            present[present[:, 1:].any(axis=1), 0] = False
        return drop_modalities(present, modality_dropout, random)

    return collate(
        clips,
        config,
        hide=hide,
        generator=generator if augment else None,
    )


def plain_batches(
    features: FeatureSet, config: ModelConfig, batch_size: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """All clips in order, with all their frames and modalities, and their positions."""
    for start in range(0, len(features), batch_size):
        indices = np.arange(start, min(start + batch_size, len(features)))
        yield indices, collate([features[i] for i in indices], config)


def collate(
    clips: Sequence[ClipFeatures],
    config: ModelConfig,
    *,
    hide=None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Clips as one batch, padded and masked.

    Args:
        clips: with features of this model configuration.
        config: of the model.
        hide: from `(clip, modality)` presence to the presence shown; all is shown if None.
        generator: augments if given.
    """
    present = np.array([[c.crops is not None, c.audio is not None, c.text is not None] for c in clips])
    if hide is not None:
        present = hide(present)
    values: dict[str, Tensor] = {}
    if present[:, 0].any():
        values["frames"], values["frame_mask"] = _pad_frames(clips, present[:, 0], config, generator)
    for column, name in ((1, "audio"), (2, "text")):
        if present[:, column].any():
            values[f"{name}_features"] = _stack(clips, name, present[:, column], generator)
    return Batch(
        inputs=ModelInput(present=torch.from_numpy(present), **values),
        labels=torch.tensor([config.labels.index(c.utterance.label) for c in clips]),
    )


def _pad_frames(clips, shown, config: ModelConfig, generator) -> tuple[Tensor, Tensor]:
    size = config.video.image_size
    counts = [len(clip.crops) if has else 0 for clip, has in zip(clips, shown, strict=True)]
    pictures = torch.from_numpy(
        np.concatenate([clip.crops for clip, has in zip(clips, shown, strict=True) if has])
    )
    if generator is None:
        values = resample(pictures, size)
    else:
        groups = torch.from_numpy(np.repeat(np.arange(len(clips)), counts))
        values = augment_pictures(pictures, size, generator, groups=groups)
    mask = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    frames = torch.zeros(len(clips), max(counts), 3, size, size)
    frames[mask] = values
    return frames, mask


def _stack(clips, name: str, shown, generator) -> Tensor:
    like = next(getattr(c, name) for c, has in zip(clips, shown, strict=True) if has)
    stacked = torch.stack(
        [getattr(c, name) if has else torch.zeros_like(like) for c, has in zip(clips, shown, strict=True)]
    )
    # only sound: a frozen text vector has no noise of its own that training should learn to ignore
    if generator is not None and name == "audio":
        has = torch.from_numpy(shown)
        stacked[has] = noisy_features(stacked[has], generator)
    return stacked
