"""Nearest training clips: cosine by hand, and only of the same weights."""

from dataclasses import replace

import numpy as np
import pytest

from core.evaluation.neighbours import nearest, read_training, training_folder
from tests.made_evaluations import made_evaluation


def with_fused(evaluation, rows):
    return replace(evaluation, embeddings={**evaluation.embeddings, "fused": np.array(rows, np.float32)})


def test_nearest_by_cosine(tmp_path):
    mine = with_fused(made_evaluation(["joy"], ["fear"], tmp_path), [[2, 0]])
    others = with_fused(
        made_evaluation(["joy", "fear", "anger", "joy"], ["joy"] * 4, tmp_path),
        [[0, 5], [3, 4], [-1, 0], [0, 0]],
    )
    found = nearest(mine, 0, others)
    # the last has no direction
    assert [(n.key, n.label) for n in found] == [("c1.mp4", "fear"), ("c0.mp4", "joy"), ("c2.mp4", "anger")]
    assert [n.similarity for n in found] == pytest.approx([0.6, 0.0, -1.0])
    assert [n.row for n in nearest(mine, 0, others, count=1)] == [1]


def test_the_training_clips_lie_beside(tmp_path):
    made = made_evaluation(["joy", "fear"], ["joy", "joy"], tmp_path)
    folder = made.write(tmp_path / "first-test")
    assert training_folder(folder, "first") is None and read_training(folder, made) is None
    beside = made.write(tmp_path / "first-train")
    assert read_training(folder, made).info.checkpoint == "first"
    # of the training clips themselves, the nearest would be the clip
    assert training_folder(beside, "first") is None
    other = replace(made, info=replace(made.info, checkpoint_sha256="b" * 64))
    assert read_training(folder, other) is None
    (beside / "metrics.json").write_text("{", encoding="utf-8")
    assert read_training(folder, made) is None
