import numpy as np
import pytest
import torch

from core.config import PRESETS, TextConfig
from core.encoders.text import TextEncoder

TINY = PRESETS["tiny"].text
TEXTS = ["I am so happy for you", "no", "What did you just say to me, and why now of all times?"]


@pytest.fixture(scope="module")
def tiny() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(TINY, "random")


@pytest.fixture(scope="module")
def mini() -> TextEncoder:
    return TextEncoder(PRESETS["mini"].text, "pretrained")


def hidden_states(encoder, text: str, max_tokens: int) -> np.ndarray:
    """Of one text without padding, from the backbone and tokens alone."""
    ids, mask = encoder.tokenize([text])
    assert mask.all() and ids.shape[1] <= max_tokens
    with torch.no_grad():
        return encoder.backbone(input_ids=ids).last_hidden_state[0].double().numpy()


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_mean_pooling_equals_a_direct_mean(name, request):
    encoder = request.getfixturevalue(name)
    expected = [hidden_states(encoder, text, 128).mean(0) for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


def test_first_pooling_takes_the_class_token():
    torch.manual_seed(0)
    encoder = TextEncoder(TextConfig(**{**vars(TINY), "pooling": "first"}), "random")
    expected = [hidden_states(encoder, text, 32)[0] for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_batch_equals_one_by_one(name, request):
    encoder = request.getfixturevalue(name)
    batch = encoder.encode(TEXTS)
    assert batch.shape == (3, encoder.config.width)
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(encoder.encode([text])[0], batch[row], atol=1e-5, rtol=0)


def test_padding_has_no_influence_whatever_it_holds(tiny):
    ids, mask = tiny.tokenize(TEXTS)
    junk = torch.where(mask, ids, torch.full_like(ids, 999))
    wider = torch.nn.functional.pad(junk, (0, 5), value=17)
    wider_mask = torch.nn.functional.pad(mask, (0, 5))
    with torch.no_grad():
        expected = tiny(ids, mask)
        torch.testing.assert_close(tiny(junk, mask), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(tiny(wider, wider_mask), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_long_texts_are_cut(name, request):
    encoder = request.getfixturevalue(name)
    words = [f"word{i}" if name == "tiny" else "happy" for i in range(500)]
    ids, mask = encoder.tokenize([" ".join(words)])
    assert ids.shape == mask.shape == (1, encoder.config.max_tokens)
    longer = encoder.encode([" ".join(words), " ".join([*words, "furious"])])
    assert longer.isfinite().all()
    torch.testing.assert_close(longer[0], longer[1])
    short = encoder.encode([" ".join(words[:5]), " ".join([*words[:5], "furious"])])
    assert not torch.allclose(short[0], short[1])


@pytest.mark.parametrize("name", ["tiny", "mini"])
@pytest.mark.parametrize("text", ["", "   ", "\n", "…", "\U0001f600", "\x00"])
def test_empty_and_odd_texts_are_finite(name, text, request):
    encoder = request.getfixturevalue(name)
    alone, _ = encoder.encode([text]), encoder.tokenize([text])
    assert alone.shape == (1, encoder.config.width) and alone.isfinite().all()
    torch.testing.assert_close(encoder.encode([TEXTS[0], text])[1:], alone, atol=1e-5, rtol=0)


def test_random_tokens_are_the_same_in_every_process(tiny):
    # FNV-1a of "no", computed by hand: ((2166136261 ^ 'n') · 16777619 mod 2^32 ^ 'o') · 16777619 mod 2^32
    value = 2166136261
    for byte in b"no":
        value = ((value ^ byte) * 16777619) % 2**32
    vocabulary = tiny.backbone.config.vocab_size
    assert tiny.tokenize(["No"])[0].tolist() == [[1, 3 + value % (vocabulary - 3), 2]]


def test_pretrained_meaning(mini):
    """Sentences of one feeling are nearer to each other than to one of another."""
    glad, gladder, angry = torch.nn.functional.normalize(
        mini.encode(
            ["I am so happy today!", "This makes me really glad.", "I hate you, get out of my house!"]
        )
    )
    assert glad @ gladder > glad @ angry + 0.1
    assert mini.sha256 is not None and len(mini.sha256) == 64


def test_frozen_and_always_in_evaluation_mode(tiny):
    assert not any(parameter.requires_grad for parameter in tiny.parameters())
    assert tiny.train() is tiny and not any(module.training for module in tiny.modules())
    assert torch.equal(tiny.encode(TEXTS), tiny.encode(TEXTS))


def test_features_can_be_trained_upon(tiny):
    """Cached features go into layers that are trained: they must not be inference tensors."""
    layer = torch.nn.Linear(TINY.width, 2)
    layer(tiny.encode(TEXTS)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_a_width_that_does_not_fit_is_told():
    with pytest.raises(ValueError, match="384 wide, the configuration says 400"):
        TextEncoder(TextConfig(**{**vars(PRESETS["mini"].text), "width": 400}), "pretrained")


def test_more_tokens_than_the_backbone_has_positions_are_refused():
    with pytest.raises(ValueError, match="max_tokens is 513, but random-bert reads 512"):
        TextEncoder(TextConfig(**{**vars(TINY), "max_tokens": 513}), "random")
