"""Whole corpora: the same for any number of workers and after any kill, and never two in one folder."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from filelock import FileLock

from sample_data.corpus.errors import CorpusError
from sample_data.corpus.make import MakeConfig, make_corpus, read_corpus
from sample_data.corpus.plan import make_plan
from sample_data.corpus.presets import PRESETS
from sample_data.corpus.sheet import draw_sheet
from training.datasets import read_manifest

SMALL = {"preset": "probe", "seed": 3, "size": 64, "frames_per_second": 6.0, "num_clips": 4}


def contents(folder):
    """Every file but what a kill left half written."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".part"
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "corpus"
    told = []
    manifest = make_corpus(MakeConfig(out=out, **SMALL), lambda *update: told.append(update))
    return out, manifest, told


def test_manifest_table_and_files_agree(made):
    out, manifest, told = made
    rows = list(csv.DictReader(manifest.open(encoding="utf-8")))
    corpus = read_corpus(out)
    assert len(rows) == len(corpus) == 4
    for row, (path, sidecar) in zip(rows, corpus, strict=True):
        assert path == out / row["path"] and path.is_file()
        assert (row["label"], row["transcript"]) == (sidecar.plan.label, sidecar.transcript)
        assert path.with_suffix(".json").is_file()
    assert told[0][:2] == (0, 4) and told[-1][:2] == (4, 4)
    assert not list(out.rglob("*.part"))


def test_training_reads_the_manifest(made):
    utterances = read_manifest(made[0])
    assert [utterance.split for utterance in utterances] == ["test"] * 4
    assert all(utterance.extra["cell"] == "all" for utterance in utterances)


def test_a_finished_corpus_is_not_made_again(made):
    out, _, _ = made
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    told = []
    make_corpus(MakeConfig(out=out, **SMALL), lambda *update: told.append(update[:2]))
    assert told == [(4, 4)]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")} == before


def test_a_kill_in_the_middle_of_a_shard_changes_nothing(made, tmp_path):
    out = tmp_path / "killed"
    code = (
        "from pathlib import Path\n"
        "from sample_data.corpus.make import MakeConfig, make_corpus\n"
        "if __name__ == '__main__':\n"
        f"    make_corpus(MakeConfig(out=Path({str(out)!r}), num_workers=2, **{SMALL!r}))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(out.rglob("p*.json")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = list(out.rglob("p*.json"))
    assert 0 < len(finished) < 4 and not (out / "corpus.parquet").exists()
    # a file that was being written when the power went
    (out / "000" / "p00003.mp4.part").write_bytes(b"half")
    make_corpus(MakeConfig(out=out, **SMALL))
    assert contents(out) == contents(made[0])


@pytest.mark.parametrize("suffix", [".mp4", ".json"])
def test_a_clip_that_was_taken_away_is_made_again(made, tmp_path, suffix):
    out = tmp_path / "less"
    shutil.copytree(made[0], out)
    clips = {path: path.stat().st_mtime_ns for path in sorted(out.rglob("*.mp4"))}
    gone = next(iter(clips))
    gone.with_suffix(suffix).unlink()
    make_corpus(MakeConfig(out=out, **SMALL))
    assert contents(out) == contents(made[0])
    assert [path for path in clips if path.stat().st_mtime_ns != clips[path]] == [gone]


def test_a_shard_is_not_done_while_it_lacks_a_clip(made, tmp_path):
    """As a run leaves it that was ended between its last shard and the corpus's table."""
    out = tmp_path / "unsealed"
    shutil.copytree(made[0], out)
    (out / "corpus.parquet").rename(out / "000" / "shard.parquet")
    next(out.rglob("*.mp4")).unlink()
    make_corpus(MakeConfig(out=out, **SMALL))
    assert contents(out) == contents(made[0])


def test_a_damaged_table_is_made_again(made, tmp_path):
    out = tmp_path / "damaged"
    shutil.copytree(made[0], out)
    (out / "corpus.parquet").write_bytes(b"half")
    make_corpus(MakeConfig(out=out, **SMALL))
    assert contents(out) == contents(made[0])


def test_shards_and_workers_change_no_clip(made, tmp_path, monkeypatch):
    monkeypatch.setattr("sample_data.corpus.make.CLIPS_PER_SHARD", 2)
    out = tmp_path / "two"
    make_corpus(MakeConfig(out=out, num_workers=2, **SMALL))
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"000", "001"}
    clips, expected = (
        {name.split("/")[1]: content for name, content in contents(folder).items() if "/" in name}
        for folder in (out, made[0])
    )
    assert clips == expected
    rows, before = (list(csv.DictReader((folder / "manifest.csv").open())) for folder in (out, made[0]))
    for row in (*rows, *before):
        row["path"] = row["path"].split("/")[1]
    assert rows == before


def test_two_runs_in_one_folder_are_refused(tmp_path):
    out = tmp_path / "busy"
    out.mkdir()
    with FileLock(out / "corpus.lock"), pytest.raises(CorpusError, match="Another run is making clips"):
        make_corpus(MakeConfig(out=out, **SMALL))


def test_what_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written.*run the same command again"):
        make_corpus(MakeConfig(out=tmp_path / "file" / "out", **SMALL))


