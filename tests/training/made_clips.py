"""Clips that a test makes for itself. (No conftest: two folders have one, and only one can be imported.)"""

from pathlib import Path

import av
import numpy as np


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
