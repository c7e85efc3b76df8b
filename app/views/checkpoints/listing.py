"""The installed checkpoints side by side, and one of them in full."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd
import streamlit as st

from app.summaries import Summary
from app.views.markup import plain
from core.labels import MODALITY_NOUNS

UNKNOWN = "–"
ALL = "video+audio+text"


def checkpoint_table(checkpoints: Mapping[str, Summary]) -> pd.DataFrame:
    """One row per checkpoint: what it reads, its size, what it learned from, and how good it was on dev."""
    return pd.DataFrame([_row(name, one) for name, one in checkpoints.items()]).set_index("checkpoint")


def _row(name: str, checkpoint: Summary) -> dict[str, str]:
    config, metrics = checkpoint.config, checkpoint.metrics
    counts = metrics.get("num_clips")
    try:
        macro_f1 = f"{metrics['dev']['subsets'][ALL]['macro_f1']:.2f}"
    except (KeyError, TypeError, ValueError):  # not measured, or not by this project
        macro_f1 = UNKNOWN
    best = metrics.get("best_epoch")
    return {
        "checkpoint": name,
        "reads": ", ".join(MODALITY_NOUNS[modality] for modality in config.modalities),
        "labels": str(len(config.labels)),
        "parameters": f"{checkpoint.num_parameters / 1e6:.1f} M",
        "learned from": f"{counts['train']:,} clips"
        if isinstance(counts, dict) and "train" in counts
        else UNKNOWN,
        "macro F1, dev": macro_f1,
        "best epoch": str(best + 1) if isinstance(best, int) else UNKNOWN,
        "hash": checkpoint.sha256[:10],
    }


def card(text: str) -> None:
    """Draws a checkpoint's card. Pictures in it, which a browser would fetch, are only named."""
    st.markdown(re.sub(r"!\[([^\]]*)\]\([^)]*\)", lambda found: plain(f"(picture: {found[1]})"), text))
