"""Makes files that lead a careless reader elsewhere, and watches whether they do."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.core.media.made_media import write_media

IN_OPEN = 0x20
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"dinf")


@contextmanager
def watched(path: Path) -> Iterator[list[str]]:
    """Whether anybody, this process or another, opens the file: then the list is not empty afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert descriptor >= 0 and libc.inotify_add_watch(descriptor, os.fsencode(path), IN_OPEN) >= 0
    opened: list[str] = []
    try:
        yield opened
        try:
            opened += ["opened"] * (len(os.read(descriptor, 65536)) // 16)
        except BlockingIOError:
            pass
    finally:
        os.close(descriptor)


can_watch = sys.platform == "linux"


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, and a list that is not empty afterwards if anybody called."""
    called: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1], called
        try:
            server.accept()[0].close()
            called.append("called")
        except BlockingIOError:
            pass


def leads_to(kind: str, secret: Path, port: int) -> bytes:
    """A file whose content names another file or an address."""
    name, here = os.fsencode(secret), f"http://127.0.0.1:{port}/a.ts".encode()
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n%s#EXTINF:1,\n%s\n#EXT-X-ENDLIST\n"
    return {
        "ffconcat": b"ffconcat version 1.0\nfile '" + secret.name.encode() + b"'\n",
        "hls to a file": playlist % (b"", name),
        "hls to an address": playlist % (b"", here),
        "hls with a key": playlist % (b'#EXT-X-KEY:METHOD=AES-128,URI="' + here + b'"\n', name),
        "hls with a map": playlist % (b'#EXT-X-MAP:URI="' + here + b'"\n', name),
        "hls to concat": playlist % (b"", b"concat:" + name + b"|" + name),
        "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        b"<AdaptationSet><Representation><BaseURL>"
        + here
        + b"</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video "
        + str(port).encode()
        + b" RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
        "rtsp": b"RTSPtext\nrtsp://127.0.0.1:" + str(port).encode() + b"/x\n",
        "asx": b'<asx version="3.0"><entry><ref href="' + here + b'"/></entry></asx>',
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="' + here + b'"/></svg>',
        "image sequence": b"%d.png\n",
    }[kind]


DRAWN = {
    "a letter": b"Dear reader, this is a letter and no film.\r\n" * 80,
    "ANSI art": b"\x1b[2J\x1b[1;31mred\x1b[0m\r\n" * 60,
    "XBIN": b"XBIN\x1a" + struct.pack("<HHBB", 80, 25, 16, 0) + b"A\x07" * 2000,
    "BIN with SAUCE": b"A\x07" * 2000 + b"\x1aSAUCE00" + b" " * 82 + b"\x05\x28" + bytes(38),
    "iCE draw": b"\x041.4\0\0\0\0O\0\x15\0" + b"A\x07" * 2000,
    "Artworx": b"\x01" + bytes(192) + bytes(4096) + b"A\x07" * 2000,
    "TTY recording": b"\0" * 4 + b"\x10\0\0\0" + b"\x10\0\0\0" + b"\x1b[31mhello there\n" * 60,
    "a subtitle": b"1\r\n00:00:00,000 --> 00:00:09,000\r\nHello\r\n\r\n" * 9,
    "a script": b"[Script Info]\r\nScriptType: v4.00+\r\n[Events]\r\n"
    b"Dialogue: 0,0:00:00.00,0:00:09.00,,,,,,,Hi\r\n",
}
"""Text that FFmpeg would draw as a video, or takes for one."""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes of an mp4."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def rewritten(data: bytes, change) -> bytes:
    """An mp4 whose innermost boxes are what `change` of their name and content gives.

    Its index has to stand after its media, whose places stay.
    """
    made = b""
    for name, inside in boxes(data):
        inside = rewritten(inside, change) if name in _PARENTS else change(name, inside)
        made += (len(inside) + 8).to_bytes(4, "big") + name + inside
    return made


def with_external_reference(data: bytes, target: Path) -> bytes:
    """A QuickTime film whose tracks say that their media lie in another file."""
    place = os.fsencode(target)
    place += b"\0" * (len(place) % 2)
    alias = bytes(10) + bytes(1 + 27) + bytes(12) + bytes(1 + 63) + bytes(16)
    alias += (1).to_bytes(2, "big") * 2 + bytes(16)
    alias += (2).to_bytes(2, "big") + len(place).to_bytes(2, "big") + place
    alias += (0xFFFF).to_bytes(2, "big") + (0).to_bytes(2, "big")
    entry = (12 + len(alias)).to_bytes(4, "big") + b"alis" + bytes(4) + alias  # codespell:ignore alis
    return rewritten(
        data, lambda name, inside: bytes(4) + (1).to_bytes(4, "big") + entry if name == b"dref" else inside
    )


def with_duration(data: bytes, seconds: int) -> bytes:
    """An mp4 whose headers announce another length."""

    def change(name: bytes, inside: bytes) -> bytes:
        # version 0: flags, creation, modification, then scale and duration; a track's header has no scale
        if name in (b"mvhd", b"mdhd"):
            scale = int.from_bytes(inside[12:16], "big")
            return inside[:16] + (seconds * scale).to_bytes(4, "big") + inside[20:]
        return inside

    return rewritten(data, change)


def with_announced(data: bytes, seconds: int) -> bytes:
    """A Matroska file that announces another length."""
    at = data.index(b"\x44\x89\x88") + 3
    return data[:at] + struct.pack(">d", 1000.0 * seconds) + data[at + 8 :]


def huge_picture(path: Path, side: int, *, in_header: bool) -> Path:
    """A QuickTime film of a PNG picture that says it is `side` x `side`; the film's header may say so too."""
    write_media(path, pictures=[np.zeros((300, 300, 3), np.uint8)], video_codec="png", pixel_format="rgb24")
    data = path.read_bytes()
    if in_header:
        at = data.index(b"png \0\0\0\0\0\0") + 28
        assert data[at : at + 4] == (300).to_bytes(2, "big") * 2
        data = data[:at] + side.to_bytes(2, "big") * 2 + data[at + 4 :]
    at = data.index(b"IHDR")
    head = b"IHDR" + side.to_bytes(4, "big") * 2 + data[at + 12 : at + 17]
    path.write_bytes(data[:at] + head + zlib.crc32(head).to_bytes(4, "big") + data[at + 21 :])
    return path


def many_frames(path: Path, num_frames: int) -> Path:
    """As many tiny pictures as are wanted, a thousandth of a second each: the first, and repeats of it."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=1000)
        stream.width = stream.height = 16
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 600
        grey = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 90, np.uint8), format="rgb24")
        packets = []
        for index in range(4):
            grey.pts, grey.time_base = index, Fraction(1, 1000)
            packets += stream.encode(grey)
        packets += stream.encode(None)
        first, repeat = bytes(packets[0]), bytes(packets[-1])
        for index in range(num_frames):
            packet = av.Packet(first if index == 0 else repeat)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = index
            packet.duration, packet.is_keyframe = 1, index == 0
            output.mux(packet)
    return path


def without_frames(path: Path) -> Path:
    """A stream that is announced and empty."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.start_encoding()
    return path
