from collections import Counter
from itertools import product

import pytest
from made_trees import touch

from training.datasets import DataError, read_dataset
from training.datasets.ravdess import read_ravdess


def write_ravdess(folder, *, actors=range(1, 25), suffix="ogg"):
    """All eight emotions once per actor, as sound."""
    for actor, emotion in product(actors, range(1, 9)):
        touch(folder / f"Actor_{actor:02d}" / f"03-01-{emotion:02d}-01-02-01-{actor:02d}.{suffix}")
    return folder


def test_the_name_tells_everything(tmp_path):
    touch(tmp_path / "Actor_12" / "01-01-06-02-01-02-12.mp4")
    (utterance,) = read_dataset(tmp_path).utterances
    assert (utterance.label, utterance.speaker, utterance.transcript) == (
        "fear",
        "12",
        "Kids are talking by the door.",
    )
    assert utterance.extra == {
        "sex": "female",
        "emotion": "fear",
        "intensity": "strong",
        "statement": "01",
        "repetition": "2",
        "kind": "speech",
        "modality": "audio-video",
    }


def test_actors_are_split_evenly_by_sex(tmp_path):
    dataset = read_ravdess(write_ravdess(tmp_path))
    splits = {
        s: {int(u.speaker) for u in dataset.utterances if u.split == s} for s in ("train", "dev", "test")
    }
    assert splits == {"train": set(range(1, 17)), "dev": {17, 18, 19, 20}, "test": {21, 22, 23, 24}}
    twenty = read_ravdess(write_ravdess(tmp_path / "twenty", actors=range(1, 21)))
    assert {u.speaker for u in twenty.utterances if u.split == "test"} == {"17", "18", "19", "20"}
    assert {u.speaker for u in twenty.utterances if u.split == "dev"} == {"13", "14", "15", "16"}


def test_calm_is_neutral_or_left_out(tmp_path):
    write_ravdess(tmp_path, actors=[1])
    labels = Counter(u.label for u in read_dataset(tmp_path).utterances)
    assert labels == {
        "neutral": 2, "joy": 1, "sadness": 1, "anger": 1, "fear": 1, "disgust": 1, "surprise": 1,
    }  # fmt: skip
    without = read_dataset(tmp_path, calm="skip")
    assert Counter(u.label for u in without.utterances)["neutral"] == 1
    assert [clip.key for clip in without.skipped] == ["03-01-02-01-02-01-01"]


def test_songs_only_where_asked_for(tmp_path):
    touch(tmp_path / "03-02-03-01-01-01-05.wav")
    touch(tmp_path / "03-01-03-01-01-01-05.wav")
    dataset = read_dataset(tmp_path)
    assert [u.extra["kind"] for u in dataset.utterances] == ["speech"] and "song" in dataset.skipped[0].reason
    assert len(read_dataset(tmp_path, songs=True).utterances) == 2
    with pytest.raises(ValueError, match="songs should be true or false, not 'no'"):
        read_dataset(tmp_path, songs="no")


def test_clips_of_other_names_are_left_out_and_told(tmp_path):
    touch(tmp_path / "Actor_05" / "03-01-03-01-01-01-05.wav")
    touch(tmp_path / "Actor_05" / "03-01-03-01-01-01-05 (1).wav")
    touch(tmp_path / "Actor_25" / "03-01-03-01-01-01-25.wav")
    touch(tmp_path / "README.txt")
    dataset = read_dataset(tmp_path)
    assert [u.key for u in dataset.utterances] == ["03-01-03-01-01-01-05"]
    assert [clip.key for clip in dataset.skipped] == [
        "Actor_05/03-01-03-01-01-01-05 (1).wav",
        "Actor_25/03-01-03-01-01-01-25.wav",
    ]
    assert all("is not named as RAVDESS names its clips" in clip.reason for clip in dataset.skipped)


def test_a_performance_is_given_once_with_the_most_there_is(tmp_path):
    for name in ("01-01-03-01-01-01-05.mp4", "02-01-03-01-01-01-05.mp4", "03-01-03-01-01-01-05.wav"):
        touch(tmp_path / name)
    dataset = read_dataset(tmp_path)
    assert [u.key for u in dataset.utterances] == ["01-01-03-01-01-01-05"]
    assert len(dataset.skipped) == 2 and all("same performance" in clip.reason for clip in dataset.skipped)


def test_empty_files_and_folders_of_other_things(tmp_path):
    touch(tmp_path / "a" / "03-01-03-01-01-01-05.wav", b"")
    # as git-annex leaves a file that was never fetched
    (tmp_path / "a" / "03-01-04-01-01-01-05.wav").symlink_to(tmp_path / "nowhere")
    dataset = read_ravdess(tmp_path / "a")
    assert not dataset.utterances and "is empty" in dataset.skipped[0].reason
    assert "cannot be read" in dataset.skipped[1].reason
    touch(tmp_path / "b" / "03-01-09-01-01-01-05.wav")
    with pytest.raises(DataError, match="holds no file named like"):
        read_ravdess(tmp_path / "b")
    with pytest.raises(ValueError, match="calm should be"):
        read_ravdess(tmp_path, calm="happy")
