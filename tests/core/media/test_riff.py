"""WAV and AVI whose chunks claim any length: texts are no longer than texts are, and recordings are read."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_media import grey_pictures, tone, write_media

from core.media import MediaError, decode, open_clip
from core.media.limits import DEFAULT_LIMITS, GIB

FORMAT = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
SOUND = (12_000 * tone(0.5, 16_000)).astype("<i2").tobytes()
LONG = GIB
UNKNOWN = 0xFFFFFFFF


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """One that may claim another size than it has."""
    return name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def info(size: int | None = None) -> bytes:
    """A title, and its list."""
    title = chunk(b"INAM", b"A clip", None if size is None else size - 100)
    return chunk(b"LIST", b"INFO" + title, size)


def wav(*chunks: bytes, sound: bytes | None = None, size: int | None = None) -> bytes:
    """A sound of half a second; `size` is what the whole claims, and `sound` its chunk."""
    body = b"".join((b"WAVE", chunk(b"fmt ", FORMAT), sound or chunk(b"data", SOUND), *chunks))
    return chunk(b"RIFF", body, size)


def rf64(*chunks: bytes) -> bytes:
    lengths = chunk(b"ds64", struct.pack("<QQQI", 0, len(SOUND), len(SOUND) // 2, 0))
    body = b"".join((lengths, chunk(b"fmt ", FORMAT), chunk(b"data", SOUND, UNKNOWN), *chunks))
    return b"RF64" + struct.pack("<I", UNKNOWN) + b"WAVE" + body


def rifx(*chunks: bytes) -> bytes:
    """With all numbers turned round."""
    swapped = [part[:4] + part[7:3:-1] + part[8:] for part in chunks]
    form = b"fmt " + struct.pack(">IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    sound = b"data" + struct.pack(">I", len(SOUND)) + SOUND
    return b"RIFX" + struct.pack(">I", LONG) + b"WAVE" + form + sound + b"".join(swapped)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> bytes:
    """Twenty pictures with sound, as AVI."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    write_media(
        path, pictures=grey_pictures(20), video_codec="mpeg4", sound=tone(2.0, 16_000), audio_codec="mp2"
    )
    return path.read_bytes()


def put(film: bytes, extra: bytes) -> bytes:
    """Before the pictures."""
    place = film.index(b"movi") - 8
    return film[:place] + extra + film[place:]


def claiming(film: bytes, kind: bytes, size: int) -> bytes:
    """With another length of a list."""
    place = film.index(kind) - 4
    return film[:place] + struct.pack("<I", size) + film[place + 4 :]


def claiming_of(film: bytes, name: bytes, size: int) -> bytes:
    """With another length of a chunk."""
    place = film.index(name) + 4
    return film[:place] + struct.pack("<I", size) + film[place + 4 :]


def opened(folder: Path, name: str, data: bytes, **limits):
    (folder / name).write_bytes(data)
    return open_clip(folder / name, limits=replace(DEFAULT_LIMITS, **limits))


def refusal(folder: Path, name: str, data: bytes, **limits) -> str:
    with pytest.raises(MediaError) as caught:
        opened(folder, name, data, **limits)
    return str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: wav(info(LONG)),
        lambda: wav(sound=info(LONG) + chunk(b"data", SOUND)),
        lambda: wav(chunk(b"JUNK", bytes(999)), info(LONG)),
        # as FFmpeg spells it, too
        lambda: wav(info(LONG).replace(b"LIST", b"list")),
        lambda: wav(sound=info(LONG).replace(b"LIST", b"list") + chunk(b"data", SOUND)),
        # over the edge of what is read at once
        lambda: wav(chunk(b"JUNK", bytes(2**20 - 44 - len(SOUND) - 8 - 6 - 8)), info(LONG)),
        lambda: rf64(info(LONG)),
        lambda: rf64(chunk(b"ds64", struct.pack("<QQQI", 0, 2**40, 2**40, 0)), info(LONG)),
        lambda: rifx(info(LONG)),
    ],
)
def test_a_sound_with_a_text_that_claims_a_gigabyte_is_refused(tmp_path, make):
    told = refusal(tmp_path, "a.wav", make())
    assert told.startswith("a.wav is damaged: what tells its title or origin claims to have 1,073,741,824 ")


