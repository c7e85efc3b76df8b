"""The report button of the Failures and Compare pages in Streamlit's own test runner."""

import pytest
from streamlit.testing.v1 import AppTest

from app import evaluations, folders, launch
from app.views.report_box import MADE
from tests.app.test_report import TOLD, TRUTH
from tests.made_evaluations import made_evaluation

SCREENS = launch.MAIN.parent / "screens"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(evaluations, "SHIPPED_EVALUATIONS", folder)
    evaluations._given.clear()
    evaluations.thumbnails.clear()
    made_evaluation(TRUTH, TOLD, folder).write(folder / "a-test")
    made_evaluation(TRUTH, TRUTH, folder, checkpoint="second").write(folder / "b-test")
    return folder


def page(name: str) -> AppTest:
    return AppTest.from_file(SCREENS / f"{name}.py", default_timeout=120).run()


def content(test) -> str:
    return test.session_state[MADE][1].decode("utf-8")


def test_nothing_is_made_before_it_is_asked_for(shipped):
    test = page("failures")
    assert not test.exception and MADE not in test.session_state
    assert not test.get("download_button") and test.button(key="make-report")


def test_failures_gives_a_report_of_its_evaluation(shipped):
    test = page("failures")
    test.button(key="make-report").click().run()
    assert not test.exception
    [download] = test.get("download_button")
    assert download.proto.label == f"Download ({len(content(test).encode()) / 1e3:,.0f} kB)"
    assert "<h1>first on clips, split test</h1>" in content(test) and "“words 2”" in content(test)
    assert "Against other evaluations" not in content(test)
    # a report with other choices, or of another evaluation, is another report
    test.toggle(key="report-words").set_value(False).run()
    assert not test.get("download_button")
    test.button(key="make-report").click().run()
    assert "“words 2”" not in content(test) and test.get("download_button")
    test.selectbox(key="evaluation-picker").set_value("b-test").run()
    assert not test.exception and not test.get("download_button")


def test_compare_gives_a_report_of_one_against_the_others(shipped):
    made_evaluation(TRUTH, TOLD, shipped, checkpoint="third").write(shipped / "c-test")
    test = page("compare")
    choice = test.selectbox(key="report-of-b-test")
    assert choice.options == ["a-test", "b-test", "c-test"] and choice.value == "b-test"
    assert any(
        "Held against a\\-test\\, c\\-test\\: differences are b\\-test less the other" in caption.value
        for caption in test.caption
    )
    test.button(key="make-report").click().run()
    assert not test.exception
    assert "<h1>second on clips, split test</h1>" in content(test)
    assert "Against a-test</h3>" in content(test) and "Against c-test</h3>" in content(test)
    test.selectbox(key="report-of-b-test").set_value("c-test").run()
    assert not test.get("download_button")
    test.button(key="make-report").click().run()
    assert "Against b-test</h3>" in content(test)


def test_one_evaluation_alone_has_nothing_to_be_compared_with(shipped):
    test = AppTest.from_file(SCREENS / "compare.py", default_timeout=120)
    test.query_params["evaluations"] = "a-test"
    test.run()
    assert not test.exception
    assert not [button for button in test.button if button.key == "make-report"]
