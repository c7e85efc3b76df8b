"""Which checkpoint answers on a page: the one its link names, or the one that fits, and the choice of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app import checkpoints, evaluations
from app.views.header import header, quality
from app.views.markup import plain


@dataclass(frozen=True, kw_only=True)
class Answering:
    """The checkpoint that answers.

    Attributes:
        name: None where none is installed.
        metrics: what is known of its worth, as its metrics.json tells it.
    """

    name: str | None
    metrics: dict


def pick_checkpoint(
    page: str,
    *,
    wanted: str | None,
    on_pick: Callable[[str | None], None],
    ships: bool = True,
    is_presented: bool = False,
) -> Answering:
    """Draws the top of a page with the choice of the checkpoint, and tells which one answers.

    Args:
        page: what it is for, in a few words.
        wanted: name of the checkpoint that was chosen or linked to; one that is not here is told and let go.
        on_pick: takes a name, or None to let it go.
        ships: the clip that is asked about; there is a checkpoint made for those that do not.
        is_presented: in front of a class, where there is no choice.
    """
    folders = checkpoints.checkpoints()
    name = wanted if wanted in folders else checkpoints.first_checkpoint(ships=ships)
    known = {} if name is None else checkpoints.metrics(folders[name])
    if name is not None and "test" not in known:
        known = known | evaluations.shipped_test(folders[name])
    if not is_presented:
        header(page, list(folders), selected=name, worth=quality(known), on_pick=on_pick)
    if name is not None and wanted not in (None, name):
        st.warning(
            f"The link names the checkpoint {plain(wanted)}, which is not here; {plain(name)} answers.",
            icon=":material/link_off:",
        )
        on_pick(None)
    return Answering(name=name, metrics=known)
