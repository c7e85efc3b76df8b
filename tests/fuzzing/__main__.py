"""A night's worth of hostile media files: none may crash, hang, flood memory or raise what is not explained.

    python -m tests.fuzzing --num 5000 --seed 0
    python -m tests.fuzzing --num 1000 --seed 7 --with recordings/   # damages files of one's own, too

Files that find a fault are kept under --out, by their seed and number. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.progress import track

from tests.fuzzing.mutations import case, made_files
from tests.fuzzing.trial import REFUSED, try_all

MAX_OWN_BYTES = 4_000_000


def main() -> None:
    """Try them, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--with", dest="own", type=Path, action="append", default=[], help="folder of media")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzzing"), help="of the files with faults")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = made_files(Path(folder))
    for own in options.own:
        for path in sorted(own.iterdir()):
            if path.is_file() and path.stat().st_size <= MAX_OWN_BYTES:
                files[f"{path.stem}{path.suffix}"] = path.read_bytes()
    began = time.monotonic()
    numbers = track(range(options.num), description="Files", transient=True)
    outcomes, faults, sentences = try_all(case(files, options.seed, number) for number in numbers)
    print(
        f"{options.num} files of {len(files)} kinds, seed {options.seed}, "
        f"in {time.monotonic() - began:.0f} s: "
        f"{outcomes.total() - outcomes[REFUSED]} read, {outcomes[REFUSED]} refused, {len(faults)} faults."
    )
    for told, number in Counter(_without_name(sentence) for sentence in sentences).most_common(12):
        print(f"{number:6} {told}")
    for fault in faults:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / fault.case.name).write_bytes(fault.case.data)
        print(f"FAULT {options.out / fault.case.name} {fault.what}")
    raise SystemExit(1 if faults else 0)


def _without_name(sentence: str) -> str:
    return sentence.split(" ", 1)[-1][:100]


if __name__ == "__main__":
    main()
