"""The video encoder's own pretraining, on single pictures of faces.

A small Swin Transformer V2 learns too slowly from one label per clip. Single pictures give it dense truth:
the emotion shown at that moment, and how far each facial action unit is drawn, which ties the features to the
face's geometry instead of its identity. The heads are linear and thrown away; `video.safetensors` stays.

Unusual here: everything is preloaded as uint8 and augmented in batches by one resampling, so that the network
is the only cost, and early phases run at a lower resolution, where a step costs a quarter.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from core.config import PRESETS, ModelConfig
from training.augment import augment_pictures, resample
from training.datasets.manifest import DataError, read_manifest
from training.datasets.stills import IGNORED, TARGETS, Stills, read_frames, read_stills
from training.features import prepare


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the schedule at one resolution."""

    image_size: int
    num_steps: int
    batch_size: int = 64


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """One pretraining run.

    Attributes:
        preset: whose video encoder is trained.
        data: manifests whose clips have sidecars with dense truth; `train` and `dev` splits are used.
        stills / dev_stills: Parquet tables of labelled pictures (`training.datasets.stills.read_stills`).
        stills_zoom: see `Stills.zoom`.
        shares: of each batch, per source in the order (clips, *stills); None for equal ones.
        phases: resolutions and lengths, in order; None for the preset's own resolution only.
        target_weight: of the action units' loss beside the emotion's.
        num_eval_pictures: at most so many of each dev source are looked at.
    """

    out: Path
    cache_dir: Path
    preset: str = "mini"
    data: tuple[Path, ...] = ()
    stills: tuple[Path, ...] = ()
    dev_stills: tuple[Path, ...] = ()
    stills_zoom: float = 1.0
    shares: tuple[float, ...] | None = None
    phases: tuple[Phase, ...] = (
        Phase(image_size=64, num_steps=3000, batch_size=64),
        Phase(image_size=128, num_steps=1000, batch_size=64),
    )
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    target_weight: float = 1.0
    eval_every: int = 250
    num_eval_pictures: int = 1024
    seed: int = 0
    num_threads: int = 2
    device: str = "auto"

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return json.loads(json.dumps(dataclasses.asdict(self), default=str))


@dataclass(frozen=True, kw_only=True)
class StillsScores:
    """How well one dev source is told: of labelled pictures, and the mean R² over the action units known."""

    accuracy: float
    macro_f1: float
    target_r2: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sources:
    train: list[Stills]
    dev: list[Stills]
    config: ModelConfig = field(repr=False)


