"""What is computed the quick way is what the plain layers give."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.encoders.convolutions import ConvStages, ConvStem
from core.encoders.products import Linear, convolve, is_asked_only, linear, quicken

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN, so there is no quick way"
)


def rounded(found, expected):
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Which plain functions of torch were called."""
    met = []

    def watched(name):
        plain = getattr(F, name)

        def call(*args, **options):
            met.append(name)
            return plain(*args, **options)

        monkeypatch.setattr(F, name, call)

    for name in ("linear", "gelu", "batch_norm"):
        watched(name)
    return met


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_linear_layer_gives_what_torch_s_gives(has_bias, gelu, calls):
    layer = nn.Linear(24, 40, bias=has_bias)
    x = torch.randn(3, 5, 7, 24)[:, :, 1:6]
    expected = F.linear(x, layer.weight, layer.bias)
    expected = F.gelu(expected) if gelu else expected
    calls.clear()
    with torch.no_grad():
        rounded(linear(x, layer.weight, layer.bias, gelu=gelu), expected)
    assert not calls
    # with gradients nothing is taken together
    assert linear(x, layer.weight, layer.bias, gelu=gelu).requires_grad
    assert calls == ["linear", "gelu"][: 1 + gelu]


def shaken(network: nn.Module) -> nn.Module:
    """With norms that have seen something: as they start, they change next to nothing."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 3)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.eval()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("gelu", [False, True])
def test_a_convolution_takes_its_norm_along(gelu, has_bias, layout, calls):
    convolution = nn.Conv2d(6, 10, 3, 2, 1, bias=has_bias)
    norm = shaken(nn.BatchNorm2d(10))
    x = torch.randn(2, 6, 12, 8).contiguous(memory_format=layout)
    for of_both in (norm, None):
        expected = convolution(x) if of_both is None else of_both(convolution(x))
        expected = F.gelu(expected) if gelu else expected
        calls.clear()
        with torch.no_grad():
            rounded(convolve(x, convolution, of_both, gelu=gelu), expected)
        assert not calls
        rounded(convolve(x, convolution, of_both, gelu=gelu), expected)


def test_a_norm_that_learns_sees_its_batch():
    convolution, norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4).train()
    x = torch.randn(5, 3, 6, 6)
    with torch.no_grad():
        expected = copy.deepcopy(norm)(convolution(x))
        rounded(convolve(x, convolution, norm), expected)
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize(
    ("network", "shape"),
    [(ConvStem(16), (3, 3, 32, 32)), (ConvStages(16, (2, 2)), (3, 16, 16, 16))],
    ids=["stem", "stages"],
)
def test_the_early_convolutions_are_what_they_are_with_gradients(network, shape):
    network = shaken(network)
    x = torch.randn(shape)
    before = x.clone()
    with torch.inference_mode():
        found = network(x)
    expected = network(x)
    assert expected.requires_grad and expected.std() > 0.1
    rounded(found, expected)
    assert torch.equal(x, before)


def test_a_quickened_network_keeps_its_parameters_and_answers(calls):
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Sequential(nn.Linear(16, 4, bias=False)))
    names, x = list(network.state_dict()), torch.randn(5, 8)
    expected = network(x)
    quicken(network)
    assert list(network.state_dict()) == names and type(network[2][0]) is Linear
    calls.clear()
    with torch.no_grad():
        rounded(network(x), expected)
    assert not calls


def test_other_precisions_go_the_plain_way():
    layer, x = nn.Linear(8, 4).double(), torch.randn(3, 8, dtype=torch.float64)
    with torch.no_grad():
        assert not is_asked_only(x) and is_asked_only(x.float())
        assert torch.equal(linear(x, layer.weight, layer.bias), F.linear(x, layer.weight, layer.bias))
        layer, x = layer.float(), x.float()
        with torch.autocast("cpu", torch.bfloat16):
            assert linear(x, layer.weight, layer.bias).dtype == torch.bfloat16
