"""Clips of evaluations on the Clip page: the links to their explanation, and what such a link names.

Sample clips lie on the shelf there, and clips of own data beside their neighbours. Every other clip is named
by its evaluation and its key; only files that the evaluation may show are ever opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

import pandas as pd
import streamlit as st

from app import checkpoints, evaluations, resources, summaries
from app.clips import OF_EVALUATION, ClipChoice, shipped_clips
from app.data_clip import to_samples
from app.evaluations import Opened
from app.own_answers import link_of_evaluated
from app.views.markup import plain
from core.evaluation import EvaluationError
from sample_data import CLIPS, is_shipped

CLIP_PAGE = Path(__file__).parent / "screens" / "clip.py"
FAILURES_PAGE = Path(__file__).parent / "screens" / "failures.py"
TO_EXPLANATION = "See why, on the Clip page"


def to_explanation(
    of: Opened, row: int, *, label: str = TO_EXPLANATION, needs_checkpoint: bool = False
) -> None:
    """Draws a link to a clip with its explanation; nothing where its file is not at hand.

    Args:
        of: the evaluation, whose checkpoint is to answer if it is installed.
        row: of the clip.
        label: of the link.
        needs_checkpoint: no link where another checkpoint would answer.
    """
    link, info = clip_link(of, row), of.evaluation.info
    if link is None:
        return
    # another checkpoint may have the name
    installed = checkpoints.checkpoints().get(info.checkpoint)
    is_known = summaries.known_summary(installed, info.checkpoint_sha256) is not None
    if is_known or not needs_checkpoint:
        parameters = {"clip": link} | ({"checkpoint": info.checkpoint} if is_known else {})
        st.page_link(CLIP_PAGE, label=label, icon=":material/movie:", query_params=parameters)


def clip_link(of: Opened, row: int) -> str | None:
    """How links name a clip of an evaluation; None where its file is not at hand."""
    path, key = evaluations.media_of(of.evaluation, row), str(of.evaluation.predictions["key"].iat[row])
    if path is None:
        return None
    is_whole = _is_whole(of.evaluation.predictions.iloc[row])
    shelved = next((clip.key for clip in resources.clips() if is_whole and clip.path == path), None)
    if (link := shelved or link_of_evaluated(of.folder, key)) is not None:
        return link
    name = next((name for name, folder in evaluations.evaluations().items() if folder == of.folder), None)
    return None if name is None else f"{OF_EVALUATION}{quote(name, safe='')}:{key}"


def evaluated_clip(link: str, *, on_pick: Callable[[str | None], None]) -> ClipChoice | None:
    """Draws which clip of which evaluation a link names, and the ways back; None where it is not there.

    Args:
        link: the clip's key.
        on_pick: takes the key of another clip, None for one on the shelf.
    """
    name, key = _parts(link)
    with st.container(key="source"):
        choice = refusal = None
        try:
            choice = _named(link)
        except EvaluationError as error:
            refusal = str(error)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if refusal:
                st.warning(plain(refusal), icon=":material/link_off:")
            else:
                told = f"<b>{escape(key)}</b>: a clip of the evaluation {escape(name)}"
                st.html(f'<span class="own-name">{told}</span>', width="content")
                st.page_link(
                    FAILURES_PAGE,
                    label="On the Failures page",
                    icon=":material/rule:",
                    query_params={"evaluation": name, "open": key},
                )
            to_samples(on_pick)
    return choice


def is_of_shipped_file(link: str) -> bool:
    """Whether the clip that a link names is, or is a span of, one that ships; True where it is not there."""
    try:
        return is_shipped(_named(link).path)
    except EvaluationError:
        return True


def _parts(link: str) -> tuple[str, str]:
    """The evaluation and the key of the clip that a link names."""
    name, _, key = link.removeprefix(OF_EVALUATION).partition(":")
    return unquote(name), key


def _named(link: str) -> ClipChoice:
    """The clip of a link. Raises EvaluationError where it is not there."""
    name, key = _parts(link)
    folder = evaluations.evaluations().get(name)
    if folder is None:
        raise EvaluationError(
            f"The link’s clip is of the evaluation {name}, which is not here; open it on the page Failures."
        )
    evaluation = evaluations.opened(folder).evaluation
    rows = (evaluation.predictions["key"] == key).to_numpy().nonzero()[0]
    if not len(rows):
        raise EvaluationError(f"The evaluation {name} has no clip {key}; choose one on the page Failures.")
    row = evaluation.predictions.iloc[int(rows[0])]
    path = evaluations.media_of(evaluation, int(rows[0]))
    if path is None:
        raise EvaluationError(f"The file of the clip {key} is not at hand, so there is nothing to explain.")
    if is_shipped(path) and _is_whole(row) and (made := _shipped(path)) is not None:
        return made
    has_words = evaluation.predictions["transcript"].notna().any()
    return ClipChoice(
        key=link,
        title=key,
        path=path,
        label=_text(row, "label") or None,
        # evaluations may be passed on without words; then they are recognised
        transcript=_text(row, "transcript") if has_words else None,
        speaker=_text(row, "speaker"),
        start_seconds=_seconds(row, "start_seconds"),
        end_seconds=_seconds(row, "end_seconds"),
        region=_text(row, "region") or None,
    )


def _is_whole(row: pd.Series) -> bool:
    """Whether a row is about all of its file, and not a span or a half of the picture."""
    bounds = _seconds(row, "start_seconds"), _seconds(row, "end_seconds")
    return bounds == (None, None) and not _text(row, "region")


def _text(row: pd.Series, column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else ""


def _seconds(row: pd.Series, column: str) -> float | None:
    return None if pd.isna(row[column]) else float(row[column])


@st.cache_data(show_spinner=False, max_entries=200)
def _shipped(path: Path) -> ClipChoice | None:
    """A made clip that ships, with all that is known of it; None for a file that no manifest names."""
    part = CLIPS / Path(os.path.relpath(path, CLIPS.resolve())).parts[0]
    return next((clip for clip in shipped_clips(part) if clip.path == path), None)
