"""The store of explanations: a folder of results, each under a hash of all that it depends on.

Results are frozen dataclasses of arrays and plain values. They are kept as safetensors bytes, arrays as
tensors and the rest as JSON, so that reading an entry never runs code from it. An entry appears whole or not
at all, carries a checksum, and its time of change says when it was last used; so threads and processes share
a folder without a lock. Where the folder cannot be written, explanations are made anew each time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from core.from_dict import dataclass_from_dict
from core.writing import replacing

FORMAT = 1
"""Raised when the layout of an entry changes: entries of another format are not found any more."""

SUFFIX = ".explanation"
"""Of an entry. Nothing else in the folder is counted or removed."""

UNFINISHED_SUFFIX = SUFFIX + ".tmp"

ABANDONED_SECONDS = 3600.0
"""An unfinished entry of this age is what a killed process left behind; who makes it anew asks for no age."""

_JSON = "json"
"""The tensor that holds all that is no array."""

T = TypeVar("T")

_File = tuple[int, int, str]
"""Time of the last use in nanoseconds, size in bytes, path."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExplanationKey:
    """All that an explanation depends on; equal keys share an entry.

    Attributes:
        clip_sha256: of the media file, "" for words alone.
        start_seconds: where the clip begins in the file.
        end_seconds: where it ends.
        transcript: the words the model read.
        checkpoint_sha256: of the model, as `Predictor.identity`.
        method: its name.
        parameters: whatever else changes the result (target, steps, seed, times of the words …), as plain
            JSON types; their order does not matter.
        version: of the method's code, raised when the same question gets another answer or the type of the
            result changes.
    """

    clip_sha256: str
    start_seconds: float
    end_seconds: float
    transcript: str
    checkpoint_sha256: str
    method: str
    parameters: dict[str, object] = field(default_factory=dict)
    version: int

    @property
    def digest(self) -> str:
        """SHA-256 of the key, in hexadecimal digits.

        Raises:
            ValueError: if a parameter is of no plain JSON type.
        """
        span = {"start_seconds": float(self.start_seconds), "end_seconds": float(self.end_seconds)}
        try:
            text = json.dumps([FORMAT, asdict(self) | span], sort_keys=True)
        except TypeError as error:
            raise ValueError(f"parameters of {self.method} should be plain JSON types ({error})") from error
        return hashlib.sha256(text.encode()).hexdigest()


class ExplanationStore:
    """Keeps explanations in a folder; shared by threads and processes.

    Args:
        folder: made when the first explanation is kept. It is closed to other users, for it holds what people
            say in their clips.
        max_bytes: the entries take no more than this; the least recently used go first.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._has_told = False

    def get_or_compute(self, key: ExplanationKey, result_type: type[T], compute: Callable[[], T]) -> T:
        """The result kept under `key`, or else that of `compute`, which is then kept.

        Two that ask for the same key at once may both compute.

        Raises:
            ValueError: from `ExplanationKey.digest` and `to_bytes`. What `compute` raises passes through.
        """
        result = self.get(key, result_type)
        if result is None:
            result = compute()
            self.put(key, result)
        return result

    def get(self, key: ExplanationKey, result_type: type[T]) -> T | None:
        """The result kept under `key`; None where there is none. A damaged entry is removed."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(error)
            return None
        try:
            result = from_bytes(result_type, _verified(content))
        except ValueError as error:
            logger.warning("An explanation in %s is damaged and is made anew: %s", path, error)
            with suppress(OSError):
                path.unlink()
            return None
        # a folder that can only be read still serves
        with suppress(OSError):
            _mark_used(path)
        return result

    def put(self, key: ExplanationKey, result: object) -> None:
        """Keep a result; where the folder cannot be written, a warning tells so once.

        Raises:
            ValueError: from `ExplanationKey.digest` and `to_bytes`.
        """
        path = self._path(key)
        data = to_bytes(result)
        content = hashlib.sha256(data).digest() + data
        # else all others would have to go, and then this one
        if len(content) > self.max_bytes:
            return
        try:
            self._write(path, content)
            self._evict()
        except OSError as error:
            self._tell(error)

    def clear(self) -> None:
        """Remove all entries."""
        for _, _, path in _removable(self._files()):
            Path(path).unlink(missing_ok=True)

    @property
    def num_bytes(self) -> int:
        """What the entries take, unfinished ones included."""
        return sum(size for _, size, _ in self._files())

    def _path(self, key: ExplanationKey) -> Path:
        return self.folder / f"{key.digest}{SUFFIX}"

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # the checksum finds what a power cut did
        unfinished_as = {"suffix": UNFINISHED_SUFFIX, "mode": 0o600}
        with replacing(path, is_shared=True, is_synced=False, **unfinished_as) as unfinished:
            unfinished.write_bytes(content)
            _mark_used(unfinished)

    def _evict(self) -> None:
        files = self._files()
        excess = sum(size for _, size, _ in files) - self.max_bytes
        for _, size, path in sorted(_removable(files)):
            if excess <= 0:
                return
            Path(path).unlink(missing_ok=True)
            excess -= size

    def _files(self) -> list[_File]:
        files = []
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as found:
            for item in found:
                # others may remove files meanwhile
                with suppress(FileNotFoundError):
                    if item.name.endswith((SUFFIX, UNFINISHED_SUFFIX)):
                        status = item.stat(follow_symlinks=False)
                        files.append((status.st_mtime_ns, status.st_size, item.path))
        return files

    def _tell(self, error: OSError) -> None:
        if not self._has_told:
            self._has_told = True
            logger.warning(
                "Explanations are not kept in %s (%s), so each is computed anew; make room there or name "
                "another folder in DEEPMSI_CACHE_DIR.",
                self.folder,
                error.strerror or error,
            )


