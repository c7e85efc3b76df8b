"""Products in 8 bits: nearly the same answers, at the parts that are meant, and gradients as they were."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_prepared import made_checkpoint
from torch import nn

from core.checkpoint import load_checkpoint
from core.config import PRESETS
from core.encoders.backbones import BackboneError
from core.encoders.products import Int8Linear, Linear, adds_in_32_bits, run_linear
from core.int8 import INT8_SENTENCE, use_int8
from core.media import open_clip
from core.model import DeepMSI
from core.predict import Predictor
from core.shipped import default_checkpoint
from sample_data import DEMO

HAS_IT = torch.backends.mkldnn.is_available()
needs_it = pytest.mark.skipif(not HAS_IT, reason="this torch has no oneDNN")


@needs_it
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_layer_is_rounded_to_8_bits_and_no_further(has_bias, gelu):
    torch.manual_seed(0)
    layer = Linear(64, 48, bias=has_bias)
    with torch.no_grad():
        layer.weight[3].mul_(50)  # outputs have a scale each
    x, bias = torch.randn(2, 9, 64), None if has_bias else torch.randn(48)
    expected = run_linear(layer, x, bias=bias, gelu=gelu)
    Int8Linear.take_over(layer)
    with torch.no_grad():
        found = run_linear(layer, x, bias=bias, gelu=gelu)
    error = (found - expected).flatten(0, 1).norm(dim=0) / expected.flatten(0, 1).norm(dim=0)
    # where inputs have 7 bits, they are rounded twice as coarsely
    assert 1e-4 < error.max() < (0.03 if adds_in_32_bits() else 0.06)
    # with gradients nothing is rounded
    assert torch.equal(run_linear(layer, x, bias=bias, gelu=gelu), expected)


@needs_it
def test_the_transformers_are_rounded_and_nothing_else():
    torch.manual_seed(0)
    model = DeepMSI(PRESETS["tiny"], "random").eval()
    names = list(model.state_dict())
    use_int8(model)
    rounded = {name for name, module in model.named_modules() if isinstance(module, Int8Linear)}
    assert list(model.state_dict()) == names
    assert {name.split(".")[0] for name in rounded} == {"text", "audio", "video"}
    assert all("cpb_mlp" not in name and "selector" not in name for name in rounded)
    of_blocks = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and ".blocks." in n]
    assert {name for name in of_blocks if "cpb_mlp" not in name} <= rounded
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict())


@needs_it
def test_answers_differ_a_little():
    path = sorted(DEMO.rglob("*.mp4"))[0]
    checkpoint = load_checkpoint(default_checkpoint())
    predictor = Predictor(checkpoint)
    clip = predictor.prepare(open_clip(path, transcript="I did not expect that."))
    plain = predictor.predict(clip)
    use_int8(checkpoint.model)
    rounded = predictor.predict(clip)
    # nothing that was kept of full precision serves 8 bits
    np.testing.assert_array_equal(
        rounded.modalities.probabilities,
        predictor.predict(replace(clip, features={})).modalities.probabilities,
    )
    difference = abs(rounded.modalities.probabilities - plain.modalities.probabilities).max()
    assert 1e-5 < difference < (0.1 if adds_in_32_bits() else 1)
    assert ("differ much" in INT8_SENTENCE) is not adds_in_32_bits()


def test_a_network_that_answers_otherwise_has_another_identity(tmp_path):
    checkpoint = made_checkpoint(tmp_path / "tiny")

    def of(model=checkpoint.model, **options):
        return Predictor(replace(checkpoint, model=model), **options).identity

    told = [of(), of(still_below=0.01), of(checkpoint.model.keeping(1)), of(checkpoint.model.uncompressed())]
    if HAS_IT:
        rounded = copy.deepcopy(checkpoint.model)
        use_int8(rounded)
        told += [of(rounded), of(rounded.keeping(1))]
    assert len(set(told)) == len(told) and told[0] == checkpoint.sha256
    assert of(checkpoint.model.keeping()) == checkpoint.sha256


def test_where_8_bits_cannot_be_had_that_is_one_sentence(monkeypatch):
    model = DeepMSI(PRESETS["tiny"], "random")
    with pytest.raises(BackboneError, match="Only a processor"):
        use_int8(model.to("meta"))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(BackboneError, match="no oneDNN"):
        use_int8(DeepMSI(PRESETS["tiny"], "random"))
