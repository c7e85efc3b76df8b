from __future__ import annotations

import os
from dataclasses import replace

import pytest
from made_media import grey_pictures, quadrants, tone, write_media

from core.media import MediaError, decode, open_clip
from core.media.limits import DEFAULT_LIMITS


def refusal(path, **arguments) -> str:
    with pytest.raises(MediaError) as caught:
        open_clip(path, **arguments)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.fixture
def secret(tmp_path):
    """A perfectly good clip that nothing else may lead to."""
    return write_media(tmp_path / "secret.mp4", pictures=grey_pictures(5), sound=tone(0.5, 16_000))


def disguises(secret) -> dict[str, bytes]:
    name = str(secret).encode()
    return {
        "plain text": b"Once upon a time there was a file that was no video.\n" * 50,
        "ffconcat": b"ffconcat version 1.0\nfile '" + name + b"'\n",
        "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + name + b"\n#EXT-X-ENDLIST\n",
        "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>file://'
        + name
        + b"</BaseURL></Period></MPD>",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 4000 RTP/AVP 96\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
        "ansi art": b"\x1b[2J\x1b[31mred\x1b[0m\n" * 40,
        "gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
        b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
        "zeros": bytes(5000),
        "header only": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    }


@pytest.mark.parametrize("extension", ["mp4", "m3u8", "txt", "avi", "mp3"])
@pytest.mark.parametrize(
    "kind",
    ["plain text", "ffconcat", "hls", "dash", "sdp", "svg", "ansi art", "gif", "zeros", "header only"],
)
def test_what_is_no_media_is_refused_under_any_name(tmp_path, secret, kind, extension):
    path = tmp_path / f"nice.{extension}"
    path.write_bytes(disguises(secret)[kind])
    assert refusal(path).startswith(f"nice.{extension} ")


def test_a_file_named_like_a_clip_is_not_sent_to_be_converted_to_what_it_is_called(tmp_path):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader")
    assert "whatever its name says" in refusal(path) and "convert" not in refusal(path)


@pytest.mark.timeout(20)
def test_a_playlist_does_not_lead_to_another_file(tmp_path, secret):
    """The file it names is a pipe without a writer: whoever opened it would wait for ever."""
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    path = tmp_path / "list.mp4"
    path.write_bytes(b"ffconcat version 1.0\nfile 'pipe.mp4'\n")
    refusal(path)


def test_content_counts_and_not_the_name(tmp_path, secret):
    path = tmp_path / "notes.txt"
    path.write_bytes(secret.read_bytes())
    assert open_clip(path).info.has_video


@pytest.mark.parametrize(
    "name",
    [
        "concat:a|b.mp4",
        "subfile,,start,0,end,100,,:a.mp4",
        "http:x.mp4",
        "pipe:0",
        'it\'s "q".mp4',
        "two\nlines.mp4",
        "名前🙂.mp4",
        "-y.mp4",
        "%d.mp4",
        "n" * 251 + ".mp4",
    ],
)
def test_a_name_is_only_a_name(tmp_path, secret, name):
    path = tmp_path / name
    path.write_bytes(secret.read_bytes())
    assert len(decode(open_clip(path)).frames) == 5
    path.write_bytes(b"no media at all " * 99)
    assert len(refusal(path)) < 300


def test_what_is_no_file(tmp_path, secret):
    assert refusal(tmp_path / "gone.mp4") == "gone.mp4 does not exist; check the path."
    assert "is a folder" in refusal(tmp_path)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "is empty (0 bytes)" in refusal(empty)
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert "is not a regular file" in refusal(pipe)
    refusal(tmp_path / "nul\0byte.mp4")
    refusal(tmp_path / ("x" * 5000))


