"""Own data without a browser: what lies at a path, what may be done with it, and runs and clips by name."""

import csv
import io
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import streamlit as st
from made_evaluations import made_clips, made_evaluation

from app import evaluations, folders, own_answers
from app import runs as runs_of_the_app
from app.clips import ClipChoice
from app.own_answers import OwnClipError, key_in_links, link_of_evaluated, own_clip
from app.own_data import (
    ALL,
    about_training,
    about_words,
    look,
    manifest_to_fill_in,
    stamp_of,
    why_not_evaluated,
    why_not_predicted,
)
from app.own_data_state import OwnDataView
from app.own_runs import EVALUATE, PREDICT, OwnRuns, OwnWork, finished_evaluations, left_in_words
from app.runs import BROKEN_OFF, DONE, FAILED, STOPPED, RunError
from app.views.own_data.answers import answer_table, modalities_chart, summary_html
from app.views.own_data.found import counts_table, headline, notes, skipped_csv
from app.views.own_data.task import progress_words, start_name
from core.attribution.modalities import shown_verdict
from core.labels import IEMOCAP_6, MELD_7
from tests.app.conftest import write_clip
from training.datasets import DataError, Utterance
from training.predictions import predict_all, read_predictions


def put(folder, *names, content=b"something"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_manifest(folder, *rows, columns=("path", "label", "split")):
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_a_plain_folder_is_recognised(tmp_path):
    put(tmp_path, "a.mp4", "test/b.wav", "notes.txt")
    put(tmp_path, "empty.mov", content=b"")
    data = look(f" {tmp_path}/ ")
    assert headline(data) == "<b>A folder of clips</b> · 2 clips · no labels · split test"
    assert counts_table(data).to_dict("index") == {
        "clips": {"test": "1", "no split": "1", "all": "2"},
        "without a label": {"test": "1", "no split": "1", "all": "2"},
    }
    assert (data.num_of(ALL), data.num_of("test"), data.num_labelled) == (2, 1, 0)
    (row,) = csv.DictReader(io.StringIO(skipped_csv(data.report.skipped)))
    assert row["clip"] == "empty.mov" and "0 bytes" in row["why"]
    assert why_not_predicted(data, ALL) == ""
    assert "No clip is of the split dev" in why_not_predicted(data, "dev")
    assert "Nothing here is labelled" in why_not_evaluated(data, ALL, MELD_7)


def test_a_manifest_with_labels_missing_files_and_strange_ones(tmp_path):
    put(tmp_path, "a.mp4", "b.mp4", "c.mp4", "more.mp4")
    write_manifest(
        tmp_path,
        ("a.mp4", "joy", "test"),
        ("b.mp4", "fear", "train"),
        ("gone.mp4", "joy", "test"),
        ("c.mp4", "", "test"),
    )
    data = look(str(tmp_path))
    assert headline(data) == "<b>A manifest</b> · 3 clips · 2 labelled (meld-7) · splits train, test"
    table = counts_table(data)
    assert table.loc["joy"].tolist() == ["0", "1", "1"] and table.loc["clips"].tolist() == ["1", "2", "3"]
    (skipped,) = data.report.skipped
    assert skipped.key == "gone.mp4" and skipped.reason.startswith("gone.mp4 does not exist")
    assert notes(data) == [
        "1 more media file lies in the folder, which the manifest does not name; it is not asked about."
    ]
    assert "1 of 3 clips have no label, c.mp4 among them" in why_not_evaluated(data, ALL, MELD_7)
    assert "picture and sound" in about_words(data, ALL, is_evaluated=True)
    # the manifest itself may be given
    assert look(str(tmp_path / "manifest.csv")).root == tmp_path


def test_labels_that_a_checkpoint_does_not_know_are_named(tmp_path):
    put(tmp_path, "a.mp4", "b.mp4")
    write_manifest(tmp_path, ("a.mp4", "frustration", "test"), ("b.mp4", "joy", "train"))
    data = look(str(tmp_path))
    assert "does not know the label frustration" in why_not_evaluated(data, ALL, MELD_7)
    assert why_not_evaluated(data, "train", MELD_7) == why_not_evaluated(data, ALL, IEMOCAP_6) == ""


def test_blank_words_are_told_before_anything_is_asked(tmp_path):
    put(tmp_path, "a.mp4", "b.mp4")
    rows = [("a.mp4", "joy", "Hello."), ("b.mp4", "fear", " ")]
    write_manifest(tmp_path, *rows, columns=("path", "label", "transcript"))
    data = look(str(tmp_path))
    for is_evaluated in (False, True):
        said = about_words(data, ALL, is_evaluated=is_evaluated)
        assert said.startswith("1 of 2 clips have a blank `transcript`") and "not listened to" in said
    write_manifest(tmp_path, *rows)
    assert about_words(look(str(tmp_path)), ALL, is_evaluated=False) == ""


@pytest.mark.parametrize(
    ("recipe", "split", "is_told"),
    [
        ({"source_names": ["other", "mine"]}, ALL, True),
        ({"source_names": ["mine"]}, "train", True),
        ({"source_names": ["mine"]}, "test", False),
        ({"data": ["mine/manifest.csv"]}, ALL, True),
        ({"data": ["mine/other"]}, ALL, False),
        ({}, ALL, False),
        (None, ALL, False),
    ],
)
def test_data_that_a_checkpoint_learned_from_are_told(tmp_path, recipe, split, is_told):
    put(tmp_path / "mine", "a.mp4", "b.mp4")
    write_manifest(tmp_path / "mine", ("a.mp4", "joy", "train"), ("b.mp4", "joy", "test"))
    said = about_training(look(str(tmp_path / "mine")), split, {"train_config": recipe})
    assert ("learned from some of these" in said) == is_told and bool(said) == is_told


def test_data_that_the_start_of_a_checkpoint_learned_from_are_told(tmp_path):
    put(tmp_path / "mine", "a.mp4")
    metrics = {"train_config": {"source_names": ["other"]}, "learned_before": {"mine": None}}
    assert "learned from some of these" in about_training(look(str(tmp_path / "mine")), ALL, metrics)


def test_ravdess_is_recognised_by_its_names(tmp_path):
    put(tmp_path, "Actor_01/01-01-05-01-01-01-01.mp4", "Actor_02/01-01-06-01-01-01-02.mp4", "mine.mp4")
    data = look(str(tmp_path))
    assert data.kind == "RAVDESS" and data.num_labelled == 2
    # it is listed with its reason, so it is not counted a second time
    assert [one.path.name for one in data.dataset.skipped] == ["mine.mp4"] and data.num_strange == 0
    assert "same sentences" in about_words(data, ALL, is_evaluated=True)


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        ((), "nowhere", "does not exist on the machine"),
        ((), "", "is no known data set"),
        (("notes.txt",), "", "is no known data set"),
        (("a.mp4",), "a.mp4", "is a single clip; give its folder"),
        ((), "\0", "This path cannot be read|does not exist"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, names, given, said):
    put(tmp_path, *names)
    with pytest.raises(DataError, match=said):
        look(str(tmp_path / given))


def test_a_broken_manifest_is_one_sentence(tmp_path):
    put(tmp_path, "a.mp4")
    (tmp_path / "manifest.csv").write_text("file,emotion\na.mp4,joy\n")
    with pytest.raises(DataError, match="lacks the column path; it has file, emotion"):
        look(str(tmp_path))
    write_manifest(tmp_path, ("../outside.mp4", "joy", "test"))
    with pytest.raises(DataError, match="lies outside"):
        look(str(tmp_path))
    write_manifest(tmp_path, ("gone.mp4", "joy", "test"))
    with pytest.raises(DataError, match="no clip that can be used: gone.mp4 does not exist"):
        look(str(tmp_path))


def test_the_manifest_to_fill_in_makes_the_folder_a_labelled_one(tmp_path):
    put(tmp_path, "a.mp4", "test/b.wav")
    text = manifest_to_fill_in(look(str(tmp_path)), {"a.mp4": "Hello, you."})
    assert text == 'path,label,split,transcript\na.mp4,,,"Hello, you."\ntest/b.wav,,test,\n'
    (tmp_path / "manifest.csv").write_text(text.replace(",,", ",joy,"))
    data = look(str(tmp_path))
    assert data.num_labelled == 2 and why_not_evaluated(data, ALL, MELD_7) == ""


def test_the_manifest_to_fill_in_keeps_all_that_is_known(tmp_path):
    put(tmp_path, "a.mp4")
    whole = look(str(tmp_path))
    known = {"speaker": "ada", "dialogue": "d1", "transcript": "", "extra": {"scene": "kitchen"}}
    span = {"start_seconds": 0.5, "end_seconds": 2.25}
    (one,) = whole.dataset.utterances
    dataset = replace(whole.dataset, utterances=(one, replace(one, key="b", **span, **known)))
    text = manifest_to_fill_in(replace(whole, dataset=dataset), {"a.mp4": "Hello.", "b": "not asked for"})
    (tmp_path / "manifest.csv").write_text(text)
    first, second = look(str(tmp_path)).dataset.utterances
    assert (first.transcript, first.start_seconds, first.speaker, first.extra) == ("Hello.", None, None, {})
    assert {name: getattr(second, name) for name in (*known, *span)} == known | span


def test_a_manifest_that_comes_is_seen(tmp_path):
    before = stamp_of(str(tmp_path))
    assert before == stamp_of(f" {tmp_path}/")
    write_manifest(tmp_path)
    after = stamp_of(str(tmp_path))
    assert after != before and stamp_of("\0") == (0,) * len(before) and stamp_of("~nobody-here") == ()


def test_a_link_restores_the_view():
    view = OwnDataView(data="/x", checkpoint="c", split="test", task=EVALUATE, emotion="joy", clip="a")
    assert OwnDataView.from_link(view.to_link()) == view
    assert OwnDataView().to_link() == {} and OwnDataView.from_link({"task": "destroy"}) == OwnDataView()


@pytest.fixture
def work(tmp_path):
    return OwnWork(
        task=PREDICT, data=put(tmp_path / "My clips", "a.mp4"), split=ALL, checkpoint=tmp_path / "c"
    )


@pytest.fixture
def does(monkeypatch):
    """Sets the Python code that runs do in place of their work."""

    def does(code):
        monkeypatch.setattr(runs_of_the_app, "PROGRAM", (sys.executable, "-c", code))

    does("print('worked')")
    return does


def wait(run, seconds=240):
    deadline = time.monotonic() + seconds
    while not run.is_over and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.is_over


def test_a_choice_is_a_run_with_a_folder_of_its_own(work, tmp_path):
    assert work.name == replace(work).name and work.name.startswith("predict-my-clips-")
    others = {replace(work, split="test").name, replace(work, task=EVALUATE).name, work.name}
    assert len(others) == 3
    (predict,) = work.commands(tmp_path)
    assert predict[:3] == ["predict", "--data", str(work.data)]
    assert predict[predict.index("--out") + 1] == str(tmp_path / work.name / "answers.parquet")
    (evaluate,) = replace(work, task=EVALUATE, split="test").commands(tmp_path)
    assert evaluate[:2] == ["evaluate", str(tmp_path / "c")]
    assert evaluate[evaluate.index("--out") + 1].endswith("/my-clips-test-c")
    assert evaluate[evaluate.index("--progress") + 1].endswith("progress.json")


def test_runs_are_found_again_and_removed(work, does, tmp_path):
    first = OwnRuns(tmp_path / "runs")
    wait(first.start(work))
    later = OwnRuns(tmp_path / "runs")
    assert later.earlier() == (work,) and later.known(work.name) == work
    assert later.state_of(work.name) == DONE and not work.goes_on(later.state_of(work.name))
    assert later.known("../secret") is None and later.known("predict-other-0123456789") is None
    later.remove(work)
    assert later.earlier() == () and later.state_of(work.name) is None
    assert (work.data / "a.mp4").exists()


def test_one_goes_on_at_a_time_and_is_cancelled(work, does, tmp_path):
    does("import time; time.sleep(900)")
    runs = OwnRuns(tmp_path / "runs")
    run = runs.start(work)
    assert work.goes_on(runs.state_of(work.name)) and runs.state_of(work.name) == "predicting"
    with pytest.raises(RunError, match="“My clips, by c” goes on"):
        runs.start(replace(work, split="test"))
    with pytest.raises(RunError, match="cancel it first"):
        runs.remove(work)
    run.stop()
    wait(run)
    assert run.state == STOPPED and not work.goes_on(runs.state_of(work.name))


def test_a_run_that_cannot_begin_leaves_nothing(work, does, tmp_path):
    does("import time; time.sleep(900)")
    one, other = OwnRuns(tmp_path / "runs"), OwnRuns(tmp_path / "runs")
    run, second = one.start(work), replace(work, split="test")
    with pytest.raises(RunError, match="Another process works in"):
        other.start(second)
    assert other.known(second.name) is None and other.earlier() == (work,)
    run.stop()
    wait(run)


def test_progress_is_read_from_its_file(work, does, tmp_path):
    runs = OwnRuns(tmp_path)
    assert runs.progress(work) is None
    home = work.home(tmp_path)
    home.mkdir()
    (home / "progress.json").write_text(
        '{"done": 3, "total": 12, "text": "a.mp4", "left_seconds": 130, "at": 1}'
    )
    progress = runs.progress(work)
    assert progress_words(progress) == r"3 of 12 clips · about 2 min left · a\.mp4"
    (home / "progress.json").write_text("{")
    assert runs.progress(work) is None and "Starting" in progress_words(None)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (3, "less than a minute left"), (600, "about 10 min left"), (9000, "about 2.5 h left")],
)
def test_time_left_is_rough(seconds, said):
    assert left_in_words(seconds) == said


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "Predict"),
        (DONE, "Predict again"),
        (FAILED, "Predict again"),
        (STOPPED, "Go on"),
        (BROKEN_OFF, "Go on"),
        ("predicting", "Predict"),
    ],
)
def test_the_button_says_what_it_does(state, said):
    assert start_name(PREDICT, state) == said


