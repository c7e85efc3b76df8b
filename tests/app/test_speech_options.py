"""The options of speech to text, as a person meets them."""

import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.app.conftest import write_clip


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4")


@pytest.mark.parametrize("command", ["predict", "explain"])
@pytest.mark.parametrize(
    "options, code, said",
    [
        (
            ["--language", "de"],
            1,
            "Whisper tiny.en knows English only, not German; name a larger Whisper model",
        ),
        (["--language", "xx"], 1, "Whisper knows no language 'xx'"),
        (["--speech-model", "tiny.de"], 1, "tiny.de is no folder here, and no model on the Hugging Face hub"),
        (["--no-transcribe", "--language", "de"], 2, "go without --no-transcribe"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(command, options, code, said, clip, monkeypatch):
    monkeypatch.setattr("core.checkpoint.load_checkpoint", lambda folder: pytest.fail("work began"))
    result = CliRunner(env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).invoke(
        cli, [command, str(clip), *options]
    )
    assert result.exit_code == code
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_folder_that_holds_no_model_is_named(clip, tmp_path):
    result = CliRunner(env={"COLUMNS": "400"}).invoke(
        cli, ["predict", str(clip), "--speech-model", str(tmp_path)]
    )
    assert result.exit_code == 1
    assert (
        "is no model of faster-whisper: model.bin, config.json and tokenizer.json are missing"
        in result.output
    )
