"""Data sets of several kinds as one list of clips."""

import csv

import numpy as np
import pytest

from core.labels import MELD_7
from training.datasets import DataError
from training.pictures import read_picture_sources
from training.sources import make_features, of_split, read_sources, require_labels


@pytest.fixture
def faces(tmp_path):
    """Grey pictures in FER2013's own table: two of each label to learn from, one to test on, one in both."""
    random = np.random.default_rng(0)
    rows = []
    for usage, count in (("Training", 20), ("PublicTest", 1)):
        for label in range(7):
            for _ in range(count):
                pixels = random.integers(0, 256, 48 * 48)
                rows.append([label, " ".join(map(str, pixels)), usage])
    rows.append([*rows[-1][:2], "Training"])
    folder = tmp_path / "faces"
    folder.mkdir()
    with (folder / "fer2013.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["emotion", "pixels", "Usage"], *rows])
    return folder


def test_one_data_set_keeps_its_keys(corpus):
    sources = read_sources([corpus])
    assert len(sources.utterances) == 24 and sources.utterances[0].key == "train0.mp4"
    assert len(of_split(sources, "dev").utterances) == 6 and of_split(sources, "all") is sources
    with pytest.raises(DataError, match="no clip is of the split probe: it has dev, test, train"):
        of_split(sources, "probe")


def test_options_of_a_data_set_reach_its_reader(tmp_path):
    for name in ("03-01-02-01-01-01-01", "03-01-06-01-01-01-02", "03-02-06-01-01-01-03"):
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
    plain = read_sources([tmp_path])
    assert [u.label for u in plain.utterances] == ["neutral", "fear"]
    chosen = read_sources(
        [tmp_path], options={"ravdess": {"songs": "true", "calm": "skip"}, "meld": {"a": "b"}}
    )
    assert [u.label for u in chosen.utterances] == ["fear", "fear"]
    with pytest.raises(DataError, match="cannot be read as data_options say: .*calm"):
        read_sources([tmp_path], options={"ravdess": {"calm": "perhaps"}})
    with pytest.raises(DataError, match="cannot be read as data_options say: .*songz"):
        read_sources([tmp_path], options={"ravdess": {"songz": "true"}})


def test_pictures_join_clips_and_each_tells_where_it_is_from(corpus, faces, tiny_model, tmp_path):
    sources = read_sources([corpus, faces])
    features = make_features(of_split(sources, "dev"), tiny_model, tmp_path / "cache", progress=False)
    kinds = [utterance.extra["source"] for utterance in features.utterances]
    assert kinds[:6] == [corpus.name] * 6 and set(kinds[6:]) == {"fer2013"} and len(kinds) > 6
    face = features[len(features) - 1]
    size = tiny_model.config.video.image_size
    assert face.crops.shape == (1, size, size, 3) and face.audio is None and face.text is None
    assert features.num_frames(len(features) - 1) == 1
    assert len({utterance.key for utterance in features.utterances}) == len(features)


def test_pictures_that_are_tested_on_are_not_learned(faces, tiny_model, tmp_path):
    sources = read_sources([faces])
    parts = {name: of_split(sources, name).pictures[0][0] for name in ("train", "dev", "test")}
    assert len(parts["test"]) == 7 and len(parts["train"]) + len(parts["dev"]) == 140
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not set(parts[one].digests()) & set(parts[other].digests())


def test_pretraining_takes_the_same_parts(faces, tiny_model, tmp_path):
    sources = read_sources([faces])
    pictures = read_picture_sources(
        tiny_model,
        tmp_path / "cache",
        data=(),
        stills=(faces,),
        dev_stills=(),
        num_workers=1,
        progress=False,
    )
    for split, [stills] in (("train", pictures.train), ("dev", pictures.dev)):
        assert stills.digests() == of_split(sources, split).pictures[0][0].digests()


def test_what_actors_read_aloud_is_not_shown(tmp_path):
    (tmp_path / "03-01-05-01-01-01-01.wav").write_bytes(b"x")
    (tmp_path / "03-01-05-01-01-01-02.wav").write_bytes(b"x")
    sources = read_sources([tmp_path])
    assert len(sources.utterances) == 2 and {one.transcript for one in sources.utterances} == {None}


def test_labels_that_a_model_lacks_are_told(corpus, tmp_path):
    require_labels(read_sources([corpus]), MELD_7)
    (tmp_path / "manifest.csv").write_text("path,label\na.mp4,rapture\n")
    sources = read_sources([tmp_path])
    with pytest.raises(DataError, match="it has no splits"):
        of_split(sources, "test")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.csv").write_text("path,label\na.mp4,excited\n")
    with pytest.raises(DataError, match="or train with --set labels=iemocap-6"):
        require_labels(read_sources([tmp_path / "other"]), MELD_7, may_change=True)
    # a checkpoint's labels are what they are
    with pytest.raises(DataError, match=r"leave the clip out\.$"):
        require_labels(read_sources([tmp_path / "other"]), MELD_7)
    with pytest.raises(DataError, match="a.mp4 of .* has the label 'rapture', which meld-7 lacks; write one"):
        require_labels(sources, MELD_7)
