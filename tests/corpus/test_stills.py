"""Stills hold what pretraining reads, and tell the truth of what they show."""

import io

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from core.labels import MELD_7
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


def test_faces_of_dev_and_train_differ_and_pictures_decode(paths):
    rows = [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]
    pictures = [np.asarray(Image.open(io.BytesIO(row["jpeg"]))) for row in rows]
    assert {picture.shape for picture in pictures} == {(48, 48, 3)}
    assert min(picture.std() for picture in pictures) > 10
