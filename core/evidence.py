"""What the video encoder kept of a clip, told in the clip's own candidate frames and original patches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.compression import compose, holders
from core.encoders.video import VideoOutput
from core.prediction import FrameSelection, PatchStep


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoEvidence:
    """One clip's share of a `VideoOutput`: kept frames in the order of time, padding left out.

    Attributes:
        kept: `(kept,)` candidate frames.
        relevance: `(frame,)`, padding included.
        source_map: `(kept, frame)`, padding included.
        steps: for each compression step, of every kept frame: kept positions `(kept, token)`, relevance
            `(kept, input)` and source map `(kept, token, input)`, told in the step's own input positions.
    """

    kept: Tensor
    relevance: Tensor
    source_map: Tensor
    steps: tuple[tuple[Tensor, Tensor, Tensor], ...]

    @classmethod
    def from_row(cls, video: VideoOutput, row: int) -> VideoEvidence:
        """The evidence of one clip in the batch that `video` is about."""
        selection = video.selection
        real = selection.kept_mask[row].nonzero().squeeze(1)
        order = real[selection.kept[row][real].argsort()]
        num_kept = selection.kept.shape[1]

        def of_row(values: Tensor) -> Tensor:
            return values.unflatten(0, (-1, num_kept))[row][order].cpu()

        return cls(
            kept=selection.kept[row][order].cpu(),
            relevance=selection.relevance[row].cpu(),
            source_map=selection.source_map[row][order].cpu(),
            steps=tuple(
                (of_row(step.kept), of_row(step.relevance), of_row(step.source_map))
                for step in video.patch_steps
            ),
        )

    def frame_selection(self, times_seconds: np.ndarray) -> FrameSelection:
        """Which candidates were kept.

        Args:
            times_seconds: `(frame,)` of the real candidates.
        """
        num_frames = len(times_seconds)
        source_map = self.source_map[:, :num_frames]
        return FrameSelection(
            times_seconds=times_seconds,
            kept=self.kept.numpy(),
            relevance=self.relevance[:num_frames].numpy(),
            source_map=source_map.numpy(),
            absorbed_by=_absorbed_by(source_map[None], self.kept[None])[0].numpy(),
        )

    def patch_steps(self, grid: tuple[int, int]) -> tuple[PatchStep, ...]:
        """The compression steps, each told in patches of the grid that entered the first."""
        num_frames, num_patches = len(self.kept), grid[0] * grid[1]
        original = torch.arange(num_patches).expand(num_frames, -1)  # which patch each input once was
        source_maps, steps = [], []
        for kept, relevance, source_map in self.steps:
            here = torch.full((num_frames, num_patches), torch.nan).scatter(1, original, relevance)
            original = original.gather(1, kept)
            source_maps.append(source_map)
            steps.append(
                PatchStep(
                    grid=grid,
                    kept=original.sort(1).values.numpy(),
                    relevance=here.numpy(),
                    absorbed_by=_absorbed_by(compose(source_maps), original).numpy(),
                )
            )
        return tuple(steps)


def _absorbed_by(source_map: Tensor, kept: Tensor) -> Tensor:
    """The kept input that holds each input: `(batch, input)`.

    Args:
        source_map: `(batch, kept, input)`.
        kept: `(batch, kept)` which input each kept one is.
    """
    position = holders(source_map)
    held = kept.gather(1, position.clamp(min=0)).masked_fill(position < 0, -1)
    # a kept one holds itself, whatever else it took in
    return held.scatter(1, kept, kept)
