"""How fast every part learns, what decays, and what of it is averaged."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from core.config import PRESETS
from core.model import build_model
from training.average import WeightAverage
from training.config import TrainConfig
from training.optimizer import build_optimizer, learning_rates

TINY = PRESETS["tiny"]
CONFIG = TrainConfig(
    data=(Path("a"),),
    out=Path("b"),
    cache_dir=Path("c"),
    preset="tiny",
    learning_rate=1e-3,
    video_learning_rate=2e-4,
    encoder_learning_rate=1e-5,
    layer_decay=0.5,
    weight_decay=0.07,
    num_text_layers=-1,
    num_audio_layers=1,
)


@pytest.fixture(scope="module")
def model():
    """Tiny, of two layers in either backbone: all of the text's are trained, the topmost of the sound's."""
    torch.manual_seed(0)
    text, audio = replace(TINY.text, num_trained_layers=-1), replace(TINY.audio, num_trained_layers=1)
    return build_model(replace(TINY, text=text, audio=audio), weights="random")


def test_each_part_learns_at_its_rate_and_lower_layers_more_slowly(model):
    rates = learning_rates(CONFIG, model)
    assert rates.keys() == {name for name, one in model.named_parameters() if one.requires_grad}

    def of(start, part=""):
        found = {rate for name, rate in rates.items() if name.startswith(start) and part in name}
        (rate,) = found
        return rate

    assert of("text.backbone.encoder.layer.1.") == of("audio.backbone.", ".layers.1.") == 1e-5
    assert of("text.backbone.encoder.layer.0.") == pytest.approx(5e-6)
    assert of("text.backbone.embeddings.") == pytest.approx(2.5e-6)
    assert of("video.swin.") == of("temporal.") == of("video.selector.descriptor") == 2e-4
    # the guides learn with the early fusion that feeds them
    assert of("video.", "guide") == of("early_fusion.") == of("classifier.") == of("absent.") == 1e-3


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_every_trained_parameter_is_optimised_once_and_weights_alone_decay(model, name, kind):
    optimizer = build_optimizer(replace(CONFIG, optimizer=name), model)
    assert type(optimizer) is kind
    rates = learning_rates(CONFIG, model)
    found = [(id(one), group) for group in optimizer.param_groups for one in group["params"]]
    assert len({number for number, _ in found}) == len(found) == len(rates)
    groups = dict(found)
    for key, one in model.named_parameters():
        if one.requires_grad:
            group = groups[id(one)]
            assert group["lr"] == rates[key], key
            assert group["weight_decay"] == (0.07 if one.ndim >= 2 else 0.0), key


def test_an_average_forgets_its_start_and_takes_statistics_as_they_are():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net[0].bias.requires_grad_(False)
    average, expected = WeightAverage(net, 0.15), net[0].weight.detach().clone()
    # 1/10 and 2/11 at first, but never more than what was asked for
    for share in (0.1, 0.15, 0.15):
        with torch.no_grad():
            for part in (*net.parameters(), *net.buffers()):
                part.add_(1)
        average.update(net)
        expected = share * expected + (1 - share) * net[0].weight.detach()
        torch.testing.assert_close(average.model[0].weight, expected)
    for part in ("0.bias", "1.running_mean", "1.num_batches_tracked"):
        assert torch.equal(average.model.state_dict()[part], net.state_dict()[part])
    assert not average.model.training and not any(one.requires_grad for one in average.model.parameters())
    before = copy.deepcopy(net.state_dict())
    average.model[0].weight.zero_()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
