import io
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_clips import expressive_clips
from PIL import Image
from safetensors.torch import load_file, save_file

import training.picture_loop
from core.config import PRESETS
from core.model import build_model
from training.datasets import DataError
from training.optimizer import warmup_cosine
from training.pretrain import pretrain
from training.pretrain_config import Phase, PretrainConfig
from training.pretrained import load_pretrained
from training.state import RunStopped


def write_stills(path, num, seed):
    """Upper or lower half bright: joy or anger; au12 is the brightness of the bright half."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(num):
        picture = random.integers(20, 60, (48, 48)).astype(np.uint8)
        strength = random.uniform(0.3, 1.0)
        half = slice(0, 24) if i % 2 else slice(24, 48)
        picture[half] += np.uint8(150 * strength)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=95)
        rows.append({"jpeg": buffer.getvalue(), "label": "joy" if i % 2 else "anger", "au12": strength})
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    return PretrainConfig(
        out=folder / "out",
        cache_dir=folder / "cache",
        preset="tiny",
        stills=(write_stills(folder / "train.parquet", 200, 0),),
        dev_stills=(write_stills(folder / "dev.parquet", 60, 1),),
        phases=(
            Phase(image_size=32, num_steps=50, batch_size=16),
            Phase(image_size=64, num_steps=20, batch_size=16),
        ),
        learning_rate=2e-3,
        warmup_steps=10,
        eval_every=50,
        num_threads=1,
    )


@pytest.fixture(scope="module")
def out(config):
    return pretrain(config)


def test_it_learns_emotion_and_action_units(out):
    first, last = (json.loads(line) for line in (out / "history.jsonl").read_text().splitlines())
    (scores,) = first["dev"].values()
    assert scores["accuracy"] > 0.9 and scores["target_r2"] > 0.5
    best = json.loads((out / "pretrain.json").read_text())["best"]
    assert best == last and best["image_size"] == 64


def test_the_history_has_a_line_per_evaluation(out):
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [50, 70]
    assert [line["image_size"] for line in lines] == [32, 64]


def test_the_encoder_fits_its_model(out):
    torch.manual_seed(0)
    model = build_model(PRESETS["tiny"], weights="random")
    before = model.video.state_dict()["swin.layers.0.blocks.0.mlp.fc1.weight"].clone()
    model.video.load_state_dict(load_file(out / "video.safetensors"))
    after = model.video.state_dict()["swin.layers.0.blocks.0.mlp.fc1.weight"]
    assert not torch.equal(before, after)


@pytest.fixture(scope="module")
def out_of_clips(out, config, tmp_path_factory):
    """A run that goes on from another one's encoder, on clips alone."""
    from training.pictures import PictureSources

    sources = PictureSources(train=(expressive_clips(40, 0),), dev=(expressive_clips(12, 5),))
    folder = tmp_path_factory.mktemp("clips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.pretrain.read_picture_sources", lambda *_, **__: sources)
        return pretrain(replace(config, out=folder, start=out, phases=(), stills=(), dev_stills=()))


def test_clips_teach_what_to_keep_and_how_it_adds_up(out, out_of_clips):
    about = json.loads((out_of_clips / "pretrain.json").read_text())
    before, after = about["selection"]["before"], about["selection"]["after"]
    assert after["kept"] > before["kept"] and after["kept"] > after["candidates"]
    assert set(about["expressions"]) == {"accuracy", "macro_f1"} and "best" not in about
    # pictures alone leave no temporal network
    assert not (out / "temporal.safetensors").exists()


def test_it_goes_on_from_the_encoder_it_is_given(out, out_of_clips):
    start, end = (load_file(folder / "video.safetensors") for folder in (out, out_of_clips))
    changed = {name for name in start if not torch.equal(start[name], end[name])}
    assert changed and all(name.startswith("selector.") for name in changed)