def test_evaluations_of_own_data_are_offered(tmp_path):
    put(
        tmp_path,
        "evaluate-a-1/a-test-full/evaluation.json",
        "predict-a-2/x/evaluation.json",
        "evaluate-b-3/run.json",
    )
    assert finished_evaluations(tmp_path) == {"a-test-full": tmp_path / "evaluate-a-1" / "a-test-full"}


def test_evaluations_of_data_or_by_checkpoints_of_one_name_are_told_apart(tmp_path):
    home = tmp_path / "own-data"
    made = {}
    for parent, checkpoint in (("a", "full"), ("b", "full"), ("b", "other/full"), ("b", "tiny")):
        data = tmp_path / parent / "clips"
        data.mkdir(parents=True, exist_ok=True)
        checkpoint = tmp_path / "checkpoints" / checkpoint
        work = OwnWork(task=EVALUATE, data=data, split="test", checkpoint=checkpoint)
        folder = work.evaluation(home)
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text("{}")
        work.begin(home)
        made[parent, checkpoint.parent.name, checkpoint.name] = folder
        if len(made) == 1:
            assert list(finished_evaluations(home)) == ["clips-test-full"]
    assert finished_evaluations(home) == {
        "a/clips-test-full (checkpoints)": made["a", "checkpoints", "full"],
        "b/clips-test-full (checkpoints)": made["b", "checkpoints", "full"],
        "b/clips-test-full (other)": made["b", "other", "full"],
        "clips-test-tiny": made["b", "checkpoints", "tiny"],
    }


