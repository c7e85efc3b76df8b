"""The Failures page in Streamlit's own test runner, on hand-made evaluations; no model is needed."""

import json
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app import checkpoints, evaluations, folders, launch, notes, resources, summaries
from app.clips import ClipChoice
from app.failures_state import FailuresView
from app.views.markup import plain
from tests.app.conftest import EVIL, menu, tables_of, write_clip
from tests.made_evaluations import made_clips, made_evaluation

LABELS = ["fear"] * 6 + ["joy"] * 12 + ["anger"] * 12
TOLD = ["joy", "joy", "anger", "fear", "fear", "joy"] + ["joy"] * 12 + ["anger"] * 11 + ["fear"]


def written(folder, labels=LABELS, told=TOLD, name="first-test", **changes):
    return made_evaluation(labels, told, folder, **changes).write(folder / name)


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(evaluations, "SHIPPED_EVALUATIONS", tmp_path / "shipped")
    evaluations._given.clear()
    evaluations.thumbnails.clear()
    # links lead to pages of the whole app
    return AppTest.from_file(launch.MAIN, default_timeout=60).switch_page("screens/failures.py")


@pytest.fixture
def shipped(tmp_path):
    folder = tmp_path / "shipped"
    folder.mkdir()
    write_clip(folder / "c0.mp4", num_frames=10)
    return folder


def html_of(test) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def components_of(test) -> list[tuple[str, dict]]:
    """Name of every component on the page, with what it is told."""
    return [(one.proto.component_name, json.loads(one.proto.json)) for one in test.get("bidi_component")]


def link_of(test) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in test.query_params.items()}


def test_without_an_evaluation_it_says_how_to_make_one(page):
    page.run()
    assert not page.exception
    assert "deepmsi evaluate CHECKPOINT --data MANIFEST --split test --out FOLDER" in page.info[0].value


def test_a_folder_that_is_named_is_shown(page, tmp_path):
    folder = written(tmp_path)
    page.run()
    page.text_input(key="evaluation-folder").set_value(str(tmp_path / "nothing")).run()
    assert "is no evaluation and holds none" in page.error[0].value.replace("\\", "")
    page.text_input(key="evaluation-folder").set_value(str(folder)).run()
    assert not page.exception and not page.error
    assert "<b>first</b> on clips, split test: right on 83" in html_of(page)
    assert link_of(page) == {"evaluation": "first-test"}


def test_fear_is_asked_about_first(page, shipped):
    written(shipped)
    page.run()
    assert not page.exception
    assert "Of 6 clips labelled fear the model misses 4 (67" in html_of(page)
    assert "4 clips labelled fear that the model misses" in html_of(page)
    assert link_of(page) == {}


def test_a_cell_by_the_keyboard_s_fields(page, shipped):
    written(shipped)
    page.run()
    page.selectbox(key="cell-label").set_value("anger").run()
    page.selectbox(key="cell-prediction").set_value("fear").run()
    assert "1 clip labelled anger and predicted as fear" in html_of(page)
    assert "Of 12 clips labelled anger the model misses 1" in html_of(page)
    assert link_of(page) == {"emotion": "anger", "show": "cell", "labelled": "anger", "predicted": "fear"}


def test_cells_are_filled_by_their_share_of_the_row(page, shipped):
    written(shipped)
    page.query_params = {"show": "cell", "labelled": "anger"}
    page.run()
    (told,) = (told for name, told in components_of(page) if name == "deepmsi.matrix")
    labels = told["labels"]
    row = dict(zip(labels, told["rows"][labels.index("anger")], strict=True))
    assert row["anger"] == {"count": 11, "share": 0.9167, "shown": "11"}
    assert row["fear"] == {"count": 1, "share": 0.0833, "shown": "1"}
    # any prediction
    assert told["chosen"] == ["anger", None]


def test_a_link_restores_the_view(page, shipped):
    written(shipped)
    link = {
        "part": "labels",
        "emotion": "joy",
        "show": "suspects",
        "open": "c0.mp4",
        "evaluation": "first-test",
    }
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert link_of(page) == link
    assert "with a suspected label error" in html_of(page)
    assert "All 12 clips labelled joy are recognised" in html_of(page)
    assert "labelled <i" in html_of(page) and "c0.mp4" in html_of(page)


