"""Kills, full disks and read-only folders: a sample of what `python -m tests.crashing` tries by the dozen.

Where `DEEPMSI_RECORDINGS` names a folder of clips, these take the place of made ones.
"""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crashing.subjects import SUBJECTS, Subject, contents, recordings_of
from tests.crashing.trial import Bench

KINDS = ("training", "cache", "prediction", "evaluation", "report", "notes", "runs")
MAX_SENTENCE = 600

CAN_MOUNT = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None
ROOM_BYTES = 8_000
"""That is left on a disk that is called full: for the names of files, and little more."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = os.environ.get("DEEPMSI_RECORDINGS")
    recordings = recordings_of(Path(folder)) if folder else []
    made = Bench(tmp_path_factory.mktemp("bench"), recordings)
    yield made
    made.launcher.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_command_goes_on_to_the_same_result(bench, kind):
    found = bench.try_kills(kind, 1, seed=1, num_first=1)
    assert not found.faults, [(fault.name, fault.what) for fault in found.faults]
    assert found.counts["killed"]


def test_what_writes_in_halves_is_found(bench):
    careless = Subject(
        function="tests.crashing.writers:write_in_halves",
        arguments=lambda given, place: [str(place)],
        results=("made.txt",),
    )
    found = bench.try_kills("careless", 3, seed=0, subject=careless, num_first=1)
    assert any("made.txt is half of a result" in fault.what for fault in found.faults)


@pytest.mark.parametrize(
    ("name", "half", "told"),
    [
        ("history.jsonl", b'{"step": 3}\n{"st', "history.jsonl is half"),
        ("history.jsonl", b'{"step": 3}\n{"step": 3}\n', "tells of the steps"),
        ("video.safetensors", b"\x40" + bytes(7) + b'{"a"', "video.safetensors is half"),
    ],
)
def test_half_of_what_pretraining_replaces_is_found(tmp_path, name, half, told):
    path = tmp_path / "made" / name
    path.parent.mkdir()
    path.write_bytes(half)
    assert told in SUBJECTS["pretraining"].look(tmp_path)


@contextmanager
def disk(folder):
    """A small disk of its own mounted at a folder."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Takes all room of a disk but `ROOM_BYTES`; returns the file that holds it."""
    free = os.statvfs(folder)
    path = folder / "log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(file, 0, free.f_bavail * free.f_bsize - ROOM_BYTES)
    os.close(file)
    return path


def older_results(bench, subject, place):
    """Puts there what an earlier command of the same kind made."""
    subject.before(bench.given, place)
    started = bench.start(subject, place)
    assert started.wait() == 0, started.said


def refused(bench, subject, place, log, **how):
    """Whether the command leaves with one sentence that names the folder, and all as it was."""
    before = contents(place)
    environment = {"DEEPMSI_CACHE_DIR": str(place / "kept"), "DEEPMSI_DATA_DIR": str(place)}
    arguments = subject.arguments(bench.given, place)
    code, said = bench.launcher.run(*arguments, log=log, environment=environment, **how)
    told = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert code == 1 and "Traceback" not in said, said
    assert len(told) == 1 and str(place) in told[0] and len(told[0]) < MAX_SENTENCE, said
    assert " cannot be written (" in told[0] and told[0].endswith("."), told[0]
    return before, contents(place)


FULL = {"training": 20_000, "cache": 2_000, "prediction": 1_000, "evaluation": 2_000, "report": 10_000}
"""Sizes of files at which the disk is full, less than what each kind makes."""


@pytest.mark.parametrize("kind", FULL)
def test_where_no_file_can_grow_it_is_one_sentence_and_the_older_result_stays(bench, kind, tmp_path):
    subject = SUBJECTS[kind]
    place = bench.place("full")
    if kind not in ("training", "cache"):
        older_results(bench, subject, place)
        # the same question again would find its answer
        for name in ("made.csv.part", "made.csv"):
            if (path := place / name).exists():
                path.write_text(path.read_text().replace("test0", "test9"))
    before, after = refused(bench, subject, place, tmp_path / "log", max_file_bytes=FULL[kind])
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if name.endswith((".new", ".tmp"))], sorted(after)


@pytest.mark.skipif(not CAN_MOUNT, reason="mounting a disk takes root on Linux")
@pytest.mark.parametrize(
    "kind", ["prediction", "evaluation", "explanation", "training", "pretraining", "report"]
)
def test_on_a_full_disk_it_is_one_sentence_and_goes_on_once_there_is_room(bench, kind, tmp_path):
    subject, place = SUBJECTS[kind], bench.place("disk")
    with disk(place):
        filler = fill(place)
        refused(bench, subject, place, tmp_path / "log")
        assert not any((place / name).exists() for name in subject.results) and not subject.look(place)
        filler.unlink()
        if kind == "training":
            # which takes long; after a kill it is seen to go on
            return
        goes_on = bench.start(subject, place, again=True)
        assert goes_on.wait() == 0, goes_on.said
        assert all((place / name).exists() for name in subject.results)


@pytest.mark.skipif(not CAN_MOUNT, reason="mounting a disk takes root on Linux")
@pytest.mark.parametrize(
    "kind", ["training", "cache", "prediction", "evaluation", "explanation", "report", "corpus"]
)
def test_a_read_only_folder_is_told_before_the_work(bench, kind, tmp_path):
    subject, place = SUBJECTS[kind], bench.place("disk")
    with disk(place):
        subject.before(bench.given, place)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        before, after = refused(bench, subject, place, tmp_path / "log")
        assert before == after


def test_explanations_are_made_where_none_can_be_kept(bench, tmp_path):
    place = bench.place("kept")
    (tmp_path / "file").write_text("no folder")
    code, said = bench.launcher.run(
        *SUBJECTS["explanation"].arguments(bench.given, place),
        log=tmp_path / "log",
        environment={"DEEPMSI_CACHE_DIR": str(tmp_path / "file")},
    )
    assert code == 0 and (place / "made" / "explanation.json").is_file(), said
    assert said.count("Explanations are not kept in") == 1 and "Traceback" not in said
