"""Texts from anyone are read when they are of a size that can be."""

import os
import re

import pytest

from core.texts import MAX_TEXT_BYTES, require_size


class Refused(Exception):  # noqa: N818, it stands for any error of a caller
    pass


def test_a_text_may_have_what_is_allowed_and_no_byte_more(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("{}")
    require_size(path, Refused, "make it again")
    # a hole, which takes no room on the disk
    os.truncate(path, MAX_TEXT_BYTES)
    require_size(path, Refused, "make it again")
    os.truncate(path, MAX_TEXT_BYTES + 1)
    told = f"{path} has 16,777,217 bytes, more than the allowed 16,777,216; make it again."
    with pytest.raises(Refused, match=f"^{re.escape(told)}$"):
        require_size(path, Refused, "make it again")
    require_size(path, Refused, "make it again", max_bytes=MAX_TEXT_BYTES + 1)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_not_read_for_ever(tmp_path, kind):
    path = tmp_path / "a.txt"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(Refused, match=r"a\.txt is not a regular file; copy it again\.$"):
        require_size(path, Refused, "copy it again")


def test_what_is_not_there_is_told_as_ever(tmp_path):
    with pytest.raises(FileNotFoundError):
        require_size(tmp_path / "a.txt", Refused, "copy it again")
