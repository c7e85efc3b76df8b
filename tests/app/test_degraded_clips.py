"""Clips that lack something, on the Clip page and the command line: the same is told beside the answer."""

import html
import json

import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.app.test_clip_page import html_of, page, upload  # noqa: F401
from tests.core.test_degradation import CASES, write


@pytest.mark.parametrize("case", CASES)
def test_the_page_shows_an_answer_and_beside_it_what_was_missing(page, tmp_path, case):  # noqa: F811
    name, content, _, told = CASES[case]
    upload(page, name, write(tmp_path, name, content).read_bytes())
    assert not page.exception and not page.error
    shown = html.unescape(html_of(page))
    assert "The model says" in shown and "? uncertain" in shown
    notes = shown.partition('aria-label="What was missing or unusual">')[2].partition("</ul>")[0]
    assert set(notes.replace("<li>", "").split("</li>")[:-1]) == {one.format(name=name) for one in told}


def test_the_command_tells_it_too(checkpoint, tmp_path):  # noqa: F811
    for number, (name, content, _, _) in enumerate(CASES.values()):
        (tmp_path / str(number)).mkdir()
        write(tmp_path / str(number), name, content)
    done = CliRunner().invoke(cli, ["predict", str(tmp_path), "--json", "--checkpoint", str(checkpoint)])
    assert done.exit_code == 0, done.output
    answers = json.loads(done.stdout)
    assert len(answers) == len(CASES)
    for answer, (name, _, _, told) in zip(answers, CASES.values(), strict=True):
        assert set(answer["notes"]) == {one.format(name=name) for one in told}
        assert answer["is_uncertain"]
