"""What was set differently, and how training went."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from app.components.lines import DASHES, SYMBOLS, Line, lines
from app.summaries import Summary
from app.views.markup import plain
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.evaluation import Comparison

CURVE = "dev_video+audio+text_macro_f1"
CURVE_COLUMNS = {"epoch", CURVE}
"""What a history needs for its curve."""

COLORS = ("#2f7fd6", "#c8691c", "#1a9c78", "#b0569b", "#a88a00", "#7d8694")


def settings_list(base: str, other: str, comparison: Comparison) -> None:
    """Draws the settings of model and training that differ."""
    differing_settings(base, other, comparison.config)


def differing_settings(base: str, other: str, config: Mapping[str, tuple[object, object]]) -> None:
    """Draws settings that differ (`core.evaluation.compare.config_differences`)."""
    if not config:
        st.caption("Both were made with the same settings of model and training.")
        return
    draw_table(settings_table(base, other, config))


def settings_table(base: str, other: str, config: Mapping[str, tuple[object, object]]) -> pd.DataFrame:
    """One row per setting that differs; a dash where one has no such setting."""
    rows = [
        {"setting": name, base: _shown(of_a), other: _shown(of_b)} for name, (of_a, of_b) in config.items()
    ]
    return pd.DataFrame(rows).set_index("setting")


def curves(found: Mapping[str, Summary], missing: list[str]) -> None:
    """Draws dev macro-F1 over the epochs of every checkpoint whose history is at hand.

    Args:
        found: checkpoints by the name that is told; each history has one row per epoch.
        missing: evaluations whose checkpoint is not installed, or has no such history.
    """
    histories = {name: one.history for name, one in found.items()}
    kept = {name: kept_row(one.history, one.metrics) for name, one in found.items()}
    if histories:
        st.markdown("**Macro F1 on the dev split after each epoch of training** (0 to 1)")
        lines(
            curve_lines(histories, kept),
            x_title="epoch",
            y_title="macro F1, dev",
            alt=curves_words(histories, kept),
            key="compare-curves",
        )
        st.caption(
            "With all modalities that the model reads, each on its own dev clips: curves of checkpoints "
            "that learned from other data cannot be compared. ★ marks the epoch that was kept. Epochs of "
            "sound and words alone come first where a checkpoint was trained so; the picture joins in "
            "after them."
        )
        with table_twin("curves-table") as is_open:
            if is_open:
                table = curves_table(histories)
                st.dataframe(
                    table,
                    column_config={name: st.column_config.NumberColumn(format="%.3f") for name in table},
                    placeholder="–",
                )
    if missing:
        st.caption(plain(f"No history is at hand for {', '.join(missing)}."))


def kept_row(history: pd.DataFrame, metrics: Mapping[str, object]) -> int | None:
    """Place in the history of the epoch that the checkpoint is of, which need not be the best one here.

    None where it is not known, or not in the history.
    """
    epochs = history["epoch"].tolist()
    return epochs.index(best) if (best := metrics.get("best_epoch")) in epochs else None


def curves_words(histories: Mapping[str, pd.DataFrame], kept: Mapping[str, int | None]) -> str:
    """The curves in a sentence, for who cannot see them."""
    told = []
    for name, history in histories.items():
        values, row = history[CURVE], kept[name]
        said = f"{name} reaches {values.max():.2f} in {len(history)} epochs"
        if row is not None:
            said += (
                f", and {values.iloc[row]:.2f} in epoch {int(history['epoch'].iloc[row]) + 1}, which was kept"
            )
        told.append(said)
    return f"Macro F1 over epochs: {'; '.join(told)}. The box below, once opened, has every epoch."


def curve_lines(histories: Mapping[str, pd.DataFrame], kept: Mapping[str, int | None]) -> list[Line]:
    """A line per evaluation, told apart by dash and symbol too; a star on the row of the kept epoch."""
    return [
        Line(
            name=name,
            color=COLORS[number % len(COLORS)],
            dash=DASHES[number % len(DASHES)],
            symbol=SYMBOLS[number % len(SYMBOLS)],
            xs=tuple((history["epoch"] + 1).tolist()),
            ys=tuple(float(value) if np.isfinite(value) else None for value in history[CURVE]),
            star=kept[name],
        )
        for number, (name, history) in enumerate(histories.items())
    ]


def curves_table(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Macro F1 by epoch, one column per evaluation."""
    columns = {name: history.set_index(history["epoch"] + 1)[CURVE] for name, history in histories.items()}
    return pd.DataFrame(columns).rename_axis("epoch").round(3)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
