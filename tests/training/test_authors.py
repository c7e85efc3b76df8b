import csv
import os
import pickle

import numpy as np
import pytest
from made_trees import touch, write_authors_meld
from safetensors.numpy import load_file

from training.datasets import DataError, read_dataset
from training.datasets.authors import convert


def test_the_index_is_read_without_opening_a_pickle(tmp_path):
    folder = write_authors_meld(tmp_path / "data" / "MELD")
    for path in folder.rglob("*.pkl"):
        path.write_bytes(b"cos\nsystem\n.")
    dataset = read_dataset(tmp_path)
    assert (dataset.name, dataset.scheme) == ("authors", "meld-7")
    assert [(u.key, u.label, u.split) for u in dataset.utterances] == [
        ("train/dia3_utt1", "neutral", "train"),
        ("dev/dia3_utt1", "joy", "dev"),
        ("test/dia3_utt1", "anger", "test"),
    ]
    assert dataset.utterances[0].transcript == "Hey!" and "convert" in dataset.notes[0]


def test_they_become_safetensors_with_a_manifest(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (15, 3, 8, 8), np.uint8)
    folder = write_authors_meld(tmp_path / "MELD", images=images)
    manifest, skipped = convert(folder, tmp_path / "out")
    assert not skipped
    dataset = read_dataset(tmp_path / "out")
    assert [(u.label, u.split, u.transcript, u.speaker) for u in dataset.utterances] == [
        ("neutral", "train", "Hey!", "Joey"),
        ("joy", "dev", "Hey!", "Joey"),
        ("anger", "test", "Hey!", "Joey"),
    ]
    tensors = load_file(dataset.utterances[1].path)
    np.testing.assert_array_equal(tensors["frames"], images.transpose(0, 2, 3, 1))
    assert tensors["text"].tolist() == [0, 1, 2, 3] and tensors["audio"].tolist() == [0, 1, 2]
    assert manifest == tmp_path / "out" / "manifest.csv"


@pytest.mark.parametrize("scale", ["ones", "bytes as floats", "ImageNet"])
def test_pictures_come_back_from_whichever_scale(tmp_path, scale):
    pixels = np.random.default_rng(1).integers(0, 256, (15, 3, 8, 8), np.uint8)
    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    deviation = np.array([0.229, 0.224, 0.225])[:, None, None]
    images = {
        "ones": pixels / 255,
        "bytes as floats": pixels.astype(float),
        "ImageNet": (pixels / 255 - mean) / deviation,
    }[scale].astype(np.float32)
    convert(write_authors_meld(tmp_path / "MELD", images=images), tmp_path / "out")
    frames = load_file(tmp_path / "out" / "train" / "dia3_utt1.safetensors")["frames"]
    np.testing.assert_array_equal(frames, pixels.transpose(0, 2, 3, 1))


def test_what_cannot_be_used_is_left_out_and_told(tmp_path):
    folder = write_authors_meld(tmp_path / "MELD")
    touch(folder / "train" / "audio" / "dia3_utt1.pkl", b"cos\nsystem\n(S'true'\ntR.")
    touch(
        folder / "valid" / "text" / "dia3_utt1.pkl", pickle.dumps({"text_feature": np.zeros(4), "label": 0})
    )
    _, skipped = convert(folder, tmp_path / "out")
    told = {clip.key: clip.reason for clip in skipped}
    assert "asks for os.system" in told["train/dia3_utt1"]
    assert told["dev/dia3_utt1"] == "Its pickle says neutral and the table joy."
    assert [u.key for u in read_dataset(tmp_path / "out").utterances] == ["test/dia3_utt1.safetensors"]


def test_an_interrupted_run_goes_on(tmp_path):
    folder = write_authors_meld(tmp_path / "MELD")
    convert(folder, tmp_path / "out")
    done = tmp_path / "out" / "train" / "dia3_utt1.safetensors"
    before = done.stat().st_mtime_ns
    (tmp_path / "out" / "test" / "dia3_utt1.safetensors").unlink()
    convert(folder, tmp_path / "out")
    assert done.stat().st_mtime_ns == before
    assert (tmp_path / "out" / "test" / "dia3_utt1.safetensors").is_file()


@pytest.mark.parametrize(
    ("modality", "content", "message"),
    [
        ("video", {"images": np.zeros((15, 8, 8), np.uint8)}, "images of the shape"),
        ("video", {"pictures": 1}, "no array images; it holds pictures"),
        ("text", {"text_feature": np.zeros(4), "label": 9}, "label [9]"),
        ("audio", [1, 2], "holds no dictionary"),
    ],
)
def test_unlike_pickles_are_named(tmp_path, modality, content, message):
    folder = write_authors_meld(tmp_path / "MELD")
    for part in ("train", "valid", "test"):
        touch(folder / part / modality / "dia3_utt1.pkl", pickle.dumps(content))
    with pytest.raises(DataError) as caught:
        convert(folder, tmp_path / "out")
    assert "nothing could be converted" in str(caught.value) and message in str(caught.value)


def test_iemocap_has_a_table_without_header(tmp_path):
    folder = tmp_path / "IEMOCAP"
    for part in ("train", "valid", "test"):
        rows = [
            ("Ses01F_impro01_F000", "Happiness", 'He said "no".'),
            ("Ses01F_impro01_M001", "Frustration", "Why?"),
        ]
        folder.mkdir(exist_ok=True)
        with (folder / f"{part}.txt").open("w", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None).writerows(rows)
        for modality in ("video", "text", "audio"):
            touch(folder / part / modality / "Ses01F_impro01_F000.pkl")
    dataset = read_dataset(folder)
    first = dataset.utterances[0]
    assert dataset.scheme == "iemocap-6" and len(dataset.utterances) == 3
    assert (first.label, first.transcript) == ("joy", 'He said "no".')
    assert (first.speaker, first.dialogue) == ("Ses01F", "Ses01F_impro01")
    assert first.extra == {"session": "1"}
    assert (
        dataset.skipped[0].label == "frustration" and "video and audio and text" in dataset.skipped[0].reason
    )


def test_a_short_row_is_told(tmp_path):
    folder = write_authors_meld(tmp_path / "MELD")
    with (folder / "train.csv").open("a") as file:
        file.write("2,Hey!,Ross\n")
    with pytest.raises(DataError, match=r"train.csv is not the table .*the row 2, Hey!, Ross is short"):
        read_dataset(folder)


def test_both_sets_at_once_and_neither(tmp_path):
    write_authors_meld(tmp_path / "data" / "MELD")
    touch(tmp_path / "data" / "IEMOCAP" / "train" / "text" / "a.pkl")
    with pytest.raises(DataError, match="holds both"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="lacks train.txt"):
        read_dataset(tmp_path / "data" / "IEMOCAP")
    with pytest.raises(DataError, match="holds no MELD"):
        convert(tmp_path / "x", tmp_path / "out")


def test_a_gigantic_index_is_refused_unread(tmp_path):
    write_authors_meld(tmp_path / "MELD")
    # a hole, which takes no room on the disk
    os.truncate(tmp_path / "MELD" / "train.csv", 2**40)
    with pytest.raises(DataError, match=r"train\.csv has 1,099,511,627,776 bytes, more than the allowed"):
        read_dataset(tmp_path / "MELD")
