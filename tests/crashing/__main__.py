"""Commands that are killed at random moments: each goes on to what an undisturbed one makes.

    python -m tests.crashing training evaluation --num 30
    python -m tests.crashing --seed 7          # every kind
    python -m tests.crashing --with recordings/  # clips that are copies of these, not made ones

A kill is SIGKILL, to the command with its children or to it alone, at moments spread over the length of an
undisturbed command, or when it next writes; after one in four the command that goes on is killed as well.
Exit code 1 for a fault.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tests.crashing.subjects import SUBJECTS, recordings_of
from tests.crashing.trial import bench


def main() -> None:
    """Try them, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(SUBJECTS))
    parser.add_argument("--num", type=int, default=30, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--with", dest="more", type=Path, help="folder of recordings in place of made clips")
    options = parser.parse_args()
    if unknown := sorted(set(options.kinds) - set(SUBJECTS)):
        parser.error(f"there is no kind {unknown[0]}; there are {', '.join(SUBJECTS)}")
    num_faults = 0
    recordings = [] if options.more is None else recordings_of(options.more)
    with bench(recordings) as made:
        for kind in options.kinds or SUBJECTS:
            began = time.monotonic()
            found = made.try_kills(kind, options.num, options.seed)
            counts = found.counts
            print(
                f"{kind}: {counts['killed']} kills ({counts['killed alone']} of the main process alone, "
                f"{counts['in the act']} in the act of writing) from "
                f"{min(found.moments, default=0):.2f} to {max(found.moments, default=0):.2f} s of "
                f"{found.seconds:.1f} s, {counts['ended before']} ended before, {len(found.faults)} faults; "
                f"seed {options.seed}, {time.monotonic() - began:.0f} s.",
                flush=True,
            )
            for fault in found.faults:
                print(f"FAULT {fault.name}: {fault.what}", flush=True)
            num_faults += len(found.faults)
    raise SystemExit(1 if num_faults else 0)


if __name__ == "__main__":
    main()
