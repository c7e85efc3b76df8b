"""A report of what a page shows: made when it is asked for, then to be downloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app.views.markup import plain

MADE = "report-made"
"""Where a session keeps the last report it made, with what it is of."""

Make = Callable[[str, bool, bool, Callable[[float, str], None]], str]
"""Makes a page of HTML from the subject's name, whether with pictures and with words, and progress."""


def report_box(names: Sequence[str], *, first: str, of: object, on_make: Make) -> None:
    """Draws a button that opens the choices of a report, and makes and offers it there.

    Args:
        names: of the evaluations: a report is of one and holds it against all others.
        first: the one that is offered at first.
        of: whatever changes when another report would result; with it an old one is no longer offered.
        on_make: is called when a report is wanted.
    """
    with st.popover("Report", icon=":material/description:"):
        _choices(tuple(names), first, of, on_make)


@st.fragment
def _choices(names: tuple[str, ...], first: str, of: object, on_make: Make) -> None:
    name = first
    st.markdown(
        "Figures with their intervals, failures, limits and how to make it all again, on one page to attach "
        "to a paper or to print."
    )
    if len(names) > 1:
        name = st.selectbox("Report of", names, index=names.index(first), key=f"report-of-{first}")
        against = ", ".join(other for other in names if other != name)
        st.caption(plain(f"Held against {against}: differences are {name} less the other."))
    has_pictures = st.toggle("Pictures of mistakes", value=True, key="report-pictures")
    has_words = st.toggle("Words of mistakes", value=True, key="report-words")
    st.caption("Leave them out where the licence of the data, or the people shown, do not allow it.")
    asked = (of, name, has_pictures, has_words)
    if st.button("Make the report", icon=":material/description:", key="make-report"):
        bar = st.progress(0.0, "Beginning …")
        page = on_make(name, has_pictures, has_words, lambda share, text: bar.progress(share, plain(text)))
        bar.empty()
        st.session_state[MADE] = (asked, page.encode("utf-8"))
    known, content = st.session_state.get(MADE, (None, b""))
    if known == asked:
        st.download_button(
            f"Download ({len(content) / 1e3:,.0f} kB)",
            data=content,
            file_name=f"{name.replace('/', '-')}-report.html",
            mime="text/html",
            icon=":material/download:",
            type="primary",
            key="download-report",
            on_click="ignore",
        )
        st.caption("One HTML file that needs no network. Open it in a browser; print it to get a PDF.")
