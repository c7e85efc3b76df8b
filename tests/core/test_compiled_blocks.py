"""Blocks that torch compiles give what they gave."""

from functools import partial

import pytest
import torch
from test_window_blocks import block_of

import core.encoders.swin
import core.encoders.window_blocks
from core.config import PRESETS, CompressionConfig
from core.encoders.video import VideoEncoder
from core.encoders.window_blocks import CompiledBlocks, WindowPlan, run_block

CONFIG = PRESETS["tiny"].video


@pytest.fixture
def plain_calls(monkeypatch) -> list[int]:
    """How many pictures were given to `run_block`."""
    met = []

    def watched(block, plan, x):
        met.append(len(x))
        return run_block(block, plan, x)

    for module in (core.encoders.swin, core.encoders.window_blocks):
        monkeypatch.setattr(module, "run_block", watched)
    return met


def test_a_compiled_block_gives_the_same(monkeypatch, plain_calls):
    # traced as for a compiler, and run as it is: compiling takes minutes
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    compiled = CompiledBlocks()
    block = block_of((8, 8), (4, 4), 2)
    plan, x = WindowPlan.of(block), torch.randn(5, 8, 8, 24)
    before = x.clone()
    with torch.inference_mode():
        for number in (5, 3):
            expected = run_block(block, plan, x[:number])
            torch.testing.assert_close(compiled(block, plan, x[:number]), expected, atol=2e-5, rtol=1e-5)
    assert torch.equal(x, before) and not plain_calls
    # with gradients nothing is compiled
    assert compiled(block, plan, x).requires_grad and plain_calls == [5]
    torch.compiler.reset()


def test_more_sizes_than_are_compiled_are_computed_all_the_same(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", dynamic=False))
    monkeypatch.setattr(core.encoders.window_blocks, "MOST_SIZES", 2)
    compiled, block = CompiledBlocks(), block_of((8, 8), (4, 4), 2)
    plan = WindowPlan.of(block)
    with torch.inference_mode():
        for number in (1, 2, 3, 4):
            x = torch.randn(number, 8, 8, 24)
            torch.testing.assert_close(
                compiled(block, plan, x), run_block(block, plan, x), atol=2e-5, rtol=1e-5
            )
    torch.compiler.reset()


def test_a_compiler_meets_no_parts(monkeypatch):
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    monkeypatch.setattr(core.encoders.window_blocks, "MOST_HIDDEN", 96 * 64)  # a picture at a time
    compiled, block = CompiledBlocks(), block_of((8, 8), (4, 4), 2)
    plan = WindowPlan.of(block)
    with torch.inference_mode():
        for number in (4, 3, 5, 6, 7):
            x = torch.randn(number, 8, 8, 24)
            torch.testing.assert_close(
                compiled(block, plan, x), run_block(block, plan, x), atol=2e-5, rtol=1e-5
            )
    # of the first size, and of any
    assert len(graphs) == 2
    torch.compiler.reset()


def test_an_encoder_sends_its_blocks_there(monkeypatch, plain_calls):
    met = []

    class Watched:
        def __call__(self, block, plan, x):
            met.append(len(x))
            return run_block(block, plan, x)

    monkeypatch.setattr(core.encoders.swin, "CompiledBlocks", Watched)
    encoder = VideoEncoder(CONFIG, CompressionConfig(), "random").eval()
    frames, guide = torch.rand(1, 6, 3, 64, 64), torch.randn(1, CONFIG.guide_width)
    mask = torch.ones(1, 6, dtype=torch.bool)
    with torch.inference_mode():
        expected = encoder(frames, mask, guide).frame_vectors
        num, met[:] = len(plain_calls), []
        encoder.swin.compile_blocks()
        found = encoder(frames, mask, guide).frame_vectors
    assert len(met) == num >= sum(CONFIG.depths) and len(plain_calls) == num
    assert torch.equal(found, expected)
