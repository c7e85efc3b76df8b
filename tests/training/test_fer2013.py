import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_trees import CHALLENGE, pixels, touch, write_challenge
from PIL import Image

from core.labels import MELD_7
from training.datasets import DataError, fer2013, folders, read_dataset
from training.datasets.stills import IGNORED, honest_parts, make_stills, read_stills

LABEL = {label: index for index, label in enumerate(MELD_7.labels)}


def test_the_challenges_table_is_read_by_part(tmp_path):
    dataset = read_dataset(write_challenge(tmp_path, CHALLENGE))
    assert (dataset.name, dataset.scheme, dataset.utterances) == ("fer2013", "meld-7", ())
    assert set(dataset.stills) == {"train", "dev", "test"}
    train = dataset.stills["train"]
    assert train.pixels.shape == (2, 48, 48, 1) and train.pixels[:, 5, 7, 0].tolist() == [10, 20]
    assert train.labels.tolist() == [LABEL["anger"], LABEL["joy"]]
    assert dataset.stills["dev"].labels.tolist() == [LABEL["neutral"]]
    assert dataset.stills["test"].labels.tolist() == [LABEL["disgust"]]
    # the file itself, and the later release's spaces in the header
    spaced = write_challenge(tmp_path / "icml", CHALLENGE, ("emotion", " pixels", " Usage"))
    for path in (tmp_path / "fer2013.csv", spaced):
        assert {name: len(still) for name, still in read_dataset(path).stills.items()} == {
            "train": 2, "dev": 1, "test": 1,
        }  # fmt: skip


def test_a_table_as_spreadsheets_save_it_keeps_its_parts(tmp_path):
    rows = [(usage, emotion, pixels) for emotion, pixels, usage in CHALLENGE]
    path = write_challenge(tmp_path, rows, ("Usage", "emotion", "pixels")) / "fer2013.csv"
    # a mark of the encoding before the first heading, and a row of blanks
    path.write_text("\ufeff" + path.read_text() + " , , \n", encoding="utf-8")
    dataset = read_dataset(path)
    assert {name: len(still) for name, still in dataset.stills.items()} == {"train": 2, "dev": 1, "test": 1}
    assert not dataset.skipped


def test_without_the_private_part_the_public_one_is_the_test(tmp_path):
    dataset = read_dataset(write_challenge(tmp_path, CHALLENGE[:3]))
    assert set(dataset.stills) == {"train", "test"} and "no dev part" in dataset.notes[0]


def test_the_order_of_the_numbers_is_the_challenges(tmp_path):
    rows = [(number, pixels(number), "Training") for number in range(7)]
    labels = read_dataset(write_challenge(tmp_path, rows)).stills["train"].labels
    names = [MELD_7.labels[index] for index in labels]
    assert names == ["anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"]


def test_rows_that_are_no_pictures_are_told(tmp_path):
    bad = [
        (2, "1 2 3", "Training"),
        (7, pixels(1), "Training"),
        (2, pixels(256), "Training"),
        (2, pixels("x"), "Training"),
        (2, pixels(1), "Other"),
        # of which Python makes no number
        (2, pixels(99999999999), "Training"),
        ("1" * 5000, pixels(1), "Training"),
    ]
    dataset = read_dataset(write_challenge(tmp_path, CHALLENGE + bad))
    assert [clip.key for clip in dataset.skipped] == [f"fer2013.csv#{n}" for n in range(6, 13)]
    assert [clip.reason.rpartition(" ")[2] for clip in dataset.skipped] == [
        "pixels.", "emotion.", "pixels.", "pixels.", "usage.", "pixels.", "emotion.",
    ]  # fmt: skip
    with pytest.raises(DataError, match="holds no picture"):
        read_dataset(write_challenge(tmp_path / "bad", bad))


def test_a_column_that_is_there_twice_is_told(tmp_path):
    path = write_challenge(tmp_path, CHALLENGE)
    table = path if path.is_file() else next(path.rglob("*.csv"))
    header, rows = table.read_text().split("\n", 1)
    table.write_text(f"{header.title()},{header}\n{rows}")
    with pytest.raises(DataError, match="has the column emotion twice"):
        read_dataset(path)


def write_picture(path, value, side=48):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (side, side), value).save(path)


def test_folders_of_pictures(tmp_path):
    root = tmp_path / "archive"
    write_picture(root / "train" / "angry" / "a.png", 10)
    write_picture(root / "train" / "happy" / "b.png", 20)
    write_picture(root / "test" / "surprise" / "c.png", 30)
    touch(root / "test" / "surprise" / "d.png", b"no picture")
    touch(root / "test" / "other" / "e.txt")
    dataset = read_dataset(root)
    assert dataset.stills["train"].labels.tolist() == [LABEL["anger"], LABEL["joy"]]
    assert dataset.stills["test"].pixels[:, 0, 0, 0].tolist() == [30]
    assert [clip.key for clip in dataset.skipped] == ["test/surprise/d.png"]


