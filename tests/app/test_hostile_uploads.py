"""A file that breaks the decoder costs whoever gave it one sentence, and the other sessions nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from app.cli import cli
from core.media import Transcript, apart, reader
from tests.app.test_clip_page import html_of, page, upload  # noqa: F401
from tests.core.media import crashing

TOLD = {
    "crash": "made the decoder crash",
    "hang": "was not read within the allowed 2 s",
    "flood": "of memory to decode",
}


def break_decoder(monkeypatch, where: str, how: str, *, name: str = "bad.mp4") -> None:
    """Has a part of the reader break in the process apart, for files of that name."""
    run_apart = apart.run_apart

    def run(function, *args, limits, **options):
        if function.__name__ == where and options["name"] == name:
            function, limits = getattr(crashing, how), replace(limits, max_work_seconds=2.0)
        return run_apart(function, *args, limits=limits, **options)

    monkeypatch.setattr(reader, "run_apart", run)


@pytest.mark.parametrize(
    ("where", "how"), [("measure", "crash"), ("_decode", "crash"), ("measure", "hang"), ("_decode", "flood")]
)
def test_a_file_that_breaks_the_decoder_is_a_sentence_and_the_app_goes_on(
    page,  # noqa: F811
    clip_folder,
    monkeypatch,
    where,
    how,
):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    break_decoder(monkeypatch, where, how)
    upload(page, "bad.mp4", (clip_folder / "two.mp4").read_bytes())
    assert not page.exception
    (told,) = (error.value.replace("\\", "") for error in page.error)
    assert told.startswith("bad.mp4 ") and TOLD[how] in told
    page.file_uploader[0].set_value(("good.mp4", (clip_folder / "two.mp4").read_bytes(), "video/mp4")).run()
    assert not page.exception and not page.error and "The model says" in html_of(page)


@pytest.fixture
def recordings(clip_folder, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("bad.mp4", "good.mp4"):
        shutil.copy(clip_folder / "two.mp4", folder / name)
    return folder


def test_one_such_file_does_not_end_what_the_command_line_does(
    recordings,
    checkpoint,  # noqa: F811
    monkeypatch,
):
    break_decoder(monkeypatch, "_decode", "crash")
    options = ["--checkpoint", str(checkpoint), "--no-transcribe"]
    done = CliRunner().invoke(cli, ["predict", str(recordings), "--json", *options])
    assert done.exit_code == 1
    bad, good = json.loads(done.stdout)
    assert TOLD["crash"] in bad["error"] and good["prediction"]


def test_one_such_file_does_not_end_a_table_of_own_data(
    recordings,
    checkpoint,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    break_decoder(monkeypatch, "measure", "crash")
    out = tmp_path / "answers.csv"
    options = ["--checkpoint", str(checkpoint), "--no-transcribe", "--out", str(out)]
    CliRunner().invoke(cli, ["predict", "--data", str(recordings), *options])
    table = pd.read_csv(out, keep_default_na=False).set_index("key")
    assert TOLD["crash"] in table.loc["bad.mp4", "error"]
    assert table.loc["good.mp4", "error"] == "" and table.loc["good.mp4", "prediction"]
