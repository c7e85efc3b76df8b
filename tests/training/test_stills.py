import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from made_truth import a_sidecar
from PIL import Image

from core.labels import MELD_7
from training.augment import resample
from training.datasets import DataError
from training.datasets.stills import (
    IGNORED,
    TARGETS,
    Stills,
    expression_truth,
    frame_truth,
    read_frames,
    read_stills,
)

# ten frames at 25 per second
ENVELOPE = [0.0, 0.05, 0.2, 0.4, 0.5, 1.0, 1.0, 0.3, 0.1, 0.0]
BROWS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.1]
BLINK = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
SIDECAR = a_sidecar(ENVELOPE, action_units={1: BROWS, 25: BROWS}, blink=BLINK)
FEAR, NEUTRAL = MELD_7.index("fear"), MELD_7.index("neutral")


def test_truth_follows_the_envelope():
    labels, targets = frame_truth(SIDECAR, np.arange(10) / 25, MELD_7)
    i = IGNORED
    assert labels.tolist() == [NEUTRAL, NEUTRAL, i, i, FEAR, FEAR, FEAR, i, NEUTRAL, NEUTRAL]
    column = {name: targets[:, TARGETS.index(name)] for name in ("au1", "au4", "blink")}
    # targets are shares of the strongest form
    assert column["au1"].tolist() == pytest.approx([*BROWS[:-1], 1.0])
    assert column["au4"].max() == 0 and column["blink"].tolist() == BLINK
    assert "au25" not in TARGETS


def test_a_neutral_face_is_neutral_throughout():
    neutral = a_sidecar(ENVELOPE, video_emotion="neutral")
    labels, _ = frame_truth(neutral, np.arange(10) / 25, MELD_7)
    assert set(labels.tolist()) == {NEUTRAL}


def test_an_expression_has_the_faces_label_and_course():
    times = np.arange(10) / 25
    label, shown = expression_truth(SIDECAR, times, MELD_7)
    assert label == FEAR and shown.tolist() == pytest.approx(ENVELOPE)
    label, shown = expression_truth(a_sidecar([0.0] * 10, video_emotion="neutral"), times, MELD_7)
    assert label == NEUTRAL and shown.tolist() == [0.0] * 10
    assert expression_truth(a_sidecar(ENVELOPE, video_emotion="contempt"), times, MELD_7)[0] == IGNORED


def test_times_between_and_behind_the_frames_take_the_nearest():
    labels, _ = frame_truth(SIDECAR, np.array([0.205, 9.0]), MELD_7)
    assert labels.tolist() == [FEAR, NEUTRAL]


def jpeg(value, size=48, mode="L"):
    buffer = io.BytesIO()
    Image.new(mode, (size, size), value).save(buffer, "JPEG")
    return buffer.getvalue()


def test_stills_keep_labels_and_targets(tmp_path):
    path = tmp_path / "stills.parquet"
    table = {"jpeg": [jpeg(20), jpeg(200)], "label": ["joy", "contempt"], "au12": [0.75, np.nan]}
    pd.DataFrame(table).to_parquet(path)
    stills = read_stills(path, MELD_7)
    assert stills.pixels.shape == (2, 48, 48, 1)
    np.testing.assert_allclose(stills.pixels.mean(axis=(1, 2, 3)), [20, 200], atol=2)
    assert stills.labels.tolist() == [MELD_7.index("joy"), IGNORED]
    assert stills.targets[0, TARGETS.index("au12")] == 0.75
    assert np.isnan(stills.targets[0, TARGETS.index("au1")])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"label": ["joy"]}, "lacks the column jpeg"),
        (
            {"jpeg": [b"no picture"], "label": ["joy"]},
            r"picture 0 .* \(it is of no known kind\)",
        ),
        ({"jpeg": ["text"], "label": ["joy"]}, "picture 0 cannot be decoded"),
        ({"jpeg": [jpeg(1), jpeg(1, 24)], "label": ["joy", "joy"]}, "several sizes"),
        ({"jpeg": [jpeg(1)], "label": ["happy"]}, "nothing to learn"),
        ({"jpeg": [jpeg(1)], "label": ["joy"], "au1": ["much"]}, "the column au1 should hold numbers"),
        ({"jpeg": [], "label": []}, "holds no picture"),
    ],
)
def test_bad_stills_are_refused(tmp_path, table, message):
    path = tmp_path / "stills.parquet"
    pd.DataFrame(table).to_parquet(path)
    with pytest.raises(DataError, match=message):
        read_stills(path, MELD_7)


def test_frames_of_clips_without_truth_contribute_nothing(corpus_features):
    assert read_frames(corpus_features, MELD_7) is None


def test_an_unrelated_json_beside_a_clip_is_no_sidecar(corpus, corpus_features):
    path = corpus / "train0.json"
    path.write_text(json.dumps({"camera": "left"}))
    try:
        assert read_frames(corpus_features, MELD_7) is None
    finally:
        path.unlink()


def test_a_sidecar_of_another_version_is_refused(corpus, corpus_features):
    path = corpus / "train0.json"
    path.write_text(json.dumps({"schema_version": 0}))
    try:
        with pytest.raises(DataError, match="train0.json is no sidecar .* version is 0, not 1"):
            read_frames(corpus_features, MELD_7)
    finally:
        path.unlink()


def test_a_gigantic_sidecar_is_refused_unread(corpus, corpus_features):
    path = corpus / "train0.json"
    try:
        with path.open("wb") as file:
            # a hole, which takes no room on the disk
            file.truncate(2**40)
        with pytest.raises(DataError, match=r"train0\.json has 1,099,511,627,776 bytes, .*; make the clip"):
            read_frames(corpus_features, MELD_7)
    finally:
        path.unlink()


def stills_of(pixels):
    num = len(pixels)
    targets = np.full((num, len(TARGETS)), np.nan, np.float32)
    return Stills(name="made", pixels=pixels, labels=np.arange(num), targets=targets)


def test_larger_stills_are_averaged_down():
    pixels = np.zeros((1, 6, 6, 1), np.uint8)
    pixels[0, :3, 3:, 0] = [[9, 18, 27], [36, 45, 54], [63, 72, 81]]
    small = stills_of(pixels).at_size(2)
    assert small.pixels.dtype == np.uint8
    assert small.pixels[0, :, :, 0].tolist() == [[0, 45], [0, 0]]
    assert small.labels.tolist() == [0] and small.name == "made"


@pytest.mark.parametrize(("side", "size", "expected"), [(8, 4, 4), (11, 4, 5), (7, 4, 7), (4, 8, 4)])
def test_stills_shrink_by_whole_factors_and_never_below_the_size(side, size, expected):
    pixels = np.full((3, side, side, 3), 77, np.uint8)
    small = stills_of(pixels).at_size(size)
    assert small.pixels.shape == (3, expected, expected, 3) and (small.pixels == 77).all()


def test_more_stills_than_are_averaged_at_once():
    pixels = np.broadcast_to((np.arange(1500) % 256)[:, None, None, None], (1500, 4, 4, 1)).astype(np.uint8)
    assert (stills_of(pixels).at_size(2).pixels == pixels[:, ::2, ::2]).all()


def test_averaging_down_first_changes_nothing_that_the_network_sees():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 1), np.uint8)
    stills = stills_of(pixels)
    seen, expected = (resample(torch.from_numpy(p), 32) for p in (stills.at_size(32).pixels, pixels))
    # but for rounding to bytes
    torch.testing.assert_close(seen, expected, atol=0.6 / 255, rtol=0)
