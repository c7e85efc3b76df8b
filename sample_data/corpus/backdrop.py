"""What is behind the person: out-of-focus places painted in linear light."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

BACKGROUNDS = ("wall", "office", "bokeh", "garden")


def paint_backdrop(kind: str, size: int, generator: np.random.Generator) -> np.ndarray:
    """A backdrop.

    Args:
        kind: one of `BACKGROUNDS`.
        size: side in pixels.
        generator: of colours and places; the picture's content does not depend on `size`.

    Returns:
        `(size, size, rgb)` float32, linear light.
    """
    hue = generator.uniform(0.25, 0.75, 3) * np.array([1.0, 0.95, 0.9])
    hue /= hue.max()
    painted = {"wall": _wall, "office": _office, "bokeh": _bokeh, "garden": _garden}[kind](
        size, hue, generator
    )
    return np.ascontiguousarray(painted, np.float32)


def _wall(size: int, hue: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    down, across = np.mgrid[0:size, 0:size] / size
    spot, brightness = generator.uniform(0.2, 0.8), generator.uniform(0.5, 1.1)
    glow = np.exp(-((across - spot) ** 2 + (down - 0.3) ** 2) / 0.25)
    return (0.32 + 0.25 * glow)[..., None] * hue * brightness


def _office(size: int, hue: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    picture = Image.new("RGB", (size, size), tuple(int(channel * 120 + 60) for channel in hue))
    brush = ImageDraw.Draw(picture)
    for shelf in range(5):
        board = 0.06 + shelf * 0.19
        brush.rectangle(_scaled(size, 0, board, 1, board + 0.018), fill=(78, 58, 44))
        left = 0.0
        while left < 1.0:
            width, height = generator.uniform(0.015, 0.05), generator.uniform(0.08, 0.155)
            color = tuple(int(channel) for channel in generator.uniform(40, 190, 3))
            brush.rectangle(_scaled(size, left, board - height, left + width, board), fill=color)
            left += width + (0.08 if generator.random() < 0.15 else 0.0)
    return _linear(picture.filter(ImageFilter.GaussianBlur(size * 0.012))) * 0.8


def _bokeh(size: int, hue: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    picture = Image.new("RGB", (size, size), (18, 20, 30))
    brush = ImageDraw.Draw(picture, "RGBA")
    lamps = ((255, 200, 120), (255, 150, 90), (150, 190, 255), (255, 240, 200))
    for _ in range(46):
        x, y, radius = generator.uniform(), generator.uniform(), generator.uniform(0.02, 0.07)
        color = (*lamps[generator.integers(len(lamps))], int(generator.uniform(30, 120)))
        brush.ellipse(_scaled(size, x - radius, y - radius, x + radius, y + radius), fill=color)
    return _linear(picture.filter(ImageFilter.GaussianBlur(size * 0.008)))


def _garden(size: int, hue: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    picture = Image.new("RGB", (size, size), (96, 104, 92))
    brush = ImageDraw.Draw(picture)
    brush.rectangle(_scaled(size, 0, 0, 1, 0.5), fill=(178, 202, 226))
    for _ in range(60):
        x, y, radius = generator.uniform(), generator.uniform(0.25, 0.8), generator.uniform(0.05, 0.13)
        shade = generator.uniform(0.6, 1.2)
        color = tuple(int(channel * shade) for channel in (58, 98, 48))
        brush.ellipse(_scaled(size, x - radius, y - radius, x + radius, y + radius), fill=color)
    return _linear(picture.filter(ImageFilter.GaussianBlur(size * 0.02))) * 0.9


def _scaled(size: int, *shares: float) -> list[float]:
    return [share * size for share in shares]


def _linear(picture: Image.Image) -> np.ndarray:
    return (np.asarray(picture) / 255.0) ** 2.2
