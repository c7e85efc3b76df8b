"""A small data set that can be learned: colour, tone and words each tell the emotion."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest

COLORS = {"joy": (230, 200, 40), "sadness": (30, 60, 160), "anger": (200, 40, 30)}
TONES_HZ = {"joy": 900, "sadness": 150, "anger": 400}
WORDS = {"joy": "what a lovely day", "sadness": "he is gone forever", "anger": "get out of here now"}


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


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder with a manifest: 12 train, 6 dev, 6 test clips of three emotions; one dev clip is silent."""
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    rows = []
    for split, count in (("train", 12), ("val", 6), ("test", 6)):
        for i in range(count):
            label = list(COLORS)[i % 3]
            name = f"{split}{i}.mp4"
            color = np.clip(np.array(COLORS[label]) + random.integers(-20, 20, 3), 0, 255)
            is_silent = split == "val" and i == 5
            write_clip(folder / name, color=color, tone_hz=TONES_HZ[label] + i, has_audio=not is_silent)
            rows.append((name, label, WORDS[label], f"{split}-speaker", split, "all" if i % 2 else "some"))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "transcript", "speaker", "split", "scenario"])
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def tiny_model():
    """A tiny model with random weights, the same in every test."""
    import torch

    from core.config import PRESETS
    from core.model import build_model

    torch.manual_seed(0)
    return build_model(PRESETS["tiny"], weights="random")


@pytest.fixture(scope="session")
def corpus_features(corpus, tiny_model, tmp_path_factory):
    from training.datasets import read_manifest
    from training.features import prepare

    return prepare(read_manifest(corpus), tiny_model, tmp_path_factory.mktemp("cache"), progress=False)
