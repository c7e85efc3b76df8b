from pathlib import Path

import pytest

from training.datasets import Utterance
from training.datasets.leakage import leakage, normalised, shared_values, wording


def utterance(key, split, text=None, **known):
    return Utterance(
        key=key, path=known.pop("path", None), label="joy", transcript=text, split=split, **known
    )


def found(utterances):
    return {(s.kind, s.earlier, s.later): s for s in leakage(utterances)}


def test_texts_count_once_as_values_and_each_time_as_rows():
    shared = found(
        [
            utterance("a", "train", "Hey!"),
            utterance("b", "train", "What?"),
            utterance("c", "test", "hey!"),
            utterance("d", "test", "  HEY!\n"),
            utterance("e", "test", "Hey."),
            utterance("f", "test", "No."),
            utterance("g", "test", ""),
            utterance("h", "test", None),
            utterance("i", None, "Hey!"),
        ]
    )
    texts, wordings = shared["texts", "train", "test"], shared["wordings", "train", "test"]
    # of hey!, hey. and no.: one; of four rows: two
    assert (texts.num_shared_values, texts.num_values, texts.num_shared_rows, texts.num_rows) == (1, 3, 2, 4)
    assert texts.share == 0.5 and texts.examples == ("hey!",)
    # without punctuation: hey and no
    assert (wordings.num_shared_values, wordings.num_values, wordings.num_shared_rows) == (1, 2, 3)
    assert set(shared) == {("texts", "train", "test"), ("wordings", "train", "test")}


def test_speakers_dialogues_and_episodes():
    def at(season, episode):
        return {"season": season, "episode": episode}

    shared = found(
        [
            utterance("a", "train", speaker="Ross", dialogue="train/1", extra=at("1", "2")),
            utterance("b", "dev", speaker="Ross", dialogue="dev/1", extra=at("2", "2")),
            utterance("c", "test", speaker="Ross", dialogue="test/1", extra=at("1", "2")),
            utterance("d", "test", speaker="Mark", dialogue="test/1", extra={"episode": "2"}),
        ]
    )
    assert shared["speakers", "train", "test"].share == 0.5
    assert shared["dialogues", "train", "test"].num_shared_values == 0
    # the same episode of another season is another one
    assert shared["episodes", "train", "dev"].num_shared_values == 0
    episodes = shared["episodes", "train", "test"]
    assert (episodes.num_shared_values, episodes.num_values, episodes.examples) == (
        1,
        2,
        ("season 1, episode 2",),
    )
    pairs = [pair for kind, *pair in shared if kind == "speakers"]
    assert pairs == [["train", "dev"], ["train", "test"], ["dev", "test"]]


def test_spans_of_one_recording():
    film = Path("film.avi")

    def span(key, split, start, end, path=film):
        return utterance(
            key, split, path=path, start_seconds=start, end_seconds=end,
            annotated_start_seconds=start, annotated_end_seconds=end,
        )  # fmt: skip

    shared = found(
        [
            span("a", "train", 1.0, 2.0),
            span("b", "train", 2.0, 3.0),
            span("c", "test", 1.0, 2.0),
            span("d", "test", 1.0, 2.5),
            span("e", "test", 1.0, 2.0, Path("other.avi")),
        ]
    )
    spans, recordings = shared["spans", "train", "test"], shared["recordings", "train", "test"]
    assert (spans.num_shared_rows, spans.num_rows) == (1, 3)
    assert spans.examples == ("film.avi: 1.000 to 2.000 s",)
    assert (recordings.num_shared_rows, recordings.num_rows) == (2, 3)


def test_a_file_of_its_own_is_no_recording_that_splits_could_share():
    shared = found([utterance("a", "train", path=Path("a.mp4")), utterance("b", "test", path=Path("b.mp4"))])
    assert not shared


def test_one_split_shares_with_none():
    assert leakage([utterance("a", "train", "Hey!")]) == () and leakage([]) == ()


def test_any_values_can_be_compared():
    (shared,) = shared_values("pictures", {"test": [b"\x01", b"\x02", b"\x01"], "train": [b"\x01"]})
    assert (shared.earlier, shared.later) == ("train", "test")
    assert shared.share == pytest.approx(2 / 3) and shared.examples == ("01",)


def test_normalised_texts():
    # e and a combining accent, no-break space
    assert normalised("  Ole\u0301\u00a0 OK ") == "ol\u00e9 ok"
    assert wording("Don’t – you: DARE!") == "don t you dare"
    assert normalised("what?!") != normalised("what?") and wording("what?!") == wording("what?")
