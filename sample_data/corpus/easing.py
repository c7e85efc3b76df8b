"""How one value becomes another without a corner."""

from __future__ import annotations

import numpy as np


def smooth_step(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 below `start`, 1 above `end`, eased in between; a span of nothing counts as one of a thousandth."""
    share = np.clip((values - start) / max(end - start, 1e-3), 0.0, 1.0)
    return share * share * (3 - 2 * share)
