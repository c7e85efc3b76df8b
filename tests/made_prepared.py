"""Prepared clips and a predictor that a test makes for itself: noise, and a tiny network with opinions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.media import SAMPLE_RATE, Clip, Frames, MediaInfo
from core.media.faces import FaceTrack
from core.model import DeepMSI
from core.predict import PreparedClip

TINY = PRESETS["tiny"]
SIDE = TINY.video.image_size


def made_checkpoint(folder: Path, **compression) -> Checkpoint:
    """Of random weights; `compression` changes how it compresses.

    Nothing of the noise in `made_prepared` is alike, so that nothing is merged: with a `similarity_threshold`
    of −1 everything is.
    """
    torch.manual_seed(1)
    model = DeepMSI(replace(TINY, compression=replace(TINY.compression, **compression)), "random")
    # an untrained network answers the same to everything: give it opinions
    with torch.no_grad():
        model.classifier.output.weight.mul_(20)
        for absent in model.absent.values():
            absent.normal_()
    return load_checkpoint(save_checkpoint(folder, model, info=CheckpointInfo(temperature=1.5)))


def made_prepared(
    seed: int, *, num_frames: int = 6, seconds: float = 1.0, text: str | None = "well done"
) -> PreparedClip:
    """A clip as `Predictor.prepare` would give it; none of a modality for 0 frames, 0 seconds or None."""
    rng = np.random.default_rng(seed)
    frames = track = crops = waveform = None
    if num_frames:
        pixels = rng.integers(0, 256, (num_frames, 72, 96, 3), dtype=np.uint8)
        frames = Frames(pixels=pixels, times_seconds=np.arange(num_frames) * 0.2)
        boxes = np.tile([12.0, 0.0, 84.0, 72.0], (num_frames, 1))
        track = FaceTrack(boxes=boxes, num_faces=np.ones(num_frames, int), state="one", sentence=None)
        crops = rng.integers(0, 256, (num_frames, SIDE, SIDE, 3), dtype=np.uint8)
    if seconds:
        waveform = rng.normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)
    info = MediaInfo(
        container="mp4",
        num_bytes=1,
        duration_seconds=1.2,
        has_video=bool(num_frames),
        has_audio=bool(seconds),
        width=192,
        height=144,
    )
    clip = Clip(path=Path(f"c{seed}.mp4"), sha256="c" * 64, info=info, start_seconds=0.0, end_seconds=1.2)
    return PreparedClip(
        clip=clip, frames=frames, face_track=track, crops=crops, waveform=waveform, transcript=None
    ).with_transcript(text)
