"""A night's worth of hostile input: none may crash, hang, flood memory or raise what is not explained.

    python -m tests.fuzzing media --num 5000
    python -m tests.fuzzing media --num 1000 --seed 7 --with recordings/   # damages files of one's own, too
    python -m tests.fuzzing checkpoint manifest fer2013 meld answers evaluation notes --num 1000

What finds a fault is kept under --out, by kind, seed and number. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.progress import track

from tests.fuzzing.subjects import SUBJECTS, Files, case, write_files
from tests.fuzzing.trial import READ, REFUSED, try_all

MAX_OWN_BYTES = 4_000_000
NUM_TOLD = 12


def main() -> None:
    """Try them, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="+", choices=list(SUBJECTS), metavar="KIND", help=", ".join(SUBJECTS))
    parser.add_argument("--num", type=int, default=5000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--with", dest="own", type=Path, action="append", default=[], help="folder of media")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzzing"), help="of the inputs with faults")
    options = parser.parse_args()
    num_faults = sum(try_kind(kind, options) for kind in options.kinds)
    raise SystemExit(1 if num_faults else 0)


def try_kind(kind: str, options: argparse.Namespace) -> int:
    """Tries one kind; returns how many faults there were."""
    with tempfile.TemporaryDirectory() as folder:
        examples = SUBJECTS[kind].examples(Path(folder))
    if kind == "media":
        examples += own_files(options.own)
    began = time.monotonic()
    numbers = track(range(options.num), description=kind, transient=True)
    found = try_all(case(kind, examples, options.seed, number) for number in numbers)
    print(
        f"{kind}: {options.num} inputs from {len(examples)} examples, seed {options.seed}, in "
        f"{time.monotonic() - began:.0f} s: {found.counts[READ]} read, {found.counts[REFUSED]} refused, "
        f"{len(found.faults)} faults."
    )
    for told, number in Counter(said.split(" ", 1)[-1][:100] for said in found.sentences).most_common(
        NUM_TOLD
    ):
        print(f"{number:6} … {told}")
    for fault in found.faults:
        folder = options.out / f"{kind}-{fault.case.name}"
        write_files(folder, fault.case.files)
        print(f"FAULT {folder} {fault.what[:300]}")
    return len(found.faults)


def own_files(folders: list[Path]) -> list[Files]:
    """Small files that lie directly in these folders."""
    paths = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    return [{path.name: path.read_bytes()} for path in paths if path.stat().st_size <= MAX_OWN_BYTES]


if __name__ == "__main__":
    main()
