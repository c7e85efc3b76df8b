"""`deepmsi bench` on the command line, at the size of the tests' network."""

import json

import pytest
from made_prepared import made_checkpoint
from typer.testing import CliRunner

from app.bench_commands import SPEED_PARTS
from app.cli import cli
from sample_data.corpus.checking.statistics import Estimate
from training.truth import TruthFigure
from training.truth_report import TruthReport


def run(*arguments):
    return CliRunner().invoke(cli, ["bench", "speed", *map(str, arguments)])


def test_every_part_is_measured_and_written(tmp_path):
    out = tmp_path / "speed"
    small = ["--preset", "tiny", "--threads", 1, "--repeats", 1, "--height", 96]
    result = run("--out", out, *small, "--frames", 2, "--frames", 4, "--seconds", 1)
    assert result.exit_code == 0, result.output
    table = (out / "speed.md").read_text()
    assert table.strip() in result.stdout
    report = json.loads((out / "speed.json").read_text())
    sections = report["sections"]
    assert list(dict.fromkeys(one["part"] for one in sections)) == list(SPEED_PARTS)
    for section in sections:
        assert f"### {section['title']} (`{section['part']}`, `tiny`)" in table
        for row in section["rows"]:
            assert f"| {row['name']} |" in table
            seconds = row["cpu_seconds"] or {"median": row["mib"]}
            assert seconds["median"] > 0
    by_part = {one["part"]: {row["name"] for row in one["rows"]} for one in sections}
    assert {"text encoder", "audio encoder", "– stage 1", "– stage 4", "one prediction"} <= by_part["stages"]
    assert {"first result: answer and modalities", "patches", "all attributions"} <= by_part["explain"]
    assert report["machine"]["num_cores"] >= 1 and "CPU time grows with the power" in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--part", "speed"], "There is no part 'speed'; choose encoder"),
        (["--preset", "huge"], "There is no preset 'huge'; choose paper"),
        (["--threads", 4096], "4096 threads are more than the"),
        (["--threads", 0], "should be greater than or equal to 1"),
        (["--repeats", 0], "should be greater than or equal to 1"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, arguments, sentence):
    result = run("--out", tmp_path / "speed", *arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert sentence in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "speed").exists()


def test_a_folder_that_cannot_be_is_one_sentence_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = run("--out", tmp_path / "file" / "speed", "--preset", "tiny")
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ") and str(tmp_path / "file") in line


def test_a_checkpoint_that_is_none_is_one_sentence(tmp_path):
    result = run("--out", tmp_path / "o", "--preset", "tiny", "--part", "explain", "--checkpoint", tmp_path)
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert "is no checkpoint: it has no config.json" in line


@pytest.mark.parametrize(
    ("options", "methods", "with_tests"),
    [
        (
            [],
            {
                ("frame", "integrated-gradients"),
                ("frame", "occlusion"),
                ("frame", "shapley-sampling"),
                ("window", "integrated-gradients"),
                ("window", "gradients-and-stretches"),
                ("window", "occlusion"),
                ("word", "integrated-gradients"),
                ("word", "occlusion"),
                ("word", "shapley-sampling"),
            },
            False,
        ),
        (
            ["--element", "window", "--tests"],
            {
                ("window", "integrated-gradients"),
                ("window", "gradients-and-stretches"),
                ("window", "occlusion"),
            },
            True,
        ),
    ],
)
def test_truth_is_measured_of_every_method_that_was_asked_for(
    tmp_path, monkeypatch, options, methods, with_tests
):
    checkpoint = made_checkpoint(tmp_path / "tiny")
    asked = []

    def bench(predictor, corpus, out, methods, **how):
        asked.append((predictor.identity, corpus, out, set(methods), how))
        figure = TruthFigure(
            figure="sound deletion",
            method="occlusion",
            estimate=Estimate(value=0.25, low=0.2, high=0.3, num=7, num_clusters=3),
            chance=0.5,
            gain=Estimate(value=-0.25, low=-0.3, high=-0.2, num=7, num_clusters=3),
        )
        return TruthReport(
            checkpoint="tiny",
            checkpoint_sha256="a" * 64,
            plan_sha256="b" * 64,
            split="test",
            num_clips=9,
            figures=(figure,),
        )

    monkeypatch.setattr("training.truth_report.bench_truth", bench)
    given = ["truth", tmp_path / "corpus", "--out", tmp_path / "out", "--checkpoint", checkpoint.folder]
    result = CliRunner().invoke(cli, ["bench", *map(str, given), "--split", "test", "--clips", "9", *options])
    assert result.exit_code == 0, result.output
    [(identity, corpus, out, of, how)] = asked
    assert (identity, corpus, out) == (checkpoint.sha256, tmp_path / "corpus", tmp_path / "out")
    assert of == methods
    assert (how["split"], how["max_clips"], how["with_tests"]) == ("test", 9, with_tests)
    [row] = [line for line in result.stdout.splitlines() if line.startswith("| sound deletion: mean")]
    assert row.endswith("| occlusion | 0.25 (0.20 to 0.30) | 0.50 | 7 |")