def test_tables_of_encoded_pictures(tmp_path):
    source = tmp_path / "source"
    for value, name in ((10, "a"), (20, "b")):
        write_picture(source / f"{name}.png", value)
    table = pd.DataFrame(
        {"jpeg": [(source / f"{n}.png").read_bytes() for n in "ab"], "label": ["fear", "joy"]}
    )
    for name in ("train", "public_test", "private_test"):
        (tmp_path / "tables").mkdir(exist_ok=True)
        table.to_parquet(tmp_path / "tables" / f"{name}.parquet")
    dataset = read_dataset(tmp_path / "tables")
    assert set(dataset.stills) == {"train", "dev", "test"}
    assert dataset.stills["dev"].labels.tolist() == [LABEL["fear"], LABEL["joy"]]
    shutil.copy(tmp_path / "tables" / "train.parquet", tmp_path / "tables" / "train-1.parquet")
    with pytest.raises(DataError, match="two tables of the part train"):
        read_dataset(tmp_path / "tables")


def test_pretraining_reads_the_same_layouts_in_its_own_scheme(tmp_path):
    from core.labels import IEMOCAP_4

    path = write_challenge(tmp_path, CHALLENGE) / "fer2013.csv"
    train = read_stills(path, IEMOCAP_4)
    assert train.labels.tolist() == [IEMOCAP_4.index("anger"), IEMOCAP_4.index("joy")]
    # disgust is none of the four
    assert read_stills(tmp_path, IEMOCAP_4, split="test").labels.tolist() == [IGNORED]
    with pytest.raises(DataError, match="holds no other pictures, only train, dev, test"):
        read_stills(path, MELD_7, split="other")


def test_pictures_held_out_keep_copies_together():
    random = np.random.default_rng(0)
    different = random.integers(0, 256, (60, 4, 4, 1), np.uint8)
    pictures = np.concatenate([different, different[:30]])
    labels = [MELD_7.labels[i % 3] for i in range(60)] + [MELD_7.labels[i % 3] for i in range(30)]
    stills = make_stills("made", list(pictures), labels, MELD_7)
    kept, held = stills.held_out(0.2, seed=3)
    assert len(kept) + len(held) == 90 and 9 <= len(held) <= 27

    def distinct(part):
        return {picture.tobytes() for picture in part.pixels}

    assert not distinct(kept) & distinct(held)
    assert set(held.labels.tolist()) == {0, 1, 2}
    assert stills.held_out(0.2, seed=3)[1].pixels.tolist() == held.pixels.tolist()


def test_copies_of_a_test_are_taken_out_of_what_is_learned():
    pictures = list(np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8))
    train = make_stills("made", pictures, ["joy"] * 5, MELD_7)
    test = make_stills("made", [pictures[1], pictures[3], pictures[3] + 100], ["fear"] * 3, MELD_7)
    assert train.without(test).pixels[:, 0, 0, 0].tolist() == [0, 2, 4]


def test_pictures_that_do_not_fit_are_told_with_their_place(tmp_path):
    for name, (width, height) in {"wide": (48, 40), "mixed": (40, 40)}.items():
        write_picture(tmp_path / name / "train" / "happy" / "a.png", 10)
        Image.new("L", (width, height)).save(tmp_path / name / "train" / "happy" / "b.png")
    with pytest.raises(DataError, match="mixed holds pictures of several sizes"):
        read_dataset(tmp_path / "mixed")
    (tmp_path / "wide" / "train" / "happy" / "a.png").unlink()
    with pytest.raises(DataError, match="wide holds pictures of 40 × 48; make them square"):
        read_dataset(tmp_path / "wide")
    touch(tmp_path / "broken" / "train" / "happy" / "a.png", b"no picture")
    with pytest.raises(DataError, match=r"broken holds no picture that can be read; .* a.png cannot be"):
        read_dataset(tmp_path / "broken")
    # Pillow would have another program draw it
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 48\n%%EndComments\nshowpage\n"
    for name, data in (("page", postscript), ("map", b"P5 2 2 255\n1234")):
        touch(tmp_path / name / "train" / "happy" / "a.jpg", data)
        with pytest.raises(DataError, match=rf"{name} holds no picture that can be read; .* a.jpg cannot be"):
            read_dataset(tmp_path / name)


