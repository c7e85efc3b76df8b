import json
import statistics
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from app.cli import cli
from core.checkpoint import load_checkpoint
from core.checkpoint_files import read_metrics
from training.config import TrainConfig
from training.datasets import DataError
from training.held_out import caveats_of, part_as_trained
from training.protocol import PAPER_10FOLD_FLATTERS
from training.runs import summarise, train_runs
from training.sources import of_split, read_sources


@pytest.fixture(scope="module")
def config(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return TrainConfig(
        data=(corpus,),
        out=folder / "runs",
        cache_dir=folder / "cache",
        preset="tiny",
        num_epochs=1,
        batch_size=4,
        num_train_frames=(4,),
        num_threads=1,
    )


def test_seeds_are_runs_of_their_own_and_come_to_a_mean(config):
    summary = train_runs(config, seeds=[0, 3])
    assert summary.runs == ("seed0", "seed3") and summary.split == "test"
    # one sentence for each label, which all three splits say
    shared = "Of the 3 texts of this split 3 occur in what was learned from, too (100.0 % of its clips)."
    assert summary.caveat == shared
    card = load_checkpoint(config.out / "seed0").card
    assert shared in card.partition("## Scores on the test split")[2].partition("## Scores on the dev")[0]
    parts = [read_metrics(config.out / name)["test"] for name in summary.runs]
    values = [part["subsets"]["video+audio+text"]["macro_f1"] for part in parts]
    assert summary.scores["macro_f1"].mean == pytest.approx(statistics.mean(values))
    assert summary.scores["macro_f1"].deviation == pytest.approx(statistics.stdev(values))
    ends = [part["f1_interval_per_class"]["joy"] for part in parts]
    assert list(summary.f1_interval_per_class["joy"]) == max(ends, key=lambda pair: pair[1] - pair[0])
    written = json.loads((config.out / "summary.json").read_text())
    assert written["scores"]["macro_f1"]["mean"] == summary.scores["macro_f1"].mean

    made = [(config.out / name / "model.safetensors").stat().st_mtime_ns for name in summary.runs]
    assert train_runs(config, seeds=[0, 3], resume=True) == summary
    assert made == [(config.out / name / "model.safetensors").stat().st_mtime_ns for name in summary.runs]


def test_a_mean_and_its_deviation_by_hand(tmp_path):
    def write(name, accuracy, fear, ends, num_fear, caveats):
        scores = dict.fromkeys(("accuracy", "weighted_f1", "macro_f1"), accuracy)
        part = {
            "subsets": {"video+audio+text": scores},
            "f1_per_class": {"fear": fear},
            "f1_interval_per_class": {"fear": ends},
            "num_clips_per_class": {"fear": num_fear},
        }
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"test": part, "caveats": caveats}))
        return tmp_path / name

    folders = [
        write("a", 0.25, 0.5, [0.25, 0.75], 5, ["It leaks.", "Often."]),
        write("b", 0.5, None, [None, None], 0, ["It leaks."]),
        write("c", 1.0, 0.25, [0.0, 0.25], 2, ["Rarely.", "It leaks."]),
    ]
    summary = summarise(folders, "loso")
    # (0.25 + 0.5 + 1) / 3; deviations −1/3, −1/12 and 5/12: the root of half of 7/24
    assert summary.scores["accuracy"].mean == pytest.approx(7 / 12)
    assert summary.scores["accuracy"].deviation == pytest.approx((7 / 48) ** 0.5)
    # over the runs that have any fear to find
    assert summary.f1_per_class["fear"].mean == pytest.approx(0.375)
    assert summary.f1_per_class["fear"].deviation == pytest.approx(0.125 * 2**0.5)
    assert summary.f1_interval_per_class["fear"] == (0.25, 0.75)
    assert summary.num_clips_per_class["fear"] == (0, 5)
    # what is true of every run
    assert summary.caveat == "It leaks."
    assert summarise(folders, "paper-10fold").caveat == PAPER_10FOLD_FLATTERS
    alone = summarise(folders[:1], "official").scores["accuracy"]
    assert (alone.mean, alone.deviation) == (0.25, None)
    (tmp_path / "c" / "metrics.json").write_text('{"dev": {}}')
    with pytest.raises(DataError, match="Some runs in .* have a test part and others none"):
        summarise(folders, "loso")


