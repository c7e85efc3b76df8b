from __future__ import annotations

import io
from collections import Counter
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from made_media import grey_levels, grey_pictures, quadrants, tone, write_media

from core.media import SAMPLE_RATE, MediaError, Transcript, decode, open_clip, reader
from core.media.packets import packets_of


def loudest_hertz(waveform: np.ndarray) -> float:
    """Frequency of a tone, by the zero crossings of its interior."""
    inner = waveform[len(waveform) // 5 : -len(waveform) // 5]
    rising = np.flatnonzero((inner[:-1] < 0) & (inner[1:] >= 0))
    return (len(rising) - 1) * SAMPLE_RATE / (rising[-1] - rising[0])


@pytest.mark.parametrize(
    ("name", "codec", "sample_rate", "layout", "tolerance_seconds"),
    [
        ("a.mp4", "aac", 44_100, "stereo", 0.05),
        ("a.m4a", "aac", 24_000, "mono", 0.06),
        ("a.mp4", "aac", 48_000, "5.1", 0.05),
        ("a.mov", "pcm_s16le", 48_000, "stereo", 0.0002),
        ("a.mkv", "flac", 96_000, "mono", 0.002),
        ("a.webm", "libopus", 48_000, "stereo", 0.03),
        ("a.avi", "libmp3lame", 44_100, "stereo", 0.08),
        ("a.mpg", "mp2", 44_100, "stereo", 0.08),
        ("a.ts", "aac", 44_100, "mono", 0.08),
        ("a.flv", "libmp3lame", 22_050, "mono", 0.12),
        ("a.wav", "pcm_s16le", 8_000, "mono", 0.0002),
        ("a.wav", "pcm_s24le", 44_100, "5.1", 0.0002),
        ("a.wav", "pcm_f32le", 11_025, "stereo", 0.0002),
        ("a.mp3", "libmp3lame", 32_000, "stereo", 0.08),
        ("a.flac", "flac", 48_000, "5.1", 0.0002),
        ("a.ogg", "libopus", 48_000, "mono", 0.03),
    ],
)
def test_sound_keeps_its_frequency_length_and_loudness(
    tmp_path, name, codec, sample_rate, layout, tolerance_seconds
):
    num_channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    sound = np.tile(tone(1.5, sample_rate), (num_channels, 1))
    path = write_media(
        tmp_path / name, sound=sound, sample_rate=sample_rate, audio_codec=codec, layout=layout
    )
    clip = open_clip(path)
    media = decode(clip)
    assert clip.info.has_audio and not clip.info.has_video
    assert (clip.info.sample_rate, clip.info.num_channels) == (sample_rate, num_channels)
    assert media.frames is None and "has no video" in " ".join(media.notes)
    assert media.waveform.dtype == np.float32
    assert loudest_hertz(media.waveform) == pytest.approx(440, abs=0.5)
    assert len(media.waveform) / SAMPLE_RATE == pytest.approx(1.5, abs=tolerance_seconds)
    assert np.abs(media.waveform[4000:-4000]).max() == pytest.approx(0.4, rel=0.06)


def test_stereo_is_averaged(tmp_path):
    sound = np.stack([tone(1.0, 16_000), np.zeros(16_000, np.float32)])
    path = write_media(tmp_path / "left.wav", sound=sound, audio_codec="pcm_s16le", layout="stereo")
    assert np.abs(decode(open_clip(path)).waveform).max() == pytest.approx(0.2, rel=0.02)


def test_sound_that_starts_late_is_aligned_with_the_picture(tmp_path):
    path = write_media(
        tmp_path / "late.mkv",
        pictures=grey_pictures(20),
        sound=tone(1.0, 16_000),
        audio_codec="pcm_s16le",
        sound_starts_seconds=0.6,
    )
    waveform = decode(open_clip(path)).waveform
    first = np.flatnonzero(np.abs(waveform) > 0.02)[0] / SAMPLE_RATE
    assert first == pytest.approx(0.6, abs=0.002)
    assert len(waveform) / SAMPLE_RATE == pytest.approx(1.6, abs=0.002)


VARIABLE_TIMES = [0.0, 0.04, 0.08, 0.5, 0.51, 0.9, 1.7, 1.72, 2.5, 2.9]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("v.mp4", "libx264", "yuv420p"),
        ("v.mkv", "libx264", "yuv420p"),
        ("v.webm", "libvpx-vp9", "yuv420p"),
        ("v.mov", "mjpeg", "yuvj420p"),
    ],
)
def test_variable_frame_rate_keeps_every_time(tmp_path, name, codec, pixel_format):
    path = write_media(
        tmp_path / name,
        pictures=grey_pictures(10),
        times_seconds=VARIABLE_TIMES,
        video_codec=codec,
        pixel_format=pixel_format,
    )
    clip = open_clip(path, end_seconds=2.95)
    assert clip.info.num_frames == 10
    frames = decode(clip, num_frames=590).frames
    assert frames.times_seconds == pytest.approx(VARIABLE_TIMES, abs=0.0006)
    assert grey_levels(frames.pixels) == list(range(10))