def test_a_png_that_breaks_off_in_the_middle_is_told(tmp_path):
    path = tmp_path / "pictures" / "train" / "happy" / "a.png"
    write_picture(path, 10)
    # its only chunk of pixels tells a smaller size, so that what follows is no chunk
    head, pixels_of_it = path.read_bytes().split(b"IDAT", 1)
    path.write_bytes(head[:-4] + (5).to_bytes(4, "big") + b"IDAT" + pixels_of_it)
    with pytest.raises(DataError, match=r"a.png cannot be decoded \(broken PNG file"):
        read_dataset(tmp_path / "pictures")
    pq.write_table(pa.table({"jpeg": [path.read_bytes()], "label": ["joy"]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"picture 0 cannot be decoded \(broken PNG file"):
        read_stills(tmp_path / "train.parquet", MELD_7)


@pytest.mark.parametrize(
    ("labels", "unit", "told"),
    [
        ([["joy"], ["fear"]], 0.5, None),
        ([{"a": 1}, {"a": 2}], None, "no label is one of"),
        (["joy", "fear"], float("inf"), "action units without end"),
        (["joy", "fear"], float("nan"), None),
    ],
)
def test_labels_and_action_units_may_be_anything(tmp_path, labels, unit, told):
    write_picture(path := tmp_path / "a.png", 10)
    table = {"jpeg": [path.read_bytes()] * 2, "label": labels, "au1": pa.array([unit, None], pa.float64())}
    pq.write_table(pa.table(table), tmp_path / "train.parquet")
    if told is None:
        known = [LABEL.get(label, IGNORED) if isinstance(label, str) else IGNORED for label in labels]
        assert read_stills(tmp_path / "train.parquet", MELD_7).labels.tolist() == known
    else:
        with pytest.raises(DataError, match=told):
            read_stills(tmp_path / "train.parquet", MELD_7)


@pytest.mark.parametrize("side", [2049, 12_000, 16_384])
def test_a_small_file_of_a_huge_picture_is_not_decoded(tmp_path, side):
    write_picture(tmp_path / "train" / "happy" / "a.png", 0, side)
    with pytest.raises(DataError, match=r"a.png cannot be decoded \((it has|Image size)"):
        read_dataset(tmp_path)
    table = pa.table({"jpeg": [(tmp_path / "train" / "happy" / "a.png").read_bytes()], "label": ["joy"]})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"picture 0 cannot be decoded \((it has|Image size)"):
        read_stills(tmp_path / "train.parquet", MELD_7)


def test_more_pixels_than_fit_into_memory_are_refused(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "train" / "happy" / f"{name}.png", 0)
    monkeypatch.setattr(folders, "MAX_PICTURES_BYTES", 2 * 48 * 48)
    with pytest.raises(DataError, match="holds more than the allowed .* GiB of pixels; give a part"):
        read_dataset(tmp_path)


def test_too_few_pictures_to_hold_some_out_are_told(tmp_path):
    stills = read_dataset(write_challenge(tmp_path, [CHALLENGE[0], CHALLENGE[1]])).stills
    with pytest.raises(DataError, match="2 pictures are too few to hold some of them out"):
        honest_parts(stills)


def test_a_folder_without_pictures_is_refused(tmp_path):
    from training.datasets.fer2013 import read_fer2013

    with pytest.raises(DataError, match="holds no fer2013.csv"):
        read_fer2013(tmp_path)


def test_a_gigantic_table_is_refused_unread(tmp_path):
    path = write_challenge(tmp_path, CHALLENGE) / "fer2013.csv"
    # a hole, which takes no room on the disk
    os.truncate(path, 2**40)
    with pytest.raises(DataError, match=r"has 1,099,511,627,776 bytes, more than the allowed 536,870,912"):
        read_dataset(path)


def test_a_table_without_lines_is_no_table_of_the_challenge(tmp_path):
    """Whose first line would be all of it."""
    write_challenge(tmp_path, CHALLENGE)
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(2**40)
    assert len(read_dataset(tmp_path).stills["train"]) == 2


def test_very_many_rows_and_cells_are_not_kept(tmp_path, monkeypatch):
    rows = [*CHALLENGE, *[(2, "1 2 3", "Training")] * 20]
    path = write_challenge(tmp_path, rows) / "fer2013.csv"
    monkeypatch.setattr(fer2013, "MAX_ROWS", len(rows))
    assert len(read_dataset(path).skipped) == 20
    monkeypatch.setattr(fer2013, "MAX_ROWS", len(rows) - 1)
    with pytest.raises(DataError, match=f"has more than the allowed {len(rows) - 1} rows; give a part of it"):
        read_dataset(path)
    path.write_text("emotion,pixels,Usage\n0,1 2,Training" + "," * 100_000)
    with pytest.raises(DataError, match=r"line 2 has 100,003 cells and the header 3\)"):
        read_dataset(path)
    path.write_text("emotion,pixels,Usage\n0,1 2,Training" + "," * 200_000)
    with pytest.raises(DataError, match="line 2 has more than 131,072 characters"):
        read_dataset(path)
    path.write_text("emotion,pixels,Usage\n\n0\n")
    with pytest.raises(DataError, match="holds no picture of 48"):
        read_dataset(path)
