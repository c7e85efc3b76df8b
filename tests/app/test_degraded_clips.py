"""Clips that lack something, on the Clip page and the command line: the same is told beside the answer."""

import html
import json

import pytest
from typer.testing import CliRunner

from app.cli import cli
from core.media import Transcript
from tests.app.test_clip_page import html_of, page, upload  # noqa: F401
from tests.core.media.made_media import grey_pictures, tone
from tests.core.test_degradation import CASES, RATE, write

GERMAN = (
    "The words are German, but the text encoder reads English: "
    "what the words give to the answer means little."
)


@pytest.mark.parametrize("case", CASES)
def test_the_page_shows_an_answer_and_beside_it_what_was_missing(page, tmp_path, case):  # noqa: F811
    name, content, _, told = CASES[case]
    upload(page, name, write(tmp_path, name, content).read_bytes())
    assert not page.exception and not page.error
    assert "? uncertain" in html_of(page)
    assert notes_of(page) == {one.format(name=name) for one in told}


def notes_of(page) -> set[str]:  # noqa: F811
    """What is told beside the answer."""
    assert not page.exception and not page.error
    shown = html.unescape(html_of(page))
    assert "The model says" in shown
    notes = shown.partition('aria-label="What was missing or unusual">')[2].partition("</ul>")[0]
    return set(notes.replace("<li>", "").split("</li>")[:-1])


def hear(monkeypatch, checkpoint, transcript: Transcript) -> None:
    """These words are recognised, and read by an encoder of English."""
    backbone = json.loads((checkpoint / "config.json").read_text())["model"]["text"]["backbone"]
    monkeypatch.setattr("core.predict.ENGLISH_BACKBONES", {backbone})
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: transcript)


def test_another_language_is_told_on_the_page_and_by_the_command(page, checkpoint, tmp_path, monkeypatch):  # noqa: F811
    hear(monkeypatch, checkpoint, Transcript(text="Wie wunderbar!", language="de"))
    path = write(tmp_path, "a.wav", {"sound": tone(1.0, RATE)})
    upload(page, path.name, path.read_bytes())
    assert notes_of(page) == {"a.wav has no video.", GERMAN}
    assert page.text_area[0].value == "Wie wunderbar!"
    (answer,) = answers_of_command(path, checkpoint)
    assert set(answer["notes"]) == {"a.wav has no video.", GERMAN}


def test_ten_minutes_are_told_on_the_page_and_by_the_command(page, checkpoint, tmp_path, monkeypatch):  # noqa: F811
    hear(monkeypatch, checkpoint, Transcript(text=""))
    pictures, times = grey_pictures(1) * 121, [5.0 * k for k in range(121)]
    content = {"pictures": pictures, "times_seconds": times, "sound": tone(40.0, RATE)}
    path = write(tmp_path, "long.mp4", content)
    upload(page, path.name, path.read_bytes())
    (on_page,) = (
        note for note in notes_of(page) if note.startswith("One answer stands for 605 s of long.mp4")
    )
    (answer,) = answers_of_command(path, checkpoint)
    assert on_page in answer["notes"]


def test_words_that_nobody_gave_are_told_by_the_command(checkpoint, tmp_path):
    path = write(tmp_path, "a.wav", {"sound": tone(1.0, RATE)})
    (answer,) = answers_of_command(path, checkpoint, "--no-transcribe")
    assert "No transcript was given, so the model reads no words." in answer["notes"]


def answers_of_command(path, checkpoint, *more: str) -> list[dict]:
    """What `deepmsi predict` says as JSON."""
    asked = ["predict", str(path), "--json", "--checkpoint", str(checkpoint), *more]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    return told if isinstance(told, list) else [told]


def test_the_command_tells_it_too(checkpoint, tmp_path):
    for number, (name, content, _, _) in enumerate(CASES.values()):
        (tmp_path / str(number)).mkdir()
        write(tmp_path / str(number), name, content)
    answers = answers_of_command(tmp_path, checkpoint)
    assert len(answers) == len(CASES)
    for answer, (name, _, _, told) in zip(answers, CASES.values(), strict=True):
        assert set(answer["notes"]) == {one.format(name=name) for one in told}
        assert answer["is_uncertain"]
