"""The sources of single pictures that the video encoder is pretrained on: read, drawn from, scored on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from core.labels import LabelScheme
from core.model import DeepMSI
from training.augment import augment_pictures, resample
from training.datasets import DataError, read_dataset, read_manifest
from training.datasets.stills import IGNORED, Stills, honest_parts, read_frames, read_stills
from training.features import prepare


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureSources:
    """What is learned from, and what the best is chosen by; a dev source bears its train source's name."""

    train: tuple[Stills, ...]
    dev: tuple[Stills, ...]


def read_picture_sources(
    model: DeepMSI,
    cache_dir: Path,
    *,
    data: Sequence[Path],
    stills: Sequence[Path],
    dev_stills: Sequence[Path],
    num_workers: int,
    progress: bool,
) -> PictureSources:
    """Frames of the clips that have dense truth (their `train` and `dev` splits), and tables of stills.

    Args:
        model: whose candidate frames and label scheme are used.
        cache_dir: of the features.
        data: manifests.
        stills: tables to learn from.
        dev_stills: tables to choose the best by, each in the folder of the training table of its source.
        num_workers: clips worked on at once.
        progress: show a bar, and the clips that were skipped.

    Raises:
        DataError: where there is nothing to learn from or to choose by, or it is unclear which dev source
            goes with which train source.
    """
    scheme = model.config.labels
    train, dev = [], []
    utterances = [u for path in data for u in read_manifest(path)]
    if utterances:
        features = prepare(
            [u for u in utterances if u.split in ("train", "dev")],
            model,
            cache_dir,
            num_workers=num_workers,
            progress=progress,
        )
        for skipped in features.skipped if progress else ():
            print(f"skipped {skipped.utterance.key}: {skipped.reason}", flush=True)
        for split, into in (("train", train), ("dev", dev)):
            frames = read_frames(features.of_split(split), scheme)
            if frames is not None:
                into.append(frames)
    for path in stills:
        if path.is_dir() or path.suffix.lower() == ".csv":
            parts = honest_parts(read_dataset(path).stills)
            for split, into in (("train", train), ("dev", dev)):
                if split in parts:
                    into.append(parts[split])
        else:
            train.append(read_stills(path, scheme))
    dev.extend(read_stills(path, scheme, split="dev") for path in dev_stills)
    _check(train, dev, scheme)
    return PictureSources(train=tuple(train), dev=tuple(dev))


def _check(train: list[Stills], dev: list[Stills], scheme: LabelScheme) -> None:
    if not train:
        raise DataError(
            "Nothing to pretrain on: no clip of the train split has a sidecar with dense truth and no stills "
            "were given; name a made corpus or a table of stills."
        )
    if not dev:
        raise DataError(
            "Nothing to choose the best encoder by: no clip of the dev split has a sidecar with dense truth "
            "and no dev stills were given; name some."
        )
    for sources in (train, dev):
        names = [still.name for still in sources]
        for name in names:
            if names.count(name) > 1:
                raise DataError(
                    f"Two tables of stills are named {name} after the folder they lie in; put each into a "
                    "folder of its own."
                )
    names = [still.name for still in train]
    for still in dev:
        if still.name not in names:
            raise DataError(
                f"The dev pictures of {still.name} have no training pictures of that name (there are "
                f"{', '.join(names)}); put both tables of one source into one folder."
            )
        if (still.labels == IGNORED).all():
            raise DataError(
                f"No dev picture of {still.name} has a label of {', '.join(scheme.labels)}; give others."
            )


