import pytest

from app import launch
from app.desk import Desk
from tests.app.test_clip_page import page  # noqa: F401


@pytest.fixture
def numbers_wanted(monkeypatch):
    """How many orders were wanted, each time a page said so."""
    numbers, ask = [], Desk.ask

    def counted(desk, seat, orders):
        numbers.append(len(orders))
        return ask(desk, seat, orders)

    monkeypatch.setattr(Desk, "ask", counted)
    return numbers


@pytest.mark.parametrize(
    ("link", "is_shown"), [({}, True), ({"clip": "gone"}, False), ({"clip": "own"}, False)]
)
def test_a_clip_page_without_a_clip_wants_no_explanations(page, numbers_wanted, link, is_shown):  # noqa: F811
    page.query_params = link
    page.run()
    assert not page.exception
    assert (numbers_wanted[-1] > 0) == is_shown


def test_without_a_model_nothing_is_wanted(page, numbers_wanted, monkeypatch):  # noqa: F811
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE)
    page.run()
    assert numbers_wanted == [0]
    assert "no emotion can be predicted" in page.warning[0].value
