"""What pages tell of checkpoints without keeping their weights in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from core.checkpoint import load_checkpoint
from core.checkpoint_files import CheckpointError
from core.config import ModelConfig
from core.space import Space


@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """A checkpoint without its weights.

    Attributes:
        sha256: as `core.checkpoint.Checkpoint.sha256`; metrics and card likewise.
        num_parameters: of the network, frozen backbones included.
        history: one row per epoch; empty where none was kept, or it cannot be read.
        space: embeddings over the training; None where none were kept, or they cannot be read.
    """

    config: ModelConfig
    sha256: str
    metrics: dict
    card: str
    history: pd.DataFrame
    num_parameters: int
    space: Space | None


def summary(folder: Path) -> Summary:
    """What is known of the checkpoint in a folder, read once.

    Raises:
        CheckpointError: where it cannot be loaded.
    """
    try:
        stamp = (folder / "config.json").stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _summary(folder, stamp)


def known_summary(folder: Path | None, sha256: str) -> Summary | None:
    """The same, where the folder holds the checkpoint with this hash; else None."""
    if folder is None:
        return None
    try:
        found = summary(folder)
    except CheckpointError:  # told on the pages that use the checkpoint
        return None
    return found if found.sha256 == sha256 else None


@st.cache_resource(show_spinner="Reading the checkpoint …", max_entries=30)
def _summary(folder: Path, stamp: int) -> Summary:
    checkpoint = load_checkpoint(folder)
    try:
        space = checkpoint.space
    except (ValueError, OSError):
        space = None
    try:
        history = checkpoint.history
    except (ValueError, OSError):  # arrow's errors are among them
        history = pd.DataFrame()
    return Summary(
        config=checkpoint.config,
        sha256=checkpoint.sha256,
        metrics=checkpoint.metrics,
        card=checkpoint.card,
        history=history,
        num_parameters=sum(parameter.numel() for parameter in checkpoint.model.parameters()),
        space=space,
    )
