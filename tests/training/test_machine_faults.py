"""What the machine lacks is not laid to the clips: a set that is trained on does not lose them by it."""

from __future__ import annotations

import pytest
from made_clips import write_clip
from made_trees import touch, write_meld_release

from core.media import apart
from core.media.apart import MachineError
from training.datasets import Dataset, Utterance
from training.datasets.check import check_dataset
from training.datasets.meld import read_meld
from training.features import prepare


@pytest.fixture
def clip(tmp_path):
    return Utterance(key="clip", path=write_clip(tmp_path / "clip.mp4"), label="joy", split="train")


def test_no_room_for_the_process_that_decodes_ends_the_job(clip, tiny_model, tmp_path, monkeypatch):
    while apart._idle:
        apart._idle.pop().kill()
    with monkeypatch.context() as patch:
        patch.setattr(apart.sys, "executable", "/nowhere/python")
        with pytest.raises(MachineError, match="^clip.mp4 .* could not be started"):
            prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    assert len(prepare([clip], tiny_model, tmp_path / "cache", progress=False)) == 1


def test_a_long_job_waits_for_its_turn(clip, tiny_model, tmp_path, monkeypatch):
    class Seats:
        """Free at the third question, and at every one after that."""

        num_asked = 0

        def acquire(self, timeout: float) -> bool:
            self.num_asked += 1
            return self.num_asked > 2

        def release(self) -> None:
            pass

    monkeypatch.setattr(apart, "_seats", Seats())
    features = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    assert len(features) == 1 and not features.skipped
    assert apart._seats.num_asked > 2


def test_nor_is_it_laid_to_clips_that_are_checked_or_found(clip, tmp_path, monkeypatch):
    release = write_meld_release(tmp_path)
    touch(release / "output_repeated_splits_test" / "dia0_utt1.mp4", b"")
    while apart._idle:
        apart._idle.pop().kill()
    monkeypatch.setattr(apart.sys, "executable", "/nowhere/python")
    with pytest.raises(MachineError, match="could not be started"):
        check_dataset(Dataset(name="manifest", scheme=None, utterances=(clip,)), open_files=True)
    with pytest.raises(MachineError, match="could not be started"):
        read_meld(release)