def test_a_finished_run_of_other_settings_is_not_taken(config):
    train_runs(config, seeds=[0], resume=True)
    with pytest.raises(DataError, match="other settings"):
        train_runs(replace(config, learning_rate=1e-2), seeds=[0], resume=True)


def test_folds_are_runs_and_what_flatters_is_said(config, tmp_path):
    config = replace(config, out=tmp_path / "folds", protocol="paper-10fold")
    summary = train_runs(config, seeds=[0])
    assert len(summary.runs) == 10 and "flatters" in summary.caveat
    # dev is the test, so the choice was made on what is reported
    metrics = read_metrics(config.out / summary.runs[0])
    assert metrics["num_clips"]["dev"] == metrics["num_clips"]["test"] in (2, 3)
    assert metrics["num_clips"]["train"] + metrics["num_clips"]["test"] == 24
    assert "flatters" in load_checkpoint(config.out / summary.runs[0]).card

    # what is evaluated as its test was not learned from, though the data have a split of their own
    checkpoint = load_checkpoint(config.out / summary.runs[0])
    sources = read_sources(config.data)
    parted, protocol, fold = part_as_trained(checkpoint, sources, None, "")
    assert (protocol, fold) == ("paper-10fold", "fold01")
    assert len(of_split(parted, "test").utterances) == metrics["num_clips"]["test"]
    official, protocol, fold = part_as_trained(checkpoint, sources, "official", "")
    assert official.names == sources.names and (protocol, fold) == ("official", "")
    # and where another part is asked for, this is said
    own = caveats_of(checkpoint, parted, "test", "paper-10fold")
    assert not any("parted otherwise" in said for said in own)
    for other in ("fold02", "official"):
        asked = ("official", "") if other == "official" else ("paper-10fold", other)
        again, protocol, _ = part_as_trained(checkpoint, sources, *asked)
        (*_, said) = caveats_of(checkpoint, again, "test", protocol)
        assert "parted otherwise: it may have learned from some of these clips" in said
    fewer = replace(sources, utterances=sources.utterances[1:])
    with pytest.raises(DataError, match="holds other clips than when fold"):
        part_as_trained(checkpoint, fewer, None, "")
    checkpoint.metrics["train_config"]["source_names"] = [*sources.names, "more"]
    with pytest.raises(DataError, match="and more, parted together by paper-10fold"):
        part_as_trained(checkpoint, sources, None, "")


def test_one_fold_may_be_a_run_of_its_own(config, tmp_path):
    config = replace(config, out=tmp_path / "fold", protocol="paper-10fold", fold="fold03")
    assert train_runs(config, seeds=[2]).runs == ("fold03-seed2",)


def test_the_command_tells_how_far_it_is_what_it_came_to_and_what_flatters(config, tmp_path):
    result = CliRunner(env={"COLUMNS": "120"}).invoke(
        cli,
        ["train", "--data", str(config.data[0]), "--out", str(tmp_path / "two"), "--preset", "tiny"]
        + ["--cache-dir", str(config.cache_dir), "--epochs", "1", "--batch-size", "4", "--threads", "1"]
        + ["--protocol", "paper-10fold", "--set", "fold=fold02", "--seeds", "0,4"],
    )
    assert result.exit_code == 0 and result.stdout.split() == [str(tmp_path / "two")]
    told = [" ".join(line.split()) for line in result.stderr.splitlines()]
    begun = [line for line in told if line.startswith("Run ")]
    assert begun == ["Run 1 of 2: fold02-seed0", "Run 2 of 2: fold02-seed4"]
    assert "2 runs, protocol paper-10fold, test, all modalities" in told
    # one line, beside the figures
    assert PAPER_10FOLD_FLATTERS in told
    scores = json.loads((tmp_path / "two" / "summary.json").read_text())["scores"]["accuracy"]
    assert f"accuracy {scores['mean']:.3f} {scores['deviation']:.3f}" in told


def test_seeds_are_checked(config):
    with pytest.raises(ValueError, match="different numbers"):
        train_runs(config, seeds=[1, 1])
