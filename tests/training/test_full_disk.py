"""A full disk: a sentence in place of clips that pass for unusable, and what was kept stays whole."""

import pytest
import torch

from tests.full_disk import files_of_at_most
from tests.training.made_clips import write_clip
from training.datasets import DataError, Utterance
from training.feature_cache import CacheError
from training.features import prepare
from training.logs import Curves
from training.pretrained import save_part
from training.state import RunState, read_state, write_state


@pytest.fixture
def clip(tmp_path):
    return Utterance(key="a", path=write_clip(tmp_path / "a.mp4"), label="joy", transcript="well done")


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_clips(clip, tiny_model, tmp_path):
    cache = tmp_path / "cache"
    with files_of_at_most(100), pytest.raises(CacheError, match=f"^{cache} cannot be written .*--cache-dir"):
        prepare([clip], tiny_model, cache, progress=False)
    assert not files(cache)
    assert len(prepare([clip], tiny_model, cache, progress=False)) == 1


def test_a_cache_that_holds_everything_need_not_be_written(clip, tiny_model, tmp_path):
    first = prepare([clip], tiny_model, tmp_path / "cache", progress=False)[0]
    with files_of_at_most(0):
        features = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
        assert not features.skipped and torch.equal(features[0].audio, first.audio)


def test_a_truncated_feature_is_made_anew(clip, tiny_model, tmp_path):
    cache = tmp_path / "cache"
    prepare([clip], tiny_model, cache, progress=False)
    whole = files(cache)
    for number, path in enumerate(path for path in whole if path.suffix == ".safetensors"):
        # as a power cut leaves it: empty, or cut off
        path.write_bytes(whole[path][: number * 20])
    assert len(prepare([clip], tiny_model, cache, progress=False)) == 1
    assert files(cache) == whole


def test_the_state_before_stays_where_the_next_does_not_fit(tmp_path):
    write_state(tmp_path, RunState(tensors={"a": torch.ones(2)}, values={"step": 1}))
    large = RunState(tensors={"a": torch.ones(10_000)}, values={"step": 2})
    with files_of_at_most(5_000), pytest.raises(DataError, match=f"^{tmp_path} cannot be written .*--resume"):
        write_state(tmp_path, large)
    assert read_state(tmp_path).values == {"step": 1} and len(files(tmp_path)) == 1


def test_an_encoder_that_does_not_fit_leaves_the_one_before(tmp_path):
    path = tmp_path / "video.safetensors"
    save_part(path, torch.nn.Linear(2, 2))
    before = files(tmp_path)
    with files_of_at_most(5_000), pytest.raises(DataError, match=f"^{tmp_path} cannot be written"):
        save_part(path, torch.nn.Linear(100, 100))
    assert files(tmp_path) == before


# a thread that fails would print its traceback
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_curves_that_cannot_be_written_end_no_run(tmp_path, capsys):
    curves = Curves(tmp_path / "curves")
    with files_of_at_most(0):
        for step in range(3):
            curves.add(step, {"loss": 1.0})
        curves.close()
    curves.add(3, {"loss": 1.0})
    told = capsys.readouterr().err
    assert told.count(f"Curves are not kept in {tmp_path / 'curves'} any more (File too large)") == 1
    assert "Traceback" not in told
