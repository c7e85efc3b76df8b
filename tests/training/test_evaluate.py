import json
from dataclasses import replace

import numpy as np
import pytest

from core.prediction import SUBSETS
from training.evaluate import ALL, Evaluation, choose_threshold, evaluate, figure, fit_temperature


def hand_made(logits, truth, **more):
    logits = np.asarray(logits, float)
    values = {
        "labels": ("a", "b", "c")[: logits.shape[1]],
        "keys": tuple(f"k{i}" for i in range(len(truth))),
        "truth": np.asarray(truth),
        "logits": {ALL: logits},
        "temperature": 1.0,
        "scenarios": ("",) * len(truth),
    }
    return Evaluation(**{**values, **more})


def test_scores_by_hand():
    # predictions a a b b; truth a b b c
    evaluation = hand_made(
        [[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0]], [0, 1, 1, 2], scenarios=("x", "x", "y", "y")
    )
    scores = evaluation.scores()
    # F1: a = 2/3, b = 1/2, c = 0
    assert scores.accuracy == 0.5
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores.weighted_f1 == pytest.approx((2 / 3 + 2 * 1 / 2 + 0) / 4)
    result = evaluation.to_dict()
    assert result["f1_per_class"] == {"a": pytest.approx(2 / 3), "b": 0.5, "c": 0.0}
    assert result["num_clips_per_class"] == {"a": 1, "b": 2, "c": 1}
    assert result["scenarios"]["x"]["video+audio+text"]["num_clips"] == 2


def test_clips_a_subset_cannot_see_do_not_count():
    nan = [np.nan] * 3
    logits = {ALL: np.eye(3), ("audio",): np.array([[1.0, 0, 0], nan, [1.0, 0, 0]])}
    scores = replace(hand_made(np.eye(3), [0, 1, 2]), logits=logits).scores(("audio",))
    assert scores.num_clips == 2 and scores.accuracy == 0.5


def test_where_no_clip_counts_there_is_no_score_and_the_json_stays_strict():
    evaluation = replace(
        hand_made(np.eye(3), [0, 1, 2]), logits={ALL: np.eye(3), ("audio",): np.full((3, 3), np.nan)}
    )
    scores = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))["subsets"]["audio"]
    assert scores == {"num_clips": 0, "accuracy": None, "weighted_f1": None, "macro_f1": None}
    assert figure(scores["accuracy"]) == "–" and figure(2 / 3) == "0.667"


def test_temperature_is_recovered():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 4)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([random.choice(4, p=p) for p in chances])
    evaluation = hand_made(logits * 2.5, truth, labels=("a", "b", "c", "d"))
    assert fit_temperature(evaluation) == pytest.approx(2.5, rel=0.1)


def test_threshold_parts_the_unsure_from_the_sure():
    # logits a, 0: confidence grows with a; the three least confident are wrong
    strengths = np.array([0.1, 0.2, 0.3, 1, 2, 3, 4, 5, 6, 7.0])
    logits = np.stack([strengths, np.zeros(10)], axis=1)
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    evaluation = hand_made(logits, truth)
    confidence = evaluation.probabilities().max(axis=1)
    assert confidence[2] < choose_threshold(evaluation) < confidence[3]
    assert choose_threshold(hand_made(logits, np.zeros(10, int))) == 0.0


def test_evaluation_does_not_depend_on_the_batch_size(corpus_features, tiny_model):
    dev = corpus_features.of_split("dev")
    one, many = (evaluate(tiny_model, dev, batch_size=size) for size in (1, 4))
    assert list(one.logits) == list(SUBSETS[1:])
    for subset in SUBSETS[1:]:
        np.testing.assert_allclose(one.logits[subset], many.logits[subset], atol=1e-5)
    # the sixth clip is silent
    assert np.isnan(one.logits[("audio",)][5]).all() and not np.isnan(one.logits[("audio",)][:5]).any()
    np.testing.assert_allclose(one.logits[("audio", "text")][5], one.logits[("text",)][5], atol=1e-6)


def test_table_and_file(corpus_features, tiny_model, tmp_path):
    evaluation = evaluate(tiny_model, corpus_features.of_split("test"), subsets=(ALL, ("text",)))
    table = evaluation.table()
    columns = [f"text:{label}" for label in evaluation.labels]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1.0)
    assert table["label"].tolist() == ["joy", "sadness", "anger"] * 2
    assert '"accuracy"' in evaluation.save(tmp_path / "scores.json").read_text()
