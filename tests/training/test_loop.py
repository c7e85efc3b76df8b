import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import training.feature_cache
import training.loop
from core.checkpoint import load_checkpoint
from core.checkpoint_files import CheckpointError
from core.config import CompressionConfig
from core.labels import MELD_7
from training.card import write_card
from training.config import TrainConfig
from training.datasets import DataError, read_manifest
from training.features import prepare
from training.loop import train
from training.scores import evaluate
from training.sources import make_features, of_split, read_sources


@pytest.fixture(scope="module")
def config(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    return TrainConfig(
        data=(corpus,),
        out=folder / "checkpoint",
        cache_dir=folder / "cache",
        preset="tiny",
        num_epochs=12,
        patience=12,
        batch_size=4,
        augment=False,
        learning_rate=5e-3,
        video_learning_rate=2e-3,
        num_train_frames=(4, 6),
        weight_average=0.3,
        num_threads=1,
    )


@pytest.fixture(scope="module")
def checkpoint(config):
    return load_checkpoint(train(config))


def test_it_learns_what_can_be_learned(checkpoint, config):
    features = prepare(read_manifest(config.data[0]), checkpoint.model, config.cache_dir, progress=False)
    # three classes: chance is a third
    assert evaluate(checkpoint.model, features).scores().accuracy >= 0.6
    history = checkpoint.history
    assert history["loss"].min() < history["loss"].iloc[0]


def test_the_rate_falls_to_nothing_over_all_epochs(checkpoint):
    # 12 epochs of three steps, two of the 36 to warm up: half a cosine over the other 34
    rates = checkpoint.history["learning_rate"]
    assert rates.is_monotonic_decreasing and len(rates) == 12
    assert rates.iloc[5] == pytest.approx(5e-3 * (1 + math.cos(math.pi * 16 / 34)) / 2)
    assert rates.iloc[-1] == pytest.approx(0, abs=1e-12)


def test_the_saved_checkpoint_is_the_best_epoch_on_dev(checkpoint):
    history = checkpoint.history
    best = history["dev_video+audio+text_macro_f1"]
    assert checkpoint.metrics["best_epoch"] == int(np.argmax(best))
    assert checkpoint.metrics["dev"]["subsets"]["video+audio+text"]["macro_f1"] == pytest.approx(best.max())


def test_of_epochs_that_are_alike_on_dev_the_latest_is_kept(checkpoint, config, tmp_path):
    scores = checkpoint.history["dev_video+audio+text_macro_f1"].to_numpy()
    best = int(scores.argmax())
    later = scores[best + 1 :]
    assert len(later), "the best epoch is the last one, so that this tests nothing"
    tolerance = float(scores.max() - later.max()) + 1e-6
    settled = load_checkpoint(train(replace(config, out=tmp_path / "settled", dev_tolerance=tolerance)))
    expected = int(np.flatnonzero(scores >= scores.max() - tolerance)[-1])
    assert settled.metrics["best_epoch"] == expected > best
    assert f"the latest of those within {tolerance:g} of the best" in settled.card


def test_of_several_data_sets_the_mean_chooses(config, corpus, tmp_path):
    said = tmp_path / "said"
    said.mkdir()
    rows = ["path,label,transcript,split"]
    for utterance in read_manifest(corpus)[:8]:
        name, number = utterance.path.name, int(utterance.path.stem.removeprefix("train"))
        shutil.copyfile(utterance.path, said / name)
        rows.append(f"{name},{utterance.label},{utterance.transcript},{('train', 'dev')[number % 2]}")
    (said / "manifest.csv").write_text("\n".join(rows))
    mixed = replace(config, data=(corpus, said), num_epochs=3, out=tmp_path / "mixed")
    checkpoint = load_checkpoint(train(mixed))
    history = checkpoint.history
    columns = [f"dev_of_{name}_macro_f1" for name in (corpus.name, "said")]
    assert checkpoint.metrics["best_epoch"] == int(np.argmax(history[columns].mean(axis=1)))
    sources = checkpoint.metrics["dev"]["sources"]
    assert {name: one["num_clips"] for name, one in sources.items()} == {corpus.name: 6, "said": 4}
    assert "| said | 4 |" in checkpoint.card and "mean over the data sets" in checkpoint.card
    # the test clips are of the first alone, and say in three sentences what its training clips say
    shared = "Of the 3 texts of this split 3 occur in what was learned from, too (100.0 % of its clips)."
    assert checkpoint.metrics["caveats"] == [f"{corpus.name}: {shared}"]


def test_training_changes_what_is_kept(checkpoint):
    assert checkpoint.history["changed_frames"].iloc[-1] > 0
    assert checkpoint.history["changed_patches"].iloc[-1] > 0


def test_the_checkpoint_knows_how_it_was_made(checkpoint, config):
    recipe = checkpoint.metrics["train_config"]
    assert recipe["seed"] == config.seed and recipe["learning_rate"] == config.learning_rate
    assert recipe["data"] == [f"{config.data[0].parent.name}/{config.data[0].name}"]
    # nothing of the machine it was made on
    assert str(config.out.parent) not in json.dumps(checkpoint.metrics)
    assert len(checkpoint.info.data_sha256) == 64 and checkpoint.info.seed == 0
    assert checkpoint.info.temperature > 0
    assert "macro F1" in checkpoint.card and "Not for decisions about people" in checkpoint.card
    # what does something in the loss is told, also where it is the default; what does nothing is not
    assert "class_weight_beta 0.9999, class_weight_start 0.75, modality_dropout 0.5" in checkpoint.card
    assert "class_balance" not in checkpoint.card
    # where there was no test split, none was read
    counts = checkpoint.metrics["num_clips"]
    assert ("the test split was only read" in checkpoint.card) == bool(counts["test"])
    without = checkpoint.metrics | {"num_clips": counts | {"test": 0}}
    assert "the test split was only read" not in write_card(config, checkpoint.config, without)
    assert set(checkpoint.metrics["test"]["scenarios"]) == {"all", "some"}


def test_a_seed_decides_the_weights(config, tmp_path):
    def weights(seed, name):
        short = replace(config, num_epochs=1, seed=seed, out=tmp_path / name)
        return load_checkpoint(train(short)).model.state_dict()

    first, again, other = weights(3, "a"), weights(3, "b"), weights(4, "c")
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_once_the_cache_is_filled_epochs_open_no_clip(checkpoint, config, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a clip was opened")

    # FFmpeg, and the process that asks it elsewhere
    monkeypatch.setattr("av.open", refuse)
    monkeypatch.setattr("core.media.apart.run_apart", refuse)
    for one in ("decode", "open_clip"):
        monkeypatch.setattr(training.feature_cache, one, refuse)
    history = load_checkpoint(train(replace(config, out=tmp_path / "again", num_epochs=2))).history
    assert len(history) == 2
    # the guard would find it: without the cache, clips are opened
    with pytest.raises((AssertionError, DataError)):
        train(replace(config, out=tmp_path / "anew", num_epochs=1, cache_dir=tmp_path / "empty"))


def test_every_option_runs(config, tmp_path):
    options = replace(
        config,
        num_epochs=1,
        out=tmp_path / "options",
        compression=CompressionConfig(merge=False, order="score", train_guide=False),
        contrastive_form="published",
        optimizer="adam",
        class_balance=1.0,
        prior_tau=0.0,
        num_blind_epochs=1,
        weight_average=0.0,
        augment=True,
        half_weights=True,
    )
    checkpoint = load_checkpoint(train(options))
    assert checkpoint.config.compression.order == "score"
    rare = replace(
        config,
        num_epochs=2,
        out=tmp_path / "rare",
        queue_size=2,
        prototype_weight=0.1,
        class_weight_beta=0.9,
        class_weight_start=0.5,
        focal_gamma=1.0,
        class_balance=0.5,
        progressive_balance=True,
        num_text_layers=1,
        word_dropout=0.1,
        epoch_size=9,
        accumulation=2,
        tune_offsets=True,
    )
    assert load_checkpoint(train(rare)).config.text.num_trained_layers == 1


def test_progressive_sampling_goes_from_the_clips_as_they_are_to_balanced_ones(config, tmp_path, monkeypatch):
    drawn, epoch_batches = [], training.loop.epoch_batches

    def watched(*given, **options):
        batches = epoch_batches(*given, **options)
        drawn.append((options["balanced_share"], sorted(np.concatenate(batches).tolist())))
        return batches

    monkeypatch.setattr(training.loop, "epoch_batches", watched)
    progressive = replace(config, num_epochs=3, class_balance=1.0, progressive_balance=True)
    train(replace(progressive, out=tmp_path / "progressive"))
    # the first call asks how many steps there will be
    assert [share for share, _ in drawn[1:]] == [0.0, 0.5, 1.0]
    # every clip once at first; later some are drawn again
    assert drawn[1][1] == list(range(12)) != drawn[3][1]


def test_a_blind_epoch_learns_from_sound_and_words_alone(config, tmp_path):
    blind = replace(config, num_epochs=1, num_blind_epochs=1, out=tmp_path / "a", weight_average=0.0)
    longer = replace(blind, learning_rate=1e-4, video_learning_rate=1e-2, out=tmp_path / "b")
    first, second = (load_checkpoint(train(c)).model.state_dict() for c in (blind, longer))
    seen = [key for key in first if key.startswith(("video.", "temporal."))]
    assert seen and all(torch.equal(first[key], second[key]) for key in seen)
    assert not torch.equal(first["classifier.output.weight"], second["classifier.output.weight"])


def test_a_model_may_read_some_of_the_modalities(config, tmp_path, capsys):
    heard = replace(config, num_epochs=1, modalities=("audio", "text"), out=tmp_path / "heard")
    checkpoint = load_checkpoint(train(replace(heard, cache_dir=tmp_path / "cache")))
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch 1/1")]
    assert re.search(r"dev macro-F1: audio\+text 0\.\d+  audio 0\.\d+  text 0\.\d+  \(best", told)
    assert "video" not in told and "frames" not in told
    assert not any(key.startswith(("video.", "temporal.")) for key in checkpoint.model.state_dict())
    # no picture was ever cropped for it
    assert not (tmp_path / "cache" / "video").exists()
    subsets = checkpoint.metrics["test"]["subsets"]
    assert subsets["video"]["num_clips"] == 0 and subsets["audio+text"]["num_clips"] > 0
    assert "it reads no pictures" in checkpoint.card
    # nor does one that lies in a cache shared with others change its answers
    data = read_manifest(config.data[0])
    seen, unseen = (
        prepare(data, model, config.cache_dir, progress=False)
        for model in (load_checkpoint(train(config, resume=True)).model, checkpoint.model)
    )
    logits = [evaluate(checkpoint.model, features).logits for features in (seen, unseen)]
    for subset, values in logits[0].items():
        np.testing.assert_array_equal(values, logits[1][subset])
    with pytest.raises(ValueError, match="modalities should be some of video, audio, text"):
        replace(checkpoint.config, modalities=("text", "audio"))
    with pytest.raises(ValueError, match="need a model that reads video"):
        replace(heard, compression=CompressionConfig())


def test_unknown_labels_and_missing_splits_are_told(config, tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label,split\na.mp4,rapture,train\n")
    with pytest.raises(DataError, match=r"a.mp4 of .* has the label 'rapture'"):
        train(replace(config, data=(manifest,), out=tmp_path / "out"))
    manifest.write_text("path,label,split\na.mp4,joy,train\n")
    with pytest.raises(DataError, match="no usable clip is of the split train"):
        train(replace(config, data=(manifest,), out=tmp_path / "out"))


def test_a_data_set_that_would_not_be_used_at_all_is_told(config, corpus, tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"path,label\n{corpus}/train0.mp4,joy\n{corpus}/train1.mp4,fear\n")
    both = replace(config, data=(corpus, manifest), out=tmp_path / "out", allow_outside=True)
    with pytest.raises(DataError, match="no clip is of a split .* so that it would not be used"):
        train(both)


def test_clips_that_show_the_model_nothing_are_left_out(config, corpus, tmp_path):
    lines = (corpus / "manifest.csv").read_text().splitlines()
    columns = lines[0].split(",")
    blank = dict.fromkeys(columns, "") | {"path": f"{corpus}/train0.mp4", "label": "joy", "split": "train"}
    manifest = tmp_path / "manifest.csv"
    rows = [",".join(blank[name] for name in columns)]
    for line in lines[1:]:
        name, rest = line.split(",", 1)
        rows.append(f"{corpus}/{name},{rest}")
    manifest.write_text(
        "\n".join([lines[0], *(row for row in rows if "train0" not in row or row == rows[0])])
    )
    words = replace(
        config, data=(manifest,), out=tmp_path / "out", allow_outside=True, modalities=("text",), num_epochs=1
    )
    metrics = json.loads((train(words) / "metrics.json").read_text())
    told = metrics["num_clips"]
    rows = pd.read_csv(manifest)
    expected = rows[(rows["split"] == "train") & rows["transcript"].notna()]["label"].value_counts().to_dict()
    assert {label: num for label, num in metrics["num_train_per_label"].items() if num} == expected
    assert list(metrics["num_train_per_label"]) == list(MELD_7.labels)
    whole = json.loads(
        (train(replace(words, data=(corpus,), out=tmp_path / "b")) / "metrics.json").read_text()
    )
    assert told["train"] == whole["num_clips"]["train"] - 1


def test_of_many_skipped_clips_the_first_are_told_and_how_many_more(config, corpus, tmp_path, capsys):
    shutil.copytree(corpus, tmp_path / "corpus")
    with (tmp_path / "corpus" / "manifest.csv").open("a") as file:
        file.writelines(f"gone{i}.mp4,joy,well,train-speaker,train,all\n" for i in range(14))
    train(replace(config, data=(tmp_path / "corpus",), num_epochs=1, out=tmp_path / "out"))
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("skipped gone") for line in lines) == 10
    assert "… and 4 more; `deepmsi data check DATA --open --skipped FILE.csv` lists them" in lines


def test_a_lone_training_clip_is_told(config, corpus, tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"path,label,split\n{corpus}/train0.mp4,joy,train\n{corpus}/val0.mp4,joy,dev\n")
    with pytest.raises(DataError, match="lies outside"):
        train(replace(config, data=(manifest,), out=tmp_path / "out"))
    with pytest.raises(DataError, match="at least 2 usable clips of the split train"):
        train(replace(config, data=(manifest,), out=tmp_path / "out", allow_outside=True))


def test_an_occupied_folder_is_told_before_any_work(config, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is no checkpoint, so it is not replaced"):
        # would fail otherwise if the data were looked at first
        train(replace(config, data=(tmp_path / "none.csv",), out=tmp_path))


def test_a_pretrained_encoder_that_does_not_fit_is_told(config, tmp_path):
    with pytest.raises(DataError, match=r"holds no video\.safetensors"):
        train(replace(config, pretrained_video=tmp_path))
    (tmp_path / "video.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(DataError, match="does not fit the video part of tiny"):
        train(replace(config, pretrained_video=tmp_path))


def test_config_round_trip_and_refusals():
    config = TrainConfig(
        data=(Path("a"),), out=Path("b"), cache_dir=Path("c"), compression=CompressionConfig(retain=0.5)
    )
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"num_blind_epochs should lie in \[0, 20\], not be 21"):
        replace(config, num_blind_epochs=21)
    with pytest.raises(ValueError, match="unknown keys: epochs"):
        TrainConfig.from_dict({**config.to_dict(), "epochs": 3})
    with pytest.raises(ValueError, match="contrastive_form should be one of"):
        replace(config, contrastive_form="new")
    for name, value, message in [
        ("learning_rate", "fast", "training.learning_rate should be float, not 'fast'"),
        ("num_train_frames", 8, "training.num_train_frames should be a list"),
        ("compression", {"merge": "no"}, "training.compression.merge should be bool, not 'no'"),
        ("weight_average", 2, r"weight_average should lie in \[0, 1\]"),
        ("seed", -1, "seed should not be below zero"),
        ("epoch_size", 1, "epoch_size should be 2 or more"),
        ("num_threads", 0, "num_threads should be at least 1"),
        ("num_audio_layers", -5, "num_audio_layers should be a number of layers, or -1 for all"),
    ]:
        with pytest.raises(ValueError, match=message):
            TrainConfig.from_dict({**config.to_dict(), name: value})


def test_weights_that_run_away_are_told(config, tmp_path):
    away = replace(config, out=tmp_path / "away", learning_rate=1e30, warmup_share=0.0, num_epochs=2)
    with pytest.raises(DataError, match=r"The loss is (nan|inf) in epoch 1, .* lower learning_rate"):
        train(away)


@pytest.mark.parametrize(
    ("kept", "changes", "message"),
    [
        ("0123", {"tune_offsets": True}, "4 clips of the split dev .* at least 5 are needed to tune offsets"),
        # the one that is silent
        ("5", {"modalities": ("audio",)}, "no clips of the split dev hold anything of audio, and at least 1"),
    ],
)
def test_too_few_dev_clips_are_told_before_anything_is_learned(
    config, corpus, tmp_path, kept, changes, message
):
    shutil.copytree(corpus, tmp_path / "corpus")
    manifest = tmp_path / "corpus" / "manifest.csv"
    left_out = tuple(f"val{number}." for number in set("012345") - set(kept))
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if not line.startswith(left_out)))
    few = replace(config, data=(tmp_path / "corpus",), out=tmp_path / "few", **changes)
    with pytest.raises(DataError, match=message):
        train(few)
    assert not few.run_folder.exists()


def test_offsets_are_part_of_the_classifier(config, tmp_path):
    plain = load_checkpoint(train(replace(config, out=tmp_path / "plain", num_epochs=2)))
    tuned = load_checkpoint(train(replace(config, out=tmp_path / "tuned", num_epochs=2, tune_offsets=True)))
    assert plain.metrics["logit_offsets"] is None
    values = torch.tensor(tuned.metrics["logit_offsets"]["values"])
    moved = tuned.model.classifier.output.bias - plain.model.classifier.output.bias
    torch.testing.assert_close(moved, values.float())
    assert "macro-F1" in tuned.card
    # what is reported of the dev split is what the saved network says
    features = make_features(of_split(read_sources(config.data), "dev"), tuned.model, config.cache_dir)
    again = evaluate(tuned.model, features).scores()
    assert again.macro_f1 == pytest.approx(tuned.metrics["dev"]["subsets"]["video+audio+text"]["macro_f1"])
