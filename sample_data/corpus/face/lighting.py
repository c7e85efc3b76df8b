"""The rooms: three lamps and the light from above and below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Light:
    """How a room is lit, in linear light.

    Attributes:
        directions: towards each lamp, seen from the face (X to the subject's left, Y up, Z to the camera);
            the first lamp casts shadows.
        colors: of each lamp.
        sky / ground: what comes from above and from below.
    """

    directions: tuple[Triple, Triple, Triple]
    colors: tuple[Triple, Triple, Triple]
    sky: Triple
    ground: Triple

    def unit_directions(self) -> np.ndarray:
        """`(lamp, 3)` of length one."""
        directions = np.array(self.directions, np.float32)
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)


LIGHTS = {
    "studio": Light(
        directions=((-0.60, 0.55, 0.62), (0.8, 0.1, 0.45), (0.3, 0.5, -0.8)),
        colors=((1.18, 1.12, 1.05), (0.22, 0.25, 0.30), (0.5, 0.5, 0.55)),
        sky=(0.30, 0.32, 0.35),
        ground=(0.17, 0.15, 0.14),
    ),
    "window": Light(
        directions=((0.95, 0.30, 0.45), (-0.7, 0.2, 0.5), (-0.4, 0.6, -0.6)),
        colors=((1.4, 1.42, 1.45), (0.22, 0.22, 0.26), (0.35, 0.33, 0.3)),
        sky=(0.34, 0.37, 0.42),
        ground=(0.20, 0.18, 0.16),
    ),
    "warm": Light(
        directions=((-0.4, 0.7, 0.55), (0.7, -0.1, 0.6), (-0.6, 0.3, -0.7)),
        colors=((1.45, 1.18, 0.88), (0.30, 0.24, 0.2), (0.45, 0.35, 0.25)),
        sky=(0.36, 0.31, 0.27),
        ground=(0.28, 0.22, 0.17),
    ),
    "overcast": Light(
        directions=((0.0, 0.9, 0.5), (-0.8, 0.2, 0.5), (0.8, 0.2, 0.5)),
        colors=((0.85, 0.88, 0.92), (0.30, 0.31, 0.33), (0.30, 0.31, 0.33)),
        sky=(0.62, 0.65, 0.70),
        ground=(0.34, 0.32, 0.30),
    ),
    "screen": Light(
        directions=((0.05, -0.15, 1.0), (-0.6, 0.6, 0.4), (0.8, 0.4, -0.4)),
        colors=((0.75, 0.85, 1.1), (0.45, 0.42, 0.40), (0.30, 0.35, 0.55)),
        sky=(0.24, 0.26, 0.32),
        ground=(0.22, 0.22, 0.24),
    ),
    "dim": Light(
        directions=((-0.8, 0.35, 0.3), (0.9, 0.1, 0.2), (0.2, 0.5, -0.8)),
        colors=((0.80, 0.72, 0.62), (0.10, 0.12, 0.18), (0.22, 0.24, 0.30)),
        sky=(0.14, 0.15, 0.18),
        ground=(0.10, 0.10, 0.10),
    ),
}
"""By name, as clip plans give it."""
