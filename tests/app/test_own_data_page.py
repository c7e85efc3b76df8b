"""The Own data page, and clips of own data on the Clip page, in Streamlit's own test runner."""

import json
import shutil
import sys
import time

import pandas as pd
import pytest
import streamlit as st
from made_evaluations import made_evaluation
from streamlit.testing.v1 import AppTest

from app import checkpoints, folders, launch, own_answers, resources, runs
from app.own_answers import key_in_links
from app.own_runs import EVALUATE, PREDICT, OwnWork
from app.views.markup import plain
from app.views.own_data import task
from core.predict import Predictor
from core.writing import PrivateFolder
from tests.app.conftest import EVIL, ClosedDesk, is_plain, menu, tables_of, write_clip


@pytest.fixture
def does(monkeypatch):
    """Sets the Python code that runs do in place of their work."""

    def does(code):
        monkeypatch.setattr(runs, "PROGRAM", (sys.executable, "-c", code))

    does("print('worked')")
    return does


@pytest.fixture
def page(checkpoint, tmp_path, monkeypatch, does):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(checkpoint))
    monkeypatch.setattr(checkpoints, "shipped_checkpoints", dict)
    monkeypatch.setattr(resources, "shipped_clips", tuple)
    monkeypatch.setattr(resources, "desk", ClosedDesk)
    st.cache_resource.clear()
    st.cache_data.clear()
    return AppTest.from_file(launch.MAIN, default_timeout=120).switch_page("screens/own_data.py")


