"""Files of tensors, which may come from anyone: the length of a header is looked at before it is read.

safetensors reads headers of up to 100 MB, for which it takes 2 GB and a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open

from core.media.limits import MIB

MAX_HEADER_BYTES = MIB
"""Names and shapes of all tensors; the 411 of the checkpoint everyday take 46 KB."""

_KINDS = {"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}
"""Of numbers, as safetensors calls them, that both frameworks know."""


@contextmanager
def open_tensors(
    path: str | Path, framework: str, *, max_header_bytes: int = MAX_HEADER_BYTES
) -> Iterator[safe_open]:
    """An open safetensors file.

    Args:
        path: of the file.
        framework: "pt" or "np", what its tensors are to be of.
        max_header_bytes: that its header may have.

    Raises:
        ValueError: its header is longer than is read, or it holds numbers that the framework does not know.
        SafetensorError: it is no such file.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
    if num_bytes > max_header_bytes:
        raise ValueError(
            f"its header is told to have {num_bytes:,} bytes, more than the allowed {max_header_bytes:,}"
        )
    with safe_open(path, framework=framework) as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118, it is no dict
        if unknown := kinds - _KINDS - ({"BF16"} if framework == "pt" else set()):
            raise ValueError(f"it holds numbers of the kind {min(unknown)}, which is not read")
        yield file


def read_tensors(path: str | Path, framework: str) -> dict:
    """All tensors of a file, by name. Raises as `open_tensors`."""
    with open_tensors(path, framework) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
