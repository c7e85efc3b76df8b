"""Candidate frames that hardly differ from the one before: one stands for both, before any encoder.

What is the same to the bit is computed once (`VideoEncoder.embed`, `core.encoders.alike`), so that a face at
rest costs one frame.
"""

from __future__ import annotations

import numpy as np

SIDE = 32
"""Least side of the coarse pictures that are compared: a cell is an eye's height at most, and noise of single
pixels is gone."""


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
    require_share(below)
    if below == 0 or len(crops) < 2:
        return crops
    coarse, most = _coarse(crops)
    stands, last = [0], coarse[0]
    for frame in range(1, len(crops)):
        if np.abs(coarse[frame] - last).mean() < below * most:
            stands.append(stands[-1])
        else:
            stands.append(frame)
            last = coarse[frame]
    return crops if stands == list(range(len(crops))) else crops[stands]


def require_share(below: float) -> None:
    """Raises ValueError if a change is not within [0, 1]."""
    if not 0 <= below <= 1:
        raise ValueError(f"below should be within 0 and 1, not {below}")


def _coarse(crops: np.ndarray) -> tuple[np.ndarray, int]:
    """The coarse pictures `(frame, cell)`, sums of whole numbers, and the largest that a cell can be."""
    num, size, _, colours = crops.shape
    side = max(1, size // SIDE)
    cells = size // side
    # what does not fill a cell at the right and below is left out
    within = crops[:, : cells * side, : cells * side]
    # row on row, then column on column: whole rows are added at once
    rows = within.reshape(num, cells, side, cells * side * colours)
    rows = sum((rows[:, :, i] for i in range(1, side)), start=rows[:, :, 0].astype(np.uint16))
    columns = rows.reshape(num, cells, cells, side, colours)
    found = sum((columns[:, :, :, i] for i in range(1, side)), start=columns[:, :, :, 0].astype(np.int32))
    return found.reshape(num, -1), 255 * side**2
