import itertools
import re
from collections import Counter
from difflib import SequenceMatcher

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from sample_data.corpus.schema import SPLITS
from sample_data.corpus.sentences import BANKS, all_sentences, draw_sentence, templates

EMOTIONS = ("joy", "surprise", "fear", "sadness", "disgust", "anger")

EMOTION_WORDS = """
    afraid amazed amazing anger angry annoyed anxious ashamed astonished awful bad beautiful best
    cried cry crying danger dangerous dead delicious delighted died dirty disgust disgusted
    disgusting dread enjoy excited fear filthy frightened fun funny furious glad good goodbye
    gorgeous grateful great gross guilty happy hate help horrible hurt joy laugh laughed lonely love
    lovely lucky mad miss nasty nervous nice oh panic perfect please proud revolting rotten sad
    scared scary shocked sick smell smile sorry stinks stupid suddenly surprise surprised tears
    terrible terrified thank ugh unbelievable unfortunately upset wonderful worried worry worst wow
    wrong yuck
""".split()

ALL = list(itertools.product(BANKS, SPLITS))


def words_of(sentence):
    return re.findall(r"[a-z']+", sentence.lower())


def frame_of(template):
    """The words of a template; a slot counts as one word of its own."""
    return re.findall(r"\{\w+\}|[a-z']+", template.lower())


def every_sentence():
    return {sentence for bank, split in ALL for sentence in all_sentences(bank, split)}


def test_banks_are_the_seven_labels_and_the_traps():
    assert set(BANKS) == {*EMOTIONS, "neutral", "trap"}
    assert len(BANKS) == 8


@pytest.mark.parametrize("bank", BANKS)
def test_each_bank_has_enough_templates_in_every_split(bank):
    counts = {split: len(templates(bank, split)) for split in SPLITS}
    total = sum(counts.values())
    assert total >= (120 if bank == "neutral" else 60)
    assert counts["dev"] >= 7
    assert counts["test"] >= 10
    assert 0.66 <= counts["train"] / total <= 0.74


@pytest.mark.parametrize("bank", BANKS)
def test_about_half_of_the_templates_or_more_have_a_slot(bank):
    has_slot = ["{" in template for split in SPLITS for template in templates(bank, split)]
    assert np.mean(has_slot) >= 0.4


def test_every_slot_is_filled_in_several_ways():
    for bank, split in ALL:
        for template in templates(bank, split):
            if "{" not in template:
                assert template in all_sentences(bank, split)
                continue
            pattern = re.compile(re.sub(r"\\\{\w+\\\}", "([a-z ]+)", re.escape(template)), re.IGNORECASE)
            matches = [match for s in all_sentences(bank, split) if (match := pattern.fullmatch(s))]
            for fillers in zip(*(match.groups() for match in matches), strict=True):
                assert len(set(fillers)) >= 2, template
            assert matches, template


def test_characters_are_those_that_are_spoken():
    for sentence in every_sentence():
        assert re.fullmatch(r"[A-Z][A-Za-z',.!? ]*[A-Za-z][.!?]", sentence), sentence
        assert "  " not in sentence


def test_sentences_have_three_to_twelve_words():
    for sentence in every_sentence():
        assert 3 <= len(sentence.split()) <= 12, sentence
        # about fifteen characters a second: 1 to 4 seconds
        assert 13 <= len(sentence) <= 62, sentence


def test_no_article_precedes_the_wrong_sound():
    for sentence in every_sentence():
        assert not re.search(r"\ba [aeiou]", sentence), sentence


def test_a_sentence_is_in_one_split_and_in_one_bank_only():
    homes = {}
    for bank, split in ALL:
        for key in {" ".join(words_of(sentence)) for sentence in all_sentences(bank, split)}:
            assert key not in homes, f"{key}: {homes[key]} and {(bank, split)}"
            homes[key] = (bank, split)


