"""Training runs that the app starts, and the page that shows them."""

import json
import shutil
import sys
import time
from contextlib import suppress

import psutil
import pytest
import streamlit as st
import torch
from made_evaluations import made_evaluation
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from app import checkpoints, evaluations, folders, launch
from app import runs as app_runs
from app.cli import cli
from app.runs import BROKEN_OFF, DONE, ELSEWHERE, FAILED, STOPPED, RunError, Runs
from app.training_runs import RunChoice, num_epochs_done
from app.views.checkpoints import run as views
from core.checkpoint import save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.labels import MODALITIES
from core.model import build_model
from tests.app.conftest import tables_of

SCRIPT = launch.MAIN.parent / "screens" / "checkpoints.py"


def wait(run, seconds=240):
    deadline = time.monotonic() + seconds
    while not run.is_over and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.is_over


def wait_for_process(argument, seconds=120):
    """Until this process has a child with such an argument, whatever that has come to."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if argument in child.cmdline():
                    return
        time.sleep(0.01)
    pytest.fail("it was not begun")


@pytest.fixture
def commands(monkeypatch):
    """What runs are to do, in place of training and evaluation."""
    steps = [["predict", "--help"], ["evaluate", "--help"]]
    monkeypatch.setattr(RunChoice, "commands", lambda self, folder: steps)
    return steps


@pytest.mark.parametrize(("modalities", "blind"), [(("audio", "text"), 0), (MODALITIES, 4)])
def test_the_command_is_one_that_training_takes(tmp_path, monkeypatch, modalities, blind):
    taken = []
    monkeypatch.setattr("training.loop.train", lambda config, resume: taken.append((config, resume)))
    choice = RunChoice(name="mine", modalities=modalities, num_epochs=8, seed=5)
    train, evaluate = choice.commands(tmp_path)
    result = CliRunner().invoke(cli, train)
    assert result.exit_code == 0, result.output
    ((config, resume),) = taken
    assert resume and config.out == tmp_path / "mine" and config.modalities == modalities
    assert (config.num_epochs, config.seed, config.num_blind_epochs) == (8, 5, blind)
    assert config.pretrained_video is None if blind == 0 else config.pretrained_video.is_dir()
    assert (config.data[0] / "manifest.csv").is_file()
    assert evaluate[:2] == ["evaluate", str(tmp_path / "mine")]
    assert evaluate[evaluate.index("--out") + 1] == str(tmp_path / "mine-test")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-x", "x" * 41, "a b"])
def test_a_name_stays_inside_its_folder(name):
    with pytest.raises(RunError, match="cannot be named"):
        RunChoice(name=name)


def test_a_run_does_one_thing_after_the_other(tmp_path, commands):
    runs = Runs(tmp_path)
    run = runs.start(RunChoice(name="one"))
    wait(run)
    assert run.state == DONE and runs.current is None and runs.all == (run,)
    log = run.log.read_text()
    assert log.index("Predict the emotion of clips") < log.index("Ask a checkpoint")


def test_what_fails_keeps_its_last_lines(tmp_path, commands):
    commands[0] = ["train", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]
    run = Runs(tmp_path).start(RunChoice(name="one"))
    wait(run)
    assert run.state == FAILED
    assert "nothing" in " ".join(run.lines()) and "Ask a checkpoint" not in run.log.read_text()


def test_one_goes_on_at_a_time_and_can_be_stopped(tmp_path, commands):
    commands[0] = ["app", "--no-browser", "--port", "0"]
    runs = Runs(tmp_path)
    run = runs.start(RunChoice(name="one"))
    with pytest.raises(RunError, match="The run one goes on"):
        runs.start(RunChoice(name="two"))
    wait_for_process("--no-browser")
    runs.end()
    wait(run)
    assert run.state == STOPPED
    commands[0] = ["predict", "--help"]
    again = runs.start(RunChoice(name="one"))
    wait(again)
    assert again.state == DONE


def test_two_apps_do_not_train_in_one_folder(tmp_path, commands):
    commands[0] = ["app", "--no-browser", "--port", "0"]
    first, second = Runs(tmp_path), Runs(tmp_path)
    run = first.start(RunChoice(name="one"))
    with pytest.raises(RunError, match="Another process works in"):
        second.start(RunChoice(name="two"))
    first.end()
    wait(run)
    commands[0] = ["predict", "--help"]
    wait(second.start(RunChoice(name="two")))
    assert first.free_name() == "own-1"
    (tmp_path / "own-1.run").mkdir()
    assert first.free_name() == "own-2"


def test_how_a_run_stood_is_told_by_a_later_app(tmp_path, commands):
    first = Runs(tmp_path)
    assert first.state_of("one") is None
    wait(first.start(RunChoice(name="one")))
    later = Runs(tmp_path)
    assert first.state_of("one") == later.state_of("one") == DONE
    commands[0] = ["app", "--no-browser", "--port", "0"]
    run = first.start(RunChoice(name="one"))
    # its process is held to be another app's: this one has not begun it
    assert later.state_of("one") == ELSEWHERE and first.state_of("one") == "training"
    log, state = (tmp_path / ".logs" / f"one.{suffix}" for suffix in ("log", "json"))
    unfinished = state.read_text()
    first.end()
    wait(run)
    assert later.state_of("one") == STOPPED
    # as an app that was killed with all its processes leaves it
    state.write_text(unfinished)
    assert later.state_of("one") == BROKEN_OFF and later.latest("one") is None
    assert log.exists()
    later.forget("one")
    assert later.state_of("one") is None and not log.exists()


def test_a_log_that_cannot_be_written_ends_the_run(tmp_path, commands):
    (tmp_path / ".logs" / "one.log").mkdir(parents=True)
    runs = Runs(tmp_path)
    run = runs.start(RunChoice(name="one"))
    wait(run)
    assert run.state == FAILED and runs.current is None


def test_epochs_are_read_from_the_log(tmp_path, commands):
    run = Runs(tmp_path).start(RunChoice(name="one"))
    wait(run)
    run.log.write_text("words\nepoch 1/8  loss 1.2\nepoch 2/8  loss 1.0\n" + "line\n" * 30)
    assert num_epochs_done(run) == 2 and run.lines() == ["line"] * 12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "small"
    history = [{"epoch": e, "dev_video+audio+text_macro_f1": 0.1 * e} for e in range(3)]
    metrics = {"num_clips": {"train": 1234}, "best_epoch": 2, "train_config": {"seed": 7}}
    save_checkpoint(
        folder,
        build_model(PRESETS["tiny"], weights="random"),
        info=CheckpointInfo(),
        card="# A card\n\n![spy](https://example.org/x.png)",
        history=history,
        metrics=metrics,
    )
    return folder


@pytest.fixture
def page(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path))
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(checkpoint))
    monkeypatch.setattr(checkpoints, "shipped_checkpoints", dict)
    st.cache_resource.clear()
    return AppTest.from_file(SCRIPT, default_timeout=60)


def test_the_page_tells_of_a_checkpoint(page):
    page.run()
    assert not page.exception and not page.error
    row = tables_of(page)[0].loc["small"]
    assert row["learned from"] == "1,234 clips" and row["best epoch"] == "3" and row["macro F1, dev"] == "–"
    card = next(m.value for m in page.markdown if "A card" in m.value)
    assert "![" not in card and "&#33;[spy]" in card
    assert not any("None" in m.value for m in page.markdown)


def test_another_folder_and_what_is_none(page, checkpoint, tmp_path):
    page.run()
    page.text_input(key="checkpoint-folder").set_value(str(tmp_path / "nothing")).run()
    assert not page.exception and "nothing" in page.error[0].value.replace("\\", "")
    other = tmp_path / "other"
    other.mkdir()
    for file in checkpoint.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    page.text_input(key="checkpoint-folder").set_value(str(other)).run()
    assert not page.exception and not page.error
    assert list(tables_of(page)[0].index) == ["small", "other"]
    assert page.selectbox(key="checkpoint-shown").value == "other"


def test_the_settings_of_two_checkpoints_are_held_against_each_other(page, checkpoint, tmp_path):
    for name, seed in (("alike", 7), ("other", 8)):
        shutil.copytree(checkpoint, tmp_path / "runs" / name)
        metrics = json.loads((checkpoint / "metrics.json").read_text())
        metrics["train_config"] = {"seed": seed, "name": name} if seed == 8 else metrics["train_config"]
        (tmp_path / "runs" / name / "metrics.json").write_text(json.dumps(metrics))
    page.run()
    assert page.selectbox(key="checkpoint-other").value == "alike"
    assert "Both were made with the same settings of model and training." in [c.value for c in page.caption]
    page.selectbox(key="checkpoint-other").set_value("other").run()
    assert not page.exception
    table = tables_of(page)[-1]
    assert {name: row.tolist() for name, row in table.iterrows()} == {
        "training.name": ["other", "–"],
        "training.seed": ["8", "7"],
    }
    assert list(table.columns) == ["other", "small"]
    inside = [html.proto.body for column in page.columns for html in column.get("html")]
    assert not any("training.seed" in body for body in inside), "it has the width of the page"
    assert page.query_params["against"] in ("other", ["other"])
    # the curves of all of them
    told = [json.loads(component.proto.json) for component in page.get("bidi_component")]
    assert any("small reaches 0.20 in 3 epochs" in one.get("alt", "") for one in told)
    # a checkpoint is not held against itself
    page.selectbox(key="checkpoint-shown").set_value("other").run()
    assert not page.exception and page.selectbox(key="checkpoint-other").value == "small"


def test_a_link_to_a_checkpoint_that_is_not_here_says_so(page):
    page.query_params["checkpoint"] = "[gone](x)"
    page.run()
    assert not page.exception
    assert "names the checkpoint [gone](x), which is not here" in page.warning[0].value.replace("\\", "")
    assert page.selectbox(key="checkpoint-shown").value == "small"
    assert page.query_params["checkpoint"] in ("[gone](x)", ["[gone](x)"])


def test_what_runs_made_is_offered_before_anybody_looks_at_their_page(page, checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "runs" / "mine")
    made_evaluation(["joy"], ["joy"], tmp_path).write(tmp_path / "runs" / "mine-test")
    assert checkpoints.checkpoints() == {"small": checkpoint, "mine": tmp_path / "runs" / "mine"}
    assert evaluations.evaluations()["mine-test"] == tmp_path / "runs" / "mine-test"
    page.query_params["checkpoint"] = "mine"
    page.run()
    assert not page.exception and not page.warning
    assert page.selectbox(key="checkpoint-shown").value == "mine"
    page.selectbox(key="checkpoint-shown").set_value("small").run()
    assert page.query_params["checkpoint"] in ("small", ["small"])


def test_a_run_from_the_page(page, commands):
    commands[0] = ["train", "--help"]
    commands[1] = ["evaluate", "nothing"]
    page.run()
    page.text_input(key="run-name").set_value("bad name")
    next(b for b in page.button if b.label == "Start training").click().run()
    assert not page.exception, page.exception[0].value
    assert "cannot be named" in page.error[0].value.replace("\\", "")
    page.text_input(key="run-name").set_value("good")
    next(b for b in page.button if b.label == "Start training").click().run()
    assert not page.exception
    for _ in range(600):
        if any("failed" in m.value for m in page.markdown):
            break
        time.sleep(0.2)
        page.run()
    assert any("failed" in m.value for m in page.markdown)
    assert not next(b for b in page.button if b.label == "Start training").disabled


def test_what_is_drawn_of_a_run_that_ends_meanwhile_goes_together(page, monkeypatch):
    monkeypatch.setattr(app_runs, "PROGRAM", (sys.executable, "-c", "import time; time.sleep(900)"))
    begun = []
    start, form = Runs.start, views.run_form
    monkeypatch.setattr(Runs, "start", lambda self, choice: begun.append(start(self, choice)))
    page.run()
    next(b for b in page.button if b.label == "Start training").click().run()

    def ends_first(*arguments, **options):
        begun[0].stop()
        begun[0].join()
        form(*arguments, **options)

    def drawn():
        told = next(m.value for m in page.markdown if "**own" in m.value)
        button = next(b for b in page.button if b.label == "Start training")
        return "is training" in told, button.disabled, any(b.label == "Stop" for b in page.button)

    monkeypatch.setattr(views, "run_form", ends_first)
    page.run()
    assert drawn() == (True, True, True)
    page.run()
    assert drawn() == (False, False, False)
