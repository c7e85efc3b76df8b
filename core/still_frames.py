"""Candidate frames that hardly differ from the one before: one stands for both, before any encoder.

What is the same to the bit is computed once (`VideoEncoder.embed`, `core.encoders.alike`), so that a face at
rest costs one frame.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

SIDE = 32
"""Of the coarse pictures that are compared: a cell is an eye's height, and noise of single pixels is gone."""


def hold_still(crops: np.ndarray, below: float) -> np.ndarray:
    """Crops of a clip; one that differs less than `below` from the last that stayed becomes that one.

    Args:
        crops: `(frame, size, size, rgb)` uint8 in the order of time.
        below: mean absolute difference of the coarse pictures, of the range of values; 0 leaves all as it is.

    Returns:
        As many crops; the same array where none is replaced.

    Raises:
        ValueError: if `below` is not within [0, 1].
    """
    if not 0 <= below <= 1:
        raise ValueError(f"below should be within 0 and 1, not {below}")
    if below == 0 or len(crops) < 2:
        return crops
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    coarse = F.adaptive_avg_pool2d(pixels, SIDE).flatten(1)
    stands = [0]
    for frame in range(1, len(crops)):
        change = float((coarse[frame] - coarse[stands[-1]]).abs().mean())
        stands.append(stands[-1] if change < below else frame)
    return crops if stands == list(range(len(crops))) else crops[stands]
