"""What the compression carries: the value when it had kept more, or others, than it did.

The selection is the model's claim that some frames and patches matter and the rest does not. Here the claim
is tried: what was dropped is restored, what was kept is dropped, and as many are kept at random or evenly.
In all versions what is dropped merges into what is kept as the model has it, unless that is what is asked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from core.attribution.results import Attribution, Target
from core.attribution.subject import Cancelled, Subject
from core.attribution.variants import Variant
from core.compression import Choice, Compressed
from core.encoders.video import VideoChoice
from core.model import DeepMSI


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelEffects:
    """Of one level of the compression: frames of the clip, or patches of its kept frames.

    Values are NaN where there is nothing to ask, because nothing was dropped. While patches are exchanged,
    the kept frames stay; while frames are exchanged, the model chooses the patches of those that are kept.

    Attributes:
        element: "frame" or "patch".
        num_elements: candidate frames, or patches of one frame.
        num_kept: of these.
        positive_mass: share of the positive attribution that lies on kept elements; of patches, among those
            of kept frames. NaN without an attribution, or where none of it is positive.
        absolute_mass: the same of the attribution's absolute values.
        restored: value with all elements kept.
        exchanged: value with dropped elements kept in place of the kept ones: the most relevant of them, as
            many as were kept where there are so many.
        num_exchanged: how many dropped ones that is.
        random: `(draw,)` values with as many kept at random.
        evenly: value with as many kept, evenly spread.
    """

    element: str
    num_elements: int
    num_kept: int
    positive_mass: float
    absolute_mass: float
    restored: float
    exchanged: float
    num_exchanged: int
    random: np.ndarray
    evenly: float

    @property
    def share_kept(self) -> float:
        """What the masses are to be compared with."""
        return self.num_kept / self.num_elements

    @property
    def random_mean(self) -> float:
        """Mean over the draws; NaN where nothing was dropped."""
        return float(self.random.mean()) if len(self.random) else np.nan

    @property
    def random_range(self) -> tuple[float, float]:
        """Least and most over the draws; NaN where nothing was dropped."""
        return (float(self.random.min()), float(self.random.max())) if len(self.random) else (np.nan, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class CompressionEffects:
    """What the compression of one clip does to the value.

    Attributes:
        target: whose value.
        value: of the clip as it is.
        frames: the frame level.
        patches: the patch level; None where the model compresses no patches.
        all_restored: value with all frames and all patches kept.
        unmerged: value with the same frames and patches kept, and what was dropped lost instead of merged.
        num_passes: versions of the clip that the model was asked about.
        seconds: wall time.
    """

    target: Target
    value: float
    frames: LevelEffects
    patches: LevelEffects | None
    all_restored: float
    unmerged: float
    num_passes: int
    seconds: float


def compression_effects(
    subject: Subject,
    target: Target,
    *,
    frames: Attribution | None = None,
    patches: Attribution | None = None,
    num_random: int = 8,
    seed: int = 0,
    cancelled: Cancelled | None = None,
) -> CompressionEffects | None:
    """Try what the compression's choice is worth; None where the clip has no video.

    Args:
        subject: the clip before the model.
        target: whose value is told.
        frames: an attribution of frames, for their masses.
        patches: an attribution of patches, for theirs.
        num_random: random choices on each level.
        seed: of these.
        cancelled: asked between batches.

    Raises:
        ExplanationCancelledError: if `cancelled` says so.
    """
    start = time.perf_counter()
    if not subject.present["video"]:
        return None
    rng, video = np.random.default_rng(seed), subject.output.video
    selection, steps = video.selection, video.patch_steps
    held = Choice.made_by(selection)
    with subject.model() as model:
        twin = model.uncompressed()
    num_passes = 0

    def ask(*choices: VideoChoice | None, model: DeepMSI | None = None) -> list[float]:
        nonlocal num_passes
        num_passes += len(choices)
        answers = subject.ask([Variant(choice=c) for c in choices], cancelled=cancelled, model=model)
        return target.of(answers, subject.labels).tolist()

    kept, num_frames = selection.kept[0].cpu().numpy(), selection.relevance.shape[1]
    found = []
    if len(kept) < num_frames:
        versions = frame_versions(selection, num_random, rng)
        found = ask(*(VideoChoice(frames=_choice(version[None], subject.device)) for version in versions))
    is_kept = np.isin(np.arange(num_frames), kept)
    of_frames = _level("frame", is_kept[None], None if frames is None else frames.values[None], found)

    of_patches = None
    if steps:
        versions = patch_versions(steps, num_random, rng)
        chosen = [tuple(_choice(positions, subject.device) for positions in one) for one in versions]
        # all at once: up to where patches are dropped, the frames of all are the same
        found = ask(VideoChoice(frames=held), model=twin)
        found += ask(*(VideoChoice(frames=held, patches=patches) for patches in chosen))
        is_kept = np.zeros((len(kept), steps[0].relevance.shape[1]), bool)
        np.put_along_axis(is_kept, _original_positions(steps)[-1], True, axis=1)
        seen = None if patches is None else patches.values.reshape(num_frames, -1)[kept]
        of_patches = _level("patch", is_kept, seen, found)

    unmerged = VideoChoice(frames=_unmerged(selection), patches=tuple(_unmerged(step) for step in steps))
    return CompressionEffects(
        target=target,
        value=float(target.of(subject.probabilities, subject.labels)),
        frames=of_frames,
        patches=of_patches,
        all_restored=ask(None, model=twin)[0],
        unmerged=ask(unmerged)[0],
        num_passes=num_passes,
        seconds=time.perf_counter() - start,
    )


def frame_versions(selection: Compressed, num_random: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Other choices of one clip's frames: all, exchanged, evenly, then at random, as `LevelEffects` has them.

    Evenly is as uniform sampling would have it, both ends included.

    Returns:
        For each the kept frames `(kept,)`, ascending.
    """
    kept, relevance = selection.kept[0].cpu().numpy(), selection.relevance[0].cpu().numpy()
    num_frames, num_kept = len(relevance), len(kept)
    dropped = np.setdiff1d(np.arange(num_frames), kept)
    return [
        np.arange(num_frames),
        np.sort(dropped[np.argsort(-relevance[dropped], kind="stable")][:num_kept]),
        np.round(np.linspace(0, num_frames - 1, num_kept)).astype(int),
        *(np.sort(rng.permutation(num_frames)[:num_kept]) for _ in range(num_random)),
    ]