@pytest.fixture
def clips(clip_folder, tmp_path):
    """Two clips without labels."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(clip_folder / name, folder)
    return folder.resolve()


def html_of(test) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def said(test) -> str:
    return "\n".join(m.value for m in test.markdown).replace("\\", "")


def link_of(test) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in test.query_params.items()}


def work_on(data, checkpoint, task=PREDICT, split="all"):
    return OwnWork(task=task, data=data, split=split, checkpoint=checkpoint.resolve())


def until(page, sentence, seconds=240):
    deadline = time.monotonic() + seconds
    while sentence not in said(page) and time.monotonic() < deadline:
        time.sleep(0.2)
        page.run()
    assert sentence in said(page)


def write_answers(work, rows):
    whole = {
        "confidence": 0.7,
        "path": rows[0]["key"],
        "checkpoint_sha256": "0",
        "transcript_source": "given",
    }
    pd.DataFrame([whole | {"path": row["key"]} | row for row in rows]).to_parquet(
        work.answers(own_answers.own_runs().folder)
    )


def test_a_first_visit_says_what_can_be_given(page):
    page.run()
    assert not page.exception and not page.error
    assert "A plain **folder of clips**" in "\n".join(m.value for m in page.markdown)
    assert link_of(page) == {}


def test_a_path_that_is_not_there_is_one_sentence(page, tmp_path):
    page.query_params["data"] = str(tmp_path / "nowhere")
    page.run()
    assert not page.exception
    assert "nowhere does not exist on the machine" in page.error[0].value.replace("\\", "")


def test_a_manifest_without_labels_is_not_offered_another_in_its_place(page, clips):
    page.query_params["data"] = str(clips)
    assert [button.label for button in page.run().get("download_button")] == ["Manifest to fill in"]
    (clips / "manifest.csv").write_text("path,start_seconds\none.mp4,0.5\n")
    page.run()
    assert "There are no labels" in "".join(c.value for c in page.caption)
    assert "a column `label` of this manifest" in "".join(c.value for c in page.caption)
    assert not page.get("download_button")


def test_unlabelled_clips_are_not_evaluated(page, clips):
    page.run()
    page.text_input(key="own-path").set_value(str(clips)).run()
    assert not page.exception and not page.error
    assert "2 clips · no labels" in html_of(page)
    assert not page.button(key="own-start").disabled
    menu(page.segmented_control, "own-task").set_value(EVALUATE).run()
    assert "Nothing here is labelled" in page.warning[0].value
    assert page.button(key="own-start").disabled
    assert link_of(page) == {"data": str(clips), "task": "evaluate"}


def test_a_run_is_watched_cancelled_and_gone_on_with(page, clips, does):
    page.query_params["data"] = str(clips)
    page.run()
    does("import time; time.sleep(900)")
    page.button(key="own-start").click().run()
    assert not page.exception
    assert "is being predicted" in said(page) and page.button(key="own-start").disabled
    # another choice cannot begin meanwhile
    menu(page.segmented_control, "own-task").set_value(EVALUATE).run()
    menu(page.segmented_control, "own-task").set_value(PREDICT).run()
    # another session that follows the link sees the same
    other = AppTest.from_file(launch.MAIN, default_timeout=120).switch_page("screens/own_data.py")
    other.query_params["data"] = str(clips)
    other.run()
    assert "is being predicted" in said(other)
    page.button(key="own-cancel").click().run()
    until(page, "was cancelled")
    assert page.button(key="own-start").label == "Go on"
    does("print('The clips are of stone.'); raise SystemExit(1)")
    page.button(key="own-start").click().run()
    until(page, "failed; the last lines")
    assert "The clips are of stone." in page.code[0].value
    does("print('worked')")
    page.button(key="own-start").click().run()
    until(page, "is done.")
    earlier = [b.label.replace("\\", "") for b in page.button if "history" in str(b.icon)]
    assert earlier == ["Predict: mine, by small (done)"]


def test_what_is_drawn_of_a_run_that_ends_meanwhile_goes_together(page, clips, checkpoint, does, monkeypatch):
    page.query_params["data"] = str(clips)
    page.run()
    does("import time; time.sleep(900)")
    page.button(key="own-start").click().run()
    form = task.task_form

    def ends_first(*arguments, **options):
        run = own_answers.own_runs().latest(work_on(clips, checkpoint).name)
        run.stop()
        run.join()
        form(*arguments, **options)

    monkeypatch.setattr(task, "task_form", ends_first)
    page.run()
    assert "is being predicted" in said(page) and page.button(key="own-start").disabled
    page.run()
    assert "was cancelled" in said(page) and not page.button(key="own-start").disabled


def test_a_run_that_goes_on_is_told_letter_by_letter(page, clips, does):
    folder = clips.rename(clips.with_name("a *b* `c` [d](e)"))
    (folder / "manifest.csv").write_text("path,label,split\none.mp4,joy,train\ntwo.mp4,joy,test\n")
    page.query_params["data"] = str(folder)
    page.run()
    does("import time; time.sleep(900)")
    page.button(key="own-start").click().run()
    menu(page.selectbox, "own-split").set_value("test").run()
    told = f"“{plain(f'{folder.name}, by small')}” goes on"
    assert any(told in caption.value for caption in page.caption)
    menu(page.selectbox, "own-split").set_value("all").run()
    page.button(key="own-cancel").click().run()
    until(page, "was cancelled")


def ticked_rows(test) -> list[int]:
    """Of the last table."""
    return json.loads(test.dataframe[-1].proto.selection_state)["selection"]["rows"]


def test_answers_are_shown_filtered_and_opened(page, clips, checkpoint):
    page.query_params["data"] = str(clips)
    page.run()
    page.button(key="own-start").click().run()
    until(page, "is done.")
    write_answers(
        work_on(clips, checkpoint),
        [{"key": "one.mp4", "prediction": "joy"}, {"key": "two.mp4", "prediction": "fear"}],
    )
    page.run()
    assert not page.exception
    assert "<b>2</b> answered" in html_of(page)
    page.pills(key="own-emotion").set_value("fear").run()
    assert page.dataframe[-1].value["clip"].tolist() == ["two.mp4"]
    assert link_of(page) == {"data": str(clips), "emotion": "fear"}
    before = menu(page.pills, "own-emotion").key
    # a link changes it: what a slow browser still tells of the menu of before is nobody's choice
    page.query_params = {"data": str(clips), "emotion": "joy"}
    page.run()
    assert page.dataframe[-1].value["clip"].tolist() == ["one.mp4"]
    assert menu(page.pills, "own-emotion").key != before
    again = AppTest.from_file(launch.MAIN, default_timeout=120).switch_page("screens/own_data.py")
    again.query_params["data"], again.query_params["open"] = str(clips), "two.mp4"
    again.run()
    assert not again.exception and '<div class="eyebrow">two.mp4' in html_of(again)
    assert ticked_rows(again) == [1]
    again.button(key="own-close").click().run()
    assert "open" not in link_of(again) and ticked_rows(again) == []


def test_what_data_and_answers_say_is_shown_letter_by_letter(page, clips, checkpoint):
    label = EVIL.lower()
    (clips / "manifest.csv").write_text(f"path,label,split\none.mp4,{label},{label}\ntwo.mp4,joy,test\n")
    page.query_params["data"] = str(clips)
    page.run()
    page.button(key="own-start").click().run()
    until(page, "is done.")
    assert not page.exception
    counts = tables_of(page)[0]
    assert label in counts.index and label in counts.columns
    rows = [
        {"key": "one.mp4", "prediction": EVIL, "sentence": EVIL, "notes": EVIL},
        {"key": "two.mp4", "prediction": "", "error": EVIL},
        {"key": "three.mp4", "prediction": "joy"},
    ]
    write_answers(work_on(clips, checkpoint), rows)
    page.query_params["open"] = "one.mp4"
    page.run()
    assert any(is_plain(option) for option in page.pills(key="own-emotion").options)
    assert sum(is_plain(caption.value) for caption in page.caption) == 2
    page.query_params["open"] = "two.mp4"
    page.run()
    assert is_plain(page.warning[0].value)


def test_a_finished_evaluation_leads_to_the_pages_that_show_it(page, clips, checkpoint, monkeypatch):
    (clips / "manifest.csv").write_text("path,label\none.mp4,joy\ntwo.mp4,fear\n")
    page.query_params["data"], page.query_params["task"] = str(clips), "evaluate"
    page.run()
    page.button(key="own-start").click().run()
    until(page, "is done.")
    assert "Its evaluation is not there any more" in page.warning[0].value
    work = work_on(clips, checkpoint, EVALUATE)
    made_evaluation(["joy", "fear"], ["joy", "joy"], clips).write(
        work.evaluation(own_answers.own_runs().folder)
    )
    page.run()
    assert not page.exception and not page.error
    table = tables_of(page)[-1]
    assert table.loc["accuracy"].iloc[0].startswith("0.500")
    assert not any("learned from data" in element.value for element in (*page.warning, *page.caption))
    recipe = {"train_config": {"source_names": ["mine"]}}
    monkeypatch.setattr(checkpoints, "metrics", lambda folder: recipe)
    page.run()
    assert "This checkpoint learned from data named mine" in page.warning[-1].value.replace("\\", "")
    assert sum("learned from data named mine" in c.value.replace("\\", "") for c in page.caption) == 1
    links = [element.proto.label for element in page.get("page_link")]
    assert [label.split(":")[0] for label in links] == ["Failures", "Embeddings"]


def test_a_run_is_removed(page, clips, checkpoint):
    page.query_params["data"] = str(clips)
    page.run()
    page.button(key="own-start").click().run()
    until(page, "is done.")
    page.button(key="own-remove-0").click().run()
    assert not page.exception and own_answers.own_runs().earlier() == ()
    assert (clips / "one.mp4").is_file()


@pytest.fixture
def answered(page, clips, checkpoint):
    """A run over two clips, one of them a span with words."""
    page.query_params["data"] = str(clips)
    page.run()
    page.button(key="own-start").click().run()
    until(page, "is done.")
    work = work_on(clips, checkpoint)
    rows = [
        {"key": "one.mp4#0.5-1.5", "path": "one.mp4", "prediction": "joy", "transcript": "Do not move."},
        {"key": "two.mp4", "prediction": "fear", "transcript": ""},
    ]
    write_answers(work, [rows[0] | {"start_seconds": 0.5, "end_seconds": 1.5}, rows[1]])
    return work


def clip_page(link):
    page = AppTest.from_file(launch.MAIN, default_timeout=120)
    page.query_params["clip"] = link
    return page.run()


def test_a_clip_of_own_data_opens_on_the_clip_page(answered, clips, monkeypatch):
    asked = []
    predict = Predictor.predict

    def noted(self, prepared, **options):
        clip = prepared.clip
        asked.append((clip.path.name, clip.start_seconds, clip.end_seconds))
        return predict(self, prepared, **options)

    monkeypatch.setattr(Predictor, "predict", noted)
    page = clip_page(key_in_links(answered, "one.mp4#0.5-1.5"))
    assert not page.exception and not page.error
    assert asked == [("one.mp4", 0.5, 1.5)]
    played = page.get("video")[0].proto
    assert (played.start_time, played.end_time) == (0, 2)
    assert "clip 1 of 2 of your data mine, by small" in html_of(page)
    assert "The model says" in html_of(page) and page.text_area[0].value == "Do not move."
    page.button(key="data-next").click().run()
    assert [name for name, *_ in asked] == ["one.mp4", "two.mp4"]
    assert link_of(page)["clip"] == key_in_links(answered, "two.mp4")
    assert page.button(key="data-next").disabled
    # nothing is put beside a person's clips
    assert sorted(path.name for path in clips.iterdir()) == ["one.mp4", "two.mp4"]


def test_copies_of_clips_that_were_left_do_not_heap_up(page, clips, checkpoint, monkeypatch):
    names = [f"{number}.avi" for number in range(4)]
    for number, name in enumerate(names):
        write_clip(clips / name, num_frames=25 + number, codec="mpeg2video")
    page.query_params["data"] = str(clips)
    page.run()
    page.button(key="own-start").click().run()
    until(page, "is done.")
    work = work_on(clips, checkpoint)
    write_answers(work, [{"key": name, "prediction": "joy"} for name in names])
    monkeypatch.setattr(resources, "COPY_SECONDS", 0.0)
    homes = []
    monkeypatch.setattr(resources, "_folder", lambda prefix: homes.append(PrivateFolder(prefix)) or homes[-1])
    page = clip_page(key_in_links(work, names[0]))
    for name in names[1:]:
        page.button(key="data-next").click().run()
        assert not page.exception and page.get("video") and link_of(page)["clip"].endswith(name)
    (home,) = homes
    # of the clip that is shown, and of the one before
    assert len(list(home.path.glob("*-copy.mp4"))) == 2


def test_a_link_to_a_clip_that_is_gone_says_so(answered):
    page = clip_page(key_in_links(answered, "gone.mp4"))
    assert not page.exception
    assert "has no clip gone.mp4" in page.warning[0].value.replace("\\", "")
    page.button(key="to-samples").click().run()
    assert not page.exception and "clip" not in link_of(page)
