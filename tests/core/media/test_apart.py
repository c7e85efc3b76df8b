"""What strangers' files do to a decoder stays in the process that decodes them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import psutil
import pytest
from made_media import grey_pictures, tone, write_media

from core.media import MediaError, apart, decode, open_clip, reader
from core.media.apart import BusyError, MachineError, run_apart
from core.media.limits import DEFAULT_LIMITS, GIB, MIB

pytestmark = pytest.mark.timeout(60)


def refused(function, *arguments, kind: type[MediaError] = MediaError, **limits) -> str:
    """The sentence that a piece of work ends in, told by an error of exactly this kind."""
    with pytest.raises(MediaError) as caught:
        run_apart(function, *arguments, name="clip.mp4", limits=replace(DEFAULT_LIMITS, **limits))
    assert caught.type is kind
    sentence = str(caught.value)
    assert sentence.startswith("clip.mp4 ") and sentence.endswith(".") and "\n" not in sentence
    return sentence


def works() -> bool:
    return run_apart(abs, -7, name="clip.mp4", limits=DEFAULT_LIMITS) == 7


def no_workers() -> None:
    while apart._idle:
        apart._idle.pop().kill()


def workers() -> set[int]:
    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "core.media.apart" in child.cmdline():
                found.add(child.pid)
    return found


@contextmanager
def hanging() -> Iterator[threading.Thread]:
    """Somebody's file that is decoded and decoded; it is ended from outside, and told so."""
    no_workers()
    before, told = workers(), []
    slow = threading.Thread(target=lambda: told.append(refused(time.sleep, 600, max_work_seconds=600)))
    slow.start()
    while not (new := workers() - before) or not (busy := psutil.Process(*new).children()):
        time.sleep(0.01)
    try:
        yield slow
    finally:
        os.kill(busy[0].pid, signal.SIGKILL)
        slow.join()
    assert "was ended" in told[0]


class Posing:
    """`eval`, once it has arrived there; here it says that it returns what another function does."""

    def __init__(self, function) -> None:
        self.__annotations__ = {"return": function.__annotations__["return"]}
        self.__globals__ = function.__globals__

    def __reduce__(self):
        return eval, ("eval",)


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
    with hanging() as slow:
        assert works() and slow.is_alive()
    assert works()


@pytest.mark.parametrize(("num_processors", "num_files"), [(1, 2), (3, 3), (16, 16)])
def test_as_many_files_are_read_at_once_as_there_are_processors(num_processors, num_files):
    code = (
        f"import os, pathlib; os.sched_getaffinity = lambda pid: set(range({num_processors}))\n"
        "import core.cores; core.cores.CONTROL_GROUP = pathlib.Path('/none')\n"
        "from core.media.apart import _seats; print(sum(_seats.acquire(blocking=False) for _ in range(99)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == num_files


def test_who_waits_long_for_the_files_of_others_is_told(monkeypatch):
    monkeypatch.setattr(apart, "_seats", threading.BoundedSemaphore(1))
    monkeypatch.setattr(apart, "_MAX_WAIT_SECONDS", 0.2)
    with hanging() as slow:
        assert "the files of others are being read; try again" in refused(abs, -7, kind=BusyError)
        assert slow.is_alive()
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
    assert not target.stat().st_size


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
        f"[header := __import__('json').dumps({{'mark': mark, 'kind': 'result', 'value': {value}}}).encode(),"
        "os.write(replies, len(header).to_bytes(8, 'big') + header)]"
    )
    if value == "7":
        assert run_apart(eval, code, name="clip.mp4", limits=DEFAULT_LIMITS) == 7
    else:
        assert "crash" in refused(eval, code)
    assert works()


def test_an_answer_that_is_nested_without_end_is_not_believed():
    value = "b'[' * 200_000"
    assert "crash" in refused(eval, f"os.write(replies, len({value}).to_bytes(8, 'big') + {value})")
    assert works()


MADE = "__import__('core.media.replies', fromlist=['np'])"
PICTURES = f"{MADE}.Frames(pixels={MADE}.np.zeros((1, 4, 4, 3), 'uint8'), times_seconds={MADE}.np.zeros(1))"
INFO = (
    f"{MADE}.MediaInfo(container='mp4', num_bytes=1, duration_seconds=1.0, has_video=True, has_audio=False)"
)


@pytest.mark.parametrize(
    "value",
    [
        "'x'",
        "None",
        "('x', 0.0, 1.0)",
        f"({INFO}, 0.0)",
        f"({INFO}, 0.0, '1')",
        f"({INFO.replace('1.0', 'None')}, 0.0, 1.0)",
        f"({INFO.replace('=True', '=3')}, 0.0, 1.0)",
    ],
)
def test_what_a_file_is_said_to_be_has_the_type_of_it(value, talking_clip, monkeypatch):
    monkeypatch.setattr(reader, "run_apart", lambda f, *_, **ask: run_apart(Posing(f), value, **ask))
    with pytest.raises(MediaError, match="made the decoder crash"):
        open_clip(talking_clip, apart=True)


