"""Clips of evaluations on the Clip clip_page, in Streamlit's own test runner."""

from dataclasses import replace
from urllib.parse import parse_qs, quote

import pytest

from app import checkpoints, evaluations, launch
from app.evaluated_clip import clip_link
from core.evaluation import read_evaluation
from tests.app.conftest import EVIL, is_plain, menu, write_clip
from tests.app.test_clip_page import button, html_of, link_of
from tests.made_evaluations import made_evaluation


@pytest.fixture
def of_mine(tmp_path, request):
    """An evaluation of two clips, of which the first lies there; or is a span of a file."""
    write_clip(tmp_path / "c0.mp4", num_frames=10)
    made = made_evaluation(["fear"] * 2, ["joy"] * 2, tmp_path)
    table = made.predictions.assign(transcript=["<b>Never.</b>", None], speaker=[None, "S1"])
    if (path := getattr(request, "param", None)) is not None:
        table = table.assign(path=path, start_seconds=1.0, end_seconds=2.5)
    folder = replace(made, predictions=table).write(tmp_path / "of-mine")
    evaluations._given.clear()
    assert evaluations.give(folder) == (folder,)
    yield folder
    evaluations._given.clear()


def test_a_made_clip_is_explained_with_how_it_was_made(clip_page):
    clip_page.query_params["clip"] = "evaluation:full-probe:000/p00016.mp4"
    clip_page.run()
    assert not clip_page.exception and not clip_page.error
    said = html_of(clip_page)
    assert "<b>000/p00016.mp4</b>: a clip of the evaluation full-probe" in said
    assert "How this clip was made" in said and "The model says" in said
    (back,) = clip_page.get("page_link")
    assert parse_qs(back.proto.query_string) == {"evaluation": ["full-probe"], "open": ["000/p00016.mp4"]}
    assert link_of(clip_page) == {"clip": "evaluation:full-probe:000/p00016.mp4"}
    button(clip_page, "Sample clips").click().run()
    assert link_of(clip_page) == {"clip": "one"}


def test_a_clip_of_other_data_is_read_as_it_was_there(clip_page, of_mine, predictions):
    clip_page.query_params["clip"] = "evaluation:of-mine:c0.mp4"
    clip_page.run()
    assert not clip_page.exception and not clip_page.error
    said = html_of(clip_page)
    assert "labelled fear" in said and "How this clip was made" not in said
    assert predictions == ["<b>Never.</b>"] and clip_page.text_area[0].value == "<b>Never.</b>"


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("of-mine:c1.mp4", "The file of the clip c1.mp4 is not at hand"),
        ("of-mine:c9.mp4", "The evaluation of-mine has no clip c9.mp4"),
        ("gone:c0.mp4", "of the evaluation gone, which is not here"),
        ("", "which is not here"),
    ],
)
def test_a_link_to_what_is_not_there_says_so_and_offers_the_shelf(clip_page, of_mine, link, told):
    clip_page.query_params["clip"] = f"evaluation:{link}"
    clip_page.run()
    assert not clip_page.exception
    (warning,) = clip_page.warning
    assert told in warning.value.replace("\\", "")
    button(clip_page, "Sample clips").click().run()
    assert link_of(clip_page) == {"clip": "one"} and "The model says" in html_of(clip_page)


def test_names_in_links_are_told_letter_by_letter(clip_page):
    clip_page.query_params["clip"] = f"evaluation:{quote(EVIL, safe='')}:c0"
    clip_page.run()
    assert is_plain(clip_page.warning[0].value)


@pytest.mark.parametrize(
    ("of_mine", "answers"),
    [(None, "everyday"), ("sample_data/clips/demo/000/d00004.mp4", "full")],
    indirect=["of_mine"],
)
def test_whoever_is_real_is_answered_by_the_checkpoint_for_real_clips(
    clip_page, of_mine, answers, checkpoint, monkeypatch
):
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE)
    shipped = dict.fromkeys(("full", "everyday"), checkpoint)
    monkeypatch.setattr(checkpoints, "shipped_checkpoints", lambda: shipped)
    clip_page.query_params["clip"] = "evaluation:of-mine:c0.mp4"
    clip_page.run()
    assert not clip_page.exception
    assert menu(clip_page.selectbox, "checkpoint-picker").value == answers


@pytest.mark.parametrize("of_mine", ["sample_data/clips/demo/000/d00004.mp4"], indirect=True)
def test_a_span_of_a_clip_that_ships_is_that_span_alone(clip_page, of_mine):
    clip_page.query_params["clip"] = "evaluation:of-mine:c0.mp4"
    clip_page.run()
    assert not clip_page.exception and not clip_page.error
    said = html_of(clip_page)
    assert "labelled fear" in said and "How this clip was made" not in said


@pytest.mark.parametrize("of_mine", ["sample_data/clips/demo/cover.jpg"], indirect=True)
def test_a_file_that_ships_and_is_no_clip_is_no_fault_of_the_page(clip_page, of_mine):
    clip_page.query_params["clip"] = "evaluation:of-mine:c0.mp4"
    clip_page.run()
    assert not clip_page.exception


def test_a_clip_on_the_shelf_is_linked_there_unless_a_span_is_meant(of_mine):
    evaluation = read_evaluation("sample_data/evaluations/full-probe")
    path = "sample_data/clips/demo/000/d00004.mp4"
    for start, link in ((None, "d00004"), (1.0, "evaluation:full-probe:004%2Fp00000.mp4")):
        table = evaluation.predictions.assign(path=path, start_seconds=start)
        of = evaluations.Opened(
            folder=evaluations.SHIPPED_EVALUATIONS / "full-probe",
            stamp=0,
            evaluation=replace(evaluation, predictions=table),
            training=None,
        )
        assert clip_link(of, 0) == link.replace("%2F", "/")
