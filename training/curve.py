"""The trade-off curve of a checkpoint: how good its answers are against what they cost.

The network is the same at every point and is not trained again; it keeps other numbers of frames and of
patches. Cost is that of the network behind the frozen encoders, which stays the same otherwise, and of
holding frames still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core.checkpoint import Checkpoint
from core.config import VideoConfig
from core.cores import usable_cores
from core.evaluation.artifact import ALL
from core.evaluation.calibration import calibrated
from core.evaluation.metrics import Estimate, choose_groups, figures, percentile_estimate, resampled_figures
from core.labels import MODALITIES
from core.model import DeepMSI, ModelInput
from core.prediction import SUBSETS
from core.still_frames import hold_still
from training.answers import ask
from training.datasets import DataError
from training.features import ClipFeatures, FeatureSet
from training.sampler import collate
from training.speed.machine import load, this_machine, using_cores
from training.speed.report import write_report
from training.speed.turns import Spread, Turns, take_turns
from training.speed.work import flops_of

JSON_FILE, TABLE_FILE, PICTURE_FILE = "curve.json", "curve.md", "curve.png"

NUM_FRAMES = (10, 8, 6, 4)
"""Kept frames beside the configured number."""

SHARES = (1.5, 0.75, 0.5)
"""Kept patches, of the configured numbers."""

STILL = (0.005, 0.01, 0.02)
"""Changes of a frame below which it counts as the one before."""

NUM_TIMED = 6
"""Clips whose cost is measured, spread over all."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the network keeps.

    Attributes:
        num_frames: kept of the candidates.
        grids: of kept patches, as `VideoConfig.vsc_grids`.
        still_below: see `core.still_frames.hold_still`.
    """

    num_frames: int
    grids: tuple[tuple[int, int], ...]
    still_below: float = 0.0

    @property
    def num_patches(self) -> int:
        """Left of a frame at the end; 0 where no step is configured."""
        return self.grids[-1][0] * self.grids[-1][1] if self.grids else 0

    @property
    def name(self) -> str:
        """As tables tell it."""
        steps = " → ".join(str(rows * columns) for rows, columns in self.grids)
        still = f", still below {self.still_below:g}" if self.still_below else ""
        return f"{self.num_frames} frames" + (f", patches {steps}" if steps else "") + still


@dataclass(frozen=True, kw_only=True)
class Point:
    """A setting's worth and cost.

    Attributes:
        macro_f1: with its interval.
        difference: of macro-F1 to the configured setting's, in the same resamples.
        agreement: share of clips with the configured setting's answer.
        largest_change: of any clip's and class's calibrated probability.
        gflop: thousands of millions of operations of one answer, the mean of the timed clips.
        cpu_ratio: CPU time of these clips to that of the configured setting, turn by turn, on one thread.
    """

    setting: Setting
    macro_f1: Estimate
    difference: Estimate
    agreement: float
    largest_change: float
    gflop: float
    cpu_ratio: Spread


@dataclass(frozen=True, kw_only=True)
class Curve:
    """All points of one checkpoint on one set of clips; the first is the configured setting.

    Attributes:
        shown: modalities that the answers rest on.
        cpu_seconds: of one answer at the first point.
    """

    checkpoint: str
    data: str
    split: str
    shown: str
    num_clips: int
    num_timed: int
    cpu_seconds: float
    machine: str
    points: tuple[Point, ...]

    def holds(self, point: Point) -> bool:
        """Whether a setting stays within the configured one's interval and costs less."""
        first, low = self.points[0], self.points[0].macro_f1.low
        return point.gflop < first.gflop and low is not None and point.macro_f1.value >= low

    def write(self, folder: Path) -> None:
        """Both files. Raises OSError."""
        write_report(self, folder / JSON_FILE, folder / TABLE_FILE)

    def to_markdown(self) -> str:
        """The table of docs and terminal."""
        lines = [
            f"`{self.checkpoint}`, {self.num_clips} clips of {self.data} ({self.split}), {self.shown} shown; "
            f"cost of {self.num_timed} of them on one thread, as configured {self.cpu_seconds:.3f} s of CPU "
            f"for an answer. {self.machine}",
            "",
            "| kept | GFLOP | CPU | macro-F1 | difference | same answer | largest change |",
            "|---|---|---|---|---|---|---|",
        ]
        for point in self.points:
            cells = (
                point.setting.name,
                f"{point.gflop:.2f}",
                f"{point.cpu_ratio.median:.2f} ({point.cpu_ratio.low:.2f} to {point.cpu_ratio.high:.2f})",
                _told(point.macro_f1, ".3f"),
                _told(point.difference, "+.3f"),
                f"{100 * point.agreement:.1f} %",
                f"{100 * point.largest_change:.0f} points",
            )
            lines.append(f"| {' | '.join(cells)} |")
        cheaper = [point for point in self.points[1:] if point.gflop < self.points[0].gflop]
        held = sum(map(self.holds, cheaper))
        lines += ["", f"Within the interval of the first row: {held} of the {len(cheaper)} that cost less."]
        return "\n".join(lines) + "\n"