def patch_versions(
    steps: Sequence[Compressed], num_random: int, rng: np.random.Generator
) -> list[list[np.ndarray]]:
    """Other choices of patches: exchanged, evenly, then at random, as `LevelEffects` has them.

    Where fewer patches were dropped than are kept, the least relevant of the kept ones fill the grid up.
    Evenly means that every step keeps evenly spaced ones of what reaches it, row by row.

    Returns:
        For each, and every step, the kept `(kept frame, kept)` positions in the step's input, ascending.
    """
    sizes = [step.kept.shape[1] for step in steps]
    positions, num_frames = _original_positions(steps), len(steps[0].kept)
    # the later a patch was dropped, and the more relevant it was then, the better it replaces a kept one
    rank = np.zeros((num_frames, steps[0].relevance.shape[1]))
    for number, (step, here) in enumerate(zip(steps, positions, strict=False)):
        np.put_along_axis(rank, here, number + step.relevance.cpu().numpy().astype(float), axis=1)
    kept_rank = np.take_along_axis(rank, positions[-1], axis=1)
    np.put_along_axis(rank, positions[-1], -kept_rank, axis=1)
    numbers = [rank.shape[1], *sizes]
    evenly = [
        np.round(np.linspace(0, before - 1, after)).astype(int)[None].repeat(num_frames, 0)
        for before, after in zip(numbers, sizes, strict=False)
    ]
    at_random = (_best(rng.random(rank.shape), sizes) for _ in range(num_random))
    return [_best(rank, sizes), evenly, *at_random]


def _best(rank: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """For every step the positions of the patches that rank highest: `(kept frame, patch)` ranks."""
    chosen = []
    for size in sizes:
        positions = np.sort(np.argsort(-rank, axis=1, kind="stable")[:, :size], axis=1)
        rank = np.take_along_axis(rank, positions, axis=1)
        chosen.append(positions)
    return chosen


def _original_positions(steps: Sequence[Compressed]) -> list[np.ndarray]:
    """Which patch every token once was: for every step's input, and for what the last one left.

    Returns:
        For each `(kept frame, token)`.
    """
    num_frames, num_patches = steps[0].relevance.shape
    positions = [np.tile(np.arange(num_patches), (num_frames, 1))]
    for step in steps:
        positions.append(np.take_along_axis(positions[-1], step.kept.cpu().numpy(), axis=1))
    return positions


def _level(element: str, is_kept: np.ndarray, values: np.ndarray | None, found: list[float]) -> LevelEffects:
    """From `(row, element)` bool and attribution, and the values in the order of the versions."""
    num_kept, num_elements = int(is_kept[0].sum()), is_kept.shape[1]
    restored, exchanged, evenly, *random = found or [np.nan] * 3
    return LevelEffects(
        element=element,
        num_elements=num_elements,
        num_kept=num_kept,
        positive_mass=_share(None if values is None else np.clip(values, 0, None), is_kept),
        absolute_mass=_share(None if values is None else np.abs(values), is_kept),
        restored=restored,
        exchanged=exchanged,
        num_exchanged=min(num_kept, num_elements - num_kept),
        random=np.array(random),
        evenly=evenly,
    )


def _share(mass: np.ndarray | None, is_kept: np.ndarray) -> float:
    if mass is None or not mass.sum():
        return np.nan
    return float(mass[is_kept].sum() / mass.sum())


def _choice(kept: np.ndarray, device: torch.device) -> Choice:
    """Keep these, and merge as the model does."""
    positions = torch.from_numpy(kept).to(device)
    return Choice(kept=positions, kept_mask=torch.ones_like(positions, dtype=torch.bool))


def _unmerged(step: Compressed) -> Choice:
    """Keep what the step kept, and lose the rest."""
    own = F.one_hot(step.kept, step.relevance.shape[1]).to(step.source_map.dtype)
    return Choice(kept=step.kept, kept_mask=step.kept_mask, source_map=own)
