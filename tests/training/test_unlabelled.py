"""Clips without labels: plain folders, and manifests that lack some."""

import pytest

from training.datasets import DataError, read_dataset, read_manifest


@pytest.fixture
def folder(tmp_path):
    for name in ("b.MP4", "test/a.wav", "dev_clips/c.mkv", "notes.txt", ".hidden/x.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"something")
    (tmp_path / "empty.mov").touch()
    return tmp_path


def test_a_folder_of_clips_is_read_where_no_labels_are_needed(folder):
    dataset = read_dataset(folder, needs_labels=False)
    assert (dataset.name, dataset.scheme) == ("clips", None)
    assert [(u.key, u.label, u.split) for u in dataset.utterances] == [
        ("b.MP4", "", None),
        ("dev_clips/c.mkv", "", "dev"),
        ("test/a.wav", "", "test"),
    ]
    assert all(u.transcript is None for u in dataset.utterances)
    (skipped,) = dataset.skipped
    assert skipped.key == "empty.mov" and "0 bytes" in skipped.reason
    with pytest.raises(DataError, match="no known data set"):
        read_dataset(folder)


def test_a_folder_of_everything_is_not_gone_through(folder, monkeypatch):
    # of those that are not hidden there are five
    monkeypatch.setattr("training.datasets.folders.MAX_FILES", 5)
    assert len(read_dataset(folder, needs_labels=False).utterances) == 3
    monkeypatch.setattr("training.datasets.folders.MAX_FILES", 4)
    with pytest.raises(DataError, match="holds more than 4 files; give the folder of the data set itself"):
        read_dataset(folder, needs_labels=False)


def test_a_folder_without_clips_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(DataError, match="no known data set"):
        read_dataset(tmp_path, needs_labels=False)


def test_a_manifest_may_lack_labels_where_none_are_needed(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("path,transcript\na.mp4,Hello.\nb.mp4,\n")
    with pytest.raises(DataError, match="lacks the column label"):
        read_manifest(path)
    dataset = read_dataset(tmp_path, needs_labels=False)
    assert [(u.key, u.label, u.transcript) for u in dataset.utterances] == [
        ("a.mp4", "", "Hello."),
        ("b.mp4", "", ""),
    ]
    assert (dataset.name, dataset.scheme) == ("manifest", None)
    path.write_text("path,label\na.mp4,frustration\nb.mp4,\n")
    with pytest.raises(DataError, match="row 3: the label is empty"):
        read_dataset(tmp_path)
    dataset = read_dataset(tmp_path, needs_labels=False)
    assert [u.label for u in dataset.utterances] == ["frustration", ""]
    assert dataset.scheme == "iemocap-6"
