"""Suspected label errors against a count by hand."""

import numpy as np
import pytest

from core.evaluation.failure_sentences import of_label_errors
from core.evaluation.label_errors import suspected_label_errors
from core.prediction import SUBSETS
from tests.made_evaluations import made_evaluation


def evaluation_of(labels, rows, folder):
    probabilities = np.repeat(np.array(rows, float)[:, None], len(SUBSETS), axis=1)
    return made_evaluation(labels, [], folder, probabilities=probabilities)


def test_the_confident_joint_and_its_suspects(tmp_path):
    labels = ["joy", "joy", "joy", "fear", "fear", "anger"]
    rows = [
        [0.9, 0.1, 0.0],
        [0.6, 0.2, 0.2],
        [0.1, 0.8, 0.1],  # labelled joy, confidently fear
        [0.2, 0.7, 0.1],
        [0.7, 0.25, 0.05],  # labelled fear, confidently joy
        [0.5, 0.1, 0.4],  # below joy's threshold, at anger's own
    ]
    # thresholds by hand: joy (0.9 + 0.6 + 0.1) / 3, fear (0.7 + 0.25) / 2, anger 0.4
    found = suspected_label_errors(evaluation_of(labels, rows, tmp_path))
    assert found.thresholds == pytest.approx((1.6 / 3, 0.475, 0.4))
    assert found.joint == ((2, 1, 0), (1, 1, 0), (0, 0, 1))
    assert [(s.key, s.label, s.suggested) for s in found.suspects] == [
        ("c2.mp4", "joy", "fear"),
        ("c4.mp4", "fear", "joy"),
    ]
    assert [s.margin for s in found.suspects] == pytest.approx([0.7, 0.45])
    assert [s.row for s in found.suspects] == [2, 4]


def test_a_clip_that_reaches_no_threshold_is_not_counted(tmp_path):
    labels, rows = ["joy", "joy", "fear"], [[0.9, 0.05, 0.05], [0.4, 0.3, 0.3], [0.1, 0.9, 0.0]]
    found = suspected_label_errors(evaluation_of(labels, rows, tmp_path))
    assert found.joint == ((1, 0, 0), (0, 1, 0), (0, 0, 0)) and found.suspects == ()


def test_a_class_without_a_clip_is_never_suggested(tmp_path):
    found = suspected_label_errors(evaluation_of(["joy", "joy"], [[0.9, 0.1, 0], [0.1, 0, 0.9]], tmp_path))
    assert found.thresholds[1:] == (None, None) and found.suspects == ()


def test_equal_answers_reach_their_own_mean(tmp_path):
    found = suspected_label_errors(evaluation_of(["joy"] * 7, [[0.7, 0.2, 0.1]] * 7, tmp_path))
    assert found.joint[0] == (7, 0, 0)


def test_the_caveat_in_words(tmp_path):
    labels, rows = ["joy", "fear", "fear"], [[0.8, 0.2, 0], [0.9, 0.1, 0], [0.0, 0.9, 0.1]]
    found = suspected_label_errors(evaluation_of(labels, rows, tmp_path))
    assert of_label_errors(found, 3, 1, "test") == (
        "1 of 3 labels is contradicted with at least the confidence that the model usually has in the other "
        "class. These are places to look, not errors found: the model itself is wrong on 1 of 3 clips, and a "
        "model that errs systematically is sure of its errors too."
    )
    assert of_label_errors(found, 3, 1, "train").endswith("so that it finds too few.")
    none = suspected_label_errors(evaluation_of(["joy"], [[0.8, 0.2, 0]], tmp_path))
    assert of_label_errors(none, 1, 0, "test").startswith("No label is contradicted")