@pytest.mark.parametrize(("threshold", "told"), [(0.0, "agree"), (1.0, "unclear")])
def test_an_uncertain_answer_is_told_as_on_the_clip_page(page, shipped, threshold, told):
    evaluation = made_evaluation(LABELS, TOLD, shipped, uncertainty_threshold=threshold)
    evaluation = replace(evaluation, predictions=evaluation.predictions.assign(verdict="agree"))
    evaluation.write(shipped / "first-test")
    page.query_params["open"] = "c0.mp4"
    page.run()
    assert not page.exception
    assert f"Together the modalities are called <b>{told}</b>" in html_of(page)
    assert ("? uncertain" in html_of(page)) == (told == "unclear")


def test_columns_of_the_data_set_are_shown_letter_by_letter(page, shipped):
    written(shipped, clips=made_clips(LABELS, shipped, extra={EVIL: EVIL}))
    page.query_params["open"] = "c0.mp4"
    page.session_state["detail-tables"] = True
    page.run()
    assert not page.exception
    assert tables_of(page)[-1].loc[EVIL].tolist() == [EVIL]


def ticked(test) -> list[str]:
    """First cells of the rows that are ticked in the table."""
    table = test.dataframe[0]
    return table.value.iloc[json.loads(table.proto.selection_state)["selection"]["rows"], 0].tolist()


def test_what_is_shown_is_ticked_and_nothing_else(page, shipped):
    written(shipped)
    # the same slices in another order: wrong are 0, 2 and 4
    written(shipped, told=["joy", "fear"] * 3 + LABELS[6:], name="second-test")
    page.query_params.update({"part": "slices", "show": "slice", "slice": "scenario:all"})
    page.run()
    (row,) = ticked(page)
    assert row.startswith("scenario: all")
    first = [name.removesuffix(" ★") for name in page.dataframe[0].value["slice"]]
    menu(page.selectbox, "evaluation-picker").set_value("second-test").run()
    (row,) = ticked(page)
    assert row.startswith("scenario: all")
    second = [name.removesuffix(" ★") for name in page.dataframe[0].value["slice"]]
    assert first.index("scenario: all") != second.index("scenario: all")
    page.button(key="show-missed").click().run()
    assert ticked(page) == []


def test_the_opened_clip_is_ticked_until_it_is_closed(page, shipped):
    written(shipped)
    notes.default_notes().save(notes.Note(data="clips", key="c5.mp4"), tags=("odd",), note="")
    for part, show in (("labels", "suspects"), ("notes", "noted")):
        page.query_params = {"part": part, "show": show, "open": "c5.mp4"}
        page.run()
        assert not page.exception and ticked(page) == ["c5.mp4"]
        page.button(key="close-clip").click().run()
        assert ticked(page) == []


def test_menus_that_a_cell_changes_are_drawn_anew(page, shipped):
    written(shipped)
    page.run()
    before = menu(page.pills, "focus-picker").key
    menu(page.selectbox, "cell-label").set_value("anger").run()
    after = menu(page.pills, "focus-picker")
    # what a slow browser tells of the one before is nobody's choice
    assert (after.value, after.key != before) == ("anger", True)
    before = menu(page.selectbox, "cell-label").key
    after.set_value("joy").run()
    after = menu(page.selectbox, "cell-label")
    assert (after.value, after.key != before) == ("any", True)


def test_back_to_the_bare_address_shows_what_was_there_first(page, shipped):
    written(shipped)
    page.run()
    first = html_of(page)
    page.selectbox(key="cell-label").set_value("anger").run()
    assert html_of(page) != first
    page.query_params = {}
    page.run()
    assert html_of(page) == first and link_of(page) == {}


