"""Pickles from outside, read without running anything they ask for.

A pickle is a small program: it names callables and has them called. Here every name is looked up in a table
of our own stand-ins, which build tensors, arrays and plain containers and nothing else; any other name ends
the reading. NumPy's and torch's own `__setstate__` never see what the file says. Storages inside a pickle
are a torch file of their own, read by torch's weights-only reader.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.datasets.utterance import DataError

MAX_BYTES = 512 * 1024**2
"""Of one pickle; the authors' largest, fifteen frames in 32-bit numbers, have 12 MB."""

_MAX_TIMES = 4
"""What a pickle's values take in all, over `MAX_BYTES`: a tensor is made of a storage, that of bytes."""

_MAX_REPEATED = 20
"""Tuples that are put into others more than once: each time may double what hashing the outermost takes."""

_HARMLESS = re.compile(
    r"(SHORT_)?(BIN)?(UNICODE|STRING|BYTES)8?|(STACK_)?GLOBAL|(EMPTY_)?(LIST|DICT|SET)|REDUCE"
)
"""Names of opcodes that leave no tuple on the stack."""

_DTYPE = re.compile(r"[biuf][1248]")


def read_pickle(path: str | Path) -> object:
    """What a pickle holds: tensors as torch tensors, arrays as NumPy arrays, and plain Python values.

    Raises:
        DataError: naming the first thing in it that is none of these, or why it cannot be read.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB, so it is not read.")
        data = path.read_bytes()
        if data.startswith(b"PK\x03\x04"):
            return _plain(_read_torch(data), {})
        _check(data)
        return _plain(_Unpickler(io.BytesIO(data)).load(), {})
    except _RefusedError as error:
        raise DataError(
            f"{path} asks for {error}, which is neither a tensor, an array nor a plain container, so it is "
            "not read; such a file could run any program."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); check the file.") from error
    except DataError:
        raise
    # a damaged pickle fails in as many ways as there are opcodes
    except Exception as error:
        raise DataError(
            f"{path} is not a pickle of tensors, arrays and plain containers "
            f"({type(error).__name__}); download it again."
        ) from error


class _RefusedError(Exception):
    """The pickle names something that is not admitted; the message is the name."""


class _Call:
    """A stand-in for a callable that a pickle names; nothing can be set on it, and it is no class."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise _RefusedError(f"setting the attribute {name}")


class _Type(_Call):
    """A stand-in for a class that is only ever named, as `numpy.ndarray` is."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        super().__init__(self._refuse)
        object.__setattr__(self, "_name", name)

    def _refuse(self, *arguments: object) -> object:
        raise _RefusedError(f"calling {self._name}")


class _Held:
    """What was made of a pickle's parts: it cannot reach into it, nor is anything called on it."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        object.__setattr__(self, "value", value)

    def __setattr__(self, name: str, value: object) -> None:
        raise _RefusedError(f"setting the attribute {name}")


class _Storage(_Held):
    """The numbers of a tensor."""

    __slots__ = ()


class _Room:
    """Memory that is left for what a pickle has made: a few bytes may ask for the same thing many times."""

    def __init__(self) -> None:
        self._left = _MAX_TIMES * MAX_BYTES

    def take(self, num_bytes: int) -> None:
        self._left -= num_bytes
        if self._left < 0:
            raise ValueError("it makes much more than it holds")


