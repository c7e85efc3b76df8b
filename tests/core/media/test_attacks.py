"""Files made to do harm, read in place and apart: none leads to another file or to an address."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace

import av
import pytest
from attacks import (
    DRAWN,
    can_watch,
    huge_picture,
    leads_to,
    listening,
    many_frames,
    watched,
    with_announced,
    with_duration,
    with_external_reference,
    without_frames,
)
from made_media import grey_pictures, tone, write_media

from core.media import MediaError, decode, door, open_clip
from core.media.limits import DEFAULT_LIMITS, GIB

pytestmark = pytest.mark.timeout(120)

ELSEWHERE = (
    "ffconcat", "hls to a file", "hls to an address", "hls with a key", "hls with a map", "hls to concat",
    "dash", "sdp", "rtsp", "asx", "svg", "image sequence",
)  # fmt: skip


@pytest.fixture(params=[False, True], ids=["in place", "apart"])
def is_apart(request):
    return request.param


@pytest.fixture
def secret(tmp_path):
    """A perfectly good clip that nothing else may lead to."""
    return write_media(tmp_path / "secret.mov", pictures=grey_pictures(5), sound=tone(0.5, 16_000))


def refusal(path, is_apart, **limits) -> str:
    limits = replace(DEFAULT_LIMITS, **limits)
    with pytest.raises(MediaError) as caught:
        decode(open_clip(path, apart=is_apart, limits=limits), limits=limits)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 300
    return sentence


@pytest.mark.skipif(not can_watch, reason="opened files are watched on Linux only")
def test_what_watches_sees_a_reader_that_is_led_elsewhere(tmp_path, secret):
    """The attacks are real: FFmpeg, asked without the guarded reader, follows them."""
    followed = tmp_path / "list.ffconcat"
    followed.write_bytes(leads_to("ffconcat", secret, 1))
    with watched(secret) as opened, av.open(str(followed), format="concat") as container:
        next(container.decode(video=0))
    assert opened
    film = tmp_path / "film.mov"
    film.write_bytes(with_external_reference(secret.read_bytes(), secret))
    with watched(secret) as opened:
        options = {"enable_drefs": "1", "use_absolute_path": "1"}
        with av.open(str(film), options=options) as container:
            next(container.decode(video=0))
    assert opened
    with listening() as (port, called):
        followed = tmp_path / "list.m3u8"
        followed.write_bytes(leads_to("hls to an address", secret, port))
        with pytest.raises((av.FFmpegError, OSError)):
            av.open(str(followed), options={"protocol_whitelist": "file,http,tcp"}, timeout=0.5)
    assert called
    art = tmp_path / "art.nfo"
    art.write_bytes(DRAWN["a letter"])
    with av.open(str(art)) as container:
        assert next(container.decode(video=0)).width == 640


@pytest.mark.skipif(not can_watch, reason="opened files are watched on Linux only")
@pytest.mark.parametrize("extension", ["mp4", "m3u8"])
@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_list_leads_neither_to_a_file_nor_to_an_address(
    tmp_path, secret, kind, extension, is_apart, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # some lists name files that lie beside
    path = tmp_path / f"list.{extension}"
    with listening() as (port, called), watched(secret) as opened:
        path.write_bytes(leads_to(kind, secret, port))
        assert refusal(path, is_apart).startswith(path.name)
    assert not opened and not called


@pytest.mark.skipif(not can_watch, reason="opened files are watched on Linux only")
@pytest.mark.parametrize(
    ("kind", "guard"),
    [
        *[("ffconcat", guard) for guard in ("none", "containers", "protocols")],
        *[("hls to a file", guard) for guard in ("none", "containers", "protocols", "opening", "no name")],
    ],
)
def test_each_guard_holds_with_all_others_down(tmp_path, secret, monkeypatch, kind, guard):
    monkeypatch.chdir(tmp_path)
    if guard != "containers":
        monkeypatch.setattr(door, "CONTAINERS", sorted(av.formats_available))
    if guard != "protocols":
        monkeypatch.setattr(door, "PROTOCOLS", "file,crypto,data")
    if guard != "opening":
        monkeypatch.setattr(door, "_refuse_other_files", None)
    if guard != "no name":  # FFmpeg takes what is called .m3u8 for a playlist
        monkeypatch.setattr(door, "open_file", lambda path, limits: path.open("rb"))
    path = tmp_path / "list.m3u8"
    path.write_bytes(leads_to(kind, secret, 1))
    with watched(secret) as opened, suppress(MediaError):
        decode(open_clip(path))
    assert bool(opened) == (guard == "none")


@pytest.mark.skipif(not can_watch, reason="opened files are watched on Linux only")
def test_a_film_whose_media_lie_in_another_file_does_not_lead_there(tmp_path, secret, is_apart):
    path = tmp_path / "film.mov"
    path.write_bytes(with_external_reference(secret.read_bytes(), secret))
    with watched(secret) as opened:
        try:
            decode(open_clip(path, apart=is_apart))
        except MediaError as error:
            assert str(error).startswith("film.mov ")
    assert not opened


@pytest.mark.skipif(not can_watch, reason="opened files are watched on Linux only")
@pytest.mark.parametrize(
    "name",
    [
        "concat:{file}|{file}",
        "subfile,,start,0,end,0,,:{file}",
        "file:{file}",
        "http://127.0.0.1:{port}/a.mp4",
        "tcp://127.0.0.1:{port}",
        "crypto+http://127.0.0.1:{port}/a.mp4",
        "async:cache:{file}",
        "data:video/mp4;base64,AAAA",
        "pipe:0",
    ],
)
def test_an_address_is_no_path(secret, name, is_apart):
    with listening() as (port, called), watched(secret) as opened:
        refusal(name.format(file=secret, port=port), is_apart)
    assert not opened and not called


TEXT_NAMES = ("txt", "ans", "nfo", "xb", "bin", "tty", "mp4")  # codespell:ignore ans


@pytest.mark.parametrize("extension", TEXT_NAMES)
@pytest.mark.parametrize("kind", DRAWN)
def test_text_is_not_drawn_as_a_video(tmp_path, kind, extension, monkeypatch):
    path = tmp_path / f"art.{extension}"
    path.write_bytes(DRAWN[kind])
    assert "holds no video or sound that can be read" in refusal(path, False)
    # nor where FFmpeg sees the name, by which it would draw
    monkeypatch.setattr(door, "open_file", lambda path, limits: path.open("rb"))
    with pytest.raises(MediaError, match="holds no video"), door.open_media(path, DEFAULT_LIMITS):
        pass


@pytest.mark.parametrize(
    ("side", "in_header", "told"),
    [
        (12_000, True, "more than the allowed 35,389,440 pixels"),
        (12_000, False, "more than the allowed 35,389,440 pixels"),
        (16_384, True, "more than the allowed 35,389,440 pixels"),
        (16_384, False, "more than the allowed 35,389,440 pixels"),
    ],
)
def test_huge_pictures_are_not_decoded(tmp_path, side, in_header, told):
    """Decoded, one of them would take as much memory as is left here, or more."""
    path = huge_picture(tmp_path / "huge.mov", side, in_header=in_header)
    assert told in refusal(path, True, max_work_bytes=GIB // 2)


def test_no_huge_picture_is_decoded_to_learn_what_a_film_holds(tmp_path):
    """Else its size would be known, and told; a Targa picture of 16,000² takes 730 MiB and seconds."""
    path = tmp_path / "huge.avi"
    write_media(path, pictures=grey_pictures(1), video_codec="targa", pixel_format="bgr24")
    assert decode(open_clip(path)).frames.pixels.shape == (1, 48, 64, 3)
    assert "holds no picture or sound that can be decoded" in refusal(path, False, max_pixels=63 * 48)


@pytest.mark.parametrize(("extension", "is_told"), [("mp4", False), ("mkv", True)])
def test_a_header_of_ten_hours_is_not_believed(tmp_path, extension, is_told, is_apart):
    """What the packets say counts; FFmpeg itself corrects the header of an mp4."""
    path = write_media(tmp_path / f"long.{extension}", pictures=grey_pictures(10), sound=tone(1.0, 16_000))
    change = with_duration if extension == "mp4" else with_announced
    path.write_bytes(change(path.read_bytes(), 36_000))
    clip = open_clip(path, apart=is_apart)
    media = decode(clip)
    assert clip.duration_seconds < 1.2 and len(media.frames) == 10 and len(media.waveform) < 20_000
    assert ("it announces 36000.0 s and holds 1.0 s" in " ".join(media.notes)) == is_told


def test_ten_hours_between_two_pictures_are_refused(tmp_path, is_apart):
    path = write_media(tmp_path / "gap.mkv", pictures=grey_pictures(2), times_seconds=[0.0, 36_000.0])
    assert "more than the allowed 14400 s" in refusal(path, is_apart)


def test_sound_with_a_gap_of_an_hour_takes_no_room_for_it(tmp_path, is_apart):
    path = tmp_path / "gap.mkv"
    write_media(
        path,
        pictures=grey_pictures(2),
        times_seconds=[0.0, 3600.0],
        sound=tone(0.5, 16_000),
        audio_codec="flac",
    )
    assert "more than the allowed 900 s; choose a shorter span" in refusal(path, is_apart)


def test_very_many_pictures_are_counted_and_only_those_that_are_asked_for_are_kept(tmp_path, is_apart):
    path = many_frames(tmp_path / "many.mkv", 6_000)
    limits = replace(DEFAULT_LIMITS, max_packets=5_000)
    with pytest.raises(MediaError, match=r"more than the 5,000 packets that are allowed; cut it\."):
        open_clip(path, limits=limits, apart=is_apart)
    clip = open_clip(path, apart=is_apart)
    assert clip.info.num_frames == 6_000
    assert len(decode(clip).frames) == 32


def test_a_stream_without_pictures(tmp_path, is_apart):
    for extension in ("mkv", "mp4", "avi"):
        path = without_frames(tmp_path / f"none.{extension}")
        assert refusal(path, is_apart).startswith(f"none.{extension} ")


def test_links_are_refused_before_they_are_followed(tmp_path, secret, is_apart):
    link = tmp_path / "link.mp4"
    link.symlink_to(secret)
    device = tmp_path / "device.mp4"
    os.symlink("/dev/zero", device)
    for path in (link, device):
        assert "is a symbolic link" in refusal(path, is_apart)
    assert "is not a regular file" in refusal("/dev/zero", is_apart)
