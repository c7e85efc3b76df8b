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
from core.memory import free_bytes
from core.predict import Predictor
from sample_data.corpus.workers import run_tasks
from training.datasets import DataError

CLIPS_PER_WORKER = 25
"""A process takes some seconds to start; with fewer clips than this for each, another does not pay."""

WORKER_BYTES = 1.2 * 2**30
"""What a process may need at its worst beside its network: packages, decoder, speech model, a clip."""

NETWORK_SHARE = 1.5
"""What a network takes while it answers, of the bytes of its weights."""


def sensible_workers(num_clips: int, predictor: Predictor) -> int:
    """As many as have work, have a core of this process's share, and fit into its share of free memory.

    One where the network is not as it was loaded, for another process would load it otherwise.
    """
    network = predictor.checkpoint.model
    if network.variant:
        return 1
    num_sharing = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    most = min(usable_cores() // num_sharing, num_clips // CLIPS_PER_WORKER)
    if (free := free_bytes()) is not None:
        weights = sum(one.numel() * one.element_size() for one in network.parameters())
        most = min(most, int(free / num_sharing // (WORKER_BYTES + NETWORK_SHARE * weights)))
    return max(1, most)


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
        predictor: each process has one like it, of the same checkpoint; its network is as it was loaded.
        tasks: the other arguments.
        num_workers: processes.
        take: told the answers, in the order in which they are found.

    Raises:
        DataError: if the network is not as it was loaded, or a process was killed from outside.
    """
    if predictor.checkpoint.model.variant:
        raise DataError("Other processes would answer with the network as it was saved; use one alone.")
    folder, sha256 = predictor.checkpoint.folder, predictor.checkpoint.sha256
    threads = max(1, torch.get_num_threads() // num_workers)
    made_of = folder, sha256, predictor.speech, predictor.still_below, threads
    run_tasks(
        _answer_here,
        ((answer, made_of, *task) for task in tasks),
        num_workers,
        lambda: None,
        on_result=take,
        lost=DataError(
            "A process that answered was ended from outside, perhaps for want of memory; give fewer "
            "--workers and run the same command again: it goes on from there."
        ),
    )


def _answer_here(answer: Callable[..., dict], made_of: tuple, *task: object) -> dict:
    return answer(_predictor(*made_of), *task)


@cache
def _predictor(folder: Path, sha256: str, speech: Speech, still_below: float, threads: int) -> Predictor:
    """Of this process."""
    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(folder)
    if checkpoint.sha256 != sha256:
        raise DataError(f"{folder} was exchanged while clips were answered; run the same command again.")
    return Predictor(checkpoint, speech=speech, still_below=still_below)
