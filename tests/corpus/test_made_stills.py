"""Stills hold what pretraining reads, and tell the truth of what they show."""

import io

import numpy as np
import pyarrow.parquet
import pytest
from filelock import FileLock
from PIL import Image

from core.labels import MELD_7
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.speakers import identity_seed, make_speakers
from sample_data.corpus.stills import STILLS_PER_FACE, make_stills
from training.datasets.stills import TARGETS, read_stills


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    told = []
    out = tmp_path_factory.mktemp("stills")
    made = make_stills(out, num_stills=60, size=48, seed=2, progress=lambda *update: told.append(update[:2]))
    assert told[-1] == (60, 60)
    return made


def test_pretraining_reads_them(paths):
    train, dev = (read_stills(path, MELD_7) for path in paths)
    assert len(train) == 2 * STILLS_PER_FACE and len(dev) == STILLS_PER_FACE
    assert train.pixels.shape[1:] == (48, 48, 3)
    assert not np.isnan(train.targets).any() and train.targets.shape[1] == len(TARGETS)
    assert set(train.labels) <= set(range(7)) and len(set(train.labels)) >= 5


def test_units_are_those_of_the_label(paths):
    table = pyarrow.parquet.read_table(paths[0]).to_pandas()
    assert (table.loc[table.label == "joy", "au12"] > 0.2).all()
    assert (table.loc[table.label == "anger", "au12"] == 0).all()
    neutral = table[table.label == "neutral"]
    # brows may be raised in conversation, nothing else moves
    quiet = [name for name in table if name.startswith("au") and name not in ("au1", "au2")]
    assert (neutral[quiet] == 0).all(axis=None) and neutral.au1.max() <= 0.3


def test_no_face_of_the_stills_is_in_a_clip_or_in_two_parts():
    in_clips = {speaker.identity_seed for speaker in make_speakers(2)}
    in_stills = [identity_seed(2, "stills", number) for number in range(5000)]
    assert len(set(in_stills)) == 5000 and not in_clips & set(in_stills)


def test_faces_that_were_finished_are_not_rendered_again(paths, tmp_path):
    first = make_stills(tmp_path, num_stills=4, size=32, seed=5)
    train, dev = (pyarrow.parquet.read_table(path) for path in first)
    # as if a run had ended after one face, whose rows can be told from those that would be made
    for path in first:
        path.unlink()
    (tmp_path / "parts").mkdir()
    pyarrow.parquet.write_table(train.slice(0, 1), tmp_path / "parts" / "train-000001.parquet")
    again = make_stills(tmp_path, num_stills=4, size=32, seed=5)
    assert pyarrow.parquet.read_table(again[0]).equals(train.slice(0, 1))
    assert pyarrow.parquet.read_table(again[1]).equals(dev)
    assert not (tmp_path / "parts").exists()


def test_a_finished_run_is_not_made_again(paths):
    out = paths[0].parent
    before = [path.stat().st_mtime_ns for path in paths]
    # as if it had been killed while it cleaned up
    (out / "parts").mkdir()
    told = []
    again = make_stills(out, num_stills=60, size=48, seed=2, progress=lambda *update: told.append(update[:2]))
    assert again == paths and told == [(60, 60)]
    assert [path.stat().st_mtime_ns for path in paths] == before
    assert not (out / "parts").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "seed is 2, not 3"),
        ({"size": 32}, "size is 48, not 32"),
        ({"num_stills": 40}, "60, not 40"),
    ],
)
def test_other_pictures_do_not_take_their_place(paths, changes, message):
    before = [path.read_bytes() for path in paths]
    with pytest.raises(CorpusError, match=f"holds other pictures.*{message}.*choose another folder"):
        make_stills(paths[0].parent, **({"num_stills": 60, "size": 48, "seed": 2} | changes))
    assert [path.read_bytes() for path in paths] == before


def test_two_runs_on_one_folder_are_refused(tmp_path):
    with (
        FileLock(tmp_path / "stills.lock"),
        pytest.raises(CorpusError, match="Another run is making pictures"),
    ):
        make_stills(tmp_path, num_stills=2, size=32, seed=1)


@pytest.mark.parametrize("num_stills", [3, STILLS_PER_FACE + 1])
def test_there_are_as_many_pictures_as_asked_for(tmp_path, num_stills):
    made = make_stills(tmp_path, num_stills=num_stills, size=32, seed=1)
    counts = [pyarrow.parquet.read_metadata(path).num_rows for path in made]
    assert sum(counts) == num_stills and min(counts) > 0


def test_one_picture_is_too_few(tmp_path):
    with pytest.raises(CorpusError, match="1 is too few pictures; choose 2 or more"):
        make_stills(tmp_path / "out", num_stills=1, size=32, seed=1)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_told_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written"):
        make_stills(tmp_path / "file" / "out", num_stills=10**6, size=512, seed=1)


def test_pictures_decode(paths):
    rows = [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]
    pictures = [np.asarray(Image.open(io.BytesIO(row["jpeg"]))) for row in rows]
    assert {picture.shape for picture in pictures} == {(48, 48, 3)}
    assert min(picture.std() for picture in pictures) > 10
