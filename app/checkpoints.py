"""The checkpoints that the app can open: those that ship, those that people named, and the loaded ones."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.folders import free_name
from app.launch import CHECKPOINT_VARIABLE
from app.training_runs import trained_checkpoints
from core.checkpoint import Checkpoint, load_checkpoint
from core.checkpoint_files import CheckpointError, read_metrics
from core.predict import Predictor
from core.shipped import EVERYDAY, shipped_checkpoints
from sample_data import SAMPLE_DATA

if TYPE_CHECKING:
    from training.truth_report import TruthReport


def checkpoints() -> dict[str, Path]:
    """Folders of the checkpoints one can choose from, by name; the one to open first comes first."""
    chosen = os.environ.get(CHECKPOINT_VARIABLE)
    first = {Path(chosen).name: Path(chosen)} if chosen else {}
    found = first | {name: folder for name, folder in shipped_checkpoints().items() if name not in first}
    for folder in trained_checkpoints():
        if all(other.resolve() != folder for other in found.values()):
            found[free_name(folder, found)] = folder
    return found | {name: folder for name, folder in given_checkpoints().items() if name not in found}


def first_checkpoint(*, ships: bool = True) -> str | None:
    """Name of the checkpoint that answers when none is chosen; None where none is installed.

    Args:
        ships: the clip that is asked about. One that does not is answered by the checkpoint for real clips,
            unless the app was started with another one.
    """
    names = checkpoints()
    if not ships and EVERYDAY in names and not os.environ.get(CHECKPOINT_VARIABLE):
        return EVERYDAY
    return next(iter(names), None)


@st.cache_resource(show_spinner=False)
def given_checkpoints() -> dict[str, Path]:
    """Checkpoints that people named while this server runs, by name, in their order."""
    return {}


def give_checkpoint(folder: Path) -> str:
    """Offer a checkpoint in all sessions of this server; its name, with its parent's where that is taken.

    Raises:
        CheckpointError: if the folder holds none.
    """
    folder = folder.expanduser().resolve()
    load_checkpoint(folder)
    known = checkpoints()
    if (name := next((n for n, other in known.items() if other.resolve() == folder), None)) is not None:
        return name
    name = free_name(folder, known)
    given_checkpoints()[name] = folder
    return name


def metrics(folder: Path) -> dict:
    """How good the checkpoint was on held-out clips; empty where that is not known."""
    try:
        return read_metrics(folder)
    except CheckpointError:  # told when the checkpoint is opened
        return {}


def predictor(folder: Path) -> Predictor:
    """The loaded checkpoint, one for all sessions. Raises CheckpointError."""
    try:
        stamp = (folder / "config.json").stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _predictor(folder, stamp)


@st.cache_resource(show_spinner=False, max_entries=2)
def _predictor(folder: Path, stamp: int) -> Predictor:
    return Predictor(load_checkpoint(folder))


def truth_report(checkpoint: Checkpoint) -> TruthReport | None:
    """How true a checkpoint's explanations are where truth was planted; None where it was not measured."""
    folder = SAMPLE_DATA / "evaluations" / f"{checkpoint.name}-probe"
    if not (folder / "truth.json").is_file():
        return None
    # it brings all that made clips are made with
    from training.truth_report import read_truth

    try:
        report = read_truth(folder)
    except ValueError:
        logging.getLogger(__name__).exception("benchmark of %s", checkpoint.name)
        return None
    return report if report.checkpoint_sha256 == checkpoint.sha256 else None