def test_a_film_with_a_text_that_claims_a_gigabyte_is_refused(tmp_path, film):
    for data in (
        put(film, info(LONG)),
        film + info(LONG),
        put(film, chunk(b"LIST", b"odml") + info(LONG)),
        # where FFmpeg passes over the first list whole, or reads more than a chunk claims
        film + chunk(b"LIST", b"abcd" + chunk(b"JUNK", b"", LONG)) + info(LONG),
        film + chunk(b"RIFF", b"AVIX" + chunk(b"JUNK", b"", LONG)) + info(LONG),
        put(claiming_of(film, b"strf", 8), info(LONG)),
    ):
        assert "claims to have 1,073,741,824 bytes, more than" in refusal(tmp_path, "a.avi", data)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux tells it")
@pytest.mark.parametrize(
    "make",
    [
        lambda film: wav(info(LONG)),
        lambda film: wav(info(LONG).replace(b"LIST", b"list")),
        lambda film: rf64(chunk(b"ds64", struct.pack("<QQQI", 0, 2**40, 2**40, 0)), info(LONG)),
        lambda film: film + chunk(b"LIST", b"abcd" + chunk(b"JUNK", b"", LONG)) + info(LONG),
        lambda film: put(claiming_of(film, b"strf", 8), info(LONG)),
    ],
)
def test_no_room_is_made_for_it(tmp_path, film, make):
    path = tmp_path / "a.wav"
    path.write_bytes(make(film))
    # in a process of its own, whose peak is of nothing else
    script = (
        "import sys; from core.media import MediaError, open_clip\n"
        "told = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "before = told()\n"
        "try: open_clip(sys.argv[1])\n"
        "except MediaError: print((told() - before) // 1024)"
    )
    command = [sys.executable, "-c", script, str(path)]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) < 32


def test_texts_may_be_as_long_as_texts_are(tmp_path):
    length = len(info()) - 8
    clip = opened(tmp_path, "a.wav", wav(info()), max_text_bytes=length)
    assert clip.duration_seconds == pytest.approx(0.5)
    assert f"to have {length} bytes" in refusal(tmp_path, "b.wav", wav(info()), max_text_bytes=length - 1)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        # cut off in the middle of the sound, and of the title behind it
        (wav(info())[: 44 + len(SOUND) // 2], 0.25),
        (wav(info())[:-9], 0.5),
        # recorders that do not know yet how long it will be
        (wav(sound=chunk(b"data", SOUND, 0), size=0), 0.5),
        (wav(sound=chunk(b"data", SOUND, UNKNOWN), size=UNKNOWN), 0.5),
        (rf64(info())[:-9], 0.5),
        # what is passed over may claim anything
        (wav(chunk(b"JUNK", b"", LONG)), 0.5),
        (wav(chunk(b"iXML", b"<BWFXML/>", LONG)), 0.5),
        # longer than any file
        (rf64().replace(struct.pack("<Q", len(SOUND)), struct.pack("<Q", 2**63 - 1), 1), 0.5),
    ],
)
def test_sounds_that_were_cut_off_or_are_not_finished_are_read(tmp_path, data, seconds):
    clip = opened(tmp_path, "a.wav", data)
    assert len(decode(clip).waveform) == pytest.approx(16_000 * seconds, abs=2)


def test_films_that_were_cut_off_or_are_not_finished_are_read(tmp_path, film):
    start, end = film.index(b"movi"), film.index(b"idx1")
    for data, fewest in (
        (film[: (start + end) // 2], 8),
        (film[: (end + len(film)) // 2], 20),
        (film[:end], 20),
        (claiming(claiming(film, b"movi", 0), b"AVI ", 0), 20),
        (claiming(claiming(film, b"movi", UNKNOWN), b"AVI ", UNKNOWN), 20),
        (put(film, chunk(b"JUNK", b"", LONG)), 20),
        (put(film, info()), 20),
    ):
        media = decode(opened(tmp_path, "a.avi", data))
        assert len(media.frames) >= fewest and len(media.waveform) >= 1_600 * fewest