def test_templates_of_different_splits_are_no_near_duplicates():
    written = [(split, frame_of(t)) for bank, split in ALL for t in templates(bank, split)]
    for (split, frame), (other_split, other) in itertools.combinations(written, 2):
        if split != other_split:
            assert SequenceMatcher(None, frame, other).ratio() <= 0.7, (frame, other)


def test_near_duplicates_would_be_noticed():
    frame, other = frame_of("I feel so lonely on {day} nights."), frame_of("I feel so empty on {day} nights.")
    assert SequenceMatcher(None, frame, other).ratio() > 0.7


def test_no_template_is_written_twice():
    written = Counter(" ".join(frame_of(t)) for bank, split in ALL for t in templates(bank, split))
    assert written.most_common(1)[0][1] == 1


def test_neutral_carriers_say_nothing_about_feeling():
    for split in SPLITS:
        for sentence in all_sentences("neutral", split):
            assert not set(words_of(sentence)) & set(EMOTION_WORDS), sentence


@pytest.mark.parametrize("split", ["train", "test"])
def test_traps_hold_words_of_every_emotion(split):
    spoken = {word for sentence in all_sentences("trap", split) for word in words_of(sentence)}
    cues = {
        "joy": {"happy", "joy", "proud", "wonderful"},
        "surprise": {"surprise", "surprised", "wow"},
        "fear": {"afraid", "scared", "fear"},
        "sadness": {"sad", "lonely", "cry", "crying"},
        "disgust": {"disgust", "disgusting", "disgusted", "rotten"},
        "anger": {"angry", "anger", "furious"},
    }
    for emotion, of_emotion in cues.items():
        assert len(spoken & of_emotion) >= 2, emotion


@pytest.mark.parametrize("bank", BANKS)
def test_no_punctuation_gives_the_bank_away(bank):
    ends = Counter(template[-1] for split in SPLITS for template in templates(bank, split))
    assert set(ends) == set(".!?")
    if bank in EMOTIONS[:3] or bank == "anger":
        assert max(ends.values()) / ends.total() < 0.7


def test_draws_come_from_the_split_alone_and_reach_all_templates():
    generator = np.random.default_rng(4)
    for bank, split in ALL:
        drawn = {draw_sentence(bank, split, generator) for _ in range(300)}
        assert drawn <= all_sentences(bank, split)
        assert len(drawn) > len(templates(bank, split)) / 2


def test_a_seed_decides_the_draws():
    def draw(seed):
        generator = np.random.default_rng(seed)
        return [draw_sentence(bank, split, generator) for bank, split in ALL]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize("call", [templates, all_sentences])
def test_unknown_names_are_refused(call):
    with pytest.raises(ValueError, match="'boredom'.*neutral"):
        call("boredom", "train")
    with pytest.raises(ValueError, match="'val'.*dev"):
        call("joy", "val")


def test_draw_refuses_unknown_names():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="'boredom'"):
        draw_sentence("boredom", "train", generator)
    with pytest.raises(ValueError, match="'val'"):
        draw_sentence("joy", "val", generator)


def drawn_with_labels(split, seed, num_per_bank):
    generator = np.random.default_rng(seed)
    labels = [bank for bank in ("neutral", *EMOTIONS) for _ in range(num_per_bank)]
    return [draw_sentence(label, split, generator) for label in labels], np.array(labels)


def accuracy_of_bag(**settings):
    """Of words (or what `settings` makes of them) counted, chance being 1/7."""
    train, train_labels = drawn_with_labels("train", 0, 300)
    test, test_labels = drawn_with_labels("test", 1, 200)
    counter = CountVectorizer(**settings)
    classifier = LogisticRegression(max_iter=1000).fit(counter.fit_transform(train), train_labels)
    return np.mean(classifier.predict(counter.transform(test)) == test_labels)


def test_words_carry_the_emotion_but_are_no_giveaway():
    assert 0.45 < accuracy_of_bag() < 0.97


def test_punctuation_alone_tells_little():
    assert accuracy_of_bag(token_pattern=r"[.!?,]") < 0.45
