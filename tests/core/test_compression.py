import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.compression import compose, holders, select_and_merge
from core.config import CompressionConfig

DEFAULT = CompressionConfig()


def cosine(a, b) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return dot / length if length > 0 else 0.0


def slow_select_and_merge(tokens, guide, num_keep, config, metric=None, mask=None):
    """MODEL 1.4 for one clip, equation by equation, over lists of Python floats.

    Returns kept positions (real ones only), relevance, output tokens and source-map rows.
    """
    metric = tokens if metric is None else metric
    positions = range(len(tokens))
    real = [i for i in positions if mask is None or mask[i]]
    v = [sum(metric[i][d] for i in real) / len(real) for d in range(len(guide))]
    m = [a + b for a, b in zip(v, guide, strict=True)]
    cos = {i: cosine(m, metric[i]) for i in real}
    denominator = sum(math.exp(cos[i]) for i in real)
    relevance = [math.exp(cos[i]) / denominator if i in cos else 0.0 for i in positions]

    kept = sorted(real, key=lambda i: (-cos[i], i))[:num_keep]
    if config.order == "raster":
        kept = sorted(kept)
    dropped = [i for i in real if i not in kept]
    output, source_map = [], []
    for j in kept:
        weights = {}
        for i in dropped:
            s = cosine(metric[i], metric[j])
            if config.merge and s > config.similarity_threshold:
                weights[i] = math.exp(s) / sum(math.exp(cosine(metric[i], metric[r])) for r in kept)
        total = sum(weights.values())
        row = [0.0] * len(tokens)
        row[j] = config.retain if weights else 1.0
        for i, theta in weights.items():
            row[i] = (1 - config.retain) * theta / total
        source_map.append(row)
        width = range(len(tokens[0]))
        output.append([sum(row[i] * tokens[i][d] for i in positions if row[i]) for d in width])
    return kept, relevance, output, source_map


def agree(tokens, guide, num_keep, config=DEFAULT, metric=None, mask=None):
    """Both implementations say the same about every clip of the batch."""
    fast = select_and_merge(tokens, guide, num_keep, config, metric=metric, mask=mask)
    merged_any = False
    for row in range(len(tokens)):
        kept, relevance, output, source_map = slow_select_and_merge(
            tokens[row].tolist(),
            guide[row].tolist(),
            num_keep,
            config,
            None if metric is None else metric[row].tolist(),
            None if mask is None else mask[row].tolist(),
        )
        is_real = fast.kept_mask[row]
        n = len(kept)
        assert is_real.tolist() == [True] * n + [False] * (len(is_real) - n)
        assert fast.kept[row][is_real].tolist() == kept
        np.testing.assert_allclose(fast.relevance[row].numpy(), relevance, atol=1e-12)
        np.testing.assert_allclose(fast.source_map[row][is_real].numpy(), source_map, atol=1e-12)
        np.testing.assert_allclose(fast.tokens[row][is_real].numpy(), output, atol=1e-12)
        merged_any |= any(weight not in (0.0, 1.0) for line in source_map for weight in line)
    return fast, merged_any


