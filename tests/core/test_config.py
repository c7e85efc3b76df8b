import dataclasses
import json

import pytest

from core.config import PRESETS, ModelConfig


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_json_round_trip(config):
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_compression_shrinks_the_grid_step_by_step(config):
    grids = [config.video.stage3_grid, *config.video.vsc_grids]
    sizes = [rows * columns for rows, columns in grids]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)
    assert len(config.video.vsc_after) == len(config.video.vsc_grids)
    # patch merging joins two by two after the last step
    assert all(side % 2 == 0 for side in config.video.vsc_grids[-1])
    assert config.video.num_kept_frames < config.video.num_candidate_frames


def test_paper_sizes_are_the_published_ones():
    paper = PRESETS["paper"]
    assert [rows * columns for rows, columns in paper.video.vsc_grids] == [196, 144, 100]
    assert paper.video.stage3_grid == (16, 16)
    assert (paper.video.guide_width, paper.video.feature_width) == (384, 768)
    assert (paper.text.width, paper.audio.feature_width, paper.heads.projection_width) == (1024, 768, 256)
    assert (paper.compression.similarity_threshold, paper.compression.retain) == (0.6, 0.9)


def change(path: str, value) -> dict:
    values = json.loads(json.dumps(PRESETS["tiny"].to_dict()))
    *parents, last = path.split(".")
    inner = values
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("vidoe", {}, "config has unknown keys: vidoe"),
        ("video.windows", 8, "config.video has unknown keys: windows"),
        ("video.image_size", "64", "config.video.image_size should be int, not '64'"),
        ("video.image_size", True, "config.video.image_size should be int, not True"),
        ("video.vsc_grids", [[2, 4, 1]], r"config.video.vsc_grids should hold 2 values, not 3"),
        ("video.depths", 3, "config.video.depths should be a list"),
        ("labels", "meld", "config.labels should be an object"),
        ("text.layout", [], "config.text.layout should be an object"),
        ("video.vsc_after", [], "vsc_after names 0 blocks but vsc_grids holds 1 grids"),
        ("video.vsc_after", [0, 1], "vsc_after names 2 blocks but vsc_grids holds 1 grids"),
        ("video.vsc_after", [2], r"should name blocks of stage 3, which has 2, in order, not \[2\]"),
        ("video.vsc_after", [1, 0], r"in order, not \[1, 0\]"),
        ("video.vsc_grids", [[5, 4]], r"should shrink the 16 tokens of stage 3 step by step, not to \[20\]"),
        ("video.stem", "cnn", "stem should be one of patch, conv, not 'cnn'"),
        ("text.pooling", "max", "pooling should be one of mean, first, not 'max'"),
        (
            "audio.pooling",
            "first",
            "pooling should be one of mean, layer-statistics, layer-projection, not 'first'",
        ),
        ("compression.order", "raster-scan", "order should be one of raster, score, not 'raster-scan'"),
        ("compression.retain", 1.5, r"retain should lie in \[0, 1\], not 1.5"),
        ("video.depths", [1, 1, 2], "one number for each of the 4 stages"),
        # with these a network can be built, and fails when it is asked
        ("video.num_candidate_frames", 0, "num_candidate_frames should be at least 1, not 0"),
        ("video.num_kept_frames", -1, "num_kept_frames should be at least 1, not -1"),
        ("text.max_tokens", 0, "max_tokens should be at least 1, not 0"),
        (
            "audio.layout",
            {"encoder_attention_heads": -1},
            "encoder_attention_heads should be at least 1, not -1",
        ),
        ("heads.classifier_dropout", float("nan"), r"classifier_dropout should lie in \[0, 1\], not nan"),
        ("heads.classifier_dropout", 10**400, "classifier_dropout should be a number of usual size"),
        ("audio.max_seconds", 0, "max_seconds should be at least 1, not 0"),
        ("audio.max_seconds", 31, "max_seconds should be at most 30, not 31"),
        ("temporal.channels", [], r"channels should be at least 1, not \(\)"),
        ("temporal.channels", [32, 0], r"channels should be at least 1, not \(32, 0\)"),
        ("heads.classifier_hidden", [], r"classifier_hidden should be at least 1, not \(\)"),
    ],
)
def test_bad_values_are_named(path, value, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict(change(path, value))


def test_whole_numbers_serve_as_fractions_and_none_where_allowed():
    assert ModelConfig.from_dict(change("temporal.dropout", 0)).temporal.dropout == 0.0
    assert ModelConfig.from_dict(change("video.backbone", None)).video.backbone is None


def test_configs_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["tiny"].preset = "mini"
