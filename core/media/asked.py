"""Which pictures of a video need not be decoded: nobody asks for them, and no other is made from them.

About half of the pictures of a usual H.264 clip serve no other picture. Where its packets tell the times, a
decoder is told to leave out those of them that are on screen at none of the moments that are asked for.
Whether that was right is checked afterwards (`Asked.are_those`), for packets may lie.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

_CODEC = "h264"
"""Which marks pictures that serve no other; HEVC's marks may be of pictures that higher layers need."""

_AHEAD = 32
"""Packets that are read before one is decoded: pictures are stored out of order by at most 16 places."""

_ROUNDING_SECONDS = 1e-6


class Asked:
    """Reads the packets of a container ahead, and lets a video's decoder leave out what nobody asks for.

    Args:
        video: the stream.
        moments_seconds: ascending; asked for is what is on screen then.

    Attributes:
        has_left_out: whether the decoder was told to leave out any.
    """

    def __init__(self, video: VideoStream, moments_seconds: Sequence[float]):
        self._video = video
        self._moments = list(moments_seconds)
        self._index, self._tick_seconds = video.index, float(video.time_base)
        self._times: list[int] = []
        self.has_left_out = False
        self._is_open = video.codec_context.codec.canonical_name == _CODEC

    def read(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """The same packets in the same order, each to be decoded before the next one is taken."""
        waiting: deque[Packet] = deque()
        for packet in packets:
            waiting.append(packet)
            if packet.stream_index == self._index and packet.pts is not None:
                insort(self._times, packet.pts)
            if len(waiting) > _AHEAD:
                yield self._told(waiting.popleft())
        while waiting:
            yield self._told(waiting.popleft())

    def are_those(self, times_seconds: Sequence[float]) -> bool:
        """Whether these are the times of the pictures that the packets promise for the moments."""
        if not self._times:
            return False
        places = [self._place(moment) for moment in self._moments]
        promised = sorted({self._times[place] for place in places})
        expected = self._tick_seconds * np.array(promised, float)
        return len(expected) == len(times_seconds) and bool(
            np.allclose(expected, times_seconds, rtol=0, atol=_ROUNDING_SECONDS)
        )

    def _place(self, moment_seconds: float) -> int:
        return max(
            0, bisect_right(self._times, moment_seconds, key=lambda time: time * self._tick_seconds) - 1
        )

    def _told(self, packet: Packet) -> Packet:
        if self._is_open and packet.stream_index == self._index:
            is_asked_for = self._is_asked_for(packet)
            self.has_left_out |= not is_asked_for
            self._video.codec_context.skip_frame = "DEFAULT" if is_asked_for else "NONREF"
        return packet

    def _is_asked_for(self, packet: Packet) -> bool:
        """Also true where it cannot be told."""
        if packet.pts is None:
            return True
        after = bisect_right(self._times, packet.pts)
        if after == len(self._times) or bisect_left(self._times, packet.pts) == 0:
            return True
        begin, end = packet.pts * self._tick_seconds, self._times[after] * self._tick_seconds
        place = bisect_left(self._moments, begin - _ROUNDING_SECONDS)
        return place < len(self._moments) and self._moments[place] < end + _ROUNDING_SECONDS
