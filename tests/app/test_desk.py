"""The desk on orders that wait for the test: who is served when, and what is cancelled."""

import threading
import time

import pytest

from app.desk import Desk, Order
from core.attribution.results import ExplanationCancelledError
from core.media import MediaError

PATIENCE_SECONDS = 20.0


class Work:
    """An order that goes on until the test lets it end; records what happens in `log`."""

    def __init__(self, name: str, log: list[str], *, is_held: bool = False):
        self.name, self.log = name, log
        self.may_end = threading.Event()
        self.has_begun = threading.Event()
        if not is_held:
            self.may_end.set()
        self.order = Order(key=name, what=f"doing {name}", work=self._work)

    def _work(self, cancelled, progress):
        self.log.append(f"begin {self.name}")
        progress(0.5)
        self.has_begun.set()
        while not self.may_end.wait(0.005):
            if cancelled():
                self.log.append(f"cancel {self.name}")
                raise ExplanationCancelledError
        self.log.append(f"end {self.name}")
        return f"value of {self.name}"


@pytest.fixture
def log():
    return []


def wait_for(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def arrived(desk, seat, *works):
    """Asks until all is there."""
    orders = [work.order for work in works]
    wait_for(lambda: not any(reply.is_awaited for reply in desk.ask(seat, orders).values()))
    return desk.ask(seat, orders)


def test_the_worker_rests_once_nothing_more_waits(log):
    desk = Desk(at_rest=lambda: log.append("at rest"))
    seat = desk.seat()
    works = [Work(name, log) for name in "ab"]
    arrived(desk, seat, *works)
    wait_for(lambda: "at rest" in log)
    arrived(desk, seat, Work("c", log))
    wait_for(lambda: log[-1] == "at rest")
    assert log == [
        "begin a",
        "end a",
        "begin b",
        "end b",
        "at rest",
        "begin c",
        "end c",
        "at rest",
    ]


def test_orders_are_done_in_their_order_and_one_at_a_time(log):
    desk = Desk()
    seat = desk.seat()
    works = [Work(name, log) for name in "abc"]
    first = desk.ask(seat, [work.order for work in works])
    assert [reply.is_awaited for reply in first.values()] == [True] * 3
    found = arrived(desk, seat, *works)
    assert [reply.value for reply in found.values()] == ["value of a", "value of b", "value of c"]
    assert log == [f"{what} {name}" for name in "abc" for what in ("begin", "end")]
    assert desk.look(seat) == (3, "", 0.0)


def test_what_is_done_is_told_while_it_is_done(log):
    desk = Desk()
    seat, other = desk.seat(), desk.seat()
    held = Work("a", log, is_held=True)
    desk.ask(seat, [held.order])
    assert held.has_begun.wait(PATIENCE_SECONDS)
    assert desk.look(seat) == (0, "doing a", 0.5)
    assert desk.ask(seat, [held.order])["a"].share == 0.5
    assert desk.look(other) == (0, "", 0.0)
    held.may_end.set()
    arrived(desk, seat, held)


def test_other_wishes_cancel_what_is_being_done_and_what_waits(log):
    desk = Desk()
    seat = desk.seat()
    held, waiting, new = Work("old", log, is_held=True), Work("waiting", log), Work("new", log)
    desk.ask(seat, [held.order, waiting.order])
    assert held.has_begun.wait(PATIENCE_SECONDS)
    arrived(desk, seat, new)
    assert log == ["begin old", "cancel old", "begin new", "end new"]


def test_what_another_session_wants_too_goes_on(log):
    desk = Desk()
    one, two = desk.seat(), desk.seat()
    shared = Work("shared", log, is_held=True)
    desk.ask(one, [shared.order])
    assert shared.has_begun.wait(PATIENCE_SECONDS)
    desk.ask(two, [shared.order])
    desk.leave(one)
    time.sleep(0.1)  # time to notice, if it did
    shared.may_end.set()
    assert arrived(desk, two, shared)["shared"].value == "value of shared"
    # computed once for both
    assert log == ["begin shared", "end shared"]


def test_sessions_are_served_by_turns(log):
    desk = Desk()
    one, two = desk.seat(), desk.seat()
    gate = Work("gate", log, is_held=True)
    mine = [Work(f"one {number}", log) for number in range(3)]
    desk.ask(one, [gate.order, *(work.order for work in mine)])
    assert gate.has_begun.wait(PATIENCE_SECONDS)
    yours = Work("two", log)
    desk.ask(two, [yours.order])
    gate.may_end.set()
    arrived(desk, one, gate, *mine)
    begun = [line for line in log if line.startswith("begin")]
    assert begun == ["begin gate", "begin two", "begin one 0", "begin one 1", "begin one 2"]


def test_leaving_cancels(log):
    desk = Desk()
    seat = desk.seat()
    held = Work("a", log, is_held=True)
    desk.ask(seat, [held.order])
    assert held.has_begun.wait(PATIENCE_SECONDS)
    desk.leave(seat)
    wait_for(lambda: log == ["begin a", "cancel a"])


def test_a_page_that_is_silent_for_long_wants_nothing(log):
    desk = Desk(lease_seconds=0.2)
    seat = desk.seat()
    held = Work("a", log, is_held=True)
    desk.ask(seat, [held.order])
    for _ in range(10):
        time.sleep(0.05)
        desk.look(seat)  # as a page does that is still there
    assert log == ["begin a"]
    wait_for(lambda: log == ["begin a", "cancel a"])
    held.may_end.set()
    # it comes back, and is served
    assert arrived(desk, seat, held)["a"].value == "value of a"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MediaError("The clip is gone."), "The clip is gone."),
        (RuntimeError("secret"), "Doing b failed; the app's log says why."),
    ],
)
def test_what_fails_says_so_in_a_sentence_and_stops_nobody(log, error, sentence):
    desk = Desk()
    seat = desk.seat()
    num_tries = 0

    def fail(cancelled, progress):
        nonlocal num_tries
        num_tries += 1
        raise error

    failing, good = Order(key="b", what="doing b", work=fail), Work("good", log)
    orders = [failing, good.order]
    wait_for(lambda: not any(reply.is_awaited for reply in desk.ask(seat, orders).values()))
    found = desk.ask(seat, orders)
    assert found["b"].error == sentence and found["b"].value is None
    assert found["good"].value == "value of good"
    assert num_tries == 1
    # looked away from and back at, it is tried again
    desk.ask(seat, [good.order])
    desk.ask(seat, [failing])
    wait_for(lambda: num_tries == 2)
    wait_for(lambda: desk.ask(seat, [failing])["b"].error)
    # and when somebody asks for that; what did not fail stays
    desk.ask(seat, orders)
    wait_for(lambda: not desk.ask(seat, orders)["good"].is_awaited)
    for key in ("b", "good", "unknown"):
        desk.retry(seat, key)
    found = desk.ask(seat, orders)
    assert found["b"].is_awaited and found["good"].value == "value of good"
    wait_for(lambda: num_tries == 3)


def test_the_worker_rests_while_a_page_needs_the_machine():
    desk = Desk()
    seat = desk.seat()
    num_batches, begun = 0, threading.Event()

    def count(cancelled, progress):
        nonlocal num_batches
        while not cancelled():
            num_batches += 1
            begun.set()
            time.sleep(0.002)
        raise ExplanationCancelledError

    desk.ask(seat, [Order(key="a", what="counting", work=count)])
    assert begun.wait(PATIENCE_SECONDS)
    with desk.interrupted():
        time.sleep(0.05)  # the batch that it was at
        before = num_batches
        time.sleep(0.1)
        assert num_batches == before
    wait_for(lambda: num_batches > before)
    desk.leave(seat)


def test_what_is_forgotten_is_computed_anew(log):
    desk = Desk()
    seat = desk.seat()
    work = Work("a", log)
    arrived(desk, seat, work)
    desk.ask(seat, [])
    assert desk.ask(seat, [work.order])["a"].value == "value of a"
    desk.forget(seat)
    assert desk.ask(seat, [work.order])["a"].is_awaited
    arrived(desk, seat, work)
    assert log.count("begin a") == 2
