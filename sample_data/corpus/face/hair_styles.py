"""Where hair grows, and how it is worn, in canonical coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.face.identity import Identity


@dataclass(frozen=True, kw_only=True)
class Style:
    """How hair is worn; lengths in canonical units (31 mm).

    Attributes:
        num_strands / num_points: drawn at full detail, and points of each.
        half_width: of a strand, dm.
        comb: name of the field that leads the strands; see `groom`.
        top_length / side_length: of strands on the crown and at the sides.
        lift: how much strands stand up at their roots.
        stiffness: how well strands keep their direction.
        gravity: pull downwards.
        thickness: of the hair's mass over the scalp.
        wave: amplitude of waves; a coil where `coils`.
        turns: number of waves along a strand.
        clump: how far tips of neighbours come together, 0 … 1.
        frizz: random deviation of strands.
        cut_height: below which strands end, or None.
        fringe: whether the front falls over the forehead.
    """

    num_strands: int
    num_points: int
    half_width: float
    comb: str
    top_length: float
    side_length: float
    lift: float = 0.3
    stiffness: float = 0.6
    gravity: float = 0.1
    thickness: float = 0.15
    wave: float = 0.0
    turns: float = 3.0
    coils: bool = False
    clump: float = 0.3
    frizz: float = 0.03
    cut_height: float | None = None
    fringe: bool = False


STYLES = {
    "long": Style(
        num_strands=5600, num_points=22, half_width=0.0050, comb="parting", top_length=8.4, side_length=6.2,
        gravity=0.45, thickness=0.34, clump=0.35, wave=0.05, turns=1.5,
    ),
    "wavy": Style(
        num_strands=5200, num_points=28, half_width=0.0052, comb="parting", top_length=8.2, side_length=6.0,
        gravity=0.42, thickness=0.46, clump=0.5, wave=0.15, turns=3.6, frizz=0.05,
    ),
    "curly": Style(
        num_strands=3900, num_points=32, half_width=0.0060, comb="parting", top_length=6.4, side_length=4.6,
        lift=0.6, gravity=0.34, thickness=0.62, clump=0.45, wave=0.20, turns=6.0, coils=True, frizz=0.09,
    ),
    "bob": Style(
        num_strands=6200, num_points=18, half_width=0.0050, comb="parting", top_length=6.6, side_length=4.4,
        gravity=0.42, thickness=0.42, clump=0.3, wave=0.04, turns=1.0, cut_height=-2.7,
    ),
    "fringe": Style(
        num_strands=6200, num_points=20, half_width=0.0050, comb="fringe", top_length=7.0, side_length=5.2,
        gravity=0.42, thickness=0.36, clump=0.3, wave=0.03, turns=1.0, cut_height=-3.6, fringe=True,
    ),
    "ponytail": Style(
        num_strands=6000, num_points=18, half_width=0.0048, comb="gather", top_length=5.0, side_length=5.0,
        lift=0.1, gravity=0.0, thickness=0.10, clump=0.25,
    ),
    "bun": Style(
        num_strands=6000, num_points=18, half_width=0.0048, comb="gather", top_length=5.0, side_length=5.0,
        lift=0.1, gravity=0.0, thickness=0.10, clump=0.25,
    ),
    "pixie": Style(
        num_strands=8500, num_points=9, half_width=0.0050, comb="parting", top_length=1.9, side_length=0.9,
        lift=0.45, gravity=0.12, thickness=0.20, clump=0.45, frizz=0.05,
    ),
    "afro": Style(
        num_strands=5400, num_points=22, half_width=0.0058, comb="out", top_length=2.4, side_length=2.0,
        lift=1.0, gravity=0.0, thickness=0.0, wave=0.11, turns=5.0, coils=True, clump=0.25, frizz=0.16,
    ),
    "crop": Style(
        num_strands=14000, num_points=4, half_width=0.0050, comb="crown", top_length=0.55, side_length=0.34,
        lift=0.45, gravity=0.03, thickness=0.05, clump=0.3, frizz=0.035,
    ),
    "side part": Style(
        num_strands=8500, num_points=9, half_width=0.0048, comb="parting", top_length=2.0, side_length=0.45,
        lift=0.55, gravity=0.10, thickness=0.22, clump=0.4, frizz=0.04,
    ),
    "quiff": Style(
        num_strands=8500, num_points=9, half_width=0.0048, comb="up", top_length=1.7, side_length=0.45,
        lift=1.3, stiffness=0.78, gravity=0.0, thickness=0.12, clump=0.5, frizz=0.05,
    ),
    "swept back": Style(
        num_strands=8000, num_points=11, half_width=0.0048, comb="back", top_length=2.6, side_length=1.0,
        lift=0.35, gravity=0.06, thickness=0.16, clump=0.5, frizz=0.03,
    ),
    "tousled": Style(
        num_strands=8500, num_points=8, half_width=0.0050, comb="crown", top_length=1.5, side_length=0.7,
        lift=0.9, gravity=0.08, thickness=0.22, clump=0.65, frizz=0.14,
    ),
    "curly crop": Style(
        num_strands=7500, num_points=16, half_width=0.0050, comb="crown", top_length=1.9, side_length=0.8,
        lift=1.0, gravity=0.06, thickness=0.26, wave=0.13, turns=2.6, coils=True, clump=0.4, frizz=0.10,
    ),
    "receding": Style(
        num_strands=9000, num_points=5, half_width=0.0042, comb="back", top_length=0.8, side_length=0.42,
        lift=0.4, gravity=0.04, thickness=0.05, clump=0.3, frizz=0.05,
    ),
}  # fmt: skip


def hairline_height(across: np.ndarray, identity: Identity) -> np.ndarray:
    """Height of the front hairline over the distance from the middle, canonical units."""
    temple = 1.75 * smooth_step(across, 1.42, 2.2)
    receded = 0.42 * identity.recession * np.exp(-(((across - 1.15) / 0.42) ** 2))
    return 2.30 + identity.hairline - 0.15 * across**2 - temple + receded


BEARD_LENGTHS = {"stubble": 0.07, "short": 0.20, "full": 0.62, "goatee": 0.32, "moustache": 0.26}
"""Canonical units."""


def above_hairline(identity: Identity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """About how far a place lies inside the front hairline, canonical units; negative on the forehead."""
    across = np.abs(x)
    # the hairline falls steeply at the temples: heights there are longer than distances
    steepness = 1 + 1.8 * np.exp(-(((across - 1.8) / 0.25) ** 2))
    ragged = 0.04 * np.sin(11 * x + 3 * y) + 0.04 * np.sin(17 * y - 5 * across)
    return (y - hairline_height(across, identity)) / steepness + ragged


def hair_density(identity: Identity, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """0 … 1 how densely hair grows on the skin; it thins out towards the hairline."""
    across = np.abs(x)
    crown = smooth_step(above_hairline(identity, x, y), -0.10, 0.50)
    nape = smooth_step(-z, -0.15, 0.5) * smooth_step(y, -2.2, -1.5)
    sides = (
        smooth_step(across + 0.10 * np.sin(7 * y), 1.72, 2.16)
        * smooth_step(y, -0.45, 0.45)
        * (1 - smooth_step(z, 1.0, 1.5))
    )
    density = np.maximum.reduce([crown, nape, sides])
    on_ear = (across > 2.33) & (y < 0.45) & (y > -1.7) & (z > -0.6) & (z < 1.6)
    if identity.hair_style == "receding":
        density = density * (1 - 0.85 * smooth_step(y, 2.2, 2.9) * smooth_step(z, -1.0, 0.6))
    return np.where(on_ear, 0.0, density) * smooth_step(y, -2.3, -1.7)


def scalp_coverage(identity: Identity, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """0 … 1 how much of the scalp's skin is hidden by the roots of hair."""
    if identity.hair_style == "bald":
        above = smooth_step(y - hairline_height(np.abs(x), identity), -0.3, 0.5)
        return 0.12 * np.maximum(above, smooth_step(-z, -0.5, 0.6) * smooth_step(y, -1.9, -1.0))
    shows = 0.95 if STYLES[identity.hair_style].top_length < 3 else 0.85
    return shows * smooth_step(hair_density(identity, x, y, z), 0.5, 1.05)