class StillsSampler:
    """Draws single pictures, classes evened out most of the way (probability of a class ∝ count^0.35).

    A picture is repeated only when its class has been gone through.
    """

    def __init__(self, stills: Stills, seed: int | list[int]) -> None:
        self.random = np.random.default_rng(seed)
        useful = (stills.labels != IGNORED) | ~np.isnan(stills.targets).all(axis=1)
        self.pools = [np.flatnonzero(useful & (stills.labels == label)) for label in np.unique(stills.labels)]
        self.pools = [pool for pool in self.pools if len(pool)]
        weights = np.array([len(pool) for pool in self.pools]) ** 0.35
        self.weights = weights / weights.sum()
        self.queues: list[list[int]] = [[] for _ in self.pools]

    def draw(self, count: int) -> np.ndarray:
        """`(picture,)` positions of the next pictures."""
        chosen = []
        for pool in self.random.choice(len(self.pools), size=count, p=self.weights):
            if not self.queues[pool]:
                self.queues[pool] = self.random.permutation(self.pools[pool]).tolist()
            chosen.append(self.queues[pool].pop())
        return np.array(chosen, dtype=int)


def draw_stills(
    stills: Sequence[Stills],
    samplers: Sequence[StillsSampler],
    counts: Sequence[int],
    image_size: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """An augmented batch of single pictures, `counts[i]` of them from source i.

    Returns:
        Pictures `(picture, 3, size, size)`, labels `(picture,)`, targets `(picture, target)` and the source
        each is from `(picture,)`.
    """
    pictures, labels, targets, origins = [], [], [], []
    for index, (sampler, still, count) in enumerate(zip(samplers, stills, counts, strict=True)):
        chosen = sampler.draw(count)
        raw = torch.from_numpy(still.pixels[chosen])
        pictures.append(augment_pictures(raw, image_size, generator))
        labels.append(torch.from_numpy(still.labels[chosen]))
        targets.append(torch.from_numpy(still.targets[chosen]))
        origins.append(torch.full((count,), index))
    return torch.cat(pictures), torch.cat(labels), torch.cat(targets), torch.cat(origins)


@dataclass(frozen=True, kw_only=True)
class StillsScores:
    """How well one dev source is told: of labelled pictures, and the mean R² over the action units known."""

    accuracy: float
    macro_f1: float
    target_r2: float | None


@torch.inference_mode()
def evaluate_stills(
    net: nn.Module, sources: PictureSources, image_size: int, *, num_pictures: int, device: torch.device
) -> dict[str, StillsScores]:
    """Scores on each dev source, read with the emotion head of the train source of the same name.

    Args:
        net: pictures to logits `(source, picture, class)` and targets `(picture, target)`.
        sources: whose dev pictures are looked at.
        image_size: of the pictures shown.
        num_pictures: at most so many of each source.
        device: the net's.
    """
    net.eval()
    names = [still.name for still in sources.train]
    scores = {}
    for still in sources.dev:
        head = names.index(still.name)
        useful = np.flatnonzero((still.labels != IGNORED) | ~np.isnan(still.targets).all(axis=1))
        chosen = useful[np.unique(np.linspace(0, len(useful) - 1, num_pictures).astype(int))]
        logits, targets = [], []
        for part in np.array_split(chosen, math.ceil(len(chosen) / 128)):
            raw = torch.from_numpy(still.pixels[part]).to(device)
            all_logits, predicted = net(resample(raw, image_size))
            logits.append(all_logits[head].cpu())
            targets.append(predicted.cpu())
        labels = still.labels[chosen]
        known = labels != IGNORED
        guesses = torch.cat(logits).argmax(dim=1).numpy()[known]
        scores[still.name] = StillsScores(
            accuracy=float(accuracy_score(labels[known], guesses)),
            macro_f1=float(f1_score(labels[known], guesses, average="macro")),
            target_r2=_mean_r2(still.targets[chosen], torch.cat(targets).numpy()),
        )
    return scores


def _mean_r2(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    values = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        if known.any() and truth[known, column].std() > 0.01:
            residual = ((truth[known, column] - predicted[known, column]) ** 2).mean()
            values.append(1.0 - residual / truth[known, column].var())
    return float(np.mean(values)) if values else None
