"""Points of a trade-off curve: what is tried, what it is worth, what it costs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.checkpoint import Checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.evaluation.artifact import ALL
from core.evaluation.metrics import Estimate
from training.curve import Setting, draw_curve, settings_of
from training.datasets import DataError
from training.feature_cache import Entry
from training.features import FeatureSet
from training.scores import evaluate

TINY = PRESETS["tiny"]


@pytest.mark.parametrize("preset", ["paper", "base", "mini", "tiny"])
def test_every_setting_is_one_that_the_network_can_keep(preset):
    config = PRESETS[preset].video
    first, *others = settings_of(config)
    assert first == Setting(num_frames=config.num_kept_frames, grids=config.vsc_grids)
    assert len({*others, first}) == len(others) + 1
    for setting in others:
        # raises where the grids do not fit, or grow
        replace(config, num_kept_frames=setting.num_frames, vsc_grids=setting.grids)
        assert setting.num_frames <= config.num_candidate_frames
        assert all(side % 2 == 0 for grid in setting.grids for side in grid)


def test_the_settings_of_mini_by_hand():
    names = [setting.name for setting in settings_of(PRESETS["mini"].video, (8,), (2.0, 0.75), (0.01,))]
    assert names == [
        "15 frames, patches 48 → 36 → 24",
        "8 frames, patches 48 → 36 → 24",
        "15 frames, patches 64 → 64 → 48",
        "15 frames, patches 36 → 24 → 16",
        "15 frames, patches 48 → 36 → 24, still below 0.01",
        "8 frames, patches 36 → 24 → 16, still below 0.01",
    ]


@pytest.fixture(scope="module")
def checkpoint(tiny_model, tmp_path_factory) -> Checkpoint:
    return Checkpoint(
        model=tiny_model,
        config=TINY,
        info=CheckpointInfo(temperature=1.5),
        folder=tmp_path_factory.mktemp("tiny"),
        sha256="0" * 64,
        metrics={},
        card="",
    )


def test_a_curve_of_a_small_network(checkpoint, corpus_features, tmp_path):
    features = corpus_features.of_split("test")
    first = Setting(num_frames=3, grids=((2, 4),))
    settings = (
        first,
        replace(first, num_frames=1),
        replace(first, grids=((2, 2),)),
        # a clip's frames are all one, as far as this looks
        replace(first, still_below=1.0),
    )
    told = []
    curve = draw_curve(
        checkpoint,
        features,
        settings,
        data="made",
        split="test",
        num_turns=1,
        progress=lambda done, total, text: told.append((done, total)),
    )
    assert curve.num_clips == 6 and told[-1] == (24, 24)
    start, fewer, smaller, still = curve.points
    expected = evaluate(checkpoint.model, features, subsets=(ALL,), temperature=1.5).scores(ALL)
    assert start.macro_f1.value == pytest.approx(expected.macro_f1)
    assert (start.difference.value, start.agreement, start.largest_change) == (0, 1, 0)
    assert start.cpu_ratio.median == 1
    assert fewer.gflop < start.gflop and smaller.gflop < start.gflop
    assert still.gflop < fewer.gflop
    assert all(0 < point.cpu_ratio.median for point in curve.points)
    # the changed network's answers are another network's
    assert fewer.largest_change > 0
    twin = checkpoint.model.keeping(1)
    of_twin = evaluate(twin, features, subsets=(ALL,), temperature=1.5).probabilities()
    of_model = evaluate(checkpoint.model, features, subsets=(ALL,), temperature=1.5).probabilities()
    assert fewer.largest_change == pytest.approx(np.abs(of_twin - of_model).max(), abs=1e-6)
    curve.write(tmp_path)
    table = (tmp_path / "curve.md").read_text()
    assert all(f"| {setting.name} | " in table for setting in settings)
    assert torch.equal(checkpoint.model.video.base_guide, twin.video.base_guide)


def test_a_setting_holds_where_it_costs_less_and_stays_within_the_interval(checkpoint, corpus_features):
    settings = (Setting(num_frames=3, grids=((2, 4),)), Setting(num_frames=2, grids=((2, 4),)))
    features = corpus_features.of_split("test")
    curve = draw_curve(checkpoint, features, settings, data="made", split="test", num_turns=1)
    first = replace(curve.points[0], macro_f1=Estimate(value=0.5, low=0.4, high=0.6))
    curve = replace(curve, points=(first, curve.points[1]))
    within = replace(curve.points[1], macro_f1=Estimate(value=0.4))
    assert curve.holds(within)
    assert not curve.holds(replace(within, macro_f1=Estimate(value=0.39)))
    assert not curve.holds(replace(within, gflop=first.gflop)) and not curve.holds(first)
    outside = replace(within, macro_f1=Estimate(value=0.39))
    table = replace(curve, points=(first, within, outside, within)).to_markdown()
    assert "Within the interval of the first row: 2 of the 3 that cost less." in table


def test_clips_that_cannot_be_asked_or_timed_are_told_before_any_is_asked(
    checkpoint, corpus_features, monkeypatch
):
    asked = []
    monkeypatch.setattr("training.curve.ask", lambda *of, **options: asked.append(of))
    setting = Setting(num_frames=3, grids=((2, 4),))
    with pytest.raises(DataError, match="no clip of the split dev can be read"):
        draw_curve(checkpoint, FeatureSet((), ()), [setting], data="made", split="dev")
    nothing = [Entry(utterance=corpus_features.utterances[0], clip_sha256="")]
    with pytest.raises(DataError, match="no clip of the split dev has video or audio or text"):
        draw_curve(checkpoint, FeatureSet(nothing, ()), [setting], data="made", split="dev")
    blind = replace(checkpoint, config=replace(TINY, modalities=("audio", "text")))
    sounds = [replace(entry, video=None) for entry in corpus_features.of_split("test")._entries]
    with pytest.raises(DataError, match="No clip has a picture"):
        draw_curve(checkpoint, FeatureSet(sounds, ()), [setting], data="made", split="dev")
    assert not asked
    with pytest.raises(DataError, match="reads no video"):
        draw_curve(blind, corpus_features, [setting], data="made", split="dev")