def test_candidates_are_on_screen_at_the_middle_of_equal_parts(tmp_path):
    path = write_media(tmp_path / "v.mp4", pictures=grey_pictures(10), times_seconds=VARIABLE_TIMES)
    # parts of 0.5 s from 0 to 3: middles 0.25, 0.75, 1.25, 1.75, 2.25, 2.75
    frames = decode(open_clip(path, end_seconds=3.0), num_frames=6).frames
    clip_end = open_clip(path).end_seconds
    assert clip_end == pytest.approx(3.0, abs=0.15)
    assert frames.times_seconds == pytest.approx([0.08, 0.51, 0.9, 1.72, 2.5], abs=0.001)
    assert grey_levels(frames.pixels) == [2, 4, 5, 7, 8]


def test_each_frame_comes_once(tmp_path):
    path = write_media(tmp_path / "few.mp4", pictures=grey_pictures(3))
    frames = decode(open_clip(path), num_frames=32).frames
    assert grey_levels(frames.pixels) == [0, 1, 2]
    assert frames.times_seconds == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pictures_come_upright(tmp_path, degrees, is_mirrored):
    stored = quadrants(64, 32)
    # the container's matrix turns counterclockwise, then mirrors
    shown = np.rot90(stored, degrees // 90)
    shown = np.fliplr(shown) if is_mirrored else shown
    path = write_media(
        tmp_path / "phone.mp4", pictures=[stored] * 4, rotation_degrees=degrees, is_mirrored=is_mirrored
    )
    clip = open_clip(path)
    pixels = decode(clip, num_frames=2).frames.pixels
    assert (clip.info.height, clip.info.width) == shown.shape[:2] == pixels.shape[1:3]
    assert clip.info.rotation_degrees == -degrees % 360
    assert np.abs(pixels[0].astype(int) - shown).mean() < 12


@pytest.mark.parametrize(
    ("name", "codec"), [("odd.mkv", "ffv1"), ("odd.webm", "libvpx-vp9"), ("odd.mp4", "libx264")]
)
def test_odd_sizes(tmp_path, name, codec):
    path = write_media(
        tmp_path / name,
        pictures=grey_pictures(3, width=53, height=37),
        video_codec=codec,
        pixel_format="yuv444p",
    )
    frames = decode(open_clip(path)).frames
    assert frames.pixels.shape == (3, 37, 53, 3)
    assert grey_levels(frames.pixels) == [0, 1, 2]


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    path = write_media(tmp_path / "wide.mp4", pictures=[quadrants(64, 48)] * 3, sample_aspect=Fraction(2, 1))
    clip = open_clip(path)
    pixels = decode(clip).frames.pixels
    assert (clip.info.width, clip.info.height) == (128, 48)
    assert pixels.shape[1:3] == (48, 128)
    assert np.abs(pixels[0].astype(int) - quadrants(128, 48)).mean() < 12


def test_large_pictures_are_shrunk(tmp_path):
    path = write_media(tmp_path / "large.mp4", pictures=[quadrants(1600, 900)] * 2)
    clip = open_clip(path)
    assert (clip.info.width, clip.info.height) == (1600, 900)
    assert decode(clip).frames.pixels.shape[1:3] == (720, 1280)


def two_tones(seconds_each: float) -> np.ndarray:
    return np.concatenate([tone(seconds_each, 16_000), tone(seconds_each, 16_000, hertz=880)])


def test_a_span_cuts_picture_and_sound_alike(tmp_path):
    path = write_media(
        tmp_path / "span.mov", pictures=grey_pictures(20), sound=two_tones(1.0), audio_codec="pcm_s16le"
    )
    clip = open_clip(path, start_seconds=0.75, end_seconds=1.55)
    media = decode(clip, num_frames=8)
    assert clip.duration_seconds == pytest.approx(0.8)
    assert len(media.waveform) == 0.8 * SAMPLE_RATE
    expected = two_tones(1.0)[int(0.75 * SAMPLE_RATE) : int(1.55 * SAMPLE_RATE)]
    assert np.abs(media.waveform - expected).max() < 1e-3
    # middles 0.80, 0.90, … 1.50 at 10 frames a second; a time on the boundary shows the new frame
    assert media.frames.times_seconds == pytest.approx([0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5], abs=0.101)
    assert set(grey_levels(media.frames.pixels)) <= set(range(7, 16))


@pytest.mark.parametrize(("name", "codec"), [("long.mp4", "aac"), ("long.mkv", "aac"), ("long.ts", "aac")])
def test_a_late_span_equals_the_same_part_of_the_whole(tmp_path, name, codec):
    pictures = [np.full((32, 32, 3), 20 + k % 200, np.uint8) for k in range(160)]
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal(16 * 16_000)).astype(np.float32)
    path = write_media(
        tmp_path / name, pictures=pictures, sound=sound, audio_codec=codec, video_options={"g": "25"}
    )
    whole = open_clip(path)
    start = whole.start_seconds + 13.0
    late = decode(open_clip(path, start_seconds=start, end_seconds=start + 2), num_frames=20)
    full = decode(whole, num_frames=1600)
    shown = [
        np.flatnonzero(np.isclose(full.frames.times_seconds, time))[0] for time in late.frames.times_seconds
    ]
    assert np.array_equal(late.frames.pixels, full.frames.pixels[shown])
    assert late.frames.times_seconds[0] == pytest.approx(start, abs=0.11)
    first = round((start - whole.start_seconds) * SAMPLE_RATE)
    same = full.waveform[first : first + len(late.waveform)]
    assert len(late.waveform) == 2 * SAMPLE_RATE
    assert np.abs(late.waveform - same).max() < 1e-3


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_a_jump_that_lands_behind_the_start_loses_nothing(tmp_path, name, monkeypatch):
    pictures = [np.full((32, 32, 3), 20 + k % 200, np.uint8) for k in range(160)]
    path = write_media(
        tmp_path / name, pictures=pictures, sound=tone(16.0, 16_000), video_options={"g": "10"}
    )
    clip = open_clip(path, start_seconds=11.0, end_seconds=14.0)
    expected = decode(clip, num_frames=30)
    # as an index that is wrong would have it
    monkeypatch.setattr(reader, "_SEEK_MARGIN_SECONDS", -2.0)
    found = decode(clip, num_frames=30)
    assert expected.frames.times_seconds[0] < 11.2
    assert np.array_equal(found.frames.times_seconds, expected.frames.times_seconds)
    assert np.array_equal(found.frames.pixels, expected.frames.pixels)
    assert len(found.waveform) == 3 * SAMPLE_RATE
    assert np.abs(found.waveform - expected.waveform).max() < 1e-3