def test_what_a_browser_says_of_the_evaluation_before_is_nobody_s_choice(page, shipped):
    written(shipped)
    written(shipped, told=["joy"] * len(LABELS), name="second-test")
    page.run()
    before = menu(page.selectbox, "evaluation-picker")
    before.set_value("second-test").run()
    assert menu(page.selectbox, "evaluation-picker").key == before.key
    # a link changes it: a slow browser still tells of the menu of before
    page.query_params = {"evaluation": "first-test"}
    page.run()
    after = menu(page.selectbox, "evaluation-picker")
    assert after.value == "first-test" and after.key != before.key
    assert "misses 4" in html_of(page) and link_of(page) == {"evaluation": "first-test"}


def test_a_link_to_what_is_not_there_says_so(page, shipped):
    written(shipped)
    for name, value in {
        "evaluation": "gone",
        "emotion": "<b>",
        "open": "x",
        "page": "99",
        "show": "?",
    }.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert "names the evaluation gone, which is not here" in page.warning[0].value
    assert "opens the clip x, which is not here" in page.warning[1].value


@pytest.mark.parametrize(
    "pair", [("scenario", "all"), ("time", "12:30"), ("a:b 50%", "c:d%3A"), ("x%3Ay", "")]
)
def test_a_slice_outlives_its_link(pair):
    view = FailuresView(show="slice", slice=pair)
    assert FailuresView.from_link(view.to_link()) == view


@pytest.mark.parametrize("part", ["confusion", "emotions", "slices", "labels", "notes"])
@pytest.mark.parametrize(
    ("labels", "told"),
    [(LABELS, TOLD), (["joy"], ["joy"]), (["joy", "anger"] * 3, ["joy", "anger"] * 3)],
    ids=["some wrong", "one clip", "all correct, one class missing"],
)
def test_every_part_of_every_evaluation(page, shipped, part, labels, told):
    clips = made_clips(labels, shipped, speaker=None)
    written(shipped, labels, told, clips=clips)
    page.query_params["part"] = part
    for twin in ("confusion-table", "classes-table", "missed-table", "confident-table"):
        page.session_state[twin] = True
    page.run()
    assert not page.exception and not page.error
    # whatever is drawn is told without eyes too
    assert all(one.proto.alt for one in page.dataframe)
    matrices = [told for name, told in components_of(page) if name == "deepmsi.matrix"]
    assert bool(matrices) == (part == "confusion") and all(told["alt"] for told in matrices)


def test_every_part_of_twenty_thousand_clips(page, shipped, large):
    large.write(shipped / "first-test")
    for twin in ("confusion-table", "classes-table"):
        page.session_state[twin] = True
    page.run()
    assert not page.exception
    # labels down and predictions across: joy, fear, anger
    assert tables_of(page)[0].loc["joy"].tolist() == ["3,000", "6,000", "3,000"]
    assert "Of 6000 clips labelled fear the model misses 6000" in html_of(page)
    assert "6,000 clips labelled fear that the model misses" in html_of(page)
    page.query_params = {"part": "emotions"}
    page.run()
    joy = tables_of(page)[0].loc["joy"]
    assert (joy["clips"], joy["predicted"]) == ("12,000", "12,000")
    assert all(joy[name].startswith("0.25") for name in ("Precision", "Recall", "F1"))
    for part, num_rows in {"slices": None, "labels": 18_000}.items():
        page.query_params = {"part": part}
        page.run()
        assert not page.exception and not page.error
        assert num_rows in (None, len(page.dataframe[0].value))
    page.query_params = {"show": "cell", "labelled": "anger", "page": "125"}
    page.run()
    assert not page.exception and "3,000 clips labelled anger and whatever is predicted" in html_of(page)


@pytest.mark.parametrize(("words", "told"), [("Do not move.", "Do not move."), (None, "c0.mp4")])
def test_a_player_is_called_by_the_words_or_by_the_clip_s_key(page, shipped, words, told):
    written(shipped, clips=made_clips(LABELS, shipped, transcript=words))
    page.query_params["open"] = "c0.mp4"
    page.run()
    assert not page.exception
    assert page.get("video")[0].proto.alt == told


