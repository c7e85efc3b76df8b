"""Augmentation of pictures, sounds, words and features.

A picture is resampled once: flip, shift, scale, rotation and the change of resolution are one bilinear
transform. All randomness comes from the generator handed in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

HIDING, HIDING_GRID = 0.25, 8
"""Share of the pictures (or clips) of which cells are hidden, and the cells along each side."""

SPEEDS = 0.88, 1.14
"""Factors of a sound's speed and pitch."""

TILTS = -0.3, 0.5
"""Of the sample before, what is taken away from each: negative for less treble."""

NOISE_DECIBELS = 10.0, 40.0
"""Between a sound and the noise that half of them get."""

LONGEST_SILENCE = 0.15
"""Of the sound, for each of the two stretches that are silenced."""


def resample(pictures: Tensor, size: int, *, transform: Tensor | None = None) -> Tensor:
    """Pictures of any size and one or three channels, as float RGB of the network's size.

    Args:
        pictures: `(picture, height, width, channel)` uint8.
        size: side of the result, in pixels.
        transform: `(picture, 2, 3)` affine maps from the result's coordinates to the picture's, both in
            [−1, 1]; the identity if None.

    Returns:
        `(picture, 3, size, size)` in [0, 1].
    """
    values = pictures.permute(0, 3, 1, 2).float().div_(255.0)
    # bilinear sampling reads four pixels: average first where many pixels become one
    shrink = int(values.shape[-1] / size)
    if shrink >= 2:
        values = F.avg_pool2d(values, shrink)
    if transform is None:
        if values.shape[-1] == size:
            return values.expand(-1, 3, -1, -1)
        transform = torch.eye(2, 3, device=values.device).expand(len(values), 2, 3)
    grid = F.affine_grid(
        transform.to(values), [len(values), values.shape[1], size, size], align_corners=False
    )
    values = F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values.expand(-1, 3, -1, -1)


def augment_pictures(
    pictures: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    groups: Tensor | None = None,
) -> Tensor:
    """Random flip, shift, scale, rotation, light, grey, blur, noise, erasing and hiding.

    Mild, since expressions are small changes of a face too. Hiding blurs some cells of the picture beyond
    recognition, as explanations do (`core.attribution.subject`): their questions should not be strange to the
    network, or its answers tell of the strangeness.

    Args:
        pictures: `(picture, height, width, channel)` uint8.
        size: side of the result, in pixels.
        generator: on the CPU.
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
    values = resample(pictures, size, transform=torch.stack([across, down], 1))

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
    values = torch.where(erased, per_picture(uniform(0.0, 1.0)), values).clamp(0.0, 1.0)

    share = uniform(0.0, 1.0) * chance(HIDING)
    draws = torch.rand(len(values), 1, HIDING_GRID, HIDING_GRID, generator=generator).to(values.device)
    return hide_cells(values, draws < per_picture(share))


def hide_cells(pictures: Tensor, hidden: Tensor) -> Tensor:
    """Pictures with some cells blurred beyond recognition.

    The blur is about that of a Gaussian with a deviation of a cell, at a small part of its cost: the cells of
    the picture, smoothed, and drawn large again.

    Args:
        pictures: `(picture, 3, size, size)`, the size a multiple of `HIDING_GRID`.
        hidden: `(picture, 1, HIDING_GRID, HIDING_GRID)` bool.
    """
    some = hidden.flatten(1).any(1).nonzero().squeeze(1)
    if not len(some):
        return pictures
    clear, size = pictures[some], pictures.shape[-1]
    cells = F.adaptive_avg_pool2d(clear, HIDING_GRID)
    for _ in range(2):  # the variance of [1, 2, 1] / 4 is one half
        across = F.pad(cells, (1, 1, 0, 0), mode="replicate")
        cells = (across[..., :-2] + 2 * across[..., 1:-1] + across[..., 2:]) / 4
        down = F.pad(cells, (0, 0, 1, 1), mode="replicate")
        cells = (down[..., :-2, :] + 2 * down[..., 1:-1, :] + down[..., 2:, :]) / 4
    blurred = F.interpolate(cells, size=(size, size), mode="bilinear", align_corners=False)
    mask = F.interpolate(hidden[some].float(), size=(size, size)) > 0.5
    result = pictures.clone()
    result[some] = torch.where(mask, blurred, clear)
    return result


def augment_sound(waveform: Tensor, generator: torch.Generator) -> Tensor:
    """A sound at another speed and pitch, through another microphone, in noise, partly silenced.

    For an audio encoder that is trained; the features of a frozen one are made once, of sounds as they are.
    Speed and pitch change together, by one resampling (Ko et al. 2015); stretches of silence are
    SpecAugment's masks in time (Park et al. 2019).

    Args:
        waveform: `(sample,)` in [−1, 1].
        generator: on the CPU.

    Returns:
        `(sample,)`, of another length.
    """
    if len(waveform) < 2:
        return waveform

    def uniform(low: float, high: float) -> float:
        return float(torch.rand((), generator=generator)) * (high - low) + low

    length = max(round(len(waveform) / uniform(*SPEEDS)), 2)
    sound = F.interpolate(waveform[None, None], size=length, mode="linear", align_corners=True)[0, 0]
    # first-order filter: more treble or more bass
    sound = sound - uniform(*TILTS) * F.pad(sound[:-1], (1, 0))
    if uniform(0.0, 1.0) < 0.5:
        loudness = sound.square().mean().sqrt() * 10 ** (-uniform(*NOISE_DECIBELS) / 20)
        sound = sound + loudness * torch.randn(length, generator=generator)
    for _ in range(2):
        span = round(uniform(0.0, LONGEST_SILENCE) * length)
        begin = round(uniform(0.0, 1.0) * (length - span))
        sound[begin : begin + span] = 0.0
    return sound / sound.abs().amax().clamp(min=1.0)


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
