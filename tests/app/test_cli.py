import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

import app.cli
from app.cli import cli
from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.media import open_clip
from core.model import DeepMSI
from core.predict import Predictor


def run(*arguments: object):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return save_checkpoint(folder, DeepMSI(PRESETS["tiny"], "random"), info=CheckpointInfo())


def write_tone(path: Path, hertz: float) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        wave = (9_000 * np.sin(2 * np.pi * hertz * np.arange(12_000) / 16_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def tones(tmp_path) -> Path:
    folder = tmp_path / "tones"
    folder.mkdir()
    write_tone(folder / "low.wav", 220)
    write_tone(folder / "high.wav", 880)
    (folder / "notes.txt").write_text("not a clip")
    return folder


def test_help_is_light_and_has_an_example_per_command():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom app.cli import cli\n"
        "print(CliRunner().invoke(cli, ['--help']).output)\n"
        "print(sorted({'torch', 'streamlit', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"
    commands = typer.main.get_command(cli).commands
    work = {"app", "predict", "explain", "train", "pretrain", "evaluate", "compare", "report"}
    assert set(commands) == work | {"data", "corpus", "bench"}
    for name, command in commands.items():
        assert name in output
        for words in [[name, inner] for inner in getattr(command, "commands", ())] or [[name]]:
            assert f"Example: deepmsi {' '.join(words)}" in run(*words, "--help").output


def test_the_app_imports_only_what_every_page_needs():
    # captum is for explanations, scikit-learn for embeddings, speech models for clips without words
    later = {"captum", "sklearn", "faster_whisper", "ctranslate2", "transformers", "accelerate", "numba"}
    code = f"import sys, app.resources; print(sorted({later!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_json_says_what_the_predictor_says(checkpoint, tones):
    path = tones / "low.wav"
    result = run("predict", path, "--transcript", "all is well", "--checkpoint", checkpoint, "--json")
    assert result.exit_code == 0 and result.stderr == ""
    [told] = json.loads(result.stdout)
    expected = Predictor(load_checkpoint(checkpoint)).predict_clip(open_clip(path, transcript="all is well"))
    assert told["prediction"] == expected.prediction and told["transcript"] == "all is well"
    assert list(told["probabilities"]) == list(expected.labels)
    np.testing.assert_allclose(list(told["probabilities"].values()), expected.probabilities, atol=1e-6)
    assert told["present"] == {"video": False, "audio": True, "text": True}
    assert told["subset_probabilities"]["video+audio"] is None
    assert told["checkpoint_sha256"] == expected.checkpoint_hash


def test_a_folder_is_walked_and_told_in_a_table(checkpoint, tones):
    result = run("predict", tones, "--no-transcribe", "--checkpoint", checkpoint)
    assert result.exit_code == 0
    assert "low.wav" in result.stdout and "high.wav" in result.stdout and "notes.txt" not in result.stdout
    assert "Only audio is present" in result.stdout


def test_one_clip_is_told_with_every_class(checkpoint, tones):
    result = run("predict", tones / "low.wav", "--transcript", "hello", "--checkpoint", checkpoint)
    for label in PRESETS["tiny"].labels.labels:
        assert label in result.stdout
    assert "Shapley" in result.stdout and "“hello”" in result.stdout


def test_a_bad_file_is_one_sentence_and_stops_nothing(checkpoint, tones):
    broken = tones / "broken.mp4"
    broken.write_bytes(b"this is no film")
    result = run("predict", tones, "--no-transcribe", "--checkpoint", checkpoint, "--json")
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ") and "broken.mp4" in line and "Traceback" not in result.output
    told = {Path(one["path"]).name: one for one in json.loads(result.stdout)}
    assert set(told) == {"broken.mp4", "high.wav", "low.wav"}
    assert "error" in told["broken.mp4"] and "prediction" in told["low.wav"]


def test_a_missing_checkpoint_or_empty_folder_is_one_sentence(tones, tmp_path):
    for arguments, reason in (
        (("predict", tones, "--checkpoint", tmp_path), "is no checkpoint: it has no config.json"),
        (("predict", tmp_path / "tones", "--checkpoint", tmp_path / "no"), "is no checkpoint"),
        (("app", "--checkpoint", tmp_path), "is no checkpoint"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("Error: ") and reason in result.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no media file" in run("predict", empty).stderr


@pytest.mark.parametrize(
    "arguments",
    [("predict",), ("predict", "--colour", "red"), ("fly",), ("predict", "a.wav", "--start", "soon")],
)
def test_bad_usage_is_exit_code_2(arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("name", ["train", "pretrain", "evaluate"])
def test_torchrun_hands_every_option_on(name):
    from torch.distributed.run import get_args_parser

    command = typer.main.get_command(cli).commands[name]
    options = [option for parameter in command.params for option in parameter.opts]
    assert "--set" in options or name == "evaluate"
    for option in options:
        # an option that begins one of its own ends torchrun
        handed = get_args_parser().parse_args(["-m", "app.cli", name, option, "value"])
        assert handed.training_script_args == [name, option, "value"]


def test_one_transcript_does_not_fit_two_clips(tones):
    result = run("predict", tones, "--transcript", "hello")
    assert result.exit_code == 2 and "goes with one clip" in result.stderr


class Server:
    """Stands for the app's process."""

    code = 0

    def __init__(self, command, env):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def wait(self):
        return self.code


def test_the_app_is_started_on_this_machine_with_the_checkpoint(checkpoint, monkeypatch):
    started = []

    class Noted(Server):
        def __init__(self, command, env):
            started.append((command, env))

    monkeypatch.setattr(app.cli.subprocess, "Popen", Noted)
    result = run("app", "--port", 8700, "--no-browser", "--checkpoint", checkpoint)
    assert result.exit_code == 0 and "http://localhost:8700" in result.output
    [(command, environment)] = started
    assert command[:3] == [sys.executable, "-m", "app.server"]
    assert Path(command[4]) == Path(app.cli.__file__).with_name("main.py")
    assert command[command.index("--server.port") + 1] == "8700"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert str(checkpoint) in environment.values()


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 1), (-signal.SIGKILL, 1)])
def test_a_server_that_failed_or_was_killed_is_a_failure(code, expected, monkeypatch):
    monkeypatch.setattr(Server, "code", code)
    monkeypatch.setattr(app.cli.subprocess, "Popen", Server)
    assert run("app").exit_code == expected


def test_train_hands_its_options_on(monkeypatch, tmp_path):
    import training.loop

    asked = []
    monkeypatch.setattr(
        training.loop, "train", lambda config, resume: asked.append((config, resume)) or config.out
    )
    result = run(
        *("train", "--data", "a.csv", "--data", "b.csv", "--out", tmp_path / "made", "--preset", "tiny"),
        *("--epochs", 3, "--seed", 7, "--set", "contrastive_weight=0.2", "--set", "precision=bf16"),
        *("--set", 'compression={"merge": false}', "--resume"),
    )
    assert result.exit_code == 0 and result.stdout.strip() == str(tmp_path / "made")
    [(config, is_resumed)] = asked
    assert is_resumed
    assert config.data == (Path("a.csv"), Path("b.csv"))
    assert (config.preset, config.num_epochs, config.seed) == ("tiny", 3, 7)
    assert (config.contrastive_weight, config.precision) == (0.2, "bf16")
    assert config.compression.merge is False and config.compression.retain == 0.9


def test_of_several_processes_the_first_tells_what_was_made(monkeypatch, tmp_path):
    import training.loop
    import training.pretrain

    monkeypatch.setattr(training.loop, "train", lambda config, resume: config.out)
    monkeypatch.setattr(training.pretrain, "pretrain", lambda config, resume: config.out)
    for rank, lines in (("0", [str(tmp_path)]), ("1", [])):
        monkeypatch.setenv("RANK", rank)
        for command in (("train", "--data", "a.csv"), ("pretrain", "--stills", "faces.parquet")):
            assert run(*command, "--out", tmp_path).stdout.splitlines() == lines


def test_a_stopped_training_tells_how_to_go_on(monkeypatch, tmp_path):
    import training.loop
    from training.state import RunStopped

    def stop(config, resume):
        raise RunStopped("Stopped after step 3 of 9.")

    monkeypatch.setattr(training.loop, "train", stop)
    result = run("train", "--data", "a.csv", "--out", tmp_path / "made")
    assert result.exit_code == 1 and "Stopped after step 3 of 9." in result.stderr


def test_pretrain_hands_its_options_on(monkeypatch, tmp_path):
    import training.pretrain

    asked = []
    monkeypatch.setattr(
        training.pretrain, "pretrain", lambda config, resume: asked.append((config, resume)) or config.out
    )
    result = run(
        *("pretrain", "--out", tmp_path, "--stills", "faces.parquet", "--threads", 1),
        *("--phase", "64:300", "--phase", "128:20:8"),
        *("--set", "target_weight=5", "--set", "shares=[0.5, 0.5]", "--resume"),
    )
    assert result.exit_code == 0
    [(config, resume)] = asked
    assert resume is True
    assert config.stills == (Path("faces.parquet"),) and config.num_threads == 1
    assert [(p.image_size, p.num_steps) for p in config.phases] == [(64, 300), (128, 20)]
    assert config.phases[1].batch_size == 8
    assert config.target_weight == 5.0 and config.shares == (0.5, 0.5)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--set", "target_wait=5"), "target_wait"),
        (("--set", "eval_every=often"), "eval_every"),
        (("--phase", "64:300:8:99"), "64:300:8:99"),
        (("--phase", "64"), "SIDE:STEPS"),
        (("--phase", "65:300"), "multiple of 32"),
    ],
)
def test_a_wrong_setting_of_pretraining_is_bad_usage(arguments, reason, tmp_path):
    result = run("pretrain", "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and reason in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [("batch_sise=3", "batch_sise"), ("batch_size", "NAME=VALUE"), ("batch_size=1", "two clips per batch")],
)
def test_a_wrong_setting_is_bad_usage(setting, reason, tmp_path):
    result = run("train", "--data", "a.csv", "--out", tmp_path, "--set", setting)
    assert result.exit_code == 2 and reason in result.stderr


def test_training_without_data_is_one_sentence(tmp_path):
    result = run("train", "--data", tmp_path / "none.csv", "--out", tmp_path / "out", "--preset", "tiny")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ") and "none.csv" in result.stderr


def test_who_ends_the_command_ends_the_server(monkeypatch):
    ended = []

    class Ended(Server):
        def terminate(self):
            ended.append(True)

        def wait(self):
            os.kill(os.getpid(), signal.SIGTERM)
            return -signal.SIGTERM

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(app.cli.subprocess, "Popen", Ended)
    assert run("app").exit_code == 0
    assert ended == [True]
    assert signal.getsignal(signal.SIGTERM) == before