def test_an_evaluation_that_was_removed_is_not_offered(tmp_path):
    folder = put(tmp_path, "x/y-test/evaluation.json") / "x" / "y-test"
    st.cache_resource.clear()
    evaluations.give(folder)
    assert folder in evaluations.evaluations().values()
    (folder / "evaluation.json").unlink()
    assert folder not in evaluations.evaluations().values()


ROW = {
    "key": "a.mp4",
    "path": "a.mp4",
    "prediction": "joy",
    "confidence": 0.724,
    "is_uncertain": True,
    "label": "fear",
    "transcript": "Hi & bye",
    "transcript_source": "given",
    "verdict": "agree",
    "sentence": "All say joy.",
    "audio_prediction": "joy",
    "audio_confidence": 0.5,
    "probability:joy": 0.724,
    "probability:fear": 0.276,
    "start_seconds": 1.5,
    "checkpoint_sha256": "0",
}


@pytest.fixture
def answered(work, does, tmp_path, monkeypatch):
    """A run whose table has a good, a broken and two evil rows."""
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "home"))
    st.cache_resource.clear()
    runs = own_answers.own_runs()
    wait(runs.start(work))
    put(tmp_path, "secret.mp4")
    (work.data / "link").symlink_to(tmp_path)
    rows = [
        ROW,
        {
            "key": "b.mp4",
            "path": "b.mp4",
            "prediction": "",
            "error": "b.mp4 is broken.",
            "checkpoint_sha256": "0",
        },
        {**ROW, "key": "up", "path": "../secret.mp4"},
        {**ROW, "key": "link", "path": "link/secret.mp4", "prediction": "fear"},
    ]
    pd.DataFrame(rows).to_parquet(work.answers(runs.folder))
    return work


