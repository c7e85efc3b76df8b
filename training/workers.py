"""Clips answered by several processes, each with a network of its own.

The steps of one clip, decoding, finding the face, listening, the network, hardly share a second core; clips
side by side do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch

from core.checkpoint import load_checkpoint
from core.cores import usable_cores
from core.media.speech_models import Speech
from core.predict import Predictor
from sample_data.corpus.workers import run_tasks
from training.datasets import DataError

CLIPS_PER_WORKER = 25
"""A process takes some seconds to start; with fewer clips than this for each, another does not pay."""

WORKER_BYTES = 1.5 * 2**30
"""What a process may need at its worst, its decoder included."""


def sensible_workers(num_clips: int) -> int:
    """As many as have work, have a core of this process's share, and fit into the memory that is free."""
    cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1
    return max(1, min(cores, num_clips // CLIPS_PER_WORKER, int(free // WORKER_BYTES)))


def answer_apart(
    answer: Callable[..., dict],
    predictor: Predictor,
    tasks: Sequence[tuple],
    num_workers: int,
    take: Callable[[dict], None],
) -> None:
    """Call `answer(predictor, *task)` for every task in other processes, and `take` with what comes.

    Args:
        answer: of a module's top level.
        predictor: each process has one like it, of the same checkpoint.
        tasks: the other arguments.
        num_workers: processes.
        take: told the answers, in the order in which they are found.

    Raises:
        DataError: if a process was killed from outside.
    """
    folder, speech, sha256 = predictor.checkpoint.folder, predictor.speech, predictor.checkpoint.sha256
    threads = max(1, torch.get_num_threads() // num_workers)
    run_tasks(
        _answer_here,
        ((answer, folder, sha256, speech, threads, *task) for task in tasks),
        num_workers,
        lambda: None,
        on_result=take,
        lost=DataError(
            "A process that answered was ended from outside, perhaps for want of memory; give fewer "
            "--workers and run the same command again: it goes on from there."
        ),
    )


def _answer_here(
    answer: Callable[..., dict], folder: Path, sha256: str, speech: Speech, threads: int, *task: object
) -> dict:
    return answer(_predictor(folder, sha256, speech, threads), *task)


@cache
def _predictor(folder: Path, sha256: str, speech: Speech, threads: int) -> Predictor:
    """Of this process."""
    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(folder)
    if checkpoint.sha256 != sha256:
        raise DataError(f"{folder} was exchanged while clips were answered; run the same command again.")
    return Predictor(checkpoint, speech=speech)