@pytest.mark.parametrize("is_same", [True, False])
def test_a_clip_that_ships_leads_to_its_explanation(page, shipped, monkeypatch, is_same):
    written(shipped)
    choice = ClipChoice(key="first-clip", title="", path=shipped / "c0.mp4", label="fear")
    monkeypatch.setattr(resources, "shipped_clips", lambda: (choice,))
    resources.clips.clear()
    monkeypatch.setattr(checkpoints, "checkpoints", lambda: {"first": shipped / "first"})
    # only the very checkpoint that gave the answer is asked again
    known = {"a" * 64: object()} if is_same else {}
    monkeypatch.setattr(summaries, "known_summary", lambda folder, sha256: folder and known.get(sha256))
    page.query_params["open"] = "c0.mp4"
    page.run()
    assert not page.exception
    (link,) = page.get("page_link")
    assert (link.proto.label, parse_qs(link.proto.query_string)) == (
        "See why, on the Clip page",
        {"clip": ["first-clip"]} | ({"checkpoint": ["first"]} if is_same else {}),
    )
    resources.clips.clear()


def test_every_other_clip_leads_to_its_explanation_by_evaluation_and_key(page, shipped, monkeypatch):
    written(shipped, name="a: b-test")
    monkeypatch.setattr(checkpoints, "checkpoints", dict)
    page.query_params["open"] = "c0.mp4"
    page.run()
    (link,) = page.get("page_link")
    assert parse_qs(link.proto.query_string) == {"clip": ["evaluation:a%3A%20b-test:c0.mp4"]}
    # the files of the others are not at hand
    page.query_params["open"] = "c1.mp4"
    page.run()
    assert not page.exception and not page.get("page_link")


def test_slices_and_suspected_labels_lead_to_their_clips(page, shipped):
    written(shipped)
    page.query_params.update({"part": "slices", "show": "slice", "slice": "scenario:all"})
    page.run()
    assert not page.exception
    # every second clip: 1, 5 and 29 of them are wrong
    assert "3 wrong of 15 clips with scenario: all" in html_of(page)
    page.toggle(key="slices-within").set_value(True).run()
    assert "This slice is not among those that were looked at" in html_of(page)
    assert "it takes at least 10 clips inside" in html_of(page)
    page.query_params = {"part": "labels"}
    page.run()
    page.button(key="show-suspects").click().run()
    # as sure as the model is on average of what it takes them for: 0, 1, 2, 5 and 29
    assert "5 clips with a suspected label error" in html_of(page)
    assert link_of(page) == {"part": "labels", "show": "suspects"}


def test_shares_of_a_row_stand_in_place_of_counts(page, shipped):
    written(shipped)
    page.session_state["confusion-table"] = True
    page.run()
    assert tables_of(page)[0].loc["fear"].tolist() == ["3", "2", "1"]
    page.segmented_control(key="confusion-share").set_value("Share of the row").run()
    shares = [f"{n}\N{NARROW NO-BREAK SPACE}%" for n in (50, 33, 17)]
    assert tables_of(page)[0].loc["fear"].tolist() == shares and link_of(page) == {"cells": "share"}


def test_what_was_learned_from_is_told_as_soon_as_it_lies_beside(page, shipped):
    written(shipped)
    page.query_params["open"] = "c0.mp4"
    page.run()
    assert "How often training showed it is not known here" in html_of(page)
    assert "Nearest training clips" not in html_of(page)
    learned = ["fear"] + ["joy"] * 9
    (folder,) = evaluations.evaluations().values()
    before = evaluations.opened(folder)
    assert not evaluations.is_changed(before)
    written(shipped, learned, learned, name="first-train", split="train")
    # by which a click, which draws the parts alone, sees that the page is to be drawn anew
    assert evaluations.is_changed(before) and not evaluations.is_changed(evaluations.opened(folder))
    page.run()
    assert not page.exception
    assert "among the clips it learned from: 1 of 10" in html_of(page)
    # of the ten the six nearest
    assert "Nearest training clips" in html_of(page) and "of 6 are labelled fear" in html_of(page)


