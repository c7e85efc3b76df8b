"""What disturbs a modality and says nothing of the emotion, each during a known window.

Pictures are disturbed after they are rendered, sound after the voice is placed. The mug and the bar are put
where the mouth and the eyes really are, and follow them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sample_data.corpus.face.state import Box
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import Distractor, TimedDistractor
from sample_data.corpus.voice_edits import NEUTRAL_LEVEL_DB

VIDEO_SHARES = {
    "occlude_mouth": 0.050,
    "occlude_eyes": 0.035,
    "blur": 0.050,
    "pixelate": 0.035,
    "dark": 0.040,
    "grain": 0.050,
}
AUDIO_SHARES = {"hiss": 0.060, "babble": 0.050, "hum": 0.030, "dropout": 0.035}
KINDS = (*VIDEO_SHARES, *AUDIO_SHARES)

REFERENCE_LEVEL = 10 ** (NEUTRAL_LEVEL_DB / 20)
"""Root mean square of a voice of normal loudness; the level of noise is told against it."""

MUG_RIM, MUG_HANDLE = 0.035, 0.09
"""What stands out above and beside a mug, as shares of the picture's side."""


def draw_distractors(draw: Callable[[str], np.random.Generator], *, absent: str) -> tuple[Distractor, ...]:
    """Distractors of one clip: each kind by itself with its share, most of them for a part of the clip.

    Args:
        draw: gives the random stream of a name.
        absent: a modality that the clip lacks and that nothing can disturb.
    """
    drawn = []
    for modality, shares in (("video", VIDEO_SHARES), ("audio", AUDIO_SHARES)):
        for kind, share in shares.items():
            generator = draw(f"distractor {kind}")
            if generator.random() >= share or modality == absent:
                continue
            start = generator.uniform(0.0, 0.5)
            end = min(1.0, start + generator.uniform(0.3, 0.8))
            is_part = generator.random() < 0.7
            drawn.append(
                Distractor(
                    modality=modality,
                    kind=kind,
                    window=(round(start, 3), round(end, 3)) if is_part else (0.0, 1.0),
                    strength=round(generator.uniform(), 3),
                    seed=int(generator.integers(2**31)),
                )
            )
    return tuple(drawn)


def timed(distractor: Distractor, duration_seconds: float, box: Box | None = None) -> TimedDistractor:
    """The distractor as it lies in a clip of that duration."""
    start, end = (round(share * duration_seconds, 3) for share in distractor.window)
    return TimedDistractor(
        modality=distractor.modality,
        kind=distractor.kind,
        start_seconds=start,
        end_seconds=end,
        strength=distractor.strength,
        box=box,
    )


def cover_of(distractor: Distractor, mouth_box: Box, eyes_box: Box) -> Box | None:
    """Where a mug (rim and handle too) or a bar lies for such a mouth and eyes; None for other kinds."""
    if distractor.kind == "occlude_mouth":
        left, top, right, bottom = mouth_box
        x, y = (left + right) / 2, (top + bottom) / 2 + 0.02
        half_width, half_height = max(0.15, 0.75 * (right - left)), 0.15
    elif distractor.kind == "occlude_eyes":
        left, top, right, bottom = eyes_box
        x, y = (left + right) / 2, (top + bottom) / 2
        half_width, half_height = 0.62 * (right - left), max(0.07, 0.75 * (bottom - top))
    else:
        return None
    wobble = stream(distractor.seed, "place").uniform(-0.012, 0.012, 2)
    x, y = x + wobble[0], y + wobble[1]
    handle, rim = (MUG_HANDLE, MUG_RIM) if distractor.kind == "occlude_mouth" else (0.0, 0.0)
    return (x - half_width, y - half_height - rim, x + half_width + handle, y + half_height)


