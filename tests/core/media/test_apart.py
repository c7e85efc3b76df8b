"""What strangers' files do to a decoder stays in the process that decodes them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from made_media import grey_pictures, tone, write_media

from core.media import MediaError, apart, decode, open_clip
from core.media.apart import run_apart
from core.media.limits import DEFAULT_LIMITS, GIB, MIB

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be split here"),
    pytest.mark.timeout(60),
]


def refused(function, *arguments, **limits) -> str:
    """The sentence that a piece of work ends in."""
    with pytest.raises(MediaError) as caught:
        run_apart(function, *arguments, name="clip.mp4", limits=replace(DEFAULT_LIMITS, **limits))
    sentence = str(caught.value)
    assert sentence.startswith("clip.mp4 ") and sentence.endswith(".") and "\n" not in sentence
    return sentence


def works() -> bool:
    return run_apart(abs, -7, name="clip.mp4", limits=DEFAULT_LIMITS) == 7


def workers() -> set[int]:
    return {child.pid for child in psutil.Process().children() if "core.media.apart" in child.cmdline()}


def test_a_crash_of_the_decoder_is_a_sentence_and_the_next_file_is_read(talking_clip):
    # reads at address 8
    assert "made the decoder crash" in refused(ctypes.string_at, 8)
    assert "made the decoder crash" in refused(os.abort)
    assert "made the decoder crash" in refused(os._exit, 3)
    assert len(decode(open_clip(talking_clip, apart=True)).frames) == 20


def test_a_hang_is_ended_at_its_time():
    begin = time.monotonic()
    assert "within the allowed 0.5 s" in refused(time.sleep, 600, max_work_seconds=0.5)
    assert time.monotonic() - begin < 10
    assert works()


def test_a_flood_of_memory_is_refused_and_not_felt():
    assert "more than the allowed 1.0 GiB of memory" in refused(bytes, 8 * GIB, max_work_bytes=GIB)
    assert works()


def test_one_that_hangs_does_not_hold_up_another_and_can_be_ended_from_outside():
    while apart._idle:
        apart._idle.pop().kill()
    before, told = workers(), []
    slow = threading.Thread(target=lambda: told.append(refused(time.sleep, 600, max_work_seconds=600)))
    slow.start()
    while not (new := workers() - before) or not (busy := psutil.Process(*new).children()):
        time.sleep(0.01)
    assert works() and slow.is_alive()
    os.kill(busy[0].pid, signal.SIGKILL)
    slow.join()
    assert "was ended" in told[0]
    assert works()


def test_nothing_can_be_written_opened_or_sent_while_a_clip_is_read(tmp_path):
    code = "(lambda: {})()"
    opened = "__import__('os').open('/dev/null', 0)"
    connected = "__import__('socket').socket()"
    target = tmp_path / "written"
    ask = {"name": "clip.mp4", "limits": DEFAULT_LIMITS}
    # the one descriptor that is left is the clip's
    with pytest.raises(RuntimeError, match="Too many open files"):
        run_apart(eval, code.format(f"({opened}, {opened})"), **ask)
    with pytest.raises(RuntimeError, match="Too many open files"):
        run_apart(eval, code.format(f"({opened}, {connected})"), **ask)
    with pytest.raises(RuntimeError, match="File too large"):
        run_apart(eval, f"open({str(target)!r}, 'wb', 0).write(b'x')", **ask)
    run_apart(Path.write_bytes, target, b"x", writes=True, **ask)
    assert target.read_bytes() == b"x"


def test_each_file_meets_a_process_that_has_seen_no_other():
    pids = [run_apart(os.getpid, name="a", limits=DEFAULT_LIMITS) for _ in range(3)]
    assert len({*pids, os.getpid()}) == 4
    assert len({run_apart(os.getppid, name="a", limits=DEFAULT_LIMITS) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    "reply", [b"\0" * 7 + b"\2{}", b"\0" * 7 + b"\2[]", (1 << 40).to_bytes(8, "big"), b"\0" * 8]
)
def test_an_answer_that_is_none_is_not_believed(reply):
    """As a decoder that was taken over would send it, over the pipe that it knows."""
    assert "crash" in refused(os.write, 3, reply)
    assert works()


@pytest.mark.parametrize(
    "value",
    [
        "7",
        '{"Path": {}}',
        '{"array": ["object", 1]}',
        '{"array": ["uint8", 99999999999]}',
        '{"array": ["uint8", -1]}',
    ],
)
def test_an_answer_of_what_is_not_asked_for_is_not_believed(value):
    code = (
        f"[header := json.dumps({{'mark': mark, 'kind': 'result', 'value': {value}}}).encode(),"
        "os.write(replies, len(header).to_bytes(8, 'big') + header)]"
    )
    if value == "7":
        assert run_apart(eval, code, name="clip.mp4", limits=DEFAULT_LIMITS) == 7
        apart._idle.pop().kill()  # its pipe holds a second answer
    else:
        assert "crash" in refused(eval, code)


def test_an_answer_sent_ahead_is_not_taken_for_that_of_another_file():
    code = (
        "[header := json.dumps({'mark': mark, 'kind': 'result', 'value': 1}).encode(),"
        "os.write(replies, 2 * (len(header).to_bytes(8, 'big') + header))]"
    )
    assert run_apart(eval, code, name="clip.mp4", limits=DEFAULT_LIMITS) == 1
    assert "crash" in refused(abs, -7)
    assert works()


def test_what_is_read_apart_is_what_is_read_here(tmp_path):
    path = write_media(tmp_path / "both.mp4", pictures=grey_pictures(20), sound=tone(2.0, 16_000), options={})
    here, there = (open_clip(path, start_seconds=0.5, apart=apart) for apart in (False, True))
    assert there == replace(here, is_apart=True)
    one, other = decode(here), decode(there)
    assert other.notes == one.notes
    for a, b in (
        (one.frames.pixels, other.frames.pixels),
        (one.frames.times_seconds, other.frames.times_seconds),
        (one.waveform, other.waveform),
    ):
        assert a.dtype == b.dtype and np.array_equal(a, b) and b.flags.writeable


def test_a_refusal_apart_is_told_in_the_same_words(tmp_path, monkeypatch):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader")
    monkeypatch.chdir(tmp_path)
    told = []
    for is_apart in (False, True):
        with pytest.raises(MediaError) as caught:
            open_clip("letter.mp4", apart=is_apart)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_pictures_that_need_more_memory_than_is_allowed(tmp_path):
    path = write_media(
        tmp_path / "large.mp4",
        pictures=[np.zeros((2160, 3840, 3), np.uint8)] * 2,
        video_codec="mjpeg",
        pixel_format="yuvj420p",
    )
    limits = replace(DEFAULT_LIMITS, max_work_bytes=240 * MIB)
    with pytest.raises(MediaError) as caught:
        decode(open_clip(path, apart=True), limits=limits)
    assert str(caught.value).startswith("large.mp4 ")
    assert decode(open_clip(path, apart=True)).frames.pixels.shape[1:3] == (720, 1280)


def test_the_worker_ends_with_whom_it_works_for():
    code = (
        "import os; from core.media.apart import run_apart; from core.media.limits import DEFAULT_LIMITS\n"
        "print(run_apart(os.getppid, name='a', limits=DEFAULT_LIMITS), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    worker = int(done.stdout)
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_a_worker_that_does_not_start_is_told(monkeypatch):
    while apart._idle:
        apart._idle.pop().kill()
    monkeypatch.setattr(apart.sys, "executable", "/nowhere/python")
    assert "could not be started" in refused(abs, -7)
