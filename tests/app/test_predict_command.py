"""`deepmsi predict --out`, and the progress that programs read."""

import json
import wave

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from app import terminal
from app.cli import cli
from app.terminal import progress_file
from core.checkpoint import save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.evaluation import read_evaluation
from core.model import DeepMSI


def run(*arguments: object):
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return save_checkpoint(folder, DeepMSI(PRESETS["tiny"], "random"), info=CheckpointInfo())


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    (folder / "test").mkdir(parents=True)
    for name, hertz in (("low.wav", 220), ("test/high.wav", 880)):
        samples = (9_000 * np.sin(hertz * 2 * np.pi * np.arange(12_000) / 16_000)).astype("<i2")
        with wave.open(str(folder / name), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
    return folder


def test_a_folder_becomes_a_table(checkpoint, clips, tmp_path):
    out, progress = tmp_path / "answers.csv", tmp_path / "progress.json"
    asked = ("predict", "--data", clips, "--no-transcribe", "--checkpoint", checkpoint, "--out", out)
    result = run(*asked, "--progress", progress)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    assert pd.read_csv(out)["key"].tolist() == ["low.wav", "test/high.wav"]
    told = json.loads(progress.read_text())
    assert (told["done"], told["total"]) == (2, 2)
    again = run(*asked, "--split", "test")
    assert again.exit_code == 0 and "1 answers, 1 of them from before" in again.stderr
    assert pd.read_csv(out)["split"].tolist() == ["test"]


def test_files_become_a_table_too(checkpoint, clips, tmp_path):
    out = tmp_path / "answers.parquet"
    result = run(
        "predict",
        clips / "low.wav",
        "--end",
        0.5,
        "--transcript",
        "Hi",
        "--checkpoint",
        checkpoint,
        "--out",
        out,
    )
    assert result.exit_code == 0, result.output
    (row,) = pd.read_parquet(out).to_dict("records")
    assert row["key"] == str(clips / "low.wav") and row["transcript"] == "Hi" and row["end_seconds"] == 0.5


def test_where_nothing_can_be_answered_it_failed(checkpoint, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"no film at all")
    out = tmp_path / "answers.csv"
    result = run("predict", "--data", folder, "--checkpoint", checkpoint, "--out", out)
    assert result.exit_code == 1
    assert "without an answer: a.mp4: a.mp4 holds no video or sound" in result.stderr
    assert "None of 1 clips could be answered" in result.stderr
    assert pd.read_csv(out)["error"].str.startswith("a.mp4 holds no").all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give clips"),
        (("--data", "x"), "--data goes with --out"),
        (("a.mp4", "--data", "x", "--out", "y.csv"), "in place of clips"),
        (("--data", "x", "--out", "y.csv", "--transcript", "Hi"), "--transcript goes with one clip"),
        (("a.mp4", "--out", "y.csv", "--json"), "--json goes without --out"),
        (("a.mp4", "--out", "y.txt"), "y.txt"),
        (("a.mp4", "--progress", "p.json"), "--progress goes with --out"),
    ],
)
def test_what_does_not_go_together_is_bad_usage(arguments, said):
    result = run("predict", *arguments)
    assert result.exit_code == 2 and said in result.stderr


def test_data_that_cannot_be_read_is_one_sentence(checkpoint, tmp_path):
    result = run(
        "predict", "--data", tmp_path / "nothing", "--checkpoint", checkpoint, "--out", tmp_path / "a.csv"
    )
    assert result.exit_code == 1 and "nothing does not exist" in result.stderr
    assert "Traceback" not in result.output


def test_an_evaluation_tells_how_far_it_is(checkpoint, clips, tmp_path):
    (clips / "manifest.csv").write_text("path,label\nlow.wav,joy\ntest/high.wav,fear\n")
    progress, out = tmp_path / "deep" / "progress.json", tmp_path / "evaluation"
    result = run(
        *("evaluate", checkpoint, "--data", clips, "--split", "all", "--out", out),
        *("--cache-dir", tmp_path / "cache", "--progress", progress),
    )
    assert result.exit_code == 0, result.output
    told = json.loads(progress.read_text())
    assert (told["done"], told["total"], told["text"]) == (2, 2, "Asking the model")
    assert read_evaluation(out).info.num_clips == 2


def test_the_time_left_is_told_from_the_speed(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    path = tmp_path / "progress.json"

    def told(seconds, done, total, text="clips"):
        now[0] = seconds
        note(done, total, text)
        return json.loads(path.read_text())

    with progress_file(path) as note:
        assert told(100, 40, 100)["left_seconds"] is None
        # ten clips in five seconds, fifty are left; what was done before says nothing of the speed
        assert told(105, 50, 100)["left_seconds"] == pytest.approx(25)
        # not written again so soon
        assert told(105.1, 51, 100)["done"] == 50
        assert told(105.2, 100, 100)["done"] == 100
        # another stage begins from nothing
        assert told(105.3, 0, 100, "model") | {"at": 0} == {
            "done": 0,
            "total": 100,
            "text": "model",
            "left_seconds": None,
            "at": 0,
        }


def test_without_a_file_nothing_is_told(tmp_path):
    with progress_file(None) as note:
        note(1, 2, "clips")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_8_bits_are_asked_for(checkpoint, clips, tmp_path):
    asked = ("predict", clips / "low.wav", "--no-transcribe", "--checkpoint", checkpoint, "--json")
    plain, rounded = run(*asked), run(*asked, "--int8")
    assert plain.exit_code == rounded.exit_code == 0, rounded.output
    first, second = (json.loads(one.stdout)[0]["probabilities"] for one in (plain, rounded))
    difference = max(abs(first[label] - second[label]) for label in first)
    assert 0 < difference < 0.05
    refused = run(*asked[:-1], "--int8", "--out", tmp_path / "answers.csv")
    assert refused.exit_code == 2 and "--int8 goes without --out" in refused.stderr


def test_shards_of_a_folder_are_gathered_by_the_same_command(clips, checkpoint, tmp_path):
    out = tmp_path / "answers.parquet"
    command = ("predict", "--data", clips, "--no-transcribe", "--checkpoint", checkpoint, "--out", out)
    for part in ("1/2", "2/2"):
        result = run(*command, "--shard", part)
        assert result.exit_code == 0, result.output
    assert not out.exists()
    result = run(*command)
    assert result.exit_code == 0 and "2 answers, 2 of them from before" in result.output
    assert len(pd.read_parquet(out)) == 2
    result = run(*command, "--shard", "3/2")
    assert result.exit_code == 1 and "such as 1/4" in result.output


@pytest.mark.parametrize("option", [("--workers", "2"), ("--shard", "1/2")])
def test_what_is_for_tables_goes_with_out(clips, option):
    result = run("predict", clips, *option)
    assert result.exit_code == 2 and f"{option[0]} goes with --out" in result.output
