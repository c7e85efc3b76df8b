import csv
import json
import wave

import pytest
from made_clips import write_clip
from made_trees import (
    CHALLENGE,
    touch,
    write_authors_meld,
    write_challenge,
    write_iemocap,
    write_meld_release,
    write_meld_tables,
)

from training.datasets import DataError, Utterance, read_dataset
from training.datasets.check import check_dataset, write_skipped
from training.datasets.utterance import Dataset


def test_counts_per_split_and_label(tmp_path):
    report = check_dataset(read_dataset(write_meld_tables(tmp_path)))
    assert [part.split for part in report.splits] == ["train", "dev", "test"]
    train, _, test = report.splits
    assert (train.num_rows, train.num_with_media, train.num_with_words) == (4, 0, 4)
    assert (train.num_speakers, train.num_dialogues) == (3, 3)
    assert train.labels == {
        "neutral": 1, "surprise": 1, "fear": 1, "sadness": 0, "joy": 1, "disgust": 0, "anger": 0,
    }  # fmt: skip
    # 2.251, 2.793 and 304.94 s; the fourth has no length
    assert report.durations_from == "annotations" and test.durations.num_known == 3
    assert test.durations.median_seconds == pytest.approx(2.793)
    assert test.durations.total_seconds == pytest.approx(2.251 + 2.793 + 304.94)
    spans = next(s for s in report.leakage if (s.kind, s.later) == ("spans", "test") and s.earlier == "train")
    assert spans.num_shared_rows == 1


def test_opening_finds_broken_clips_and_the_lengths_of_files(tmp_path):
    folder = write_meld_release(tmp_path)
    for path in (folder / "train_splits" / "dia0_utt0.mp4", folder / "dev_splits_complete" / "dia0_utt0.mp4"):
        write_clip(path)
    dataset = read_dataset(folder)
    report = check_dataset(dataset, open_files=True)
    # the others are five letters in a file; the mis-cut ones are there by their words
    assert {part.split: part.num_rows for part in report.splits} == {"train": 2, "dev": 1, "test": 1}
    # dia0_utt1 of train and of test, broken; two that the release lacks; dia0_utt0 and dia155_utt3 of test
    assert [part.num_left_out for part in report.splits] == [2, 1, 3]
    assert report.durations_from == "files"
    assert report.splits[1].durations.longest_seconds == pytest.approx(1.0, abs=0.1)
    told = {clip.key: clip.reason for clip in report.skipped}
    assert "dia0_utt1.mp4 holds no video or sound" in told["train/dia0_utt1"]
    assert len(report.skipped) == len(dataset.skipped) + 4


def test_spans_are_cut_at_the_files_end_and_short_clips_counted(tmp_path):
    film = write_clip(tmp_path / "film.mp4")
    still = write_clip(tmp_path / "still.mp4", num_frames=2, has_audio=False)
    utterances = (
        Utterance(key="a", path=film, label="joy", start_seconds=0.25, end_seconds=0.75),
        Utterance(key="b", path=film, label="joy", start_seconds=0.5, end_seconds=9.0),
        Utterance(key="c", path=still, label="joy"),
    )
    report = check_dataset(Dataset(name="manifest", scheme=None, utterances=utterances), open_files=True)
    (part,) = report.splits
    assert part.split == "(none)" and part.labels == {"joy": 3}
    assert part.durations.total_seconds == pytest.approx(0.5 + 0.5 + 2 / 12, abs=0.1)
    assert report.notes == ("1 clips have fewer than 3 pictures.",)


def test_a_span_outside_its_file_is_left_out_and_has_no_length(tmp_path):
    film = write_clip(tmp_path / "film.mp4")
    spans = {"inside": (0.25, 0.75), "behind": (5.0, 6.0)}
    utterances = tuple(
        Utterance(key=key, path=film, label="joy", split="train", start_seconds=start, end_seconds=end)
        for key, (start, end) in spans.items()
    )
    report = check_dataset(Dataset(name="manifest", scheme=None, utterances=utterances), open_files=True)
    (part,) = report.splits
    assert (part.num_rows, part.num_left_out) == (1, 1)
    assert part.durations.shortest_seconds == pytest.approx(0.5)
    (skipped,) = report.skipped
    assert skipped.key == "behind" and "lies outside" in skipped.reason


def test_a_long_recording_may_be_cut_into_spans_but_is_none_itself(tmp_path):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        # sixteen minutes, one more than is read at once
        file.writeframes(bytes(8000 * 960))
    utterances = (
        Utterance(key="span", path=path, label="joy", start_seconds=900.0, end_seconds=905.0),
        Utterance(key="whole", path=path, label="joy"),
    )
    report = check_dataset(Dataset(name="manifest", scheme=None, utterances=utterances), open_files=True)
    assert report.splits[0].durations.total_seconds == pytest.approx(5.0)
    (skipped,) = report.skipped
    assert skipped.key == "whole" and "960 s are more than the allowed 900 s" in skipped.reason


