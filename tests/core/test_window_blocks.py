"""Blocks that are computed with less give what timm's own blocks give."""

import pytest
import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2Block

from core.encoders.window_blocks import WindowPlan, run_block


def block_of(grid, window, shift, *, seed=0, dynamic_mask=False):
    torch.manual_seed(seed)
    block = SwinTransformerV2Block(
        24,
        grid,
        3,
        window_size=window,
        shift_size=shift,
        pretrained_window_size=(8, 8),
        dynamic_mask=dynamic_mask,
    )
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            # norms start at one and biases at zero, which would hide what is left out
            parameter.add_(0.3 * torch.randn_like(parameter))
            if "logit_scale" in name:
                parameter.copy_(torch.tensor([1.0, 3.0, 9.0]).view(3, 1, 1))
    return block.eval()


GRIDS = [
    pytest.param((8, 8), (4, 4), 0, id="windows"),
    pytest.param((8, 8), (4, 4), 2, id="shifted windows"),
    pytest.param((8, 6), (4, 6), 0, id="windows that are no squares"),
    pytest.param((12, 6), (4, 3), 2, id="shifted, no squares"),
    pytest.param((4, 4), (4, 4), 0, id="one window"),
    pytest.param((4, 4), (4, 4), 2, id="one window, for which there is no shift"),
]


@pytest.mark.parametrize("dynamic_mask", [False, True])
@pytest.mark.parametrize(("grid", "window", "shift"), GRIDS)
def test_a_block_gives_what_timm_s_gives(grid, window, shift, dynamic_mask):
    block = block_of(grid, window, shift, dynamic_mask=dynamic_mask)
    plan = WindowPlan.of(block)
    x = torch.randn(5, *grid, 24)
    before = x.clone()
    with torch.inference_mode():
        expected, found = block(x), run_block(block, plan, x)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
        # of another number of pictures, and again
        torch.testing.assert_close(run_block(block, plan, x[:2]), expected[:2], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(run_block(block, plan, x), found, atol=0, rtol=0)
    assert torch.equal(x, before)
    assert found.abs().max() > 0.1 and not torch.allclose(found, x, atol=0.1)


@pytest.mark.parametrize(("grid", "window", "shift"), GRIDS)
def test_gradients_are_timm_s_too(grid, window, shift):
    block = block_of(grid, window, shift).double().train()
    plan = WindowPlan.of(block)
    x, weights = torch.randn(2, 3, *grid, 24, dtype=torch.double)

    def gradients(forward):
        block.zero_grad()
        given = x.clone().requires_grad_()
        (forward(given) * weights).sum().backward()
        return [given.grad, *(parameter.grad.clone() for parameter in block.parameters())]

    for ours, theirs in zip(
        gradients(lambda given: run_block(block, plan, given)), gradients(block), strict=True
    ):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


def test_positions_are_learned_anew_after_a_step():
    block = block_of((8, 8), (4, 4), 2)
    plan = WindowPlan.of(block)
    x = torch.randn(2, 8, 8, 24)
    with torch.no_grad():
        first = run_block(block, plan, x)
        for parameter in block.attn.cpb_mlp.parameters():
            parameter.mul_(1.5)
        changed, expected = run_block(block, plan, x), block(x)
        torch.testing.assert_close(changed, expected, atol=2e-5, rtol=1e-5)
        assert not torch.allclose(first, changed, atol=1e-3)
        # other weights in the same place
        block.load_state_dict(block_of((8, 8), (4, 4), 2, seed=1).state_dict())
        torch.testing.assert_close(run_block(block, plan, x), block(x), atol=2e-5, rtol=1e-5)
    # with gradients for the pictures alone, as explanations ask for them
    block.requires_grad_(False)
    given = x.clone().requires_grad_()
    torch.testing.assert_close(run_block(block, plan, given), block(given), atol=2e-5, rtol=1e-5)


def test_parameters_made_in_inference_mode_are_taken_as_they_are():
    with torch.inference_mode():
        block = block_of((8, 8), (4, 4), 2)
        plan, x = WindowPlan.of(block), torch.randn(2, 8, 8, 24)
        torch.testing.assert_close(run_block(block, plan, x), block(x), atol=2e-5, rtol=1e-5)
        for parameter in block.attn.cpb_mlp.parameters():
            parameter.mul_(1.5)
        torch.testing.assert_close(run_block(block, plan, x), block(x), atol=2e-5, rtol=1e-5)


def test_whole_paths_are_left_out_as_timm_does():
    block = block_of((8, 8), (4, 4), 2)
    block.drop_path1 = block.drop_path2 = torch.nn.Dropout(1.0)
    block.train()
    x = torch.randn(2, 8, 8, 24)
    torch.testing.assert_close(run_block(block, WindowPlan.of(block), x), x)


def test_half_precision_is_near():
    block = block_of((8, 8), (4, 4), 2)
    plan, x = WindowPlan.of(block), torch.randn(2, 8, 8, 24)
    with torch.no_grad():
        expected = run_block(block, plan, x)
        with torch.autocast("cpu", torch.bfloat16):
            found = run_block(block, plan, x)
            theirs = block(x)
    error = (found.float() - expected).norm() / expected.norm()
    assert error < 0.02 and error < 1.5 * (theirs.float() - expected).norm() / expected.norm()


def test_a_grid_that_the_block_was_not_told_of_is_refused():
    block = block_of((8, 8), (4, 4), 0)
    with pytest.raises(AssertionError, match="another grid"):
        run_block(block, WindowPlan.of(block), torch.randn(1, 4, 8, 24))


def test_what_a_prediction_keeps_serves_the_gradients_of_an_explanation():
    block = block_of((8, 8), (4, 4), 2).requires_grad_(False)
    plan, x = WindowPlan.of(block), torch.randn(2, 8, 8, 24)
    with torch.inference_mode():
        expected = run_block(block, plan, x.clone())
    x.requires_grad_()
    found = run_block(block, plan, x)
    found.sum().backward()
    torch.testing.assert_close(found, expected)
    assert x.grad.abs().sum() > 0
