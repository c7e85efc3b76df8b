"""One evaluation, and one checkpoint, is looked at on all pages: carried along, and in every address."""

import pytest
from streamlit.testing.v1 import AppTest

from app import checkpoints, evaluations, folders, launch
from app.compare_state import CompareView
from app.training_runs import trained_evaluations
from tests.made_evaluations import made_evaluation

LABELS = ["fear", "joy", "anger"] * 8
TOLD = {"a-test": "joy", "b-test": "fear", "c-test": "anger"}


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(evaluations, "SHIPPED_EVALUATIONS", tmp_path / "shipped")
    evaluations._given.clear()
    assert trained_evaluations() == ()
    clips = tmp_path / "clips"
    clips.mkdir()
    for name, says in TOLD.items():
        # the last is of other clips
        data = {"data_sha256": "e" * 64, "data": "others"} if name == "c-test" else {}
        one = made_evaluation(LABELS, [says] * len(LABELS), clips, checkpoint=name[0], **data)
        one.write(tmp_path / "shipped" / name)
    return AppTest.from_file(launch.MAIN, default_timeout=60)


def turn(test, page: str, **parameters: str):
    """Turns to a page: by the navigation, which empties the address, or by a link."""
    test.switch_page(f"screens/{page}.py")
    test.query_params = parameters
    test.run()
    assert not test.exception, test.exception
    return test


def link_of(test) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in test.query_params.items()}


def picker(test, label: str):
    return next(box for box in test.selectbox if box.label == label)


def chosen_on(test) -> str:
    return picker(test, "Evaluation").value


def compared(test) -> list[str]:
    return test.multiselect(key="compare-picker").value


def test_an_evaluation_is_carried_along(app):
    turn(app, "embeddings")
    assert chosen_on(app) == "a-test" and link_of(app) == {}
    turn(app, "failures")
    picker(app, "Evaluation").set_value("b-test").run()
    assert link_of(app) == {"evaluation": "b-test"}
    # seen before, as it was at first
    turn(app, "embeddings")
    assert chosen_on(app) == "b-test" and link_of(app) == {"evaluation": "b-test"}
    turn(app, "compare")
    assert compared(app) == ["b-test", "a-test"] and link_of(app) == {"evaluation": "b-test"}
    turn(app, "embeddings")
    picker(app, "Evaluation").set_value("c-test").run()
    turn(app, "failures")
    assert chosen_on(app) == "c-test"


def test_a_comparison_that_holds_the_evaluation_stays(app):
    turn(app, "compare")
    app.multiselect(key="compare-picker").set_value(["b-test", "a-test"]).run()
    assert link_of(app) == {"evaluations": "b-test,a-test"}
    # what the others are held against is what other pages show
    turn(app, "failures")
    assert chosen_on(app) == "b-test"
    picker(app, "Evaluation").set_value("a-test").run()
    turn(app, "compare")
    assert compared(app) == ["b-test", "a-test"] and link_of(app) == {"evaluations": "b-test,a-test"}
    # one of other clips begins another comparison, and has none
    turn(app, "failures", evaluation="c-test")
    turn(app, "compare")
    assert compared(app) == ["c-test"] and link_of(app) == {"evaluation": "c-test"}
    # taking all away is a choice, too
    app.multiselect(key="compare-picker").set_value([]).run()
    turn(app, "failures")
    turn(app, "compare")
    assert compared(app) == [] and link_of(app) == {"evaluations": ""}


def test_a_link_says_what_it_says(app):
    turn(app, "failures", evaluation="b-test", emotion="joy")
    turn(app, "embeddings", evaluation="a-test")
    assert chosen_on(app) == "a-test"
    # also where it leads back, and where it names none
    turn(app, "failures", emotion="joy")
    assert chosen_on(app) == "a-test" and link_of(app) == {"emotion": "joy"}
    turn(app, "compare", evaluation="gone")
    assert "gone, which is not here" in app.warning[0].value
    assert compared(app) == ["a-test", "b-test"]


def test_a_checkpoint_is_carried_along(app, tmp_path, monkeypatch):
    # what cannot be opened is chosen all the same, and no model is needed
    monkeypatch.setattr(checkpoints, "checkpoints", lambda: {"first": tmp_path, "second": tmp_path})
    turn(app, "learn")
    picker(app, "Checkpoint").set_value("second").run()
    turn(app, "clip", clip="none")
    assert picker(app, "Checkpoint").value == "first"
    turn(app, "learn")
    assert picker(app, "Checkpoint").value == "first"
    picker(app, "Checkpoint").set_value("second").run()
    turn(app, "clip")
    assert picker(app, "Checkpoint").value == "second"
    assert link_of(app)["checkpoint"] == "second"


@pytest.mark.parametrize(
    "view", [CompareView(evaluation="b, c"), CompareView(evaluation="b", evaluations=("b", "c"))]
)
def test_a_comparison_s_link_round_trips(view):
    assert CompareView.from_link(view.to_link()) == view