def test_a_kill_before_the_first_clip_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / "corpus.json.part").write_text("{")
    (tmp_path / "000").mkdir()
    with pytest.raises(CorpusError, match="is not empty and has no corpus.json"):
        make_corpus(MakeConfig(out=tmp_path, **SMALL))
    (tmp_path / "000").rmdir()
    (tmp_path / "corpus.json").write_text("[]")
    with pytest.raises(CorpusError, match="corpus.json is damaged"):
        make_corpus(MakeConfig(out=tmp_path, **SMALL))
    (tmp_path / "corpus.json").unlink()
    make_corpus(MakeConfig(out=tmp_path, **(SMALL | {"num_clips": 1})))
    assert len(read_corpus(tmp_path)) == 1


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    out = tmp_path / "orphans"
    code = (
        "from pathlib import Path\n"
        "from sample_data.corpus.make import MakeConfig, make_corpus\n"
        "if __name__ == '__main__':\n"
        f"    make_corpus(MakeConfig(out=Path({str(out)!r}), **{SMALL | {'num_clips': 40}!r}))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 120
    while not list(out.rglob("p*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.wait()

    def running():
        return [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    deadline = time.monotonic() + 20
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    left = running()
    for one in left:
        one.kill()
    assert not left


def test_a_broken_sidecar_is_made_again(made, tmp_path):
    out = tmp_path / "broken"
    shutil.copytree(made[0], out)
    (out / "corpus.parquet").unlink()
    broken = next(out.rglob("p*.json"))
    expected = broken.read_bytes()
    broken.write_text("{")
    make_corpus(MakeConfig(out=out, **SMALL))
    assert broken.read_bytes() == expected


def test_a_split_alone_has_the_clips_of_the_whole(tmp_path):
    few = {"preset": "train", "seed": 3, "size": 64, "frames_per_second": 6.0, "num_clips": 10}
    make_corpus(MakeConfig(out=tmp_path / "test", splits=("test",), **few))
    planned = [plan for plan in make_plan(PRESETS["train"], 3, num_clips=10) if plan.split == "test"]
    assert [sidecar.plan for _, sidecar in read_corpus(tmp_path / "test")] == planned
    with pytest.raises(CorpusError, match="has no clip of the split 'exam'; choose another"):
        make_corpus(MakeConfig(out=tmp_path / "exam", splits=("exam",), **few))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "holds other clips .seed is 3, not 4.*choose another folder"),
        ({"size": 66}, "size is 64, not 66"),
        ({"preset": "demo"}, "preset is probe, not demo"),
        ({"num_clips": 5}, "num_clips is 4, not 5"),
        ({"splits": ("test",)}, "split is None, not test"),
    ],
)
def test_another_corpus_is_not_mixed_in(made, changes, message):
    with pytest.raises(CorpusError, match=message):
        make_corpus(MakeConfig(out=made[0], **(SMALL | changes)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("quality", 30), ("sample_rate", 24_000), ("supersample", 3), ("audio_bit_rate", 48_000)],
)
def test_a_preset_that_has_changed_is_not_mixed_in(made, monkeypatch, name, value):
    before = getattr(PRESETS["probe"], name)
    monkeypatch.setitem(PRESETS, "probe", replace(PRESETS["probe"], **{name: value}))
    with pytest.raises(CorpusError, match=f"holds other clips .{name} is {before}, not {value}"):
        make_corpus(MakeConfig(out=made[0], **SMALL))


def test_another_version_of_the_generator_is_not_mixed_in(made, tmp_path, monkeypatch):
    monkeypatch.setattr("sample_data.corpus.claim.GENERATOR", 99)
    with pytest.raises(CorpusError, match="holds other clips .generator is 2, not 99"):
        make_corpus(MakeConfig(out=made[0], **SMALL))
    # before versions were written down
    shutil.copy(made[0] / "corpus.json", tmp_path)
    description = json.loads((tmp_path / "corpus.json").read_text())
    del description["generator"]
    (tmp_path / "corpus.json").write_text(json.dumps(description))
    with pytest.raises(CorpusError, match="generator is unknown, not 99"):
        make_corpus(MakeConfig(out=tmp_path, **SMALL))


def test_other_shards_are_not_mixed_in(made, monkeypatch):
    monkeypatch.setattr("sample_data.corpus.make.CLIPS_PER_SHARD", 2)
    with pytest.raises(CorpusError, match="clips_per_shard is 25, not 2"):
        make_corpus(MakeConfig(out=made[0], **SMALL))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "huge"}, "no preset 'huge'; choose one of demo, train, probe"),
        ({"seed": -1}, "seed -1 is negative; choose 0 or more"),
        ({"size": 0}, "0 px cannot be made"),
        ({"size": 65}, "65 px cannot be made; choose an even size from 32 to 1024"),
        ({"frames_per_second": 1.0}, "1 frames per second cannot be made; choose 5 to 60"),
    ],
)
def test_what_cannot_be_made_is_told(tmp_path, changes, message):
    with pytest.raises(CorpusError, match=message):
        make_corpus(MakeConfig(out=tmp_path / "out", **(SMALL | changes)))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(
        CorpusError, match="is not empty and has no corpus.json.*choose an empty or new folder"
    ):
        make_corpus(MakeConfig(out=tmp_path, **SMALL))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unfinished_corpus_cannot_be_read(tmp_path):
    with pytest.raises(CorpusError, match="holds no finished corpus.*make it with `deepmsi corpus make`"):
        read_corpus(tmp_path)


def test_a_table_of_another_version_is_told(made, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    rows = [{"path": "a.mp4", "truth": json.dumps({"schema_version": 99})}]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "corpus.parquet")
    with pytest.raises(CorpusError, match="schema version is 99, not 1.*make the corpus again"):
        read_corpus(tmp_path)


def test_the_sheet_has_a_row_per_emotion(made, tmp_path):
    from PIL import Image

    draw_sheet(made[0], tmp_path / "sheet.png", num_columns=2)
    width, height = Image.open(tmp_path / "sheet.png").size
    assert height % 7 == 0 and width > 2 * height // 7
