import random
from dataclasses import replace

import pytest

from training.datasets import DataError, Utterance
from training.protocol import PAPER_10FOLD_FLATTERS, PROTOCOLS, make_folds, with_splits

LABELS = ("joy", "anger", "neutral")


def corpus(num_sessions=5, num_dialogues=10, num_turns=6):
    """As IEMOCAP: two speakers per session, who take turns in each of its dialogues."""
    return [
        Utterance(
            key=f"s{s}d{d:02d}t{t}",
            path=None,
            label=LABELS[(s + d + t) % 3],
            speaker=f"s{s}{'FM'[t % 2]}",
            dialogue=f"s{s}d{d:02d}",
            extra={"session": str(s)},
        )
        for s in range(1, num_sessions + 1)
        for d in range(num_dialogues)
        for t in range(num_turns)
    ]


def groups(utterances, keys, field):
    by_key = {u.key: u for u in utterances}
    return {getattr(by_key[key], field) for key in keys}


def assert_apart(utterances, fold, field):
    parts = [groups(utterances, part, field) for part in (fold.train, fold.dev, fold.test)]
    assert all(parts) and len(set.union(*parts)) == sum(map(len, parts))


def test_official_is_the_data_sets_own():
    utterances = [replace(u, split=("train", "dev", "test")[i % 3]) for i, u in enumerate(corpus(1))]
    utterances += [Utterance(key="x", path=None, label="joy", split="extra")]
    (fold,) = make_folds(utterances, "official")
    assert fold.train == tuple(u.key for u in utterances if u.split == "train")
    assert fold.test == tuple(u.key for u in utterances if u.split == "test")
    assert "x" not in fold.train + fold.dev + fold.test
    without_dev = [u for u in utterances if u.split != "dev"]
    with pytest.raises(DataError, match="no utterance is of dev; choose another"):
        make_folds(without_dev, "official")


def test_session5_takes_dev_by_dialogue_from_the_other_sessions():
    utterances = corpus()
    (fold,) = make_folds(utterances, "session5")
    assert set(fold.test) == {u.key for u in utterances if u.extra["session"] == "5"}
    assert_apart(utterances, fold, "dialogue")
    assert sorted(fold.train + fold.dev + fold.test) == sorted(u.key for u in utterances)
    # one of ten dialogues from each of sessions 1 to 4
    chosen = groups(utterances, fold.dev, "dialogue")
    assert sorted(name[:2] for name in chosen) == ["s1", "s2", "s3", "s4"]


def test_loso_tests_each_session_once():
    utterances = corpus()
    folds = make_folds(utterances, "loso")
    assert [fold.name for fold in folds] == [f"session{n}" for n in range(1, 6)]
    for number, fold in enumerate(folds, start=1):
        assert groups(utterances, fold.test, "speaker") == {f"s{number}F", f"s{number}M"}
        assert not groups(utterances, fold.test, "speaker") & groups(
            utterances, fold.train + fold.dev, "speaker"
        )
        assert_apart(utterances, fold, "dialogue")
    assert folds[4].test == make_folds(utterances, "session5")[0].test


def test_paper_10fold_leaks_as_published():
    utterances = corpus()
    folds = make_folds(utterances, "paper-10fold")
    assert len(folds) == 10
    assert sorted(key for fold in folds for key in fold.test) == sorted(u.key for u in utterances)
    for fold in folds:
        # chosen on what is reported
        assert fold.dev == fold.test and not set(fold.train) & set(fold.test)
        assert len(fold.train) == 270 and len(fold.test) == 30
        # nothing in the test part is new to the model
        assert groups(utterances, fold.test, "speaker") <= groups(utterances, fold.train, "speaker")
        assert groups(utterances, fold.test, "dialogue") <= groups(utterances, fold.train, "dialogue")
    assert "\n" not in PAPER_10FOLD_FLATTERS and "chosen on the very clips" in PAPER_10FOLD_FLATTERS


@pytest.mark.parametrize(("group", "num_folds"), [("speaker", 5), ("dialogue", 4), ("dialogue", 3)])
def test_grouped_kfold_keeps_groups_apart(group, num_folds):
    utterances = corpus()
    folds = make_folds(utterances, "grouped-kfold", num_folds=num_folds, group=group, seed=3)
    assert len(folds) == num_folds
    for fold in folds:
        assert_apart(utterances, fold, group)
        assert len(fold.train) + len(fold.dev) + len(fold.test) == len(utterances)
    # each utterance is tested once, and chosen by once
    for part in ("test", "dev"):
        keys = [key for fold in folds for key in getattr(fold, part)]
        assert sorted(keys) == sorted(u.key for u in utterances)


@pytest.mark.parametrize("protocol", ["session5", "loso", "paper-10fold", "grouped-kfold"])
def test_a_seed_decides_and_the_order_of_the_utterances_does_not(protocol):
    utterances = corpus()
    shuffled = random.Random(1).sample(utterances, len(utterances))
    assert make_folds(shuffled, protocol, seed=5) == make_folds(utterances, protocol, seed=5)
    assert make_folds(utterances, protocol, seed=6) != make_folds(utterances, protocol, seed=5)


def test_splits_are_written_into_the_utterances():
    utterances = corpus()
    (fold,) = make_folds(utterances, "session5")
    again = with_splits(utterances, fold)
    assert make_folds(again, "official")[0].test == fold.test and len(again) == len(utterances)
    paper = make_folds(utterances, "paper-10fold")[0]
    twice = with_splits(utterances, paper)
    assert [u.split for u in twice if u.key == paper.test[0]] == ["dev", "test"]


@pytest.mark.parametrize(
    ("protocol", "change", "message"),
    [
        ("session5", {"extra": {}}, "needs the session and the dialogue of every utterance"),
        ("loso", {"dialogue": None}, "needs the session and the dialogue of every utterance"),
        ("grouped-kfold", {"speaker": None}, "needs the speaker of every utterance"),
        ("grouped-kfold", {"speaker": "one"}, "at least 5 different speakers, and the data have 1"),
        ("session5", {"extra": {"session": "1"}}, "needs session 5 and others, and the data have 1"),
        ("loso", {"extra": {"session": "1"}}, "needs two sessions"),
    ],
)
def test_data_that_cannot_serve_a_protocol_are_refused(protocol, change, message):
    utterances = [replace(u, **change) for u in corpus()]
    with pytest.raises(DataError, match=message):
        make_folds(utterances, protocol)


def test_small_data_and_unknown_names_are_refused():
    with pytest.raises(DataError, match="needs ten utterances, and the data have 9"):
        make_folds(corpus()[:9], "paper-10fold")
    few = [replace(corpus()[0], key=str(i), speaker=str(i), label=str(i // 2)) for i in range(8)]
    with pytest.raises(DataError, match="needs a label of at least 5 utterances"):
        make_folds(few, "grouped-kfold")
    with pytest.raises(DataError, match="Session 2 has one dialogue only"):
        make_folds(corpus(num_dialogues=1), "loso")
    with pytest.raises(ValueError, match="one of official, session5, loso, paper-10fold, grouped-kfold"):
        make_folds(corpus(), "random")
    with pytest.raises(ValueError, match="at least 3"):
        make_folds(corpus(), "grouped-kfold", num_folds=2)
    with pytest.raises(ValueError, match="one of speaker, dialogue, not 'label'"):
        make_folds(corpus(), "grouped-kfold", group="label")
    assert set(PROTOCOLS) == {"official", "session5", "loso", "paper-10fold", "grouped-kfold"}
