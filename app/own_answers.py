"""What runs over one's own data gave, and the clips that they are of.

A link names such a clip by its run and its key there. Only files inside the folder that the run's person gave
are ever opened, whatever a table says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from app.clips import OF_DATA, ClipChoice
from app.evaluations import opened
from app.own_runs import PREDICT, OwnRuns, OwnWork
from core.evaluation import EvaluationError
from core.sentences import SentenceError
from training.datasets import DataError
from training.predictions import GIVEN, journal_of, read_predictions
from training.sources import folder_of


@dataclass(frozen=True, kw_only=True)
class OwnClip:
    """A clip of one's own data, with its place among the answers.

    Attributes:
        choice: to look at.
        work: the run that answered it.
        number: from one.
        num_clips: of all.
        before / after: keys in links of the clips beside it; None at the ends.
    """

    choice: ClipChoice
    work: OwnWork
    number: int
    num_clips: int
    before: str | None
    after: str | None


class OwnClipError(SentenceError):
    """A clip that cannot be opened, told in one sentence."""


@st.cache_resource(show_spinner=False)
def own_runs() -> OwnRuns:
    """The runs over own data of this server."""
    return OwnRuns()


def answers(of: OwnWork) -> pd.DataFrame:
    """What a prediction gave so far, one row per clip.

    Raises:
        DataError: the table is damaged.
    """
    out = of.answers(own_runs().folder)
    return _answers(out, tuple(map(_stamp, (out, journal_of(out)))))


@st.cache_data(show_spinner=False, max_entries=8)
def _answers(out: Path, stamps: tuple[int, int]) -> pd.DataFrame:
    return read_predictions(out)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def key_in_links(of: OwnWork, key: str) -> str:
    """How links name a clip of a prediction."""
    return f"{OF_DATA}{of.name}:{key}"


def own_clip(link: str) -> OwnClip:
    """The clip that a link names.

    Raises:
        OwnClipError: it is not there.
    """
    name, _, key = link.removeprefix(OF_DATA).partition(":")
    work = own_runs().known(name)
    if work is None:
        raise OwnClipError(
            "The link names a clip of own data whose results are not here any more; ask about the data again "
            "on the page Own data."
        )
    try:
        table = answers(work) if work.task == PREDICT else _evaluated(work)
    except (DataError, EvaluationError) as error:
        raise OwnClipError(str(error)) from error
    keys = table["key"].tolist()
    if key not in keys:
        raise OwnClipError(f"The run {work.title} has no clip {key}; choose one on the page Own data.")
    place = keys.index(key)
    row = table.iloc[place]
    root = folder_of(work.data)
    if not row["path"] or not _is_inside(root / row["path"], root):
        raise OwnClipError(f"The clip {key} has no file inside {root}, so it cannot be opened.")
    return OwnClip(
        choice=ClipChoice(
            key=link,
            title=key,
            path=root / row["path"],
            label=row["label"] or None,
            transcript=row["transcript"] if row["transcript_source"] == GIVEN else None,
            speaker=row["speaker"],
            start_seconds=_seconds(row["start_seconds"]),
            end_seconds=_seconds(row["end_seconds"]),
            region=row["region"] or None,
        ),
        work=work,
        number=place + 1,
        num_clips=len(keys),
        before=key_in_links(work, keys[place - 1]) if place else None,
        after=key_in_links(work, keys[place + 1]) if place + 1 < len(keys) else None,
    )


def link_of_evaluated(evaluation: Path, key: str) -> str | None:
    """How links name a clip of an evaluation of own data; None for an evaluation of other data."""
    runs = own_runs()
    work = runs.known(evaluation.parent.name) if evaluation.parent.parent == runs.folder.resolve() else None
    return None if work is None else key_in_links(work, key)


def _evaluated(of: OwnWork) -> pd.DataFrame:
    """The clips of an evaluation with the columns of a table of answers that opening them takes."""
    evaluation = opened(of.evaluation(own_runs().folder)).evaluation
    texts = ["key", "path", "label", "transcript", "speaker", "region"]
    table = evaluation.predictions[[*texts, "start_seconds", "end_seconds"]].copy()
    table[texts] = table[texts].fillna("")
    root = folder_of(of.data)
    # clips that ship are named from elsewhere
    table["path"] = [
        "" if (path := evaluation.find_media(name)) is None else os.path.relpath(path, root)
        for name in table["path"]
    ]
    # it reads the words that the data give, and no others
    table["transcript_source"] = GIVEN
    return table


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):  # a null byte, too long a name, links in a circle
        return False


def _seconds(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
