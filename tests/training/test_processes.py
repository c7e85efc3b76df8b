import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from one_process import train_without_chance
from safetensors.torch import load_file
from test_pretrain import write_stills
from typer.testing import CliRunner

from app.cli import cli
from core.checkpoint import load_checkpoint
from core.evaluation import read_evaluation
from core.labels import MODALITIES
from training.evaluate import evaluate_checkpoint
from training.sources import make_features, of_split, read_sources

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    """Results of a pretraining and a training in two processes on the CPU."""
    folder = tmp_path_factory.mktemp("processes")
    write_stills(folder / "train.parquet", 40, 0)
    write_stills(folder / "dev.parquet", 20, 1)
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        + [Path(__file__).with_name("one_process.py"), folder, corpus],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def notes(folder):
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_processes_learn_from_different_pictures_and_end_with_one_network(notes):
    first, second = notes
    assert len(first["drawn"]) == len(second["drawn"]) == 7
    assert not set(first["drawn"]) & set(second["drawn"])
    assert first["net"] == second["net"] and first["model"] == second["model"]


def test_only_the_main_process_evaluates_and_saves(folder, notes):
    lines = [json.loads(line) for line in (folder / "video" / "history.jsonl").read_text().splitlines()]
    assert [(line["step"], line["image_size"]) for line in lines] == [(2, 32), (4, 32), (6, 64), (7, 64)]
    assert all(torch.isfinite(v).all() for v in load_file(folder / "video" / "video.safetensors").values())
    checkpoint = load_checkpoint(folder / "checkpoint")
    assert notes[0]["num_evaluations"] == len(checkpoint.history) and notes[1]["num_evaluations"] == 0


def test_processes_stop_together(folder, notes):
    # 12 clips in batches of 4, two for each process
    num_epochs = len(load_checkpoint(folder / "checkpoint").history)
    assert notes[0]["num_steps"] == notes[1]["num_steps"] == 3 * num_epochs


def test_a_run_cut_in_one_process_goes_on_in_all_to_the_same_weights(folder, notes):
    assert [note["stopped_after"] for note in notes] == [4, 4]
    assert notes[0]["resumed_model"] == notes[1]["resumed_model"] == notes[0]["model"]
    whole = load_file(folder / "checkpoint" / "model.safetensors")
    resumed = load_file(folder / "resumed" / "model.safetensors")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_two_processes_learn_what_one_does(folder, corpus):
    by_two = load_checkpoint(folder / "by_two")
    by_one = load_checkpoint(train_without_chance(corpus, folder / "by_one", folder / "cache"))
    weights, expected = by_two.model.state_dict(), by_one.model.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, atol=2e-4, rtol=1e-3, msg=name)
    columns = ["loss", "class_loss", "contrastive_loss", "prototype_loss", "dev_video+audio+text_macro_f1"]
    np.testing.assert_allclose(by_two.history[columns], by_one.history[columns], rtol=1e-3)
    for split in ("dev", "test"):
        scores = [run.metrics[split]["subsets"] for run in (by_two, by_one)]
        told = [{subset: (one["accuracy"], one["macro_f1"]) for subset, one in run.items()} for run in scores]
        assert told[0] == told[1]


def test_the_history_tells_the_loss_of_all(folder, notes):
    expected = np.mean([note["losses"] for note in notes], axis=(0, 2))
    history = load_checkpoint(folder / "checkpoint").history
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    assert notes[0]["losses"] != notes[1]["losses"]


def test_an_evaluation_by_two_processes_says_the_same(folder, corpus):
    shared = read_evaluation(folder / "evaluation")
    checkpoint = load_checkpoint(folder / "checkpoint")
    sources = of_split(read_sources([corpus]), "test")
    features = make_features(sources, checkpoint.model, folder / "cache", progress=False)
    alone = evaluate_checkpoint(checkpoint, features, data=corpus, split="test", num_bootstrap=100)
    assert list(shared.predictions["key"]) == [utterance.key for utterance in sources.utterances]
    np.testing.assert_allclose(shared.probabilities(MODALITIES), alone.probabilities(MODALITIES), atol=1e-5)
    mine, theirs = alone.metrics.to_dict(), shared.metrics.to_dict()
    whole = "video+audio+text"
    assert mine["subsets"][whole]["confusion"] == theirs["subsets"][whole]["confusion"]


def launched(logs, *arguments):
    """What a command prints that `accelerate launch` starts in two processes, each line after its process."""
    # without GPUs too, --multi_gpu is what stands for several processes: --cpu starts one alone
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0"]
    result = subprocess.run(
        [sys.executable, *launch, f"--log_dir={logs}", "--tee=3", "-m", "app.cli", *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert {path.parent.name for path in logs.rglob("stderr.log")} == {"0", "1"}
    return result.stdout


def test_a_command_that_accelerate_launches_says_what_it_says_alone(corpus, tmp_path):
    data = ("--data", corpus, "--cache-dir", tmp_path / "cache")
    small = ("--preset", "tiny", "--epochs", 1, "--batch-size", 4, "--threads", 1)
    # made and told once, not by each
    told = launched(tmp_path / "training", "train", *data, *small, "--out", tmp_path / "made")
    assert told.split() == [f"[default0]:{tmp_path / 'made'}"]
    evaluate = ("evaluate", tmp_path / "made", *data, "--split", "test", "--bootstrap", 100)
    launched(tmp_path / "evaluating", *evaluate, "--out", tmp_path / "by_two")
    alone = CliRunner().invoke(cli, list(map(str, (*evaluate, "--out", tmp_path / "by_one"))))
    assert alone.exit_code == 0, alone.output
    two, one = (read_evaluation(tmp_path / name) for name in ("by_two", "by_one"))
    assert list(two.predictions["key"]) == list(one.predictions["key"]) and two.info.num_clips == 6
    np.testing.assert_allclose(two.probabilities(MODALITIES), one.probabilities(MODALITIES), atol=1e-5)
    for subset, scores in one.metrics.subsets.items():
        for name in ("accuracy", "weighted_f1", "macro_f1", "uar"):
            assert getattr(two.metrics.subsets[subset], name) == getattr(scores, name)
    # what was told of the test split while training is what the finished checkpoint says
    whole = load_checkpoint(tmp_path / "made").metrics["test"]["subsets"]["video+audio+text"]
    assert whole["accuracy"] == pytest.approx(one.metrics.subsets["video+audio+text"].accuracy.value)


def test_machines_need_share_no_folder(corpus, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machines = []
    for rank in range(2):
        own = tmp_path / str(rank)
        shutil.copytree(corpus, own / "corpus")
        command = ["-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1"]
        command += ["--master-addr=127.0.0.1", f"--master-port={port}", "-m", "app.cli", "train"]
        command += ["--data", "corpus", "--out", "made", "--cache-dir", "cache", "--preset", "tiny"]
        command += ["--epochs", "2", "--batch-size", "4", "--threads", "1"]
        root = str(Path(__file__).parents[2])
        machines.append(
            subprocess.Popen(
                [sys.executable, *command],
                cwd=own,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    told = [machine.communicate(timeout=280)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], told
    # the first one has the checkpoint, the second its features alone
    assert len(load_checkpoint(tmp_path / "0" / "made").history) == 2
    assert {path.name for path in (tmp_path / "1").iterdir()} == {"corpus", "cache"}
