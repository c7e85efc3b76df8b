"""A page's view: one frozen value in the session, mirrored in the address so that a link restores it."""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar

import streamlit as st


class Linkable(Protocol):
    """What a page shows, as the parameters of a link and back."""

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> Self:
        """Reads a link's parameters; what cannot be meant is left out."""

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""


View = TypeVar("View", bound=Linkable)

_PAGE, _ENTERED = "page-shown", "is-page-entered"


def enter(page: str) -> None:
    """Tells which page is about to be drawn, so that its view knows whether it was turned to."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        # until the view has read it: a run may break off before
        st.session_state[_ENTERED] = True


class Linked(Generic[View]):
    """The current view of one page in this session.

    Args:
        page: tells the pages' views apart.
        kind: the view's class; without arguments it makes the view of a first visit.
    """

    def __init__(self, page: str, kind: type[View]) -> None:
        self._kind = kind
        self._view, self._link, self._changed = f"{page}-view", f"{page}-link", f"{page}-changed-here"

    def current(self) -> View:
        """The view."""
        return st.session_state.setdefault(self._view, self._kind())

    def put(self, view: View, *, is_change: bool) -> None:
        """Replaces the view.

        Args:
            view: the new one.
            is_change: made by the person, and so newer than the address.
        """
        st.session_state[self._view] = view
        if is_change:
            st.session_state[self._changed] = True

    def adopt_link(self) -> None:
        """Takes over the link at the start of a session, and after the browser's back and forward buttons.

        Not after a change made on the page: a quick click comes with the address of before the last one. An
        address without parameters is what turning to another page leaves, and the view stays as it was; on
        the page itself it is that of a first visit.
        """
        parameters = st.query_params.to_dict()
        is_entered = st.session_state.pop(_ENTERED, False)
        if is_entered:
            st.session_state.pop(self._changed, None)
        if st.session_state.get(self._changed) or parameters == st.session_state.get(self._link):
            return
        st.session_state[self._link] = parameters
        if parameters or not is_entered or self._view not in st.session_state:
            st.session_state[self._view] = self._kind.from_link(parameters)

    def publish_link(self) -> None:
        """Writes the view into the address bar."""
        st.session_state.pop(self._changed, None)
        parameters = self.current().to_link()
        if parameters != st.query_params.to_dict():
            st.query_params.from_dict(parameters)
        st.session_state[self._link] = parameters
