"""Hand-made results and small media for the app's tests; no trained model is needed."""

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import checkpoints, launch, linked, resources
from app.clips import shipped_clips
from app.desk import Desk
from app.views.markup import plain
from core.checkpoint import save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.labels import MELD_7
from core.model import build_model
from core.predict import Predictor
from core.prediction import FrameSelection, ModalityReport, PatchStep, Prediction
from tests.app.browsing import chromium
from tests.made_evaluations import made_evaluation

EVIL = "![x](http://x.org/x.png) *b* $x$ `c` :red[r] <script>x</script>"
"""What Markdown would make a picture, styled words and a formula of."""


def is_plain(text: str) -> bool:
    """Whether Markdown shows `EVIL` inside a text letter by letter."""
    return plain(EVIL) in text and EVIL not in text


def tables_of(test) -> list[pd.DataFrame]:
    """The tables of a page, each with the texts that are read in it."""
    html = "".join(element.proto.body for element in test.get("html"))
    found = []
    for told in re.findall(r'<table class="plain-table".*?</table>', html, re.DOTALL):
        rows = ElementTree.fromstring(told).iter("tr")
        (corner, *names), *cells = [["".join(cell.itertext()) for cell in row] for row in rows]
        index = pd.Index([row[0] for row in cells], name=corner)
        found.append(pd.DataFrame([row[1:] for row in cells], columns=names, index=index))
    return found


def go_back(test, parameters: dict[str, str]) -> None:
    """The browser's back or forward button leads to an address."""
    test.query_params = dict(parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linked, "is_from_history", lambda: True)
        test.run()


def menu(menus, name: str):
    """A menu that may have been drawn anew, since its choice was changed by something else."""
    return next(one for one in menus if one.key is not None and one.key.startswith(name))


@pytest.fixture(scope="module")
def browser():
    """A Chromium for all tests of a module."""
    with chromium() as running:
        yield running


@pytest.fixture
def make_prediction():
    return hand_made_prediction


def hand_made_prediction(**changes) -> Prediction:
    """Six candidate frames of which 1, 2 and 4 are kept; 2 × 2 patches of which first 3, then 2 are left.

    Frame 0 went into 1, frame 3 into 4, frame 5 left no trace. In frame 2 (the second kept one) patch 3 went
    into patch 0 at the first step, and patch 2 into patch 1 at the second.
    """
    probabilities = np.array([0.05, 0.10, 0.50, 0.05, 0.15, 0.05, 0.10])
    subsets = np.full((8, 7), 1 / 7)
    subsets[1] = [0.1, 0.1, 0.1, 0.1, 0.4, 0.1, 0.1]
    subsets[7] = probabilities
    shapley = np.zeros((3, 7))
    shapley[:, 2] = [0.30, 0.10, -0.04285714]
    values = {
        "labels": MELD_7.labels,
        "probabilities": probabilities,
        "is_uncertain": False,
        "present": {"video": True, "audio": True, "text": True},
        "notes": (),
        "frames": FrameSelection(
            times_seconds=np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.1]),
            kept=np.array([1, 2, 4]),
            relevance=np.array([0.05, 0.20, 0.40, 0.10, 0.20, 0.05]),
            source_map=np.array(
                [[0.5, 0.5, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0]], dtype=float
            ),
            absorbed_by=np.array([1, 1, 2, 4, 4, -1]),
        ),
        "patch_steps": (
            PatchStep(
                grid=(2, 2),
                kept=np.array([[0, 1, 2]] * 3),
                relevance=np.tile([0.4, 0.3, 0.2, 0.1], (3, 1)),
                absorbed_by=np.array([[0, 1, 2, 0]] * 3),
            ),
            PatchStep(
                grid=(2, 2),
                kept=np.array([[0, 1]] * 3),
                relevance=np.tile([0.5, 0.3, 0.2, np.nan], (3, 1)),
                absorbed_by=np.array([[0, 1, 1, 0]] * 3),
            ),
        ),
        "crop_boxes": np.tile([10.0, 10.0, 50.0, 50.0], (6, 1)),
        "frame_size": (96, 72),
        "modalities": ModalityReport(
            probabilities=subsets,
            shapley=shapley,
            pair_interactions=np.zeros((3, 7)),
            triple_interaction=np.zeros(7),
            verdict="conflict",
            sentence="Video says joy.",
        ),
        "embeddings": {},
        "transcript": "Do not move.",
        "path": "/somewhere/clip.mp4",
        "start_seconds": 0.0,
        "end_seconds": 1.2,
        "checkpoint": "hand-made",
        "checkpoint_hash": "c" * 64,
        "clip_hash": "a" * 64,
    }
    return Prediction(**(values | changes))


