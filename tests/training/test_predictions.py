"""Tables of answers: one row per clip, gone on with after an interruption."""

import csv
import json
import os
import sys
import wave
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from made_prepared import made_checkpoint

from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.media import apart, open_clip
from core.model import DeepMSI
from core.predict import Predictor
from sample_data import DEMO
from training.datasets import DataError, Dataset, Utterance, read_dataset
from training.predictions import journal_of, predict_all, read_predictions, to_be_asked
from training.shards import Shard, shard_named, shard_of_this_process, shards_beside
from training.workers import sensible_workers


def write_tone(path, hertz):
    samples = (9_000 * np.sin(hertz * 2 * np.pi * np.arange(12_000) / 16_000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


def small_predictor(folder, seed):
    torch.manual_seed(seed)
    save_checkpoint(folder, DeepMSI(PRESETS["tiny"], "random"), info=CheckpointInfo())
    return Predictor(load_checkpoint(folder))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return small_predictor(tmp_path_factory.mktemp("checkpoints") / "tiny", 2)


@pytest.fixture(scope="module")
def checkpoint_of_video(tmp_path_factory):
    return made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "made")


@pytest.fixture
def asked(monkeypatch):
    """Names of the clips that the model was shown."""
    names = []
    prepare = Predictor.prepare

    def noted(self, clip, **options):
        names.append(clip.path.name)
        return prepare(self, clip, **options)

    monkeypatch.setattr(Predictor, "prepare", noted)
    return names


@pytest.fixture
def data(tmp_path):
    """Three voices with words, of which the last is broken."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, hertz in (("a.wav", 300), ("b.wav", 500)):
        write_tone(folder / name, hertz)
    (folder / "c.wav").write_bytes(b"this is no sound")
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = [
            ("a.wav", "joy", "Hello, you.", "test"),
            ("b.wav", "", "", "test"),
            ("c.wav", "", "x", "train"),
        ]
        csv.writer(file).writerows([("path", "label", "transcript", "split"), *rows])
    return folder


def answer(predictor, data, out, split="all", **options):
    utterances = to_be_asked(read_dataset(data, needs_labels=False), split)
    return predict_all(predictor, utterances, out, root=data, **options)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_row_per_clip_says_what_the_predictor_says(predictor, data, tmp_path, suffix):
    out = tmp_path / f"answers{suffix}"
    seen = []
    tally = answer(predictor, data, out, progress=lambda *of: seen.append(of))
    assert (tally.num_answered, tally.num_known) == (2, 0)
    ((key, reason),) = tally.failures
    assert key == "c.wav" and "c.wav" in reason
    assert seen == [(0, 3, "a.wav"), (1, 3, "b.wav"), (2, 3, "c.wav"), (3, 3, "")]
    assert not journal_of(out).exists()
    table = read_predictions(out)
    assert table["key"].tolist() == ["a.wav", "b.wav", "c.wav"]
    first = table.iloc[0]
    expected = predictor.predict_clip(open_clip(data / "a.wav", transcript="Hello, you."))
    assert first["prediction"] == expected.prediction and first["label"] == "joy"
    assert (first["transcript"], first["transcript_source"]) == ("Hello, you.", "given")
    classes = [name for name in table if name.startswith("probability:")]
    assert classes == [f"probability:{label}" for label in expected.labels]
    np.testing.assert_allclose(first[classes].astype(float), expected.probabilities, atol=1e-6)
    assert first["video_prediction"] == "" and np.isnan(first["video_confidence"])
    text = expected.modalities.probabilities[3]  # subsets are (), video, audio, text, …
    assert first["text_prediction"] == expected.labels[text.argmax()]
    assert first["text_confidence"] == pytest.approx(text.max(), abs=1e-6)
    broken = table.iloc[2]
    assert broken["prediction"] == "" and broken["error"] == reason and np.isnan(broken["confidence"])
    # plain readers find the same
    plain = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert plain["prediction"].iloc[1] == table["prediction"].iloc[1]


def test_what_is_known_is_not_asked_again(predictor, data, tmp_path, asked):
    out = tmp_path / "answers.parquet"
    answer(predictor, data, out, split="test")
    assert asked == ["a.wav", "b.wav"]
    before = read_predictions(out)
    tally = answer(predictor, data, out, split="test")
    assert asked == ["a.wav", "b.wav"] and (tally.num_answered, tally.num_known) == (2, 2)
    pd.testing.assert_frame_equal(read_predictions(out), before)
    # another file under the same name
    write_tone(data / "b.wav", 900)
    answer(predictor, data, out, split="test")
    assert asked[2:] == ["b.wav"]
    # other words; a label that was found meanwhile is taken over without asking
    text = (data / "manifest.csv").read_text()
    (data / "manifest.csv").write_text(
        text.replace("Hello, you.", "Go away!").replace("b.wav,,", "b.wav,fear,")
    )
    answer(predictor, data, out, split="test")
    assert asked[3:] == ["a.wav"]
    assert read_predictions(out)["label"].tolist() == ["joy", "fear"]
    answer(small_predictor(tmp_path / "other", 3), data, out, split="test")
    assert asked[4:] == ["a.wav", "b.wav"]


def test_an_interrupted_table_goes_on(predictor, data, tmp_path, asked):
    out = tmp_path / "answers.csv"

    class EndedError(Exception):
        pass

    def end(done, total, key):
        if done == 1:
            raise EndedError

    with pytest.raises(EndedError):
        answer(predictor, data, out, progress=end)
    assert not out.exists() and journal_of(out).exists()
    with journal_of(out).open("a") as file:
        file.write('{"key": "b.wav", "predic')
    assert read_predictions(out)["key"].tolist() == ["a.wav"]
    tally = answer(predictor, data, out)
    assert asked == ["a.wav", "b.wav"] and tally.num_known == 1
    assert read_predictions(out)["key"].tolist() == ["a.wav", "b.wav", "c.wav"]


def test_words_with_any_sign_are_known_to_the_next_run(predictor, data, tmp_path, asked):
    out, words = tmp_path / "answers.parquet", "Hello,\u2028you.\x85\x0bYes!"
    voices = [
        Utterance(key=name, path=data / name, label="", transcript=words) for name in ("a.wav", "b.wav")
    ]

    def end(done, total, key):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_all(predictor, voices, out, root=data, progress=end)
    assert read_predictions(out)["transcript"].tolist() == [words]
    assert predict_all(predictor, voices, out, root=data).num_known == 1
    assert asked == ["a.wav", "b.wav"] and read_predictions(out)["transcript"].tolist() == [words] * 2


def test_words_are_listened_to_where_they_are_not_known(predictor, data, tmp_path, monkeypatch):
    listened = []
    prepare = Predictor.prepare

    def noted(self, clip, *, transcribe, **options):
        listened.append((clip.path.name, transcribe))
        return prepare(self, clip, transcribe=False, **options)

    monkeypatch.setattr(Predictor, "prepare", noted)
    (data / "manifest.csv").write_text("path\na.wav\n")
    out = tmp_path / "answers.csv"
    answer(predictor, data, out)
    assert read_predictions(out)["transcript_source"].tolist() == ["speech-to-text"]
    answer(predictor, data, out, transcribe=False)
    assert read_predictions(out)["transcript_source"].tolist() == ["none"]
    assert listened == [("a.wav", True), ("a.wav", False)]


def test_what_is_no_clip_is_said(predictor, tmp_path):
    words = Utterance(key="words", path=None, label="joy", transcript="Hi.")
    made = Utterance(key="made", path=tmp_path / "made.safetensors", label="joy")
    tally = predict_all(predictor, [words, made], tmp_path / "answers.csv", root=tmp_path)
    assert tally.num_answered == 0
    assert dict(tally.failures)["words"].startswith("There are only words")
    assert dict(tally.failures)["made"].startswith("This is no clip but features")


def test_sentences_that_are_read_aloud_are_not_read_by_the_model():
    one = Utterance(key="a", path=None, label="joy", transcript="Kids are talking by the door.")
    dataset = Dataset(name="ravdess", scheme="meld-7", utterances=(one,))
    assert [u.transcript for u in to_be_asked(dataset)] == [""]
    assert to_be_asked(replace(dataset, name="manifest")) == (one,)


def test_a_split_that_is_not_there_is_refused(data):
    with pytest.raises(DataError, match="split dev: the data has test, train"):
        to_be_asked(read_dataset(data, needs_labels=False), "dev")


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "", None])
def test_another_file_is_not_replaced(predictor, data, tmp_path, content):
    out = tmp_path / "mine.csv"
    if content is None:
        out.mkdir()
    else:
        out.write_text(content)
    with pytest.raises(DataError, match="mine.csv is (no table of predictions|not a regular file)"):
        answer(predictor, data, out)
    if content is not None:
        assert out.read_text() == content


def test_a_table_whose_notes_by_pandas_are_damaged_is_read_or_refused(predictor, data, tmp_path):
    out = tmp_path / "answers.parquet"
    answer(predictor, data, out)
    table = pq.read_table(out)
    noted = {name: text.replace(b"numpy_type", b"numpz_type") for name, text in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(noted), out)
    answer(predictor, data, out)
    assert pq.read_table(out).column("key").to_pylist() == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        *((line, []) for line in ("5", '"key"', '["key"]', "null", '{"key": 5}', '{"key": ["a"]}')),
        ('{"key": "a.wav", "confidence": 1%s, "probability:joy": Infinity}' % ("0" * 400), ["a.wav", ""]),
        (r'{"key": "a.wav", "transcript": "\ud800!", "probability:\udc00": 1}', ["a.wav", r"\ud800!"]),
    ],
)
def test_any_line_of_a_journal_is_read_or_passed_over(predictor, data, tmp_path, line, told):
    out = tmp_path / "answers.parquet"
    journal_of(out).write_text(f"{line}\n")
    found = read_predictions(out)
    assert found[["key", "transcript"]].to_numpy().ravel().tolist() == told
    assert found["confidence"].isna().all() and not np.isinf(found.filter(like="probability:")).any(axis=None)
    found.to_parquet(tmp_path / "found.parquet")
    answer(predictor, data, out)
    assert read_predictions(out)["key"].tolist() == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.skipif(sys.platform == "darwin", reason="there each name is text")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_clip_whose_name_is_no_text_is_answered(predictor, tmp_path, suffix):
    folder, out = tmp_path / "data", tmp_path / f"answers{suffix}"
    folder.mkdir()
    for name in (b"na\xe8ve.wav", b"na\xefve.wav"):
        write_tone(folder / os.fsdecode(name), 300)
    assert answer(predictor, folder, out).num_answered == 2
    assert read_predictions(out)["key"].tolist() == [r"na\udce8ve.wav", r"na\udcefve.wav"]
    assert answer(predictor, folder, out).num_known == 2


def test_the_journal_is_one_line_of_json_per_answer(predictor, data, tmp_path):
    out, lines = tmp_path / "answers.csv", []

    def look(done, total, key):
        if journal_of(out).exists():
            lines.append([json.loads(line)["key"] for line in journal_of(out).read_text().splitlines()])

    answer(predictor, data, out, progress=look)
    assert lines == [[], ["a.wav"], ["a.wav", "b.wav"], ["a.wav", "b.wav", "c.wav"]]


def test_clips_that_the_machine_could_not_read_are_asked_again(predictor, data, tmp_path, monkeypatch):
    out = tmp_path / "answers.csv"
    while apart._idle:
        apart._idle.pop().kill()
    with monkeypatch.context() as patch:
        patch.setattr(apart.sys, "executable", "/nowhere/python")
        tally = answer(predictor, data, out, split="test")
    assert [key for key, _ in tally.failures] == ["a.wav", "b.wav"]
    assert all("could not be started" in reason for _, reason in tally.failures)
    again = answer(predictor, data, out, split="test")
    assert (again.num_answered, again.num_known, again.failures) == (2, 0, ())


def test_several_processes_give_the_table_of_one(predictor, data, tmp_path, asked):
    alone, together = tmp_path / "alone.parquet", tmp_path / "together.parquet"
    answer(predictor, data, alone)
    asked.clear()
    seen = []
    tally = answer(predictor, data, together, num_workers=2, progress=lambda *of: seen.append(of[:2]))
    # this process was shown none of them
    assert asked == [] and (tally.num_answered, len(tally.failures)) == (2, 1)
    pd.testing.assert_frame_equal(read_predictions(together), read_predictions(alone))
    assert seen[0] == (0, 3) and seen[-1] == (3, 3) and not journal_of(together).exists()


def test_shards_are_gathered_and_asked_about_once(predictor, data, tmp_path, asked):
    out, whole = tmp_path / "answers.parquet", tmp_path / "whole.parquet"
    utterances = to_be_asked(read_dataset(data, needs_labels=False), "test")
    shards = [Shard(number, 2) for number in (1, 2)]
    assert [one.key for shard in shards for one in shard.of(utterances)] == ["a.wav", "b.wav"]
    for shard in shards:
        predict_all(predictor, shard.of(utterances), shard.table(out), root=data)
    assert sorted(path.name for path in shards_beside(out)) == [
        "answers.1-of-2.parquet",
        "answers.2-of-2.parquet",
    ]
    # of one that is not finished, what there is counts too
    second = shards[1].table(out)
    rows = read_predictions(second).to_dict("records")
    journal_of(second).write_text("".join(json.dumps(row) + "\n" for row in rows))
    second.unlink()
    asked.clear()
    tally = answer(predictor, data, out, split="test")
    assert asked == [] and tally.num_known == 2
    answer(predictor, data, whole, split="test")
    pd.testing.assert_frame_equal(read_predictions(out), read_predictions(whole))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", ""])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="such as 1/4"):
        shard_named(text)


def test_a_process_of_several_takes_its_own_shard(monkeypatch):
    assert shard_named("2/8") == Shard(2, 8)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert shard_of_this_process() is None
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "2")
    assert shard_of_this_process() == Shard(3, 4)


def test_a_shard_s_answer_counts_where_the_table_has_none_to_the_question(predictor, data, tmp_path, asked):
    out = tmp_path / "answers.csv"
    answer(small_predictor(tmp_path / "other", 5), data, out, split="test")
    utterances = to_be_asked(read_dataset(data, needs_labels=False), "test")
    predict_all(predictor, utterances, Shard(1, 2).table(out), root=data)
    # what a finished table lacks is not told as its own
    assert set(read_predictions(out)["checkpoint"]) == {"other"}
    asked.clear()
    tally = answer(predictor, data, out, split="test")
    assert asked == [] and tally.num_known == 2
    assert set(read_predictions(out)["checkpoint"]) == {"tiny"}
    first = to_be_asked(read_dataset(data, needs_labels=False), "test")[:1]
    predict_all(predictor, first, out, root=data)
    assert read_predictions(out)["key"].tolist() == ["a.wav"]


def test_other_processes_hold_still_what_this_one_would(checkpoint_of_video, tmp_path):
    clips = sorted(DEMO.rglob("*.mp4"))[:2]
    utterances = [Utterance(key=one.name, path=one, label="", transcript="") for one in clips]
    found = {}
    for below, workers in ((0.05, 1), (0.05, 2), (0.0, 1)):
        predictor = Predictor(checkpoint_of_video, still_below=below)
        out = tmp_path / f"{below}-{workers}.parquet"
        predict_all(predictor, utterances, out, root=DEMO, num_workers=workers)
        found[below, workers] = read_predictions(out)
    pd.testing.assert_frame_equal(found[0.05, 1], found[0.05, 2])
    plain, held = found[0.0, 1], found[0.05, 2]
    assert set(plain["checkpoint_sha256"]).isdisjoint(held["checkpoint_sha256"])
    assert not np.array_equal(plain["confidence"], held["confidence"])


def test_a_network_that_was_changed_answers_here_alone(checkpoint_of_video, data, tmp_path):
    fewer = replace(checkpoint_of_video, model=checkpoint_of_video.model.keeping(1))
    assert sensible_workers(10**6, Predictor(fewer)) == 1
    with pytest.raises(DataError, match="as it was saved"):
        answer(Predictor(fewer), data, tmp_path / "answers.csv", num_workers=2)
    assert answer(Predictor(fewer), data, tmp_path / "answers.csv", num_workers=None).num_answered == 2


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Tells 16 cores and so much memory: the machine's, and a container's where one is told."""
    monkeypatch.setattr("training.workers.usable_cores", lambda: 16)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr("core.cores.CONTROL_GROUP", tmp_path / "group")
    monkeypatch.setattr("core.memory.MEMORY", tmp_path / "meminfo")

    def has(gib, *, most=None, held=0.0, files=0.0):
        (tmp_path / "meminfo").write_text(f"MemFree: 1 kB\nMemAvailable:   {int(gib * 2**20)} kB\n")
        if most is not None:
            (tmp_path / "group").mkdir(exist_ok=True)
            for name, value in (("max", most), ("current", held)):
                (tmp_path / "group" / f"memory.{name}").write_text(f"{int(value * 2**30)}\n")
            (tmp_path / "group" / "memory.stat").write_text(f"anon 5\ninactive_file {int(files * 2**30)}\n")

    return has


def test_as_many_processes_as_fit(predictor, machine, monkeypatch):
    # where no memory is told, cores decide
    assert sensible_workers(10**6, predictor) == 16 and sensible_workers(74, predictor) == 2
    assert sensible_workers(3, predictor) == 1
    machine(6.5)
    assert sensible_workers(10**6, predictor) == 5
    machine(0.5)
    assert sensible_workers(10**6, predictor) == 1
    # a container's limit counts, less what is held, but for files that were read
    machine(64, most=8, held=6, files=0.5)
    assert sensible_workers(10**6, predictor) == 2
    machine(64, most=64)
    assert sensible_workers(10**6, predictor) == 16
    # processes of one machine share cores and memory
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert sensible_workers(10**6, predictor) == 4
    machine(10)
    assert sensible_workers(10**6, predictor) == 2


def test_a_larger_network_needs_more_memory(predictor, machine):
    machine(12)
    layer = torch.nn.Linear(2**14, 2**14, device="meta")  # of 1 GiB
    large = replace(predictor.checkpoint, model=layer)
    layer.variant = ""
    few = sensible_workers(10**6, SimpleNamespace(checkpoint=large))
    assert (sensible_workers(10**6, predictor), few) == (9, 4)


@pytest.mark.parametrize("suffix", [".csv", ".csv.part", ".parquet.part"])
def test_gigantic_tables_and_journals_are_refused_unread(tmp_path, suffix):
    path = tmp_path / f"answers{suffix}"
    with path.open("wb") as file:
        # a hole, which takes no room on the disk
        file.truncate(2**40)
    message = f"{path.name} has 1,099,511,627,776 bytes, more than the allowed 2,147,483,648; "
    with pytest.raises(DataError, match=message):
        read_predictions(path.with_name(path.name.removesuffix(".part")))