def test_an_answer_of_the_right_type_is_believed(talking_clip, monkeypatch):
    clip = open_clip(talking_clip, apart=True)
    monkeypatch.setattr(reader, "run_apart", lambda f, *_, **ask: run_apart(Posing(f), value, **ask))
    value = f"({INFO}, 0.0, 1.0)"
    assert open_clip(talking_clip, apart=True).info.num_bytes == 1
    value = f"{MADE}.DecodedMedia(frames={PICTURES}, waveform=None, notes=('a', 'b'))"
    assert decode(clip).notes == ("a", "b")


@pytest.mark.parametrize(
    "value",
    [
        PICTURES,
        f"{MADE}.DecodedMedia(frames='x', waveform=None)",
        f"{MADE}.DecodedMedia(frames=None, waveform={MADE}.np.zeros(9))",
        f"{MADE}.DecodedMedia(frames=None, waveform=None, notes=(1,))",
        f"{MADE}.DecodedMedia(frames={PICTURES.replace('(1, 4, 4, 3)', '(4, 3)')}, waveform=None)",
        f"{MADE}.DecodedMedia(frames={PICTURES.replace('uint8', 'float32')}, waveform=None)",
    ],
)
def test_what_is_decoded_has_the_type_of_it(value, talking_clip, monkeypatch):
    clip = open_clip(talking_clip, apart=True)
    monkeypatch.setattr(reader, "run_apart", lambda f, *_, **ask: run_apart(Posing(f), value, **ask))
    with pytest.raises(MediaError, match="made the decoder crash"):
        decode(clip)


@pytest.mark.parametrize("check", ["bytes()", "bytes(16)"])
def test_an_answer_sent_ahead_is_not_taken_for_that_of_another_file(check):
    """Nor does the other file pay for it."""
    code = (
        "[header := __import__('json').dumps({'mark': mark, 'kind': 'result', 'value': 1}).encode(),"
        "answer := len(header).to_bytes(8, 'big') + header,"
        f"os.write(replies, answer + {check} + answer)]"
    )
    assert run_apart(eval, code, name="clip.mp4", limits=DEFAULT_LIMITS) == 1
    assert works()


@pytest.mark.parametrize(
    "later",
    ["[__import__('time').sleep(0.3), os.abort()]", "__import__('time').sleep(600)"],
    ids=["crashes", "hangs"],
)
def test_one_that_breaks_after_its_answer_costs_the_next_file_nothing(later):
    no_workers()
    before = workers()
    code = (
        "[header := __import__('json').dumps({'mark': mark, 'kind': 'result', 'value': 1}).encode(),"
        f"os.write(replies, len(header).to_bytes(8, 'big') + header), {later}]"
    )
    assert run_apart(eval, code, name="bad.mp4", limits=DEFAULT_LIMITS) == 1
    assert works()
    assert len(workers() - before) == 1


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
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def test_a_worker_that_does_not_start_is_told(monkeypatch):
    no_workers()
    monkeypatch.setattr(apart.sys, "executable", "/nowhere/python")
    assert "could not be started" in refused(abs, -7, kind=MachineError)


@pytest.mark.parametrize("how", ["", "exec >&-\n"])
def test_a_worker_that_is_never_ready_is_told_and_ended(how, tmp_path, monkeypatch):
    no_workers()
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{how}exec sleep 600")
    program.chmod(0o700)
    before = {child.pid for child in psutil.Process().children()}
    with monkeypatch.context() as patch:
        patch.setattr(apart.sys, "executable", str(program))
        patch.setattr(apart, "_START_SECONDS", 600.0 if how else 0.3)
        assert "could not be started" in refused(abs, -7, kind=MachineError)
    assert {child.pid for child in psutil.Process().children()} <= before
    assert works()


def test_a_machine_without_room_for_a_child_does_not_accuse_the_file(tmp_path, monkeypatch, capfd):
    no_workers()
    # read by Python when it starts
    (tmp_path / "sitecustomize.py").write_text(
        "import os\ndef fork(): raise BlockingIOError(11, 'full')\nos.fork = fork"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        assert "could not be started" in refused(abs, -7, kind=MachineError)
    assert not capfd.readouterr().err
    assert works()


def test_a_machine_without_room_for_a_thread_does_not_accuse_the_file(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", start)
        assert "could not be started" in refused(abs, -7, kind=MachineError)
    assert works()
