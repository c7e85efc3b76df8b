"""Memory of many predictions in a row, in one process: it must not grow.

    python benchmarks/growth.py                       # a thousand, what docs/reliability.md quotes
    python benchmarks/growth.py --explain --num 60    # every clip explained, through a store, and asked again
    python benchmarks/growth.py --clips recordings/   # files of one's own

The clips are by turns read in place and apart, and by turns with their words given and listened to. Exit
code 1 where the memory grew by more than `MAX_GROWTH` from the first tenth to the end.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import threading
import time
from pathlib import Path

import psutil

from app.clips import shipped_clips
from core.attribution.explain import DEFAULTS, STORE_BYTES, explain
from core.attribution.store import ExplanationStore
from core.checkpoint import load_checkpoint
from core.media import MEDIA_SUFFIXES, open_clip
from core.memory import release_free_memory
from core.predict import Predictor
from core.shipped import default_checkpoint

MAX_GROWTH = 0.05
NUM_TOLD = 10


def main() -> None:
    """Predict, and tell the memory at every tenth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=1000, help="predictions")
    parser.add_argument("--clips", type=Path, help="folder of media in place of the sample clips")
    parser.add_argument("--explain", action="store_true", help="explain each, through a store")
    options = parser.parse_args()
    if options.num < NUM_TOLD:
        parser.error(f"--num should be at least {NUM_TOLD}")
    clips = media(options.clips)
    predictor = Predictor(load_checkpoint(default_checkpoint(own=options.clips is not None)))
    held = []
    print(
        "| predictions | MiB of this process | of those that decode | threads |\n|---|---|---|---|",
        flush=True,
    )
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = ExplanationStore(Path(folder), STORE_BYTES) if options.explain else None
        for number in range(1, options.num + 1):
            rounds, place = divmod(number - 1, len(clips))
            path, words = clips[place]
            # every clip in every way
            is_apart, is_told = WAYS[(place + rounds) % len(WAYS)]
            ask(predictor, path, words if is_told else None, is_apart=is_apart, store=store)
            if number % (options.num // NUM_TOLD) == 0:
                held.append(resident())
                print(
                    f"| {number} | {held[-1]:.0f} | {of_children():.0f} | {threading.active_count()} |",
                    flush=True,
                )
    growth = held[-1] / held[0] - 1
    what = "explanations" if options.explain else "predictions"
    print(
        f"\n{options.num} {what} of {len(clips)} clips with {predictor.checkpoint.name}: {growth:+.1%} from "
        f"the first tenth to the end (aim < {MAX_GROWTH:.0%}); "
        f"{time.process_time() - begin:.0f} s of processor time."
    )
    raise SystemExit(1 if growth > MAX_GROWTH else 0)


WAYS = ((False, True), (True, True), (False, False), (True, False))
"""Whether a clip is read apart, and whether its words are told."""


def media(folder: Path | None) -> list[tuple[Path, str | None]]:
    """Files with their words, where those are known."""
    if folder is None:
        return [(clip.path, clip.transcript) for clip in shipped_clips()]
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in MEDIA_SUFFIXES)
    if not found:
        raise SystemExit(f"{folder} holds no media file; give another folder.")
    return [(path, None) for path in found]


def ask(
    predictor: Predictor, path: Path, words: str | None, *, is_apart: bool, store: ExplanationStore | None
) -> None:
    """Predicts a file, as every command does; with a store it is explained, and once more from there."""
    prepared = predictor.prepare(open_clip(path, transcript=words, apart=is_apart))
    prediction = predictor.predict(prepared)
    if store is None:
        return
    for _ in range(2):
        explain(
            predictor,
            prepared,
            methods=DEFAULTS,
            store=store,
            with_faithfulness=(),
            prediction=prediction,
        )
    # as the app does once nothing more waits
    release_free_memory()


def resident() -> float:
    """MiB that this process holds, without garbage."""
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def of_children() -> float:
    """MiB of the processes that decode."""
    return sum(child.memory_info().rss for child in psutil.Process().children(recursive=True)) / 2**20


if __name__ == "__main__":
    main()