def write_clip(path: Path, *, num_frames: int = 20, sound: bool = True, codec: str = "libx264") -> Path:
    """A small clip at 10 frames per second whose picture brightens, with a 220 Hz tone."""
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=10 if codec == "libx264" else 25)
        video.width, video.height, video.pix_fmt = 96, 72, "yuv420p"
        audio = output.add_stream("aac" if codec == "libx264" else "mp2", rate=16_000, layout="mono")
        for index in range(num_frames):
            pixels = np.full((72, 96, 3), 40 + 8 * (index % 20), dtype=np.uint8)
            pixels[20:52, 30:66] = (200, 150, 120)
            output.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(video.encode(None))
        if sound:
            num_samples = int(16_000 * num_frames / float(video.average_rate))
            tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(num_samples) / 16_000)
            frame = av.AudioFrame.from_ndarray(
                (tone * 32767).astype(np.int16)[None], format="s16", layout="mono"
            )
            frame.sample_rate = 16_000
            resampler = av.AudioResampler(
                format=audio.format.name, layout="mono", rate=16_000, frame_size=audio.frame_size
            )
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                output.mux(audio.encode(part))
            output.mux(audio.encode(None))
    return path


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """12,000 clips of joy, 6,000 of fear, 3,000 of anger, in this order; the answers are in the reverse."""
    labels = ["joy"] * 12_000 + ["fear"] * 6_000 + ["anger"] * 3_000
    return made_evaluation(labels, labels[::-1], tmp_path_factory.mktemp("large"), num_bootstrap=0)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> Path:
    """Two labelled clips with a manifest, as they ship."""
    folder = tmp_path_factory.mktemp("clips")
    rows = [
        ("one.mp4", "joy", "Do not move.", "False"),
        ("two.mp4", "fear", "A lovely <b>day</b>.", "True"),
    ]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "transcript", "conflict"])
        writer.writerows(rows)
    for index, row in enumerate(rows):
        write_clip(folder / row[0], num_frames=20 + 4 * index)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A small model with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "small"
    model = build_model(PRESETS["tiny"], weights="random")
    save_checkpoint(folder, model, info=CheckpointInfo(), card="random weights")
    return folder


@pytest.fixture
def predictions(monkeypatch):
    """Words of every clip the model was asked about."""
    asked = []
    predict = Predictor.predict

    def counted(self, prepared, **options):
        asked.append(prepared.transcript.text if prepared.transcript else "")
        return predict(self, prepared, **options)

    monkeypatch.setattr(Predictor, "predict", counted)
    return asked


class ClosedDesk(Desk):
    """Takes orders and does none, so that pages show what they show while they wait."""

    def _start(self) -> None:
        pass


@pytest.fixture
def clip_page(clip_folder, checkpoint, monkeypatch):
    """The app on its Clip page, with two clips and one checkpoint; nothing is explained."""
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(checkpoint))
    monkeypatch.setattr(checkpoints, "shipped_checkpoints", dict)
    monkeypatch.setattr(resources, "shipped_clips", lambda: shipped_clips(clip_folder))
    monkeypatch.setattr(resources, "desk", ClosedDesk)
    for cached in (resources.clips, resources.posters, resources._shared_shelves):
        cached.clear()
    return AppTest.from_file(launch.MAIN, default_timeout=120)