def test_stills_are_counted_and_compared(tmp_path):
    rows = [*CHALLENGE, (*CHALLENGE[0][:2], "PrivateTest")]
    report = check_dataset(read_dataset(write_challenge(tmp_path, rows)))
    assert {part.split: part.num_rows for part in report.splits} == {"train": 2, "dev": 1, "test": 2}
    shared = {(s.earlier, s.later): s.num_shared_rows for s in report.leakage}
    assert shared == {("train", "dev"): 0, ("train", "test"): 1, ("dev", "test"): 0}


def test_a_report_is_plain_and_the_skipped_are_a_table(tmp_path):
    report = check_dataset(read_dataset(write_meld_release(tmp_path)))
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["num_skipped"] == len(report.skipped) == len(plain["skipped"])
    assert {s["kind"] for s in plain["leakage"]} == {
        "speakers", "dialogues", "episodes", "spans", "texts", "wordings",
    }  # fmt: skip
    write_skipped(report.skipped, tmp_path / "skipped.csv")
    with (tmp_path / "skipped.csv").open(newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert rows["dev/dia110_utt7"]["label"] == "disgust" and rows["dev/dia110_utt7"]["path"] == ""
    assert rows["test/dia38_utt4"]["has_words"] == "yes"
    with pytest.raises(DataError, match="cannot be written"):
        write_skipped(report.skipped, tmp_path / "no folder" / "skipped.csv")


def test_folders_are_recognised_by_their_files(tmp_path):
    with pytest.raises(DataError, match=r"no known data set: it holds none of manifest.csv .* IEMOCAP"):
        read_dataset(touch(tmp_path / "empty" / "notes.txt").parent)
    with pytest.raises(DataError, match="does not exist"):
        read_dataset(tmp_path / "none")
    with pytest.raises(ValueError, match="name should be one of manifest, authors, meld"):
        read_dataset(tmp_path, name="affectnet")
    with pytest.raises(ValueError, match="meld has no option songs; it has none"):
        read_dataset(write_meld_tables(tmp_path / "meld"), songs=True)
    with pytest.raises(DataError, match="holds no file named like 01-01"):
        read_dataset(tmp_path / "meld", name="ravdess")
    (tmp_path / "meld" / "manifest.csv").write_text("path,label\n../a.mp4,joy\n")
    with pytest.raises(DataError, match="lies outside"):
        read_dataset(tmp_path / "meld")
    manifest = read_dataset(tmp_path / "meld" / "manifest.csv", allow_outside=True)
    assert (manifest.name, manifest.scheme) == ("manifest", "meld-7")
    assert read_dataset(tmp_path / "meld", name="meld").name == "meld"


def test_what_the_authors_converted_is_not_opened(tmp_path):
    touch(tmp_path / "a.safetensors")
    (tmp_path / "manifest.csv").write_text("path,label\na.safetensors,joy\nb.safetensors,joy\n")
    report = check_dataset(read_dataset(tmp_path), open_files=True)
    assert report.splits[0].num_rows == 1 and [clip.key for clip in report.skipped] == ["b.safetensors"]


def test_clips_of_a_manifest_that_are_not_there_are_told_without_opening_any(tmp_path):
    touch(tmp_path / "a.mp4")
    touch(tmp_path / "empty.mp4", b"")
    lines = ("path,label,split", "a.mp4,joy,train", "gone.mp4,fear,test", "empty.mp4,anger,test")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    report = check_dataset(read_dataset(tmp_path))
    train, test = report.splits
    assert (train.num_rows, train.num_with_media, train.num_left_out) == (1, 1, 0)
    # a split of which nothing is left is still told
    assert (test.split, test.num_rows, test.num_left_out) == ("test", 0, 2)
    gone, empty = report.skipped
    assert (gone.key, gone.split, gone.label) == ("gone.mp4", "test", "fear")
    assert gone.reason == "gone.mp4 does not exist; check the path in the table."
    assert "is empty (0 bytes)" in empty.reason


def test_labels_that_no_scheme_knows(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label\na.mp4,joy\nb.mp4,pride\n")
    for name in ("a.mp4", "b.mp4"):
        touch(tmp_path / name)
    dataset = read_dataset(tmp_path)
    assert dataset.scheme is None and check_dataset(dataset).splits[0].labels == {"joy": 1, "pride": 1}


def test_a_folder_of_several_data_sets_is_not_taken_for_one(tmp_path):
    write_meld_tables(tmp_path / "friends")
    touch(tmp_path / "voices" / "03-01-06-01-02-01-12.wav")
    with pytest.raises(DataError, match=r"holds several data sets \(meld, ravdess\); give the folder of one"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / "friends").name == "meld"
    write_iemocap(tmp_path / "both" / "IEMOCAP", num_sessions=1)
    assert read_dataset(tmp_path / "both").name == "iemocap"
    write_meld_tables(tmp_path / "both" / "MELD")
    with pytest.raises(DataError, match=r"\(meld, iemocap\)"):
        read_dataset(tmp_path / "both")
    # the authors' folders hold MELD's tables, but no other data set
    authors = write_authors_meld(tmp_path / "authors" / "MELD").parent
    assert read_dataset(authors).name == "authors"
    touch(authors / "03-01-06-01-02-01-12.wav")
    with pytest.raises(DataError, match=r"\(authors, ravdess\)"):
        read_dataset(authors)
