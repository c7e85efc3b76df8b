"""The camera looks straight along −Z at the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.corpus.face.mesh import EYE_HEIGHT


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera.

    Attributes:
        field_of_view_degrees: of the picture's height.
        distance: from the target, dm.
        target: what is in the picture's middle, dm in the template's space.
    """

    field_of_view_degrees: float = 19.5
    distance: float = 9.0
    target: tuple[float, float, float] = (0.0, EYE_HEIGHT - 0.16, 0.9)

    @property
    def position(self) -> np.ndarray:
        """`(3,)` of the pinhole, dm."""
        return np.array(self.target, np.float32) + np.array([0.0, 0.0, self.distance], np.float32)

    def focal(self, side: int) -> float:
        """Focal length in pixels of a picture of `side` pixels."""
        return side / 2 / np.tan(np.radians(self.field_of_view_degrees) / 2)

    def project(self, points: np.ndarray, side: int) -> np.ndarray:
        """`(point, x/y/nearness)` float32 screen points of `(point, 3)` in a picture of `side` pixels."""
        x, y, z = self.target
        nearness = 1 / (np.float32(self.distance + z) - points[:, 2])
        screen = np.empty((len(points), 3), np.float32)
        screen[:, 0] = side / 2 + np.float32(self.focal(side)) * (points[:, 0] - np.float32(x)) * nearness
        screen[:, 1] = side / 2 - np.float32(self.focal(side)) * (points[:, 1] - np.float32(y)) * nearness
        screen[:, 2] = nearness
        return screen
