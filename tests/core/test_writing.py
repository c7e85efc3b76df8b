"""What is written appears whole or not at all, and what a kill leaves is cleared by the next writer."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core import writing
from core.writing import PrivateFolder, refusal, replacing, replacing_folder, require_writable
from tests.full_disk import files_of_at_most


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, is_shared):
    path = tmp_path / "a.txt"
    with replacing(path, is_shared=is_shared) as part:
        part.write_text("first")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), replacing(path, is_shared=is_shared) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "first" and names(tmp_path) == ["a.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_full_disk_is_told_by_its_number_and_leaves_the_old_file(tmp_path, is_shared):
    path = tmp_path / "a.safetensors"
    path.write_text("old")
    large = {"a": np.zeros(100_000)}
    with (
        files_of_at_most(10_000),
        pytest.raises(OSError) as told,
        replacing(path, is_shared=is_shared) as part,
    ):
        save_file(large, part)
    assert told.value.errno == errno.EFBIG
    assert refusal(path, told.value) == (
        f"{path} cannot be written (File too large); make room there or name another place."
    )
    assert path.read_text() == "old" and names(tmp_path) == ["a.safetensors"]


def test_what_a_kill_left_of_safetensors_goes_with_the_next_writing(tmp_path):
    (tmp_path / ".tmpFYuCC3").write_bytes(b"half")
    with replacing(tmp_path / "a.json") as part:
        part.write_text("{}")
    assert ".tmpFYuCC3" in names(tmp_path)
    with replacing(tmp_path / "a.safetensors") as part:
        save_file({"x": np.zeros(2)}, part)
    assert names(tmp_path) == ["a.json", "a.safetensors"]


def test_what_a_dead_writer_left_of_a_shared_file_goes_and_that_of_a_living_one_stays(tmp_path):
    path = tmp_path / "a[1].txt"
    dead, other = tmp_path / "a[1].txt.0123.part", tmp_path / "a1.txt.0123.part"
    dead.write_text("half")
    other.write_text("of another file")
    with replacing(path, is_shared=True) as slow:
        slow.write_text("slow")
        assert not dead.exists() and other.exists()
        with replacing(path, is_shared=True) as quick:
            quick.write_text("quick")
            assert slow.exists() and slow != quick
        assert path.read_text() == "quick"
    assert path.read_text() == "slow" and names(tmp_path) == ["a1.txt.0123.part", "a[1].txt"]


def fill(folder, text):
    with replacing_folder(folder) as new:
        (new / "a.txt").write_text(text)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(writing, "_exchanged", lambda a, b: False)
    folder = tmp_path / "deep" / "result"
    fill(folder, "first")
    (folder / "only here.txt").write_text("x")
    fill(folder, "second")
    assert names(folder) == ["a.txt"] and (folder / "a.txt").read_text() == "second"
    with pytest.raises(KeyboardInterrupt), replacing_folder(folder) as new:
        (new / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert (folder / "a.txt").read_text() == "second" and names(tmp_path / "deep") == ["result"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch, error):
    folder, replace = tmp_path / "result", os.replace
    fill(folder, "first")
    monkeypatch.setattr(writing, "_exchanged", lambda a, b: False)

    def refuse_the_new(source, target):
        if source.name == "new":
            raise error
        replace(source, target)

    monkeypatch.setattr("os.replace", refuse_the_new)
    with pytest.raises(type(error)):
        fill(folder, "second")
    assert (folder / "a.txt").read_text() == "first" and names(tmp_path) == ["result"]


def test_what_a_kill_left_of_a_folder_is_cleared_and_an_old_result_put_back(tmp_path):
    folder = tmp_path / "result"
    for name, inside in ((".result.abc.part", "new"), (".result.def.part", "old")):
        (tmp_path / name / inside).mkdir(parents=True)
        (tmp_path / name / inside / "a.txt").write_text(inside)
    with pytest.raises(KeyboardInterrupt), replacing_folder(folder) as new:
        assert (folder / "a.txt").read_text() == "old"
        with replacing_folder(folder) as other:
            (other / "a.txt").write_text("other")
        assert new.is_dir()
        raise KeyboardInterrupt
    assert (folder / "a.txt").read_text() == "other" and names(tmp_path) == ["result"]


def test_what_a_kill_left_of_a_folder_with_a_longer_name_is_not_taken_for_ones_own(tmp_path):
    left = tmp_path / ".run.2.abcdefgh.part" / "old"
    left.mkdir(parents=True)
    (left / "a.txt").write_text("of run.2")
    fill(tmp_path / "run", "of run")
    assert (tmp_path / "run" / "a.txt").read_text() == "of run" and (left / "a.txt").exists()
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "run.2"):
        raise KeyboardInterrupt
    assert (tmp_path / "run.2" / "a.txt").read_text() == "of run.2"
    assert names(tmp_path) == ["run", "run.2"]


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path):
    require_writable(tmp_path / "not" / "there" / "yet")
    assert not names(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError) as told:
        require_writable(tmp_path / "file" / "result")
    assert told.value.errno in writing.NOT_WRITABLE
    with files_of_at_most(100), pytest.raises(OSError):
        require_writable(tmp_path / "result")
    assert names(tmp_path) == ["file"]


def test_a_private_folder_goes_with_its_process_or_when_the_next_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "mine-killed").mkdir()
    (tmp_path / "mine-killed" / "face.mp4").write_text("somebody")
    (tmp_path / "other").mkdir()
    first = PrivateFolder("mine-")
    assert names(tmp_path) == sorted([first.path.name, "other"])
    (first.path / "clip.mp4").write_text("x")
    second = PrivateFolder("mine-")
    assert (first.path / "clip.mp4").exists() and second.path.stat().st_mode & 0o077 == 0
    first.remove()
    assert not first.path.exists()
    path = second.path
    del second
    assert not path.exists() and names(tmp_path) == ["other"]


def test_the_root_of_all_folders_is_a_place_like_others():
    # who may not write there is told so
    with suppress(OSError):
        require_writable(Path("/"))
