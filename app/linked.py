"""A page's view: one frozen value in the session, mirrored in the address so that a link restores it.

Which checkpoint, and which evaluation, is looked at is one choice for the pages that ask for it: it is
carried along when another page is turned to, and stands in that page's address from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, Self, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


class Linkable(Protocol):
    """What a page shows, as the parameters of a link and back."""

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> Self:
        """Reads a link's parameters; what cannot be meant is left out."""

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""

    def changed(self, **changes) -> Self:
        """The view with some attributes changed, and without what belonged to those before."""


View = TypeVar("View", bound=Linkable)

_PAGE, _ENTERED, _SHARED, _SHOWN = "page-shown", "is-page-entered", "chosen-", "mark-of-page-shown"

_NUM_BEFORE = 20
"""Addresses of before that are known again."""


def enter(page: str) -> None:
    """Tells which page is about to be drawn, so that its view knows whether it was turned to."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        # until the view has read it: a run may break off before
        st.session_state[_ENTERED] = True


def is_entered() -> bool:
    """Whether the page was turned to, as long as its view has not read its link."""
    return bool(st.session_state.get(_ENTERED))


def keep_shown() -> None:
    """Keeps the view of the page that is shown, as `Linked.keep` does, after a click that changes no view."""
    if (mark := st.session_state.get(_SHOWN)) is not None:
        st.session_state[mark] = True


def is_from_history() -> bool:
    """Whether the browser's back or forward button has the page drawn."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


class Linked(Generic[View]):
    """The current view of one page in this session.

    Args:
        page: tells the pages' views apart.
        kind: the view's class; without arguments it makes the view of a first visit.
        shared: attributes of the view that are one choice with those of the same name on other pages.
    """

    def __init__(self, page: str, kind: type[View], shared: Sequence[str] = ()) -> None:
        self._kind, self._shared = kind, tuple(shared)
        self._view, self._link, self._changed = f"{page}-view", f"{page}-link", f"{page}-changed-here"
        self._before = f"{page}-links-before"

    def current(self) -> View:
        """The view."""
        return st.session_state.setdefault(self._view, self._kind())

    def put(self, view: View, *, is_change: bool) -> None:
        """Replaces the view.

        Args:
            view: the new one.
            is_change: made by the person, and so newer than the address.
        """
        before = self.current()
        st.session_state[self._view] = view
        if is_change:
            st.session_state[self._changed] = True
            self._share(name for name in self._shared if getattr(view, name) != getattr(before, name))

    def update(self, **changes) -> None:
        """Changes the view as the person did."""
        self.put(self.current().changed(**changes), is_change=True)

    def keep(self) -> None:
        """Keeps the view over the next run of the page, whose address may be of before the last click."""
        self.put(self.current(), is_change=True)

    def adopt_link(self) -> None:
        """Takes over the link at the start of a session, and after the browser's back and forward buttons.

        Not after a change made on the page: a quick click comes with the address of before the last one. Nor
        where the address is one of before and neither button was used: a slow browser asks with it, also by
        itself, until it has heard of the new one. An address without parameters is what turning to another
        page leaves, and the view stays as it was but for what was chosen elsewhere since; on the page itself
        it is that of a first visit.
        """
        st.session_state[_SHOWN] = self._changed
        parameters = st.query_params.to_dict()
        is_entered = st.session_state.pop(_ENTERED, False)
        if is_entered or is_from_history():
            # what was changed before is what is left
            st.session_state.pop(self._changed, None)
        if is_entered and not parameters:
            self._put_link(parameters)
            self._take_shared()
        elif not st.session_state.get(self._changed):
            # none at all is also what the page's own link in the navigation leads to
            is_of_before = bool(parameters) and parameters in st.session_state.get(self._before, ())
            is_meant = is_entered or is_from_history() or not is_of_before
            if parameters != st.session_state.get(self._link) and is_meant:
                self._put_link(parameters)
                st.session_state[self._view] = self._kind.from_link(parameters)
            self._share(self._shared)

    def _take_shared(self) -> None:
        known = [name for name in self._shared if _SHARED + name in st.session_state]
        elsewhere = {name: st.session_state[_SHARED + name] for name in known}
        if any(getattr(self.current(), name) != value for name, value in elsewhere.items()):
            st.session_state[self._view] = self.current().changed(**elsewhere)

    def _share(self, names: Iterable[str]) -> None:
        for name in names:
            st.session_state[_SHARED + name] = getattr(self.current(), name)

    def publish_link(self) -> None:
        """Writes the view into the address bar."""
        st.session_state.pop(self._changed, None)
        parameters = self.current().to_link()
        if parameters != st.query_params.to_dict():
            st.query_params.from_dict(parameters)
        self._put_link(parameters)

    def _put_link(self, parameters: dict[str, str]) -> None:
        """Writes down the address that belongs to the view."""
        others = [known for known in st.session_state.get(self._before, ()) if known != parameters]
        st.session_state[self._before] = (*others, parameters)[-_NUM_BEFORE:]
        st.session_state[self._link] = parameters
