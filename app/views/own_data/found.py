"""Where the data are, and what was recognised there."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from html import escape

import pandas as pd
import streamlit as st

from app.own_data import ALL, KIND_NAMES, OwnData, manifest_to_fill_in, skipped_table
from app.views.markup import plain
from app.views.tables import draw_table
from core.media import MEDIA_SUFFIXES
from training.datasets import SkippedClip
from training.datasets.check import NO_SPLIT

MAX_SHOWN = 500
"""Rows of the table of what was left out; the download has all."""

KNOWN_KINDS = (
    f"A plain **folder of clips** ({', '.join(suffix[1:] for suffix in MEDIA_SUFFIXES)}), with any "
    "folders inside; folders named train, dev or test are splits.\n"
    "- A **manifest**: a table (CSV, TSV, Parquet, JSON Lines) with the column `path` and, where known, "
    "`label`, `transcript`, `start_seconds`, `end_seconds`, `speaker`, `split`; or a folder with a "
    "`manifest.csv`.\n"
    "- **MELD** (`train_sent_emo.csv` …), **IEMOCAP** (`Session1/dialog/EmoEvaluation`), **RAVDESS** "
    "(`01-01-06-01-02-01-12.mp4`), **CREMA-D** (`1001_DFA_ANG_XX.flv`), **FER2013**, as they are released."
)


def path_box(path: str | None, *, on_path) -> None:
    """Draws the field for a path; `on_path(text)` is called with another one.

    Args:
        path: that is looked at; None for none.
        on_path: takes the text as it was written, "" where it was emptied.
    """

    def given() -> None:
        on_path(st.session_state["own-path"].strip())

    st.session_state["own-path"] = path or ""
    st.text_input(
        "Folder, manifest or data set, on the machine where the app runs",
        key="own-path",
        placeholder="/home/me/recordings",
        on_change=given,
        help=f"- {KNOWN_KINDS}" if path else None,
    )
    if not path:
        st.caption(
            "Write its path and press Enter. Files stay where they are: they are read, never changed, and "
            "nothing leaves this machine. What can be given:"
        )
        st.markdown(f"- {KNOWN_KINDS}")


def found_view(data: OwnData, *, words: Callable[[], dict[str, str]], on_look_again) -> None:
    """Draws what was recognised: kind, counts, what is left out and why, and whether there are labels.

    Args:
        data: what lies at the path.
        words: gives the words of clips by key, where a prediction has heard them.
        on_look_again: called to have the path read anew.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.html(f'<div class="found">{headline(data)}</div>', width="content")
        st.button(
            "Look again",
            icon=":material/refresh:",
            type="tertiary",
            key="own-look-again",
            help="Reads the path anew, where files came or went",
            on_click=on_look_again,
        )
    left, right = st.columns([7, 5], gap="large")
    with left:
        st.html('<div class="chart-title">What it holds <span>clips per split and label</span></div>')
        draw_table(counts_table(data))
        if not data.num_labelled:
            unlabelled(data, words)
    with right:
        _skipped(data.report.skipped, data.name)
        for note in notes(data):
            st.caption(f":material/info: {plain(note)}")


def headline(data: OwnData) -> str:
    """HTML: what it is, how much, and whether it is labelled."""
    total, labelled = data.num_of(ALL), data.num_labelled
    things = "pictures" if data.dataset.stills else "clips"
    said = "no labels" if not labelled else "labelled" if labelled == total else f"{labelled:,} labelled"
    if labelled and data.dataset.scheme:
        said += f" ({data.dataset.scheme})"
    facts = [f"{total:,} {things if total != 1 else things[:-1]}", said]
    splits = "split" if len(data.splits) == 1 else "splits"
    facts.append(f"{splits} {', '.join(data.splits)}" if data.splits else "no splits")
    return f"<b>{escape(KIND_NAMES[data.dataset.name])}</b> · {escape(' · '.join(facts))}"


def counts_table(data: OwnData) -> pd.DataFrame:
    """Splits as columns; clips, clips with words, speakers, and each label as rows."""
    parts = data.report.splits
    columns = {("no split" if part.split == NO_SPLIT else part.split): part for part in parts}
    rows: dict[str, list[str]] = {"clips": [f"{part.num_rows:,}" for part in columns.values()]}
    totals: dict[str, str] = {"clips": f"{sum(part.num_rows for part in parts):,}"}
    for title, field in {"with words": "num_with_words", "speakers": "num_speakers"}.items():
        numbers = [getattr(part, field) for part in columns.values()]
        if any(numbers):
            rows[title] = [f"{number:,}" for number in numbers]
            # a speaker may be in several splits
            totals[title] = f"{sum(numbers):,}" if field == "num_with_words" else ""
    labels = list(dict.fromkeys(label for part in parts for label in part.labels))
    for label in labels:
        numbers = [part.labels.get(label, 0) for part in columns.values()]
        title = label or "without a label"
        rows[title] = [f"{number:,}" for number in numbers]
        totals[title] = f"{sum(numbers):,}"
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(columns))
    if len(columns) > 1:
        table["all"] = [totals[title] for title in rows]
    return table


def notes(data: OwnData) -> list[str]:
    """What else is to be told of the data."""
    told = list(data.report.notes)
    who = "the manifest" if data.dataset.name == "manifest" else data.kind
    if data.num_strange:
        told.append(
            f"{data.num_strange:,} more media file{'s lie' if data.num_strange > 1 else ' lies'} in the "
            f"folder, which {who} does not name; "
            f"{'they are' if data.num_strange > 1 else 'it is'} not asked about."
        )
    return told


def unlabelled(data: OwnData, words: Callable[[], dict[str, str]]) -> None:
    """Draws what to do about labels that are missing; a manifest is not offered one in its own place."""
    if data.dataset.name == "manifest":
        st.caption(
            "There are no labels: emotions can be predicted, but not held against anything. To evaluate, "
            "write the labels into a column `label` of this manifest; everything else in it may stay."
        )
        return
    st.caption(
        "There are no labels: emotions can be predicted, but not held against anything. To evaluate, fill in "
        "the labels of this manifest and put it into the folder as `manifest.csv`."
    )
    st.download_button(
        "Manifest to fill in",
        data=lambda: manifest_to_fill_in(data, words()),
        file_name="manifest.csv",
        mime="text/csv",
        icon=":material/download:",
        key="own-manifest",
    )


def skipped_csv(skipped: Sequence[SkippedClip]) -> str:
    """All that was left out, as CSV."""
    text = io.StringIO()
    rows = skipped_table(skipped)
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _skipped(skipped: Sequence[SkippedClip], name: str) -> None:
    if not skipped:
        st.html('<div class="chart-title">Left out <span>nothing</span></div>')
        return
    st.html(f'<div class="chart-title">Left out <span>{len(skipped):,}, and why</span></div>')
    table = pd.DataFrame(skipped_table(skipped[:MAX_SHOWN]))
    if not (table["its words are used"] == "yes").any():
        table = table.drop(columns="its words are used")
    st.dataframe(
        table[[column for column in table if table[column].any()]],
        hide_index=True,
        height=min(260, 40 + 36 * len(table)),
        column_config={"why": st.column_config.TextColumn(width="large")},
    )
    st.download_button(
        "All as CSV",
        data=lambda: skipped_csv(skipped),
        file_name=f"left-out-{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key="own-skipped",
    )
