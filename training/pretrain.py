"""The video encoder's own pretraining, on single pictures of faces.

A small Swin Transformer V2 learns too slowly from one label per clip. Single pictures give it dense truth:
the emotion shown at that moment, and how far each facial action unit is drawn, which ties the features to the
face's geometry instead of its identity. The heads are linear and thrown away; `video.safetensors` stays.

Unusual here: everything is preloaded as uint8 and augmented in batches by one resampling, so that the network
is the only cost, and early phases run at a lower resolution, where a step costs a quarter. On a CPU several
processes of one thread each leave fewer cores idle than one process of several threads:
`torchrun --nproc-per-node 2 -m app.cli pretrain … --threads 1`.

Where clips tell when their face shows what, frame selection and the temporal network are taught afterwards
(`training.expressions`), which takes minutes.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from core.config import PRESETS
from core.model import DeepMSI, build_model
from training import processes
from training.augment import resample
from training.config import Phase, PretrainConfig
from training.datasets.manifest import DataError
from training.datasets.stills import IGNORED, TARGETS, Stills
from training.expressions import score_selection, shows_something, teach_selection, teach_temporal
from training.optimizer import warmup_cosine, weight_decay_groups
from training.pictures import (
    PictureSources,
    StillsSampler,
    draw_stills,
    evaluate_stills,
    read_picture_sources,
)
from training.pretrained import load_pretrained, save_part


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
        """Logits `(source, picture, class)` and targets in [0, 1] `(picture, target)`."""
        vectors = self.norm(self.video.frame_vectors(frames))
        return torch.stack([head(vectors) for head in self.emotions]), self.targets(vectors).sigmoid()


def pretrain(config: PretrainConfig) -> Path:
    """Train the preset's video encoder on single pictures.

    Writes `video.safetensors` (the best encoder by the mean of the dev sources' macro-F1), `pretrain.json`
    (config and scores) and `history.jsonl` (one line per evaluation) into `config.out`, which is returned;
    from clips that tell what their face shows, also `temporal.safetensors`. Deterministic by `config.seed` on
    one machine and number of processes. Each process draws pictures of its own; the main one alone evaluates
    and saves.

    Raises:
        DataError: where nothing to learn from, or nothing to choose the best by, is found.
    """
    accelerator = processes.join(num_threads=config.num_threads)
    torch.manual_seed(config.seed)
    model = build_model(PRESETS[config.preset], weights="pretrained")
    if config.start is not None:
        load_pretrained(model, config.start)
    with accelerator.main_process_first():
        sources = read_picture_sources(
            model,
            config.cache_dir,
            data=config.data,
            stills=config.stills,
            dev_stills=config.dev_stills,
            stills_zoom=config.stills_zoom,
            num_workers=config.num_threads,
            progress=accelerator.is_main_process,
        )
    net = PretrainNet(
        model.video, model.config.video.feature_width, len(model.config.labels), len(sources.train)
    )
    config.out.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:
        # that of an earlier run would not fit this one's encoder
        (config.out / "temporal.safetensors").unlink(missing_ok=True)
    best = _train_on_pictures(config, sources, net, accelerator)
    if accelerator.is_main_process:
        # the others wait; their cores are free
        torch.set_num_threads(config.num_threads * accelerator.num_processes)
        model.to(accelerator.device).eval()
        _finish(config, sources, model, best)
        torch.set_num_threads(config.num_threads)
    accelerator.wait_for_everyone()
    return config.out


@dataclass(frozen=True, kw_only=True, eq=False)
class _Best:
    """The encoder that did best on the dev pictures, and its line of the history."""

    row: dict
    state: dict[str, Tensor]


def _finish(config: PretrainConfig, sources: PictureSources, model: DeepMSI, best: _Best | None) -> None:
    """Teach what only whole clips tell, and write everything."""
    about = {
        "pretrain": config.to_dict(),
        "video": dataclasses.asdict(model.config.video),
        "labels": list(model.config.labels.labels),
        "num_pictures": {still.name: len(still) for still in sources.train},
    }
    if best is not None:
        model.video.load_state_dict(best.state)
        about["best"] = best.row
    # clips, where there are some, come first
    train, dev = sources.train[0], sources.dev[0]
    if not config.phases and not (train.expressions and dev.expressions):
        raise DataError(
            "Without a phase only clips teach something, and of the train or the dev split none has a "
            "sidecar with dense truth; name a made corpus, or a phase."
        )
    if any(map(shows_something, train.expressions)):
        before = score_selection(model.video, dev)
        teach_selection(model.video, train, seed=config.seed)
        after = score_selection(model.video, dev)
        if before is not None:
            about["selection"] = {
                "before": dataclasses.asdict(before),
                "after": dataclasses.asdict(after),
            }
            print(
                f"frames kept that show the expression: {before.kept:.0%} → {after.kept:.0%} "
                f"(of all {after.candidates:.0%}, at best {after.best:.0%})",
                flush=True,
            )
    expressions = teach_temporal(
        model.video,
        model.temporal,
        train,
        dev,
        num_labels=len(model.config.labels),
        label_smoothing=config.label_smoothing,
        seed=config.seed,
    )
    if expressions is not None:
        about["expressions"] = dataclasses.asdict(expressions)
        print(
            f"clips' faces: accuracy {expressions.accuracy:.3f}, macro-F1 {expressions.macro_f1:.3f}",
            flush=True,
        )
        save_part(config.out / "temporal.safetensors", model.temporal)
    save_part(config.out / "video.safetensors", model.video)
    (config.out / "pretrain.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def _train_on_pictures(
    config: PretrainConfig, sources: PictureSources, net: PretrainNet, accelerator: Accelerator
) -> _Best | None:
    """All phases. The main process returns the best encoder, others None; None where there is no phase."""
    # every process draws pictures of its own
    seed = config.seed + 100_003 * accelerator.process_index
    samplers = [StillsSampler(still, seed + 1000 * i) for i, still in enumerate(sources.train)]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        weight_decay_groups(net.parameters(), config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98)
    )
    trained, optimizer = accelerator.prepare(net, optimizer)
    num_steps = sum(phase.num_steps for phase in config.phases)
    counts_by_phase = [_counts(config, phase, sources, accelerator.num_processes) for phase in config.phases]
    step, losses = 0, []
    log = _Log(config, sources, net, accelerator)
    for phase, counts in zip(config.phases, counts_by_phase, strict=True):
        stills = [still.at_size(phase.image_size) for still in sources.train]
        if phase.image_size == net.video.config.image_size and not net.video.base_guide.any():
            # the first compressed phase
            net.eval()
            net.video.aim_guide(_examples(stills[0], phase.image_size).to(accelerator.device))
            # batch norm's statistics differ between processes, parameters may not
            net.video.base_guide.data.copy_(broadcast(net.video.base_guide.data))
        for step_of_phase in range(phase.num_steps):
            # a schedule for each phase: at the tail of a common one, a new resolution was not learned
            factor = warmup_cosine(step_of_phase, config.warmup_steps, phase.num_steps)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * factor
            trained.train()
            pictures, labels, targets, origins = draw_stills(
                stills, samplers, counts, phase.image_size, generator
            )
            loss = _loss(
                trained(pictures.to(accelerator.device)),
                labels.to(accelerator.device),
                targets.to(accelerator.device),
                origins.to(accelerator.device),
                config,
            )
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(trained.parameters(), config.clip_norm)
            optimizer.step()
            step += 1
            losses.append(float(loss.detach()))
            log.remaining.step(phase)
            if accelerator.is_main_process and (step % config.eval_every == 0 or step == num_steps):
                log.evaluate(step, phase, float(np.mean(losses)), config.learning_rate * factor)
                losses.clear()
    return log.best


def _examples(stills: Stills, image_size: int, num_pictures: int = 256) -> Tensor:
    """Some of the pictures, unaugmented: `(picture, 3, size, size)`."""
    chosen = np.unique(np.linspace(0, len(stills) - 1, num_pictures).astype(int))
    return resample(torch.from_numpy(stills.pixels[chosen]), image_size, zoom=stills.zoom)


def _counts(config: PretrainConfig, phase: Phase, sources: PictureSources, num_processes: int) -> list[int]:
    """Pictures per source in one process's share of a batch."""
    shares = np.asarray(config.shares or [1.0] * len(sources.train), float)
    names = ", ".join(still.name for still in sources.train)
    if len(shares) != len(sources.train):
        raise DataError(f"{len(shares)} shares were given for the sources {names}; give one for each.")
    counts = np.round(shares / shares.sum() * (phase.batch_size // num_processes)).astype(int)
    if counts.min() < 1:
        raise DataError(
            f"A batch of {phase.batch_size} over {num_processes} processes has no room for a picture of each "
            f"of {names}; make it larger."
        )
    return counts.tolist()


class _Log:
    """Looks at the dev pictures, writes the history and keeps the best encoder."""

    def __init__(
        self, config: PretrainConfig, sources: PictureSources, net, accelerator: Accelerator
    ) -> None:
        self.config, self.sources, self.net, self.device = config, sources, net, accelerator.device
        self.remaining = _Remaining(config.phases)
        self.num_steps = sum(phase.num_steps for phase in config.phases)
        self.began = time.monotonic()
        self.best: _Best | None = None
        self.best_f1 = -1.0
        self.path = config.out / "history.jsonl"
        if accelerator.is_main_process:
            self.path.write_text("", encoding="utf-8")

    def evaluate(self, step: int, phase: Phase, loss: float, learning_rate: float) -> None:
        """One line of history; keeps the encoder when it is the best of the last phase so far."""
        scores = evaluate_stills(
            self.net,
            self.sources,
            phase.image_size,
            num_pictures=self.config.num_eval_pictures,
            device=self.device,
        )
        row = {
            "step": step,
            "image_size": phase.image_size,
            "loss": loss,
            "learning_rate": learning_rate,
            "seconds": time.monotonic() - self.began,
            "dev": {name: dataclasses.asdict(score) for name, score in scores.items()},
        }
        with self.path.open("a", encoding="utf-8") as history:
            history.write(json.dumps(row) + "\n")
        # the score of another resolution says nothing of the one that will be used
        if phase is self.config.phases[-1]:
            mean_f1 = float(np.mean([score.macro_f1 for score in scores.values()]))
            if mean_f1 > self.best_f1:
                self.best_f1 = mean_f1
                state = {k: v.detach().clone() for k, v in self.net.video.state_dict().items()}
                self.best = _Best(row=row, state=state)
                save_part(self.config.out / "video.safetensors", self.net.video)
        print(_line(row, self.num_steps, self.remaining.seconds), flush=True)


def _loss(outputs, labels: Tensor, targets: Tensor, sources: Tensor, config: PretrainConfig) -> Tensor:
    """Cross-entropy of each picture's own emotion head + weighted squared error of its targets."""
    logits, predicted = outputs
    own = logits[sources, torch.arange(len(sources), device=sources.device)]
    # every head takes part: processes wait for the gradient of all that comes out
    loss = (own.sum() + predicted.sum()) * 0.0
    if (labels != IGNORED).any():
        loss = loss + F.cross_entropy(
            own, labels, ignore_index=IGNORED, label_smoothing=config.label_smoothing
        )
    known = ~targets.isnan()
    if known.any():
        loss = loss + config.target_weight * F.mse_loss(predicted[known], targets[known])
    return loss


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
