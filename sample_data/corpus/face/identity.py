"""Who a face is: everything that stays while it moves.

Every factor has a random stream of its own (`randomness.stream`), so that a factor can be added or changed
and all other factors of all faces stay as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sample_data.corpus.face.mesh import template
from sample_data.corpus.randomness import choose, stream

Color = tuple[float, float, float]
"""Red, green, blue in linear light."""


def linear(red: int, green: int, blue: int) -> Color:
    """Linear light of an 8-bit screen colour."""
    return ((red / 255) ** 2.2, (green / 255) ** 2.2, (blue / 255) ** 2.2)


HAIR_COLORS = {
    "black": linear(24, 20, 20),
    "dark brown": linear(52, 34, 24),
    "brown": linear(92, 60, 36),
    "auburn": linear(120, 54, 30),
    "red": linear(168, 84, 40),
    "blond": linear(200, 162, 104),
    "grey": linear(150, 148, 146),
    "white": linear(214, 212, 208),
}
IRIS_COLORS = {
    "brown": linear(88, 52, 26),
    "dark brown": linear(48, 28, 16),
    "hazel": linear(116, 92, 46),
    "green": linear(86, 112, 74),
    "blue": linear(82, 122, 158),
    "grey": linear(120, 132, 140),
}
FRAME_COLORS = (
    linear(24, 24, 28),
    linear(70, 44, 26),
    linear(120, 30, 36),
    linear(40, 60, 92),
    linear(170, 150, 110),
)
SHIRT_COLORS = (
    linear(52, 68, 98),
    linear(38, 38, 42),
    linear(132, 48, 48),
    linear(64, 92, 78),
    linear(190, 186, 176),
    linear(150, 120, 84),
    linear(92, 80, 120),
    linear(200, 150, 70),
)
LIPSTICKS = (linear(176, 58, 70), linear(150, 52, 66), linear(190, 92, 88), linear(120, 36, 60))
EYE_SHADOWS = (linear(92, 70, 84), linear(110, 80, 64), linear(70, 84, 100))

FEMALE_STYLES = {
    "long": 0.16, "wavy": 0.15, "curly": 0.10, "bob": 0.14, "fringe": 0.12, "ponytail": 0.12, "bun": 0.08,
    "afro": 0.06, "pixie": 0.07,
}  # fmt: skip
MALE_STYLES = {
    "crop": 0.20, "side part": 0.18, "quiff": 0.15, "swept back": 0.11, "tousled": 0.12, "curly crop": 0.08,
    "afro": 0.05, "receding": 0.06, "bald": 0.05,
}  # fmt: skip
BEARDS = {"none": 0.42, "stubble": 0.22, "short": 0.12, "full": 0.09, "goatee": 0.08, "moustache": 0.07}

DETAILS = {
    "nose": (0.16, 0.40), "mouth": (0.14, 0.38), "chin": (0.20, 0.35), "cheek": (0.22, 0.38),
    "eyes": (0.12, 0.32),
    "ears": (0.15, 0.45), "forehead": (0.18, 0.30), "eyebrows": (0.20, 0.35), "head": (0.10, 0.28),
    "neck": (0.10, 0.30), "asym": (0.25, 0.22),
}  # fmt: skip
"""Kind of shape detail → how often one is taken, and how far at most."""
RARE_DETAILS = (
    "age", "trans", "push", "chin-jaw-drop", "in-", "double", "dimples", "laugh", "nostrils-angle",
)  # fmt: skip
HEAVY_DETAILS = (
    "chin-bones-incr", "chin-width-incr", "square", "rectangular", 
    "nose-scale-horiz-incr", "nose-volume-incr",
    "neck-scale-horiz-incr",
)  # fmt: skip
SOFT_DETAILS = {
    "head/head-oval": 0.35, "mouth/mouth-upperlip-volume-incr": 0.35,
    "mouth/mouth-lowerlip-volume-incr": 0.30,
    "eyes/eye-scale-incr": 0.30, "chin/chin-width-decr": 0.35, "chin/chin-bones-decr": 0.35,
    "nose/nose-scale-horiz-decr": 0.25, "nose/nose-volume-decr": 0.20, "neck/neck-scale-horiz-decr": 0.25,
    "eyes/eye-height2-incr": 0.15,
}  # fmt: skip
"""What makes a female face of the macro shapes look less like the template's."""
MOUTH_ANGLES = {"female": (0.0, 0.2), "male": (0.25, 0.55)}
"""The macro shapes look sullen at rest, most of all the male ones: how far the mouth's corners are lifted."""


