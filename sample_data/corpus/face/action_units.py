"""From action units, speech, blinks and gaze to the mesh's blend shapes and the skin's wrinkles.

Units are those of the Facial Action Coding System (Ekman, Friesen & Hager 2002); blend shapes have ARKit's names, and
`mh/` marks MakeHuman's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sample_data.corpus.face.state import FaceState

NUM_WRINKLES = 8
(
    FOREHEAD_MIDDLE, FOREHEAD_SIDES, GLABELLA, NOSE_ROOT, NASOLABIAL, CROWS_FEET, CHIN, MOUTH_CORNER,
) = range(NUM_WRINKLES)  # fmt: skip
"""Order of the baked wrinkle maps."""
AGE_WRINKLES = np.array([0.15, 0.10, 0.15, 0.0, 0.35, 0.35, 0.0, 0.25], np.float32)
"""What the oldest face shows at rest."""
MAX_JAW_OPEN = 0.85
SIDES = ("Left", "Right")


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What a unit does at full intensity: blend shapes and wrinkles with their weights."""

    shapes: Mapping[str, float]
    wrinkles: Mapping[int, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Controls:
    """Blend shape → weight, and `(wrinkle,)` strengths."""

    shapes: dict[str, float]
    wrinkles: np.ndarray


def _both(**weights: float) -> dict[str, float]:
    return {name + side: weight for name, weight in weights.items() for side in SIDES}


UNITS = {
    1: Unit(
        shapes={
            "browInnerUp": 1.2, "mh/eyebrows-left-inner-up": 0.8, "mh/eyebrows-right-inner-up": 0.8,
        },
        wrinkles={FOREHEAD_MIDDLE: 1.0},
    ),
    2: Unit(shapes=_both(browOuterUp=1.15), wrinkles={FOREHEAD_SIDES: 1.0, FOREHEAD_MIDDLE: 0.45}),
    4: Unit(shapes=_both(browDown=1.15), wrinkles={GLABELLA: 1.2}),
    5: Unit(shapes=_both(eyeWide=1.25), wrinkles={}),
    6: Unit(shapes=_both(cheekSquint=1.1), wrinkles={CROWS_FEET: 1.1}),
    7: Unit(shapes=_both(eyeSquint=1.0), wrinkles={CROWS_FEET: 0.35}),
    9: Unit(
        shapes=_both(noseSneer=1.2, browDown=0.30), wrinkles={NOSE_ROOT: 1.3, NASOLABIAL: 0.5, GLABELLA: 0.3}
    ),
    10: Unit(shapes=_both(mouthUpperUp=0.95), wrinkles={NASOLABIAL: 0.75}),
    12: Unit(shapes=_both(mouthSmile=1.25, mouthUpperUp=0.12), wrinkles={NASOLABIAL: 0.9}),
    14: Unit(shapes=_both(mouthDimple=1.0), wrinkles={MOUTH_CORNER: 0.5}),
    15: Unit(shapes=_both(mouthFrown=1.05), wrinkles={MOUTH_CORNER: 0.7}),
    16: Unit(shapes=_both(mouthLowerDown=0.9), wrinkles={}),
    17: Unit(shapes={"mouthShrugLower": 0.75, "mouthShrugUpper": 0.2}, wrinkles={CHIN: 0.9}),
    20: Unit(shapes=_both(mouthStretch=1.5, mouthLowerDown=0.15), wrinkles={MOUTH_CORNER: 0.4}),
    23: Unit(
        shapes={"mouthRollUpper": 0.45, "mouthRollLower": 0.35} | _both(mouthPress=0.7), wrinkles={CHIN: 0.35}
    ),
    24: Unit(
        shapes={"mouthRollUpper": 0.2, "mouthRollLower": 0.2} | _both(mouthPress=1.1), wrinkles={CHIN: 0.25}
    ),
    25: Unit(shapes={"jawOpen": 0.07} | _both(mouthLowerDown=0.50, mouthUpperUp=0.20), wrinkles={}),
    26: Unit(shapes={"jawOpen": 0.48}, wrinkles={}),
    43: Unit(shapes=_both(eyeBlink=1.0), wrinkles={}),
}  # fmt: skip


def controls(state: FaceState, age: float) -> Controls:
    """What the mesh and the skin have to do for a state.

    Args:
        state: of the face.
        age: 0 young … 1 old; wrinkles at rest.
    """
    shapes: dict[str, float] = {}
    wrinkles = AGE_WRINKLES * np.float32(age)
    for number, intensity in state.action_units.items():
        unit, left = UNITS[number], state.asymmetry.get(number, 0.0)
        for name, weight in unit.shapes.items():
            side = 1 + left if name.endswith("Left") else 1 - left if name.endswith("Right") else 1.0
            shapes[name] = shapes.get(name, 0.0) + weight * intensity * side
        for wrinkle, weight in unit.wrinkles.items():
            wrinkles[wrinkle] += weight * intensity
    _brows_compete(shapes, state.action_units)
    _speech_joins(shapes, state)
    _lids_compete(shapes, state)
    return Controls(shapes=shapes, wrinkles=wrinkles)


def _brows_compete(shapes: dict[str, float], units: Mapping[int, float]) -> None:
    """Units 1 and 4 together: brows come together, but their inner ends stay up."""
    inner, outer = units.get(1, 0.0), units.get(2, 0.0)
    if units.get(4, 0.0) == 0 or inner == 0:
        return
    for side in SIDES:
        shapes["browDown" + side] *= 1 - 0.85 * min(1.0, inner)
        if outer == 0:
            shapes["browOuterUp" + side] = -0.35 * inner


def _speech_joins(shapes: dict[str, float], state: FaceState) -> None:
    """Speaking loosens pressed lips and takes the jaw over; strong negative units make it smaller."""
    speech = min(1.0, 2 * max(state.mouth.values(), default=0.0))
    tension = max((state.action_units.get(unit, 0.0) for unit in (9, 15, 17, 23, 24)), default=0.0)
    damping = 1 - 0.35 * min(1.0, tension)
    for name in [name for name in shapes if name.startswith(("mouthPress", "mouthRoll", "jawOpen"))]:
        shapes[name] *= 1 - 0.35 * speech
    for name, weight in state.mouth.items():
        shapes[name] = shapes.get(name, 0.0) + weight * damping
    shapes["jawOpen"] = min(MAX_JAW_OPEN, shapes.get("jawOpen", 0.0))


def _lids_compete(shapes: dict[str, float], state: FaceState) -> None:
    """Closing wins over widening and squinting; lids follow the gaze."""
    up, down = max(0.0, state.gaze[1]), max(0.0, -state.gaze[1])
    for side in SIDES:
        closed = max(shapes.get("eyeBlink" + side, 0.0), state.blink)
        shapes["eyeBlink" + side] = closed
        shapes["eyeWide" + side] = shapes.get("eyeWide" + side, 0.0) * max(0.0, 1 - 1.2 * closed)
        shapes["eyeSquint" + side] = shapes.get("eyeSquint" + side, 0.0) * max(0.0, 1 - closed)
        shapes["eyeLookDown" + side] = 2.4 * down * max(0.0, 1 - closed)
        shapes["eyeLookUp" + side] = 1.5 * up * max(0.0, 1 - closed)
