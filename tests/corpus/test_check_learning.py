"""Texts that give labels away, and classifiers that find what is planted and nothing else."""

import numpy as np
import pytest
from checked_clips import a_speaker, measured
from sklearn.metrics import f1_score

from core.labels import MELD_7
from sample_data.corpus.checking.classifiers import check_classifiers, confusion_counts, macro_f1
from sample_data.corpus.checking.texts import check_texts

LABELS = MELD_7.labels


def failed(section):
    return [check.name for check in section.checks if check.is_passed is False]


GIVEAWAY = "No word goes with a label where words say nothing"
SILENT = {"text_emotion": "neutral", "informative": ("video",), "scenario": "video", "cell": "video"}


def silent_texts(word_of_label, num=140):
    """Clips whose faces alone carry the label, with sentences of a few words."""
    draw = np.random.default_rng(0)
    words = ["train", "table", "window", "river", "paper", "garden", "ladder", "kettle"]
    clips = []
    for number in range(num):
        label = LABELS[number % 7]
        text = " ".join(draw.choice(words, 2)) + f" {word_of_label.get(label, '')} {number // 14}"
        clips.append(measured(transcript=text.strip(), label=label, **SILENT))
    return clips


def test_words_that_say_nothing_pass():
    assert failed(check_texts(silent_texts({}))) == []


def test_a_word_that_goes_with_a_label_is_a_leak():
    section = check_texts(silent_texts({"fear": "maybe", "joy": "always", "anger": "never"}))
    assert failed(section) == [
        "Words that say nothing tell no label (unseen sentences)",
        "Words that say nothing tell no label (any sentences)",
        GIVEAWAY,
    ]


def natural_texts(share_planted, num=900, *, hint=lambda label: f"hint {label}"):
    """As in a corpus: four of ten clips neutral, labels rare, and more neutral clips of other cells.

    Of the emotional clips a share holds a hint, by default one of its own for each label.
    """
    draw = np.random.default_rng(0)
    words = [f"{kind}{number}" for kind in ("noun", "verb") for number in range(30)]
    weights = [0.41, *[0.59 / 6] * 6]
    clips = []
    for _ in range(num):
        label = draw.choice(["neutral", *(label for label in LABELS if label != "neutral")], p=weights)
        is_planted = label != "neutral" and draw.random() < share_planted
        text = " ".join([*draw.choice(words, 4), *([hint(label)] if is_planted else [])])
        clips.append(measured(transcript=text, label=str(label), **SILENT))
        # the words of a neutral clip that is set against another cell
        neutral = " ".join(draw.choice(words, 4))
        clips.append(
            measured(
                transcript=neutral,
                label="neutral",
                **SILENT | {"cell": "all", "informative": (), "scenario": "plain"},
            )
        )
    return clips


def test_a_giveaway_word_in_every_tenth_emotional_clip_is_caught():
    planted = check_texts(natural_texts(0.1))
    assert "Words that say nothing tell no label (unseen sentences)" in failed(planted)
    # neutral clips of other cells are not asked
    assert {check.num_clips for check in planted.checks[:2]} == {900}


def test_a_word_that_only_emotional_clips_hold_is_named():
    """It tells no label from another but neutral, so that a classifier gains little by it."""
    section = check_texts(natural_texts(0.1, hint=lambda label: "maybe"))
    (check,) = [one for one in section.checks if one.name == GIVEAWAY]
    assert check.is_passed is False and check.culprits == ("maybe",)


def test_texts_of_rare_labels_and_many_neutral_clips_pass():
    section = check_texts(natural_texts(0.0))
    assert failed(section) == []
    assert [check.is_passed for check in section.checks[:3]] == [True] * 3


def test_few_texts_say_nothing():
    section = check_texts(silent_texts({"fear": "maybe"}, num=49))
    assert {check.is_passed for check in section.checks} == {None}


def returning(labels_of_sentence):
    return [
        measured(transcript=f"Sentence {sentence}!", label=label, **SILENT)
        for sentence in range(30)
        for label in labels_of_sentence(sentence)
    ]


def test_sentences_that_always_come_with_one_label_are_told():
    name = "A sentence that returns does so with other labels"
    several = check_texts(returning(lambda sentence: [LABELS[(sentence + at) % 7] for at in range(3)]))
    (check,) = [one for one in several.checks if one.name == name]
    assert check.is_passed is True and check.value == 1.0
    one_each = check_texts(returning(lambda sentence: [LABELS[sentence % 7]] * 3))
    (check,) = [one for one in one_each.checks if one.name == name]
    assert check.is_passed is False and check.value == 0.0


