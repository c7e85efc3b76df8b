"""What is measured: our network, the one it is compared with, and the plain way from a file to an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
import timm
import torch
from torch import Tensor, nn

from core.checkpoint import Checkpoint, load_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS, CompressionConfig, ModelConfig, VideoConfig
from core.encoders.video import VideoEncoder
from core.media import SAMPLE_RATE
from core.media.faces import crop
from core.model import DeepMSI, ModelInput, ModelOutput
from core.predict import stack_frames
from core.shipped import default_checkpoint
from training.speed.turns import Taken, now

PUBLISHED = {"merge": False, "order": "score", "train_guide": False}
"""Switches of `CompressionConfig` that do as the published code does."""

Reading = TypeVar("Reading", Taken, int)


def checkpoint_of(preset: str, folder: Path | None = None) -> Checkpoint:
    """A checkpoint of a preset: the one in the folder or the shipped one, else a network of random weights.

    Random weights multiply as fast as trained ones.

    Raises:
        CheckpointError: if the folder holds none.
    """
    for place in filter(None, (folder, None if folder else default_checkpoint())):
        found = load_checkpoint(place)
        if found.config.preset == preset:
            return found
    torch.manual_seed(0)
    config = PRESETS[preset]
    return Checkpoint(
        model=DeepMSI(config, "random").eval(),
        config=config,
        info=CheckpointInfo(),
        folder=Path(f"{preset}-random"),
        sha256="0" * 64,
        metrics={},
        card="",
    )


def encoder_like(
    config: ModelConfig, compression: CompressionConfig | None = None, **video: object
) -> VideoEncoder:
    """A video encoder of random weights, with other compression or other sizes."""
    return VideoEncoder(replace(config.video, **video), compression or config.compression).eval()


def resized(config: VideoConfig, size: int) -> VideoConfig:
    """The same network for pictures of another size; of the patches it keeps as large a share."""
    scale = size / config.image_size
    grids = tuple(tuple(max(1, round(side * scale)) for side in grid) for grid in config.vsc_grids)
    return replace(config, image_size=size, vsc_grids=grids)


def plain_encoder(config: VideoConfig) -> nn.Module | None:
    """The network of this architecture as timm has it, uncompressed; None where it has none."""
    if config.backbone is None:
        return None
    return timm.create_model(config.backbone, pretrained=False, num_classes=0).eval()


def pictures(number: int, size: int) -> Tensor:
    """`(number, 3, size, size)` in [0, 1]."""
    return torch.rand(number, 3, size, size, generator=torch.Generator().manual_seed(0))


def encoding(encoder: VideoEncoder, frames: Tensor) -> Callable[[], None]:
    """One clip of these candidate frames through a video encoder."""
    mask = torch.ones(1, len(frames), dtype=torch.bool)
    guide = torch.zeros(1, encoder.config.guide_width)

    @torch.inference_mode()
    def work() -> None:
        encoder(frames.unsqueeze(0), mask, guide)

    return work


def calling(network: nn.Module, inputs: Tensor, at_once: int | None = None) -> Callable[[], None]:
    """A network on inputs, all at once or so many at a time."""

    @torch.inference_mode()
    def work() -> None:
        for part in inputs.split(at_once or len(inputs)):
            network(part)

    return work


class StageLaps:
    """Attributes what `VideoEncoder.stages` takes to its four stages, without knowing how it computes them.

    Every layer that is called marks the time. What lies between two marks is of the stage of the later one,
    so what is done between two stages is of the stage that follows.

    Attributes:
        laps: what was read in the last run, by stage.
    """

    def __init__(self, encoder: VideoEncoder) -> None:
        self._encoder = encoder
        self._marked: dict[nn.Module, str] = {}
        for name, module in encoder.named_modules():
            stage = _stage_of(name)
            if stage and not list(module.children()):
                self._marked[module] = stage
        self.laps: dict[str, Reading] = {}

    @torch.inference_mode()
    def run(self, tokens: Tensor, guide: Tensor, read: Callable[[], Reading] = now) -> dict[str, Reading]:
        """What each stage took of `stages(tokens, guide)`, in what `read` counts."""
        self.laps, last = {}, read()

        def mark(stage: str) -> None:
            nonlocal last
            found = read()
            self.laps[stage] = found - last + self.laps[stage] if stage in self.laps else found - last
            last = found

        with self._hooks(mark):
            self._encoder.stages(tokens, guide)
        mark("stage 4")
        return self.laps

    @contextmanager
    def _hooks(self, mark: Callable[[str], None]) -> Iterator[None]:
        hooks = []
        for module, stage in self._marked.items():
            hooks.append(module.register_forward_pre_hook(lambda *_, stage=stage: mark(stage)))
            hooks.append(module.register_forward_hook(lambda *_, stage=stage: mark(stage)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _stage_of(name: str) -> str | None:
    if name.startswith("conv_stages."):
        return "stages 1 and 2"
    if name.startswith("swin.norm"):
        return "stage 4"
    if name.startswith("swin.layers."):
        return f"stage {int(name.split('.')[2]) + 1}"
    return None


@torch.inference_mode()
def answer(
    model: DeepMSI,
    frames: Tensor,
    audio: Tensor,
    text: Tensor,
) -> ModelOutput:
    """One prediction from all modalities: candidate frames `(frame, 3, size, size)` and frozen features."""
    return model(
        ModelInput(
            present=torch.ones(1, 3, dtype=torch.bool),
            frames=frames.unsqueeze(0),
            frame_mask=torch.ones(1, len(frames), dtype=torch.bool),
            audio_features=audio,
            text_features=text,
        )
    )


@torch.inference_mode()
def plain_answer(
    model: DeepMSI, encoder: nn.Module, frames: Tensor, audio: Tensor, text: Tensor
) -> ModelOutput:
    """The same with another network for the frames, all of which it encodes in one batch."""
    summary = model.temporal(encoder(frames).unsqueeze(0), torch.ones(1, len(frames), dtype=torch.bool))
    return model(
        ModelInput(
            present=torch.ones(1, 3, dtype=torch.bool),
            video_features=summary,
            audio_features=audio,
            text_features=text,
        )
    )


def decode_everything(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Every picture `(height, width, rgb)` of a file and its sound at 16 kHz: the plain way to read it."""
    shown, heard = [], []
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                shown.append(frame.to_ndarray(format="rgb24"))
            else:
                heard += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        heard += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return shown, np.concatenate(heard)


def evenly(shown: list[np.ndarray] | np.ndarray, number: int) -> np.ndarray:
    """So many of the pictures, spread evenly."""
    return np.stack([shown[i] for i in np.linspace(0, len(shown) - 1, number).round().astype(int)])


def middle(shown: np.ndarray, size: int) -> Tensor:
    """The middle square of pictures `(frame, height, width, rgb)`, as `(frame, 3, size, size)` in [0, 1]."""
    height, width = shown.shape[1:3]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    boxes = np.tile([left, top, left + side, top + side], (len(shown), 1))
    return stack_frames([crop(shown, boxes, size)])[0][0]