def test_a_csv_of_notes_is_taken_in_or_its_faults_are_told(page, shipped):
    written(shipped)
    page.query_params["part"] = "notes"
    page.run()
    give(page, b"data,key,tags,note\nclips,c1.mp4,hidden face,why?\nothers,x,,of others\n")
    assert not page.exception and not page.error
    told = page.success[0].value.replace("\\", "")
    assert told.startswith("One note was read. 1 on other data (others) were left out")
    assert page.dataframe[0].value.iloc[0].tolist() == ["c1.mp4", "hidden face", "why?"]
    page.button(key="show-noted").click().run()
    assert "1 clip with a tag or a note" in html_of(page)
    give(page, b"data,key,tags,note\nclips,,a,b\n")
    assert "Row 2 names no key" in page.error[0].value.replace("\\", "") and not page.success
    give(page, b"\xff\xfe")
    assert "not in UTF-8" in page.error[0].value.replace("\\", "")
    assert len(page.dataframe[0].value) == 1


def give(test, content: bytes) -> None:
    """Gives a CSV of notes."""
    number = test.session_state["import-number"] if "import-number" in test.session_state else 0
    test.file_uploader[0].set_value(("notes.csv", content, "text/csv")).run()
    assert test.session_state["import-number"] == number + 1


def test_notes_are_kept_and_listed(page, shipped):
    written(shipped)
    page.query_params["open"] = "c0.mp4"
    page.run()
    page.text_area[0].set_value("a hidden face")
    page.multiselect[0].set_value(["face hidden"])
    next(button for button in page.button if button.label == "Keep tags and note").click().run()
    assert not page.exception and not page.error
    kept = notes.default_notes().get("clips", "c0.mp4", str(shipped))
    assert (kept.tags, kept.note) == (("face hidden",), "a hidden face")
    # somebody else writes; what is written here is not lost, nor is theirs
    notes.default_notes().save(kept, tags=("theirs",), note="a beard")
    page.text_area[0].set_value("beard")
    next(button for button in page.button if button.label == "Keep tags and note").click().run()
    assert "changed by somebody else meanwhile" in page.error[0].value.replace("\\", "")
    assert page.text_area[0].value == "a beard\n\nbeard"
    next(button for button in page.button if button.label == "Keep tags and note").click().run()
    assert not page.error
    assert notes.default_notes().get("clips", "c0.mp4", str(shipped)).note == "a beard\n\nbeard"


def test_two_folders_of_one_name_do_not_mix_their_notes(page, tmp_path):
    for parent in ("a", "b"):
        clips = tmp_path / parent / "clips"
        clips.mkdir(parents=True)
        written(clips, name=f"../{parent}-test")
    page.run()
    for parent in ("a", "b"):
        page.text_input(key="evaluation-folder").set_value(str(tmp_path / parent / f"{parent}-test")).run()
    page.query_params = {"evaluation": "a-test", "open": "c0.mp4"}
    page.run()
    page.text_area[0].set_value("of the first")
    next(button for button in page.button if button.label == "Keep tags and note").click().run()
    page.query_params = {"evaluation": "b-test", "open": "c0.mp4", "part": "notes"}
    page.run()
    assert not page.exception and page.text_area[0].value == ""
    assert f"1 on other data called clips, at {tmp_path / 'a' / 'clips'}, is not shown." in [
        one.value.replace("\\", "") for one in page.caption
    ]
    # they were moved
    next(button for button in page.button if button.label == "They are the same clips: copy").click().run()
    assert page.text_area[0].value == "of the first"
    assert page.success[0].value.replace("\\", "") == "One note was copied."
    # and are offered no more
    assert not any("on other data" in one.value for one in page.caption)


def test_what_is_not_at_hand_is_told(page, shipped):
    written(shipped)
    page.query_params["open"] = "c5.mp4"
    page.run()
    assert "is not at hand" in page.info[0].value


def test_what_flatters_an_evaluation_is_told_beside_its_name(page, shipped):
    written(shipped, caveats=("Of 3 texts *all* were learned.",))
    page.run()
    assert not page.exception
    assert plain("Of 3 texts *all* were learned.") in [caption.value for caption in page.caption]
