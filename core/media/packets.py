"""Packets of an open container and the frames in them, in spite of damage, which is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import av
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.media.door import OpenMedia


def packets_of(media: OpenMedia, damage: Counter) -> Iterator[Packet]:
    """The packets of the chosen streams, and the empty ones that flush their decoders, up to a break."""
    packets = media.container.demux(media.streams)
    try:
        yield from packets
    except av.FFmpegError:
        damage["container"] += 1
        # what the decoders still hold back comes out by an empty packet each
        for stream in media.streams:
            packet = Packet()
            packet.stream = stream
            yield packet
    except IndexError:
        # all was read, and the decoders are flushed: PyAV 18 then asks also for streams that came up in
        # mid-file, for which it made no room, and finds none
        return


def frames_of(packet: Packet, damage: Counter) -> list[VideoFrame] | list[AudioFrame]:
    """The frames that this packet completes; none where it is damaged."""
    if packet.is_corrupt:
        damage[packet.stream.type] += 1
    try:
        return packet.decode()
    except av.FFmpegError:
        if packet.size:
            damage[packet.stream.type] += 1
        return []


def sample_aspect(stream: VideoStream) -> float | None:
    """Width over height of a pixel; None where the stream does not tell it."""
    return float(stream.sample_aspect_ratio) if stream.sample_aspect_ratio else None
