import json
from dataclasses import replace

import numpy as np
import pytest

from core.evaluation.artifact import ALL
from training.datasets import Utterance
from training.scores import Answers, figure


def hand_made(logits, truth, **more):
    logits, labels = np.asarray(logits, float), ("a", "b", "c")
    scenarios = more.pop("scenarios", ("",) * len(truth))
    values = {
        "labels": labels[: logits.shape[1]],
        "utterances": tuple(
            Utterance(key=f"k{i}", path=None, label=labels[label], extra={"scenario": s} if s else {})
            for i, (label, s) in enumerate(zip(truth, scenarios, strict=True))
        ),
        "logits": {ALL: logits},
        "temperature": 1.0,
    }
    return Answers(**{**values, **more})


def test_scores_by_hand():
    # predictions a a b b; truth a b b c
    answers = hand_made(
        [[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0]], [0, 1, 1, 2], scenarios=("x", "x", "y", "y")
    )
    scores = answers.scores()
    # F1: a = 2/3, b = 1/2, c = 0
    assert scores.accuracy == 0.5
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores.weighted_f1 == pytest.approx((2 / 3 + 2 * 1 / 2 + 0) / 4)
    result = answers.to_dict()
    assert result["f1_per_class"] == {"a": pytest.approx(2 / 3), "b": 0.5, "c": 0.0}
    assert result["num_clips_per_class"] == {"a": 1, "b": 2, "c": 1}
    assert result["scenarios"]["x"]["video+audio+text"]["num_clips"] == 2
    # never a class's figure without its interval
    assert all(low <= high for low, high in result["f1_interval_per_class"].values())
    assert result["resampled"] == "clip"


def test_a_large_data_set_does_not_decide_alone():
    # of the first all four are right, of the second none
    answers = hand_made([[2, 0, 0], [0, 2, 0], [2, 0, 0], [0, 2, 0], [2, 0, 0]], [0, 1, 0, 1, 1])
    assert set(answers.by_source()) == {""} and answers.macro_f1() == answers.scores().macro_f1
    marked = tuple(
        replace(one, extra={"source": name})
        for one, name in zip(answers.utterances, ["big"] * 4 + ["small"], strict=True)
    )
    answers = replace(answers, utterances=marked)
    assert answers.by_source()["big"].macro_f1 == 1.0 and answers.by_source()["small"].macro_f1 == 0.0
    names = np.array([one.extra["source"] for one in answers.utterances])
    for name in ("big", "small"):
        assert answers.weights()[names == name].sum() == pytest.approx(0.5)
    assert answers.macro_f1() == 0.5
    assert answers.to_dict()["sources"]["big"]["num_clips"] == 4


def test_clips_a_subset_cannot_see_do_not_count():
    nan = [np.nan] * 3
    logits = {ALL: np.eye(3), ("audio",): np.array([[1.0, 0, 0], nan, [1.0, 0, 0]])}
    scores = replace(hand_made(np.eye(3), [0, 1, 2]), logits=logits).scores(("audio",))
    assert scores.num_clips == 2 and scores.accuracy == 0.5


def test_where_no_clip_counts_there_is_no_score_and_the_json_stays_strict():
    answers = replace(
        hand_made(np.eye(3), [0, 1, 2]), logits={ALL: np.eye(3), ("audio",): np.full((3, 3), np.nan)}
    )
    scores = json.loads(json.dumps(answers.to_dict(), allow_nan=False))["subsets"]["audio"]
    assert scores == {"num_clips": 0, "accuracy": None, "weighted_f1": None, "macro_f1": None}
    assert figure(scores["accuracy"]) == "–" and figure(2 / 3) == "0.667"
