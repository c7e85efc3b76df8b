"""Why a class is missed, on evaluations whose answers are counted by hand."""

import time
from dataclasses import replace

import numpy as np
import pytest

from core.evaluation.failure_sentences import answer
from core.evaluation.failures import Share, cell_rows, missed_rows, why_missed
from core.prediction import SUBSETS
from tests.made_evaluations import LABELS, made_clips, made_evaluation, made_probabilities


def test_a_cell_holds_its_clips_surest_first(tmp_path):
    labels, told = ["fear", "fear", "joy", "fear", "anger"], ["joy", "fear", "joy", "joy", "joy"]
    probabilities = made_probabilities(told)
    probabilities[0, 1:] = [0.5, 0.3, 0.2]
    made = made_evaluation(labels, told, tmp_path, probabilities=probabilities)
    assert cell_rows(made, label="fear", prediction="joy").tolist() == [3, 0]
    assert cell_rows(made, prediction="joy").tolist() == [2, 3, 4, 0]
    assert cell_rows(made, label="joy", prediction="anger").tolist() == []
    assert missed_rows(made).tolist() == [3, 4, 0]
    assert missed_rows(made, "fear").tolist() == [3, 0]


@pytest.fixture
def missed(tmp_path):
    """Four clips of fear: one right, three missed, of which one has no sound; two of others."""
    labels = ["fear", "fear", "fear", "fear", "joy", "anger"]
    told = ["fear", "joy", "anger", "joy", "joy", "fear"]
    rows = made_probabilities(told)
    # joy is 0.5, fear the second choice
    rows[1, 1:] = [0.5, 0.4, 0.1]
    video, audio = SUBSETS.index(("video",)), SUBSETS.index(("audio",))
    rows[1, audio] = [0.1, 0.8, 0.1]
    rows[2, video] = rows[2, audio] = [0.2, 0.7, 0.1]
    rows[3, video], rows[3, audio] = [0.05, 0.05, 0.9], np.nan
    recipe = {"model": {}, "training": {"prior_tau": 1.0, "class_balance": 0.5, "tune_offsets": False}}
    return made_evaluation(labels, told, tmp_path, probabilities=rows, recipe=recipe)


def test_why_a_class_is_missed(missed, tmp_path):
    training = made_evaluation(["fear", "joy", "joy", "joy", "joy"], ["joy"] * 5, tmp_path)
    told = why_missed(missed, "fear", training)
    assert (told.missed, told.precision) == (Share(count=3, total=4), Share(count=1, total=2))
    assert (told.evaluated, told.trained) == (Share(count=4, total=6), Share(count=1, total=5))
    assert told.goes_to == (("joy", 2), ("anger", 1))
    assert told.confidence_right == pytest.approx(0.8)
    assert told.confidence_missed == pytest.approx((0.5 + 0.8 + 0.8) / 3)
    assert told.probability_missed == pytest.approx((0.4 + 0.1 + 0.1) / 3)
    # in the two others, the other two classes are equally likely
    assert told.second == Share(count=3, total=3)
    assert told.right_alone["video"] == Share(count=1, total=3)
    assert told.right_alone["audio"] == Share(count=2, total=2)
    assert told.right_alone["text"] == Share(count=0, total=3)
    assert told.right_alone["video+audio"] == Share(count=0, total=3)
    assert set(told.right_alone) == {"video", "audio", "text", "video+audio", "video+text", "audio+text"}
    assert told.single_right == Share(count=2, total=3)
    assert told.remedies == ("an adjustment of the logits", "drawing rare classes more often")
    # clip 3: words say joy, the picture anger; in clip 2 anger and fear are of one side, in clip 1 nobody is
    # clear enough
    assert told.conflict_missed == Share(count=1, total=3)
    assert told.conflict_right == Share(count=0, total=1)


def test_how_often_training_showed_a_class_is_of_the_checkpoint_s_recipe(missed, tmp_path):
    recipe = missed.info.recipe | {"num_train_per_label": {"fear": 9, "joy": 90, "anger": 1}}
    made = made_evaluation(["fear", "joy"], ["joy", "joy"], tmp_path, recipe=recipe)
    assert why_missed(made, "fear").trained == Share(count=9, total=100)
    line = answer(why_missed(made, "fear"))[1]
    assert line.startswith("Fear is rare among the clips it learned from: 9 of 100 (9 %; an even share")
    assert "not known" not in line
    # of a file that somebody else wrote
    for counts in ("many", {"fear": "many"}, {}):
        other = made_evaluation(["fear"], ["joy"], tmp_path, recipe={"num_train_per_label": counts})
        assert why_missed(other, "fear").trained is None


