"""Clips that a test makes for itself. (No conftest: two folders have one, and only one can be imported.)"""

from pathlib import Path

import av
import numpy as np

from training.datasets.stills import IGNORED, TARGETS, Expression, Stills

NUM_FRAMES, JOY, ANGER = 8, 4, 6


def write_clip(path: Path, *, color=(90, 90, 90), tone_hz=300, num_frames=12, has_video=True, has_audio=True):
    """A clip of one second at 12 frames per second: one colour with a moving bar, and one tone."""
    with av.open(str(path), "w") as container:
        video = audio = None
        if has_video:
            video = container.add_stream("mpeg4", rate=12)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if has_audio:
            audio = container.add_stream("aac", rate=16000)
            audio.layout = "mono"
        if has_video:
            for i in range(num_frames):
                picture = np.full((48, 64, 3), color, np.uint8)
                picture[:, 4 * i : 4 * i + 6] = 255 - picture[:, 4 * i : 4 * i + 6]
                for packet in video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                    container.mux(packet)
            container.mux(video.encode(None))
        if has_audio:
            wave = 0.4 * np.sin(2 * np.pi * tone_hz * np.arange(16000) / 16000)
            for start in range(0, 16000, 1000):
                frame = av.AudioFrame.from_ndarray(
                    wave[None, start : start + 1000].astype(np.float32), format="fltp", layout="mono"
                )
                frame.sample_rate = 16000
                frame.pts = start
                for packet in audio.encode(frame):
                    container.mux(packet)
            container.mux(audio.encode(None))
    return path


def expressive_clips(num, seed, *, label=True):
    """Frames of clips, eight of each: a random stretch of two or three shows joy (blue) or anger (red)."""
    random = np.random.default_rng(seed)
    pixels = random.integers(30, 70, (num * NUM_FRAMES, 48, 48, 3)).astype(np.uint8)
    expressions = []
    for clip in range(num):
        shown = np.zeros(NUM_FRAMES, np.float32)
        start, length = random.integers(0, NUM_FRAMES - 3), random.integers(2, 4)
        shown[start : start + length] = 1.0
        # what differs between clips, and not within, tells nothing
        pixels[clip * NUM_FRAMES : (clip + 1) * NUM_FRAMES] += np.uint8(random.integers(0, 60))
        for frame in np.flatnonzero(shown):
            pixels[clip * NUM_FRAMES + frame, :, :, 2 if clip % 2 else 0] += 100
        frames = slice(clip * NUM_FRAMES, (clip + 1) * NUM_FRAMES)
        known = (JOY if clip % 2 else ANGER) if label else IGNORED
        expressions.append(Expression(frames=frames, label=known, shown=shown))
    return Stills(
        name="clips",
        pixels=pixels,
        labels=np.full(len(pixels), IGNORED),
        targets=np.full((len(pixels), len(TARGETS)), np.nan, np.float32),
        expressions=tuple(expressions),
    )
