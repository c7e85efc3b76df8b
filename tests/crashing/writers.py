"""What the app writes while somebody works with it: notes one after the other, and records of runs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

NUM_NOTES, NUM_RUNS = 60, 30

CONFIRMED = "confirmed.log"
"""One line for each thing that the app has told a person is kept."""


def keep_notes() -> None:
    """Writes notes that are not there yet."""
    from app.notes import Notes

    place = Path(sys.argv[1])
    notes = Notes(place / "notes.sqlite")
    for number in range(NUM_NOTES):
        key = f"clip-{number}.mp4"
        before = notes.get("clips", key)
        if before.is_empty:
            notes.save(before, tags=("odd", f"tag {number % 7}"), note=f"What was said here: {number} " * 20)
        _confirm(place, key)


def lost_notes(place: Path) -> str:
    """Which note a person was told is kept, and is not; "" where none is missing."""
    from app.notes import Notes

    there = {note.key for note in Notes(place / "notes.sqlite").all()}
    lost = sorted(_confirmed(place) - there)
    return f"{len(lost)} notes are lost, as {lost[0]}" if lost else ""


def keep_runs() -> None:
    """Begins and ends runs over one's own data, the command of each being one that does nothing."""
    import app.runs
    from app.own_runs import OwnWork
    from app.runs import DONE, Run, Runs

    app.runs.PROGRAM = ("true",)
    place = Path(sys.argv[1])
    for number in range(NUM_RUNS):
        work = OwnWork(task="predict", data=Path(f"/data/{number}"), split="all", checkpoint=Path("/full"))
        if Runs(place).state_of(work.name) != DONE:
            Run(work, place).join()
        _confirm(place, work.name)


def lost_runs(place: Path) -> str:
    """Which run that was done is not known any more, or is told as another; "" where none is."""
    from app.own_runs import OwnRuns
    from app.runs import DONE

    runs = OwnRuns(place)
    for name in sorted(_confirmed(place)):
        if runs.known(name) is None or runs.state_of(name) != DONE:
            return f"the run {name} is told as {runs.state_of(name)}"
    for record in place.glob("*/run.json"):
        if runs.known(record.parent.name) is None:
            return f"{record} is damaged"
    return ""


def _confirm(place: Path, name: str) -> None:
    file = os.open(place / CONFIRMED, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{name}\n".encode())
    os.close(file)


def _confirmed(place: Path) -> set[str]:
    path = place / CONFIRMED
    return set(path.read_text().splitlines()) if path.exists() else set()


def write_in_halves() -> None:
    """What must not be done, to show that it is found."""
    path = Path(sys.argv[1]) / "made.txt"
    path.write_text("half ")
    time.sleep(0.5)
    path.write_text("half and whole")
