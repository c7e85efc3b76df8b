"""Frames at rest: one stands for several, and what is the same is computed once without any other change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_prepared import made_checkpoint, made_prepared

from core.checkpoint import Checkpoint, load_checkpoint
from core.config import PRESETS
from core.encoders import convolutions, products
from core.encoders.video import VideoEncoder
from core.media import open_clip
from core.model import DeepMSI
from core.predict import Predictor, PreparedClip
from core.prediction import Prediction
from core.shipped import default_checkpoint
from core.still_frames import hold_still
from training.speed.work import flops_of

SIDE = 32
CLIP = min((Path(__file__).parents[2] / "sample_data" / "clips" / "demo").rglob("*.mp4"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Checkpoint:
    return made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


def moving(*changes: float) -> np.ndarray:
    """Crops whose every pixel grows by so much of the range from one to the next."""
    values = 20 + 255 * np.cumsum(changes)
    return np.stack([np.full((SIDE, SIDE, 3), round(value), np.uint8) for value in values])


def levels(crops: np.ndarray) -> list[int]:
    return crops[:, 0, 0, 0].tolist()


def test_a_frame_stays_until_it_has_changed_enough_since_the_last_that_stayed():
    crops = moving(0, 0.1, 0.02, 0.02, 0.02, 0.1)
    first, second, third, fourth, fifth, sixth = levels(crops)
    assert levels(hold_still(crops, 0.05)) == [first, second, second, second, fifth, sixth]
    assert levels(hold_still(crops, 0.03)) == [first, second, second, fourth, fourth, sixth]
    # a slow drift is not lost
    assert len(set(levels(hold_still(moving(*[0.01] * 30), 0.05)))) == 6


def test_a_small_part_that_moves_counts_by_its_size():
    crops = moving(0, 0)
    crops[1, :8, :8] += 64
    # a quarter of the range in a sixteenth of the picture
    assert hold_still(crops, 64 / 255 / 16 - 1e-4) is crops
    assert np.array_equal(hold_still(crops, 64 / 255 / 16 + 1e-4), crops[[0, 0]])


@pytest.mark.parametrize("size", [20, 48, 70, 127])
def test_any_size_is_compared(size):
    crops = np.full((2, size, size, 3), 100, np.uint8)
    crops[1] += 51
    assert hold_still(crops, 0.199) is crops and np.array_equal(hold_still(crops, 0.201), crops[[0, 0]])


def test_noise_within_a_cell_of_the_coarse_picture_is_gone():
    cells = np.random.default_rng(0).integers(40, 200, (1, SIDE, SIDE, 3))
    quiet = cells.repeat(4, 1).repeat(4, 2).astype(np.uint8)
    noise = np.tile([[9, -9, 4, -4], [-20, 20, 0, 0]], (2 * SIDE, SIDE))[None, ..., None]
    crops = np.concatenate([quiet, (quiet + noise).astype(np.uint8), quiet[:, :, ::-1]])
    assert np.array_equal(hold_still(crops, 1e-9), crops[[0, 0, 2]])


@pytest.mark.parametrize("below", [0, 1e-9])
def test_what_differs_is_left_as_it_is(below):
    crops = moving(0, 0.01, 0.01)
    assert hold_still(crops, below) is crops
    assert np.array_equal(hold_still(crops[:1], 0.5), crops[:1])
    assert len(hold_still(crops[:0], 0.5)) == 0


@pytest.mark.parametrize("below", [-0.1, 1.5, float("nan")])
def test_an_impossible_change_is_told(below, checkpoint):
    with pytest.raises(ValueError, match="within 0 and 1"):
        hold_still(moving(0, 0.1), below)
    with pytest.raises(ValueError, match="within 0 and 1"):
        Predictor(checkpoint, still_below=below)


@pytest.mark.parametrize("preset", ["tiny", "mini"])
def test_the_same_pictures_are_embedded_once_and_to_the_same(preset):
    torch.manual_seed(0)
    encoder = DeepMSI(PRESETS[preset], "random").video.eval()
    size = encoder.config.image_size
    different = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([0, 0, 1, 1, 1, 0, 2])
    pictures = different[order]
    with torch.no_grad():
        plain = torch.cat([encoder.embed(one.unsqueeze(0)) for one in pictures])
        torch.testing.assert_close(encoder.embed(pictures), plain, atol=1e-5, rtol=1e-5)
        # four of seven begin anew: 0 1 0 2
        of_one = flops_of(lambda: encoder.embed(different[:1]))
        assert flops_of(lambda: encoder.embed(pictures)) == 4 * of_one
        assert len(encoder.embed(pictures[:0])) == 0
    # gradients reach each picture
    pictures.requires_grad_()
    encoder.embed(pictures).square().sum().backward()
    assert (pictures.grad.flatten(1).norm(dim=1) > 0).all()


def plainly(predictor: Predictor, clip: PreparedClip, monkeypatch) -> Prediction:
    """The plain path: no row of anything is taken for another, nothing is parted or done in place of it."""
    with monkeypatch.context() as patch:
        patch.setattr(VideoEncoder, "_is_asked_only", lambda *_: False)
        for module in (products, convolutions):
            patch.setattr(module, "is_asked_only", lambda *_: False)
        return predictor.predict(clip)


def require_same(fast: Prediction, plain: Prediction) -> None:
    np.testing.assert_allclose(fast.modalities.probabilities, plain.modalities.probabilities, atol=1e-4)
    assert np.array_equal(fast.frames.kept, plain.frames.kept)
    for ours, theirs in zip(fast.patch_steps, plain.patch_steps, strict=True):
        assert np.array_equal(ours.kept, theirs.kept)


def test_a_clip_at_rest_is_answered_as_if_every_frame_were_computed(checkpoint, monkeypatch):
    predictor, clip = Predictor(checkpoint), made_prepared(3)
    clip = replace(clip, crops=clip.crops[[0, 0, 0, 3, 3, 4]])
    require_same(predictor.predict(clip), plainly(predictor, clip, monkeypatch))


@pytest.mark.parametrize("still_below", [0.0, 0.01])
def test_the_shipped_network_answers_a_clip_as_the_plain_path_does(still_below, monkeypatch):
    predictor = Predictor(load_checkpoint(default_checkpoint()), still_below=still_below)
    clip = predictor.prepare(open_clip(CLIP, transcript="It is so good to see you."), transcribe=False)
    require_same(predictor.predict(clip), plainly(predictor, clip, monkeypatch))


def test_a_predictor_holds_still_what_it_is_told_to(checkpoint):
    plain = Predictor(checkpoint).prepare(open_clip(CLIP), transcribe=False)
    held = Predictor(checkpoint, still_below=0.05).prepare(open_clip(CLIP), transcribe=False)
    assert np.array_equal(held.crops, hold_still(plain.crops, 0.05))
    assert not np.array_equal(held.crops, plain.crops)
    # what is shown of the clip stays as it was filmed
    assert np.array_equal(held.frames.pixels, plain.frames.pixels)