def test_macro_f1_is_that_of_scikit_learn():
    draw = np.random.default_rng(0)
    truth, predicted = draw.choice(LABELS, 200), draw.choice(LABELS, 200)
    expected = f1_score(truth, predicted, average="macro")
    assert macro_f1(confusion_counts(truth, predicted)) == pytest.approx(expected)
    # labels that never occur do not count
    few = macro_f1(confusion_counts(["joy", "joy", "anger"], ["joy", "anger", "anger"]))
    assert few == pytest.approx(2 / 3)


CARRIERS = {"video": ("video",), "audio": ("audio",), "text": ("text",), "all": ("video", "audio", "text")}


def learnable(*, num_of_each=4, leak=0.0, clarity=1.0, split_of=lambda number: "test"):
    """Clips whose vectors hold the emotion that a modality shows, and, leaking, the label besides."""
    draw = np.random.default_rng(0)
    centers = {label: draw.normal(0, clarity, 12) for label in LABELS}
    own_voices = {label: draw.normal(0, clarity, 7) for label in LABELS}
    clips = []
    for number in range(28):
        speaker = a_speaker(f"s{number:02d}", split=split_of(number))
        for cell, carriers in CARRIERS.items():
            for at in range(num_of_each):
                label = LABELS[(number + at) % 7]
                shown = {one: label if one in carriers else "neutral" for one in ("video", "audio", "text")}
                row = {"has_features": True}
                for one, emotion in shown.items():
                    vector = centers[emotion] + leak * centers[label] + draw.normal(0, 1, 12)
                    row[f"{one}_features"] = vector.astype(np.float16).tobytes()
                measures = own_voices[shown["audio"]] + draw.normal(0, 1, 7)
                names = ("f0_semitones", "range", "final", "level", "tilt", "rate", "voiced")
                row |= {f"voice_{name}": float(value) for name, value in zip(names, measures, strict=True)}
                plan = {f"{one}_emotion": emotion for one, emotion in shown.items()}
                informative = carriers if label != "neutral" else ()
                plan |= {"label": label, "cell": cell, "scenario": cell, "informative": informative}
                clips.append(measured(row, speaker=speaker, split=speaker.split, **plan))
    return clips


def table(section, title):
    (found,) = [exhibit for exhibit in section.exhibits if exhibit.title == title]
    return {row[:2]: dict(zip(found.columns[2:], row[2:], strict=True)) for row in found.rows}


@pytest.fixture(scope="module")
def honest():
    return check_classifiers(learnable())


def test_a_modality_is_learnable_where_it_carries_the_label_and_at_chance_elsewhere(honest):
    assert failed(honest) == []
    assert sum(check.is_passed is True for check in honest.checks) == 17
    cells = table(honest, "Macro-F1 by cell")
    for modality in ("video", "audio", "text"):
        assert cells[modality, modality]["macro-F1"] > 0.6
        for other in {"video", "audio", "text"} - {modality}:
            assert cells[modality, other]["macro-F1"] < 0.4
    # side by side they tell what each alone tells
    assert min(cells["all", cell]["macro-F1"] for cell in CARRIERS) > 0.4


def test_a_modality_that_gives_the_label_away_where_it_should_not_fails():
    section = check_classifiers(learnable(leak=0.5))
    assert "video: nothing is told where video does not carry the emotion" in failed(section)
    # the measures of the voice leak nothing here
    assert not [name for name in failed(section) if name.startswith("prosody")]


def test_what_is_solved_or_noise_fails():
    solved = failed(check_classifiers(learnable(clarity=9.0)))
    assert "text: it is not solved where text carries the label" in solved
    noise = failed(check_classifiers(learnable(clarity=0.0)))
    assert "text: something can be learned where text carries the label" in noise


def test_with_both_splits_training_clips_are_not_tested_on():
    section = check_classifiers(learnable(split_of=lambda number: "train" if number < 20 else "test"))
    assert "trained on 320 clips of the train split, tested on 128 of test" in section.text
    assert table(section, "Macro-F1 by classifier")["video", "all clips"]["clips"] == 128


def test_few_clips_say_nothing():
    section = check_classifiers(learnable()[:20])
    assert [check.is_passed for check in section.checks] == [None]
