"""Skin painted on the template's atlas: tone, blush, make-up, freckles, beard shadow, brows and scalp.

Everything is a function of the canonical position of a texel, so that a face of any shape wears it alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.face.hair_styles import beard_coverage, brow_coverage, scalp_coverage
from sample_data.corpus.face.identity import Identity, linear
from sample_data.corpus.face.mesh import TEXTURE_HEIGHT, TEXTURE_WIDTH, template
from sample_data.corpus.face.noise import value_noise

SKIN_TONES = np.array(
    [
        linear(246, 213, 190),
        linear(236, 193, 164),
        linear(224, 172, 138),
        linear(205, 150, 115),
        linear(178, 122, 88),
        linear(146, 95, 66),
        linear(112, 70, 49),
        linear(84, 52, 38),
    ],
    np.float32,
)
MOUTH_INSIDE = (0.30, 0.045, 0.04)
NECK_TEXELS, MOUTH_TEXELS = (2, 2), (TEXTURE_WIDTH - 3, 2)
"""Patches for those parts of neck and mouth that lie outside the baked atlas."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regions:
    """`(row, column)` fields that are the same for all faces."""

    blush: np.ndarray
    mottling: np.ndarray
    unevenness: np.ndarray
    forehead: np.ndarray
    sockets: np.ndarray
    bags: np.ndarray
    freckles: np.ndarray
    lids: np.ndarray
    oil: np.ndarray
    lips: np.ndarray
    grain: np.ndarray
    pores: np.ndarray


@cache
def _regions() -> _Regions:
    masks = template().masks
    x, y, z = template().position_map.transpose(2, 0, 1)
    across = np.abs(x)
    cheeks = 0.5 * _bump(across - 1.15, 0.55, y + 1.0, 0.5) * (z > 1)
    nose = 0.55 * _bump(x, 0.35, y + 1.15, 0.35) * (z > 2)
    chin = 0.15 * _bump(x, 0.5, y + 2.95, 0.35)
    pores = 0.12 * (_noise(3) + _noise(5))
    return _Regions(
        blush=cheeks + nose + chin + 0.5 * masks["ears"],
        mottling=0.10 * _noise(60) + 0.05 * _noise(24),
        unevenness=0.035 * _noise(150) + 0.03 * _noise(10) + 0.025 * _noise(3),
        forehead=0.10 * smooth_step(y, 1.2, 2.6) * (z > 0.5),
        sockets=0.30 * _bump(across - 1.03, 0.62, y, 0.42) * (z > 1.5),
        bags=_bump(across - 0.98, 0.42, y + 0.34, 0.13) * (z > 1.5),
        freckles=smooth_step(_noise(5), 1.15, 1.9) * _bump(x, 1.5, y + 0.7, 0.8),
        lids=0.5 * _bump(across - 1.08, 0.5, y - 0.26, 0.16) * (z > 1.5),
        oil=0.25 * _bump(x, 0.6, y + 0.4, 1.2) + 0.12 * smooth_step(y, 0.9, 1.6),
        lips=masks["lips"] * (1 - masks["inside-mouth"]) * smooth_step(z, 2.5, 3.2),
        grain=np.clip(_noise(3), -1, 1),
        pores=np.stack([np.gradient(pores, axis=axis) for axis in (1, 0)]),
    )


def paint_skin(identity: Identity) -> np.ndarray:
    """The skin's texture.

    Returns:
        `(row, column, channel)` float32: red, green, blue (linear light), gloss, and the slopes of pores
        along columns and rows.
    """
    maps, regions = template(), _regions()
    x, y, z = maps.position_map.transpose(2, 0, 1)
    tone = _skin_tone(identity.skin_tone)
    darkness = identity.skin_tone / 7

    color = np.empty((3, *x.shape), np.float32)
    color[:] = tone[:, None, None]
    redness = np.float32(identity.blush) * regions.blush + regions.mottling
    _scale(color, redness * np.float32(1 - 0.5 * darkness), (0.16, -0.22, -0.20))
    _scale(color, regions.unevenness, (1.0, 1.0, 1.0))
    _scale(color, regions.forehead, (-0.6, -0.3, 0.0))
    _scale(color, regions.sockets, (-0.55, -0.9, -0.75))
    _scale(color, np.float32(identity.eye_bags) * regions.bags, (-0.5, -0.8, -0.6))
    if identity.freckles > 0:
        _scale(color, np.float32(identity.freckles) * regions.freckles, (-0.35, -0.52, -0.6))

    if identity.lipstick is None:
        bare = tone * np.array([0.86, 0.52, 0.52]) * (1 - 0.2 * darkness)
        _cover(color, np.float32(0.62) * regions.lips, bare, 1 + 0.06 * _noise(5))
    else:
        _cover(color, np.float32(0.85) * regions.lips, identity.lipstick, 1 + 0.06 * _noise(5))
    if identity.eye_shadow is not None:
        _cover(color, regions.lids, identity.eye_shadow)

    hair = np.array(identity.hair_color)
    if identity.beard != "none":
        beard = beard_coverage(identity, x, y, z) * (1 - maps.masks["lips"])
        _cover(color, beard, 0.8 * hair + 0.2 * tone * np.array([0.5, 0.55, 0.6]), 1 + 0.12 * regions.grain)
    # strands are drawn over the brows and the scalp; this is what shines through between them
    brows = np.float32(0.45) * brow_coverage(identity, x, y, z)
    _cover(color, brows, identity.brows.color, 1 + 0.2 * regions.grain)
    scalp = scalp_coverage(identity, x, y, z) * (1 - maps.masks["ears"])
    _cover(color, scalp, 0.6 * hair + 0.015 * tone)
    _cover(color, maps.masks["inside-mouth"], MOUTH_INSIDE)

    gloss = (0.30 + regions.oil) * (1 - scalp) * (1 - 0.9 * brows) + 0.25 * regions.lips
    slopes = regions.pores * np.float32(1 + 0.6 * identity.age)
    texture = np.stack(
        [*np.clip(color, 0.002, 1), gloss, *slopes], axis=-1, dtype=np.float32, casting="same_kind"
    )
    texture[:6, :6] = (*(0.97 * tone), 0.25, 0, 0)
    texture[:6, -6:, :4] = (0.26, 0.04, 0.035, 0.3)
    return texture


def _skin_tone(tone: float) -> np.ndarray:
    below = int(tone)
    share = tone - below
    return SKIN_TONES[below] * (1 - share) + SKIN_TONES[min(below + 1, len(SKIN_TONES) - 1)] * share


def _scale(color: np.ndarray, strength: np.ndarray | float, channels: tuple[float, float, float]) -> None:
    """Multiply each channel by one plus its share of a strength."""
    for channel, share in enumerate(channels):
        if share:
            color[channel] *= 1 + strength * np.float32(share)


def _cover(
    color: np.ndarray,
    opacity: np.ndarray,
    paint: np.ndarray | tuple[float, float, float],
    grain: np.ndarray | float = 1.0,
) -> None:
    """Paint over, by an opacity; the paint's brightness follows a grain."""
    for channel, value in enumerate(paint):
        color[channel] += opacity * (np.float32(value) * grain - color[channel])


def _bump(dx: np.ndarray, width: float, dy: np.ndarray, height: float) -> np.ndarray:
    return np.exp(-((dx / width) ** 2 + (dy / height) ** 2))


@cache
def _noise(cell: int) -> np.ndarray:
    return value_noise((TEXTURE_HEIGHT, TEXTURE_WIDTH), cell, 100 + cell)