@dataclass(frozen=True, kw_only=True)
class Brows:
    """Eyebrows, in canonical units."""

    arch: float
    lift: float
    thickness: float
    density: float
    color: Color


@dataclass(frozen=True, kw_only=True)
class Glasses:
    """Frames: width and height as shares of the usual, shape "round" or "rectangular"."""

    width: float
    height: float
    shape: str
    color: Color


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A made face.

    Attributes:
        sex: "female" or "male".
        age: 0 young … 1 old.
        ancestry: shares of the three macro shapes African, Asian, Caucasian.
        morphs: identity displacement of the template → weight.
        skin_tone: 0 lightest … 7 darkest of `skin.SKIN_TONES`.
        hair_style: one of `FEMALE_STYLES` or `MALE_STYLES`.
        hairline / recession: how much higher the hairline is, and how far the temples have receded, canonical
            units.
        hair_volume / hair_length: as shares of the style's usual.
        parting: canonical X of the parting.
        beard: one of `BEARDS`.
        lipstick / eye_shadow: None for none.
    """

    seed: int
    sex: str
    age: float
    ancestry: tuple[float, float, float]
    morphs: Mapping[str, float]
    skin_tone: float
    blush: float
    eye_bags: float
    freckles: float
    lipstick: Color | None
    eye_shadow: Color | None
    iris: str
    brows: Brows
    hair_color_name: str
    hair_color: Color
    hair_style: str
    hairline: float
    recession: float
    hair_volume: float
    hair_length: float
    parting: float
    beard: str
    glasses: Glasses | None
    shirt_color: Color


def sample_identity(seed: int) -> Identity:
    """The face that belongs to a seed."""

    def draw(factor: str) -> np.random.Generator:
        return stream(seed, f"face {factor}")

    sex = choose(draw("sex"), {"female": 0.5, "male": 0.5})
    female = sex == "female"
    ancestry = draw("ancestry").dirichlet([0.55, 0.55, 0.55])
    age = float(np.clip(draw("age").beta(1.3, 2.2), 0.0, 0.95))
    light_eyed = ancestry[2] > 0.5
    tone = ancestry @ (6.3, 1.8, 0.9) + draw("skin tone").uniform(-0.6, 0.6)
    hair_color_name = _hair_color_name(draw("hair color"), draw("greying"), light_eyed, age)
    hair_color = np.array(HAIR_COLORS[hair_color_name]) * draw("hair shade").uniform(0.85, 1.15)
    style = choose(draw("hair style"), FEMALE_STYLES if female else MALE_STYLES)
    recession = draw("recession").uniform(0.0, 0.5) + (0.0 if female else 0.8 * age)
    return Identity(
        seed=seed,
        sex=sex,
        age=age,
        ancestry=tuple(float(share) for share in ancestry),
        morphs=_macro_shape(draw("weight"), sex, age, ancestry) | _details(seed, female),
        skin_tone=float(np.clip(tone, 0.0, 6.9)),
        blush=draw("blush").uniform(0.5, 1.4),
        eye_bags=draw("eye bags").uniform(0.05, 0.25) + 0.35 * age,
        freckles=_freckles(draw("freckles"), light_eyed),
        lipstick=_make_up(draw("lipstick"), LIPSTICKS, 0.45 if female else 0.0),
        eye_shadow=_make_up(draw("eye shadow"), EYE_SHADOWS, 0.35 if female else 0.0),
        iris=_iris(draw("iris"), light_eyed),
        brows=_brows(draw("brows"), female, hair_color),
        hair_color_name=hair_color_name,
        hair_color=_color(hair_color),
        hair_style=style,
        hairline=draw("hairline").uniform(-0.18, 0.2),
        recession=recession,
        hair_volume=draw("hair volume").uniform(0.8, 1.25),
        hair_length=draw("hair length").uniform(0.75, 1.2),
        parting=draw("parting").uniform(-0.8, 0.8),
        beard="none" if female else choose(draw("beard"), BEARDS),
        glasses=_glasses(draw("glasses")),
        shirt_color=_one_of(draw("shirt"), SHIRT_COLORS),
    )


def _macro_shape(draw: np.random.Generator, sex: str, age: float, ancestry: np.ndarray) -> dict[str, float]:
    morphs = {}
    for race, share in zip(("african", "asian", "caucasian"), ancestry, strict=True):
        morphs[f"macro/{race}-{sex}-young"] = float(share * (1 - age))
        morphs[f"macro/{race}-{sex}-old"] = float(share * age)
    weight = draw.uniform(-0.7, 0.8)
    kind = "minweight" if weight < 0 else "maxweight"
    morphs[f"macro/uni-{sex}-young-{kind}"] = abs(weight) * (1 - age)
    morphs[f"macro/uni-{sex}-old-{kind}"] = abs(weight) * age
    return morphs


def _details(seed: int, female: bool) -> dict[str, float]:
    morphs = {}
    for name in template().identity:
        kind = name.split("/")[0]
        if kind not in DETAILS:
            continue
        probability, farthest = DETAILS[kind]
        if female and any(part in name for part in HEAVY_DETAILS):
            probability = 0.0
        if any(part in name for part in RARE_DETAILS):
            probability *= 0.25
        draw = stream(seed, f"face shape {name}")
        if draw.random() < probability:
            morphs[name] = draw.uniform(0.05, farthest)
    name, (least, most) = "mouth/mouth-angles-up", MOUTH_ANGLES["female" if female else "male"]
    morphs[name] = morphs.get(name, 0.0) + stream(seed, f"face resting {name}").uniform(least, most)
    if female:
        for name, weight in SOFT_DETAILS.items():
            draw = stream(seed, f"face soft {name}")
            morphs[name] = morphs.get(name, 0.0) + weight * draw.uniform(0.5, 1.2)
    return morphs


def _hair_color_name(
    draw: np.random.Generator, greying: np.random.Generator, light_eyed: bool, age: float
) -> str:
    grey = greying.random() < 0.8 and age > 0.55
    if grey:
        return choose(greying, {"grey": 2.0, "white": 1.0})
    if light_eyed:
        weights = {
            "black": 0.06, "dark brown": 0.2, "brown": 0.3, "auburn": 0.1, "red": 0.08, "blond": 0.26,
        }  # fmt: skip
        return choose(draw, weights)
    return choose(draw, {"black": 0.7, "dark brown": 0.3})


def _freckles(draw: np.random.Generator, light_eyed: bool) -> float:
    strength = draw.uniform(0.4, 1.0)
    return strength if light_eyed and draw.random() < 0.25 else 0.0


def _iris(draw: np.random.Generator, light_eyed: bool) -> str:
    if light_eyed:
        return choose(draw, {"brown": 0.25, "hazel": 0.2, "green": 0.15, "blue": 0.28, "grey": 0.12})
    return choose(draw, {"dark brown": 0.5, "brown": 0.5})


def _brows(draw: np.random.Generator, female: bool, hair_color: np.ndarray) -> Brows:
    arch, lift, density = draw.uniform(-0.04, 0.08), draw.uniform(-0.05, 0.06), draw.uniform(0.8, 1.05)
    thickness = draw.uniform(0.085, 0.12) if female else draw.uniform(0.13, 0.185)
    return Brows(
        arch=arch + (0.03 if female else -0.03),
        lift=lift,
        thickness=thickness,
        density=density,
        color=_color(np.minimum(hair_color * 0.55, np.array(HAIR_COLORS["brown"]) * 0.8)),
    )


def _glasses(draw: np.random.Generator) -> Glasses | None:
    if draw.random() >= 0.25:
        return None
    return Glasses(
        width=draw.uniform(0.92, 1.02),
        height=draw.uniform(0.62, 0.85),
        shape=choose(draw, {"round": 0.5, "rectangular": 0.5}),
        color=_one_of(draw, FRAME_COLORS),
    )


def _make_up(draw: np.random.Generator, colors: tuple[Color, ...], probability: float) -> Color | None:
    color = _one_of(draw, colors)
    return color if draw.random() < probability else None


def _one_of(draw: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    return colors[draw.integers(len(colors))]


def _color(values: np.ndarray) -> Color:
    return tuple(float(value) for value in values)
