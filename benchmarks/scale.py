"""A folder of a thousand clips answered: how fast, how busy the cores are, whether memory grows.

Also whether an end from outside, or two shards in place of one run, change anything.

    python benchmarks/scale.py                     # 1,000 clips: most of an hour on two cores
    python benchmarks/scale.py --num 150

Clips are those that ship, each once as far as they reach, then again under other names: answers are kept by
name, and nothing is looked up by content, so a copy costs what the first one did. Words are listened to.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

CLIPS = Path(__file__).parents[1] / "sample_data" / "clips"
FOLDERS = ("probe", "test", "train", "demo")
NUM_TOLD = 10
EVERY_SECONDS = 1.0


def main() -> None:
    """Run the command in four ways, and tell what each took."""
    parser = argparse.ArgumentParser(description="How `deepmsi predict` does on a large folder.")
    parser.add_argument("--num", type=int, default=1000, help="clips")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes that answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_distinct = fill(folder / "clips", options.num)
        print(f"{options.num} clips, {num_distinct} of them distinct; {psutil.cpu_count()} cores", flush=True)
        print("\n| workers | clips/s | s of processor a clip | busy cores, of this | of all |")
        print("|---|---|---|---|---|", flush=True)
        tables, memory = {}, {}
        for workers in options.workers:
            out = folder / f"{workers}.parquet"
            tables[workers], memory[workers] = undisturbed(folder / "clips", out, workers, options.num)
        print("\n| workers | MiB of all processes at each tenth of the clips |\n|---|---|")
        for workers, held in memory.items():
            print(f"| {workers} | {' '.join(f'{one:.0f}' for one in held)} |")
        first, *others = tables.values()
        for other in others:
            print(f"\nOther numbers of workers: {difference(first, other)}", flush=True)
        killed(folder / "clips", folder / "killed.parquet", options, first)
        shards(folder / "clips", folder / "shards.parquet", first)


def fill(folder: Path, num: int) -> int:
    """So many clips under names of their own; returns how many are distinct."""
    found = [path for name in FOLDERS for path in sorted((CLIPS / name).rglob("*.mp4"))]
    folder.mkdir()
    for number, path in enumerate(islice(cycle(found), num)):
        shutil.copyfile(path, folder / f"{number:05d}.mp4")
    return min(num, len(found))


def command(clips: Path, out: Path, *options: str) -> subprocess.Popen:
    """`deepmsi predict` of the folder."""
    line = (sys.executable, "-m", "app.cli", "predict", str(clips), "--out", str(out), *options)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(line, cwd=CLIPS.parents[1], text=True, **quiet)


def finished(process: subprocess.Popen) -> None:
    """Wait for it; what it says where it fails is told."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}: {said}")


def undisturbed(clips: Path, out: Path, workers: int, num: int) -> tuple[pd.DataFrame, list[float]]:
    """One run, watched: its table, and the memory of all its processes at each tenth of the clips."""
    process = command(clips, out, "--workers", str(workers))
    journal, held = out.with_name(f"{out.name}.part"), []
    begin = first = None
    while process.poll() is None:
        time.sleep(EVERY_SECONDS)
        tree = tree_of(process.pid)
        spent = sum(one for one, _ in tree)
        done = num_lines(journal)
        # a worker's start, some seconds of it, is told apart
        if first is None and done:
            first = done, time.monotonic(), spent, psutil.cpu_times()
        if done >= (len(held) + 1) * num / NUM_TOLD:
            held.append(sum(size for _, size in tree) / 2**20)
        if done and done < num:
            begin = done, time.monotonic(), spent, psutil.cpu_times()
    finished(process)
    (before, t0, spent0, all0), (after, t1, spent1, all1) = first, begin
    seconds, answered = t1 - t0, after - before
    busy = sum(getattr(all1, one) - getattr(all0, one) for one in ("user", "nice", "system"))
    print(
        f"| {workers} | {answered / seconds:.2f} | {(spent1 - spent0) / answered:.2f} | "
        f"{(spent1 - spent0) / seconds:.2f} | {busy / seconds:.2f} |",
        flush=True,
    )
    return pd.read_parquet(out), held


def tree_of(pid: int) -> list[tuple[float, int]]:
    """Of a process and each below it: seconds of processor, ended children included, and bytes it holds."""
    found = []
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            found.append((sum(one.cpu_times()[:4]), one.memory_info().rss))
    return found


def num_lines(path: Path) -> int:
    """Answers in a journal so far."""
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def killed(clips: Path, out: Path, options: argparse.Namespace, expected: pd.DataFrame) -> None:
    """SIGKILL to the command at a third of the clips, then the same command again."""
    workers = ("--workers", str(max(options.workers)))
    process = command(clips, out, *workers)
    journal = out.with_name(f"{out.name}.part")
    while num_lines(journal) < options.num / 3 and process.poll() is None:
        time.sleep(EVERY_SECONDS / 4)
    below = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(below, timeout=30)
    kept = num_lines(journal)
    finished(command(clips, out, *workers))
    print(
        f"\nKilled after {kept} answers; {len(alive)} of {len(below)} processes outlived it by 30 s. "
        f"The same command went on: {difference(expected, pd.read_parquet(out))}",
        flush=True,
    )


def shards(clips: Path, out: Path, expected: pd.DataFrame) -> None:
    """Two commands side by side, each with half of the clips, gathered by a third."""
    begin = time.monotonic()
    halves = [command(clips, out, "--workers", "1", "--shard", f"{number}/2") for number in (1, 2)]
    for process in halves:
        finished(process)
    between = time.monotonic()
    finished(command(clips, out))
    print(
        f"\nTwo shards side by side: {len(expected) / (between - begin):.2f} clips/s with their start; "
        f"gathered in {time.monotonic() - between:.0f} s: {difference(expected, pd.read_parquet(out))}"
    )


def difference(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """Of two tables; where keys, emotions, words or errors differ, that ends it."""
    for column in ("key", "prediction", "transcript", "error"):
        if one[column].tolist() != other[column].tolist():
            raise SystemExit(f"the column {column} differs")
    columns = [name for name in one if name.startswith("probability:")]
    largest = np.nanmax(np.abs(one[columns].to_numpy() - other[columns].to_numpy()))
    return f"the same answers; largest difference of a probability {largest:.1e}"


if __name__ == "__main__":
    main()
