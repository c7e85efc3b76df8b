"""The installed checkpoints side by side, and one of them in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st

from app.summaries import Summary
from core.labels import MODALITY_NOUNS

UNKNOWN = "–"
ALL = "video+audio+text"


def checkpoint_table(checkpoints: Mapping[str, Summary]) -> pd.DataFrame:
    """One row per checkpoint: what it reads, its size, what it learned from, and how good it was on dev."""
    return pd.DataFrame([_row(name, one) for name, one in checkpoints.items()]).set_index("checkpoint")


def _row(name: str, checkpoint: Summary) -> dict[str, str]:
    config, metrics = checkpoint.config, checkpoint.metrics
    return {
        "checkpoint": name,
        "reads": ", ".join(MODALITY_NOUNS[modality] for modality in config.modalities),
        "labels": str(len(config.labels)),
        "parameters": f"{checkpoint.num_parameters / 1e6:.1f} M",
        "learned from": _known(lambda: f"{metrics['num_clips']['train']:,} clips"),
        "macro F1, dev": _known(lambda: f"{metrics['dev']['subsets'][ALL]['macro_f1']:.2f}"),
        "best epoch": _known(lambda: f"{metrics['best_epoch'] + 1:d}"),
        "hash": checkpoint.sha256[:10],
    }


def _known(tell: Callable[[], str]) -> str:
    """What metrics tell; they may be of another making, or hold anything."""
    try:
        return tell()
    except (KeyError, TypeError, ValueError):
        return UNKNOWN


def card(text: str) -> None:
    """Draws a checkpoint's card. Pictures in it, which a browser would fetch, are only named."""
    # an entity begins no picture, whatever stands before it
    st.markdown(text.replace("![", "&#33;["))
