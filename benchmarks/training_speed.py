"""How fast the network trains on a GPU, and what a clip takes of its memory, from cached frames.

    python benchmarks/training_speed.py                                # preset paper, bf16, 16 clips a step
    python benchmarks/training_speed.py --nominal-tflops 989           # also against what the maker promises
    python benchmarks/training_speed.py --preset tiny --batch 4 --device cpu   # tries the script itself

Needs torch, timm, transformers, numpy and safetensors, and nothing that decodes, explains or shows. Weights
and clips are random: products take as long whatever the numbers. Three ways take turns on one network, in one
precision: as it trains (features of the frozen encoders cached, blocks of `core.encoders.window_blocks`),
with timm's blocks, and plainly, with timm's blocks and both frozen encoders in every step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from core.config import PRESETS
from core.media import SAMPLE_RATE
from core.model import DeepMSI, ModelInput
from training.average import WeightAverage
from training.config import TrainConfig
from training.losses.objective import Objective
from training.optimizer import build_optimizer
from training.recompute import recompute_early_blocks
from training.speed.work import flops_of

OURS, BLOCKS, PLAIN = "as it trains", "timm's blocks", "timm's blocks, nothing cached"
CLIP_SECONDS, NUM_TOKENS = 4, 24
AIM_USE, AIM_TIMES, AIM_GB = 0.35, 3.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one way of training gave.

    Attributes:
        clips_per_second: median over the turns.
        kept_bytes: of one clip, kept by the forward pass for the backward pass.
        peak_bytes: of one clip, on top of weights and the optimizer's moments; None where no GPU tells.
    """

    clips_per_second: float
    kept_bytes: float
    peak_bytes: float | None


class Trainer:
    """A network in training on random clips, as `training.learner` does it in one process."""

    def __init__(
        self, preset: str, batch: int, num_frames: int, device: torch.device, *, bf16: bool, recompute: bool
    ) -> None:
        torch.manual_seed(0)
        nowhere = Path("random")
        self.config = TrainConfig(
            preset=preset, batch_size=batch, data=(nowhere,), out=nowhere, cache_dir=nowhere
        )
        self.device, self.bf16 = device, bf16
        self.model = DeepMSI(PRESETS[preset], "random")
        self.flops_per_clip = self._flops(num_frames)
        if recompute:
            recompute_early_blocks(self.model)
        self.cached = self._clips(batch, num_frames, is_cached=True)
        self.raw = self._clips(batch, num_frames, is_cached=False)
        self.model.to(device).train()
        self.optimizer = build_optimizer(self.config, self.model)
        num_classes = len(self.model.config.labels)
        counts = torch.full((1, num_classes), 100.0)
        width = self.model.config.heads.projection_width
        self.objective = Objective(self.config, counts, width).to(device)
        self.average = WeightAverage(self.model, self.config.weight_average)
        self.labels = torch.arange(batch, device=device) % num_classes

    def step(self, way: str) -> None:
        """One step of the optimizer."""
        self.loss(way).backward()
        torch.nn.utils.clip_grad_norm_(self.model.trained_parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.model)

    def loss(self, way: str) -> Tensor:
        """Of the batch, to be differentiated."""
        clips = (self.raw if way == PLAIN else self.cached).to(self.device)
        clips = replace(clips, frames=clips.frames.float() / 255)
        blocks = nullcontext() if way == OURS else _timms_blocks(self.model)
        with blocks, torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.model(clips)
        return self.objective(
            output.logits.float(),
            {name: part.float() for name, part in output.projections.items()},
            output.present,
            self.labels,
            epoch=0,
            sources=torch.zeros_like(self.labels),
        ).total

    def kept_bytes(self, way: str) -> float:
        """What the forward pass of one clip keeps for the backward pass, the weights left out."""
        weights = {one.untyped_storage().data_ptr() for one in self.model.parameters()}
        seen: dict[int, int] = {}
        held = []

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                seen[storage.data_ptr()] = storage.nbytes()
                # what is freed meanwhile would lend its address to another
                held.append(storage)
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks:
            self.loss(way)
        return sum(seen.values()) / len(self.labels)

    def peak_bytes(self, way: str) -> float | None:
        """The most that one clip took on top of what is always there."""
        if self.device.type != "cuda":
            return None
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self.step(way)
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / len(self.labels)

    def _clips(self, num: int, num_frames: int, *, is_cached: bool) -> ModelInput:
        """Frames as the cache has them, and features of sound and words, or these themselves."""
        side = self.model.config.video.image_size
        clips = ModelInput(
            present=torch.ones(num, 3, dtype=torch.bool),
            frames=torch.randint(0, 256, (num, num_frames, 3, side, side), dtype=torch.uint8),
            frame_mask=torch.ones(num, num_frames, dtype=torch.bool),
        )
        sounds = {
            "waveforms": 0.1 * torch.randn(num, CLIP_SECONDS * SAMPLE_RATE),
            "num_samples": torch.full((num,), CLIP_SECONDS * SAMPLE_RATE),
        }
        words = {
            "token_ids": torch.randint(3, 100, (num, NUM_TOKENS)),
            "token_mask": torch.ones(num, NUM_TOKENS, dtype=torch.bool),
        }
        if not is_cached:
            return replace(clips, **sounds, **words)
        with torch.no_grad():
            like = self.model.audio(*(one[:1] for one in sounds.values()))[0]
        words = torch.randn(num, self.model.config.text.width)
        return replace(clips, audio_features=torch.randn(num, *like.shape), text_features=words)

    def _flops(self, num_frames: int) -> int:
        """Operations of one clip, forward and backward: thrice those of the forward pass."""
        clip = self._clips(1, num_frames, is_cached=True)
        clip = replace(clip, frames=clip.frames.float() / 255)

        @torch.no_grad()
        def ask() -> None:
            self.model.eval()(clip)

        return 3 * flops_of(ask)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of large square products, the best of some."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in "ab")

    def multiply() -> None:
        torch.mm(a, b)

    return 2 * side**3 / min(_seconds(multiply, device) for _ in range(10))


