"""Changed versions of a clip, and which of them the model can be asked about at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.compression import Choice
from core.encoders.video import VideoChoice


@dataclass(frozen=True, kw_only=True, eq=False)
class Variant:
    """A changed version of the clip: which elements stay. None leaves a modality as it is.

    Attributes:
        words: `(word,)` bool.
        windows: `(window,)` bool.
        frames: `(frame,)` bool, of the candidates; what the compression keeps is held then.
        patches: `(frame, row, column)` bool.
        without: modalities that are absent altogether.
        choice: what the compression keeps, of one clip; None where it decides anew. Not together
            with `frames`; likewise `patches`.
    """

    words: np.ndarray | None = None
    windows: np.ndarray | None = None
    frames: np.ndarray | None = None
    patches: np.ndarray | None = None
    without: frozenset[str] = frozenset()
    choice: VideoChoice | None = None


def kind_of(variant: Variant) -> tuple:
    """Variants of one kind may share a batch: with frames left out, or choices that keep equally much."""
    if variant.frames is not None:
        return (1,)
    if variant.choice is None:
        return (0,)
    parts = (variant.choice.frames, *variant.choice.patches)
    return 2, *(() if part is None else (*part.kept.shape, part.source_map is None) for part in parts)


def together(choices: Sequence[VideoChoice]) -> VideoChoice:
    """Choices of one kind, of one clip each, as that of a batch."""
    return VideoChoice(
        frames=_stacked([choice.frames for choice in choices]),
        patches=tuple(_stacked(step) for step in zip(*(choice.patches for choice in choices), strict=True)),
    )


def _stacked(parts: Sequence[Choice | None]) -> Choice | None:
    if parts[0] is None:
        return None
    maps = [part.source_map for part in parts]
    return Choice(
        kept=torch.cat([part.kept for part in parts]),
        kept_mask=torch.cat([part.kept_mask for part in parts]),
        source_map=None if maps[0] is None else torch.cat(maps),
    )
