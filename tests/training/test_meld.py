import os
from collections import Counter
from pathlib import Path

import pytest
from made_clips import write_clip
from made_trees import MELD_ROWS, touch, write_meld_release, write_meld_tables

from training.datasets import DataError, read_dataset
from training.datasets.meld import read_meld, repaired_text


def by_key(dataset):
    return {utterance.key: utterance for utterance in dataset.utterances}


def reasons(dataset):
    return {clip.key: clip.reason for clip in dataset.skipped}


def test_the_annotations_alone_give_words(tmp_path):
    dataset = read_dataset(write_meld_tables(tmp_path))
    assert (dataset.name, dataset.scheme) == ("meld", "meld-7")
    assert len(dataset.utterances) == 10 and not dataset.skipped
    first = by_key(dataset)["train/dia0_utt0"]
    assert first.path is None and first.transcript == "Oh, my God!"
    assert (first.label, first.speaker, first.dialogue, first.split) == (
        "surprise",
        "Ross",
        "train/dia0",
        "train",
    )
    assert first.extra == {"sentiment": "negative", "season": "4", "episode": "7"}
    # 20 min 57.256 s and 21 min 0.049 s
    assert first.annotated_start_seconds == pytest.approx(1257.256)
    assert first.annotated_seconds == pytest.approx(2.793)
    assert dataset.notes == ("No clip of train, dev, test is at hand: these are words alone.",)


def test_dialogue_numbers_restart_in_each_split(tmp_path):
    dataset = read_meld(write_meld_tables(tmp_path))
    zeros = [u for u in dataset.utterances if u.key.endswith("dia0_utt0")]
    assert [u.key for u in zeros] == ["train/dia0_utt0", "dev/dia0_utt0", "test/dia0_utt0"]
    assert len({u.dialogue for u in zeros}) == 3


@pytest.mark.parametrize(
    "nesting",
    [
        ("train_splits", "dev_splits_complete", "output_repeated_splits_test"),
        ("train/train_splits", "dev/dev_splits_complete", "test/output_repeated_splits_test"),
        ("MELD.Raw/train", "MELD.Raw/val", "MELD.Raw/test"),
    ],
)
def test_clips_are_found_however_they_are_nested(tmp_path, nesting):
    # a folder above that is named after a split says nothing
    dataset = read_meld(write_meld_release(tmp_path / "test", nesting=nesting))
    found = by_key(dataset)
    for key in ("train/dia0_utt0", "dev/dia0_utt0", "test/dia0_utt0"):
        split, name = key.split("/")
        folder = nesting[("train", "dev", "test").index(split)]
        assert found[key].path == tmp_path / "test" / folder / f"{name}.mp4"
    # clips are cut already: the file is the span
    assert found["dev/dia0_utt0"].start_seconds is None


def test_missing_broken_and_extra_clips_are_told_and_miscut_ones_lose_their_clip(tmp_path):
    folder = write_meld_release(tmp_path)
    touch(folder / "output_repeated_splits_test" / "dia0_utt1.mp4", b"")
    touch(folder / "train_splits" / "dia0_utt0 (1).mp4")
    dataset = read_meld(folder)
    told = reasons(dataset)
    assert set(told) == {
        "train/dia125_utt3",
        "train/dia309_utt0",
        "dev/dia110_utt7",
        "test/dia38_utt4",
        "test/dia0_utt1",
        "dev_splits_complete/dia66_utt9.mp4",
        "output_repeated_splits_test/final_videos_testdia101_utt0.mp4",
        "train_splits/dia0_utt0 (1).mp4",
    }
    assert "dia110_utt7.mp4 is missing" in told["dev/dia110_utt7"]
    assert "dia125_utt3.mp4" in told["train/dia125_utt3"]
    assert "is empty" in told["test/dia0_utt1"]
    assert "mis-cut (305 s)" in told["test/dia38_utt4"] and "mis-cut (41 s)" in told["train/dia309_utt0"]
    assert "no row" in told["dev_splits_complete/dia66_utt9.mp4"]
    found = by_key(dataset)
    assert set(found) == {f"{s}/dia{r[4]}_utt{r[5]}" for s, rows in MELD_ROWS.items() for r in rows} - {
        "train/dia125_utt3",
        "dev/dia110_utt7",
        "test/dia0_utt1",
    }
    assert found["test/dia38_utt4"].path is None and found["test/dia38_utt4"].transcript == "Why?"
    assert {clip.key for clip in dataset.skipped if clip.has_words} == {
        "train/dia309_utt0",
        "test/dia38_utt4",
    }


def test_a_repaired_copy_of_the_broken_clip_is_used(tmp_path):
    folder = write_meld_release(tmp_path)
    path = write_clip(folder / "train_splits" / "dia125_utt3.mp4")
    assert by_key(read_meld(folder))["train/dia125_utt3"].path == path


