"""Which clips decide what: training clips the weights, the dev split the rest, and the test split nothing."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.checkpoint import load_checkpoint
from core.evaluation.artifact import ALL
from core.evaluation.calibration import choose_threshold
from training.answers import ask
from training.config import TrainConfig
from training.loop import train
from training.scores import evaluate
from training.sources import make_features, of_split, read_sources

NEXT = {"joy": "sadness", "sadness": "anger", "anger": "joy"}


def relabelled(corpus, folder, split):
    """A copy of the corpus in which every clip of one split has another label."""
    shutil.copytree(corpus, folder)
    path = folder / "manifest.csv"
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [[row[0], NEXT[row[1]] if row[4] == split else row[1], *row[2:]] for row in rows]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder


@pytest.fixture(scope="module")
def config(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decides")
    return TrainConfig(
        data=(corpus,),
        out=folder / "checkpoint",
        cache_dir=folder / "cache",
        preset="tiny",
        modalities=("audio", "text"),
        num_epochs=6,
        batch_size=4,
        learning_rate=5e-3,
        augment=False,
        tune_offsets=True,
        weight_average=0.0,
        num_threads=1,
    )


@pytest.fixture(scope="module")
def checkpoint(config):
    return load_checkpoint(train(config))


def weights_of(checkpoint):
    return checkpoint.model.state_dict()


def test_the_weights_that_are_saved_are_those_of_the_best_epoch(config, checkpoint):
    scores = checkpoint.history["dev_video+audio+text_macro_f1"]
    best, space = checkpoint.metrics["best_epoch"], checkpoint.space
    assert best == scores.argmax() < len(scores) - 1, "the last one is the best, so that this tests nothing"
    sources = of_split(read_sources(config.data), "dev")
    features = make_features(sources, checkpoint.model, config.cache_dir, progress=False)
    told = {answer.key: answer.embeddings["text"] for answer in ask(checkpoint.model, features)}
    # what the dev clips were to the network after every epoch, which was kept in half precision
    seen = space.embeddings["text"].astype(float)
    away = [np.abs(row - np.stack([told[key] for key in space.keys])).max() for row in seen]
    assert space.epochs[int(np.argmin(away))] == best
    assert min(away) < 0.01 and sorted(away)[1] > 0.03


def test_the_test_split_decides_nothing(config, checkpoint, corpus, tmp_path):
    other = relabelled(corpus, tmp_path / "corpus", "test")
    again = load_checkpoint(train(replace(config, data=(other,), out=tmp_path / "out")))
    assert again.metrics["test"] != checkpoint.metrics["test"]
    assert all(torch.equal(value, weights_of(again)[name]) for name, value in weights_of(checkpoint).items())
    assert (again.info.temperature, again.info.uncertainty_threshold) == (
        checkpoint.info.temperature,
        checkpoint.info.uncertainty_threshold,
    )
    for name in ("logit_offsets", "best_epoch", "dev"):
        assert again.metrics[name] == checkpoint.metrics[name]


def test_the_dev_split_moves_no_weight_by_itself(config, corpus, tmp_path):
    short = replace(config, num_epochs=1, tune_offsets=False)
    one = load_checkpoint(train(replace(short, out=tmp_path / "one")))
    # other labels, and one clip less, so that the scale of its sounds is another too
    folder = relabelled(corpus, tmp_path / "corpus", "val")
    lines = (folder / "manifest.csv").read_text().splitlines(keepends=True)
    (folder / "manifest.csv").write_text("".join(line for line in lines if not line.startswith("val0.")))
    other = load_checkpoint(train(replace(short, data=(folder,), out=tmp_path / "other")))
    assert other.metrics["num_clips"]["dev"] == 5 and other.metrics["dev"] != one.metrics["dev"]
    assert all(torch.equal(value, weights_of(other)[name]) for name, value in weights_of(one).items())


def test_the_scale_of_the_sounds_is_that_of_the_training_clips(config, checkpoint):
    sources = of_split(read_sources(config.data), "train")
    features = make_features(sources, checkpoint.model, config.cache_dir, progress=False)
    sounds = np.stack([clip.audio.numpy() for clip in features]).astype(float)
    np.testing.assert_allclose(checkpoint.model.audio.feature_mean, sounds.mean(0), atol=1e-4)


def test_temperature_and_threshold_are_those_that_the_dev_split_asks_for(config, checkpoint):
    sources = of_split(read_sources(config.data), "dev")
    features = make_features(sources, checkpoint.model, config.cache_dir, progress=False)
    answers = evaluate(checkpoint.model, features)
    logits, clips = answers.logits[ALL], np.arange(6)

    def surprise(temperature):
        log = logits / temperature - np.log(np.exp(logits / temperature).sum(1, keepdims=True))
        return -log[clips, answers.truth].mean()

    found = checkpoint.info.temperature
    # a hundredth part is the step in which it is looked for, between 0.2 and 8
    beside = [one for one in (0.97 * found, 1.03 * found) if 0.2 <= one <= 8]
    assert beside and abs(found - 1) > 0.05
    assert surprise(found) < min(map(surprise, beside))
    told = np.exp(logits / found) / np.exp(logits / found).sum(1, keepdims=True)
    expected = choose_threshold(told, answers.truth)
    assert checkpoint.info.uncertainty_threshold == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("num_blind", [0, 2])
def test_a_run_that_gains_nothing_any_more_ends_when_patience_does(config, tmp_path, num_blind):
    modalities = ("audio", "text") if not num_blind else ("video", "audio", "text")
    idle = replace(
        config,
        out=tmp_path / "idle",
        modalities=modalities,
        num_blind_epochs=num_blind,
        num_epochs=8,
        patience=2,
        tune_offsets=False,
        learning_rate=1e-12,
        video_learning_rate=1e-12,
        num_train_frames=(2,),
    )
    made = load_checkpoint(train(idle))
    scores = made.history["dev_video+audio+text_macro_f1"]
    assert made.metrics["best_epoch"] == scores.argmax()
    # what is blind does not count as waiting
    assert len(scores) == max(int(scores.argmax()), num_blind) + 1 + 2 < 8