def test_a_file_that_may_not_be_read_is_told(secret, monkeypatch):
    def refused(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("core.media.door.os.open", refused)
    assert refusal(secret) == "secret.mp4 may not be read by this user; change its permissions."


def test_symbolic_links_need_leave(tmp_path, secret):
    link = tmp_path / "link.mp4"
    link.symlink_to(secret)
    assert "is a symbolic link" in refusal(link)
    assert open_clip(link, limits=replace(DEFAULT_LIMITS, allow_symlinks=True)).info.has_video


@pytest.mark.parametrize(
    ("put", "told"),
    [
        (lambda path, secret: path.symlink_to(secret), "is a symbolic link"),
        (lambda path, secret: path.mkdir(), "is a folder"),
        (lambda path, secret: os.mkfifo(path), "is not a regular file"),
    ],
)
def test_what_is_put_there_just_before_it_is_opened_is_refused(tmp_path, secret, monkeypatch, put, told):
    path, opened = tmp_path / "mine.mp4", os.open
    path.write_bytes(secret.read_bytes())

    def exchanged(name, *arguments, **options):
        if os.fspath(name) == str(path):
            path.unlink()
            put(path, secret)
        return opened(name, *arguments, **options)

    monkeypatch.setattr("core.media.door.os.open", exchanged)
    assert told in refusal(path)


def test_links_in_a_circle_lead_nowhere(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    for limits in (DEFAULT_LIMITS, replace(DEFAULT_LIMITS, allow_symlinks=True)):
        assert "links" in refusal(tmp_path / "circle" / "a.mp4", limits=limits)


def test_an_index_at_the_end_that_was_cut_off(tmp_path, secret):
    path = tmp_path / "half.mp4"
    data = secret.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "damaged or cut off" in refusal(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize(
    ("name", "video_codec", "audio_codec"),
    [
        ("t.mkv", "libx264", "aac"),
        ("t.webm", "libvpx", "libopus"),
        ("t.avi", "mpeg4", "libmp3lame"),
        ("t.ts", "libx264", "aac"),
        ("t.flv", "flv", "libmp3lame"),
        ("t.mpg", "mpeg1video", "mp2"),
    ],
)
def test_truncated_files_are_read_or_refused_in_a_sentence(tmp_path, name, video_codec, audio_codec, share):
    sample_rate = 48_000 if audio_codec == "libopus" else 44_100
    path = write_media(
        tmp_path / name,
        pictures=grey_pictures(20),
        times_seconds=[k / 25 for k in range(20)],
        video_codec=video_codec,
        sound=tone(0.8, sample_rate),
        sample_rate=sample_rate,
        audio_codec=audio_codec,
    )
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    try:
        media = decode(open_clip(path))
    except MediaError as error:
        assert str(error).startswith(name)
    else:
        assert media.frames is not None or media.waveform is not None


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("max_bytes", 100, "MiB"),
        ("max_file_seconds", 0.2, "allowed 0 s"),
        ("max_span_seconds", 0.3, "shorter span"),
        ("max_pixels", 63 * 48, "64 × 48 pixels"),
        ("max_streams", 1, "2 streams"),
        ("max_channels", 0, "1 sound channels"),
        ("max_sample_rate", 8_000, "16000 Hz"),
        ("max_packets", 3, "3 packets"),
    ],
)
def test_limits_are_kept_and_told(secret, limit, value, told):
    assert told in refusal(secret, limits=replace(DEFAULT_LIMITS, **{limit: value}))


def test_a_picture_that_grows_beyond_the_limit_is_not_decoded(tmp_path):
    small, large = tmp_path / "small.ts", tmp_path / "large.ts"
    write_media(small, pictures=[quadrants(64, 48)] * 5)
    write_media(large, pictures=[quadrants(640, 480)] * 5)
    path = tmp_path / "grows.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    # those of the second film come shrunk to the first one's size, if they are decoded at all
    whole = decode(open_clip(path))
    assert whole.frames.pixels.shape == (5, 48, 64, 3) and whole.frames.times_seconds.max() > 0.55
    limits = replace(DEFAULT_LIMITS, max_pixels=100 * 100)
    media = decode(open_clip(path, limits=limits), limits=limits)
    assert media.frames.times_seconds == pytest.approx([0.2, 0.3, 0.4])
    assert "grows.ts is damaged in 5 places; what could be decoded is used." in media.notes
