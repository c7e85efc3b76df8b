"""Seconds from a file to a prediction, seconds until the app shows its first one, and peak memory.

    python benchmarks/speed.py                   # what README quotes
    python benchmarks/speed.py --skip-app --runs 3 --clip clip.mp4

Each part runs in a process of its own, so that its memory is its own. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

NUM_CORES = 2
CLIP_SECONDS = 4.0
CHROMIUM = ("chromium", "google-chrome", "chromium-browser")
ANSWER = "section.answer"
"""What the Clip page shows once there is a prediction."""


def main() -> None:
    """Run what was asked for; results go to the screen and to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, help=f"a shipped clip of about {CLIP_SECONDS:.0f} s by default")
    parser.add_argument("--checkpoint", type=Path, help="the shipped one by default")
    parser.add_argument("--runs", type=int, default=9, help="timed runs of which the median is told")
    parser.add_argument("--skip-app", action="store_true", help="leave out the app's start")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark.json"))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure_prediction(options)))
        return

    results = {"machine": machine(), "prediction": run_worker()}
    if not options.skip_app:
        results["app"] = measure_app(options.checkpoint)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    show(results)
    print(f"Written to {options.out}.")


def machine() -> dict:
    """What the numbers depend on beside the code."""
    import torch

    return {
        "cores_used": NUM_CORES,
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average": os.getloadavg()[0],
    }


def run_worker() -> dict:
    """`measure_prediction` in a fresh process on `NUM_CORES` cores, with its peak memory."""
    environment = os.environ | {"OMP_NUM_THREADS": str(NUM_CORES), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, __file__, "--worker", *sys.argv[1:]]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        with PeakMemory(process.pid) as memory:
            output = process.communicate()[0]
    if process.returncode:
        raise SystemExit(process.returncode)
    return json.loads(output.splitlines()[-1]) | {"peak_memory_mib": memory.mib}


def measure_prediction(options: argparse.Namespace) -> dict:
    """Median seconds from a file to a prediction and of each stage, warm, with and without a transcript."""
    _use_cores()
    import torch

    from core.checkpoint import default_checkpoint, load_checkpoint
    from core.media import open_clip
    from core.predict import Predictor

    torch.set_num_threads(NUM_CORES)
    begin = time.perf_counter()
    predictor = Predictor(load_checkpoint(options.checkpoint or default_checkpoint()))
    loading = time.perf_counter() - begin
    path = options.clip or nearest_clip(CLIP_SECONDS)
    result = {
        "clip": path.name,
        "clip_seconds": open_clip(path).duration_seconds,
        "checkpoint": predictor.checkpoint.name,
        "load_seconds": loading,
    }
    cases = {"transcript_given": "I did not expect to see you here.", "speech_to_text": None}
    for name, transcript in cases.items():
        runs = []
        for i in range(options.runs + 1):
            begin = time.perf_counter()
            answer = predictor.predict_clip(open_clip(path, transcript=transcript))
            if i:  # the first one warms up
                runs.append({"file_to_prediction": time.perf_counter() - begin} | answer.timings_seconds)
        result[name] = {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}
    return result


def measure_app(checkpoint: Path | None) -> dict:
    """Seconds from `deepmsi app` to the first prediction in a real browser, and the server's peak memory."""
    from playwright.sync_api import sync_playwright

    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if chromium is None:
        raise SystemExit("Chromium is needed to measure the app: install it, or pass --skip-app.")
    port = _free_port()
    command = [sys.executable, "-c", "from app.cli import main; main()", "app", "--no-browser"]
    command += ["--port", str(port), *(["--checkpoint", str(checkpoint)] if checkpoint else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        begin = time.perf_counter()
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with PeakMemory(server.pid) as memory:
                _wait_for(port)
                listening = time.perf_counter() - begin
                page.goto(f"http://localhost:{port}")
                page.locator(ANSWER).first.wait_for(timeout=180_000)
                first = time.perf_counter() - begin
                time.sleep(1)
        finally:
            browser.close()
            server.terminate()
            server.wait(30)
    return {
        "listening_seconds": listening,
        "first_prediction_seconds": first,
        "peak_memory_mib": memory.mib,
    }


class PeakMemory:
    """Samples the resident memory of a process and its children; `mib` is the largest sum seen."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.mib = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            total = 0
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in family:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.mib = max(self.mib, total / 2**20)


def nearest_clip(seconds: float) -> Path:
    """The shipped clip whose length is nearest to `seconds`."""
    from core.media import open_clip
    from sample_data import DEMO

    paths = sorted(DEMO.rglob("*.mp4"))
    if not paths:
        raise SystemExit("No clips ship with this copy: pass --clip.")
    return min(paths, key=lambda path: abs(open_clip(path).duration_seconds - seconds))


def show(results: dict) -> None:
    """Print the results as one table."""
    from rich.console import Console
    from rich.table import Table

    prediction, app = results["prediction"], results.get("app")
    table = Table(
        title=f"{prediction['clip']} ({prediction['clip_seconds']:.1f} s), {prediction['checkpoint']}, "
        f"{NUM_CORES} cores, load {results['machine']['load_average']:.1f}",
        title_justify="left",
    )
    for name, justify in (("Seconds", "left"), ("transcript given", "right"), ("speech-to-text", "right")):
        table.add_column(name, justify=justify)
    given, heard = prediction["transcript_given"], prediction["speech_to_text"]
    for stage in heard:
        if stage != "total":
            cells = (f"{case[stage]:.2f}" if stage in case else "–" for case in (given, heard))
            table.add_row(stage.replace("_", " "), *cells)
    console = Console()
    console.print(table)
    console.print(
        f"Model loaded in {prediction['load_seconds']:.1f} s; "
        f"peak memory of prediction {prediction['peak_memory_mib']:.0f} MiB."
    )
    if app:
        console.print(
            f"App listening after {app['listening_seconds']:.1f} s, first prediction after "
            f"{app['first_prediction_seconds']:.1f} s; peak memory {app['peak_memory_mib']:.0f} MiB."
        )


def _use_cores() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:NUM_CORES])


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


def _wait_for(port: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("localhost", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"The app did not listen on port {port} within {seconds:.0f} s.")


if __name__ == "__main__":
    main()
