from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import TemporalConfig
from core.temporal import TemporalNetwork

CONFIG = TemporalConfig(channels=(6, 6, 5), kernel_size=3, dropout=0.4)
WIDTH = 4


@pytest.fixture(scope="module")
def network() -> TemporalNetwork:
    torch.manual_seed(0)
    network = TemporalNetwork(WIDTH, CONFIG).double().eval()
    # weight norm's magnitudes away from the directions' own lengths, where the formula would not be tested
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("original0"):
                parameter.mul_(torch.linspace(0.5, 2.0, len(parameter)).view(-1, 1, 1))
    return network


def frames(batch, num_frames, seed=0):
    return torch.randn(batch, num_frames, WIDTH, generator=torch.Generator().manual_seed(seed)).double()


def everything(batch, num_frames):
    return torch.ones(batch, num_frames, dtype=torch.bool)


def direct_convolution(x, weight, bias, dilation):
    """Causal, written as a sum over taps: output at t sees t, t − dilation, t − 2 · dilation."""
    width_out, width_in, taps = weight.shape
    out = np.zeros((len(x), width_out))
    for t in range(len(x)):
        for o in range(width_out):
            total = bias[o]
            for tap in range(taps):
                source = t - (taps - 1 - tap) * dilation
                if source >= 0:
                    total += float(weight[o, :, tap] @ x[source])
            out[t, o] = total
    return out


def direct_network(state, x):
    """All blocks on `(frame, width)`; weight = g · v / |v|, the norm over all but the output channel."""
    for i in range(len(CONFIG.channels)):
        hidden = x
        for conv in ("conv1", "conv2"):
            prefix = f"blocks.{i}.{conv}"
            g = state[f"{prefix}.parametrizations.weight.original0"]
            v = state[f"{prefix}.parametrizations.weight.original1"]
            weight = g * v / np.sqrt((v**2).sum((1, 2), keepdims=True))
            hidden = np.maximum(direct_convolution(hidden, weight, state[f"{prefix}.bias"], 2**i), 0)
        shortcut = x
        if f"blocks.{i}.shortcut.weight" in state:
            shortcut = (
                x @ state[f"blocks.{i}.shortcut.weight"][:, :, 0].T + state[f"blocks.{i}.shortcut.bias"]
            )
        x = np.maximum(hidden + shortcut, 0)
    return x


def test_equals_a_direct_convolution(network):
    x = frames(2, 11)
    state = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    for length in (1, 2, 7, 11):
        mask = torch.arange(11).expand(2, -1) < length
        with torch.no_grad():
            out = network(x, mask).numpy()
        for row in range(2):
            np.testing.assert_allclose(
                out[row], direct_network(state, x[row].numpy())[length - 1], atol=1e-12
            )
    # the activations are not all cut to zero, so something was compared
    assert (out > 0).mean() > 0.2


def test_the_future_and_padding_have_no_influence(network):
    x = frames(3, 12)
    mask = torch.arange(12) < torch.tensor([[12], [7], [1]])
    with torch.no_grad():
        out = network(x, mask)
        for filling in (0.0, 1e3):
            padded = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, filling))
            assert torch.equal(network(padded, mask), out)
        for row, length in enumerate((12, 7, 1)):
            alone = network(x[row : row + 1, :length], everything(1, length))
            torch.testing.assert_close(alone[0], out[row], atol=1e-12, rtol=0)


def test_every_frame_in_reach_has_influence_and_none_beyond(network):
    # two convolutions per block, kernel 3, dilations 1, 2, 4: 1 + 2 · 2 · (1 + 2 + 4) = 29 frames
    x = frames(1, 32).requires_grad_()
    network(x, everything(1, 32)).sum().backward()
    reached = x.grad[0].abs().sum(1) > 0
    assert reached[-29:].float().mean() > 0.8 and reached[-1]
    assert not reached[:-29].any()


def test_the_order_of_frames_matters(network):
    x = frames(1, 8)
    with torch.no_grad():
        assert not torch.allclose(network(x, everything(1, 8)), network(x.flip(1), everything(1, 8)))


def test_dropout_only_in_training(network):
    x, mask = frames(2, 5), everything(2, 5)
    network.train()
    torch.manual_seed(0)
    one, other = network(x, mask), network(x, mask)
    network.eval()
    assert not torch.equal(one, other)
    assert torch.equal(network(x, mask), network(x, mask))


def test_published_layout():
    """Three blocks of 1024 channels, two convolutions each, over 768 wide frames."""
    network = TemporalNetwork(768, TemporalConfig())
    convolutions = 768 * 1024 * 3 + 5 * 1024 * 1024 * 3
    biases_and_magnitudes = 6 * 1024 * 2
    shortcut = 768 * 1024 + 1024
    assert sum(p.numel() for p in network.parameters()) == convolutions + biases_and_magnitudes + shortcut
    assert network(torch.zeros(1, 15, 768), everything(1, 15)).shape == (1, 1024)


def test_attention_weighs_the_states_of_real_frames(network):
    torch.manual_seed(1)
    attending = TemporalNetwork(WIDTH, replace(CONFIG, summary="attention")).double().eval()
    attending.load_state_dict(network.state_dict(), strict=False)
    state = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    x, mask = frames(2, 9), torch.arange(9) < torch.tensor([[9], [4]])
    states = [direct_network(state, x[row].numpy())[: (9, 4)[row]] for row in range(2)]
    with torch.no_grad():
        # all frames count alike before anything was learned
        for row in range(2):
            np.testing.assert_allclose(attending(x, mask)[row], states[row].mean(0), atol=1e-12)
        attending.score.weight.normal_()
        score = attending.score.weight[0].numpy()
        for row in range(2):
            weight = np.exp(states[row] @ score)
            expected = (weight[:, None] * states[row]).sum(0) / weight.sum()
            np.testing.assert_allclose(attending(x, mask)[row], expected, atol=1e-12)
        padded = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e3))
        assert torch.equal(attending(padded, mask), attending(x, mask))


def test_a_summary_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="summary"):
        TemporalConfig(summary="first")
