import os
from collections import Counter

import pytest
from made_trees import IEMOCAP_TURNS, touch, write_iemocap

from training.datasets import DataError, read_dataset
from training.datasets.iemocap import read_iemocap
from training.protocol import make_folds


@pytest.fixture
def folder(tmp_path):
    return write_iemocap(tmp_path / "IEMOCAP_full_release", num_sessions=2)


def by_key(dataset):
    return {utterance.key: utterance for utterance in dataset.utterances}


def test_a_turn_is_a_span_of_its_dialogues_film(folder):
    dataset = read_dataset(folder)
    assert (dataset.name, dataset.scheme) == ("iemocap", "iemocap-6")
    turn = by_key(dataset)["Ses01F_impro01_F000"]
    assert turn.path == folder / "Session1" / "dialog" / "avi" / "DivX" / "Ses01F_impro01.avi"
    assert (turn.start_seconds, turn.end_seconds) == (6.2901, 8.2357)
    assert turn.transcript == "Excuse me." and turn.label == "neutral" and turn.split is None
    assert (turn.speaker, turn.dialogue, turn.extra["session"]) == ("Ses01F", "Ses01F_impro01", "1")
    assert (turn.extra["valence"], turn.extra["activation"], turn.extra["dominance"]) == (
        "2.5000",
        "3.5000",
        "1.5000",
    )
    assert turn.extra["kind"] == "improvised"
    assert by_key(dataset)["Ses01F_script01_1_F000"].extra["kind"] == "scripted"


def test_the_dialogue_is_named_after_who_sits_on_the_left(folder):
    turns = by_key(read_iemocap(folder))
    assert turns["Ses01F_impro01_F000"].region == "left" and turns["Ses01F_impro01_M000"].region == "right"
    assert turns["Ses01M_impro01_F000"].region == "right" and turns["Ses01M_impro01_M000"].region == "left"
    # one actor is one speaker, whoever the dialogue is named after
    assert {u.speaker for u in turns.values()} == {"Ses01F", "Ses01M", "Ses02F", "Ses02M"}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (
            "iemocap-6",
            {"neutral": 8, "anger": 8, "joy": 8, "excited": 8, "frustration": 8, "sadness": 8},
        ),
        ("iemocap-4", {"neutral": 8, "anger": 8, "joy": 16, "sadness": 8}),
    ],
)
def test_schemes(folder, scheme, expected):
    dataset = read_dataset(folder, scheme=scheme)
    assert Counter(u.label for u in dataset.utterances) == expected and dataset.scheme == scheme
    # two sessions of four dialogues each
    assert len(dataset.utterances) + len(dataset.skipped) == 8 * len(IEMOCAP_TURNS)


def test_what_is_skipped_says_why(folder):
    told = {clip.key: clip for clip in read_iemocap(folder).skipped}
    assert "xxx (no agreement of the raters)" in told["Ses01F_impro01_M003"].reason
    assert "sur (surprise)" in told["Ses01F_impro01_F003"].reason
    assert "outside the dialogue" in told["Ses01F_impro01_FXX0"].reason
    assert len(told) == 3 * 8


def test_sessions_are_parted_by_the_protocols(tmp_path):
    dataset = read_dataset(write_iemocap(tmp_path / "IEMOCAP_full_release"))
    by = {u.key: u for u in dataset.utterances}
    (fold,) = make_folds(dataset.utterances, "session5")
    # six labelled turns in each of four dialogues per session; of sessions 1 to 4 one dialogue each is dev
    assert (len(fold.train), len(fold.dev), len(fold.test)) == (4 * 18, 4 * 6, 24)
    assert {key[:5] for key in fold.test} == {"Ses05"}
    assert not {by[key].dialogue for key in fold.dev} & {by[key].dialogue for key in fold.train}
    sessions = [{key[:5] for key in fold.test} for fold in make_folds(dataset.utterances, "loso")]
    assert sessions == [{f"Ses0{number}"} for number in range(1, 6)]


def test_sentence_sounds_serve_where_there_are_no_films(tmp_path):
    dataset = read_iemocap(write_iemocap(tmp_path, num_sessions=1, films=False))
    turn = by_key(dataset)["Ses01F_impro01_F000"]
    assert turn.path == tmp_path / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    # the file is the cut
    assert turn.start_seconds is None and turn.region is None
    assert turn.annotated_seconds == pytest.approx(8.2357 - 6.2901)
    assert any("no picture" in note for note in dataset.notes)


def test_words_alone_serve_where_there_are_no_media(tmp_path):
    dataset = read_iemocap(write_iemocap(tmp_path, num_sessions=1, films=False, sounds=False))
    turn = by_key(dataset)["Ses01F_impro01_F000"]
    assert turn.path is None and turn.transcript == "Excuse me."


def test_an_empty_film_is_no_film_to_learn_from(folder):
    touch(folder / "Session1/dialog/avi/DivX/Ses01F_impro01.avi", b"")
    dataset = read_iemocap(folder)
    turn = by_key(dataset)["Ses01F_impro01_F000"]
    assert turn.path.suffix == ".wav" and turn.start_seconds is None and turn.region is None
    assert any("1 films hold nothing (Ses01F_impro01)" in note for note in dataset.notes)
    for sound in (folder / "Session1/sentences/wav/Ses01F_impro01").iterdir():
        sound.unlink()
    dataset = read_iemocap(folder)
    assert "Ses01F_impro01_F000" not in by_key(dataset)
    assert sum("is empty" in clip.reason for clip in dataset.skipped) == 6


def test_a_table_without_a_turn_is_told(folder):
    touch(folder / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", b"garbled")
    dataset = read_iemocap(folder)
    assert not any(u.dialogue == "Ses01F_impro01" for u in dataset.utterances)
    told = [clip.reason for clip in dataset.skipped if clip.key == "Ses01F_impro01"]
    assert told == ["Ses01F_impro01.txt holds no turn; unpack it again."]


def test_a_table_that_cannot_be_read_is_named(folder):
    (folder / "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt").unlink()
    (folder / "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt").mkdir()
    with pytest.raises(DataError, match=r"EmoEvaluation/Ses02F_impro01.txt is not a regular file; unpack it"):
        read_iemocap(folder)


def test_the_folder_above_will_do_and_others_are_refused(folder, tmp_path):
    assert len(read_dataset(tmp_path).utterances) == len(read_iemocap(folder).utterances)
    with pytest.raises(DataError, match="holds no Session1"):
        read_iemocap(folder / "Session1")
    with pytest.raises(ValueError, match="should be one of iemocap-6, iemocap-4, not 'meld-7'"):
        read_iemocap(folder, scheme="meld-7")


def test_a_gigantic_table_is_refused_unread(folder):
    table = folder / "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt"
    # a hole, which takes no room on the disk
    os.truncate(table, 2**40)
    with pytest.raises(DataError, match=rf"{table.name} has 1,099,511,627,776 bytes, more than the allowed"):
        read_iemocap(folder)
