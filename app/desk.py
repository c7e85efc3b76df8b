"""The desk: one worker computes what the sessions' pages are waiting for, one order after another.

A page says what it wants, most wanted first, and is told at once what is known of it. Ten sessions do not
compute against each other: one thread serves them all, by turns, and always what a session said last. What no
session wants any more is cancelled, whether it waits or is being computed. Nothing here knows what an order
is about.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.attribution.results import ExplanationCancelledError
from core.attribution.subject import Cancelled
from core.media import MediaError

LEASE_SECONDS = 90.0
"""A page that waits asks every second or so, and every minute where its tab is hidden. One that has not asked
for this long was closed or left."""

NUM_KEPT = 96
"""Finished replies that a seat keeps: a clip has about ten parts, and edits come and go."""

Progress = Callable[[float], None]
"""Told which share of an order is done, 0 … 1."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """Something to compute.

    Attributes:
        key: equal keys are one and the same order, whoever wants it.
        what: what is being done, in a few words: "explaining the frames".
        work: does it; asks its first argument now and then whether to go on, and raises
            `ExplanationCancelledError` if not.
    """

    key: Hashable
    what: str
    work: Callable[[Cancelled, Progress], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reply:
    """What is known of an order.

    Attributes:
        value: what came of it, None while it is awaited or where it failed.
        error: why it failed, in a sentence; "" where it did not.
        share: how much of it is done, 0 … 1; None while it has not begun.
    """

    value: object = None
    error: str = ""
    share: float | None = None

    @property
    def is_awaited(self) -> bool:
        """It is neither there nor failed."""
        return self.value is None and not self.error


@dataclass(eq=False)
class Seat:
    """One session at the desk. Made by `Desk.seat`.

    Attributes:
        wanted: open orders, most wanted first.
        replies: finished ones, the latest used last.
        num_arrived: how many replies came so far; a page that has drawn fewer is out of date.
        asked_at: when its page last asked, on the monotonic clock.
        served_at: when an order was last begun for it.
    """

    wanted: dict[Hashable, Order] = field(default_factory=dict)
    replies: OrderedDict[Hashable, Reply] = field(default_factory=OrderedDict)
    num_arrived: int = 0
    asked_at: float = 0.0
    served_at: float = 0.0


class Desk:
    """Takes orders from all sessions and has one worker do them.

    Args:
        lease_seconds: after so long without a word from a session it wants nothing.
        at_rest: called by the worker after an order, where nothing more waits.
    """

    def __init__(
        self, lease_seconds: float = LEASE_SECONDS, at_rest: Callable[[], None] = lambda: None
    ) -> None:
        self._lease_seconds = lease_seconds
        self._at_rest = at_rest
        self._seats: list[Seat] = []
        self._state = threading.Condition()
        self._worker: threading.Thread | None = None
        self._current: Order | None = None
        self._share: float | None = None
        self._num_interrupting = 0

    def seat(self) -> Seat:
        """A seat for a session, to be given to `leave` when it ends."""
        seat = Seat()
        with self._state:
            self._seats.append(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """Ends a session: nothing is wanted for it any more, and what came for it is forgotten."""
        with self._state:
            self._seats = [one for one in self._seats if one is not seat]
        self.forget(seat)

    def forget(self, seat: Seat) -> None:
        """Cancels what a session wants, and forgets what came for it."""
        with self._state:
            seat.wanted = {}
            seat.replies.clear()

    def ask(self, seat: Seat, orders: Sequence[Order]) -> dict[Hashable, Reply]:
        """Says all that a session wants now, most wanted first; whatever else it wanted is cancelled.

        Returns:
            A reply for every order, by key; those that are awaited are worth asking for again.
        """
        with self._state:
            # what failed is tried again once it was not wanted for a while
            keys = {order.key for order in orders}
            for key in [key for key, reply in seat.replies.items() if reply.error and key not in keys]:
                del seat.replies[key]
            seat.wanted = {order.key: order for order in orders if order.key not in seat.replies}
            seat.asked_at = time.monotonic()
            if seat.wanted:
                self._start()
            self._state.notify_all()
            return {order.key: self._reply(seat, order.key) for order in orders}

    def retry(self, seat: Seat, key: Hashable) -> None:
        """Forgets that an order failed, so that it is done when it is asked for again."""
        with self._state:
            if key in seat.replies and seat.replies[key].error:
                del seat.replies[key]

    def look(self, seat: Seat) -> tuple[int, str, float]:
        """Renews a session's interest in what it wants.

        Returns:
            How many replies came for it so far; what is being done for it, "" where the worker is busy for
            others; and which share of that is done.
        """
        with self._state:
            seat.asked_at = time.monotonic()
            if self._current is None or self._current.key not in seat.wanted:
                return seat.num_arrived, "", 0.0
            return seat.num_arrived, self._current.what, self._share or 0.0

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """While a page itself needs the machine: the worker rests after the batch that it is at."""
        with self._state:
            self._num_interrupting += 1
        try:
            yield
        finally:
            with self._state:
                self._num_interrupting -= 1
                self._state.notify_all()

    def _reply(self, seat: Seat, key: Hashable) -> Reply:
        if key in seat.replies:
            seat.replies.move_to_end(key)
            return seat.replies[key]
        is_current = self._current is not None and self._current.key == key
        return Reply(share=self._share if is_current else None)

    def _start(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._run, name="desk", daemon=True)
            self._worker.start()

    def _run(self) -> None:
        while True:
            with self._state:
                while (order := self._next()) is None:
                    self._state.wait(timeout=1.0)
                self._current, self._share = order, 0.0
            reply = self._done(order)
            with self._state:
                self._current = self._share = None
                if reply is not None:
                    self._deliver(order, reply)
                is_at_rest = not self._waiting()
            if is_at_rest:
                self._rest()

    def _rest(self) -> None:
        try:
            self._at_rest()
        except Exception:  # as with an order
            logger.exception("desk: at rest")

    def _next(self) -> Order | None:
        """The most wanted order of the session that has waited longest since it was served."""
        if not (waiting := self._waiting()):
            return None
        seat = min(waiting, key=lambda one: one.served_at)
        seat.served_at = time.monotonic()
        return next(iter(seat.wanted.values()))

    def _waiting(self) -> list[Seat]:
        return [seat for seat in self._seats if seat.wanted and self._is_there(seat)]

    def _done(self, order: Order) -> Reply | None:
        """What came of an order; None if it was cancelled."""
        try:
            value = order.work(lambda: self._is_cancelled(order), self._tell)
        except ExplanationCancelledError:
            return None
        except MediaError as error:
            return Reply(error=str(error))
        # the worker must outlive whatever goes wrong with one order
        except Exception:
            logger.exception("desk: %s", order.what)
            return Reply(error=f"{order.what.capitalize()} failed; the app's log says why.")
        return Reply(value=value, share=1.0)

    def _deliver(self, order: Order, reply: Reply) -> None:
        for seat in self._seats:
            if seat.wanted.pop(order.key, None) is not None:
                seat.replies[order.key] = reply
                seat.num_arrived += 1
                while len(seat.replies) > NUM_KEPT:
                    seat.replies.popitem(last=False)

    def _is_there(self, seat: Seat) -> bool:
        return time.monotonic() - seat.asked_at < self._lease_seconds

    def _is_cancelled(self, order: Order) -> bool:
        """Asked by the worker between batches: where it rests while a page needs the machine."""
        with self._state:
            while self._num_interrupting:
                self._state.wait(timeout=1.0)
            return not any(order.key in seat.wanted and self._is_there(seat) for seat in self._seats)

    def _tell(self, share: float) -> None:
        with self._state:
            self._share = share
