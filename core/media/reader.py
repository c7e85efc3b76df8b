"""Reads clips: `open_clip` checks a file and measures it, `decode` reads its span in one forward pass."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from core.cores import usable_cores
from core.media.apart import run_apart
from core.media.asked import Asked
from core.media.clip import Clip, DecodedMedia, Frames, MediaError, Transcript
from core.media.door import OpenMedia, open_file, open_media, told
from core.media.limits import DEFAULT_LIMITS, Limits
from core.media.measure import measure
from core.media.packets import frames_of, packets_of, sample_aspect
from core.media.streams import PicturePicker, WaveformBuilder

_SILENCE = 1e-4
"""Peak amplitude below which a waveform is called silent: −80 dB."""

_BLACK = 16
"""Pictures that are nowhere brighter, of 255, are called black."""

_SHORT_SECONDS = 0.5
"""Less than most words last."""

_LONG_SECONDS = 30.0
"""More than an utterance lasts; of 32 pictures of it one comes every second."""

_MOST_THREADS = 2
_SEEK_FROM_SECONDS = 10.0
_SEEK_MARGIN_SECONDS = 2.0


def open_clip(
    path: str | Path,
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    transcript: str | Transcript | None = None,
    limits: Limits = DEFAULT_LIMITS,
    apart: bool = False,
) -> Clip:
    """Checks a media file at the guarded door and measures it; of each stream only one frame is decoded.

    Times are on the file's own clock, the one a player shows. A span is cut to what the file holds.

    Args:
        path: of the file.
        start_seconds: where the span begins; None for the begin of the file.
        end_seconds: where it ends; None for the end of the file.
        transcript: the words, where they are known.
        limits: how much is taken.
        apart: for files from strangers: here and in `decode` they are read in a process of its own, which is
            ended at a limit of time or memory (see `core.media.apart`).

    Raises:
        MediaError: the file or the span cannot be used; one sentence.
    """
    path = Path(path)
    with open_file(path, limits) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if apart:
        info, first, last = run_apart(measure, path.absolute(), limits, name=told(path), limits=limits)
    else:
        info, first, last = measure(path, limits)
    start, end = _cut_span(path, first, last, start_seconds, end_seconds, limits)
    if isinstance(transcript, str):
        transcript = Transcript(text=transcript)
    return Clip(
        path=path,
        sha256=sha256,
        info=info,
        start_seconds=start,
        end_seconds=end,
        transcript=transcript,
        is_apart=apart,
    )


def decode(clip: Clip, *, num_frames: int = 32, limits: Limits = DEFAULT_LIMITS) -> DecodedMedia:
    """Reads the clip's span in one forward pass over picture and sound.

    Candidate i is the frame on screen at the middle of the i-th of `num_frames` equal parts of the span,
    upright, in square pixels, at most `limits.max_side` long; where several parts fall on one frame it comes
    once. A modality that is missing or unreadable is None and told in a note.

    Raises:
        MediaError: the file cannot be opened any more, has changed, or nothing in the span can be decoded.
    """
    if clip.is_apart:
        placed = replace(clip, path=clip.path.absolute())
        return run_apart(_decode, placed, num_frames, limits, name=told(clip.path), limits=limits)
    return _decode(clip, num_frames, limits)


def _decode(clip: Clip, num_frames: int, limits: Limits) -> DecodedMedia:
    reading = None
    if clip.info.has_video and clip.start_seconds > _SEEK_FROM_SECONDS:
        reading = _read(clip, num_frames, limits, is_seeking=True)
    if reading is None:
        reading = _read(clip, num_frames, limits, is_seeking=False)
    if reading.frames is None and reading.waveform is None:
        raise MediaError(
            f"{told(clip.path)} has no picture or sound that can be decoded between "
            f"{clip.start_seconds:.2f} s and {clip.end_seconds:.2f} s; choose another span or convert it."
        )
    return DecodedMedia(
        frames=reading.frames, waveform=reading.waveform, notes=tuple(_notes(clip, reading, num_frames))
    )


@dataclass(kw_only=True, eq=False)
class _Reading:
    """What one pass over the file gave."""

    frames: Frames | None
    waveform: np.ndarray | None
    has_video_stream: bool
    has_audio_stream: bool
    num_damaged: int
    announced_seconds: float


def _cut_span(
    path: Path,
    first: float,
    last: float,
    start_seconds: float | None,
    end_seconds: float | None,
    limits: Limits,
) -> tuple[float, float]:
    name = told(path)
    start = first if start_seconds is None else float(start_seconds)
    end = last if end_seconds is None else float(end_seconds)
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise MediaError(
            f"{name}: the span from {start:g} s to {end:g} s is empty; let it end after its start."
        )
    if start >= last or end <= first:
        raise MediaError(
            f"{name} holds {first:.2f} s to {last:.2f} s, so a span from {start:.2f} s to {end:.2f} s lies "
            "outside; choose one inside."
        )
    start, end = max(start, first), min(end, last)
    if end - start > limits.max_span_seconds:
        raise MediaError(
            f"{name}: {end - start:.0f} s are more than the allowed {limits.max_span_seconds:.0f} s; "
            "choose a shorter span by its start and end."
        )
    return start, end


def _read(clip: Clip, num_frames: int, limits: Limits, *, is_seeking: bool) -> _Reading | None:
    """The span; None when seeking did not land before its start: then repeat without."""
    try:
        return _pass(clip, num_frames, limits, is_seeking=is_seeking, is_complete=False)
    except _LeftOutError:
        return _pass(clip, num_frames, limits, is_seeking=is_seeking, is_complete=True)


class _LeftOutError(Exception):
    """A picture was not decoded that may have been asked for."""


def _pass(
    clip: Clip, num_frames: int, limits: Limits, *, is_seeking: bool, is_complete: bool
) -> _Reading | None:
    """One pass over the span, in which every picture is decoded or those that are asked for.

    Raises:
        _LeftOutError: where others than these turned out to be on screen, or something was damaged.
    """
    parts = (np.arange(num_frames) + 0.5) / num_frames
    with open_media(clip.path, limits) as media:
        if media.num_bytes != clip.info.num_bytes:
            raise MediaError(f"{told(clip.path)} has changed since it was opened; open it again.")
        video = media.video if clip.info.has_video else None
        audio = media.audio if clip.info.has_audio else None
        if is_seeking and not _seek(media, clip.start_seconds):
            return None
        picker = PicturePicker(
            clip.start_seconds + parts * clip.duration_seconds,
            sample_aspect=sample_aspect(video) if video else None,
            max_side=limits.max_side,
        )
        builder = WaveformBuilder(clip.start_seconds, clip.end_seconds)
        if video is not None:
            video.thread_type, video.thread_count = "AUTO", _num_threads()
        sinks = {stream.index: sink for stream, sink in ((video, picker), (audio, builder)) if stream}
        damage = Counter()
        packets = packets_of(media, damage)
        asked = None
        if video is not None and not is_complete:
            asked = Asked(video, picker.moments_seconds)
            packets = asked.read(packets)
        for packet in packets:
            sink = sinks.get(packet.stream.index)
            if sink is None or sink.is_done:
                continue
            for frame in frames_of(packet, damage):
                sink.add(frame)
            if all(sink.is_done for sink in sinks.values()):
                break
        if is_seeking and any(sink.first_seconds > clip.start_seconds for sink in sinks.values()):
            return None
        frames = picker.finish()
        if (
            asked is not None
            and asked.has_left_out
            and (damage.total() or frames is None or not asked.are_those(frames.times_seconds))
        ):
            raise _LeftOutError
        return _Reading(
            frames=frames,
            waveform=builder.finish(),
            has_video_stream=media.video is not None,
            has_audio_stream=media.audio is not None,
            num_damaged=damage.total(),
            announced_seconds=(media.container.duration or 0) / av.time_base,
        )


def _num_threads() -> int:
    """Of a decoder: one that has no core of its own only makes the others wait."""
    return min(_MOST_THREADS, usable_cores())


def _seek(media: OpenMedia, start_seconds: float) -> bool:
    """Jumps to a key frame well before the start, where the container has an index to be trusted."""
    if media.container.format.name.split(",")[0] not in ("mov", "matroska"):
        return False
    try:
        media.container.seek(int((start_seconds - _SEEK_MARGIN_SECONDS) * av.time_base))
    except av.FFmpegError:
        return False
    return True


def _notes(clip: Clip, reading: _Reading, num_frames: int) -> Iterator[str]:
    name, seconds = told(clip.path), clip.duration_seconds
    if seconds < _SHORT_SECONDS:
        yield f"Only {seconds:.2f} s of {name} are read, less than a word lasts: they can tell very little."
    if seconds > _LONG_SECONDS:
        rarely = f"; its picture is looked at every {seconds / num_frames:.0f} s" if reading.frames else ""
        yield f"One answer stands for {seconds:.0f} s of {name}{rarely}. Choose the span of one utterance."
    if reading.frames is None:
        if clip.info.has_video:
            yield f"{name} has no picture in this span."
        elif reading.has_video_stream:
            yield f"The video of {name} cannot be decoded, so only its sound is used."
        else:
            yield f"{name} has no video."
    elif reading.frames.pixels.max() <= _BLACK:
        yield f"The picture of {name} is black."
    elif len(reading.frames) == 1 < num_frames:
        yield f"{name} has a single picture in this span, so no movement can be seen."
    if reading.waveform is None:
        if clip.info.has_audio:
            yield f"{name} has no sound in this span."
        elif reading.has_audio_stream:
            yield f"The sound of {name} cannot be decoded, so only its video is used."
        else:
            yield f"{name} has no sound."
    elif np.abs(reading.waveform).max() < _SILENCE:
        yield f"The sound of {name} is silent."
    if reading.num_damaged:
        places = "a place" if reading.num_damaged == 1 else f"{reading.num_damaged} places"
        yield f"{name} is damaged in {places}; what could be decoded is used."
    missing_seconds = reading.announced_seconds - clip.info.duration_seconds
    if missing_seconds > 0.5 + 0.02 * reading.announced_seconds:
        yield (
            f"{name} is cut off: it announces {reading.announced_seconds:.1f} s and holds "
            f"{clip.info.duration_seconds:.1f} s."
        )