def test_transcripts_and_identity_are_kept(talking_clip):
    clip = open_clip(talking_clip, transcript="hello")
    assert clip.transcript == Transcript(text="hello", source="given")
    copy = talking_clip.with_name("copy.mp4")
    copy.write_bytes(talking_clip.read_bytes())
    assert open_clip(copy).sha256 == clip.sha256


def test_missing_sound_is_a_state(tmp_path):
    path = write_media(tmp_path / "mute.mp4", pictures=grey_pictures(10))
    media = decode(open_clip(path))
    assert media.waveform is None and len(media.frames) == 10
    assert media.notes == ("mute.mp4 has no sound.",)


def test_silence_is_sound_and_told(tmp_path):
    path = write_media(tmp_path / "still.wav", sound=np.zeros(16_000), audio_codec="pcm_s16le")
    media = decode(open_clip(path))
    assert len(media.waveform) == SAMPLE_RATE and not media.waveform.any()
    assert "The sound of still.wav is silent." in media.notes


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as file:
        audio = file.add_stream("libmp3lame", rate=16_000)
        cover = file.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(quadrants(64, 64), format="rgb24").reformat(format="yuvj420p")
        file.mux(cover.encode(picture))
        file.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(1.0, 16_000)[None], format="fltp", layout="mono")
        frame.sample_rate = 16_000
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000, frame_size=576)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(audio.encode(piece))
        file.mux(audio.encode(None))
    with av.open(str(path)) as file:
        assert file.streams.video, "the file should hold a cover"
    clip = open_clip(path)
    assert clip.info.has_audio and not clip.info.has_video
    media = decode(clip)
    # a cover that were taken for a video would be one that cannot be decoded
    assert media.frames is None and media.notes == ("song.mp3 has no video.",)


