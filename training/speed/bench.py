"""One run of `deepmsi bench speed`: which parts there are, and what they share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from core.checkpoint import Checkpoint
from core.config import ModelConfig
from core.cores import usable_cores
from core.model import DeepMSI
from training.speed.clips import make_clip
from training.speed.machine import load, this_machine, using_cores
from training.speed.networks import checkpoint_of
from training.speed.report import Aim, Section, SpeedReport, rows_of
from training.speed.turns import Spread, Subject, Turns, take_turns
from training.speed.work import squares

PEAK = "large square products"
"""Name of the subject by which the peak is measured; it takes part in every turn."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured how often.

    Attributes:
        num_turns: that count, after one that does not.
        num_frames: candidate frames by which growth is measured.
        clip_seconds: lengths of clips by which growth is measured.
        scales: sizes of pictures by which growth is measured, of the preset's own.
        pipeline_seconds: length of the clip for the way from file to answer.
        height: of the pictures of made clips, in pixels.
        checkpoint: folder; None for the shipped one.
    """

    num_turns: int = 5
    num_frames: tuple[int, ...] = (5, 15, 30, 60)
    clip_seconds: tuple[float, ...] = (3.0, 10.0, 60.0)
    scales: tuple[float, ...] = (0.5, 1.0, 1.5)
    pipeline_seconds: float = 10.0
    height: int = 720
    checkpoint: Path | None = None


Progress = Callable[[int, int, str], None]
"""Told how many parts are done, of how many, and what is being measured."""


class Bench:
    """What the parts share, for one preset and one number of threads.

    Args:
        settings: see there.
        preset: name of `core.config.PRESETS`.
        threads: that torch has, and cores that all has.
        folder: for made clips.

    Attributes:
        progress: told who works.
    """

    def __init__(self, settings: Settings, preset: str, threads: int, folder: Path) -> None:
        self.settings = settings
        self.preset = preset
        self.threads = threads
        self.folder = folder
        self.progress: Callable[[str], None] = lambda text: None
        self._multiply, self._square_flops = squares()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The shipped one, or random weights."""
        return checkpoint_of(self.preset, self.settings.checkpoint)

    @property
    def config(self) -> ModelConfig:
        """Of the checkpoint."""
        return self.checkpoint.config

    @property
    def model(self) -> DeepMSI:
        """Of the checkpoint."""
        return self.checkpoint.model

    def clip(self, seconds: float) -> Path:
        """A made clip of this length; made once."""
        path = self.folder / f"{seconds:g}s-{self.settings.height}p.mp4"
        return path if path.exists() else make_clip(path, seconds=seconds, height=self.settings.height)

    def turns(self, subjects: Mapping[str, Subject], *, is_slow: bool = False) -> Turns:
        """The subjects and the peak, in turns; what is slow has a single one, and does not warm up."""
        all_subjects = {PEAK: self._multiply, **subjects}
        if is_slow:
            return take_turns(all_subjects, 1, num_warm_ups=0, progress=self.progress)
        return take_turns(all_subjects, self.settings.num_turns, progress=self.progress)

    def section(
        self,
        part: str,
        title: str,
        turns: Turns,
        names: Sequence[str],
        *,
        reference: str = "",
        flops: dict[str, int] | None = None,
        notes: Sequence[str] = (),
        aims: Sequence[Aim] = (),
    ) -> Section:
        """What the subjects' turns gave, with the peak of the same turns."""
        seconds = turns.seconds(PEAK)
        return Section(
            part=part,
            preset=self.preset,
            threads=self.threads,
            title=title,
            reference=reference,
            rows=rows_of(turns, names, reference=reference, flops=flops, peak=(PEAK, self._square_flops)),
            peak_gflops=Spread.of([self._square_flops / max(one, 1e-9) / 1e9 for one in seconds]),
            num_turns=len(seconds),
            notes=tuple(notes),
            aims=tuple(aims),
        )


def bench_speed(
    parts: Sequence[str],
    presets: Sequence[str],
    threads: Sequence[int],
    out: Path,
    settings: Settings,
    progress: Progress = lambda done, total, text: None,
) -> SpeedReport:
    """Measure, and write `speed.json` and `speed.md`; both are whole after every part.

    Args:
        parts: names of `PARTS`.
        presets: names of `core.config.PRESETS`.
        threads: numbers of threads.
        out: folder of the two files.
        settings: what is measured how often.
        progress: see there.

    Raises:
        CheckpointError: if the settings' checkpoint cannot be read.
        MediaError: if no clip ships.
        OSError: if the folder cannot be written.
    """
    from training.speed.parts import PARTS

    load_before, cores, sections = load(), usable_cores(), []
    planned = [(number, preset, part) for number in sorted(threads) for preset in presets for part in parts]
    with tempfile.TemporaryDirectory() as folder:
        for number, of_number in groupby(enumerate(planned), key=lambda one: one[1][0]):
            with using_cores(number):
                for preset, of_preset in groupby(of_number, key=lambda one: one[1][1]):
                    bench = Bench(settings, preset, number, Path(folder))
                    for done, (_, _, part) in of_preset:
                        bench.progress = _telling(progress, done, len(planned), f"{preset}, {number} threads")
                        sections += PARTS[part](bench)
                        report = SpeedReport(
                            machine=this_machine(load_before, cores),
                            num_turns=settings.num_turns,
                            sections=tuple(sections),
                        )
                        report.write(out)
    progress(len(planned), len(planned), "")
    return report


def _telling(progress: Progress, done: int, total: int, what: str) -> Callable[[str], None]:
    return lambda text: progress(done, total, f"{what}: {text}")
