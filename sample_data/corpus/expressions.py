"""What faces do in each emotion: action units, and what head, eyes and lids do along with them.

Units are those of the Facial Action Coding System. The prototypes follow the emotion tables of the FACS
Investigator's Guide (Ekman, Friesen & Hager 2002) and how often units were seen by Du, Tao & Martinez (2014,
table 1); `docs/corpus.md` compares them unit by unit and says what could be checked. Fear and surprise share
units 1, 2, 5, 25 and 26, disgust and anger 4, 7, 10, 17 and 25: at low intensity they are confusable on
purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Prototype = dict[int, tuple[float, float, float]]
"""Unit → (probability, lowest, highest intensity at full expression)."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """What comes along with an expression.

    Attributes:
        pose: yaw, pitch (down), roll added at the apex, in radians.
        gaze: yaw, pitch (up) of the eyes, added at the apex, in radians.
        onset_seconds: shortest and longest time from the first trace to the apex.
        motion: gain on the head's small movements.
        blinks_per_minute: at the apex; 16 at rest.
    """

    pose: tuple[float, float, float]
    gaze: tuple[float, float]
    onset_seconds: tuple[float, float]
    motion: float
    blinks_per_minute: float


PROTOTYPES: dict[str, Prototype] = {
    "neutral": {},
    "joy": {
        6: (0.95, 0.60, 1.0),
        12: (1.0, 0.65, 1.0),
        25: (0.85, 0.50, 1.0),
        26: (0.35, 0.15, 0.45),
        7: (0.20, 0.20, 0.40),
    },
    "surprise": {
        1: (1.0, 0.70, 1.0),
        2: (1.0, 0.70, 1.0),
        5: (0.95, 0.50, 0.90),
        25: (0.95, 0.50, 0.90),
        26: (0.95, 0.55, 1.0),
    },
    "fear": {
        1: (1.0, 0.70, 1.0),
        2: (0.75, 0.35, 0.70),
        4: (0.95, 0.65, 1.0),
        5: (1.0, 0.70, 1.0),
        7: (0.40, 0.20, 0.45),
        20: (0.95, 0.65, 1.0),
        25: (0.95, 0.50, 0.90),
        26: (0.40, 0.15, 0.40),
    },
    "sadness": {
        1: (1.0, 0.70, 1.0),
        4: (0.85, 0.40, 0.80),
        15: (1.0, 0.65, 1.0),
        17: (0.65, 0.40, 0.80),
        6: (0.20, 0.15, 0.35),
        43: (0.80, 0.03, 0.12),
    },
    "disgust": {
        9: (0.95, 0.65, 1.0),
        10: (0.90, 0.50, 1.0),
        17: (0.45, 0.30, 0.70),
        4: (0.35, 0.20, 0.45),
        7: (0.60, 0.30, 0.60),
        25: (0.45, 0.35, 0.70),
        6: (0.30, 0.20, 0.40),
        15: (0.25, 0.20, 0.50),
    },
    "anger": {
        4: (1.0, 0.80, 1.0),
        5: (0.75, 0.40, 0.80),
        7: (0.85, 0.50, 0.90),
        23: (0.75, 0.50, 0.90),
        24: (0.60, 0.50, 0.90),
        17: (0.45, 0.30, 0.60),
        25: (0.50, 0.50, 0.90),
        10: (0.45, 0.30, 0.70),
        16: (0.90, 0.50, 0.90),
    },
}

NEEDS = {16: 25, 26: 25}
"""Unit → the one without which it is not drawn: lips that stay together bare no teeth, and follow no jaw."""

EXCLUDES = {25: (17, 23, 24)}
"""Unit → those it leaves no room for: lips are pressed together or apart."""

SOCIAL_SMILE: Prototype = {12: (1.0, 0.35, 0.70), 25: (1.0, 0.25, 0.35)}
"""A smile for others: the mouth's corners without the cheeks (unit 6), that is not Duchenne's."""

POLITE_SMILE: Prototype = {12: (1.0, 0.12, 0.30)}
"""A trace of a smile in neutral talk."""

BODY: dict[str, Body] = {
    "neutral": Body(
        pose=(0.0, 0.0, 0.0),
        gaze=(0.0, 0.0),
        onset_seconds=(0.30, 0.60),
        motion=1.0,
        blinks_per_minute=16,
    ),
    "joy": Body(
        pose=(0.02, -0.05, 0.05),
        gaze=(0.0, 0.0),
        onset_seconds=(0.35, 0.65),
        motion=1.5,
        blinks_per_minute=18,
    ),
    "surprise": Body(
        pose=(0.0, -0.10, 0.0),
        gaze=(0.0, 0.03),
        onset_seconds=(0.10, 0.22),
        motion=1.1,
        blinks_per_minute=8,
    ),
    "fear": Body(
        pose=(0.05, -0.04, 0.02),
        gaze=(0.12, 0.02),
        onset_seconds=(0.15, 0.32),
        motion=1.2,
        blinks_per_minute=26,
    ),
    "sadness": Body(
        pose=(0.03, 0.14, 0.05),
        gaze=(0.0, -0.14),
        onset_seconds=(0.60, 1.0),
        motion=0.55,
        blinks_per_minute=12,
    ),
    "disgust": Body(
        pose=(0.10, -0.05, 0.04),
        gaze=(-0.05, -0.04),
        onset_seconds=(0.30, 0.55),
        motion=0.8,
        blinks_per_minute=16,
    ),
    "anger": Body(
        pose=(0.0, 0.08, 0.0),
        gaze=(0.0, 0.07),
        onset_seconds=(0.25, 0.50),
        motion=1.3,
        blinks_per_minute=9,
    ),
}


def draw_action_units(emotion: str, intensity: float, generator: np.random.Generator) -> dict[int, float]:
    """The units of one expression at its apex, each at most 1; none for a neutral face.

    Raises:
        ValueError: for an unknown emotion.
    """
    if emotion not in PROTOTYPES:
        raise ValueError(f"there is no expression of {emotion!r}; choose one of {', '.join(PROTOTYPES)}")
    drawn = {}
    for unit, (probability, lowest, highest) in PROTOTYPES[emotion].items():
        # both draws for every unit, so that one unit's absence changes no other
        chance, strength = generator.random(), generator.uniform(lowest, highest)
        if chance < probability:
            drawn[unit] = float(np.clip(strength * intensity, 0.0, 1.0))
    excluded = {other for unit in drawn for other in EXCLUDES.get(unit, ())}
    return {
        unit: strength
        for unit, strength in drawn.items()
        if unit not in excluded and NEEDS.get(unit, unit) in drawn
    }
