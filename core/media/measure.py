"""What a media file holds and how long it lasts, told by its packets; one frame of a stream is decoded."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.media.clip import MediaError, MediaInfo
from core.media.door import OpenMedia, open_media, told
from core.media.limits import Limits
from core.media.packets import frames_of, packets_of, sample_aspect
from core.media.streams import Orientation

_MAX_TRIES = 500
"""Packets of a stream that may fail to decode before the stream is given up as unreadable."""


def measure(path: Path, limits: Limits) -> tuple[MediaInfo, float, float]:
    """What a file holds, and when it begins and ends, in seconds on its own clock.

    Raises:
        MediaError: nothing in it can be decoded, or it is larger or longer than allowed.
    """
    with open_media(path, limits) as media:
        video, audio, orientation = _extents(path, media, limits)
        container = media.container.format.name
    first = min(extent.start for extent in (video, audio) if extent is not None)
    last = max(extent.end for extent in (video, audio) if extent is not None)
    first = max(0.0, first)
    if last - first > limits.max_file_seconds:
        raise MediaError(
            f"{told(path)} is {last - first:.0f} s long, more than the allowed "
            f"{limits.max_file_seconds:.0f} s; cut it."
        )
    info = MediaInfo(
        container=container,
        num_bytes=media.num_bytes,
        duration_seconds=last - first,
        has_video=video is not None,
        has_audio=audio is not None,
        width=orientation.width if orientation else 0,
        height=orientation.height if orientation else 0,
        rotation_degrees=orientation.rotation_degrees if orientation else 0,
        num_frames=video.num_packets if video else 0,
        video_codec=video.codec if video else None,
        pixel_format=video.pixel_format if video else None,
        audio_codec=audio.codec if audio else None,
        sample_rate=audio.sample_rate if audio else 0,
        num_channels=audio.num_channels if audio else 0,
    )
    return info, first, last


@dataclass(frozen=True, kw_only=True)
class _Extent:
    """What the packets of one stream say: its times on the file's clock and what it holds."""

    start: float
    end: float
    num_packets: int
    codec: str
    pixel_format: str | None = None
    sample_rate: int = 0
    num_channels: int = 0


def _extents(
    path: Path, media: OpenMedia, limits: Limits
) -> tuple[_Extent | None, _Extent | None, Orientation | None]:
    """Counts and times every packet; the first frame of each stream is decoded, the rest is not."""
    spans = {stream.index: [math.inf, -math.inf, 0] for stream in media.streams}
    samples: dict[int, VideoFrame | AudioFrame] = {}
    num_packets = 0
    for packet in packets_of(media, Counter()):
        num_packets += 1
        if num_packets > limits.max_packets:
            raise MediaError(
                f"{told(path)} has more than the {limits.max_packets:,} packets that are allowed; cut it."
            )
        stream = packet.stream
        span = spans[stream.index]
        if stream.index not in samples and span[2] < _MAX_TRIES:
            frame = next(iter(frames_of(packet, Counter())), None)
            if frame is not None:
                samples[stream.index] = frame
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None or packet.is_discard:
            continue
        start = float(time * packet.time_base)
        seconds = float((packet.duration or 0) * packet.time_base) or _usual_seconds(stream)
        spans[stream.index] = [min(span[0], start), max(span[1], start + seconds), span[2] + 1]

    def extent(stream: VideoStream | AudioStream | None) -> _Extent | None:
        if stream is None or stream.index not in samples or not spans[stream.index][2]:
            return None
        start, end, count = spans[stream.index]
        sample = samples[stream.index]
        sound = sample if isinstance(stream, AudioStream) else None
        return _Extent(
            start=start,
            end=end,
            num_packets=count,
            codec=stream.codec_context.codec.canonical_name,
            pixel_format=None if sound else sample.format.name,
            sample_rate=sound.sample_rate if sound else 0,
            num_channels=sound.layout.nb_channels if sound else 0,
        )

    video, audio = extent(media.video), extent(media.audio)
    if video is None and audio is None:
        raise MediaError(
            f"{told(path)} holds no picture or sound that can be decoded; it may be damaged or protected, or "
            f"have pictures of more than the allowed {limits.max_pixels:,} pixels: convert or record it anew."
        )
    orientation = None
    if video is not None:
        orientation = Orientation(
            samples[media.video.index], sample_aspect=sample_aspect(media.video), max_side=None
        )
    return video, audio, orientation


def _usual_seconds(stream: VideoStream | AudioStream) -> float:
    """Length of one packet where the container does not tell it."""
    if isinstance(stream, VideoStream):
        return 1 / float(stream.average_rate or stream.guessed_rate or 25)
    return (stream.codec_context.frame_size or 0) / (stream.codec_context.sample_rate or 1)
