"""Makes sure that the browser can play what the model was shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from core.media import Clip, MediaError
from core.media.apart import run_apart
from core.media.door import open_media, told
from core.media.limits import DEFAULT_LIMITS
from core.media.streams import Orientation
from core.writing import replacing, written

MAX_COPY_SECONDS = 60.0
MAX_COPY_SIDE = 720
COPY = "-copy.mp4"
"""How the names of copies end."""

_PLAYABLE_VIDEO = {"mov": ("h264",), "matroska": ("vp8", "vp9", "av1")}
_PLAYABLE_AUDIO = {
    "mov": ("aac", "mp3"),
    "matroska": ("opus", "vorbis"),
    "ogg": ("opus", "vorbis", "flac"),
    "mp3": ("mp3",),
    "wav": ("pcm_s16le", "pcm_u8", "pcm_f32le"),
    "flac": ("flac",),
}
_PLAYABLE_PIXELS = ("yuv420p", "yuvj420p")
_MEDIA_TYPES = {"mov": "mp4", "matroska": "webm", "mp3": "mpeg"}
"""Second half of the MIME type where it is not the container's own name."""
_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True, kw_only=True)
class Playable:
    """A file that browsers play, and its MIME type, such as "video/mp4"."""

    path: Path
    mime: str

    @property
    def has_picture(self) -> bool:
        """Whether it is a video."""
        return self.mime.startswith("video/")


def is_playable(clip: Clip) -> bool:
    """Whether every browser plays the file as it is."""
    info, kind = clip.info, _kind(clip)
    if kind == "matroska" and clip.path.suffix.lower() != ".webm":
        return False
    is_picture_playable = not info.has_video or (
        info.video_codec in _PLAYABLE_VIDEO.get(kind, ()) and info.pixel_format in _PLAYABLE_PIXELS
    )
    return is_picture_playable and (not info.has_audio or info.audio_codec in _PLAYABLE_AUDIO.get(kind, ()))


def as_it_is(clip: Clip) -> Playable:
    """The clip's own file."""
    return _playable(clip, clip.path, _kind(clip))


def playable_copy(clip: Clip, folder: Path, say: Callable[[str], None]) -> Playable | None:
    """The clip's own file, or a copy in `folder` that browsers play, on the same clock; None if too long.

    Args:
        clip: from the guarded reader.
        folder: where the copy may be put.
        say: told when copying begins.

    Raises:
        MediaError: if no copy can be made.
    """
    if is_playable(clip):
        return as_it_is(clip)
    # of the whole file, since the copy runs on its clock
    if clip.info.duration_seconds > MAX_COPY_SECONDS:
        return None
    say("Making a copy that the browser can play")
    target = folder / f"{clip.sha256[:16]}{COPY}"
    if clip.is_apart:
        is_whole, copy = run_apart(_copy, clip, name=told(clip.path), limits=DEFAULT_LIMITS)
    else:
        is_whole, copy = _copy(clip)
    with written(folder, MediaError), replacing(target, is_synced=False) as part:
        part.write_bytes(copy.data)
    if not is_whole:
        say("The file breaks off; keeping what could be read")
    return _playable(clip, target, "mov")


def _copy(clip: Clip) -> tuple[bool, np.ndarray]:
    """Whether the copy holds all of the file, and its bytes."""
    # no file to write to: a stranger's clip is decoded by a process that may write none, and FFmpeg crashes
    # where a disk is full before the first packet
    is_whole, copy = True, io.BytesIO()
    with open_media(clip.path, DEFAULT_LIMITS) as source, av.open(copy, "w", format="mp4") as output:
        writers = {}
        if source.video is not None and clip.info.has_video:
            writers[source.video.index] = _PictureWriter(output, source.video)
        if source.audio is not None and clip.info.has_audio:
            writers[source.audio.index] = _SoundWriter(output, clip.info.sample_rate)
        try:
            for packet in source.container.demux(source.streams):
                for frame in _decoded(packet):
                    if packet.stream.index in writers:
                        writers[packet.stream.index].write(frame)
        except av.FFmpegError:
            is_whole = False
        for writer in writers.values():
            writer.finish()
    return is_whole, np.frombuffer(copy.getbuffer(), np.uint8)


def _kind(clip: Clip) -> str:
    return clip.info.container.split(",")[0]


def _playable(clip: Clip, path: Path, kind: str) -> Playable:
    return Playable(
        path=path, mime=f"{'video' if clip.info.has_video else 'audio'}/{_MEDIA_TYPES.get(kind, kind)}"
    )


def _decoded(packet: av.Packet) -> list:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


class _PictureWriter:
    """Upright H.264 pictures at their own times; the stream's size is known with its first picture."""

    def __init__(self, output: av.container.OutputContainer, source: av.VideoStream) -> None:
        self._output = output
        rate = source.average_rate or source.guessed_rate or 25
        self._stream = output.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "21"})
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = _TIME_BASE
        self._aspect = float(source.sample_aspect_ratio) if source.sample_aspect_ratio else None
        self._orientation: Orientation | None = None
        self._last = -1

    def write(self, frame: av.VideoFrame) -> None:
        if frame.pts is None:
            return
        if self._orientation is None:
            self._orientation = Orientation(frame, sample_aspect=self._aspect, max_side=MAX_COPY_SIDE)
            # the codec halves the colour picture, so both sides have to be even
            self._stream.width = self._orientation.width // 2 * 2
            self._stream.height = self._orientation.height // 2 * 2
        pts = round(frame.time / _TIME_BASE)
        if pts <= self._last:
            return
        self._last = pts
        pixels = self._orientation.apply(frame)[: self._stream.height, : self._stream.width]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        picture.pts, picture.time_base = pts, _TIME_BASE
        self._output.mux(self._stream.encode(picture))

    def finish(self) -> None:
        if self._orientation is not None:
            self._output.mux(self._stream.encode(None))


class _SoundWriter:
    """AAC sound, stereo, at its own times."""

    def __init__(self, output: av.container.OutputContainer, sample_rate: int) -> None:
        self._output = output
        rate = sample_rate if sample_rate in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000) else 48_000
        self._stream = output.add_stream("aac", rate=rate, layout="stereo")
        self._resampler: av.AudioResampler | None = None
        self._form: tuple | None = None
        self._end = 0

    def write(self, frame: av.AudioFrame) -> None:
        # a resampler refuses frames of another form than its first one's
        form = frame.sample_rate, frame.format.name, frame.layout.name
        if form != self._form:
            self._flush()
            self._form = form
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=self._stream.rate)
        self._encode(self._resampler.resample(frame))

    def finish(self) -> None:
        self._flush()
        self._output.mux(self._stream.encode(None))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._encode(self._resampler.resample(None))

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            # times have to ascend: sound that overlaps what came before is put after it
            start = 0 if frame.pts is None else round(frame.time * self._stream.rate)
            frame.pts, frame.time_base = max(start, self._end), Fraction(1, self._stream.rate)
            self._end = frame.pts + frame.samples
            self._output.mux(self._stream.encode(frame))
