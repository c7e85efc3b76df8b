"""The corpora that `deepmsi corpus make` knows: what is in them, and at what size they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A kind of corpus.

    Attributes:
        design: "balanced" has every emotion in every scenario cell equally often, from test speakers and
            sentences alone; "natural" has label weights like MELD's and all three splits.
        prefix: first letter of the clips' names, so that clips of two presets never share one.
        min_intensity: of the expressions, 0 … 1.
        size: side of the square picture in pixels.
        supersample: samples along each side of a pixel.
        quality: x264's constant rate factor; higher is smaller and coarser.
        max_video_bit_rate: bits per second; reached where grain fills the picture.
        sample_rate / audio_bit_rate: of the sound, in Hz and bits per second.
        missing_share: of the clips that lack a modality.
        poster_size: side in pixels of the picture at its apex that is laid beside each clip; zero for none.
        clean_cells: cells whose clips lack nothing and are not disturbed.
    """

    name: str
    design: str
    prefix: str
    num_clips: int
    min_intensity: float
    size: int
    frames_per_second: float
    supersample: int
    quality: int
    max_video_bit_rate: int
    sample_rate: int
    audio_bit_rate: int
    missing_share: float = 0.0
    poster_size: int = 0
    clean_cells: tuple[str, ...] = ()


_DEMO = Preset(
    name="demo",
    design="balanced",
    prefix="d",
    num_clips=56,
    min_intensity=0.75,
    size=320,
    frames_per_second=25.0,
    supersample=3,
    quality=23,
    max_video_bit_rate=900_000,
    sample_rate=24_000,
    audio_bit_rate=48_000,
    missing_share=0.12,
    poster_size=112,
    clean_cells=("all",),
)
_TRAIN = Preset(
    name="train",
    design="natural",
    prefix="c",
    num_clips=4000,
    min_intensity=0.35,
    size=144,
    frames_per_second=10.0,
    supersample=2,
    quality=26,
    max_video_bit_rate=160_000,
    sample_rate=16_000,
    audio_bit_rate=24_000,
    missing_share=0.05,
)
# what is measured on it must look and sound like what was learned from
_PROBE = replace(_TRAIN, name="probe", design="balanced", prefix="p", num_clips=560, missing_share=0.0)

PRESETS = {preset.name: preset for preset in (_DEMO, _TRAIN, _PROBE)}
"""By name. `demo` is looked at, so it is large and clear; `train` and `probe` are made for learning and
measuring."""
