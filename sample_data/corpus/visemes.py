"""How the mouth moves in speech: phones with times → weights of ARKit blend shapes at any moments.

Unusual here: nothing is sampled at a fixed rate. Each phone pulls the mouth to its shape with a strength
that swells before it sounds and fades after it, and the mouth is the weighted mean of these pulls (dominance
functions: Cohen & Massaro 1993). Lips that must touch (p, b, m) and the lip that must meet the teeth (f, v)
outweigh their neighbours, and last no less than the distance of the asked times, so that the closure is seen
at low frame rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.corpus.schema import Timed

_PAIRED = ("mouthPress", "mouthUpperUp", "mouthLowerDown", "mouthStretch", "mouthSmile")

_SHAPES: dict[str, dict[str, float]] = {
    "closed": {"mouthPress": 0.3, "mouthRollLower": 0.35, "mouthRollUpper": 0.35},
    "lip on teeth": {"mouthRollLower": 0.65, "mouthUpperUp": 0.25, "jawOpen": 0.04},
    "tongue on teeth": {"jawOpen": 0.12, "tongueOut": 0.25, "mouthLowerDown": 0.15},
    "t": {"jawOpen": 0.12, "mouthLowerDown": 0.22},
    "k": {"jawOpen": 0.14, "mouthLowerDown": 0.15},
    "sh": {"mouthFunnel": 0.55, "jawOpen": 0.08, "mouthLowerDown": 0.25},
    "s": {"jawOpen": 0.04, "mouthStretch": 0.30, "mouthLowerDown": 0.30, "mouthUpperUp": 0.10},
    "n": {"jawOpen": 0.10, "mouthLowerDown": 0.15},
    "r": {"mouthFunnel": 0.30, "mouthPucker": 0.25, "jawOpen": 0.10},
    "ah": {"jawOpen": 0.44, "mouthLowerDown": 0.25, "mouthUpperUp": 0.12},
    "ae": {"jawOpen": 0.34, "mouthStretch": 0.25, "mouthLowerDown": 0.25, "mouthUpperUp": 0.10},
    "eh": {"jawOpen": 0.26, "mouthStretch": 0.15, "mouthLowerDown": 0.20},
    "ee": {"jawOpen": 0.15, "mouthStretch": 0.30, "mouthLowerDown": 0.22, "mouthSmile": 0.08},
    "oh": {"jawOpen": 0.30, "mouthFunnel": 0.50},
    "oo": {"jawOpen": 0.14, "mouthPucker": 0.75, "mouthFunnel": 0.20},
    "uh": {"jawOpen": 0.20, "mouthLowerDown": 0.12},
}

_PHONES = {
    "closed": "pbm",
    "lip on teeth": "fv",
    "tongue on teeth": "θð",
    "t": "tdT",
    "k": "kɡŋhjʔ",
    "sh": "ʃʒʧʤ",
    "s": "sz",
    "n": "nlɾ",
    "r": "ɹrɜɚ",
    "ah": "ɑaɒ",
    "ae": "æ",
    "eh": "ɛe",
    "ee": "iɪ",
    "oh": "ɔo",
    "oo": "uʊw",
    "uh": "ʌəɐᵊᵻ",
}
_SHAPE_OF_PHONE = {phone: shape for shape, phones in _PHONES.items() for phone in phones}

_DIPHTHONGS = {
    "A": ("eh", "ee"),
    "I": ("ah", "ee"),
    "O": ("oh", "oo"),
    "Q": ("uh", "oo"),
    "W": ("ah", "oo"),
    "Y": ("oh", "ee"),
}
_FIRST_PART_OF_DIPHTHONG = 0.55

_VOWELS = ("ah", "ae", "eh", "ee", "oh", "oo", "uh")

_FIRM = ("closed", "lip on teeth")
"""Shapes that have to be reached, whatever stands beside them."""

_DOMINANCE = {"vowel": 1.0, "consonant": 0.7, "firm": 40.0, "rest": 0.35}
_SPREAD_SECONDS = {"vowel": 0.060, "consonant": 0.045, "firm": 0.022, "rest": 0.08}
"""How far beyond its own time a phone is felt (the deviation of a bell)."""

CONTROLS = tuple(
    sorted(
        {
            name + side
            for shape in _SHAPES.values()
            for name in shape
            for side in (("Left", "Right") if name in _PAIRED else ("",))
        }
    )
)
"""Blend shapes that speech moves."""


@dataclass(frozen=True, kw_only=True)
class _Pull:
    shape: str
    start_seconds: float
    end_seconds: float

    @property
    def kind(self) -> str:
        if self.shape in _FIRM:
            return "firm"
        return "vowel" if self.shape in _VOWELS else "consonant"


def mouth_track(
    phones: tuple[Timed, ...], times_seconds: np.ndarray, gain: float = 1.0
) -> dict[str, np.ndarray]:
    """How the mouth is shaped by speech at the given moments.

    Args:
        phones: of `voice.Speech`, on the clock of `times_seconds`.
        times_seconds: `(time,)`, ascending.
        gain: how strongly it is articulated.

    Returns:
        Blend shape → `(time,)` float32 weights from 0; all of `CONTROLS`, zero where nobody speaks.
    """
    times = np.asarray(times_seconds, float)
    track = {name: np.zeros(len(times)) for name in CONTROLS}
    if len(times) == 0:
        return track
    half_frame = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.0
    total = np.full(len(times), _DOMINANCE["rest"])
    for pull in _pulls(phones):
        begin, end = pull.start_seconds, pull.end_seconds
        if pull.kind == "firm":
            # some frame has to fall into the closure
            middle, reach = (begin + end) / 2, 1.01 * half_frame
            begin, end = min(begin, middle - reach), max(end, middle + reach)
        outside = np.maximum(np.maximum(begin - times, times - end), 0.0)
        weight = _DOMINANCE[pull.kind] * np.exp(-0.5 * (outside / _SPREAD_SECONDS[pull.kind]) ** 2)
        total += weight
        for name, value in _SHAPES[pull.shape].items():
            for side in ("Left", "Right") if name in _PAIRED else ("",):
                track[name + side] += weight * value
    return {name: (gain * values / total).astype(np.float32) for name, values in track.items()}


def _pulls(phones: tuple[Timed, ...]) -> list[_Pull]:
    pulls = []
    for phone in phones:
        begin, end = phone.start_seconds, phone.end_seconds
        if phone.text in _DIPHTHONGS:
            first, second = _DIPHTHONGS[phone.text]
            middle = begin + _FIRST_PART_OF_DIPHTHONG * (end - begin)
            pulls.append(_Pull(shape=first, start_seconds=begin, end_seconds=middle))
            pulls.append(_Pull(shape=second, start_seconds=middle, end_seconds=end))
        elif phone.text in _SHAPE_OF_PHONE:
            pulls.append(_Pull(shape=_SHAPE_OF_PHONE[phone.text], start_seconds=begin, end_seconds=end))
    return pulls
