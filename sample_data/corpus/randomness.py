"""One named random stream per factor: a factor that is added or drawn anew never reshuffles the others."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator that belongs to `name` under `seed`; independent of every other name's."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def choose(generator: np.random.Generator, weights: dict[str, float]) -> str:
    """One key, with probabilities proportional to the values."""
    shares = np.array(list(weights.values()), float)
    return list(weights)[generator.choice(len(shares), p=shares / shares.sum())]


def counts_by_share(total: int, weights: dict[str, float]) -> dict[str, int]:
    """`total` divided in proportion to the weights into whole numbers (largest remainders first)."""
    scale = total / sum(weights.values())
    counts = {name: int(weight * scale) for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: counts[name] - weights[name] * scale)
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
