"""Clips of a wanted length and size to be decoded, made of one that ships: a face that speaks, in 16 : 9."""

from __future__ import annotations

from functools import cache
from itertools import cycle
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from core.media import SAMPLE_RATE, MediaError, decode, open_clip
from sample_data import DEMO

FRAMES_PER_SECOND = 25

WORDS = "I really did not expect to see you here today, and I cannot tell you how glad that makes me."
"""Spoken in every clip, as far as the networks are told."""


def shipped_clips(number: int) -> list[Path]:
    """So many of the clips that ship, spread evenly. Raises MediaError where none do."""
    paths = sorted(DEMO.rglob("*.mp4"))
    if not paths:
        raise MediaError(
            "No clips ship with this copy, so there is nothing to measure with; take a whole copy."
        )
    return paths[:: max(1, len(paths) // number)][:number]


@cache
def shipped_clip(seconds: float) -> Path:
    """The one whose length is nearest. Raises MediaError where none ships."""
    return min(
        shipped_clips(len(sorted(DEMO.rglob("*.mp4")))),
        key=lambda path: abs(open_clip(path).duration_seconds - seconds),
    )


def make_clip(path: Path, *, seconds: float, height: int) -> Path:
    """Write a clip of H.264 and AAC, 25 frames a second, with a key frame every ten seconds.

    The picture of a shipped clip fills it, forwards and backwards in turn, and its sound, over and over.
    """
    source = decode(open_clip(shipped_clip(4.0)), num_frames=4 * FRAMES_PER_SECOND)
    width = round(height * 16 / 9 / 2) * 2
    pictures = _widened(source.frames.pixels, width, height)
    with av.open(str(path), "w") as output:
        options = {"preset": "veryfast", "crf": "23"}
        video = output.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.gop_size = 10 * FRAMES_PER_SECOND
        audio = output.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for _, picture in zip(range(round(seconds * FRAMES_PER_SECOND)), _to_and_fro(pictures), strict=False):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            output.mux(video.encode(frame))
        output.mux(video.encode())
        sound = np.resize(source.waveform, round(seconds * SAMPLE_RATE)).astype(np.float32)
        for start in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(
                sound[None, start : start + 1024], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            output.mux(audio.encode(frame))
        output.mux(audio.encode())
    return path


def _widened(pixels: np.ndarray, width: int, height: int) -> list[np.ndarray]:
    """Pictures of the wanted size as an encoder takes them: the middle of each, enlarged."""
    rows = round(pixels.shape[2] * height / width)
    top = max(0, (pixels.shape[1] - rows) // 2)
    scaler = VideoReformatter()
    return [
        scaler.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[top : top + rows]), format="rgb24"),
            width,
            height,
            "yuv420p",
        ).to_ndarray()
        for picture in pixels
    ]


def _to_and_fro(pictures: list[np.ndarray]):
    return cycle([*pictures, *pictures[-2:0:-1]])
