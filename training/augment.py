"""Augmentation of pictures, words and features, a whole batch at a time.

A picture is resampled once: flip, shift, scale, rotation and the change of resolution are one bilinear
transform. All randomness comes from the generator handed in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def resample(pictures: Tensor, size: int, *, zoom: float = 1.0, transform: Tensor | None = None) -> Tensor:
    """Pictures of any size and one or three channels, as float RGB of the network's size.

    Args:
        pictures: `(picture, height, width, channel)` uint8.
        size: side of the result, in pixels.
        zoom: share of the picture's side that fills the result; above one, its edge is repeated around it.
        transform: `(picture, 2, 3)` affine maps from the result's coordinates to the picture's, both in
            [−1, 1]; the identity if None.

    Returns:
        `(picture, 3, size, size)` in [0, 1].
    """
    values = pictures.permute(0, 3, 1, 2).float().div_(255.0)
    # bilinear sampling reads four pixels: average first where many pixels become one
    shrink = int(values.shape[-1] * zoom / size)
    if shrink >= 2:
        values = F.avg_pool2d(values, shrink)
    if transform is None:
        if zoom == 1.0 and values.shape[-1] == size:
            return values.expand(-1, 3, -1, -1)
        transform = torch.eye(2, 3, device=values.device).expand(len(values), 2, 3)
    transform = transform.to(values) * zoom_matrix(zoom, values)
    grid = F.affine_grid(transform, [len(values), values.shape[1], size, size], align_corners=False)
    values = F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values.expand(-1, 3, -1, -1)


def zoom_matrix(zoom: float, like: Tensor) -> Tensor:
    """Factors of an affine map's linear part and shift."""
    return torch.tensor([[zoom, zoom, 1.0]] * 2).to(like)


def augment_pictures(
    pictures: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    zoom: float = 1.0,
    groups: Tensor | None = None,
) -> Tensor:
    """Random flip, shift, scale, rotation, light, grey, blur, noise and erasing.

    Mild, since expressions are small changes of a face too.

    Args:
        pictures: `(picture, height, width, channel)` uint8.
        size: side of the result, in pixels.
        generator: on the CPU.
        zoom: see `resample`.
        groups: `(picture,)`: pictures of one group (the frames of a clip) get one common change; None for a
            change of its own for each picture.

    Returns:
        `(picture, 3, size, size)` in [0, 1].
    """
    if groups is None:
        groups = torch.arange(len(pictures))
    num_groups = int(groups.max()) + 1 if len(groups) else 0

    def uniform(low: float, high: float) -> Tensor:
        return (torch.rand(num_groups, generator=generator) * (high - low) + low)[groups].to(pictures.device)

    def around(amount: float) -> Tensor:
        return uniform(-amount, amount)

    def chance(probability: float) -> Tensor:
        return (torch.rand(num_groups, generator=generator) < probability)[groups].to(pictures.device)

    def per_picture(x: Tensor) -> Tensor:
        return x[:, None, None, None]

    angle, scale = around(0.1), 1.0 + around(0.07)
    flip = torch.where(chance(0.5), -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    across = torch.stack([cos * flip, -sin, around(0.05)], 1)
    down = torch.stack([sin * flip, cos, around(0.05)], 1)
    values = resample(pictures, size, zoom=zoom, transform=torch.stack([across, down], 1))

    values = values.clamp(1e-4, 1.0) ** per_picture(torch.exp(around(math.log(1.2))))
    middle = values.mean(dim=(1, 2, 3), keepdim=True)
    values = (values - middle) * per_picture(1.0 + around(0.2)) + middle + per_picture(around(0.08))
    values = values * torch.stack([1.0 + around(0.06) for _ in range(3)], dim=1)[:, :, None, None]
    grey = per_picture(chance(0.1))
    values = torch.where(grey, values.mean(dim=1, keepdim=True), values)
    blurred = F.avg_pool2d(values, 3, stride=1, padding=1, count_include_pad=False)
    values = torch.where(per_picture(chance(0.1)), blurred, values)
    noise = torch.randn(values.shape[0], 1, size, size, generator=generator).to(values.device)
    values = values + noise * per_picture(uniform(0.0, 0.03) * chance(0.3))

    positions = torch.arange(size, device=values.device)
    height, width = uniform(0.1, 0.3) * size, uniform(0.1, 0.3) * size
    top, left = uniform(0.0, 0.9) * size, uniform(0.0, 0.9) * size
    rows = (positions >= top[:, None]) & (positions < (top + height)[:, None])
    columns = (positions >= left[:, None]) & (positions < (left + width)[:, None])
    erased = rows[:, None, :, None] & columns[:, None, None, :] & per_picture(chance(0.1))
    return torch.where(erased, per_picture(uniform(0.0, 1.0)), values).clamp(0.0, 1.0)


def noisy_features(features: Tensor, generator: torch.Generator, amount: float = 0.1) -> Tensor:
    """Features `(clip, …)` with noise of `amount` times each dimension's own deviation over the batch.

    Each dimension's own: in a transformer's features a few are hundreds of times larger than the others.
    """
    noise = torch.randn(features.shape, generator=generator).to(features)
    return features + amount * features.std(0, correction=0) * noise


def drop_tokens(token_ids: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    """Token ids `(token,)` of a text without some of its words, so that no single one can be leaned on.

    For a text encoder that is trained (random deletion: Wei & Zou 2019); the vectors of a frozen one are made
    once, of whole texts.

    Args:
        token_ids: the special tokens at start and end stay.
        generator: on the CPU.
        probability: of each token between them; one always stays.
    """
    draws = torch.rand(max(len(token_ids) - 2, 0), generator=generator)
    stays = torch.ones(len(token_ids), dtype=torch.bool)
    if len(draws):
        stays[1:-1] = (draws >= probability) | (draws == draws.max())
    return token_ids[stays]