def settings_of(
    config: VideoConfig,
    num_frames: Sequence[int] = NUM_FRAMES,
    shares: Sequence[float] = SHARES,
    still: Sequence[float] = STILL,
) -> tuple[Setting, ...]:
    """The configured setting, then other numbers of frames, of patches, still frames held, and a mixture.

    The mixture has somewhat fewer frames and patches, and the least change.
    """
    first = Setting(num_frames=config.num_kept_frames, grids=config.vsc_grids)
    grids = [_grids(config, share) for share in shares]
    frames = [n for n in sorted(set(num_frames), reverse=True) if n <= config.num_candidate_frames]
    found = [first]
    found += [Setting(num_frames=n, grids=first.grids) for n in frames]
    found += [Setting(num_frames=first.num_frames, grids=grid) for grid in grids]
    found += [replace(first, still_below=below) for below in still]
    fewer = [n for n in frames if n < first.num_frames]
    smaller = [grid for share, grid in zip(shares, grids, strict=True) if share < 1]
    if fewer and smaller:
        mixed = {"num_frames": fewer[len(fewer) // 3], "grids": smaller[0]}
        found.append(Setting(**mixed, still_below=min(still, default=0.0)))
    return tuple(dict.fromkeys(found))


def _grids(config: VideoConfig, share: float) -> tuple[tuple[int, int], ...]:
    """Near to so many of the configured patches: even sides, which patch merging halves, that never grow."""
    before, found = config.stage3_grid, []
    for rows, columns in config.vsc_grids:
        fitting = [
            (height, width)
            for height in range(2, before[0] + 1, 2)
            for width in range(2, before[1] + 1, 2)
            if max(height, width) <= 2 * min(height, width)
        ]
        # of equally near ones that of the more patches, then the squarer one, then the higher one
        before = min(
            fitting or [before],
            key=lambda grid: (
                abs(grid[0] * grid[1] - share * rows * columns),
                -grid[0] * grid[1],
                abs(grid[0] - grid[1]),
                -grid[0],
            ),
        )
        found.append(before)
    return tuple(found)


def draw_curve(
    checkpoint: Checkpoint,
    features: FeatureSet,
    settings: Sequence[Setting],
    *,
    data: str,
    split: str,
    shown: tuple[str, ...] = ALL,
    num_turns: int = 3,
    progress: Progress = lambda done, total, text: None,
) -> Curve:
    """Ask about every clip with every setting, then measure what an answer costs.

    Args:
        checkpoint: its network is not changed.
        features: of labelled clips, made for its model.
        settings: the first is what the others are compared with.
        data: name of the clips; `split` theirs.
        split: of the data.
        shown: modalities that are shown, a member of `SUBSETS`.
        num_turns: of measuring the cost.
        progress: told how many answers are given, of how many.

    Raises:
        DataError: if the network reads no video, no clip has any of what is shown, or none has a picture.
    """
    if not checkpoint.config.reads_video:
        raise DataError(
            f"{checkpoint.name} reads no video, and nothing else costs more or less; name another."
        )
    if not len(features):
        raise DataError(
            f"{data}: no clip of the split {split} can be read, so there is nothing to ask about."
        )
    if not any(_has(clip, shown) for clip in features):
        raise DataError(
            f"{data}: no clip of the split {split} has {' or '.join(shown)}; show something else."
        )
    seen = [i for i in range(len(features)) if features.num_frames(i)]
    if not seen:
        raise DataError(
            "No clip has a picture, and only what is done with pictures is varied; give such clips."
        )
    networks = [checkpoint.model.keeping(one.num_frames, one.grids) for one in settings]
    load_before, answers = load(), []
    total, column = len(networks) * len(features), SUBSETS.index(shown)
    for number, network in enumerate(networks):

        def tell(done: int, of: int, begin: int = number * len(features), name=settings[number].name) -> None:
            progress(begin + done, total, name)

        clips = _Held(features, settings[number].still_below)
        found = ask(network, clips, subsets=(shown,), progress=tell)
        logits = np.stack([answer.logits[column] for answer in found])
        usable = ~np.isnan(logits).any(axis=1)
        answers.append(calibrated(logits[usable], checkpoint.info.temperature))
    clips = [utterance for utterance, has in zip(features.utterances, usable, strict=True) if has]
    truth = np.array([checkpoint.config.labels.index(one.label) for one in clips])
    names = {name: [getattr(one, name) or "" for one in clips] for name in ("speaker", "dialogue")}
    _, groups = choose_groups(names, len(clips))
    resampled = [resampled_figures(truth, one, groups)["macro_f1"] for one in answers]
    worth = [float(figures(truth, one)["macro_f1"][0]) for one in answers]
    flops, turns, timed = _cost(networks, settings, features, seen, shown, num_turns)
    return Curve(
        checkpoint=checkpoint.name,
        data=data,
        split=split,
        shown="+".join(shown),
        num_clips=len(clips),
        num_timed=timed,
        cpu_seconds=turns.spread("0").median / timed,
        machine=this_machine(load_before, usable_cores()).sentence,
        points=tuple(
            Point(
                setting=setting,
                macro_f1=percentile_estimate(worth[i], resampled[i]),
                difference=percentile_estimate(worth[i] - worth[0], resampled[i] - resampled[0]),
                agreement=float((answers[i].argmax(1) == answers[0].argmax(1)).mean()),
                largest_change=float(np.abs(answers[i] - answers[0]).max()),
                gflop=flops[i] / 1e9,
                cpu_ratio=turns.ratio(str(i), "0"),
            )
            for i, setting in enumerate(settings)
        ),
    )


def _cost(
    networks: Sequence[DeepMSI],
    settings: Sequence[Setting],
    features: FeatureSet,
    seen: Sequence[int],
    shown: tuple[str, ...],
    num_turns: int,
) -> tuple[list[float], Turns, int]:
    """Mean operations of an answer by setting, the turns by its number, and how many clips were timed."""
    chosen = sorted({seen[i] for i in np.linspace(0, len(seen) - 1, NUM_TIMED).round().astype(int)})

    def work(network: DeepMSI, below: float) -> Callable[[], None]:
        clips = [features[i] for i in chosen]
        inputs = [_input(network, _held(clip, below), shown) for clip in clips]

        @torch.inference_mode()
        def answer() -> None:
            for clip, one in zip(clips, inputs, strict=True):
                _held(clip, below)
                network(one)

        return answer

    subjects = {
        str(i): work(network, setting.still_below)
        for i, (network, setting) in enumerate(zip(networks, settings, strict=True))
    }
    flops = [flops_of(one) / len(chosen) for one in subjects.values()]
    with using_cores(1):
        turns = take_turns(subjects, num_turns)
    return flops, turns, len(chosen)


class _Held:
    """Features whose still frames are held."""

    def __init__(self, features: FeatureSet, below: float) -> None:
        self._features, self._below = features, below

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> ClipFeatures:
        return _held(self._features[index], self._below)


def _has(clip: ClipFeatures, shown: tuple[str, ...]) -> bool:
    parts = {"video": clip.crops, "audio": clip.audio, "text": clip.text}
    return any(parts[name] is not None for name in shown)


def _held(clip: ClipFeatures, below: float) -> ClipFeatures:
    return clip if clip.crops is None else replace(clip, crops=hold_still(clip.crops, below))


@torch.inference_mode()
def _input(network: DeepMSI, clip: ClipFeatures, shown: tuple[str, ...]) -> ModelInput:
    """One clip, with what the frozen encoders make of it."""
    batch = collate([clip], network.config).inputs
    is_shown = torch.tensor([modality in shown for modality in MODALITIES])
    return replace(
        batch,
        present=batch.present & is_shown,
        audio_features=network.audio_features(batch),
        text_features=network.text_features(batch),
        **dict.fromkeys(("waveforms", "num_samples", "token_ids", "token_mask")),
    )


def _told(estimate: Estimate, spec: str) -> str:
    if estimate.low is None:
        return format(estimate.value, spec)
    return f"{estimate.value:{spec}} ({estimate.low:{spec}} to {estimate.high:{spec}})"