class PretrainNet(nn.Module):
    """The video encoder's per-frame path with linear heads: an emotion head per source, one for the targets.

    Sources label differently (acted, posed, rendered), so each has its own emotion head over shared features.
    """

    def __init__(self, video: nn.Module, feature_width: int, num_labels: int, num_sources: int) -> None:
        super().__init__()
        self.video = video
        self.norm = nn.LayerNorm(feature_width)
        self.emotions = nn.ModuleList(nn.Linear(feature_width, num_labels) for _ in range(num_sources))
        self.targets = nn.Linear(feature_width, len(TARGETS))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `(source, picture, class)` and standardised targets `(picture, target)`."""
        vectors = self.norm(self.video.frame_vectors(frames))
        return torch.stack([head(vectors) for head in self.emotions]), self.targets(vectors)


def pretrain(config: PretrainConfig) -> Path:
    """Train the preset's video encoder on single pictures.

    Writes `video.safetensors` (the best encoder by the mean of the dev sources' macro-F1), `pretrain.json`
    (config and scores) and `history.jsonl` (one line per evaluation) into `config.out`, which is returned.
    Deterministic by `config.seed` on one machine.

    Raises:
        DataError: where nothing to learn from is found.
    """
    from core.model import build_model

    torch.set_num_threads(config.num_threads)
    torch.manual_seed(config.seed)
    device = _device(config.device)
    model = build_model(PRESETS[config.preset], weights="pretrained")
    sources = _load(config, model)
    video, labels = model.video, sources.config.labels
    net = PretrainNet(video, sources.config.video.feature_width, len(labels), len(sources.train)).to(device)
    del model
    return _run(config, sources, net, device)


def _run(config: PretrainConfig, sources: _Sources, net: PretrainNet, device: torch.device) -> Path:
    config.out.mkdir(parents=True, exist_ok=True)
    mean, deviation = _target_statistics(sources.train)
    samplers = [_Sampler(still, config.seed + 1000 * i) for i, still in enumerate(sources.train)]
    shares = np.asarray(config.shares or [1.0] * len(samplers), float)
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        _weight_decay_groups(net, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98)
    )
    num_steps = sum(phase.num_steps for phase in config.phases)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, config.warmup_steps, num_steps)
    )
    best, step, began, losses = -1.0, 0, time.monotonic(), []
    history = (config.out / "history.jsonl").open("w", encoding="utf-8")
    remaining = _Remaining(config.phases)
    with history:
        for phase in config.phases:
            counts = np.round(shares / shares.sum() * phase.batch_size).astype(int)
            for _ in range(phase.num_steps):
                net.train()
                pictures, label, target, source = [], [], [], []
                for index, (sampler, still, count) in enumerate(
                    zip(samplers, sources.train, counts, strict=True)
                ):
                    chosen = sampler.draw(count)
                    raw = torch.from_numpy(still.pixels[chosen]).to(device)
                    pictures.append(augment_pictures(raw, phase.image_size, generator, zoom=still.zoom))
                    label.append(torch.from_numpy(still.labels[chosen]))
                    target.append(torch.from_numpy(still.targets[chosen]))
                    source.append(torch.full((count,), index))
                loss = _loss(
                    net(torch.cat(pictures)),
                    torch.cat(label).to(device),
                    ((torch.cat(target) - mean) / deviation).to(device),
                    torch.cat(source).to(device),
                    config,
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
                optimizer.step()
                schedule.step()
                step += 1
                losses.append(float(loss.detach()))
                remaining.step(phase)
                if step % config.eval_every == 0 or step == num_steps:
                    scores = evaluate_stills(net, sources, phase.image_size, mean, deviation, config, device)
                    row = {
                        "step": step,
                        "image_size": phase.image_size,
                        "loss": float(np.mean(losses)),
                        "learning_rate": schedule.get_last_lr()[0],
                        "seconds": time.monotonic() - began,
                        "dev": {name: dataclasses.asdict(score) for name, score in scores.items()},
                    }
                    losses.clear()
                    history.write(json.dumps(row) + "\n")
                    history.flush()
                    # the score of another resolution says nothing of the one that will be used
                    if phase is config.phases[-1] or len(config.phases) == 1:
                        mean_f1 = float(np.mean([score.macro_f1 for score in scores.values()]))
                        if mean_f1 > best:
                            best = mean_f1
                            _save(config, sources, net, row)
                    print(_line(row, num_steps, remaining.seconds), flush=True)
    return config.out


def _load(config: PretrainConfig, model: nn.Module) -> _Sources:
    scheme = model.config.labels
    train: list[Stills] = []
    dev: list[Stills] = []
    utterances = [u for path in config.data for u in read_manifest(path, allow_outside=True)]
    if utterances:
        features = prepare(
            [u for u in utterances if u.split in ("train", "dev")],
            model,
            config.cache_dir,
            num_workers=config.num_threads,
        )
        for split, into in (("train", train), ("dev", dev)):
            frames = read_frames(features.of_split(split), scheme)
            if frames is not None:
                into.append(frames)
    for paths, into in ((config.stills, train), (config.dev_stills, dev)):
        into.extend(read_stills(path, scheme, zoom=config.stills_zoom) for path in paths)
    if not train:
        raise DataError(
            "Nothing to pretrain on: no clip of the train split has a sidecar with dense truth and no stills "
            "were given; name a made corpus or a table of stills."
        )
    return _Sources(train=train, dev=dev, config=model.config)


class _Sampler:
    """Draws pictures, classes evened out half-way (probability of a class ∝ √count).

    A picture is repeated only when its class has been gone through.
    """

    def __init__(self, stills: Stills, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        useful = (stills.labels != IGNORED) | ~np.isnan(stills.targets).all(axis=1)
        self.pools = [np.flatnonzero(useful & (stills.labels == label)) for label in np.unique(stills.labels)]
        self.pools = [pool for pool in self.pools if len(pool)]
        weights = np.sqrt([len(pool) for pool in self.pools])
        self.weights = weights / weights.sum()
        self.queues: list[list[int]] = [[] for _ in self.pools]

    def draw(self, count: int) -> np.ndarray:
        chosen = []
        for pool in self.random.choice(len(self.pools), size=count, p=self.weights):
            if not self.queues[pool]:
                self.queues[pool] = self.random.permutation(self.pools[pool]).tolist()
            chosen.append(self.queues[pool].pop())
        return np.array(chosen, dtype=int)


def _loss(outputs, labels: Tensor, targets: Tensor, sources: Tensor, config: PretrainConfig) -> Tensor:
    """Cross-entropy of each picture's own emotion head + squared error of its standardised targets."""
    logits, predicted = outputs
    own = logits[sources, torch.arange(len(sources), device=sources.device)]
    loss = predicted.sum() * 0.0
    if (labels != IGNORED).any():
        loss = F.cross_entropy(own, labels, ignore_index=IGNORED, label_smoothing=config.label_smoothing)
    known = ~targets.isnan()
    if known.any():
        loss = loss + config.target_weight * F.mse_loss(predicted[known], targets[known])
    return loss


def _target_statistics(stills: list[Stills]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each target over the pictures that have it: `(target,)` each."""
    values = np.concatenate([still.targets for still in stills]).astype(np.float64)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    variance = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count
    # a unit that hardly ever moves must not fill the loss with its noise
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(
        variance, dtype=torch.float32
    ).sqrt().clamp_min(0.05)


@torch.inference_mode()
def evaluate_stills(
    net: PretrainNet, sources: _Sources, image_size: int, mean, deviation, config: PretrainConfig, device
) -> dict[str, StillsScores]:
    """Scores on each dev source, read with the emotion head of the train source of the same position."""
    net.eval()
    scores = {}
    for still in sources.dev:
        head = next((i for i, s in enumerate(sources.train) if s.name == still.name), 0)
        useful = np.flatnonzero((still.labels != IGNORED) | ~np.isnan(still.targets).all(axis=1))
        chosen = useful[np.unique(np.linspace(0, len(useful) - 1, config.num_eval_pictures).astype(int))]
        logits, targets = [], []
        for part in np.array_split(chosen, math.ceil(len(chosen) / 128)):
            raw = torch.from_numpy(still.pixels[part]).to(device)
            all_logits, predicted = net(resample(raw, image_size, zoom=still.zoom))
            logits.append(all_logits[head].cpu())
            targets.append(predicted.cpu() * deviation + mean)
        labels = still.labels[chosen]
        known = labels != IGNORED
        guesses = torch.cat(logits).argmax(dim=1).numpy()[known]
        scores[still.name] = StillsScores(
            accuracy=float(accuracy_score(labels[known], guesses)),
            macro_f1=float(f1_score(labels[known], guesses, average="macro")),
            target_r2=_mean_r2(still.targets[chosen], torch.cat(targets).numpy()),
        )
    return scores


def _mean_r2(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    values = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        if known.any() and truth[known, column].std() > 0.01:
            residual = ((truth[known, column] - predicted[known, column]) ** 2).mean()
            values.append(1.0 - residual / truth[known, column].var())
    return float(np.mean(values)) if values else None


def warmup_cosine(step: int, warmup_steps: int, num_steps: int) -> float:
    """Factor of the learning rate: linear to one over the warm-up, then half a cosine to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def _weight_decay_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; biases, norms and scales do not."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class _Remaining:
    """Time left, from the measured seconds per step of this phase and the sizes of those to come."""

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        self.costs = {phase: phase.image_size**2 * phase.batch_size for phase in phases}
        self.left = sum(self.costs[phase] * phase.num_steps for phase in phases)
        self.done, self.began = 0, time.monotonic()
        self.phase = None

    def step(self, phase: Phase) -> None:
        if phase != self.phase:
            self.phase, self.done, self.began = phase, 0, time.monotonic()
        self.done += self.costs[phase]
        self.left -= self.costs[phase]

    @property
    def seconds(self) -> float:
        return (time.monotonic() - self.began) / max(1, self.done) * self.left


def _line(row: dict, num_steps: int, seconds_left: float) -> str:
    scores = "  ".join(
        f"{name} acc {s['accuracy']:.3f} F1 {s['macro_f1']:.3f}"
        + ("" if s["target_r2"] is None else f" AU R² {s['target_r2']:.3f}")
        for name, s in row["dev"].items()
    )
    return (
        f"step {row['step']}/{num_steps} @{row['image_size']} px  loss {row['loss']:.3f}  {scores}  "
        f"{row['seconds'] / 60:.1f} min, {seconds_left / 60:.1f} left"
    )


def _save(config: PretrainConfig, sources: _Sources, net: PretrainNet, row: dict) -> None:
    state = {name: value.detach().cpu().contiguous() for name, value in net.video.state_dict().items()}
    temporary = config.out / "video.safetensors.tmp"
    save_file(state, temporary)
    temporary.replace(config.out / "video.safetensors")
    about = {
        "pretrain": config.to_dict(),
        "video": dataclasses.asdict(sources.config.video),
        "labels": list(sources.config.labels.labels),
        "num_pictures": {still.name: len(still) for still in sources.train},
        "best": row,
    }
    (config.out / "pretrain.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