def measure(trainer: Trainer, num_turns: int, num_steps: int) -> dict[str, Found]:
    """All ways in turns, after two steps of each that do not count."""
    ways = (OURS, BLOCKS, PLAIN)
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways:
        trainer.step(way)
        trainer.step(way)
    for _ in range(num_turns):
        for way in ways:

            def steps(way=way) -> None:
                for _ in range(num_steps):
                    trainer.step(way)

            taken[way].append(_seconds(steps, trainer.device) / num_steps)
    return {
        way: Found(
            clips_per_second=len(trainer.labels) / median(taken[way]),
            kept_bytes=trainer.kept_bytes(way),
            peak_bytes=trainer.peak_bytes(way),
        )
        for way in ways
    }


def table(found: dict[str, Found], flops_per_clip: int, peak: float, nominal: float | None) -> str:
    """As Markdown, with the aims."""
    lines = [
        "| way | clips/s | × plain | GB kept a clip | GB at most a clip | use of measured | of nominal |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, one in found.items():
        speed = one.clips_per_second * flops_per_clip
        times = one.clips_per_second / found[PLAIN].clips_per_second
        most = "" if one.peak_bytes is None else f"{one.peak_bytes / 1e9:.2f}"
        promised = "" if nominal is None else f"{speed / nominal:.0%}"
        lines.append(
            f"| {way} | {one.clips_per_second:.2f} | {times:.2f} | {one.kept_bytes / 1e9:.3f} | {most} | "
            f"{speed / peak:.0%} | {promised} |"
        )
    ours = found[OURS]
    if ours.peak_bytes is None:
        return "\n".join([*lines, "", "No GPU: the aims are for one, and are not held against this."])
    aims = (
        ("use of the measured peak", ours.clips_per_second * flops_per_clip / peak, AIM_USE, True),
        ("clips/s × plain", ours.clips_per_second / found[PLAIN].clips_per_second, AIM_TIMES, True),
        ("GB at most a clip", ours.peak_bytes / 1e9, AIM_GB, False),
    )
    for name, reached, aim, is_least in aims:
        is_met = reached >= aim if is_least else reached <= aim
        bound = "least" if is_least else "most"
        verdict = "met" if is_met else "missed"
        lines.append(f"\n{name}: {reached:.2f}, aim at {bound} {aim:.2f}: {verdict}")
    return "\n".join(lines)


@contextmanager
def _timms_blocks(model: DeepMSI) -> Iterator[None]:
    """The same weights and sizes, computed by timm's own code."""
    swin = model.video.swin
    usual = swin.block
    swin.block = lambda stage, position, x: swin.layers[stage].blocks[position](x)
    try:
        yield
    finally:
        swin.block = usual


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="paper")
    parser.add_argument("--batch", type=int, default=16, help="clips a step")
    parser.add_argument("--frames", type=int, help="candidate frames a clip; the preset's by default")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="of each way in a turn")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("bf16", "no"), default="bf16")
    parser.add_argument("--recompute", action="store_true", help="as `TrainConfig.recompute`, in our own way")
    parser.add_argument("--nominal-tflops", type=float, help="what the maker promises for this precision")
    options = parser.parse_args()
    if options.batch < 2 or options.turns < 1 or options.steps < 1:
        parser.error("--batch should be at least 2, --turns and --steps at least 1")
    device, bf16 = torch.device(options.device), options.precision == "bf16"
    frames = options.frames or PRESETS[options.preset].video.num_candidate_frames
    trainer = Trainer(options.preset, options.batch, frames, device, bf16=bf16, recompute=options.recompute)
    peak = peak_flops(device, torch.bfloat16 if bf16 else torch.float32)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    print(
        f"{name}, torch {torch.__version__}: {options.preset}, {options.precision}, {options.batch} clips "
        f"of {frames} frames a step; {trainer.flops_per_clip / 1e9:.0f} GFLOP a clip forward and backward; "
        f"large products reach {peak / 1e12:.2f} TFLOP/s\n"
    )
    nominal = options.nominal_tflops and options.nominal_tflops * 1e12
    print(
        table(
            measure(trainer, options.turns, options.steps),
            trainer.flops_per_clip,
            peak,
            nominal,
        )
    )


if __name__ == "__main__":
    main()
