import json
import os

import pandas as pd
import pytest

from training.datasets import DataError, manifest, read_manifest

ROWS = [
    {"path": "a.mp4", "label": "Joy", "transcript": "Hello, you.", "split": "val", "scenario": "all"},
    {"path": "sub/b.mp4", "label": "anger", "transcript": "", "split": "train", "scenario": ""},
]


def write(folder, suffix, rows=ROWS):
    path = folder / f"manifest{suffix}"
    table = pd.DataFrame(rows)
    if suffix == ".parquet":
        table.to_parquet(path)
    elif suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_every_format_says_the_same(tmp_path, suffix):
    first, second = read_manifest(write(tmp_path, suffix))
    assert first.key == "a.mp4" and first.path == tmp_path / "a.mp4"
    assert (first.label, first.transcript, first.split) == ("joy", "Hello, you.", "dev")
    assert first.extra == {"scenario": "all"} and second.extra == {}
    assert second.path == tmp_path / "sub" / "b.mp4" and second.transcript == ""
    assert second.speaker is None and second.start_seconds is None


def test_a_folder_means_the_manifest_in_it(tmp_path):
    write(tmp_path, ".tsv")
    assert len(read_manifest(tmp_path)) == 2
    with pytest.raises(DataError, match="holds no manifest"):
        (tmp_path / "empty").mkdir()
        read_manifest(tmp_path / "empty")


def test_a_transcript_is_unknown_without_the_column(tmp_path):
    (tmp_path / "m.csv").write_text("path,label\na.mp4,joy\n")
    assert read_manifest(tmp_path / "m.csv")[0].transcript is None


def test_spans_of_one_file_are_different_utterances(tmp_path):
    (tmp_path / "m.csv").write_text("path,label,start_seconds,end_seconds\na.mp4,joy,0,1.5\na.mp4,joy,1.5,\n")
    first, second = read_manifest(tmp_path / "m.csv")
    assert (first.start_seconds, first.end_seconds) == (0.0, 1.5)
    assert (second.start_seconds, second.end_seconds) == (1.5, None)
    assert first.key != second.key


def test_spans_of_a_long_recording_are_told_apart_by_the_millisecond(tmp_path):
    rows = ("12345.671,12346.2", "12345.672,12346.2", "0,1.5")
    lines = ["path,label,start_seconds,end_seconds", *(f"a.wav,joy,{row}" for row in rows)]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    keys = [utterance.key for utterance in read_manifest(tmp_path / "m.csv")]
    assert keys == ["a.wav#12345.671-12346.2", "a.wav#12345.672-12346.2", "a.wav#0-1.5"]


@pytest.mark.parametrize("name", ["../x.mp4", "/etc/passwd", "sub/../../x.mp4"])
def test_a_path_that_leaves_the_folder_is_refused_unless_allowed(tmp_path, name):
    path = write(tmp_path, ".csv", [{"path": name, "label": "joy"}])
    with pytest.raises(DataError, match=r"row 2: .* lies outside"):
        read_manifest(path)
    assert read_manifest(path, allow_outside=True)[0].key == name


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"")
    (inside / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(DataError, match="lies outside"):
        read_manifest(write(inside, ".csv", [{"path": "link.mp4", "label": "joy"}]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,emotion\na.mp4,joy\n", "lacks the column label; it has path, emotion"),
        ("path,label\n,joy\n", "row 2: the path is empty"),
        ("path,label\na.mp4,\n", "row 2: the label is empty"),
        ("path,label\na.mp4,joy\na.mp4,joy\n", "row 3: a.mp4 is also row 2"),
        ("path,label,start_seconds\na.mp4,joy,soon\n", "row 2: start_seconds is 'soon'"),
        ("path,label,start_seconds\na.mp4,joy,-1\n", "row 2: start_seconds is '-1'"),
        ("path,label,start_seconds,end_seconds\na.mp4,joy,2,1\n", "row 2: the span ends at 1.0 s"),
        ("path,label\na.mp4,joy,more\n", "row 2: it has more cells than the header"),
        ("path,label\n", "lists no clip"),
        ("path,label\na\0.mp4,joy\n", "row 2: 'a\\x00.mp4' is no path"),
        ("path,label\nround,joy\n", "row 2: 'round' is no path"),
        ("path,label,label\na.mp4,joy,anger\n", "has two columns named label"),
    ],
)
def test_bad_rows_are_named(tmp_path, text, message):
    path = tmp_path / "m.csv"
    path.write_text(text)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"path,label\n\xff\xfe,joy\n")
    (tmp_path / "m.parquet").write_bytes(b"nothing")
    (tmp_path / "m.jsonl").write_text('{"path": "a.mp4"\n')
    (tmp_path / "deep.jsonl").write_text('{"path": ' + "[" * 100_000)
    (tmp_path / "m.xlsx").write_bytes(b"")
    for name, message in [
        ("m.csv", "not UTF-8"),
        ("m.parquet", "cannot be read"),
        ("m.jsonl", "row 1: this is not JSON"),
        ("deep.jsonl", "row 1: this is not JSON"),
        ("m.xlsx", "end in .csv"),
        ("none.csv", "does not exist"),
    ]:
        with pytest.raises(DataError, match=message):
            read_manifest(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_a_gigantic_manifest_is_refused_unread(tmp_path, suffix):
    path = write(tmp_path, suffix)
    # a hole, which takes no room on the disk
    os.truncate(path, 2**40)
    message = rf"{suffix} has 1,099,511,627,776 bytes, more than the allowed 134,217,728; make it a \.parquet"
    with pytest.raises(DataError, match=message):
        read_manifest(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_more_clips_than_fit_into_memory_are_refused(tmp_path, monkeypatch, suffix):
    path = write(tmp_path, suffix)
    monkeypatch.setattr(manifest, "MAX_CLIPS", 2)
    assert len(read_manifest(path)) == 2
    monkeypatch.setattr(manifest, "MAX_CLIPS", 1)
    with pytest.raises(DataError, match=f"{suffix} lists more than the allowed 1 clips; give a part of it"):
        read_manifest(path)
