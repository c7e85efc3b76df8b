"""How long work stands: a sentence, a bar, the last lines of its log, and a button that ends it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def standing(
    told: str,
    *,
    share: float | None,
    said: str = "",
    lines: Sequence[str] = (),
    stop: str = "Stop",
    on_stop=None,
    key: str,
) -> None:
    """Draws one run.

    Args:
        told: how it stands, in Markdown.
        share: how much is done, 0 … 1; None where there is nothing to measure.
        said: beside the bar.
        lines: of the log; () for none.
        stop: what ending it is called.
        on_stop: called without arguments to end it; None where it cannot be ended here.
        key: of the button.
    """
    st.markdown(told)
    if share is not None:
        st.progress(min(max(share, 0.0), 1.0), text=said or None)
    if on_stop is not None:
        st.button(stop, icon=":material/stop:", key=key, on_click=on_stop)
    if lines:
        st.code("\n".join(lines), language=None, wrap_lines=True)
