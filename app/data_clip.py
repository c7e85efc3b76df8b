"""On the Clip page: a clip of one's own data, between the others of the same prediction."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

import streamlit as st

from app import checkpoints
from app.clips import OF_DATA, ClipChoice
from app.own_answers import OwnClip, OwnClipError, own_clip
from app.own_data_state import OwnDataView
from app.own_runs import OwnWork
from app.views.markup import plain

OWN_DATA_PAGE = Path(__file__).parent / "screens" / "own_data.py"


def data_clip(link: str, *, on_pick: Callable[[str | None], None]) -> ClipChoice | None:
    """Draws where the clip is from, and the ways to its neighbours and back; None where it is not there.

    Args:
        link: the clip's key.
        on_pick: takes the key of another clip, None for a shipped one.
    """
    with st.container(key="source"):
        try:
            own = own_clip(link)
        except OwnClipError as error:
            st.warning(plain(str(error)), icon=":material/link_off:")
            to_samples(on_pick)
            return None
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(name_html(own), width="content")
            for label, icon, key in (
                ("Previous", ":material/chevron_left:", own.before),
                ("Next", ":material/chevron_right:", own.after),
            ):
                st.button(
                    label,
                    icon=icon,
                    key=f"data-{label.lower()}",
                    disabled=key is None,
                    on_click=on_pick,
                    args=(key,),
                )
            st.page_link(
                OWN_DATA_PAGE,
                label="Back to your data",
                icon=":material/table_rows:",
                query_params=way_back(own.work, link),
            )
            to_samples(on_pick)
    return own.choice


def name_html(own: OwnClip) -> str:
    """HTML: which clip of which data."""
    span = ""
    if own.choice.start_seconds is not None or own.choice.end_seconds is not None:
        end = own.choice.end_seconds
        span = f", {own.choice.start_seconds or 0:.1f} s to {'the end' if end is None else f'{end:.1f} s'}"
    return (
        f'<span class="own-name"><b>{escape(own.choice.path.name)}</b>{span}: clip {own.number:,} of '
        f"{own.num_clips:,} of your data {escape(own.work.title)}</span>"
    )


def way_back(work: OwnWork, link: str) -> dict[str, str]:
    """The parameters of the Own data page that show the run with this clip chosen."""
    name = next(
        (name for name, folder in checkpoints.checkpoints().items() if folder.resolve() == work.checkpoint),
        None,
    )
    key = link.removeprefix(OF_DATA).partition(":")[2]
    view = OwnDataView(data=str(work.data), checkpoint=name, split=work.split, task=work.task, clip=key)
    return view.to_link()


def to_samples(on_pick: Callable[[str | None], None]) -> None:
    """Draws the way from a clip that is not on the shelf back to those that are."""
    st.button(
        "Sample clips",
        icon=":material/video_library:",
        type="tertiary",
        key="to-samples",
        on_click=on_pick,
        args=(None,),
    )
