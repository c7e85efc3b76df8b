import re
from dataclasses import replace

import pytest
import torch

from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.encoders.audio import AudioEncoder
from core.encoders.text import TextEncoder
from core.model import DeepMSI

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    ("kind", "config"), [(TextEncoder, TINY.text), (AudioEncoder, TINY.audio)], ids=["text", "audio"]
)
@pytest.mark.parametrize("num_layers", [0, 1, 2, -1])
def test_the_topmost_layers_learn_and_nothing_below(kind, config, num_layers):
    encoder = kind(replace(config, num_trained_layers=num_layers), "random")
    trained = {name for name, p in encoder.backbone.named_parameters() if p.requires_grad}
    layers = {int(found[1]) for name in trained if (found := re.search(r"\.layers?\.(\d+)\.", name))}
    everything = {name for name, _ in encoder.backbone.named_parameters()}
    assert layers == {0: set(), 1: {1}, 2: {0, 1}, -1: {0, 1}}[num_layers]
    assert (trained == everything) == (num_layers == -1)
    assert trained == encoder.trained.names


@pytest.mark.parametrize("num_layers", [0, 1])
def test_what_is_frozen_stays_in_evaluation_mode(num_layers):
    encoder = TextEncoder(replace(TINY.text, num_trained_layers=num_layers), "random").train()
    assert not encoder.backbone.embeddings.training
    assert not encoder.backbone.encoder.layer[0].training
    assert encoder.backbone.encoder.layer[1].training == bool(num_layers)
    assert not encoder.eval().backbone.encoder.layer[1].training


def test_more_layers_than_there_are_is_told():
    with pytest.raises(ValueError, match="num_trained_layers is 3, but the backbone has 2"):
        TextEncoder(replace(TINY.text, num_trained_layers=3), "random")
    with pytest.raises(ValueError, match="-2"):
        replace(TINY.text, num_trained_layers=-2)


def test_a_checkpoint_holds_the_trained_layers_of_a_named_backbone_and_no_others(tmp_path):
    config = replace(
        PRESETS["mini"],
        text=replace(PRESETS["mini"].text, num_trained_layers=1),
        video=TINY.video,
        temporal=TINY.temporal,
        heads=TINY.heads,
    )
    model = DeepMSI(config, "frozen")
    top = model.text.backbone.encoder.layer[-1].output.dense.weight
    with torch.no_grad():
        top.mul_(0.5)
    save_checkpoint(tmp_path / "one", model, info=CheckpointInfo())
    loaded = load_checkpoint(tmp_path / "one").model
    assert torch.equal(loaded.text.backbone.encoder.layer[-1].output.dense.weight, top)
    assert loaded.text.trained.names and all("layer.5." in name for name in loaded.text.trained.names)
    # 11.7 million numbers of embeddings are not in it
    assert (tmp_path / "one" / "model.safetensors").stat().st_size < 20e6
