"""Several runs of one configuration: every fold of a protocol, with every seed, and what they come to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.checkpoint_files import read_metrics
from core.writing import ON_RESUME, replacing, written
from training.card import CAVEATS
from training.config import TrainConfig
from training.data import configured_folds
from training.datasets import DataError
from training.logs import console
from training.loop import train
from training.protocol import PAPER_10FOLD_FLATTERS

SUMMARY = "summary.json"
HEADLINES = ("accuracy", "weighted_f1", "macro_f1")
OWN_SPLIT = "the data's own split"
"""What is told where no protocol was asked for."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean over the runs that have a value, and their standard deviation.

    Attributes:
        mean: None where no run has one, as of a class without clips.
        deviation: of a sample; None for less than two values.
    """

    mean: float | None
    deviation: float | None


@dataclass(frozen=True, kw_only=True)
class RunsSummary:
    """What several runs come to, on the test part of each (the dev part where there is none).

    Attributes:
        runs: folders of their checkpoints, beside this summary's.
        split: "test" or "dev".
        scores: per headline metric, all modalities.
        f1_per_class: likewise.
        f1_interval_per_class: over the clips, of the run where it is widest; None where no run has one.
        num_clips_per_class: fewest and most of any run.
        caveat: what to tell with every number; "" for nothing.
    """

    protocol: str
    runs: tuple[str, ...]
    split: str
    scores: dict[str, Spread]
    f1_per_class: dict[str, Spread]
    f1_interval_per_class: dict[str, tuple[float, float] | None]
    num_clips_per_class: dict[str, tuple[int, int]]
    caveat: str


def train_runs(config: TrainConfig, *, seeds: Sequence[int], resume: bool = False) -> RunsSummary | None:
    """Train every fold of the configuration's protocol with every seed.

    Args:
        config: of each run but for its seed, its fold and its folder, which is made inside `config.out`.
        seeds: of training; the folds do not depend on them.
        resume: keep the runs that are finished and go on with the one that is not.

    Returns:
        The summary, which is also written to `summary.json` in `config.out`; None in all processes but the
        main one.

    Raises:
        DataError, CheckpointError, RunStopped: see `training.loop.train`.
    """
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ValueError(f"seeds should be different numbers, at least one, not {list(seeds)}")
    protocol = config.protocol or OWN_SPLIT
    folds = [""]
    if config.protocol is not None:
        folds = [config.fold] if config.fold else [fold.name for fold in configured_folds(config)]
    is_main = not int(os.environ.get("RANK", 0))
    folders = []
    for fold in folds:
        for seed in seeds:
            name = f"{fold}-seed{seed}" if fold else f"seed{seed}"
            run = replace(config, out=config.out / name, fold=fold, seed=seed)
            folders.append(run.out)
            if is_main:
                console.print(
                    f"Run {len(folders)} of {len(folds) * len(seeds)}: {name}", highlight=False, markup=False
                )
            train(run, resume=resume)
    # the checkpoints lie where the main process has written them, which others may not see
    if not is_main:
        return None
    summary = summarise(folders, protocol)
    _write(config.out / SUMMARY, summary)
    return summary


def summarise(folders: Sequence[Path], protocol: str) -> RunsSummary:
    """Mean and deviation over finished runs.

    Raises:
        DataError: if only some of them have a test part.
    """
    metrics = [read_metrics(folder) for folder in folders]
    split = "test" if all("test" in one for one in metrics) else "dev"
    if split == "dev" and any("test" in one for one in metrics):
        raise DataError(
            f"Some runs in {folders[0].parent} have a test part and others none; train them alike."
        )
    parts = [one[split] for one in metrics]
    whole = "video+audio+text"
    return RunsSummary(
        protocol=protocol,
        runs=tuple(folder.name for folder in folders),
        split=split,
        scores={name: _spread([part["subsets"][whole][name] for part in parts]) for name in HEADLINES},
        f1_per_class={
            label: _spread([part["f1_per_class"][label] for part in parts])
            for label in parts[0]["f1_per_class"]
        },
        f1_interval_per_class={
            label: _widest([part["f1_interval_per_class"][label] for part in parts])
            for label in parts[0]["f1_interval_per_class"]
        },
        num_clips_per_class={
            label: (min(numbers), max(numbers))
            for label in parts[0]["num_clips_per_class"]
            for numbers in [[part["num_clips_per_class"][label] for part in parts]]
        },
        caveat=PAPER_10FOLD_FLATTERS if protocol == "paper-10fold" else " ".join(_told_by_all(metrics)),
    )


def _told_by_all(metrics: Sequence[dict]) -> list[str]:
    """Caveats of the test part, where it is one for all runs; those of other folds are in their cards."""
    first, *others = (one.get(CAVEATS, []) for one in metrics)
    return [said for said in first if all(said in other for other in others)]


def _spread(scores: Sequence[float | None]) -> Spread:
    values = [score for score in scores if score is not None]
    if not values:
        return Spread(mean=None, deviation=None)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(mean=float(np.mean(values)), deviation=deviation)


def _widest(intervals: Sequence[Sequence[float | None]]) -> tuple[float, float] | None:
    known = [(low, high) for low, high in intervals if low is not None and high is not None]
    return max(known, key=lambda ends: ends[1] - ends[0], default=None)


def _write(path: Path, summary: RunsSummary) -> None:
    values = {
        **vars(summary),
        "scores": {name: vars(spread) for name, spread in summary.scores.items()},
        "f1_per_class": {name: vars(spread) for name, spread in summary.f1_per_class.items()},
    }
    with written(path.parent, DataError, ON_RESUME), replacing(path) as part:
        part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