def test_the_answer_in_words(missed):
    lines = answer(why_missed(missed, "fear"))
    assert lines[0] == "Of 4 clips labelled fear the model misses 3 (75 %)."
    assert lines[1] == (
        "Fear is common among the clips evaluated here: 4 of 6 (67 %; an even share would be 33 %). How "
        "often training showed it is not known here. Training made up for unequal shares by an adjustment of "
        "the logits and drawing rare classes more often."
    )
    assert lines[2] == "The model takes 2 of them for joy and 1 for anger."
    assert lines[3] == (
        "On the missed clips the model gives its wrong answer 70 % on average, on the recognised ones its "
        "right answer 80 %: so it is less sure where it errs."
    )
    assert lines[4] == ("The missed clips get 20 % for fear on average; for 3 of 3 it is the second choice.")
    assert lines[5] == (
        "Alone, a modality would have been right where all together are wrong: picture on 1 of 3 and sound "
        "on 2 of 2; on 1 of 3 none does."
    )
    assert lines[6] == (
        "Modalities contradict one another in 1 of 3 missed clips, and in 0 of 1 recognised ones."
    )
    assert lines[7] == "Only 3 are missed: take this as examples, not as a pattern."


def test_a_class_without_a_clip(tmp_path):
    told = why_missed(made_evaluation(["joy", "anger"], ["joy", "fear"], tmp_path), "fear")
    assert told.missed == Share(count=0, total=0) and told.missed.value is None
    assert told.confidence_right is told.confidence_missed is told.probability_missed is None
    assert answer(told) == (
        "No clip here is labelled fear, so whether fear is missed cannot be told.",
        "It is predicted for 1 clip labelled otherwise.",
    )


def test_all_are_recognised(tmp_path):
    made = made_evaluation(["joy", "fear", "fear"], ["joy", "fear", "fear"], tmp_path)
    assert missed_rows(made).tolist() == []
    assert answer(why_missed(made, "fear"))[0] == "All 2 clips labelled fear are recognised; none is missed."
    assert answer(why_missed(made, "joy"))[0] == "The one clip labelled joy is recognised; none is missed."


def test_one_clip_that_is_missed(tmp_path):
    lines = answer(why_missed(made_evaluation(["fear"], ["joy"], tmp_path), "fear"))
    assert lines[0] == "Of 1 clip labelled fear the model misses 1 (100 %)."
    assert "there is no recognised one to compare with" in lines[3]
    assert lines[5] == "No modality alone gets the missed clip right."
    assert lines[2] == "The model takes it for joy."
    assert lines[6] == "Modalities contradict one another in 0 of 1 missed clip."
    assert lines[-1] == "Only 1 is missed: take this as an example, not as a pattern."


def test_another_class_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'awe' is none of the classes joy, fear, anger"):
        why_missed(made_evaluation(["fear"], ["joy"], tmp_path), "awe")


def test_twenty_thousand_clips_take_about_a_second(tmp_path):
    from core.evaluation.label_errors import suspected_label_errors
    from core.evaluation.slices import find_slices

    small = made_evaluation(list(LABELS) * 10, ["joy"] * 30, tmp_path)
    num = 20_010
    table = small.predictions.iloc[np.arange(num) % 30].reset_index(drop=True)
    table["key"] = [f"c{i}" for i in range(num)]
    table["speaker"] = [f"s{i // 100}" for i in range(num)]
    large = replace(
        small,
        predictions=table,
        embeddings={name: np.zeros((num, 4), np.float32) for name in small.embeddings},
    )
    begin = time.process_time()
    told = why_missed(large, "fear")
    slices = find_slices(large)
    errors = suspected_label_errors(large)
    # generous, for a busy machine
    assert time.process_time() - begin < 3.0
    assert told.missed.total == num // 3 and slices.num_looked_at > 150
    # all are sure of joy
    assert len(errors.suspects) == 2 * num // 3


def test_clips_without_speaker_or_words(tmp_path):
    clips = made_clips(["fear", "joy"], tmp_path, speaker=None, transcript=None, extra={})
    made = made_evaluation(["fear", "joy"], ["joy", "joy"], tmp_path, clips=clips)
    assert why_missed(made, "fear").missed == Share(count=1, total=1)