def cache_folder() -> Path:
    """Where explanations may be kept: in `DEEPMSI_CACHE_DIR`, or else in the user's cache folder."""
    if named := os.environ.get("DEEPMSI_CACHE_DIR"):
        return Path(named).expanduser() / "explanations"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "deepmsi" / "explanations"


def to_bytes(result: object) -> bytes:
    """A result as safetensors bytes.

    Args:
        result: a dataclass of arrays (bool, integers, floats), text, numbers, bools, None, paths, tuples and
            dictionaries of these, and dataclasses of the same kind. Numpy's own numbers become plain ones.

    Raises:
        ValueError: if a value is of another kind or does not fit its annotation, so that it could not be
            read back.
    """
    arrays: list[tuple[tuple[str | int, ...], np.ndarray]] = []
    plain = _without_arrays(result, (), arrays)
    try:
        text = json.dumps({"plain": plain, "arrays": [path for path, _ in arrays]})
        tensors = {
            # safetensors knows nothing of strides and of foreign byte orders
            str(index): array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
            for index, (_, array) in enumerate(arrays)
        }
        data = safetensors.numpy.save(tensors | {_JSON: np.frombuffer(text.encode(), np.uint8)})
    except (TypeError, KeyError, SafetensorError) as error:
        raise ValueError(f"{type(result).__name__} cannot be kept: {error}") from error
    from_bytes(type(result), data)
    return data


def from_bytes(result_type: type[T], data: bytes) -> T:
    """The result that `to_bytes` wrote; lists become the tuples that the annotations say.

    Raises:
        ValueError: if the bytes are damaged or hold another type.
    """
    try:
        tensors = safetensors.numpy.load(data)
        content = json.loads(tensors[_JSON].tobytes())
        plain = content["plain"]
        for index, path in enumerate(content["arrays"]):
            *parents, name = path
            place = plain
            for parent in parents:
                place = place[parent]
            place[name] = tensors[str(index)]
        return dataclass_from_dict(result_type, plain, result_type.__name__)
    # what can be wrong with foreign bytes is more than one type of error
    except (SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no {result_type.__name__} can be read from it: {error}") from error


def _without_arrays(value: object, path: tuple[str | int, ...], arrays: list) -> object:
    """JSON types for a value; arrays are put aside with the path that leads to them, and leave a None."""
    if isinstance(value, np.ndarray):
        arrays.append((path, value))
        return None
    if is_dataclass(value):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, dict):
        return {str(key): _without_arrays(item, (*path, str(key)), arrays) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_without_arrays(item, (*path, index), arrays) for index, item in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _verified(content: bytes) -> bytes:
    """An entry without its checksum, which finds what a power cut or a bad disk did to it."""
    digest, data = content[:32], content[32:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("its checksum is wrong")
    return data


def _removable(files: list[_File]) -> list[_File]:
    """All but those that somebody is just writing."""
    abandoned_ns = time.time_ns() - int(ABANDONED_SECONDS * 1e9)
    return [file for file in files if file[2].endswith(SUFFIX) or file[0] < abandoned_ns]


def _mark_used(path: Path) -> None:
    # the clock that files get by themselves is too coarse to tell the order of quick uses
    now = time.time_ns()
    os.utime(path, ns=(now, now))
