"""The most memory that each way from a file to an answer holds: every one in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from training.speed.bench import Bench
from training.speed.clips import shipped_clip
from training.speed.report import Row, Section


def memory(bench: Bench) -> list[Section]:
    """Peaks of loading the network, of predicting clips of several lengths, and of the plain way."""
    settings = bench.settings
    jobs = {"prediction of a shipped clip of about 4 s": ("predict", shipped_clip(4.0))}
    for seconds in sorted(settings.clip_seconds):
        jobs[f"prediction of a clip of {seconds:g} s and {settings.height} lines"] = (
            "predict",
            bench.clip(seconds),
        )
    if bench.config.video.backbone is not None:
        seconds = settings.pipeline_seconds
        jobs[f"plain pipeline, clip of {seconds:g} s"] = ("plain", bench.clip(seconds))
    found = {}
    for name, (job, path) in jobs.items():
        bench.progress(f"memory of {name}")
        loaded, found[name] = peaks_mib(bench.preset, bench.threads, job, path, settings.checkpoint)
        found.setdefault("the network, loaded", loaded)
    return [
        Section(
            part="memory",
            preset=bench.preset,
            threads=bench.threads,
            title="Peak memory",
            reference="",
            rows=tuple(Row(name=name, mib=found[name]) for name in sorted(found, key=found.get)),
        )
    ]


def peaks_mib(
    preset: str, threads: int, job: str, path: Path, checkpoint: Path | None = None
) -> tuple[float, float]:
    """The most memory that a process held once the network was loaded, and once the clip was answered.

    Args:
        preset: of the network.
        threads: of torch.
        job: "predict", or "plain" for the plain pipeline.
        path: of the clip.
        checkpoint: as in `Settings`.

    Raises:
        RuntimeError: if the process failed; what it said is part of the message.
    """
    arguments = [preset, str(threads), job, str(path), str(checkpoint or "")]
    found = subprocess.run(
        [sys.executable, "-m", "training.speed.alone", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )
    if found.returncode:
        raise RuntimeError(f"measuring memory failed: {found.stderr[-2000:]}")
    loaded, answered = found.stdout.split()[-2:]
    return float(loaded), float(answered)