def test_a_model_takes_all_that_was_pretrained(out, out_of_clips):
    for folder, parts in ((out, ("video",)), (out_of_clips, ("video", "temporal"))):
        torch.manual_seed(3)
        model = build_model(PRESETS["tiny"], weights="random")
        load_pretrained(model, folder)
        for part in parts:
            for name, value in load_file(folder / f"{part}.safetensors").items():
                assert torch.equal(model.state_dict()[f"{part}.{name}"], value)
    with pytest.raises(DataError, match="does not fit the video part of mini"):
        load_pretrained(build_model(PRESETS["mini"], weights="random"), out)
    with pytest.raises(DataError, match=r"holds no video\.safetensors"):
        load_pretrained(model, out / "nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "does not fit the video part of tiny"),
        (lambda path: path.write_bytes(b"\xff" * 7 + b"\x7f{}"), "does not fit the video part of tiny"),
        (lambda path: save_file(load_file(path) | {"more": torch.ones(1)}, path), "does not fit the video"),
        (
            lambda path: save_file({name: 0.0 / (0 * v) for name, v in load_file(path).items()}, path),
            "weights that are not finite in .*; pretrain it again",
        ),
    ],
)
def test_a_damaged_encoder_is_refused_in_a_sentence(out, tmp_path, damage, message):
    folder = tmp_path / "encoder"
    shutil.copytree(out, folder)
    damage(folder / "video.safetensors")
    with pytest.raises(DataError, match=message) as told:
        load_pretrained(build_model(PRESETS["tiny"], weights="random"), folder)
    assert "\n" not in str(told.value)


def test_nothing_to_learn_from_is_told(tmp_path):
    with pytest.raises(DataError, match="Nothing to pretrain on"):
        pretrain(PretrainConfig(out=tmp_path / "out", cache_dir=tmp_path, preset="tiny"))