def test_streams_that_come_up_in_mid_file_are_left_alone(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 240, 320, 3), dtype=np.uint8)
    one = write_media(tmp_path / "one.ts", pictures=list(noise), video_codec="mpeg2video").read_bytes()
    with av.open(str(tmp_path / "more.ts"), "w") as file:
        for audio in [file.add_stream("mp2", rate=16_000, layout="mono") for _ in range(40)]:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
            frame.sample_rate = 16_000
            file.mux([*audio.encode(frame), *audio.encode(None)])
    more = (tmp_path / "more.ts").read_bytes()
    # neither the beginning nor the end, at which FFmpeg looks first, tells of them
    path = tmp_path / "joined.ts"
    path.write_bytes(one * (6_000_000 // len(one)) + more + one * (1_000_000 // len(one)))
    with av.open(str(path)) as file:
        assert len(file.streams) == 1
    clip = open_clip(path)
    assert clip.info.has_video and not clip.info.has_audio
    # pictures are 20 in each part
    assert clip.info.num_frames == 20 * (6_000_000 // len(one) + 1_000_000 // len(one))
    assert len(decode(clip, num_frames=8).frames) == 8


def test_what_pyav_looks_for_in_vain_at_the_end_ends_the_packets():
    def demux(streams):
        yield from streams
        raise IndexError("list index out of range")

    media = SimpleNamespace(container=SimpleNamespace(demux=demux), streams=["a packet", "its flush"])
    damage = Counter()
    assert list(packets_of(media, damage)) == ["a packet", "its flush"] and not damage


class OneWay(io.RawIOBase):
    """A pipe: what is written cannot be gone back to, as when a browser records."""

    def __init__(self):
        self.written = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.written += bytes(data)
        return len(data)


def test_a_recording_without_a_duration_is_measured(tmp_path):
    pipe = OneWay()
    write_media(
        pipe,
        pictures=grey_pictures(15),
        video_codec="libvpx",
        sound=tone(1.5, 48_000),
        sample_rate=48_000,
        audio_codec="libopus",
        container="webm",
        options={"live": "1"},
    )
    path = tmp_path / "recorded.webm"
    path.write_bytes(pipe.written)
    with av.open(str(path)) as file:
        assert not file.duration, "the file should not know its duration"
    clip = open_clip(path)
    assert clip.info.num_frames == 15
    assert clip.duration_seconds == pytest.approx(1.5, abs=0.05)
    media = decode(clip, num_frames=150)
    assert media.frames.times_seconds == pytest.approx(np.arange(15) / 10, abs=0.001)
    assert loudest_hertz(media.waveform) == pytest.approx(440, abs=0.5)


def test_a_cut_off_file_gives_what_is_left_and_says_so(talking_clip, tmp_path):
    data = talking_clip.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: int(len(data) * 0.6)])
    media = decode(open_clip(path))
    assert len(media.frames) >= 1 and len(media.waveform) > 1600
    assert any(note.startswith("cut.mp4 is cut off") or "damaged" in note for note in media.notes)


def test_damage_in_the_middle_is_told_and_survived(talking_clip):
    data = bytearray(talking_clip.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 600] = b"\xff" * 600
    talking_clip.write_bytes(data)
    media = decode(open_clip(talking_clip))
    assert media.frames is not None
    assert abs(len(media.waveform) / SAMPLE_RATE - 2.0) < 0.1
    assert any("talk.mp4 is damaged" in note for note in media.notes)


def test_a_file_that_changed_is_not_read(talking_clip):
    clip = open_clip(talking_clip)
    talking_clip.write_bytes(talking_clip.read_bytes() + b"more")
    with pytest.raises(MediaError, match="talk.mp4 has changed"):
        decode(clip)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (1.0, 1.0, "is empty"),
        (1.5, 0.5, "is empty"),
        (float("nan"), 1.0, "is empty"),
        (5.0, 6.0, "lies outside"),
        (-3.0, -1.0, "lies outside"),
    ],
)
def test_impossible_spans_are_refused(talking_clip, start, end, reason):
    with pytest.raises(MediaError, match=reason):
        open_clip(talking_clip, start_seconds=start, end_seconds=end)


def test_a_span_that_reaches_over_the_end_is_cut(talking_clip):
    clip = open_clip(talking_clip, start_seconds=-1.0, end_seconds=99.0)
    assert clip.start_seconds == 0.0
    assert clip.end_seconds == pytest.approx(2.0, abs=0.07)
