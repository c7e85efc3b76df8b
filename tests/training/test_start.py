"""A run that begins with the weights of a checkpoint."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
import torch

import training.data
from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointError, read_metrics
from core.labels import IEMOCAP_4, IEMOCAP_6
from training.building import built
from training.config import TrainConfig
from training.datasets import DataError
from training.held_out import caveats_of, part_as_trained
from training.learner import Learner
from training.loop import train
from training.resume import learned_before
from training.sources import read_sources


@pytest.fixture(scope="module")
def config(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    return TrainConfig(
        data=(corpus,),
        out=folder / "start",
        cache_dir=folder / "cache",
        preset="tiny",
        num_epochs=1,
        batch_size=4,
        num_train_frames=(4,),
        num_text_layers=1,
        weight_average=0.0,
        num_threads=1,
    )


@pytest.fixture(scope="module")
def start(config):
    return load_checkpoint(train(config))


@pytest.fixture(scope="module")
def frozen(config, start, corpus, tmp_path_factory):
    """Settings of a run that begins with it, on fewer clips, and moves nothing worth mentioning."""
    folder = tmp_path_factory.mktemp("fewer")
    shutil.copytree(corpus, folder, dirs_exist_ok=True)
    with (folder / "manifest.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *[row for row in rows if row[1] != "joy" or row[4] != "train"]])
    rates = dict.fromkeys(("learning_rate", "video_learning_rate", "encoder_learning_rate"), 1e-12)
    return replace(config, data=(folder,), start=start.folder, out=folder / "out", **rates)


def distance(one, other, keys):
    one, other = one.model.state_dict(), other.model.state_dict()
    return max(float((one[key].float() - other[key].float()).abs().max()) for key in keys)


def learned(checkpoint):
    """What training moves by its gradient, and the scale of the audio features."""
    names = [name for name, _ in checkpoint.model.named_parameters()]
    return [*names, "audio.feature_mean", "audio.feature_deviation"]


def test_a_run_begins_with_the_weights_and_the_scale_of_its_start(config, frozen, start, tmp_path):
    made = load_checkpoint(train(replace(frozen, out=tmp_path / "on")))
    assert distance(made, start, learned(start)) < 1e-6
    afresh = load_checkpoint(train(replace(frozen, start=None, seed=1, out=tmp_path / "afresh")))
    assert distance(afresh, start, learned(start)) > 0.1
    # these clips have a scale of their own, which would make strange sounds of all that was learned
    assert distance(afresh, start, ["audio.feature_mean"]) > 1e-3
    assert made.metrics["train_config"]["start"] == "start"
    # what the start has learned from was learned from
    sources = read_sources(config.data)
    assert made.metrics["learned_before"] == dict.fromkeys(sources.names)
    (said,) = caveats_of(made, sources, "train", "official")
    assert "has learned from some of these clips" in said and not caveats_of(
        afresh, sources, "train", "official"
    )
    made.metrics["learned_before"] = dict.fromkeys(sources.names, "paper-10fold")
    (said,) = caveats_of(made, sources, "test", "official")
    assert "parted otherwise" in said
    assert "It began with the weights of the checkpoint `start`; what that one's card says" in made.card
    assert "clips, beside those of its start. On" in made.card
    assert "started from random weights" in afresh.card and "began with" not in afresh.card
    assert "clips. On other faces" in afresh.card


def test_of_other_labels_all_but_the_last_layer_is_taken(frozen, start, corpus, tmp_path):
    made = load_checkpoint(train(replace(frozen, labels=IEMOCAP_6.name, data=(corpus,), out=tmp_path / "on")))
    assert made.config.labels == IEMOCAP_6
    head = {"classifier.output.weight", "classifier.output.bias"}
    assert distance(made, start, [key for key in learned(start) if key not in head]) < 1e-6
    assert made.model.classifier.output.weight.shape[0] == 6


def test_a_start_that_does_not_fit_is_told(frozen, start, tmp_path):
    with pytest.raises(DataError, match="which would be lost: set num_text_layers to 1 or more"):
        train(replace(frozen, num_text_layers=0, out=tmp_path / "a"))
    with pytest.raises(DataError, match="is another network than is to be trained"):
        train(replace(frozen, audio_pooling="mean", out=tmp_path / "b"))
    with pytest.raises(DataError, match="is of the preset tiny, not mini: set it so"):
        train(replace(frozen, preset="mini", out=tmp_path / "d"))
    # words that are not read have no layers to lose
    heard = built(replace(frozen, modalities=("audio",), num_text_layers=0))
    assert torch.equal(heard.projections["audio"].first.weight, start.model.projections["audio"].first.weight)
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        train(replace(frozen, start=tmp_path, out=tmp_path / "c"))


def test_a_run_of_another_start_is_not_taken_for_this_one(frozen, start, tmp_path):
    run = replace(frozen, out=tmp_path / "on")
    train(run)
    # the same weights in another folder are the same start
    same = shutil.copytree(start.folder, tmp_path / "same")
    assert train(replace(run, start=same), resume=True) == run.out
    with pytest.raises(DataError, match=r"trained with other settings than are asked for now \(start\)"):
        train(replace(run, start=shutil.copytree(run.out, tmp_path / "other")), resume=True)
    with pytest.raises(DataError, match=r"other settings .*\(start\)"):
        train(replace(run, start=None), resume=True)


def test_a_start_of_no_sound_gets_its_scale_from_the_clips(config, frozen, start, tmp_path):
    silent = load_checkpoint(start.folder)
    silent.model.audio.feature_mean.zero_()
    silent.model.audio.feature_deviation.fill_(1.0)
    folder = save_checkpoint(tmp_path / "silent", silent.model, info=silent.info)
    made = load_checkpoint(train(replace(frozen, data=config.data, start=folder, out=tmp_path / "on")))
    assert distance(made, start, ["audio.feature_mean", "audio.feature_deviation"]) < 1e-6


def test_data_are_read_for_the_labels_of_the_start(frozen, corpus, tmp_path, monkeypatch):
    asked = []

    def read(*arguments, scheme, **options):
        asked.append(scheme)
        return read_sources(*arguments, scheme=scheme, **options)

    four = replace(frozen, start=None, data=(corpus,), labels=IEMOCAP_4.name, out=tmp_path / "four")
    train(four)
    monkeypatch.setattr(training.data, "read_sources", read)
    made = load_checkpoint(train(replace(four, start=four.out, labels=None, out=tmp_path / "on")))
    assert made.config.labels == IEMOCAP_4 and asked == [IEMOCAP_4.name]


def test_what_was_learned_before_is_told_also_where_the_start_is_gone_at_the_end(
    frozen, start, tmp_path, monkeypatch
):
    folder = shutil.copytree(start.folder, tmp_path / "start")
    step = Learner.step

    def remove(learner):
        shutil.rmtree(folder, ignore_errors=True)
        step(learner)

    monkeypatch.setattr(Learner, "step", remove)
    made = train(replace(frozen, start=folder, out=tmp_path / "on"))
    assert read_metrics(made)["learned_before"] and not folder.exists()


def test_what_was_parted_anew_once_is_told_of_every_later_run(frozen, tmp_path):
    def before(earlier, protocol):
        recipe = {"source_names": ["meld"], "protocol": protocol}
        metrics = {"train_config": recipe, "learned_before": earlier}
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
        return learned_before(replace(frozen, start=tmp_path))

    assert before({"meld": "paper-10fold"}, None) == {"meld": "paper-10fold"}
    assert before({"meld": None}, "paper-10fold") == {"meld": "paper-10fold"}
    assert before({"train": "loso"}, "official") == {"train": "loso", "meld": "official"}


def test_a_start_that_learned_from_other_parts_may_have_met_the_test(config, frozen, tmp_path):
    run = replace(frozen, data=config.data, protocol="grouped-kfold", num_folds=3, fold="fold02")
    made = load_checkpoint(train(replace(run, out=tmp_path / "on")))
    said = "were parted otherwise: it may have learned from some of these clips"
    assert said in made.metrics["caveats"][0] and said in made.card
    parted, protocol, _ = part_as_trained(made, read_sources(config.data), None, "")
    (told,) = caveats_of(made, parted, "test", protocol)
    assert protocol == "grouped-kfold" and said in told
    # who learned from these parts alone has met none
    alone = load_checkpoint(train(replace(run, start=None, out=tmp_path / "alone")))
    for told in (alone.metrics["caveats"], caveats_of(alone, parted, "test", protocol)):
        assert not any(said in one for one in told)


def test_a_start_is_not_replaced_by_what_it_became(frozen, start):
    same = start.folder.parent / ".." / start.folder.parent.name / start.folder.name
    with pytest.raises(DataError, match="is what the run is to begin with, and would be lost"):
        train(replace(frozen, out=same))