def test_a_time_that_is_no_span_is_not_known(tmp_path):
    utterance = by_key(read_meld(write_meld_tables(tmp_path)))["test/dia155_utt3"]
    assert utterance.annotated_seconds is None and utterance.annotated_start_seconds is None


def test_windows_characters_become_what_they_stand_for(tmp_path):
    assert repaired_text("\ufeffcafé ’".encode()) == "café ’"
    assert repaired_text(b"utf: \xe2\x80\x99\nansi: \x92\x85\x97\xe9") == "utf: ’\nansi: ’…—é"
    # the same bytes taken for Latin-1 and saved as UTF-8
    assert repaired_text("Don\u0092t\u00a0\u0097".encode()) == "Don’t —"
    table = write_meld_tables(tmp_path) / "train_sent_emo.csv"
    table.write_bytes(table.read_bytes().replace("’".encode(), b"\x92"))
    assert by_key(read_meld(tmp_path))["train/dia125_utt3"].transcript == "You don’t say…"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Emotion", "Feeling", "lacks the column Emotion"),
        (",surprise,", ",wonder,", "row 2: 'wonder' is none of MELD's emotions"),
        (",0,1,4,7,", ",0,0,4,7,", "train/dia0_utt0 occurs twice"),
        ("Hey!", '"Hey!' + "x" * 140_000, "is not a well-formed table (field larger"),
        (",0,1,4,7,", ",0,one,4,7,", "should be whole numbers"),
        (",0,1,4,7,", f",0,{'1' * 5000},4,7,", "should be whole numbers"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, old, new, message):
    table = write_meld_tables(tmp_path) / "train_sent_emo.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_meld(tmp_path)
    assert message in str(caught.value) and "train_sent_emo.csv" in str(caught.value)


def test_a_split_without_its_table_and_packed_clips_are_noted(tmp_path):
    (write_meld_tables(tmp_path) / "dev_sent_emo.csv").unlink()
    touch(tmp_path / "train.tar.gz")
    notes = " ".join(read_meld(tmp_path).notes)
    assert "dev_sent_emo.csv is missing" in notes and "train.tar.gz: not read" in notes
    with pytest.raises(DataError, match="holds none of train_sent_emo.csv"):
        read_meld(touch(tmp_path / "other" / "file").parent)


needs_meld = pytest.mark.skipif(
    "DEEPMSI_MELD" not in os.environ, reason="DEEPMSI_MELD names no folder of MELD"
)

REAL_COUNTS = {
    "train": (4710, 1205, 268, 683, 1743, 271, 1109),
    "dev": (470, 150, 40, 111, 163, 22, 153),
    "test": (1256, 281, 50, 208, 402, 68, 345),
}


@needs_meld
def test_the_real_annotations_come_out_to_the_digit():
    labels = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    dataset = read_dataset(Path(os.environ["DEEPMSI_MELD"]))
    # rows that lost their clip are counted too
    gone = [(clip.split, clip.label) for clip in dataset.skipped if clip.label and not clip.has_words]
    counts = Counter([(u.split, u.label) for u in dataset.utterances] + gone)
    for split, expected in REAL_COUNTS.items():
        assert tuple(counts[split, label] for label in labels) == expected


@needs_meld
def test_the_real_official_split_leaks_as_is_known():
    from training.datasets.leakage import leakage

    dataset = read_dataset(Path(os.environ["DEEPMSI_MELD"]))
    found = {(s.kind, s.earlier, s.later): s for s in leakage(dataset.utterances)}
    episodes, texts = found["episodes", "train", "test"], found["texts", "train", "test"]
    assert (episodes.num_shared_values, episodes.num_values) == (142, 143)
    assert round(100 * texts.share, 1) == 12.7
    assert found["dialogues", "train", "test"].num_shared_values == 0
    # as docs/datasets.md says
    speakers, spans = found["speakers", "train", "test"], found["spans", "train", "test"]
    assert (speakers.num_shared_values, speakers.num_values) == (69, 100)
    assert round(100 * speakers.share, 1) == 95.8 and spans.num_shared_rows == 3
    assert round(100 * found["wordings", "train", "test"].share, 1) == 15.5


def test_a_gigantic_table_is_refused_unread(tmp_path):
    write_meld_tables(tmp_path)
    # a hole, which takes no room on the disk
    os.truncate(tmp_path / "dev_sent_emo.csv", 2**40)
    with pytest.raises(DataError, match="csv has 1,099,511,627,776 bytes, more than the allowed"):
        read_meld(tmp_path)


def test_a_table_that_leads_to_a_device_is_not_read_for_ever(tmp_path):
    write_meld_tables(tmp_path)
    (tmp_path / "dev_sent_emo.csv").unlink()
    (tmp_path / "dev_sent_emo.csv").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv is not a regular file"):
        read_meld(tmp_path)
