"""Seconds of every part of an explanation: wall time and time of the processor, medians over shipped clips.

    python benchmarks/explain_speed.py                 # what docs/explanations.md quotes
    python benchmarks/explain_speed.py --clips 3 --skip-tests

On a machine that has other things to do, the time of the processor says more than wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait would count as work

NUM_CORES = 2


def main() -> None:
    """Measure; results go to the screen and to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=5, help="so many, spread evenly over the demo clips")
    parser.add_argument("--checkpoint", type=Path, help="the shipped one by default")
    parser.add_argument("--skip-tests", action="store_true", help="leave out the tests of attributions")
    parser.add_argument("--out", type=Path, default=Path("runs/explain_speed.json"))
    options = parser.parse_args()

    import torch

    from core.attribution.explain import ELEMENTS, explain
    from core.checkpoint import default_checkpoint, load_checkpoint
    from core.media import open_clip
    from core.predict import Predictor
    from sample_data import DEMO

    torch.set_num_threads(NUM_CORES)
    predictor = Predictor(load_checkpoint(options.checkpoint or default_checkpoint()))
    paths = sorted(DEMO.rglob("*.mp4"))
    if not paths:
        raise SystemExit("No clips ship with this copy.")
    paths = paths[:: max(1, len(paths) // options.clips)][: options.clips]
    tested = () if options.skip_tests else ELEMENTS
    runs = []
    # the first one warms up
    for path in [paths[0], *paths]:
        watch = Watch()
        explain(
            predictor,
            prepared := predictor.prepare(open_clip(path)),
            with_faithfulness=tested,
            on_part=watch,
            progress=watch.begin,
        )
        runs.append({"clip": path.name, "seconds": prepared.clip.duration_seconds, "parts": watch.parts})
    runs = runs[1:]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"load_average": os.getloadavg()[0], "runs": runs}, indent=1) + "\n")
    show(runs)
    print(f"{len(runs)} clips, {NUM_CORES} cores, load {os.getloadavg()[0]:.1f}. Written to {options.out}.")


class Watch:
    """Takes the time of every part; it begins with the first progress that is told."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}
        self._last: tuple[float, float] | None = None

    def begin(self, share: float, text: str) -> None:
        """As `core.attribution.explain.Progress`."""
        self._last = self._last or _now()

    def __call__(self, part: object) -> None:
        """A part is there."""
        now = _now()
        element = getattr(part, "element", "")
        name = " ".join(filter(None, (type(part).__name__, element)))
        self.parts[name] = tuple(after - before for after, before in zip(now, self._last, strict=True))
        self._last = now


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def show(runs: list[dict]) -> None:
    """Print medians and the most, part by part."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("part", "seconds", "most", "CPU seconds"):
        table.add_column(name, justify="left" if name == "part" else "right")
    names = list(dict.fromkeys(name for run in runs for name in run["parts"]))
    groups = {name: [run["parts"][name] for run in runs if name in run["parts"]] for name in names}
    for kind, text in (("Attribution", "all attributions"), ("Faithfulness", "all tests")):
        sums = [
            tuple(
                sum(took[i] for name, took in run["parts"].items() if name.startswith(kind)) for i in range(2)
            )
            for run in runs
        ]
        if all(sums):
            groups[text] = sums
    for name, took in groups.items():
        wall, cpu = zip(*took, strict=True)
        table.add_row(
            name, *(f"{v:.2f}" for v in (statistics.median(wall), max(wall), statistics.median(cpu)))
        )
    Console().print(table)


if __name__ == "__main__":
    main()
