"""Makes small media files with known pictures and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAME_RATE = 10


def tone(seconds: float, rate: int, *, hertz: float = 440.0, amplitude: float = 0.4) -> np.ndarray:
    """`(sample,)` float32."""
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def grey_pictures(num_frames: int, *, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Frame k is plain grey of level 20 + 7 k, so that a decoded picture tells which frame it was."""
    return [np.full((height, width, 3), 20 + 7 * k, np.uint8) for k in range(num_frames)]


def quadrants(width: int, height: int) -> np.ndarray:
    """A picture that is red and green above, blue and white below."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (250, 5, 5)
    picture[: height // 2, width // 2 :] = (5, 250, 5)
    picture[height // 2 :, : width // 2] = (5, 5, 250)
    picture[height // 2 :, width // 2 :] = (250, 250, 250)
    return picture


def grey_levels(pixels: np.ndarray) -> list[int]:
    """Which frames of `grey_pictures` these are."""
    return np.rint((pixels.mean(axis=(1, 2, 3)) - 20) / 7).astype(int).tolist()


def write_media(
    path: Path | object,
    *,
    pictures: list[np.ndarray] | None = None,
    times_seconds: list[float] | None = None,
    video_codec: str = "libx264",
    pixel_format: str = "yuv420p",
    video_options: dict | None = None,
    sample_aspect: Fraction | None = None,
    rotation_degrees: int = 0,
    is_mirrored: bool = False,
    sound: np.ndarray | None = None,
    sample_rate: int = 16_000,
    audio_codec: str = "aac",
    layout: str = "mono",
    sound_starts_seconds: float = 0.0,
    container: str | None = None,
    options: dict | None = None,
) -> Path:
    """Encodes pictures at given times and a `(sample,)` or `(channel, sample)` sound."""
    target = str(path) if isinstance(path, Path) else path
    with av.open(target, "w", format=container, options=options or {}) as file:
        video = audio = None
        if pictures is not None:
            video = file.add_stream(video_codec, rate=FRAME_RATE, options=video_options or {})
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = pixel_format
            if video_codec.startswith(("mpeg1", "mpeg2")):
                video.codec_context.framerate = Fraction(25)
                video.codec_context.time_base = Fraction(1, 25)
            else:
                video.codec_context.time_base = Fraction(1, 1000)
            if sample_aspect is not None:
                video.codec_context.sample_aspect_ratio = sample_aspect
            if rotation_degrees or is_mirrored:
                video.set_display_rotation(rotation_degrees, hflip=is_mirrored)
        if sound is not None:
            audio = file.add_stream(audio_codec, rate=sample_rate)
            audio.codec_context.layout = layout
            audio.codec_context.format = audio.codec_context.codec.audio_formats[0]
        if video is not None:
            unit = video.codec_context.time_base
            times = times_seconds or [k / FRAME_RATE for k in range(len(pictures))]
            for picture, time in zip(pictures, times, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.time_base, frame.pts = unit, round(time / unit)
                file.mux(video.encode(frame))
            file.mux(video.encode(None))
        if audio is not None:
            channels = np.atleast_2d(sound).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
            frame.sample_rate = sample_rate
            frame.time_base, frame.pts = Fraction(1, sample_rate), round(sound_starts_seconds * sample_rate)
            resampler = av.AudioResampler(
                format=audio.codec_context.format,
                layout=layout,
                rate=sample_rate,
                frame_size=audio.codec_context.frame_size or 1024,
            )
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                file.mux(audio.encode(piece))
            file.mux(audio.encode(None))
    return path
