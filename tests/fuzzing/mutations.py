"""What is done to the bytes of a valid file to make a hostile one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TAGS = (
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"ctts", b"stsc", b"stsz", b"stco"),
    *(b"mvhd", b"tkhd", b"mdhd", b"elst", b"ftyp", b"mdat", b"avcC", b"esds"),
    *(b"RIFF", b"LIST", b"hdrl", b"avih", b"strh", b"strf", b"movi", b"idx1", b"fmt ", b"data"),
    *(b"OggS", b"fLaC", b"OpusHead", b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75"),
    *(b"PAR1", b'{"', b"shape", b"data_offsets"),
)
"""Names of boxes, chunks, pages, elements and fields; beside them stand the sizes that a reader trusts."""

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD_BYTES = 4096


def damaged(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    """The file, damaged in one to three ways; never empty.

    Args:
        data: of the file.
        others: valid files that parts may come from.
        random: draws everything.
    """
    for _ in range(random.integers(1, 4)):
        damage = _DAMAGES[random.integers(len(_DAMAGES))]
        data = damage(data, others, random) or data[:1]
    return data


def _flip(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    """A few bits, in half of the cases near the head, where what steers the reader stands."""
    changed = np.frombuffer(data, np.uint8).copy()
    end = min(len(data), HEAD_BYTES) if random.random() < 0.5 else len(data)
    places = random.integers(0, end, random.integers(1, 65))
    np.bitwise_xor.at(changed, places, (1 << random.integers(0, 8, len(places))).astype(np.uint8))
    return changed.tobytes()


def _overwrite(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    start, length = random.integers(len(data)), int(random.integers(1, 257))
    fill = (bytes(length), b"\xff" * length, random.bytes(length))[random.integers(3)]
    return data[:start] + fill + data[start + length :]


def _truncate(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    return data[: random.integers(1, len(data) + 1)]


def _cut_out(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    start, end = sorted(random.integers(0, len(data) + 1, 2))
    return data[:start] + data[end:]


def _repeat(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    start, end = sorted(random.integers(0, len(data) + 1, 2))
    return data[:end] + data[start:end] * int(random.integers(1, 4)) + data[end:]


def _splice(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    """Head of this one, tail of another."""
    other = others[random.integers(len(others))]
    return data[: random.integers(1, len(data) + 1)] + other[random.integers(0, len(other)) :]


def _lie(data: bytes, others: Sequence[bytes], random: np.random.Generator) -> bytes:
    """Another number beside the name of a box or chunk: a size, a count, a duration."""
    places = [place for tag in TAGS for place in _places(data, tag)]
    if not places:
        return _flip(data, others, random)
    place = places[random.integers(len(places))] + int(random.choice((-8, -4, 4, 8, 12, 16, 20)))
    value = int(EXTREMES[random.integers(len(EXTREMES))])
    order = "big" if random.random() < 0.5 else "little"
    place = max(0, place)
    return data[:place] + value.to_bytes(4, order) + data[place + 4 :]


def _places(data: bytes, tag: bytes) -> list[int]:
    found, place = [], data.find(tag)
    while place >= 0:
        found.append(place)
        place = data.find(tag, place + 1)
    return found


_DAMAGES = (_flip, _flip, _overwrite, _truncate, _cut_out, _repeat, _splice, _lie, _lie)
