"""The installed checkpoints side by side, and one of them in full."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import pandas as pd
import streamlit as st

from app.summaries import Summary
from core.labels import MODALITY_NOUNS

UNKNOWN = "–"

PURPOSES = {
    "full": "the one to begin with, for the made clips",
    "everyday": "for clips of real people",
    "no-compression": "as full, but no frame or patch is dropped",
    "no-contrastive": "as full, but modalities are not drawn together",
    "published-vsc": "as full, but frames are dropped as in the published code",
    "text-audio": "sound and words alone: what the picture is worth",
}
"""Of the checkpoints that ship."""
ALL = "video+audio+text"


def checkpoint_table(checkpoints: Mapping[str, Summary], shipped: Collection[str] = ()) -> pd.DataFrame:
    """One row per checkpoint: what it is for and reads, its size, what it learned from, how good it was.

    Args:
        checkpoints: by name.
        shipped: names of those that ship.
    """
    purposes = {name: PURPOSES[name] for name in shipped if name in PURPOSES}
    rows = [_row(name, one, purposes.get(name, UNKNOWN)) for name, one in checkpoints.items()]
    return pd.DataFrame(rows).set_index("checkpoint")


def _row(name: str, checkpoint: Summary, purpose: str) -> dict[str, str]:
    config, metrics = checkpoint.config, checkpoint.metrics
    return {
        "checkpoint": name,
        "what for": purpose,
        "reads": ", ".join(MODALITY_NOUNS[modality] for modality in config.modalities),
        "labels": str(len(config.labels)),
        "parameters": f"{checkpoint.num_parameters / 1e6:.1f} M",
        "learned from": _known(lambda: f"{metrics['num_clips']['train']:,} clips"),
        "macro F1, dev": _known(lambda: f"{metrics['dev']['subsets'][ALL]['macro_f1']:.2f}"),
        "best epoch": _known(lambda: f"{metrics['best_epoch'] + 1:d}"),
        "SHA-256": checkpoint.sha256[:10],
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