def test_a_table_tells_the_verdict_that_the_clip_page_tells(tmp_path, make_prediction):
    write_clip(video := tmp_path / "a.mp4", num_frames=10)
    report = replace(make_prediction().modalities, verdict="complementary", sentence="Audio says fear.")
    for is_uncertain in (False, True):
        answer = make_prediction(modalities=report, is_uncertain=is_uncertain)
        predictor = SimpleNamespace(
            checkpoint=SimpleNamespace(name="c", sha256="0"),
            identity="0",
            speech=SimpleNamespace(source="speech-to-text"),
            prepare=lambda clip, **options: clip,
            predict=lambda prepared, answer=answer: answer,
        )
        out = tmp_path / f"{is_uncertain}.csv"
        predict_all(predictor, [Utterance(key="a", path=video, label="")], out, root=tmp_path)
        row = read_predictions(out).iloc[0]
        assert (row["verdict"], row["sentence"]) == shown_verdict(answer)
        assert row["verdict"] == ("unclear" if is_uncertain else "complementary")


def test_answers_as_people_read_them(answered):
    table = own_answers.answers(answered)
    shown = answer_table(table)
    first = shown.iloc[0]
    assert (first["emotion"], first["probability"], first["label"]) == ("joy ?", 72.4, "fear")
    assert (first["sound"], first["picture"], first["what is said"]) == (
        "joy 50\N{NARROW NO-BREAK SPACE}%",
        "–",
        "Hi & bye",
    )
    assert shown["why no answer"].tolist()[:2] == ["", "b.mp4 is broken."]
    # whether the clip has none, or the model reads none, the table does not tell
    alone = modalities_chart(table.iloc[0])
    assert '<span>Picture</span><span class="absent">was not read</span>' in alone and "Sound" in alone
    told = summary_html(table)
    assert "<b>3</b> answered" in told and "1 without an answer" in told and "1 of 3 labelled" in told


