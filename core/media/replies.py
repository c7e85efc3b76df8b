"""Answers of the process that decodes files from strangers (`core.media.apart`), as bytes in a pipe.

A header in JSON and the bytes of the arrays. Nothing is unpickled, and nothing is believed of what is read.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from functools import cache
from types import NoneType, UnionType
from typing import BinaryIO

import numpy as np

from core.media.clip import DecodedMedia, Frames, MediaInfo
from core.media.limits import GIB

_RESULTS = {kind.__name__: kind for kind in (DecodedMedia, Frames, MediaInfo)}
_ARRAYS = ("uint8", "float32", "float64")
_FORMS = {
    "pixels": ("uint8", 4),
    "times_seconds": ("float64", 1),
    "waveform": ("float32", 1),
    # in no field of a result: bytes
    "": ("uint8", 1),
}
"""Numbers and number of axes of the arrays of a result, by their field."""

_MAX_HEADER_BYTES = 1 << 20
_MAX_REPLY_BYTES = GIB


def send(out: BinaryIO, mark: str, kind: str, value: object) -> None:
    """Writes an answer of a kind ("result", "refused", "fault", "memory") under the mark of its order."""
    arrays: list[np.ndarray] = []
    header = json.dumps({"mark": mark, "kind": kind, "value": _packed(value, arrays)}).encode()
    out.write(len(header).to_bytes(8, "big") + header)
    for array in arrays:
        out.write(array.data if array.size else b"")
    out.flush()


def _packed(value: object, arrays: list[np.ndarray]) -> object:
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.name, *value.shape]}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {type(value).__name__: {name: _packed(part, arrays) for name, part in fields.items()}}
    if isinstance(value, tuple):
        return [_packed(part, arrays) for part in value]
    # numpy's numbers are none that JSON knows
    return value.item() if isinstance(value, np.generic) else value


def receive(source: BinaryIO, mark: str, returns: object) -> tuple[str, object]:
    """The kind of an answer and its value, for a "result" of the type `returns`.

    The other side may have been taken over by what it decoded, so an answer is believed only as far as it has
    the form of one and is what the function returns.

    Raises:
        EOFError: the other side is gone.
        ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError: it is no such
            answer, or lacks the mark of the order, as one would that was sent ahead.
    """
    size = int.from_bytes(exactly(source, 8), "big")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(size)
    header = json.loads(exactly(source, size))
    if header["mark"] != mark:
        raise ValueError(mark)
    kind, value = header["kind"], _unpacked(header["value"], source, [_MAX_REPLY_BYTES])
    expected = {"result": returns, "refused": str, "fault": str, "memory": NoneType}[kind]
    if not _fits(value, expected):
        raise TypeError(kind)
    return kind, value


def _unpacked(value: object, source: BinaryIO, left: list[int]) -> object:
    if isinstance(value, list):
        return tuple(_unpacked(part, source, left) for part in value)
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind != "array":
        fields = {name: _unpacked(part, source, left) for name, part in inside.items()}
        return _RESULTS[kind](**fields)
    dtype, *shape = inside
    if dtype not in _ARRAYS:
        raise ValueError(inside)
    left[0] -= math.prod(shape) * np.dtype(dtype).itemsize
    if left[0] < 0:
        raise ValueError(shape)
    array = np.empty(shape, dtype)
    if array.size:
        _fill(source, memoryview(array).cast("B"))
    return array


def _fits(value: object, expected: object, name: str = "") -> bool:
    """Whether a value is of an annotated type, with all that it holds; `name` is of the field it lies in."""
    origin, parts = typing.get_origin(expected), typing.get_args(expected)
    if expected is object:
        return True
    if origin in (UnionType, typing.Union):
        return any(_fits(value, part, name) for part in parts)
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if parts[-1] is Ellipsis:
            parts = (parts[0],) * len(value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if type(value) is not expected:
        return False
    if isinstance(value, np.ndarray):
        return (value.dtype.name, value.ndim) == _FORMS.get(name)
    if expected in _RESULTS.values():
        return all(_fits(getattr(value, name), part, name) for name, part in _hints(expected).items())
    return True


@cache
def _hints(result: type) -> dict[str, object]:
    return typing.get_type_hints(result)


def exactly(source: BinaryIO, size: int) -> bytes:
    """So many bytes; EOFError where there are fewer."""
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _fill(source: BinaryIO, room: memoryview) -> None:
    while room:
        count = source.readinto(room)
        if not count:
            raise EOFError
        room = room[count:]