def disturb_picture(
    pixels: np.ndarray, distractor: Distractor, cover: Box | None, frame_number: int
) -> np.ndarray:
    """A picture `(size, size, rgb)` uint8 under a distractor, as a new array."""
    size, strength = pixels.shape[0], distractor.strength
    picture = Image.fromarray(pixels)
    if distractor.kind == "occlude_mouth":
        return _draw_mug(picture, cover, distractor.seed)
    if distractor.kind == "occlude_eyes":
        left, top, right, bottom = (share * size for share in cover)
        ImageDraw.Draw(picture).rounded_rectangle([left, top, right, bottom], 0.03 * size, fill=(20, 20, 24))
        return np.asarray(picture)
    if distractor.kind == "blur":
        return np.asarray(picture.filter(ImageFilter.GaussianBlur((0.012 + 0.013 * strength) * size)))
    if distractor.kind == "pixelate":
        blocks = round(26 - 12 * strength)
        small = picture.resize((blocks, blocks), Image.Resampling.BOX)
        return np.asarray(small.resize((size, size), Image.Resampling.NEAREST))
    if distractor.kind == "dark":
        return (pixels * (0.45 - 0.20 * strength)).astype(np.uint8)
    if distractor.kind == "grain":
        noise = stream(distractor.seed, f"grain {frame_number}").normal(0.0, 10 + 14 * strength, pixels.shape)
        return np.clip(pixels + noise, 0, 255).astype(np.uint8)
    raise ValueError(f"{distractor.kind!r} disturbs no picture")


def disturb_sound(
    waveform: np.ndarray, speech: np.ndarray, distractor: TimedDistractor, seed: int, sample_rate: int
) -> None:
    """Add a distractor to a waveform, in place.

    Args:
        waveform: `(sample,)` of the whole clip.
        speech: `(sample,)` the voice alone; babble is made of it, backwards.
        distractor: when and how much.
        seed: of the noise.
        sample_rate: in Hz.
    """
    start = int(distractor.start_seconds * sample_rate)
    window = waveform[start : int(distractor.end_seconds * sample_rate)]
    draw = stream(seed, "noise")
    mild_to_strong = {"hiss": (12.0, 0.0), "babble": (10.0, 0.0), "hum": (12.0, 3.0)}
    if distractor.kind == "dropout":
        window *= 0.01
        return
    mild, strong = mild_to_strong[distractor.kind]
    ratio_db = mild + (strong - mild) * distractor.strength
    if distractor.kind == "hiss":
        noise = draw.standard_normal(len(window))
    elif distractor.kind == "hum":
        noise = np.sin(2 * np.pi * 100.0 * np.arange(len(window)) / sample_rate) * np.sqrt(2)
    else:
        # every slice is whole, wherever in the speech it begins
        backwards = np.tile(speech[::-1], 2 + len(window) // max(1, len(speech)))
        noise = sum(
            backwards[offset : offset + len(window)] for offset in draw.integers(0, max(1, len(speech)), 3)
        )
        noise = noise / (noise.std() + 1e-9)
    window += (noise * REFERENCE_LEVEL * 10 ** (-ratio_db / 20)).astype(waveform.dtype)


def _draw_mug(picture: Image.Image, cover: Box, seed: int) -> np.ndarray:
    size = picture.width
    color = np.array(stream(seed, "color").uniform(60, 220, 3))
    left, top, right, bottom = (share * size for share in cover)
    rim = MUG_RIM * size
    top, right = top + rim, right - MUG_HANDLE * size
    brush = ImageDraw.Draw(picture)

    def shade(share: float) -> tuple[int, ...]:
        return tuple(int(channel * share) for channel in color)

    handle = [right - 0.02 * size, top + 0.06 * size, right + 0.09 * size, bottom - 0.06 * size]
    brush.arc(handle, -100, 100, fill=shade(0.9), width=max(1, int(0.03 * size)))
    brush.rounded_rectangle([left, top, right, bottom], 0.03 * size, fill=shade(1.0))
    # lit from one side, so that it is a thing and not a patch of colour
    columns = int(right - left)
    for column in range(columns):
        share = 1.0 - 0.35 * abs(column / max(1, columns - 1) - 0.35)
        x = left + column
        brush.line([x, top + rim, x, bottom - rim], fill=shade(share))
    brush.ellipse([left, top - rim, right, top + rim], fill=shade(0.72))
    return np.asarray(picture)