def test_a_link_names_a_clip_of_a_run(answered):
    own = own_clip(key_in_links(answered, "a.mp4"))
    assert own.choice == ClipChoice(
        key=f"data:{answered.name}:a.mp4",
        title="a.mp4",
        path=answered.data / "a.mp4",
        label="fear",
        transcript="Hi & bye",
        start_seconds=1.5,
    )
    assert own.choice.is_own and not own.choice.is_upload
    assert (own.number, own.num_clips, own.before) == (1, 4, None)
    assert own.after == f"data:{answered.name}:b.mp4"


def test_clips_of_an_evaluation_of_own_data_have_links_too(answered, tmp_path):
    runs = own_answers.own_runs()
    work = replace(answered, task=EVALUATE)
    wait(runs.start(work))
    put(work.data, "c0.mp4")
    clips = [
        *made_clips(["joy"], work.data),
        *made_clips(["fear"], work.data, transcript=None, region="left"),
    ]
    clips[1] = replace(clips[1], key="up", path=tmp_path / "secret.mp4")
    folder = work.evaluation(runs.folder)
    made_evaluation(["joy", "fear"], ["joy", "joy"], work.data, clips=clips).write(folder)
    link = link_of_evaluated(folder, "c0.mp4")
    assert own_clip(link).choice == ClipChoice(
        key=link,
        title="c0.mp4",
        path=work.data / "c0.mp4",
        label="joy",
        transcript="words 0",
        speaker="speaker 0",
    )
    # it does not listen, so neither is listened on the Clip page; and it may not lead outside
    with pytest.raises(OwnClipError, match="has no file inside"):
        own_clip(link_of_evaluated(folder, "up"))
    assert link_of_evaluated(tmp_path / "elsewhere", "c0.mp4") is None


@pytest.mark.parametrize("path", ["a\0b.mp4", "circle/a.mp4"])
def test_what_is_no_path_is_refused_in_a_sentence(answered, path):
    (answered.data / "circle").symlink_to("circle")
    pd.DataFrame([{**ROW, "path": path}]).to_parquet(answered.answers(own_answers.own_runs().folder))
    with pytest.raises(OwnClipError, match="has no file inside"):
        own_clip(key_in_links(answered, ROW["key"]))


@pytest.mark.parametrize("key", ["up", "link"])
def test_nothing_outside_the_given_folder_is_opened(answered, key):
    with pytest.raises(OwnClipError, match="has no file inside"):
        own_clip(key_in_links(answered, key))


@pytest.mark.parametrize(
    ("link", "said"),
    [("data:../x:a", "are not here any more"), ("data:predict-x-0123456789:a", "are not here any more")],
)
def test_a_link_to_a_run_that_is_not_there_says_so(answered, link, said):
    with pytest.raises(OwnClipError, match=said):
        own_clip(link)
    with pytest.raises(OwnClipError, match="has no clip gone"):
        own_clip(key_in_links(answered, "gone"))
