from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.compression import Compressed, select_and_merge
from core.config import CompressionConfig
from core.evidence import VideoEvidence

GRID = (3, 4)
SIZES = (8, 4)  # tokens left by the two patch steps
NUM_FRAMES, NUM_KEPT, NUM_CLIPS = 6, 3, 2


def compress(tokens: torch.Tensor, num_keep: int, config: CompressionConfig, mask=None) -> Compressed:
    guide = torch.randn(len(tokens), tokens.shape[2])
    return select_and_merge(tokens, guide, num_keep, config, mask=mask)


@pytest.fixture(params=["raster", "score"])
def video(request):
    """Two clips as the video encoder tells of them; the second has only two real frames."""
    torch.manual_seed(5)
    config = CompressionConfig(similarity_threshold=0.2, order=request.param)
    mask = torch.tensor([[True] * 6, [True, True] + [False] * 4])
    selection = compress(torch.randn(NUM_CLIPS, NUM_FRAMES, 4), NUM_KEPT, config, mask)
    tokens, steps = torch.randn(NUM_CLIPS * NUM_KEPT, 12, 5), []
    for size in SIZES:
        steps.append(compress(tokens, size, config))
        tokens = steps[-1].tokens
    return SimpleNamespace(selection=selection, patch_steps=tuple(steps))


def test_frames_are_told_in_candidates(video):
    times = np.arange(6) * 0.1
    evidence = VideoEvidence.from_row(video, 0).frame_selection(times)
    kept = sorted(video.selection.kept[0].tolist())
    assert evidence.kept.tolist() == kept
    np.testing.assert_allclose(evidence.source_map.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(evidence.relevance.sum(), 1, atol=1e-6)
    for row, candidate in enumerate(kept):
        assert evidence.source_map[row].argmax() == candidate
    for candidate in range(6):
        holders = evidence.source_map[:, candidate]
        if candidate in kept:
            expected = candidate
        else:
            expected = kept[holders.argmax()] if holders.max() > 0 else -1
        assert evidence.absorbed_by[candidate] == expected


def test_padding_is_left_out(video):
    evidence = VideoEvidence.from_row(video, 1)
    selection = evidence.frame_selection(np.array([0.0, 0.1]))
    assert selection.kept.tolist() == [0, 1] and selection.absorbed_by.tolist() == [0, 1]
    assert selection.source_map.tolist() == [[1, 0], [0, 1]]
    assert [len(step.kept) for step in evidence.patch_steps(GRID)] == [2, 2]


def follow(video, row: int, frame: int):
    """Slow rewrite: carry a table {token: {original patch: weight}} through the steps of one kept frame."""
    tokens = [{patch: 1.0} for patch in range(12)]
    names = list(range(12))
    for step in video.patch_steps:
        at = row * NUM_KEPT + frame
        relevance = dict(zip(names, step.relevance[at].tolist(), strict=True))
        merged = []
        for weights in step.source_map[at].tolist():
            total: dict[int, float] = {}
            for weight, token in zip(weights, tokens, strict=True):
                for patch, share in token.items():
                    total[patch] = total.get(patch, 0.0) + weight * share
            merged.append(total)
        names = [names[position] for position in step.kept[at].tolist()]
        tokens = merged
        absorbed = []
        for patch in range(12):
            best = max(range(len(names)), key=lambda j: tokens[j].get(patch, 0.0))
            if patch in names:
                absorbed.append(patch)
            else:
                absorbed.append(names[best] if tokens[best].get(patch, 0.0) > 0 else -1)
        yield sorted(names), relevance, absorbed


def test_patches_are_told_in_the_original_grid(video):
    steps = VideoEvidence.from_row(video, 0).patch_steps(GRID)
    order = np.argsort(video.selection.kept[0].numpy())
    assert [step.kept.shape for step in steps] == [(3, 8), (3, 4)]
    for place, frame in enumerate(order.tolist()):
        for step, (kept, relevance, absorbed) in zip(steps, follow(video, 0, frame), strict=True):
            assert step.grid == GRID
            assert step.kept[place].tolist() == kept
            assert step.absorbed_by[place].tolist() == absorbed
            for patch in range(12):
                told = step.relevance[place, patch]
                if patch in relevance:
                    assert told == pytest.approx(relevance[patch])
                else:
                    assert np.isnan(told)


def test_without_merging_what_is_dropped_leaves_no_trace():
    torch.manual_seed(0)
    config = CompressionConfig(merge=False)
    selection = compress(torch.randn(1, 4, 3), 2, config)
    step = compress(torch.randn(2, 12, 3), 5, config)
    evidence = VideoEvidence.from_row(SimpleNamespace(selection=selection, patch_steps=(step,)), 0)
    frames = evidence.frame_selection(np.arange(4.0))
    assert sorted(frames.absorbed_by.tolist()) == [-1, -1, *frames.kept.tolist()]
    [patches] = evidence.patch_steps(GRID)
    assert (patches.absorbed_by == -1).sum(axis=1).tolist() == [7, 7]
