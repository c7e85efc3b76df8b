"""Rows that are the same are computed once, and nothing else changes."""

import pytest
import torch

import core.encoders.alike
import core.encoders.swin
from core.config import PRESETS, CompressionConfig
from core.encoders.alike import Alike
from core.encoders.video import VideoEncoder
from core.encoders.window_blocks import run_block

CONFIG = PRESETS["tiny"].video


def build(**compression) -> VideoEncoder:
    torch.manual_seed(0)
    return VideoEncoder(CONFIG, CompressionConfig(**compression), "random").eval()


@pytest.fixture(scope="module")
def encoder() -> VideoEncoder:
    # frames of noise are unlike, and would never be merged: here all are
    return build(similarity_threshold=-1.0)


@pytest.fixture
def rows_met(monkeypatch) -> list[int]:
    """How many rows every block was given."""
    met = []

    def looked_at(block, plan, x):
        met.append(len(x))
        return run_block(block, plan, x)

    monkeypatch.setattr(core.encoders.swin, "run_block", looked_at)
    return met


def test_rows_are_the_same_to_the_bit_or_not():
    rows = torch.randn(6, 3, 5)
    rows[3] = rows[1]
    rows[5] = rows[0]
    rows[4] = rows[0]
    rows[4, 2, 4] = torch.nextafter(rows[0, 2, 4], torch.tensor(9.0))
    alike = Alike.of(rows)
    assert alike.index.tolist() == [0, 1, 2, 1, 3, 0] and alike.first.tolist() == [0, 1, 2, 4]
    assert torch.equal(alike.every(alike.single(rows)), rows)
    single = Alike.of(rows[:3])
    assert single.first is None and torch.equal(single.single(rows[:3]), rows[:3])
    assert torch.equal(single.every(rows[:3]), rows[:3])


def test_a_clip_with_several_guides_is_as_by_itself_and_costs_less(encoder, rows_met):
    generator = torch.Generator().manual_seed(3)
    frames = torch.rand(1, CONFIG.num_candidate_frames, 3, 64, 64, generator=generator)
    mask = torch.ones(frames.shape[:2], dtype=torch.bool)
    guides = torch.randn(1, CONFIG.guide_width, generator=generator).repeat(4, 1)
    guides[2:] = -guides[2:]
    with torch.inference_mode():
        alone = [encoder(frames, mask, guide.unsqueeze(0)) for guide in guides]
        by_itself = sum(rows_met)
        rows_met.clear()
        together = encoder(frames.expand(4, -1, -1, -1, -1), mask.expand(4, -1), guides)
    for row, one in enumerate(alone):
        torch.testing.assert_close(together.frame_vectors[row], one.frame_vectors[0], atol=1e-5, rtol=1e-5)
        assert torch.equal(together.selection.kept[row], one.selection.kept[0])
        for ours, theirs in zip(together.patch_steps, one.patch_steps, strict=True):
            part = ours.kept.view(4, -1, ours.kept.shape[1])[row]
            assert torch.equal(part, theirs.kept)
    # guides one and two are the same, and so are three and four
    assert by_itself / 4 <= sum(rows_met) <= by_itself / 2
    # what the guides keep is another, or the test would show less than it says
    first, *_, last = together.patch_steps[0].kept.unflatten(0, (4, -1))
    assert not torch.equal(first, last)


def test_a_still_picture_is_one_frame(rows_met):
    encoder = build()
    frames = torch.rand(1, 1, 3, 64, 64).expand(1, CONFIG.num_candidate_frames, -1, -1, -1)
    mask = torch.ones(frames.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        encoder(frames, mask, torch.randn(1, CONFIG.guide_width))
    assert set(rows_met) == {1}


def test_with_gradients_every_row_is_computed(encoder, rows_met):
    frames = torch.rand(1, 1, 3, 64, 64).expand(1, CONFIG.num_candidate_frames, -1, -1, -1)
    mask = torch.ones(frames.shape[:2], dtype=torch.bool)
    encoder(frames, mask, torch.randn(1, CONFIG.guide_width))
    assert set(rows_met) == {CONFIG.num_kept_frames}


@pytest.mark.parametrize("is_asked_only", [True, False])
def test_several_guides_share_the_frames_of_their_clip(encoder, is_asked_only):
    generator = torch.Generator().manual_seed(4)
    frames = torch.rand(2, CONFIG.num_candidate_frames, 3, 64, 64, generator=generator)
    # the second clip has fewer frames than are kept
    mask = torch.ones(frames.shape[:2], dtype=torch.bool)
    mask[1, 2:] = False
    guides = torch.randn(5, CONFIG.guide_width, generator=generator)
    of_clip = torch.tensor([1, 0, 0, 1, 0])
    with torch.inference_mode(is_asked_only):
        tokens = encoder.embed(frames.flatten(0, 1)).unflatten(0, mask.shape)
        together = encoder.encode(tokens, mask, guides, of_clip=of_clip)
        for row, (clip, guide) in enumerate(zip(of_clip.tolist(), guides, strict=True)):
            one = encoder.encode(tokens[clip, None], mask[clip, None], guide[None])
            for ours, theirs in (
                (together.frame_vectors[row], one.frame_vectors[0]),
                (together.selection.source_map[row], one.selection.source_map[0]),
                (
                    together.selection.tokens[row][together.frame_mask[row]],
                    one.selection.tokens[0][one.frame_mask[0]],
                ),
            ):
                torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
            assert torch.equal(together.selection.kept[row], one.selection.kept[0])
            assert torch.equal(together.frame_mask[row], one.frame_mask[0])
    most = CONFIG.num_kept_frames
    assert together.frame_mask.sum(1).tolist() == [2, most, most, 2, most]


def test_rows_that_differ_where_nobody_looks_are_told_apart():
    rows = torch.zeros(2, 3 * core.encoders.alike.LOOKED_AT)
    rows[1, 1] = 1e-9
    assert Alike.of(rows).first is None and len(Alike.of(rows * 0).first) == 1
