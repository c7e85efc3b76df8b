"""Elements removed in many ways, and the value that is left: what an attribution is tested against.

Nothing here knows of a model. The tests take a function from the elements that stay to the value, so they can
be tried on functions whose answers are known.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

Values = Callable[[np.ndarray], np.ndarray]
"""From the elements that stay, `(version, element)` bool, to the value of each version `(version,)`."""

NUM_STEPS = 8
"""Steps of a curve at most; with more elements each step removes several."""

NUM_SHUFFLES = 99
"""Deals of the attribution's values to other elements, where there are not fewer; they ask the model nothing
new."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """The value while elements are removed one after another (Samek et al. 2017; Petsiuk et al. 2018).

    Adding the elements in an order is removing them in the reversed order, watched backwards. So one run in
    each direction gives deletion and insertion, and both areas are held against the same random orders.

    Attributes:
        removed: `(step,)` share of the elements that is removed, from 0 to 1.
        deletion: `(step,)` value while the elements with the largest attribution are removed first.
        reversed_deletion: `(step,)` while those with the smallest are removed first.
        random: `(order, step)` in random orders.
    """

    removed: np.ndarray
    deletion: np.ndarray
    reversed_deletion: np.ndarray
    random: np.ndarray

    @property
    def added(self) -> np.ndarray:
        """`(step,)` share of the elements that `insertion` has added."""
        return 1 - self.removed[::-1]

    @property
    def insertion(self) -> np.ndarray:
        """`(step,)` value while the elements with the largest attribution are added first."""
        return self.reversed_deletion[::-1]

    @property
    def deletion_area(self) -> float:
        """Mean value under deletion: the smaller, the sooner what matters was named."""
        return float(np.trapezoid(self.deletion, self.removed))

    @property
    def insertion_area(self) -> float:
        """Mean value under insertion: the larger, the sooner what matters was named."""
        return float(np.trapezoid(self.reversed_deletion, self.removed))

    @property
    def random_areas(self) -> np.ndarray:
        """`(order,)` of removing (or adding) in random orders."""
        return np.trapezoid(self.random, self.removed, axis=1)

    @property
    def random_interval(self) -> tuple[float, float]:
        """Where the area of one more random order lies with 95 % (Student's prediction interval)."""
        low, high = prediction_interval(self.random_areas)
        return float(low), float(high)

    @property
    def is_deletion_better(self) -> bool:
        """The deletion area lies below what random orders give."""
        return self.deletion_area < self.random_interval[0]

    @property
    def is_insertion_better(self) -> bool:
        """The insertion area lies above what random orders give."""
        return self.insertion_area > self.random_interval[1]

    @property
    def span(self) -> float:
        """How far removing elements moved the value at all."""
        seen = np.concatenate([self.deletion, self.reversed_deletion, self.random.ravel()])
        return float(np.ptp(seen))


@dataclass(frozen=True, kw_only=True)
class Infidelity:
    """How ill the attribution foretells what removing several elements at once changes (Yeh et al. 2019).

    Attributes:
        value: mean squared error of the sums of attributions, scaled to fit best, in squared points of
            probability (`captum.metrics.infidelity`, normalised).
        unexplained: `value` over the mean square of the changes: 0 where all of them are foretold, 1 where
            nothing is.
        shuffled_unexplained: mean `unexplained` of the same values dealt out to the elements at random.
        chance: share of such deals, this one counted, that foretell as well as the attribution. Much of any
            change is foretold by how many elements are removed; this tells whether it matters which.
    """

    value: float
    unexplained: float
    shuffled_unexplained: float
    chance: float


def curves(
    values: Values,
    scores: np.ndarray,
    *,
    num_random: int,
    rng: np.random.Generator,
    num_steps: int = NUM_STEPS,
) -> Curves:
    """Remove the elements in the order of their attribution, in the reversed order and in random ones.

    Args:
        values: see `Values`.
        scores: `(element,)` attribution; of equals the earlier is removed first.
        num_random: random orders, at least 2.
        rng: draws them.
        num_steps: at most so many.
    """
    num = len(scores)
    order = np.argsort(-scores, kind="stable")
    orders = [order, order[::-1], *(rng.permutation(num) for _ in range(num_random))]
    counts = np.round(np.linspace(0, num, min(num_steps, num) + 1)).astype(int)
    rank = np.argsort(orders, axis=1)
    stays = rank[:, None, :] >= counts[None, :, None]
    found = values(stays.reshape(-1, num)).reshape(stays.shape[:2])
    return Curves(removed=counts / num, deletion=found[0], reversed_deletion=found[1], random=found[2:])


def infidelity(
    values: Values, scores: np.ndarray, *, num_perturbations: int, rng: np.random.Generator
) -> Infidelity:
    """Hold sums of attributions against what removing random sets of elements changes.

    A set's share of the elements is drawn evenly between none and all; no set is empty.

    Args:
        values: see `Values`.
        scores: `(element,)` attribution.
        num_perturbations: sets.
        rng: draws them, and the deals.
    """
    import captum.metrics

    num = len(scores)
    is_removed = rng.random((num_perturbations, num)) < rng.random((num_perturbations, 1))
    is_removed[np.arange(num_perturbations), rng.integers(0, num, num_perturbations)] = True
    removed = torch.from_numpy(is_removed).double()

    def answer(stays: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(values(stays.numpy() > 0.5), np.float64))

    def of(given: np.ndarray) -> float:
        whole = torch.ones(1, num, dtype=torch.float64)
        found = captum.metrics.infidelity(
            answer,
            lambda inputs: (removed, inputs - removed),
            whole,
            torch.from_numpy(given)[None],
            n_perturb_samples=num_perturbations,
            normalize=True,
        )
        # rounding can leave a perfect score just below zero
        return max(0.0, float(found))

    changes = values(np.ones((1, num), bool)) - values(~is_removed)
    power = float(np.mean(changes**2))
    if power == 0:
        return Infidelity(value=0.0, unexplained=1.0, shuffled_unexplained=1.0, chance=1.0)
    value = of(scores)
    if math.factorial(num) <= 1 + NUM_SHUFFLES:
        # all there are but its own: among as many random ones its own would come up again, as good by chance
        deals = [np.array(dealt) for dealt in itertools.permutations(scores)][1:]
    else:
        deals = [rng.permutation(scores) for _ in range(NUM_SHUFFLES)]
    if not deals:
        return Infidelity(
            value=value, unexplained=value / power, shuffled_unexplained=value / power, chance=1.0
        )
    shuffled = np.array([of(dealt) for dealt in deals])
    return Infidelity(
        value=value,
        unexplained=value / power,
        shuffled_unexplained=float(shuffled.mean() / power),
        chance=float((1 + np.sum(shuffled <= value)) / (1 + len(deals))),
    )


def prediction_interval(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where one more draw lies with 95 %, of draws `(draw, …)` from a normal distribution."""
    num = len(sample)
    reach = stats.t.ppf(0.975, num - 1) * np.std(sample, axis=0, ddof=1) * np.sqrt(1 + 1 / num)
    middle = np.mean(sample, axis=0)
    return middle - reach, middle + reach


class Remembered:
    """Values that are asked for once only: all curves begin and end alike.

    Attributes:
        known: value of each version that was asked for, by its elements.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self.known: dict[bytes, float] = {}

    def __call__(self, stays: np.ndarray) -> np.ndarray:
        """As `Values`."""
        keys = [np.packbits(row).tobytes() for row in stays]
        new = {key: row for key, row in zip(keys, stays, strict=True) if key not in self.known}
        if new:
            self.known |= dict(zip(new, self._values(np.stack(list(new.values()))), strict=True))
        return np.array([self.known[key] for key in keys])
