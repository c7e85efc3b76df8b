"""WAV and AVI: the texts in them are looked at before FFmpeg makes room for them.

Both are RIFF: chunks, each with a name of four letters, its length, and so many bytes. For chunks that tell
title, author or origin FFmpeg asks for as much memory as they claim to be long, and fills that of a `LIST`
of the kind `INFO` with zeros, before it reads: a file of 46 KB that claimed 2 GB took 900 MiB.

The way from chunk to chunk is FFmpeg's own, so that what it comes by is seen here. All other chunks may claim
what they like, for it passes over them, or reads them piece by piece. So recordings that were cut off, and
those of programs that write 0 or 0xFFFFFFFF for a length they do not know yet, are read as far as they go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from core.media.clip import MediaError
from core.media.limits import Limits

_HEADS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"ON2 ")
_LISTS = (b"LIST", b"RIFF")


def require_short_texts(file: BinaryIO, name: str, limits: Limits) -> None:
    """Check the texts of a WAV or AVI; any other file is left alone.

    Args:
        file: of which the place that is read next is moved.
        name: of the file, for the sentence.
        limits: see `Limits.max_text_bytes` and `max_packets`.

    Raises:
        MediaError: a text claims to be longer than is allowed, whether or not the file holds as much, or
            there are more chunks than there may be packets.
        OSError: it cannot be read.
    """
    for number, (chunk, size) in enumerate(_chunks(file)):
        if number > limits.max_packets:
            raise MediaError(
                f"{name} has more than the {limits.max_packets:,} chunks that are allowed; cut it."
            )
        if chunk in (b"INFO", b"bext", b"strn") and size > limits.max_text_bytes:
            raise MediaError(
                f"{name} is damaged: what tells its title or origin claims to have {size:,} bytes, more than "
                f"the allowed {limits.max_text_bytes:,}; copy or record it again, or repair it with a "
                "converter."
            )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The chunks that FFmpeg comes by: the name of each, of a list its kind, and the length it claims."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in _HEADS:
        return
    order = "big" if head[:4] == b"RIFX" else "little"
    is_wav = head[8:] == b"WAVE"
    is_long, sound_bytes, end_of_list, place = head[:4] in (b"RF64", b"BW64"), 0, 0, 12
    while True:
        file.seek(place)
        head = file.read(24)
        if len(head) < 8:
            return
        name, size = head[:4], int.from_bytes(head[4:8], order)
        kind = head[8:12] if name in _LISTS else name
        yield kind, size
        place += 8
        if is_wav:
            if name == b"ds64":
                # lengths of more than four bytes are told here
                sound_bytes = int.from_bytes(head[16:24], "little")
            elif name == b"data" and is_long:
                size = sound_bytes
            elif name == b"data" and not size:
                # the sound goes on to the end of the file
                return
        elif name in _LISTS:
            end_of_list = place + size
            if kind == b"movi" and not size:
                return
            if kind not in (b"INFO", b"movi"):
                # what is in the list comes next
                size = 4
        elif name == b"strf" and place < end_of_list:
            size = min(size, end_of_list - place)
        place += size + size % 2
