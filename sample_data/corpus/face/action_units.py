"""From action units, speech, blinks and gaze to the mesh's blend shapes and the skin's wrinkles.

Units are those of the Facial Action Coding System (Ekman, Friesen & Hager 2002); blend shapes have ARKit's
names, and `mh/` marks MakeHuman's own. A unit is a sum of shapes; muscles that pull at the same skin compete,
and some units look different together (`COMBINATIONS`).
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
FIRM_PRESS = 0.45
"""Weight of `mouthPress` or, halved, `mouthRollLower` in speech from which the lips must meet."""
RESPONSE = 0.75
"""Exponent from a unit's intensity to what the skin does: half the intensity shows as six tenths of the
movement, so that weak expressions can still be read."""
SIDES = ("Left", "Right")


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What a unit, or several together, do at full intensity: weights of blend shapes and wrinkles."""

    shapes: Mapping[str, float]
    wrinkles: Mapping[int, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Controls:
    """Blend shape → weight, and `(wrinkle,)` strengths."""

    shapes: dict[str, float]
    wrinkles: np.ndarray


def _both(**weights: float) -> dict[str, float]:
    return {name + side: weight for name, weight in weights.items() for side in SIDES}


def _mh_both(part: str, movement: str, weight: float) -> dict[str, float]:
    return {f"mh/{part}-{side}-{movement}": weight for side in ("left", "right")}


UNITS = {
    1: Unit(
        shapes={"browInnerUp": 1.1} | _mh_both("eyebrows", "inner-up", 1.3),
        wrinkles={FOREHEAD_MIDDLE: 1.0},
    ),
    2: Unit(
        shapes=_both(browOuterUp=0.9) | _mh_both("eyebrows", "extern-up", 0.35),
        wrinkles={FOREHEAD_SIDES: 1.0, FOREHEAD_MIDDLE: 0.45},
    ),
    4: Unit(shapes=_both(browDown=0.95) | _mh_both("eyebrows", "down", 0.95), wrinkles={GLABELLA: 1.3}),
    5: Unit(shapes=_both(eyeWide=1.15) | _mh_both("eye", "opened-up", 0.25), wrinkles={}),
    6: Unit(shapes=_both(cheekSquint=1.3, eyeSquint=0.35), wrinkles={CROWS_FEET: 1.1}),
    7: Unit(shapes=_both(eyeSquint=0.75), wrinkles={CROWS_FEET: 0.35}),
    9: Unit(
        shapes=_both(noseSneer=1.2, browDown=0.25) | _mh_both("nose", "elevation", 0.6)
        | _mh_both("eyebrows", "down", 0.2),
        wrinkles={NOSE_ROOT: 1.3, NASOLABIAL: 0.6, GLABELLA: 0.3},
    ),
    10: Unit(shapes=_both(mouthUpperUp=0.55) | {"mh/mouth-elevation": 0.55}, wrinkles={NASOLABIAL: 0.85}),
    12: Unit(shapes=_both(mouthSmile=0.85) | {"mh/mouth-corner-puller": 0.45}, wrinkles={NASOLABIAL: 0.9}),
    14: Unit(shapes=_both(mouthDimple=1.0), wrinkles={MOUTH_CORNER: 0.5}),
    15: Unit(shapes=_both(mouthFrown=0.7) | {"mh/mouth-depression": 0.6}, wrinkles={MOUTH_CORNER: 0.9}),
    16: Unit(shapes=_both(mouthLowerDown=0.9), wrinkles={}),
    17: Unit(shapes={"mouthShrugLower": 0.75, "mouthShrugUpper": 0.2}, wrinkles={CHIN: 0.9}),
    20: Unit(
        shapes=_both(mouthStretch=1.4) | {"mh/neck-platysma": 0.7}, wrinkles={MOUTH_CORNER: 0.5}
    ),
    # this mesh's pressed lips curl up into a smile, hence the frown
    23: Unit(
        shapes={"mouthRollUpper": 0.65, "mouthRollLower": 0.6} | _both(mouthPress=0.15, mouthFrown=0.3),
        wrinkles={CHIN: 0.5},
    ),
    24: Unit(
        shapes={"mouthRollUpper": 0.45, "mouthRollLower": 0.45} | _both(mouthPress=0.4, mouthFrown=0.4),
        wrinkles={CHIN: 0.4},
    ),
    25: Unit(shapes={"jawOpen": 0.07} | _both(mouthLowerDown=0.50, mouthUpperUp=0.20), wrinkles={}),
    26: Unit(shapes={"jawOpen": 0.48}, wrinkles={}),
    43: Unit(shapes=_both(eyeBlink=1.0), wrinkles={}),
}  # fmt: skip

COMBINATIONS = {
    # a smile with teeth lifts the whole upper lip; of the closed smile's bow less is left
    (12, 25): Unit(
        shapes={"mh/mouth-upward-retraction": 0.65} | _both(mouthSmile=-0.15, mouthLowerDown=-0.25),
        wrinkles={},
    ),
    # raised high all along, the brow arches
    (1, 2): Unit(shapes=_mh_both("eyebrows", "up", 0.7), wrinkles={}),
    # the stretched mouth of fear bares the lower teeth
    (20, 25): Unit(shapes={"mh/mouth-depression-retraction": 0.5}, wrinkles={}),
    # the square mouth of anger
    (16, 25): Unit(shapes={"mh/mouth-part-later": 0.5} | _both(mouthLowerDown=-0.6), wrinkles={}),
    (10, 16, 25): Unit(shapes={"mh/mouth-part-later": 0.2}, wrinkles={}),
    # a scowl: only the inner ends of the brows go down, and the nostrils widen
    (4, 7): Unit(
        shapes=_mh_both("eyebrows", "extern-up", 0.3) | _mh_both("nose", "dilatation", 0.5), wrinkles={}
    ),
}
"""What units do together, beyond what each does alone, at the intensity of the weakest."""

OPENING_SHAPES = (
    "mh/mouth-upward-retraction",
    "mh/mouth-depression-retraction",
    "mh/mouth-part-later",
    "mh/mouth-elevation",
)
"""MakeHuman's shapes that part the lips."""


def controls(state: FaceState, age: float) -> Controls:
    """What the mesh and the skin have to do for a state.

    Args:
        state: of the face.
        age: 0 young … 1 old; wrinkles at rest.
    """
    shapes: dict[str, float] = {}
    wrinkles = AGE_WRINKLES * np.float32(age)
    strengths = {number: intensity**RESPONSE for number, intensity in state.action_units.items()}
    for number, intensity in strengths.items():
        unit, left = UNITS[number], state.asymmetry.get(number, 0.0)
        for name, weight in unit.shapes.items():
            shapes[name] = shapes.get(name, 0.0) + weight * intensity * _side(name, left)
        for wrinkle, weight in unit.wrinkles.items():
            wrinkles[wrinkle] += weight * intensity
    for numbers, unit in COMBINATIONS.items():
        intensity = min(strengths.get(number, 0.0) for number in numbers)
        for name, weight in unit.shapes.items():
            shapes[name] = shapes.get(name, 0.0) + weight * intensity
    _brows_compete(shapes, strengths)
    _speech_joins(shapes, state)
    _lids_compete(shapes, state)
    return Controls(shapes=shapes, wrinkles=wrinkles)


def _side(name: str, left: float) -> float:
    """The gain of a shape where a unit is stronger on the left by a share."""
    if name.endswith("Left") or "-left-" in name:
        return 1 + left
    if name.endswith("Right") or "-right-" in name:
        return 1 - left
    return 1.0


def _brows_compete(shapes: dict[str, float], units: Mapping[int, float]) -> None:
    """Units 1 and 4 together: brows come together, but their inner ends stay up."""
    inner, outer, lowered = units.get(1, 0.0), units.get(2, 0.0), units.get(4, 0.0)
    both = min(inner, lowered, 1.0)
    for side in SIDES:
        for name in (f"browDown{side}", f"mh/eyebrows-{side.lower()}-down"):
            if name in shapes:
                shapes[name] *= 1 - 0.8 * min(1.0, inner)
        name = f"browOuterUp{side}"
        shapes[name] = shapes.get(name, 0.0) - both * (0.35 if outer == 0 else 0.25 * outer)


def _speech_joins(shapes: dict[str, float], state: FaceState) -> None:
    """Speaking loosens pressed lips, shares the jaw, and closes lips that an expression holds open."""
    speech = min(1.0, 2 * max(state.mouth.values(), default=0.0))
    press = max(state.mouth.get("mouthPressLeft", 0.0), 0.5 * state.mouth.get("mouthRollLower", 0.0))
    closure = min(1.0, press / FIRM_PRESS)
    tension = max((state.action_units.get(unit, 0.0) for unit in (9, 15, 17, 23, 24)), default=0.0)
    damping = 1 - 0.35 * min(1.0, tension)
    jaw = shapes.pop("jawOpen", 0.0) * (1 - closure)
    for name in shapes:
        if name.startswith(("mouthPress", "mouthRoll")):
            shapes[name] *= 1 - 0.35 * speech
        elif name.startswith(("mouthLowerDown", "mouthUpperUp")) or name in OPENING_SHAPES:
            shapes[name] *= 1 - closure
    for name, weight in state.mouth.items():
        shapes[name] = shapes.get(name, 0.0) + weight * damping
    spoken = shapes.get("jawOpen", 0.0)
    shapes["jawOpen"] = min(MAX_JAW_OPEN, max(jaw, spoken) + 0.3 * min(jaw, spoken))


def _lids_compete(shapes: dict[str, float], state: FaceState) -> None:
    """Closing wins over widening and squinting; lids follow the gaze."""
    up, down = max(0.0, state.gaze[1]), max(0.0, -state.gaze[1])
    for side in SIDES:
        closed = max(shapes.get("eyeBlink" + side, 0.0), state.blink)
        shapes["eyeBlink" + side] = closed
        for name in (f"eyeWide{side}", f"mh/eye-{side.lower()}-opened-up"):
            shapes[name] = shapes.get(name, 0.0) * max(0.0, 1 - 1.2 * closed)
        shapes["eyeSquint" + side] = shapes.get("eyeSquint" + side, 0.0) * max(0.0, 1 - closed)
        shapes["eyeLookDown" + side] = 2.4 * down * max(0.0, 1 - closed)
        shapes["eyeLookUp" + side] = 1.5 * up * max(0.0, 1 - closed)
