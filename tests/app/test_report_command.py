"""`deepmsi report` from the outside."""

import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.app.test_report import TOLD, TRUTH, write_checkpoint
from tests.made_evaluations import made_evaluation


def run(*arguments: object):
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    sha256 = write_checkpoint(tmp_path / "first", "## Licence\n\nCC BY 4.0, as agreed.\n")
    made_evaluation(TRUTH, TOLD, tmp_path, checkpoint_sha256=sha256).write(tmp_path / "first-test")
    made_evaluation(TRUTH, TRUTH, tmp_path, checkpoint="second").write(tmp_path / "second-test")
    return tmp_path


def refused(*arguments: object, code: int = 1) -> str:
    result = run("report", *arguments)
    assert result.exit_code == code and result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_report_is_written_where_it_is_wanted(folder):
    out = folder / "new" / "report.html"
    result = run(
        *("report", folder / "first-test", "--against", folder / "second-test"),
        *("--out", out, "--date", "2026-02-03", "--no-pictures"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    html = out.read_text(encoding="utf-8")
    assert "Against second-test" in html and "2026-02-03" in html and "CC BY 4.0, as agreed." in html
    assert "deepmsi report first-test --against second-test --no-pictures --out report.html" in html
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    # again, with other choices, over the old one
    result = run("report", folder / "first-test", "--out", out, "--date", "2026-02-03", "--no-words")
    assert result.exit_code == 0 and "second-test" not in out.read_text(encoding="utf-8")


def test_what_is_no_evaluation_or_of_other_clips_is_one_sentence(folder):
    out = folder / "report.html"
    assert f"{folder / 'gone'} is no evaluation: it has no evaluation.json" in refused(
        folder / "gone", "--out", out
    )
    made_evaluation(TRUTH[:6], TOLD[:6], folder, data_sha256="e" * 64, checkpoint="third").write(
        folder / "third"
    )
    told = refused(folder / "first-test", "--against", folder / "third", "--out", out)
    assert "third and first cannot be compared" in told and "evaluate both on the same clips" in told
    assert not out.exists()


def test_what_is_no_report_is_not_written_over(folder):
    notes = folder / "notes.txt"
    notes.write_text("mine")
    told = refused(folder / "first-test", "--out", notes)
    assert f"{notes} exists and is no report, so it is not replaced" in told and notes.read_text() == "mine"
    told = refused(folder / "first-test", "--out", folder / "first")
    assert f"{folder / 'first'} is a folder; name the file of the report" in told
    told = refused(folder / "first-test", "--out", notes / "report.html")
    assert "cannot be written" in told


def test_choices_that_cannot_be_meant(folder):
    out = ("--out", folder / "report.html")
    first, second = folder / "first-test", folder / "second-test"
    same = refused(first, "--against", f"{first}/../first-test", *out, code=2)
    assert "--against takes other evaluations, each of them once" in same
    told = refused(second, "--checkpoint", folder / "first", *out, code=2)
    assert "is not the one that was evaluated" in told
    assert run("report", first, *out, "--checkpoint", folder / "first").exit_code == 0
    told = refused(first, *out, "--date", "yesterday", code=2)
    assert "yesterday" in told
    many = []
    for i in range(6):
        made_evaluation(TRUTH, TOLD, folder).write(folder / f"e{i}")
        many += ["--against", folder / f"e{i}"]
    assert "up to 5 evaluations, not 6" in refused(first, *many, *out, code=2)


def test_damaged_truth_is_told_and_the_report_made(folder):
    (folder / "first-test" / "truth.json").write_text("{")
    result = run("report", folder / "first-test", "--out", folder / "report.html")
    assert result.exit_code == 0 and "truth.json is damaged" in result.stderr
