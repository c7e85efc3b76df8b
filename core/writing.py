"""Files and folders that appear in one step, or not at all, whenever the writer is killed or the power fails.

What is written lies beside its place under another name until it is whole and on the disk. A kill leaves it
there, where nothing takes it for a result: the next that writes the same writes over it or removes it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
"""What the name of an unfinished file or folder ends in."""

NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.ENOTDIR, errno.EIO)
NOT_PERMITTED = (errno.EACCES, errno.EPERM)
"""Numbers of errors that are the disk's or the folder's, and not the program's."""

_EXCHANGE = 2
_HERE = -100


ELSEWHERE = "make room there or name another place"
ON_RESUME = "make room there, then run the same command with --resume: it goes on from what was kept"
AGAIN = "make room there or name another place, then run the same command again: it goes on from there"
"""Advice to who cannot write."""


def refusal(place: Path | str, error: Exception, advice: str = ELSEWHERE) -> str:
    """The sentence for what cannot be written: names the place, why, and what to do."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".")
    return f"{place} cannot be written ({reason}); {advice}."


@contextmanager
def written(place: Path, refused: type[Exception], advice: str = ELSEWHERE) -> Iterator[None]:
    """Write to `place` in the block: an OSError becomes the error `refused`, with a sentence.

    Args:
        place: that a person named.
        refused: takes the sentence.
        advice: what to do.
    """
    try:
        yield
    except OSError as error:
        raise refused(refusal(place, error, advice)) from error


@contextmanager
def replacing(
    path: Path, *, is_shared: bool = False, is_synced: bool = True, suffix: str = PART, mode: int = 0o666
) -> Iterator[Path]:
    """Give a path to write to; when all went well, what lies there takes the place of `path`.

    Args:
        path: what is to appear.
        is_shared: other processes may write the same file at the same time, so each needs a name of its own;
            otherwise what a kill left half written is written over by the next try. The file that is given
            is to be written into: who puts another in its place (safetensors' `save_file` does) loses the
            lock by which others know that it is not abandoned.
        is_synced: wait until the disk has it, so that a power cut leaves the old or the new file. It takes
            milliseconds, which many small files that are checked when they are read need not.
        suffix: of the unfinished file's name.
        mode: rights of a shared file, less what the user's mask takes away.

    Raises:
        OSError: it cannot be written; the number of the error is the system's, also where a library has
            wrapped it.
    """
    part, claim = Path(f"{path}{suffix}"), None
    if path.suffix == ".safetensors" and not is_shared:
        # safetensors itself writes beside the file it is given, and a kill leaves that
        for left in path.parent.glob(".tmp??????"):
            left.unlink(missing_ok=True)
    if is_shared:
        part, claim = _claimed(lambda: _own_file(path, suffix, mode))
    try:
        yield part
        if is_synced:
            _sync(part)
        os.replace(part, path)
        if is_synced:
            _sync(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        # libraries in other languages tell the system's error in words alone
        if type(error).__name__ == "SafetensorError" and (found := re.search(r"os error (\d+)", str(error))):
            number = int(found[1])
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    finally:
        if claim is not None:
            os.close(claim)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write to; when all went well, it takes the place of `folder`.

    A folder that was there is exchanged in the same step, where the system can do so; elsewhere a kill
    between two steps leaves it beside its place, and the next that writes there puts it back first.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear_folders(folder)
    home, claim = _claimed(
        lambda: Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=PART, dir=folder.parent))
    )
    # a folder of mkdtemp is closed to others, which the result should not be
    new, old = home / "new", home / "old"
    try:
        new.mkdir()
        yield new
        for path in (*new.iterdir(), new):
            _sync(path)
        if not folder.exists():
            os.replace(new, folder)
        elif not _exchanged(new, folder):
            os.replace(folder, old)
            os.replace(new, folder)
        _sync(folder.parent)
    finally:
        _put_back(old, folder)
        _release(home, claim)


class PrivateFolder:
    """A folder among the system's temporary ones, closed to other users, that ends with its process.

    What a process that was killed could not remove goes when the next folder of the same prefix is made.

    Args:
        prefix: of its name, of no other kind of folder.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, prefix: str) -> None:
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            # another session may be removing it
            with suppress(OSError):
                _remove_abandoned(left)
        self.path, self._claim = _claimed(lambda: Path(tempfile.mkdtemp(prefix=prefix)))
        self._remove = weakref.finalize(self, _release, self.path, self._claim)

    def remove(self) -> None:
        """Delete it and all that is in it."""
        self._remove()


def _release(folder: Path, claim: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if claim is not None:
        os.close(claim)


def _remove_abandoned(folder: Path) -> None:
    is_ours = not folder.is_symlink() and folder.is_dir() and folder.stat().st_uid == os.getuid()
    if is_ours and (claim := _lock(folder)) is not None:
        _release(folder, claim)


def require_writable(place: Path) -> None:
    """Check, before long work, that a file or folder can be made at `place`; leaves nothing behind.

    Raises:
        OSError: it cannot.
    """
    # as the system follows a path: where it leads nowhere yet, folders will be made
    place = place.absolute()
    parent = next((folder for folder in place.parents if os.path.lexists(folder)), place)
    with tempfile.TemporaryFile(dir=parent) as file:
        file.write(b"\0" * 4096)


def _own_file(path: Path, suffix: str, mode: int) -> Path:
    """A new file that no other process has, after what dead ones left of it is removed."""
    for left in path.parent.glob(f"{_literally(path.name)}.*{suffix}"):
        if (claim := _lock(left)) is not None:
            left.unlink(missing_ok=True)
            os.close(claim)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{suffix}")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return part


def _claimed(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """What is made, and a descriptor that holds it as `_lock` gives it."""
    while True:
        place = make()
        claim = _lock(place, is_patient=True)
        # who looked for abandoned ones may have taken it for one in between
        if place.exists():
            return place, claim
        if claim is not None:
            os.close(claim)


def _clear_folders(folder: Path) -> None:
    prefix = f".{folder.name}."
    for home in folder.parent.glob(f"{_literally(prefix)}*{PART}"):
        # "run.2" has a home that begins like those of "run": what `mkdtemp` makes up holds no dot
        is_own = "." not in home.name.removeprefix(prefix).removesuffix(PART)
        if is_own and home.is_dir() and (claim := _lock(home)) is not None:
            _put_back(home / "old", folder)
            _release(home, claim)


def _put_back(old: Path, folder: Path) -> None:
    """Gives a folder its place again where another was to take it and did not."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)


def _lock(place: Path, *, is_patient: bool = False) -> int | None:
    """A descriptor that holds a file or folder until it is closed or its process ends; None if another does.

    Also None on a file system that has no locks: there nothing is ever taken for abandoned.
    """
    try:
        claim = os.open(place, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
    except OSError:
        os.close(claim)
        return None
    return claim


def _exchanged(a: Path, b: Path) -> bool:
    """Swap two paths in one step; False where the system or the file system cannot."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    return swap is not None and swap(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some file systems do not know this of folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def _literally(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
