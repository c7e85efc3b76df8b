"""Which clips, frames and modalities a step sees, and how they become one batch.

Every draw depends on (seed, epoch, step, process) alone, so a run can be repeated, and one that is resumed
draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from core.config import ModelConfig
from core.labels import MODALITIES, LabelScheme
from core.model import ModelInput
from training.augment import augment_pictures, augment_sound, drop_tokens, noisy_features, resample
from training.features import ClipFeatures, FeatureSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Clips as the network reads them; their labels, and numbers of their data sets, `(clip,)`."""

    inputs: ModelInput
    labels: Tensor
    sources: Tensor | None = None


def random_stream(*numbers: int) -> np.random.Generator:
    """A generator of its own for each combination of numbers (seed, epoch, step, …)."""
    return np.random.default_rng(list(numbers))


def label_indices(features: FeatureSet, scheme: LabelScheme) -> np.ndarray:
    """`(clip,)` positions of the labels in the scheme. Raises ValueError for a label it does not know."""
    return np.array([scheme.index(utterance.label) for utterance in features.utterances], dtype=np.int64)


def epoch_batches(
    labels: np.ndarray,
    batch_size: int,
    random: np.random.Generator,
    *,
    class_balance: float = 0.0,
    balanced_share: float = 1.0,
    sources: np.ndarray | None = None,
    shares: Sequence[float] = (),
    num_draws: int = 0,
) -> list[np.ndarray]:
    """Indices of clips for one epoch, in batches of equal size; what is left over is dropped.

    Args:
        labels: `(clip,)`.
        batch_size: clips per batch; a smaller data set makes one smaller batch.
        random: decides the order.
        class_balance: zero shows each clip once; above, a clip of a class with n clips is drawn with a
            probability ∝ n^−class_balance, with repeats. So a class is drawn ∝ n^(1 − class_balance): 0.5 is
            square-root sampling, one draws all classes alike.
        balanced_share: of the draws, the others take all clips alike; zero shows each clip once. Growing from
            zero to one over the epochs, this is progressively-balanced sampling (Kang et al. 2020).
        sources: `(clip,)` number of its data set; one for all if None. Classes are balanced within each.
        shares: of the draws, by data set; () for as many as it has clips.
        num_draws: clips of the epoch where clips are drawn with repeats; as many as there are if zero.
    """
    num_clips = len(labels)
    sources = np.zeros(num_clips, int) if sources is None else sources
    if shares or num_draws or (class_balance and balanced_share):
        sizes = np.bincount(sources, minlength=max(1, len(shares)))
        share_of = np.array(shares or sizes, float) * (sizes > 0)
        chances = np.zeros(num_clips)
        for source in np.flatnonzero(sizes):
            rows = sources == source
            weights = np.bincount(labels[rows])[labels[rows]].astype(float) ** -class_balance
            within = balanced_share * weights / weights.sum() + (1.0 - balanced_share) / sizes[source]
            chances[rows] = within * share_of[source] / share_of.sum()
        order = random.choice(num_clips, size=num_draws or num_clips, p=chances)
    else:
        order = random.permutation(num_clips)
    batch_size = min(batch_size, len(order))
    return [order[i : i + batch_size] for i in range(0, len(order) - batch_size + 1, batch_size)]


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
    """Ascending positions: one at random from each of `num_wanted` parts, equal but for single frames."""
    if num_wanted >= num_frames:
        return np.arange(num_frames)
    # whole frames, or two parts could give the same one
    edges = np.linspace(0, num_frames, num_wanted + 1).round().astype(int)
    return random.integers(edges[:-1], edges[1:])


def training_batch(
    features: FeatureSet,
    indices: Sequence[int],
    config: ModelConfig,
    random: np.random.Generator,
    *,
    num_frames: int,
    modality_dropout: float,
    augment: bool,
    word_dropout: float = 0.0,
    is_blind: bool = False,
) -> Batch:
    """One batch to learn from: some frames of each clip, some modalities hidden, augmented.

    Words are dropped whether or not pictures and sound are augmented. When blind, the picture of every clip
    that has anything else is hidden.
    """
    clips = []
    for index in indices:
        total = features.num_frames(index)
        frames = stratified_frames(total, num_frames, random) if total else None
        clips.append(features.read(index, frames))
    clips = [_with_fewer_words(clip, word_dropout, config, random) for clip in clips]
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


def _with_fewer_words(
    clip: ClipFeatures, probability: float, config: ModelConfig, random: np.random.Generator
) -> ClipFeatures:
    if not probability or clip.text is None or not config.text.num_trained_layers:
        return clip
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    return replace(clip, text=drop_tokens(clip.text, generator, probability))


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
        config: of the model; what it does not read is not shown.
        hide: from `(clip, modality)` presence to the presence shown; all is shown if None.
        generator: augments if given.
    """
    has = np.array([[c.crops is not None, c.audio is not None, c.text is not None] for c in clips])
    present = has & np.isin(MODALITIES, config.modalities)
    if hide is not None:
        present = hide(present)
    values: dict[str, Tensor] = {}
    if present[:, 0].any():
        values["frames"], values["frame_mask"] = _pad_frames(clips, present[:, 0], config, generator)
    if present[:, 1].any():
        if config.audio.num_trained_layers:
            sounds = [c.audio for c in clips]
            if generator is not None:
                sounds = [
                    augment_sound(sound.float(), generator) if has else None
                    for sound, has in zip(sounds, present[:, 1], strict=True)
                ]
            values["waveforms"], values["num_samples"] = _pad(sounds, present[:, 1])
        else:
            values["audio_features"] = _stack(clips, "audio", present[:, 1], generator)
    if present[:, 2].any():
        if config.text.num_trained_layers:
            ids, num_tokens = _pad([c.text for c in clips], present[:, 2])
            values["token_ids"] = ids.long()
            values["token_mask"] = torch.arange(ids.shape[1]) < num_tokens.clamp(min=1)[:, None]
        else:
            values["text_features"] = _stack(clips, "text", present[:, 2], generator)
    return Batch(
        inputs=ModelInput(present=torch.from_numpy(present), **values),
        labels=torch.tensor([config.labels.index(c.utterance.label) for c in clips]),
    )


def _pad(sequences: Sequence[Tensor | None], shown) -> tuple[Tensor, Tensor]:
    """Sequences of unequal lengths, `(clip, longest)` with zeros behind their ends, and their lengths."""
    kept = [s if has else torch.zeros(0) for s, has in zip(sequences, shown, strict=True)]
    lengths = torch.tensor([len(sequence) for sequence in kept])
    return nn.utils.rnn.pad_sequence([s.float() for s in kept], batch_first=True), lengths


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