class _Dtype:
    """What a pickled `numpy.dtype` says: a kind, a size and a byte order; numbers and truth values alone."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_: object) -> None:
        if not (isinstance(code, str) and _DTYPE.fullmatch(code)):
            raise _RefusedError(f"an array of the type {str(code)[:40]!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        _, order, *rest = state
        # no fields, no sub-arrays, no metadata: only the byte order may be told
        if order not in ("<", ">", "=", "|") or any(part not in (None, -1, 0, b"") for part in rest):
            raise _RefusedError("an array of a structured type")
        self.order = order

    def numpy(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """A pickled `numpy.ndarray`."""

    __slots__ = ("_room", "array")

    def __init__(self, room: _Room) -> None:
        self._room = room

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        self.array = _array(data, dtype, shape, "F" if is_fortran else "C")
        self._room.take(self.array.nbytes)


def _array(data: object, dtype: object, shape: object, order: object = "C") -> np.ndarray:
    if not (isinstance(dtype, _Dtype) and isinstance(data, bytes | bytearray)):
        raise _RefusedError("an array of Python objects")
    values = np.frombuffer(bytes(data), dtype.numpy())
    if math.prod(shape) != values.size:
        raise ValueError("an array's shape does not fit its data")
    array = values.reshape(shape, order="F" if order == "F" else "C")
    return array.astype(array.dtype.newbyteorder("="))


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> _Held:
    return _Held(_array(data, dtype, shape, order))


def _scalar(dtype: object, data: object = b"") -> object:
    return _array(data, dtype, ()).item()


def _encode(text: str, encoding: str) -> bytes:
    # how protocols before 3 write bytes
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {str(encoding)[:40]!r}")
    return text.encode("latin1")


def _check(data: bytes) -> None:
    """Refuse what the file cannot back: a few bytes may ask for any amount of memory or time."""
    is_harmless: dict[int, bool] = {}
    before, num_repeated = "", 0
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name.endswith("PUT") or name == "MEMOIZE":
            place = len(is_harmless) if argument is None else argument
            if place > len(data):
                raise ValueError("it remembers more values than it has bytes")
            is_harmless[place] = _HARMLESS.fullmatch(before) is not None
        elif name == "DUP" or (name.endswith("GET") and not is_harmless.get(argument)):
            num_repeated += 1
            if num_repeated > _MAX_REPEATED:
                raise ValueError("it repeats tuples")
        before = name


def _read_torch(data: bytes) -> object:
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            if sum(part.file_size for part in file.infolist()) > MAX_BYTES:
                raise ValueError("unpacked it is too large")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # a file that torch refuses says so in a page of advice; the name is all that is needed
        name = re.search(r"GLOBAL ([\w.]+)", str(error))
        if name is None:
            raise
        raise _RefusedError(name[1]) from error


def _storage(data: bytes) -> _Storage:
    value = _read_torch(data)
    # torch admits its own functions and classes too, and hands them out as they are
    if not isinstance(value, torch.storage.TypedStorage):
        raise _RefusedError(f"a {type(value).__name__} in place of a storage")
    return _Storage(value)


def _tensor(storage: object, offset: int, size: tuple, stride: tuple, *_: object) -> _Held:
    if not isinstance(storage, _Storage):
        raise _RefusedError("a tensor without a storage")
    storage = storage.value
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True) if n)
    is_inside = offset >= 0 and min((*size, *stride, 0)) >= 0 and last < storage._size()
    # a stride of zero shows a number any number of times
    if math.prod(size) and not (is_inside and math.prod(size) <= storage._size()):
        raise ValueError("a tensor's shape does not fit its data")
    flat = torch.tensor([], dtype=storage.dtype).set_(storage._untyped_storage)
    return _Held(flat.as_strided(size, stride, offset).clone())


def _ordered(*items: object) -> dict:
    return dict(*items)


def _admitted(room: _Room) -> dict[str, Any]:
    """Stand-ins by full name, made anew for each pickle."""

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            made = function(*arguments)
            value = made.value if isinstance(made, _Held) else made
            # tensors and storages of torch, arrays of NumPy; the rest are Python's own
            room.take(value._nbytes() if isinstance(made, _Storage) else getattr(value, "nbytes", 0))
            room.take(sys.getsizeof(made))
            return made

        return call

    functions: dict[str, Callable[..., object]] = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch.storage._load_from_bytes": _storage,
        "collections.OrderedDict": _ordered,
        "numpy.dtype": _Dtype,
        "_codecs.encode": _encode,
    }
    # NumPy 1 and 2 name their module differently
    for core in ("numpy.core", "numpy._core"):
        functions |= {
            f"{core}.multiarray._reconstruct": lambda *_: _Array(room),
            f"{core}.multiarray.scalar": _scalar,
            f"{core}.numeric._frombuffer": _from_buffer,
        }
    names = {name: _Call(counted(function)) for name, function in functions.items()}
    return names | {"numpy.ndarray": _Type("numpy.ndarray")}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._names = _admitted(_Room())

    def find_class(self, module: str, name: str) -> object:
        """A stand-in for an admitted name; anything else ends the reading."""
        full = f"{module}.{name}"
        if full not in self._names:
            raise _RefusedError(full[:120])
        return self._names[full]

    def persistent_load(self, pid: object) -> object:
        """Nothing outside the file is fetched."""
        raise _RefusedError("an object outside the file")


def _plain(value: object, done: dict[int, object]) -> object:
    """The value with stand-ins replaced by what they hold.

    Args:
        value: of a pickle.
        done: by identity, what containers have become: one that is held many times is gone through once.
    """
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, _Held) and not isinstance(value, _Storage):
        value = value.value
    if isinstance(value, dict | list | tuple | set | frozenset):
        if id(value) not in done:
            done[id(value)] = _plain_container(value, done)
        return done[id(value)]
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError("a tensor shows its numbers many times")
        return value.detach()
    if value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray):
        return value
    raise _RefusedError(f"a {type(value).__name__.strip('_')}")


def _plain_container(value: dict | list | tuple | set | frozenset, done: dict[int, object]) -> object:
    if isinstance(value, dict):
        return {_plain(key, done): _plain(item, done) for key, item in value.items()}
    return type(value)(_plain(item, done) for item in value)
