"""Does training change what the compression keeps? Compares kept frames and patches between two moments."""

from __future__ import annotations

import numpy as np
import torch

from core.labels import MODALITIES
from core.model import ModelOutput

Kept = dict[tuple[int, ...], frozenset[int]]
"""What is kept, by clip (frames) or by clip and candidate frame (patches of the original grid)."""


class SelectionProbe:
    """Watches evaluations of one data set (`training.scores.evaluate(watch=…)`).

    `watch` notes what is kept with all modalities and with video alone, `remember` makes the last evaluation
    the one to compare with, `changes` compares.
    """

    def __init__(self) -> None:
        self._frames: dict[tuple[str, ...], Kept] = {}
        self._patches: dict[tuple[str, ...], Kept] = {}
        self._first: tuple[Kept, Kept] | None = None

    def watch(self, indices: np.ndarray, subset: tuple[str, ...], output: ModelOutput) -> None:
        """Note one batch: positions of its clips, the modalities shown, the model's output."""
        if subset not in (MODALITIES, ("video",)) or output.video is None:
            return
        frames, patches = self._frames.setdefault(subset, {}), self._patches.setdefault(subset, {})
        clips = indices[output.video_rows.cpu().numpy()]
        kept, mask = output.video.selection.kept.cpu(), output.video.selection.kept_mask.cpu()
        tokens = None
        for step in output.video.patch_steps:
            tokens = step.kept if tokens is None else tokens.gather(1, step.kept)
        if tokens is not None:
            tokens = tokens.unflatten(0, tuple(kept.shape)).cpu()
        for row, clip in enumerate(clips.tolist()):
            real = torch.nonzero(mask[row]).flatten().tolist()
            frames[(clip,)] = frozenset(int(kept[row, position]) for position in real)
            if tokens is not None:
                for position in real:
                    patches[clip, int(kept[row, position])] = frozenset(tokens[row, position].tolist())

    def remember(self) -> None:
        """The last evaluation is the one to compare later ones with."""
        self._first = self._frames.get(MODALITIES, {}), self._patches.get(MODALITIES, {})
        self._frames, self._patches = {}, {}

    def changes(self) -> dict[str, float]:
        """Shares of what the last evaluation kept with all modalities.

        Returns:
            `changed_frames`, `changed_patches`: that the remembered evaluation did not keep; `guided_frames`,
            `guided_patches`: that the same model does not keep by video alone, without the guide of sound and
            words. Patches are compared in frames that both keep. Zero where nothing can be compared.
        """
        frames, patches = self._frames.get(MODALITIES, {}), self._patches.get(MODALITIES, {})
        first_frames, first_patches = self._first or ({}, {})
        result = {
            "changed_frames": share_changed(frames, first_frames),
            "changed_patches": share_changed(patches, first_patches),
            "guided_frames": share_changed(frames, self._frames.get(("video",), {})),
            "guided_patches": share_changed(patches, self._patches.get(("video",), {})),
        }
        self._frames, self._patches = {}, {}
        return result


def share_changed(now: Kept, before: Kept) -> float:
    """Mean, over what both know, of the share of `now` that is not in `before`."""
    common = now.keys() & before.keys()
    if not common:
        return 0.0
    return float(np.mean([len(now[key] - before[key]) / max(1, len(now[key])) for key in common]))
