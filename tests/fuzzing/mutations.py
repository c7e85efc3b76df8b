"""Valid media files and what is done to them to make hostile ones, each again from a seed and a number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.core.media.made_media import grey_pictures, tone, write_media

TAGS = (
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"ctts", b"stsc", b"stsz", b"stco"),
    *(b"mvhd", b"tkhd", b"mdhd", b"elst", b"ftyp", b"mdat", b"avcC", b"esds"),
    *(b"RIFF", b"LIST", b"hdrl", b"avih", b"strh", b"strf", b"movi", b"idx1", b"fmt ", b"data"),
    *(b"OggS", b"fLaC", b"OpusHead", b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75"),
)
"""Names of boxes, chunks, pages and elements; beside them stand the sizes that a reader trusts."""

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD_BYTES = 4096

FORMATS = {
    "mp4": ("libx264", "aac"),
    "mkv": ("libx264", "aac"),
    "webm": ("libvpx", "libopus"),
    "avi": ("mpeg4", "libmp3lame"),
    "ts": ("libx264", "aac"),
    "flv": ("flv", "libmp3lame"),
    "mpg": ("mpeg1video", "mp2"),
    "wav": (None, "pcm_s16le"),
    "mp3": (None, "libmp3lame"),
    "flac": (None, "flac"),
    "ogg": (None, "libopus"),
    "m4a": (None, "aac"),
}
"""Codecs of picture and sound by file name extension."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file to try.

    Attributes:
        name: it is given, which tells how to make it again.
        data: its content.
    """

    name: str
    data: bytes


def made_files(folder: Path) -> dict[str, bytes]:
    """A short valid file of every format that is read, by extension."""
    found = {}
    for extension, (video_codec, audio_codec) in FORMATS.items():
        sample_rate = 48_000 if audio_codec == "libopus" else 44_100
        picture = {}
        if video_codec is not None:
            times = [k / 25 for k in range(12)]
            picture = {"pictures": grey_pictures(12), "times_seconds": times, "video_codec": video_codec}
        path = write_media(
            folder / f"valid.{extension}",
            **picture,
            sound=tone(0.5, sample_rate),
            sample_rate=sample_rate,
            audio_codec=audio_codec,
        )
        found[extension] = path.read_bytes()
    return found


def case(files: dict[str, bytes], seed: int, number: int) -> Case:
    """The file of that number: one of `files` by turns, damaged in one to three ways."""
    random = np.random.default_rng((seed, number))
    extension = sorted(files)[number % len(files)]
    data = files[extension]
    for _ in range(random.integers(1, 4)):
        damage = _DAMAGES[random.integers(len(_DAMAGES))]
        data = damage(data, files, random) or data[:1]
    return Case(name=f"{seed}-{number}.{extension}", data=data)


def _flip(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    """A few bits, in half of the cases near the head, where what steers the reader stands."""
    changed = np.frombuffer(data, np.uint8).copy()
    end = min(len(data), HEAD_BYTES) if random.random() < 0.5 else len(data)
    places = random.integers(0, end, random.integers(1, 65))
    np.bitwise_xor.at(changed, places, (1 << random.integers(0, 8, len(places))).astype(np.uint8))
    return changed.tobytes()


def _overwrite(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    start, length = random.integers(len(data)), int(random.integers(1, 257))
    fill = (bytes(length), b"\xff" * length, random.bytes(length))[random.integers(3)]
    return data[:start] + fill + data[start + length :]


def _truncate(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    return data[: random.integers(1, len(data) + 1)]


def _cut_out(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    start, end = sorted(random.integers(0, len(data) + 1, 2))
    return data[:start] + data[end:]


def _repeat(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    start, end = sorted(random.integers(0, len(data) + 1, 2))
    return data[:end] + data[start:end] * int(random.integers(1, 4)) + data[end:]


def _splice(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    """Head of this one, tail of another."""
    other = files[sorted(files)[random.integers(len(files))]]
    return data[: random.integers(1, len(data) + 1)] + other[random.integers(0, len(other)) :]


def _lie(data: bytes, files: dict[str, bytes], random: np.random.Generator) -> bytes:
    """Another number beside the name of a box or chunk: a size, a count, a duration."""
    places = [place for tag in TAGS for place in _places(data, tag)]
    if not places:
        return _flip(data, files, random)
    place = places[random.integers(len(places))] + int(random.choice((-4, 4, 8, 12, 16, 20)))
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
