"""Alternatives measured in turns: A B A B …, in one process.

A machine that has other things to do is slow for minutes and fast again. Two measurements one after the
other compare the machine with itself; turns are close enough together to meet the same machine, and the ratio
within a turn says what the two have to do with each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock on the wall, and seconds in which processors were at work for this process."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.wall_seconds + other.wall_seconds, self.cpu_seconds + other.cpu_seconds)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall_seconds - other.wall_seconds, self.cpu_seconds - other.cpu_seconds)


Clock = Callable[[], Taken]
"""Reads both clocks; only differences mean something."""

Subject = Callable[[], object]
"""Does the work once. A dictionary that it returns holds parts of it, by name, that it has timed itself."""

Progress = Callable[[str], None]


def now() -> Taken:
    """The clocks of this process, all its threads together."""
    return Taken(time.perf_counter(), time.process_time())


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and quartiles of what the turns gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError where there are none."""
        if not values:
            raise ValueError("there is no turn to take the median of")
        if len(values) == 1:
            return cls(median=values[0], low=values[0], high=values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median=median(values), low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class Turns:
    """What every subject took in every turn: by name, one entry per turn."""

    taken: dict[str, list[Taken]]

    def seconds(self, name: str, clock: str = "cpu") -> list[float]:
        """Of one subject, turn by turn; `clock` is "cpu" or "wall"."""
        return [getattr(one, f"{clock}_seconds") for one in self.taken[name]]

    def spread(self, name: str, clock: str = "cpu") -> Spread:
        """Of its seconds."""
        return Spread.of(self.seconds(name, clock))

    def ratio(self, name: str, to: str, clock: str = "cpu") -> Spread:
        """Of the ratios of two subjects within a turn."""
        pairs = zip(self.seconds(name, clock), self.seconds(to, clock), strict=True)
        # a clock may be too coarse for what is next to nothing
        return Spread.of([one / max(other, 1e-9) for one, other in pairs])

    def with_sum(self, name: str, of: Sequence[str]) -> Turns:
        """The same and, under another name, what some took together in each turn."""
        turns = zip(*(self.taken[one] for one in of), strict=True)
        return Turns(taken=self.taken | {name: [sum(turn, Taken()) for turn in turns]})


def take_turns(
    subjects: Mapping[str, Subject],
    num_turns: int,
    *,
    num_warm_ups: int = 1,
    clock: Clock = now,
    progress: Progress | None = None,
) -> Turns:
    """Let every subject work once per turn, one after the other, and time it.

    Args:
        subjects: by name, in their order.
        num_turns: that count.
        num_warm_ups: turns before these, in which caches are filled and memory is fetched.
        clock: reads the time.
        progress: told the name of whoever works.

    Raises:
        ValueError: if two subjects, or parts of them, have one name.
    """
    taken: dict[str, list[Taken]] = {}
    for turn in range(num_warm_ups + num_turns):
        found: dict[str, Taken] = {}
        for name, work in subjects.items():
            if progress:
                progress(name)
            begin = clock()
            result = work()
            whole = clock() - begin
            for key, value in [(name, whole), *(result.items() if isinstance(result, dict) else ())]:
                if key in found:
                    raise ValueError(f"two subjects are called {key!r}")
                found[key] = value
        if turn >= num_warm_ups:
            for key, value in found.items():
                taken.setdefault(key, []).append(value)
    return Turns(taken=taken)
