"""Pictures that nobody asks for are not decoded, and what is asked for is what all pictures give."""

import av
import numpy as np
import pytest
from made_media import tone, write_media

from core.media import decode, open_clip
from core.media.asked import Asked
from core.media.streams import PicturePicker

NUM = 120


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def moving_clip(request, tmp_path_factory):
    """With pictures that serve no other: something moves, so that an encoder finds use for all kinds."""
    rows, columns = np.mgrid[:48, :64]
    pictures = [
        np.stack(
            [(np.sin((columns + shift + 5 * k) / 6) * 60 + 128 + k / 4) for shift in (0, 9, 21)], -1
        ).astype(np.uint8)
        for k in range(NUM)
    ]
    kinds = {
        "libx264": {"x264-params": "bframes=3:b-adapt=0:b-pyramid=none:keyint=250:scenecut=0"},
        "libx265": {"x265-params": "bframes=3:b-adapt=0:b-pyramid=0:keyint=250:scenecut=0:log-level=none"},
    }
    try:
        return write_media(
            tmp_path_factory.mktemp("asked") / "moving.mp4",
            pictures=pictures,
            video_codec=request.param,
            video_options=kinds[request.param],
            sound=tone(NUM / 10, 16_000),
        )
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"there is no {request.param} here")


@pytest.fixture
def num_decoded(monkeypatch):
    """How many pictures came out of the decoder."""
    seen = []
    plain = PicturePicker.add
    monkeypatch.setattr(
        PicturePicker, "add", lambda self, frame: seen.append(frame.pts) or plain(self, frame)
    )
    return seen


def every_picture(path):
    with av.open(str(path)) as container:
        shown = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    times, pixels = zip(*shown, strict=True)
    return np.array(times), np.stack(pixels)


def leaves_out(path) -> bool:
    """Whether its codec marks what serves no other picture; in HEVC, higher layers in time may need it."""
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize("num_frames", [1, 7, 32])
@pytest.mark.parametrize("span", [(None, None), (3.05, 8.2), (11.0, 12.0)])
def test_what_is_asked_for_is_what_all_pictures_give(moving_clip, num_decoded, span, num_frames):
    clip = open_clip(moving_clip, start_seconds=span[0], end_seconds=span[1])
    found = decode(clip, num_frames=num_frames).frames
    times, pixels = every_picture(moving_clip)
    moments = clip.start_seconds + (np.arange(num_frames) + 0.5) / num_frames * clip.duration_seconds
    expected = np.unique(np.searchsorted(times, moments, side="right") - 1)
    np.testing.assert_allclose(found.times_seconds, times[expected])
    assert np.array_equal(found.pixels, pixels[expected])
    if leaves_out(moving_clip):
        assert len(num_decoded) < 0.7 * np.sum(times < clip.end_seconds)
    else:
        assert np.sum(times < moments[-1]) <= len(num_decoded)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_where_too_much_was_left_out_all_is_decoded(
    moving_clip, num_decoded, monkeypatch, is_damaged, tmp_path
):
    path = moving_clip
    if is_damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(content)
    clip = open_clip(path)
    monkeypatch.setattr(Asked, "read", lambda self, packets: packets)
    expected = decode(clip, num_frames=32)
    monkeypatch.undo()
    if not is_damaged:  # packets that lie
        monkeypatch.setattr(Asked, "_is_asked_for", lambda self, packet: False)
    found = decode(clip, num_frames=32)
    assert found.notes == expected.notes and bool(found.notes) == is_damaged
    np.testing.assert_array_equal(found.frames.times_seconds, expected.frames.times_seconds)
    np.testing.assert_array_equal(found.frames.pixels, expected.frames.pixels)
    np.testing.assert_array_equal(found.waveform, expected.waveform)
