"""Planted truth: the frames that show something are reddish or bluish."""

import numpy as np
import pytest
import torch
from made_clips import JOY, NUM_FRAMES, expressive_clips

from core.config import PRESETS
from core.model import build_model
from training.datasets.stills import IGNORED, TARGETS, Expression, Stills
from training.expressions import score_selection, shows_something, teach_selection, teach_temporal


@pytest.fixture
def model():
    torch.manual_seed(1)
    return build_model(PRESETS["tiny"], weights="random")


def test_a_taught_selector_keeps_what_shows_in_clips_it_never_saw(model):
    held_out = expressive_clips(30, 5)
    before = score_selection(model.video, held_out)
    teach_selection(model.video, expressive_clips(60, 0), learning_rate=3e-3)
    after = score_selection(model.video, held_out)
    assert after.candidates == before.candidates and after.best == before.best
    assert after.kept > 0.9 * after.best > before.kept


def test_only_the_selector_is_taught(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    teach_selection(model.video, expressive_clips(10, 0), num_epochs=2)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"video.selector.{n}" for n in ("descriptor.weight", "constant", "guide.bias")}


def test_scores_are_the_shares_counted_by_hand(model):
    stills = expressive_clips(6, 3)
    scores = score_selection(model.video, stills)
    kept, candidates, best = [], [], []
    for clip in stills.expressions:
        pictures = torch.from_numpy(stills.pixels[clip.frames]).permute(0, 3, 1, 2) / 255
        pictures = torch.nn.functional.interpolate(pictures, (64, 64), mode="bilinear", align_corners=False)
        mask = torch.ones(1, NUM_FRAMES, dtype=torch.bool)
        with torch.no_grad():
            out = model.video(pictures[None], mask, torch.zeros(1, 64))
        chosen = out.selection.kept[0].tolist()
        assert len(chosen) == 3
        kept.append(sum(clip.shown[i] for i in chosen) / 3)
        candidates.append(clip.shown.sum() / NUM_FRAMES)
        best.append(min(clip.shown.sum(), 3) / 3)
    assert scores.kept == pytest.approx(np.mean(kept))
    assert scores.candidates == pytest.approx(np.mean(candidates))
    assert scores.best == pytest.approx(np.mean(best))


@pytest.mark.parametrize("course", [[0.0] * 4, [1.0] * 4, [0.4] * 4])
def test_a_face_that_never_changes_teaches_no_choice(model, course):
    clip = Expression(frames=slice(0, 4), label=JOY, shown=np.array(course, np.float32))
    assert not shows_something(clip)
    stills = Stills(
        name="clips",
        pixels=np.zeros((4, 48, 48, 3), np.uint8),
        labels=np.full(4, IGNORED),
        targets=np.zeros((4, len(TARGETS)), np.float32),
        expressions=(clip,),
    )
    assert score_selection(model.video, stills) is None


def test_the_temporal_network_learns_the_face_and_the_encoder_stays(model):
    parts = expressive_clips(60, 0), expressive_clips(20, 5)
    teach_selection(model.video, parts[0], learning_rate=3e-3)
    before = {name: value.clone() for name, value in model.video.state_dict().items()}
    scores = teach_temporal(
        model.video, model.temporal, *parts, num_labels=7, batch_size=16, learning_rate=5e-3
    )
    assert scores.accuracy > 0.9 and scores.macro_f1 > 0.9
    assert not model.temporal.training
    for name, value in model.video.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_teaching_is_deterministic_by_seed():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(1)
        model = build_model(PRESETS["tiny"], weights="random")
        parts = expressive_clips(8, 0), expressive_clips(4, 5)
        teach_selection(model.video, parts[0], num_epochs=2, seed=seed)
        teach_temporal(model.video, model.temporal, *parts, num_labels=7, num_epochs=2, seed=seed)
        states.append({name: value.clone() for name, value in model.state_dict().items()})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_without_known_faces_nothing_is_taught(model):
    before = {name: value.clone() for name, value in model.temporal.state_dict().items()}
    unknown = expressive_clips(4, 0, label=False)
    assert teach_temporal(model.video, model.temporal, unknown, expressive_clips(4, 5), num_labels=7) is None
    assert teach_temporal(model.video, model.temporal, expressive_clips(4, 5), unknown, num_labels=7) is None
    assert all(torch.equal(v, before[name]) for name, v in model.temporal.state_dict().items())
