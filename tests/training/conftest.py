"""A small data set that can be learned: colour, tone and words each tell the emotion."""

import csv

import numpy as np
import pytest
from made_clips import write_clip

COLORS = {"joy": (230, 200, 40), "sadness": (30, 60, 160), "anger": (200, 40, 30)}
TONES_HZ = {"joy": 900, "sadness": 150, "anger": 400}
WORDS = {"joy": "what a lovely day", "sadness": "he is gone forever", "anger": "get out of here now"}


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