def tokens_in_families(batch, num_tokens, dim, seed=0, families=4, spread=0.4):
    """Tokens that scatter around a few directions, so that some are similar and some are not."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(batch, families, dim, generator=generator, dtype=torch.float64)
    choice = torch.randint(families, (batch, num_tokens), generator=generator)
    noise = spread * torch.randn(batch, num_tokens, dim, generator=generator, dtype=torch.float64)
    return centres.gather(1, choice.unsqueeze(-1).expand(-1, -1, dim)) + noise


def random_guide(batch, dim, seed=1):
    return torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("num_keep", [1, 2, 5, 11, 12])
@pytest.mark.parametrize(
    "config",
    [
        DEFAULT,
        replace(DEFAULT, merge=False),
        replace(DEFAULT, order="score"),
        replace(DEFAULT, train_guide=False),
        replace(DEFAULT, similarity_threshold=-1.0, retain=0.25),
        replace(DEFAULT, similarity_threshold=0.95, order="score", retain=0.5),
    ],
    ids=["default", "no merge", "score order", "untrained guide", "merge all", "strict threshold"],
)
def test_equals_the_equations_in_plain_python(num_keep, config):
    tokens = tokens_in_families(3, 12, 7)
    _, merged_any = agree(tokens, random_guide(3, 7), num_keep, config)
    if config.similarity_threshold < 0.9:
        # the planted families make sure that the merge was really exercised
        assert merged_any == (config.merge and num_keep < 12)


@pytest.mark.parametrize("num_keep", [1, 3, 6, 9, 10])
def test_equals_the_equations_with_padding_anywhere(num_keep):
    tokens = tokens_in_families(4, 10, 6, seed=3)
    mask = torch.ones(4, 10, dtype=torch.bool)
    mask[1, 7:] = False
    mask[2, [0, 3, 4, 9]] = False
    mask[3, 1:] = False
    tokens[~mask] = 1e6
    for order in ("raster", "score"):
        agree(tokens, random_guide(4, 6), num_keep, replace(DEFAULT, order=order), mask=mask)


@pytest.mark.parametrize("num_keep", [1, 4, 8])
def test_equals_the_equations_when_compared_by_a_metric_of_their_own(num_keep):
    metric = tokens_in_families(2, 8, 3, seed=5)
    tokens = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[1, 6:] = False
    agree(tokens, random_guide(2, 3), num_keep, metric=metric, mask=mask)


def test_only_the_metric_decides_what_is_kept():
    metric = tokens_in_families(2, 8, 3, seed=5)
    guide = random_guide(2, 3)
    one, other = (
        select_and_merge(torch.randn(2, 8, 4, dtype=torch.float64), guide, 3, DEFAULT, metric=metric)
        for _ in range(2)
    )
    assert torch.equal(one.kept, other.kept) and torch.equal(one.source_map, other.source_map)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("num_tokens", "dim"), [(5, 3), (37, 19), (256, 384)])
def test_of_equal_tokens_the_earliest_are_kept(dtype, num_tokens, dim):
    token = torch.randn(dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    tokens = token.expand(2, num_tokens, dim).contiguous()
    guide = random_guide(2, dim).to(dtype)
    for num_keep in (1, num_tokens // 2, num_tokens):
        step = select_and_merge(tokens, guide, num_keep, DEFAULT)
        assert step.kept.tolist() == [list(range(num_keep))] * 2
        # a mean of equal tokens is the token, however it is weighted
        torch.testing.assert_close(step.tokens, tokens[:, :num_keep], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(step.relevance, torch.full((2, num_tokens), 1 / num_tokens, dtype=dtype))


def test_last_bits_do_not_choose():
    """Equal tokens come out of a network equal but for the last bits, which differ between batches."""
    generator = torch.Generator().manual_seed(2)
    token = torch.randn(1, 1, 8, generator=generator)
    noise = 3e-7 * torch.randn(1, 12, 8, generator=generator)
    tokens = token + noise
    # without a guide all cosines are one, far from where rounding would part them
    for shown in (tokens, token + noise.flip(1)):
        step = select_and_merge(shown, torch.zeros(1, 8), 5, CompressionConfig())
        assert step.kept.tolist() == [[0, 1, 2, 3, 4]]


def test_half_precision_keeps_what_full_precision_keeps():
    generator = torch.Generator().manual_seed(0)
    # all near one another, as tokens are in a fresh network: cosines of 0.9 and more
    tokens = 3.0 + torch.randn(2, 40, 16, generator=generator)
    guide = torch.randn(2, 16, generator=generator)
    whole, half = (
        select_and_merge(tokens.to(dtype), guide.to(dtype), 12, CompressionConfig()).kept
        for dtype in (torch.float32, torch.float16)
    )
    for row in range(2):
        assert len(set(whole[row].tolist()) & set(half[row].tolist())) >= 10


def test_ties_among_unequal_tokens_go_to_the_earlier_one():
    # two and two of the four tokens are equally far from the guide, on either side
    tokens = torch.tensor([[[0.0, 1.0], [1.0, 0.5], [1.0, -0.5], [0.0, -1.0]]], dtype=torch.float64)
    guide = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    for num_keep, expected in [(1, [1]), (2, [1, 2]), (3, [0, 1, 2])]:
        fast, _ = agree(tokens, guide, num_keep)
        assert fast.kept[0].tolist() == expected


def test_one_token_stays_as_it_is():
    tokens = tokens_in_families(2, 1, 5)
    fast, _ = agree(tokens, random_guide(2, 5), 1)
    assert torch.equal(fast.tokens, tokens)
    assert fast.relevance.tolist() == [[1.0], [1.0]]
    assert fast.source_map.tolist() == [[[1.0]], [[1.0]]]


def test_keeping_all_or_more_changes_nothing():
    tokens = tokens_in_families(2, 6, 5)
    for num_keep in (6, 60):
        step = select_and_merge(tokens, random_guide(2, 5), num_keep, DEFAULT)
        assert torch.equal(step.tokens, tokens)
        assert step.kept.tolist() == [list(range(6))] * 2


def test_zero_tokens_and_a_zero_guide_are_no_accident():
    tokens = torch.zeros(1, 4, 3, dtype=torch.float64)
    fast, _ = agree(tokens, torch.zeros(1, 3, dtype=torch.float64), 2)
    assert fast.kept.tolist() == [[0, 1]] and fast.tokens.eq(0).all()


@pytest.mark.parametrize("order", ["raster", "score"])
def test_order_of_the_output(order):
    tokens = tokens_in_families(5, 30, 6)
    step = select_and_merge(tokens, random_guide(5, 6), 10, replace(DEFAULT, order=order))
    relevance = step.relevance.gather(1, step.kept)
    if order == "raster":
        assert (step.kept.diff() > 0).all()
        assert not (relevance.diff() <= 0).all()
    else:
        assert (relevance.diff() <= 0).all()
        assert not (step.kept.diff() > 0).all()
    # the same tokens are kept, and the least relevant kept one is not below the most relevant dropped one
    dropped = step.relevance.scatter(1, step.kept, -1.0)
    assert (relevance.min(1).values >= dropped.max(1).values).all()


def test_source_map_rows_sum_to_one_and_make_the_tokens():
    tokens = tokens_in_families(3, 40, 6)
    mask = torch.ones(3, 40, dtype=torch.bool)
    mask[2, 5:] = False
    step = select_and_merge(tokens, random_guide(3, 6), 12, DEFAULT, mask=mask)
    assert step.source_map.shape == (3, 12, 40)
    assert (step.source_map >= 0).all()
    torch.testing.assert_close(step.source_map.sum(2), torch.ones(3, 12, dtype=torch.float64))
    torch.testing.assert_close(step.tokens, step.source_map @ tokens)
    # padding gives nothing to a real token
    assert step.source_map[2][step.kept_mask[2]][:, 5:].eq(0).all()
    # a kept token never gives itself to another
    kept = step.source_map.gather(2, step.kept[:, None, :].expand(-1, 12, -1))
    assert (kept * (1 - torch.eye(12))).eq(0).all()


def plant(similarity: float, scale: float = 1.0) -> torch.Tensor:
    """Two tokens near the guide [1, 0, 0], and one away from it with a given cosine to the first alone."""
    angle = math.acos(similarity)
    kept = [[1.0, 0.1, 0.0], [1.0, -0.1, 0.0]]
    length = math.hypot(1.0, 0.1)
    along = [kept[0][0] / length, kept[0][1] / length, 0.0]
    planted = [math.cos(angle) * along[0], math.cos(angle) * along[1], math.sin(angle)]
    return torch.tensor([[*kept, [scale * x for x in planted]]], dtype=torch.float64)


def test_a_dropped_similar_token_changes_the_output_and_one_below_the_threshold_does_not():
    guide = torch.tensor([[50.0, 0.0, 0.0]], dtype=torch.float64)
    outputs = {}
    for similarity in (0.61, 0.59):
        for scale in (1.0, 2.0):
            step = select_and_merge(plant(similarity, scale), guide, 2, DEFAULT)
            assert step.kept.tolist() == [[0, 1]]
            outputs[similarity, scale] = step.tokens[0]
    kept = plant(0.61)[0, :2]
    # its cosine to the second kept token is just below the threshold: 0.61 · cos of the angle between them
    assert not torch.allclose(outputs[0.61, 1.0][0], kept[0])
    assert torch.equal(outputs[0.61, 1.0][1], kept[1])
    # alone in its mean it has full weight, whatever its theta: 0.9 of the kept one, 0.1 of the dropped
    torch.testing.assert_close(outputs[0.61, 2.0][0], 0.9 * kept[0] + 0.1 * plant(0.61, 2.0)[0, 2])
    assert torch.equal(outputs[0.59, 1.0], kept) and torch.equal(outputs[0.59, 2.0], kept)


def test_a_hand_example():
    # m = (1.25, 0.75) + (6.75, -0.75) = (8, 0): the two tokens on the first axis stay
    tokens = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [1.0, 1.0], [2.0, 1.0]]], dtype=torch.float64)
    guide = torch.tensor([[6.75, -0.75]], dtype=torch.float64)
    step = select_and_merge(tokens, guide, 2, replace(DEFAULT, retain=0.8))
    assert step.kept.tolist() == [[1, 3]]
    # token 2 (45°) meets both: cos 45° = 0.7071 with token 1 and cos 18.43° = 0.9487 with token 3;
    # token 0 (90°) meets none: cos = 0 and 0.4472
    expected = torch.tensor([[[0.0, 0.8, 0.2, 0.0], [0.0, 0.0, 0.2, 0.8]]], dtype=torch.float64)
    torch.testing.assert_close(step.source_map, expected)
    expected = torch.tensor([[[1.8, 0.2], [1.8, 1.0]]], dtype=torch.float64)
    torch.testing.assert_close(step.tokens, expected)
    assert holders(step.source_map).tolist() == [[-1, 0, 0, 1]]


def test_theta_weighs_those_that_meet():
    # the guide keeps the first two axes; both dropped tokens meet the first one alone
    tokens = torch.tensor(
        [[[1.0, 0.0, 0.0], [0.8, 0.0, 0.6], [0.0, 1.0, 0.0], [0.64, 0.48, 0.6]]], dtype=torch.float64
    )
    step = select_and_merge(tokens, torch.tensor([[90.0, 90.0, -90.0]], dtype=torch.float64), 2, DEFAULT)
    assert step.kept.tolist() == [[0, 2]]
    near = math.exp(0.8) / (math.exp(0.8) + math.exp(0.0))
    torn = math.exp(0.64) / (math.exp(0.64) + math.exp(0.48))
    total = near + torn
    expected = [[0.9, 0.1 * near / total, 0.0, 0.1 * torn / total], [0.0, 0.0, 1.0, 0.0]]
    torch.testing.assert_close(step.source_map[0], torch.tensor(expected, dtype=torch.float64))


def test_the_published_variant_throws_the_merge_away():
    tokens, guide = tokens_in_families(2, 12, 6), random_guide(2, 6)
    merged = select_and_merge(tokens, guide, 4, DEFAULT)
    published = select_and_merge(tokens, guide, 4, replace(DEFAULT, merge=False))
    assert torch.equal(merged.kept, published.kept)
    assert not torch.allclose(merged.tokens, published.tokens)
    assert torch.equal(published.tokens, tokens.gather(1, published.kept.unsqueeze(-1).expand(-1, -1, 6)))


def test_batch_equals_one_by_one_for_any_padding():
    tokens, guide = tokens_in_families(4, 9, 6), random_guide(4, 6)
    lengths = [9, 5, 2, 1]
    mask = torch.arange(9) < torch.tensor(lengths).unsqueeze(1)
    batch = select_and_merge(tokens, guide, 4, DEFAULT, mask=mask)
    for row, length in enumerate(lengths):
        alone = select_and_merge(tokens[row : row + 1, :length], guide[row : row + 1], 4, DEFAULT)
        num_kept = alone.kept.shape[1]
        assert num_kept == min(4, length)
        assert batch.kept[row, :num_kept].tolist() == alone.kept[0].tolist()
        torch.testing.assert_close(batch.tokens[row, :num_kept], alone.tokens[0])
        torch.testing.assert_close(batch.source_map[row, :num_kept, :length], alone.source_map[0])
        torch.testing.assert_close(batch.relevance[row, :length], alone.relevance[0])


def test_a_row_without_any_token_is_harmless():
    tokens = tokens_in_families(2, 6, 5).requires_grad_()
    guide = random_guide(2, 5).requires_grad_()
    mask = torch.tensor([[True] * 6, [False] * 6])
    step = select_and_merge(tokens, guide, 3, DEFAULT, mask=mask)
    assert step.kept_mask.tolist() == [[True] * 3, [False] * 3]
    assert step.relevance[1].eq(0).all() and step.tokens.isfinite().all()
    gated(step)[step.kept_mask].square().sum().backward()
    assert tokens.grad.isfinite().all() and guide.grad.isfinite().all()
    assert guide.grad[0].abs().sum() > 0 and guide.grad[1].eq(0).all()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite(half):
    tokens, guide = tokens_in_families(2, 20, 6).to(half), random_guide(2, 6).to(half)
    step = select_and_merge(tokens, guide, 5, DEFAULT)
    assert step.tokens.dtype == half and step.tokens.isfinite().all()
    torch.testing.assert_close(step.source_map.sum(2).float(), torch.ones(2, 5), atol=1e-2, rtol=0)


def test_misfits_are_told_with_both_numbers():
    tokens = torch.zeros(2, 4, 3)
    with pytest.raises(ValueError, match="num_keep should be at least 1, not 0"):
        select_and_merge(tokens, torch.zeros(2, 3), 0, DEFAULT)
    with pytest.raises(ValueError, match=r"\(2, 5\).*\(2, 3\)"):
        select_and_merge(tokens, torch.zeros(2, 5), 1, DEFAULT)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 7\)"):
        select_and_merge(tokens, torch.zeros(2, 3), 1, DEFAULT, metric=torch.zeros(2, 4, 7))


def test_compose_and_holders_on_a_hand_example():
    first = torch.tensor([[[0.9, 0.1, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.05, 0.05, 0.0, 0.9]]])
    second = torch.tensor([[[0.8, 0.0, 0.2], [0.0, 1.0, 0.0]]])
    total = compose([first, second])
    expected = torch.tensor([[[0.73, 0.09, 0.0, 0.18], [0.0, 0.0, 1.0, 0.0]]])
    torch.testing.assert_close(total, expected)
    assert holders(first).tolist() == [[0, 0, 1, 2]]
    assert holders(total).tolist() == [[0, 0, 1, 0]]
    assert holders(second).tolist() == [[0, 1, 0]]
    assert torch.equal(compose([first]), first)


def test_composed_map_makes_the_last_output_from_the_first_input():
    tokens, guide = tokens_in_families(3, 30, 6), random_guide(3, 6)
    steps, x = [], tokens
    for num_keep in (20, 11, 4):
        steps.append(select_and_merge(x, guide, num_keep, DEFAULT))
        x = steps[-1].tokens
    total = compose([step.source_map for step in steps])
    torch.testing.assert_close(total @ tokens, x)
    torch.testing.assert_close(total.sum(2), torch.ones(3, 4, dtype=torch.float64))


# ---- the guide is trained


def gated(step):
    return step.tokens * step.gate.unsqueeze(-1)


def test_the_gate_changes_no_value():
    tokens, guide = tokens_in_families(3, 12, 6).float(), random_guide(3, 6).float()
    trained = select_and_merge(tokens, guide, 5, DEFAULT)
    plain = select_and_merge(tokens, guide, 5, replace(DEFAULT, train_guide=False))
    assert trained.gate.eq(1).all() and plain.gate.eq(1).all()
    assert torch.equal(trained.tokens, plain.tokens)
    assert torch.equal(trained.tokens, trained.source_map @ tokens)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("num_keep", [1, 5])
def test_gradient_reaches_the_guide_exactly_when_it_is_trained(merge, num_keep):
    for train_guide in (True, False):
        tokens, guide = tokens_in_families(3, 12, 6).requires_grad_(), random_guide(3, 6).requires_grad_()
        config = replace(DEFAULT, merge=merge, train_guide=train_guide)
        (gated(select_and_merge(tokens, guide, num_keep, config)) ** 2).sum().backward()
        if train_guide:
            assert (guide.grad.abs().sum(1) > 1e-6).all()
        else:
            # theta does not depend on the guide, and the choice of the k most relevant has no gradient
            assert guide.grad is None or guide.grad.eq(0).all()


def test_the_gradient_is_that_of_relevance_gated_tokens():
    """The gate's gradient equals that of tokens multiplied by their relevance over its mean, taken there."""
    tokens, guide = tokens_in_families(2, 8, 5), random_guide(2, 5).requires_grad_()
    target = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    step = select_and_merge(tokens, guide, 3, replace(DEFAULT, merge=False))
    (gradient,) = torch.autograd.grad((gated(step) * target).sum(), guide)

    def weighted(g):
        m = tokens.mean(1) + g
        cos = torch.stack([torch.cosine_similarity(m, tokens[:, i], dim=1) for i in range(8)], 1)
        relevance = cos.exp() / cos.exp().sum(1, keepdim=True)
        inner = (tokens.gather(1, step.kept.unsqueeze(-1).expand(-1, -1, 5)) * target).sum(2)
        return (8 * relevance.gather(1, step.kept) * inner).sum()

    numeric = torch.zeros_like(guide)
    for index in np.ndindex(*guide.shape):
        nudge = torch.zeros_like(guide)
        nudge[index] = 1e-6
        numeric[index] = ((weighted(guide + nudge) - weighted(guide - nudge)) / 2e-6).item()
    torch.testing.assert_close(gradient, numeric, atol=1e-6, rtol=1e-5)


def test_training_the_guide_alone_keeps_the_rewarded_token():
    """In each of 40 clips one token is rewarded when kept and the others cost; 3 of 12 are kept."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(40, 12, 8, generator=generator)
    planted = 7
    tokens[..., 0] = -1.0
    tokens[:, planted, 0] = 1.0
    start = torch.randn(40, 8, generator=generator)

    def keeps_planted(guide):
        return (select_and_merge(tokens, guide, 3, DEFAULT).kept == planted).any(1)

    def train(config):
        guide = start.clone().requires_grad_()
        for _ in range(100):
            loss = -gated(select_and_merge(tokens, guide, 3, config))[..., 0].sum()
            if not loss.requires_grad:
                return guide
            (gradient,) = torch.autograd.grad(loss, guide)
            guide = (guide - 2 * gradient).detach().requires_grad_()
        return guide

    before = keeps_planted(start)
    assert before.sum() <= 10  # a quarter, by chance
    assert keeps_planted(train(DEFAULT)).sum() >= 20
    assert torch.equal(keeps_planted(train(replace(DEFAULT, train_guide=False))), before)
