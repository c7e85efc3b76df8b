"""What a head does in one moment, and what a picture of it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture's side."""


@dataclass(frozen=True, kw_only=True)
class FaceState:
    """One moment of a face.

    Attributes:
        action_units: unit → intensity, 0 … about 1.1 (FACS E is 1).
        mouth: blend shape → weight of speech, added to what the units do (ARKit's names).
        blink: how far the lids are closed by blinking.
        yaw / pitch / roll: of the head, radians: to the subject's left, down, to the subject's right
            shoulder.
        gaze: yaw and pitch of the eyes within the head, radians; positive pitch looks up.
        shift: of the head, right and up in the picture, dm.
        asymmetry: unit → how much stronger it is on the left, as a share; weaker on the right by as much.
    """

    action_units: Mapping[int, float] = field(default_factory=dict)
    mouth: Mapping[str, float] = field(default_factory=dict)
    blink: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    shift: tuple[float, float] = (0.0, 0.0)
    asymmetry: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A rendered face and where its parts are, whatever may hide them.

    Attributes:
        pixels: `(row, column, rgb)` uint8, sRGB.
        face_box: from brows to chin and from ear to ear.
        mouth_box: the lips' outer edge.
        eyes_box: both eyes with their lids.
        lip_opening: between the lips' inner edges in the middle, as a share of the face's height, both
            measured upright; 0 when closed.
    """

    pixels: np.ndarray
    face_box: Box
    mouth_box: Box
    eyes_box: Box
    lip_opening: float