def brow_height(across: np.ndarray, identity: Identity) -> np.ndarray:
    """Height of an eyebrow's middle over the distance from the nose, canonical units."""
    arc = np.sin(np.clip((across - 0.36) / 1.5, 0, 1) ** 0.8 * np.pi * 0.80)
    return 0.60 + identity.brows.lift + (0.15 + identity.brows.arch) * arc - 0.01 * across


def brow_coverage(identity: Identity, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """0 … 1 how much of the skin an eyebrow hides."""
    across = np.abs(x)
    taper = (0.55 + 0.45 * smooth_step(across, 0.36, 0.7)) * (1 - 0.75 * smooth_step(across, 1.15, 1.85))
    off = np.abs(y - brow_height(across, identity)) / (identity.brows.thickness * taper)
    ends = smooth_step(across, 0.34, 0.50) * (1 - smooth_step(across, 1.62, 1.88))
    coverage = (1 - smooth_step(off, 0.45, 1.15)) * ends * (z > 1.2)
    return np.clip(0.9 * coverage * identity.brows.density, 0, 0.93)


def beard_coverage(identity: Identity, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """0 … 1 how much of the skin the beard hides."""
    opacity = {"none": 0.0, "stubble": 0.20, "short": 0.45}.get(identity.beard, 0.6)
    if opacity == 0:
        return np.zeros_like(x)
    return np.clip(opacity * beard_region(identity.beard, x, y, z), 0, 0.92)


def beard_region(beard: str, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """0 … 1 where a kind of beard grows."""
    across = np.abs(x)
    moustache = np.exp(-(((across - 0.35) / 0.55) ** 4 + ((y + 1.74) / 0.20) ** 2)) * (z > 2)
    if beard == "moustache":
        return moustache
    low = smooth_step(-y, 2.2, 2.7)
    jaw = smooth_step(-y, 1.75, 2.7) * smooth_step(across + 0.9 * low, 0.75, 1.15)
    jaw = jaw * smooth_step(z, 0.9, 1.8) * (1 - smooth_step(-y + 0.15 * np.maximum(0.0, 4.3 - z), 3.45, 3.75))
    if beard == "goatee":
        return np.clip(jaw * (1 - smooth_step(across, 0.85, 1.25)) + moustache, 0, 1)
    cheeks = smooth_step(across, 1.35, 2.0) * smooth_step(-y, 0.3, 1.6) * smooth_step(z, -0.2, 0.6)
    cheeks = cheeks * (1 - smooth_step(-y, 2.9, 3.4)) * (1 - smooth_step(across, 2.08, 2.25))
    below_lip = 0.35 * np.exp(-((x / 0.5) ** 2 + ((y + 2.72) / 0.12) ** 2))
    return np.clip(0.8 * (jaw + cheeks) + moustache, 0, 1) * (1 - below_lip)
