"""Turns decoded FFmpeg frames into upright square-pixel pictures and a mono 16 kHz waveform."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from core.media.clip import SAMPLE_RATE, Frames

_MAX_ASPECT = 4
"""Pixels longer than this are taken for a damaged header and drawn square."""

_MAX_JITTER_SECONDS = 0.04
"""Containers round time stamps (mkv and flv to 1 ms); a jump beyond this is a real gap or overlap."""


class Orientation:
    """How a stored picture is turned and scaled to be seen as meant.

    Attributes:
        rotation_degrees: clockwise, one of 0, 90, 180, 270.
        is_mirrored: left and right are swapped, after the rotation.
        width / height: of the picture as shown, in square pixels.
    """

    def __init__(self, frame: VideoFrame, *, sample_aspect: float | None, max_side: int | None):
        self.rotation_degrees, self.is_mirrored = _read_display_matrix(frame)
        width, height = float(frame.width), float(frame.height)
        if sample_aspect and 1 / _MAX_ASPECT <= sample_aspect <= _MAX_ASPECT:
            width *= sample_aspect
        scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
        self._stored_width = max(1, round(width * scale))
        self._stored_height = max(1, round(height * scale))
        is_lying = self.rotation_degrees in (90, 270)
        self.width = self._stored_height if is_lying else self._stored_width
        self.height = self._stored_width if is_lying else self._stored_height

    def apply(self, frame: VideoFrame) -> np.ndarray:
        """`(height, width, rgb)` uint8; any frame of the stream comes out at this size."""
        is_smaller = self._stored_width * self._stored_height < frame.width * frame.height
        rgb = frame.reformat(
            width=self._stored_width,
            height=self._stored_height,
            format="rgb24",
            interpolation="AREA" if is_smaller else "BICUBIC",
        ).to_ndarray()
        rgb = np.rot90(rgb, k=-self.rotation_degrees // 90)
        return rgb[:, ::-1] if self.is_mirrored else rgb


def _read_display_matrix(frame: VideoFrame) -> tuple[int, bool]:
    """Clockwise rotation in degrees and whether the rotated picture is mirrored left to right."""
    side_data = frame.side_data.get(Type.DISPLAYMATRIX)
    if side_data is None:
        return 0, False
    # rows (a b u / c d v / x y w): a point (p, q) is shown at (a p + c q, b p + d q), q growing downwards
    a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5].astype(float)
    is_mirrored = a * d - b * c < 0
    if is_mirrored:
        a, c = -a, -c
    return int(round(np.degrees(np.arctan2(b, a)) / 90)) % 4 * 90, bool(is_mirrored)


class PicturePicker:
    """Takes from a stream of frames those that are on screen at given moments.

    A frame is on screen from its own time until the next frame's. Before the first frame the first is taken,
    after the last the last; a frame is taken once.
    """

    def __init__(self, moments_seconds: Sequence[float], *, sample_aspect: float | None, max_side: int):
        self.moments_seconds = list(moments_seconds)
        self._next = 0
        self._held: VideoFrame | None = None
        self._held_seconds = -np.inf
        self.first_seconds = np.inf
        self._sample_aspect = sample_aspect
        self._max_side = max_side
        self._orientation: Orientation | None = None
        self._pixels: list[np.ndarray] = []
        self._times: list[float] = []

    @property
    def is_done(self) -> bool:
        """Every moment has its frame."""
        return self._next == len(self.moments_seconds)

    def add(self, frame: VideoFrame) -> None:
        """Takes the next frame in order of presentation; one without a time or out of order is dropped."""
        if frame.pts is None or frame.time <= self._held_seconds:
            return
        if self._held is None:
            self.first_seconds = frame.time
        else:
            self._pick_held(until_seconds=frame.time)
        self._held, self._held_seconds = frame, frame.time

    def finish(self) -> Frames | None:
        """The picked frames; None when there was no frame at all."""
        if self._held is None:
            return None
        self._pick_held(until_seconds=np.inf)
        return Frames(pixels=np.stack(self._pixels), times_seconds=np.array(self._times))

    def _pick_held(self, *, until_seconds: float) -> None:
        first = self._next
        while not self.is_done and self.moments_seconds[self._next] < until_seconds:
            self._next += 1
        if self._next > first:
            if self._orientation is None:
                self._orientation = Orientation(
                    self._held, sample_aspect=self._sample_aspect, max_side=self._max_side
                )
            self._pixels.append(self._orientation.apply(self._held))
            self._times.append(self._held_seconds)


class WaveformBuilder:
    """Puts decoded sound of any layout and rate on the clock of a span, as mono `SAMPLE_RATE` samples.

    Sample 0 is the span's start. Sound that starts later, and gaps, become zeros; sound after the span's end
    is cut off; the waveform ends with the sound, not with the span.
    """

    def __init__(self, start_seconds: float, end_seconds: float):
        self._start = start_seconds
        self._end = end_seconds
        self._pieces: list[tuple[int, np.ndarray]] = []
        self._resampler: av.AudioResampler | None = None
        self._layout: tuple | None = None
        self._expected_seconds = -np.inf
        self._position = 0
        self._reached = -np.inf
        self.first_seconds = np.inf

    @property
    def is_done(self) -> bool:
        """The span's end is reached."""
        return self._reached >= self._end

    def add(self, frame: AudioFrame) -> None:
        """Takes the next piece of sound."""
        time = frame.time if frame.pts is not None else max(self._expected_seconds, self._start)
        self.first_seconds = min(self.first_seconds, time)
        layout = (frame.sample_rate, frame.format.name, frame.layout.name)
        if layout != self._layout or abs(time - self._expected_seconds) > _MAX_JITTER_SECONDS:
            self._flush()
            self._layout = layout
            self._position = round((time - self._start) * SAMPLE_RATE)
            self._expected_seconds = time
            # without rematrix_maxval a float downmix of stereo comes out 3 dB louder than one of 16-bit sound
            self._resampler = av.AudioResampler(
                format="flt", layout="mono", rate=SAMPLE_RATE, options={"rematrix_maxval": "1.0"}
            )
        self._expected_seconds += frame.samples / frame.sample_rate
        self._reached = self._expected_seconds
        # the resampler refuses a frame whose time base differs from the first one's
        frame.pts = None
        self._append(self._resampler.resample(frame))

    def finish(self) -> np.ndarray | None:
        """`(sample,)` float32 in [−1, 1]; None when no sound lies in the span."""
        self._flush()
        length = round((self._end - self._start) * SAMPLE_RATE)
        reached = min(length, max((at + len(piece) for at, piece in self._pieces), default=0))
        if reached <= 0:
            return None
        waveform = np.zeros(reached, np.float32)
        for at, piece in self._pieces:
            piece = piece[max(0, -at) : max(0, reached - at)]
            at = max(0, at)
            waveform[at : at + len(piece)] = piece
        return np.clip(np.nan_to_num(waveform, copy=False), -1.0, 1.0, out=waveform)

    def _flush(self) -> None:
        if self._resampler is not None:
            self._append(self._resampler.resample(None))
            self._resampler = None

    def _append(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1)
            self._pieces.append((self._position, samples))
            self._position += len(samples)
