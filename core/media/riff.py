"""WAV and AVI: the texts in them are looked at before FFmpeg makes room for them.

Both are RIFF: chunks, each with a name of four letters, its length, and so many bytes. Of a `LIST` of the
kind `INFO`, which tells title, author or origin, FFmpeg fills as much memory with zeros as it claims to be
long, before it reads: a file of 46 KB that claimed 2 GB took 900 MiB.

Where in a file FFmpeg comes by such a list depends on all that lies before it, so it is looked for in
every place. All other chunks may claim what they like, for FFmpeg passes over them, or reads them piece by
piece. So recordings that were cut off, and those of programs that write 0 or 0xFFFFFFFF for a length they do
not know yet, are read as far as they go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from core.media.clip import MediaError
from core.media.limits import MIB, Limits

_HEADS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"ON2 ")
_LIST = re.compile(rb"(?:LIST|list)(?=(.{4})INFO)", re.DOTALL)
_NUM_BYTES = 12
"""Of what tells such a list: its name, its length, and its kind."""


def require_short_texts(file: BinaryIO, name: str, limits: Limits) -> None:
    """Check the texts of a WAV or AVI; any other file is left alone.

    Args:
        file: of which the place that is read next is moved.
        name: of the file, for the sentence.
        limits: see `Limits.max_text_bytes`.

    Raises:
        MediaError: a text claims to be longer than is allowed, whether or not the file holds as much.
        OSError: it cannot be read.
    """
    for size in _claims(file):
        if size > limits.max_text_bytes:
            raise MediaError(
                f"{name} is damaged: what tells its title or origin claims to have {size:,} bytes, more than "
                f"the allowed {limits.max_text_bytes:,}; copy or record it again, or repair it with a "
                "converter."
            )


def _claims(file: BinaryIO) -> Iterator[int]:
    """Lengths that lists of texts claim; none in a file that is no RIFF."""
    file.seek(0)
    head = file.read(4)
    if head not in _HEADS:
        return
    order = "big" if head == b"RIFX" else "little"
    before = b""
    while part := file.read(MIB):
        read = before + part
        for found in _LIST.finditer(read):
            yield int.from_bytes(found[1], order)
        before = read[1 - _NUM_BYTES :]
