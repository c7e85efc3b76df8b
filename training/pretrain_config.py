"""Everything that decides a run of pretraining, as one frozen dataclass."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from core.config import PRESETS
from training.config import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the schedule at one resolution.

    Attributes:
        batch_size: pictures per step, over all processes.
    """

    image_size: int
    num_steps: int
    batch_size: int = 64

    def __post_init__(self) -> None:
        # the last stage's tokens are 32 pixels wide
        if self.image_size < 32 or self.image_size % 32:
            raise ValueError(f"image_size should be a multiple of 32, not {self.image_size}")
        if self.num_steps < 1 or self.batch_size < 1:
            raise ValueError("a phase needs at least one step and one picture per batch")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """One pretraining run.

    Attributes:
        preset: whose video encoder is trained.
        data: manifests whose clips have sidecars with dense truth; `train` and `dev` splits are used.
        stills / dev_stills: Parquet tables of labelled pictures (`training.datasets.stills.read_stills`).
        shares: of each batch, per source in the order (clips, *stills), where no clip has truth without the
            first; None for equal ones.
        phases: resolutions and lengths, in order; none to go on with the clips alone.
        start: folder of an earlier run whose encoder to go on from; a random start if None.
        target_weight: of the targets' squared error beside the emotion's cross-entropy. Targets are small
            and mostly zero, hence the large factor.
        weight_average: decay per step of the averaged weights that are evaluated and kept; zero for none.
        num_eval_pictures: at most so many of each dev source are looked at.
        precision: "no", "bf16" or "fp16"; a processor with instructions for bf16 (AVX-512 BF16, AMX) takes
            two thirds of the time with it (docs/training.md).
    """

    out: Path
    cache_dir: Path
    preset: str = "mini"
    data: tuple[Path, ...] = ()
    stills: tuple[Path, ...] = ()
    dev_stills: tuple[Path, ...] = ()
    shares: tuple[float, ...] | None = None
    phases: tuple[Phase, ...] = (
        Phase(image_size=64, num_steps=2200, batch_size=64),
        Phase(image_size=128, num_steps=1500, batch_size=48),
    )
    start: Path | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip_norm: float = 1.0
    label_smoothing: float = 0.05
    target_weight: float = 20.0
    weight_average: float = 0.0
    eval_every: int = 250
    num_eval_pictures: int = 1024
    precision: str = "no"
    seed: int = 0
    num_threads: int = 2

    def __post_init__(self) -> None:
        for name, known in (("preset", PRESETS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} should be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if not self.phases and self.start is None:
            raise ValueError("pretraining needs at least one phase, or an earlier run to start from")
        if self.start is not None and self.start.resolve() == self.out.resolve():
            raise ValueError("out should be another folder than start, whose records would be lost")
        for name in ("eval_every", "num_eval_pictures", "num_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} should be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} should be above zero, not {getattr(self, name)}")
        for name in ("weight_decay", "warmup_steps", "target_weight", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} should not be below zero, as {getattr(self, name)} is")
        if not 0.0 <= self.label_smoothing <= 1.0:
            raise ValueError(f"label_smoothing should lie in [0, 1], not {self.label_smoothing}")
        if not 0 <= self.weight_average < 1:
            raise ValueError("weight_average should be at least 0 and below 1, or the average never moves")

    @property
    def run_folder(self) -> Path:
        """Beside `out`: the state of an unfinished run."""
        return self.out.with_name(f"{self.out.name}.run")

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return json.loads(json.dumps(dataclasses.asdict(self), default=str))

    def recipe(self) -> dict:
        """What an encoder tells of its making: `to_dict` without this machine's folders."""
        sources = {
            name: ["/".join(path.parts[-2:]) for path in getattr(self, name)]
            for name in ("data", "stills", "dev_stills")
        }
        start = None if self.start is None else self.start.name
        return self.decisive() | sources | {"start": start}

    def decisive(self) -> dict:
        """What decides the weights, but for what is read from files, which may lie elsewhere now."""
        values = self.to_dict()
        for name in ("out", "cache_dir", "num_threads", "data", "stills", "dev_stills", "start"):
            del values[name]
        return values
