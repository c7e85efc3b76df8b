import math

import numpy as np
import pytest
import torch

from core.config import HeadsConfig
from core.fusion import Classifier, EarlyFusion, Projection

HEADS = HeadsConfig(early_fusion_hidden=7, projection_width=6, classifier_hidden=(8, 5, 4))


def numbers(module) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy() for key, value in module.state_dict().items()}


def scatter_batch_norm(module):
    """Running statistics and scales as after some training, not the neutral ones of the start."""
    generator = torch.Generator().manual_seed(3)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator))
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
            with torch.no_grad():
                part.weight.copy_(torch.randn(part.num_features, generator=generator))
                part.bias.copy_(torch.randn(part.num_features, generator=generator))
    return module.double().eval()


def hidden_layer(x, state, prefix):
    """Linear (its bias would be taken away by what follows), batch norm, LeakyReLU 0.01; dropout is off."""
    x = x @ state[f"{prefix}.0.weight"].T
    x = (x - state[f"{prefix}.1.running_mean"]) / np.sqrt(state[f"{prefix}.1.running_var"] + 1e-5)
    x = x * state[f"{prefix}.1.weight"] + state[f"{prefix}.1.bias"]
    return np.where(x > 0, x, 0.01 * x)


def test_early_fusion_is_the_mlp_of_the_paper():
    torch.manual_seed(0)
    fusion = scatter_batch_norm(EarlyFusion(3, 4, 9, HEADS))
    text, audio = torch.randn(5, 3).double(), torch.randn(5, 4).double()
    state = numbers(fusion)
    expected = hidden_layer(np.concatenate([text, audio], 1), state, "hidden")
    expected = expected @ state["output.weight"].T + state["output.bias"]
    np.testing.assert_allclose(fusion(torch.cat([text, audio], 1)).detach(), expected, atol=1e-12)
    assert expected.shape == (5, 9)


def test_projection_is_residual_to_its_first_layer():
    torch.manual_seed(0)
    projection = Projection(4, HEADS).double().eval()
    x = torch.randn(5, 4).double().numpy()
    state = numbers(projection)
    first = x @ state["first.weight"].T + state["first.bias"]
    gelu = first * 0.5 * (1 + np.vectorize(math.erf)(first / math.sqrt(2)))
    total = first + gelu @ state["second.1.weight"].T + state["second.1.bias"]
    centred = total - total.mean(1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(projection(torch.from_numpy(x)).detach(), expected, atol=1e-10)


def test_classifier_is_the_mlp_of_the_paper():
    torch.manual_seed(0)
    classifier = scatter_batch_norm(Classifier(7, HEADS))
    x = torch.randn(5, 18).double()
    state = numbers(classifier)
    fused = x.numpy()
    for i in range(3):
        fused = hidden_layer(fused, state, f"hidden.{i}")
    logits, embedding = classifier(x)
    np.testing.assert_allclose(embedding.detach(), fused, atol=1e-12)
    expected = fused @ state["output.weight"].T + state["output.bias"]
    np.testing.assert_allclose(logits.detach(), expected, atol=1e-12)
    assert logits.shape == (5, 7) and embedding.shape == (5, 4)


@pytest.mark.parametrize("num_classes", [6, 7])
def test_published_sizes(num_classes):
    heads = HeadsConfig()
    classifier = Classifier(num_classes, heads)
    linear = [layer for layer in classifier.modules() if isinstance(layer, torch.nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in linear]
    assert sizes == [(768, 512), (512, 256), (256, 128), (128, num_classes)]
    fusion = EarlyFusion(1024, 768, 384, heads)
    linear = [layer for layer in fusion.modules() if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(1792, 512), (512, 384)]


def test_dropout_only_in_training():
    torch.manual_seed(0)
    projection = Projection(4, HeadsConfig(projection_width=64, projection_dropout=0.5))
    x = torch.randn(3, 4)
    assert not torch.equal(projection(x), projection(x))
    projection.eval()
    assert torch.equal(projection(x), projection(x))
