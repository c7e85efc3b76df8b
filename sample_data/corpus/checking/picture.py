"""What is seen in the pictures of a clip, measured from their pixels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

Boxes = np.ndarray
"""`(frame, 4)` left, top, right, bottom as shares of the picture's side."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_MOUTH_SIDE = 24
_MOUTH_WIDTH, _MOUTH_HEIGHT = 0.7, 1.3
_STEADY_SECONDS = 0.3
_PATCHES = 3
_BLOCK = 8
_HOG_SIDE, _HOG_CELL, _HOG_BINS = 64, 8, 9


def luminance(pixels: np.ndarray) -> np.ndarray:
    """`(frame, height, width)` float brightness, 0 … 255, of `(frame, height, width, rgb)`."""
    return pixels.astype(np.float32) @ _LUMINANCE


def mouth_change(
    grey: np.ndarray, mouth_boxes: Boxes, is_silent: np.ndarray, frames_per_second: float
) -> np.ndarray:
    """`(frame,)` how far the mouth looks from how it looks in silence, in shares of the skin's brightness.

    An open mouth is a dark hole, or teeth in one. The area has the same size in all frames and follows the
    mouth slowly, so that it says nothing of the opening itself.

    Args:
        grey: `(frame, height, width)` brightness.
        mouth_boxes: where the mouth is.
        is_silent: `(frame,)` when nothing is said.
        frames_per_second: of the frames.
    """
    center = gaussian_filter1d(
        (mouth_boxes[:, :2] + mouth_boxes[:, 2:]) / 2, _STEADY_SECONDS * frames_per_second, axis=0
    )
    width, height = np.median(mouth_boxes[:, 2:] - mouth_boxes[:, :2], axis=0)
    half = np.array([width * _MOUTH_WIDTH, height * _MOUTH_HEIGHT]) / 2
    area = sample_boxes(grey, np.concatenate([center - half, center + half], axis=1), _MOUTH_SIDE)
    area = area / np.maximum(np.percentile(area, 80, axis=(1, 2), keepdims=True), 1.0)
    return np.abs(area - np.median(area[is_silent], axis=0)).mean(axis=(1, 2))


def sample_boxes(grey: np.ndarray, boxes: Boxes, side: int) -> np.ndarray:
    """`(frame, side, side)` the box of every frame, sampled bilinearly; edges are repeated."""
    height, width = grey.shape[1:]
    share = (np.arange(side) + 0.5) / side
    sampled = np.empty((len(grey), side, side), np.float32)
    for result, picture, (left, top, right, bottom) in zip(sampled, grey, boxes, strict=True):
        rows = (top + (bottom - top) * share) * height - 0.5
        columns = (left + (right - left) * share) * width - 0.5
        result[:] = map_coordinates(
            picture, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest"
        )
    return sampled


def sharpness(grey: np.ndarray) -> np.ndarray:
    """`(frame,)` mean step between neighbouring pixels over the mean brightness."""
    steps = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2)) + np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2))
    return steps / np.maximum(grey.mean(axis=(1, 2)), 1.0)


def brightness(grey: np.ndarray) -> np.ndarray:
    """`(frame,)` mean brightness."""
    return grey.mean(axis=(1, 2))


def graininess(grey: np.ndarray) -> np.ndarray:
    """`(frame,)` what is left of the calmest quarter of all blocks once slopes are taken away, in levels.

    Second differences do not see slopes, and the calmest blocks have no edges: grain is left.
    """
    rough = np.abs(grey[:, 1:-1, :-2] - 2 * grey[:, 1:-1, 1:-1] + grey[:, 1:-1, 2:])
    height, width = (side // _BLOCK * _BLOCK for side in rough.shape[1:])
    blocks = rough[:, :height, :width].reshape(len(rough), height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return np.percentile(blocks.mean(axis=(2, 4)).reshape(len(rough), -1), 25, axis=1)


def patch_colors(pixels: np.ndarray, boxes: Boxes) -> np.ndarray:
    """`(frame, patch, rgb)` mean colours of the patches that a box is divided into."""
    side = _PATCHES * 4
    channels = [sample_boxes(pixels[..., channel].astype(np.float32), boxes, side) for channel in range(3)]
    stacked = np.stack(channels, axis=-1)
    patches = stacked.reshape(len(pixels), _PATCHES, 4, _PATCHES, 4, 3).mean(axis=(2, 4))
    return patches.reshape(len(pixels), -1, 3)


def gradient_histograms(picture: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal & Triggs 2005) of one square brightness picture.

    Args:
        picture: `(64, 64)` brightness.

    Returns:
        `(1764,)`: 7 × 7 blocks of 2 × 2 cells of 8 × 8 pixels, nine orientations each, every block of
        length one.
    """
    down, across = np.gradient(picture.astype(float))
    strength = np.hypot(across, down)
    angle = np.mod(np.arctan2(down, across), np.pi) / np.pi * _HOG_BINS - 0.5
    first = np.floor(angle).astype(int)
    share = angle - first
    cells = _HOG_SIDE // _HOG_CELL
    histograms = np.zeros((cells, cells, _HOG_BINS))
    row, column = np.indices(picture.shape) // _HOG_CELL
    for offset, weight in ((0, 1 - share), (1, share)):
        np.add.at(histograms, (row, column, (first + offset) % _HOG_BINS), strength * weight)
    blocks = np.concatenate(
        [histograms[i : cells - 1 + i, j : cells - 1 + j] for i in (0, 1) for j in (0, 1)], axis=-1
    )
    blocks /= np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + 1.0)
    return blocks.ravel().astype(np.float32)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width, height = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    areas = [float(np.prod(box[2:] - box[:2])) for box in (first, second)]
    return float(common / (sum(areas) - common))
