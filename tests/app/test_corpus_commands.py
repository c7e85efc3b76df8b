"""`deepmsi corpus …` from the outside."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from app.cli import cli


@pytest.fixture
def run():
    def run(*arguments):
        return CliRunner().invoke(cli, ["corpus", *map(str, arguments)])

    return run


@pytest.mark.parametrize("command", ["make", "check", "sheet", "stills", "assets"])
def test_every_command_has_help_with_an_example(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0 and f"Example: deepmsi corpus {command}" in result.output


def test_a_preset_that_does_not_exist_is_one_sentence(run, tmp_path):
    result = run("make", "--preset", "huge", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "There is no preset 'huge'; choose one of demo, train, probe." in " ".join(result.output.split())


def test_a_missing_package_is_one_sentence_that_names_the_remedy(tmp_path):
    # None in sys.modules is how Python says that a module cannot be imported; in a process of its own, for
    # modules that are loaded twice would stay loaded twice
    code = (
        "import sys; sys.modules['numba'] = None; from app.cli import cli; "
        f"cli(['corpus', 'make', '--preset', 'demo', '--out', {str(tmp_path / 'out')!r}])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    sentence = " ".join(result.stderr.split())
    assert "needs the package numba" in sentence and 'pip install -e ".[corpus]"' in sentence
    assert "Traceback" not in result.stderr


def test_a_folder_without_a_corpus_is_one_sentence(run, tmp_path):
    for command in (["check", tmp_path], ["sheet", tmp_path, "--out", tmp_path / "a.png"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "holds no finished corpus" in " ".join(result.output.split())


def test_a_corpus_is_made_and_drawn(run, tmp_path):
    out = tmp_path / "corpus"
    options = ["--preset", "demo", "--clips", 1, "--size", 64, "--fps", 6, "--seed", 2]
    result = run("make", "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert re.search(r"manifest\.csv\s*$", result.stdout)
    result = run("sheet", out, "--out", tmp_path / "sheet.png", "--columns", 1)
    assert result.exit_code == 0 and (tmp_path / "sheet.png").is_file()