def test_what_cannot_be_chosen_by_is_told_before_any_step(config, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    dev = shutil.copy(config.dev_stills[0], elsewhere / "dev.parquet")
    for changes, message in [
        ({"dev_stills": ()}, "Nothing to choose the best encoder by"),
        ({"dev_stills": (dev,)}, "dev pictures of elsewhere have no training pictures"),
        ({"stills": config.stills * 2}, "Two tables of stills are named"),
        ({"shares": (1.0, 2.0)}, "2 shares were given"),
    ]:
        asked = replace(config, out=tmp_path / "out", **changes)
        with pytest.raises(DataError, match=message):
            pretrain(asked)
        assert not (tmp_path / "out" / "history.jsonl").exists()


def test_plausible_slips_are_refused():
    with pytest.raises(ValueError, match="multiple of 32, not 100"):
        Phase(image_size=100, num_steps=10)
    with pytest.raises(ValueError, match="at least one step"):
        Phase(image_size=64, num_steps=0)
    with pytest.raises(ValueError, match="preset should be one of paper"):
        PretrainConfig(out="out", cache_dir="cache", preset="huge")
    with pytest.raises(ValueError, match="at least one phase, or an earlier run"):
        PretrainConfig(out="out", cache_dir="cache", phases=())
    with pytest.raises(ValueError, match="num_threads should be at least 1, not 0"):
        PretrainConfig(out="out", cache_dir="cache", num_threads=0)
    with pytest.raises(ValueError, match="seed should not be below zero"):
        PretrainConfig(out="out", cache_dir="cache", seed=-1)
    for name, value, message in [
        ("learning_rate", -1.0, "learning_rate should be above zero"),
        ("clip_norm", float("nan"), "clip_norm should be above zero"),
        ("weight_decay", -0.5, "weight_decay should not be below zero"),
        ("label_smoothing", 2.0, r"label_smoothing should lie in \[0, 1\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            PretrainConfig(out="out", cache_dir="cache", **{name: value})
    with pytest.raises(ValueError, match="another folder than start"):
        PretrainConfig(out=Path("a/../out"), cache_dir=Path("cache"), start=Path("out"))
    with pytest.raises(ValueError, match="weight_average should be at least 0 and below 1"):
        PretrainConfig(out="out", cache_dir="cache", weight_average=1.0)


def test_pictures_alone_need_a_phase(config, out, tmp_path):
    with pytest.raises(DataError, match="Without a phase only clips teach something"):
        pretrain(replace(config, out=tmp_path, start=out, phases=()))


def test_a_temporal_network_of_an_earlier_run_does_not_stay(config, tmp_path):
    (tmp_path / "temporal.safetensors").write_bytes(b"of an earlier run")
    pretrain(replace(config, out=tmp_path, phases=(Phase(image_size=32, num_steps=2, batch_size=16),)))
    assert not (tmp_path / "temporal.safetensors").exists()


def test_averaged_weights_are_chosen_and_kept(config, out, tmp_path):
    one_step = replace(config, out=tmp_path / "last", start=out)
    one_step = replace(one_step, phases=(Phase(image_size=64, num_steps=1, batch_size=8),), warmup_steps=1)
    last = load_file(pretrain(one_step) / "video.safetensors")
    averaged = load_file(
        pretrain(replace(one_step, out=tmp_path / "averaged", weight_average=0.5)) / "video.safetensors"
    )
    start = load_file(out / "video.safetensors")
    weight = "swin.layers.0.blocks.0.mlp.fc1.weight"
    # the memory is short at first: a tenth after the first step
    torch.testing.assert_close(averaged[weight], 0.1 * start[weight] + 0.9 * last[weight])
    assert not torch.allclose(averaged[weight], last[weight])


@pytest.mark.parametrize(("at_step", "weight_average"), [(3, 0.0), (5, 0.9), (7, 0.9)])
def test_an_interrupted_run_ends_with_the_weights_of_one_that_is_not(
    config, tmp_path, monkeypatch, at_step, weight_average
):
    small, large = (Phase(image_size=side, num_steps=num, batch_size=8) for side, num in ((32, 5), (64, 4)))
    short = replace(config, phases=(small, large), eval_every=2, warmup_steps=2, out=tmp_path / "whole")
    short = replace(short, weight_average=weight_average)
    whole = load_file(pretrain(short) / "video.safetensors")

    draw, num_drawn = training.picture_loop.draw_stills, []

    def watched(*args):
        num_drawn.append(1)
        if len(num_drawn) == at_step:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(*args)

    monkeypatch.setattr(training.picture_loop, "draw_stills", watched)
    cut = replace(short, out=tmp_path / "cut")
    with pytest.raises(RunStopped, match=f"after step {at_step} of 9"):
        pretrain(cut)
    with pytest.raises(DataError, match="state of an unfinished run; go on with --resume"):
        pretrain(cut)
    with pytest.raises(DataError, match="learning_rate was 0.002 and is 0.1"):
        pretrain(replace(cut, learning_rate=0.1), resume=True)
    resumed = load_file(pretrain(cut, resume=True) / "video.safetensors")
    assert resumed.keys() == whole.keys() and all(torch.equal(resumed[k], whole[k]) for k in whole)
    assert len(num_drawn) == 9 and not (cut.run_folder / "state.safetensors").exists()
    lines = [
        [json.loads(line) | {"seconds": 0} for line in (one.out / "history.jsonl").open()]
        for one in (cut, short)
    ]
    assert lines[0] == lines[1]
    # and one that is finished is kept, but not taken for another one
    assert pretrain(cut, resume=True) == cut.out and len(num_drawn) == 9
    for other, name in (({"seed": 5}, "seed"), ({"stills": config.dev_stills}, "pictures")):
        with pytest.raises(DataError, match=f"was made with other settings than are asked for now .{name}"):
            pretrain(replace(cut, **other), resume=True)
    # one that is begun again is not finished while it is under way
    monkeypatch.setattr(training.picture_loop, "draw_stills", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pretrain(cut)
    assert not (cut.out / "pretrain.json").exists()


def test_warmup_then_cosine():
    rates = [warmup_cosine(step, 10, 110) for step in range(111)]
    assert rates[0] == 0.1 and rates[9] == 1.0
    assert rates[60] == pytest.approx(0.5) and rates[110] == pytest.approx(0.0)
