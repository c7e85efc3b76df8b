"""How an emotion sounds: settings of pitch, rate, loudness and voice quality, and drawing them.

Unusual here: every setting is relative to the same speaker's neutral voice, so an emotion never depends on
who speaks. Level alone would tell little, because the microphone's gain varies from clip to clip.

Directions are from the literature (`docs/corpus.md` says what of it could be checked); sizes are ours:

* Murray & Arnott (1993), J. Acoust. Soc. Am. 93(2), 1097-1108, table of vocal effects. Anger, joy: higher,
  wider, louder. Fear: much faster, much higher, irregular voicing. Sadness: slower, slightly lower,
  narrower, softer, bending down. Disgust: much slower and lower, grumbled, wide downward bends at the end.
* Banse & Scherer (1996), J. Pers. Soc. Psychol. 70(3), 614-636. Predicted, and mostly found: F0, energy and
  high frequencies rise in hot anger, panic and elation, and fall in sadness; disgust is hard to hear from the
  voice, so it moves little.
* Juslin & Laukka (2003), Psychol. Bull. 129(5), 770-814, patterns over 104 studies: joy and anger fast,
  loud, high and variable; fear fast, high, little variable, irregular; sadness slow, soft, low, little
  variable, without high frequencies. Murray & Arnott call fear wide; here the later review is followed.
* Scherer (1986), Psychol. Bull. 99(2), 143-165: wavering and irregular pitch in fear; a lax, breathy voice in
  sadness, a tense one in anger.

Surprise has no row in these tables; it is given what distinguishes an astonished question: high, wide, and
rising steeply at the end. Its rate is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """Settings of the voice, relative to the speaker's own.

    Attributes:
        f0_ratio: median F0 over the model's own.
        range_ratio: deviations of log F0 from its median over the model's own.
        rate_ratio: speed of speech over the model's own.
        level_db: loudness over the neutral level.
        tilt_db_per_octave: slope added to the spectrum around 1 kHz; positive sounds pressed, negative soft.
        final_semitones: how far pitch is bent at the end; positive rises.
        energy: added to the model's own log-like energy curve in voiced sounds: vocal effort.
        breath: noise over the speech's envelope, as a ratio of amplitudes.
        tremor: depth of a regular wavering of F0, as a ratio.
        tremor_hz: its frequency.
        jitter: deviation of an irregular wavering of F0, as a ratio.
    """

    f0_ratio: float
    range_ratio: float
    rate_ratio: float
    level_db: float
    tilt_db_per_octave: float
    final_semitones: float
    energy: float
    breath: float
    tremor: float
    tremor_hz: float
    jitter: float


RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "neutral": {
        "f0_ratio": (0.98, 1.03),
        "range_ratio": (0.75, 0.95),
        "rate_ratio": (0.97, 1.05),
        "level_db": (-1.0, 1.0),
        "tilt_db_per_octave": (-0.3, 0.3),
        "final_semitones": (-1.5, 0.0),
        "energy": (0.0, 0.0),
        "breath": (0.0, 0.0),
        "tremor": (0.0, 0.0),
        "tremor_hz": (5.0, 5.0),
        "jitter": (0.0, 0.0),
    },
    "joy": {
        "f0_ratio": (1.22, 1.38),
        "range_ratio": (1.6, 2.0),
        "rate_ratio": (1.08, 1.2),
        "level_db": (2.0, 4.5),
        "tilt_db_per_octave": (0.5, 1.5),
        "final_semitones": (0.5, 2.5),
        "energy": (0.1, 0.25),
        "breath": (0.0, 0.0),
        "tremor": (0.0, 0.0),
        "tremor_hz": (5.0, 5.0),
        "jitter": (0.0, 0.0),
    },
    "surprise": {
        "f0_ratio": (1.28, 1.48),
        "range_ratio": (1.7, 2.2),
        "rate_ratio": (0.96, 1.08),
        "level_db": (1.5, 4.0),
        "tilt_db_per_octave": (0.2, 1.0),
        "final_semitones": (4.0, 7.0),
        "energy": (0.05, 0.15),
        "breath": (0.03, 0.06),
        "tremor": (0.0, 0.0),
        "tremor_hz": (5.0, 5.0),
        "jitter": (0.0, 0.0),
    },
    "fear": {
        "f0_ratio": (1.32, 1.52),
        "range_ratio": (0.65, 0.95),
        "rate_ratio": (1.16, 1.32),
        "level_db": (-2.0, 1.0),
        "tilt_db_per_octave": (0.0, 0.9),
        "final_semitones": (0.0, 2.0),
        "energy": (-0.1, 0.0),
        "breath": (0.1, 0.16),
        "tremor": (0.03, 0.045),
        "tremor_hz": (6.5, 8.5),
        "jitter": (0.014, 0.022),
    },
    "sadness": {
        "f0_ratio": (0.84, 0.94),
        "range_ratio": (0.4, 0.6),
        "rate_ratio": (0.72, 0.84),
        "level_db": (-7.0, -4.0),
        "tilt_db_per_octave": (-3.2, -1.8),
        "final_semitones": (-3.0, -1.5),
        "energy": (-0.4, -0.3),
        "breath": (0.08, 0.13),
        "tremor": (0.006, 0.012),
        "tremor_hz": (4.0, 5.0),
        "jitter": (0.003, 0.006),
    },
    "disgust": {
        "f0_ratio": (0.83, 0.94),
        "range_ratio": (0.85, 1.2),
        "rate_ratio": (0.78, 0.9),
        "level_db": (-2.0, 0.5),
        "tilt_db_per_octave": (-0.8, 0.4),
        "final_semitones": (-5.0, -2.5),
        "energy": (-0.05, 0.05),
        "breath": (0.02, 0.05),
        "tremor": (0.0, 0.0),
        "tremor_hz": (5.0, 5.0),
        "jitter": (0.018, 0.026),
    },
    "anger": {
        "f0_ratio": (1.1, 1.28),
        "range_ratio": (1.35, 1.75),
        "rate_ratio": (1.12, 1.26),
        "level_db": (5.0, 8.0),
        "tilt_db_per_octave": (1.8, 3.2),
        "final_semitones": (-4.0, -2.0),
        "energy": (0.3, 0.4),
        "breath": (0.0, 0.0),
        "tremor": (0.0, 0.0),
        "tremor_hz": (5.0, 5.0),
        "jitter": (0.006, 0.01),
    },
}
"""Emotion → setting → smallest and largest value that is drawn."""

EMOTIONS = tuple(RANGES)

PLANNED_MOVES: dict[str, dict[str, int]] = {
    "neutral": {"f0": 0, "range": 0, "level": 0, "rate": 0, "tilt": 0},
    "joy": {"f0": 1, "range": 1, "level": 1, "rate": 1, "tilt": 1},
    "surprise": {"f0": 1, "range": 1, "level": 1, "rate": 0, "tilt": 0},
    "fear": {"f0": 1, "range": 0, "level": 0, "rate": 1, "tilt": 0},
    "sadness": {"f0": -1, "range": -1, "level": -1, "rate": -1, "tilt": -1},
    "disgust": {"f0": -1, "range": 0, "level": 0, "rate": -1, "tilt": 0},
    "anger": {"f0": 1, "range": 1, "level": 1, "rate": 1, "tilt": 1},
}
"""Emotion → what is measured → sign of its difference to the same speaker's neutral voice: 1 or −1 for
clearly higher or lower, 0 where nothing is planned. "f0" is median pitch in semitones, "range" what lies
between its 10th and 90th percentile, in semitones, "level" that of voiced sounds in dB (before the
microphone's gain), "rate" phones per second from the first to the last sound that is heard, "tilt" the level
of 1 to 4 kHz over that of 0.1 to 1 kHz in voiced sounds, in dB."""


def draw_prosody(emotion: str, generator: np.random.Generator) -> Prosody:
    """Settings of an emotion at full strength; the number of draws is the same for every emotion.

    Raises:
        ValueError: if the emotion is not one of `EMOTIONS`.
    """
    if emotion not in RANGES:
        raise ValueError(f"there is no prosody for {emotion!r}; choose one of {', '.join(EMOTIONS)}")
    return Prosody(**{name: float(generator.uniform(*RANGES[emotion][name])) for name in _NAMES})


def between(neutral: Prosody, emotional: Prosody, strength: float) -> Prosody:
    """Settings on the way from neutral (strength 0) to the emotion (1)."""
    return Prosody(
        **{
            name: getattr(neutral, name) + strength * (getattr(emotional, name) - getattr(neutral, name))
            for name in _NAMES
        }
    )


_NAMES = tuple(field.name for field in fields(Prosody))
