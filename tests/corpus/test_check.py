"""A whole check of finished files: what is tampered with fails its own check, and no other."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet
import pytest
from checked_clips import a_speaker, darkness, measured, write_clip, write_corpus, write_media
from made_truth import a_plan
from typer.testing import CliRunner

from app.cli import cli
from core.labels import MELD_7
from core.media import decode, open_clip
from core.media.apart import MachineError
from sample_data.corpus.check import check_corpus
from sample_data.corpus.checking.courses import LAGS_SECONDS
from sample_data.corpus.checking.files import check_files
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.face import FaceState
from sample_data.corpus.schema import read_sidecar

NUM_CLIPS, SIZE = 7, 96


@pytest.fixture(scope="module")
def corpus(head, tmp_path_factory):
    """Seven clips of one rendered face, its mouth painted open as the voice sounds, and their report."""
    folder = tmp_path_factory.mktemp("checked") / "corpus"
    (folder / "000").mkdir(parents=True)
    picture = head.render(FaceState(), size=SIZE, supersample=1)
    sidecars = []
    for number in range(NUM_CLIPS):
        split = ("train", "dev", "test")[number % 3]
        plan = a_plan(
            clip_id=f"p{number:05d}",
            seed=number,
            split=split,
            label=MELD_7.labels[number],
            text_emotion=MELD_7.labels[number],
            speaker=a_speaker(f"{split}{number}", split=split, voices=(f"voice{number}",)),
            transcript=f"Sentence number {number}.",
        )
        distractors = [darkness(0.7, 1.6)] if number == 3 else []
        sidecars.append(
            write_clip(folder / "000", plan, picture, semitones=number - 3.0, distractors=distractors)
        )
    write_corpus(folder, sidecars)
    check_corpus(folder, folder / "check", with_classifiers=False)
    return folder


@pytest.fixture
def copy(corpus, tmp_path):
    """A copy to tamper with; what was measured of untouched clips is known already."""
    shutil.copytree(corpus, tmp_path / "corpus")
    return tmp_path / "corpus"


def sidecars_of(folder):
    return [read_sidecar(path) for path in sorted((folder / "000").glob("p*.json"))]


def checked(folder):
    result = check_corpus(folder, folder / "check", with_classifiers=False)
    return result, [check for check in result.checks if check.is_passed is False]


def media_of(path):
    clip = open_clip(path)
    return decode(clip, num_frames=2 * clip.info.num_frames)


def test_an_untouched_corpus_passes(corpus):
    result, failed = checked(corpus)
    assert failed == [] and result.is_passed
    passed = {check.name for check in result.checks if check.is_passed}
    assert {
        "Every clip can be read",
        "Speech begins and ends when the sidecars say",
        "The face is found in undisturbed frames",
        "The face is where the sidecar says",
        "No sentence is in two splits",
    } <= passed
    assert "0 failed" in result.summary and "report.html" in result.summary


def test_the_report_stands_alone_and_holds_every_number(corpus):
    result, _ = checked(corpus)
    page = (corpus / "check" / "report.html").read_text(encoding="utf-8")
    assert "http-equiv" not in page and "<script src" not in page and "Plotly.newPlot" in page
    for section in result.sections:
        for exhibit in section.exhibits:
            assert exhibit.title in page
    numbers = json.loads((corpus / "check" / "report.json").read_text(encoding="utf-8"))
    assert numbers == result.numbers
    told = [check["name"] for section in numbers["sections"] for check in section["checks"]]
    assert told == [check.name for check in result.checks]


def rows_of(folder):
    return pyarrow.parquet.read_table(folder / "check" / "measures.parquet").to_pylist()


def test_the_planted_pitches_are_measured_from_the_files(corpus):
    found = [row["voice_f0_semitones"] for row in rows_of(corpus)]
    np.testing.assert_allclose(np.diff(found), 1.0, atol=0.35)


def test_a_quarter_of_the_light_is_two_powers_of_two(corpus):
    windows = [row["windows"] for row in rows_of(corpus)]
    (dark,) = [one for one in windows[3] if one["kind"] == "dark"]
    assert dark["is_disturbed"] and dark["effect"] == pytest.approx(2.0, abs=0.2)
    idle = [one["effect"] for of_clip in windows[:3] for one in of_clip if one["kind"] == "dark"]
    assert len(idle) == 3 and np.abs(idle).max() < 0.1


def test_the_painted_mouths_follow_the_sound(corpus):
    """The mouth was painted from the sound, so pixels and sound agree best at lag zero."""
    curve = np.mean([row["lips_seen"] for row in rows_of(corpus)], axis=0)
    assert abs(LAGS_SECONDS[curve.argmax()]) <= 0.06 and curve.max() > 0.6


def test_a_second_check_measures_nothing_again(corpus, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a clip was measured again")

    first, _ = checked(corpus)
    monkeypatch.setattr("sample_data.corpus.checking.measure.measure_clip", refuse)
    second, _ = checked(corpus)
    assert second.numbers == first.numbers


def test_a_check_that_was_ended_goes_on(copy, monkeypatch):
    """Whatever part of the rows was written stays."""
    shutil.rmtree(copy / "check")
    monkeypatch.setattr("sample_data.corpus.checking.measure._CLIPS_PER_PART", 2)
    told = []

    def stop(done, total, text):
        told.append(done)
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_corpus(copy, copy / "check", with_classifiers=False, progress=stop)
    again = []
    check_corpus(copy, copy / "check", with_classifiers=False, progress=lambda done, *_: again.append(done))
    assert told == [0, 2, 4] and again == [4, 6, 7]
    assert not (copy / "check" / "measures").exists()


def test_other_processes_measure_the_same(corpus, tmp_path):
    alone, _ = checked(corpus)
    told = []
    together = check_corpus(
        corpus, tmp_path, with_classifiers=False, num_workers=2, progress=lambda done, *_: told.append(done)
    )
    assert together.numbers == alone.numbers
    assert told[0] == 0 and told[-1] == NUM_CLIPS


def test_another_clips_sound_is_found(copy):
    path = copy / "000" / "p00002.mp4"
    frames = media_of(path).frames.pixels
    other = media_of(copy / "000" / "p00005.mp4").waveform
    # as another sentence would: it begins later and ends earlier
    late = other.copy()
    late[: 16_000 * 9 // 10] *= 0.001
    late[16_000 * 14 // 10 :] *= 0.001
    write_media(path, list(frames), late, 10.0)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["Speech begins and ends when the sidecars say"]
    assert failed[0].culprits == ("000/p00002.mp4",)


def test_a_stream_that_was_removed_is_found(copy):
    path = copy / "000" / "p00001.mp4"
    write_media(path, list(media_of(path).frames.pixels), None, 10.0)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["Streams are there but where one is planned to be missing"]
    assert failed[0].culprits == ("000/p00001.mp4",)


def test_a_wrong_duration_is_found(copy):
    path = copy / "000" / "p00004.mp4"
    media = media_of(path)
    longer = np.concatenate([media.waveform, np.zeros(16_000, np.float32)])
    write_media(path, list(media.frames.pixels), longer, 10.0)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["Files last as long as their sidecars say"]


def test_lost_frames_are_found(copy):
    path = copy / "000" / "p00004.mp4"
    media = media_of(path)
    pixels = list(media.frames.pixels)
    write_media(path, [*pixels[:3], *pixels[4:]], media.waveform, 10.0)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["Pictures have the size and number that the sidecars say"]


def planned_anew(folder, change):
    """The corpus with other plans, written as if it had been planned so."""
    sidecars = [replace(one, plan=change(one.plan)) for one in sidecars_of(folder)]
    for sidecar in sidecars:
        sidecar.write(folder / "000" / f"{sidecar.plan.clip_id}.json")
    write_corpus(folder, sidecars)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("speaker", lambda plan: replace(plan, speaker=replace(plan.speaker, speaker_id="twice"))),
        ("face", lambda plan: replace(plan, speaker=replace(plan.speaker, identity_seed=5))),
        ("voice", lambda plan: replace(plan, speaker=replace(plan.speaker, voices=(plan.clip_id, "twice")))),
        ("sentence", lambda plan: replace(plan, transcript="Twice,  SAID!" if plan.seed else "twice said")),
    ],
)
def test_what_is_in_two_splits_is_found(copy, what, change):
    planned_anew(copy, lambda plan: change(plan) if plan.seed < 2 else plan)
    _, failed = checked(copy)
    assert [check.name for check in failed] == [f"No {what} is in two splits"]
    assert failed[0].num_culprits == 1 and "dev, train" in failed[0].culprits[0]


@pytest.mark.parametrize(
    "edit",
    [
        lambda words: words[:-1],
        lambda words: (words[1], words[0], *words[2:]),
        lambda words: (replace(words[0], end_seconds=words[0].start_seconds), *words[1:]),
        lambda words: (*words[:-1], replace(words[-1], start_seconds=words[0].start_seconds - 0.1)),
    ],
    ids=["lost", "swapped", "no time", "too early"],
)
def test_a_word_without_its_time_is_found(copy, edit):
    sidecars = sidecars_of(copy)
    sound = sidecars[3].sound
    sidecars[3] = replace(sidecars[3], sound=replace(sound, words=edit(sound.words)))
    sidecars[3].write(copy / "000" / "p00003.json")
    write_corpus(copy, sidecars)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["Every word of the transcript has a time"]
    assert failed[0].culprits == ("000/p00003.mp4",) and failed[0].num_clips == NUM_CLIPS


def test_a_label_too_often_is_found(copy):
    planned_anew(copy, lambda plan: replace(plan, label="joy", text_emotion="joy") if plan.seed < 4 else plan)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["Every label is in every cell equally often"]


def test_a_sidecar_that_was_edited_is_found(copy):
    path = copy / "000" / "p00000.json"
    content = json.loads(path.read_text())
    content["plan"]["intensity"] = 0.123
    path.write_text(json.dumps(content))
    _, failed = checked(copy)
    assert [check.name for check in failed] == [
        "The sidecar beside a clip says the same as the corpus's table"
    ]
    assert failed[0].culprits == ("000/p00000.mp4",)


def test_a_manifest_that_was_edited_is_found(copy):
    path = copy / "manifest.csv"
    rows = list(csv.DictReader(path.open()))
    rows[2]["label"] = "anger"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["The manifest tells the same clips as the table"]
    assert failed[0].culprits == ("000/p00002.mp4",)


def test_a_plan_that_was_edited_is_found(copy):
    path = copy / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"plan_sha256": "0" * 64}))
    _, failed = checked(copy)
    assert [check.name for check in failed] == ["The clips are those that corpus.json was written for"]


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_or_missing_clip_is_named_and_everything_else_goes_on(copy, damage):
    path = copy / "000" / "p00006.mp4"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        path.unlink()
    result, failed = checked(copy)
    assert [check.name for check in failed] == ["Every clip can be read"]
    assert failed[0].culprits[0].startswith("000/p00006.mp4: p00006.mp4 ")
    assert not result.is_passed and "see 000/p00006.mp4" in result.summary


def test_a_machine_without_room_to_decode_counts_against_no_clip(copy, monkeypatch):
    def no_room(path, **how):
        raise MachineError("There is no room for the process that decodes; close other programs.")

    monkeypatch.setattr("sample_data.corpus.checking.measure.open_clip", no_room)
    with pytest.raises(CorpusError, match="no room"):
        check_corpus(copy, copy / "anew", with_classifiers=False)
    monkeypatch.undo()
    assert check_corpus(copy, copy / "anew", with_classifiers=False).is_passed


def test_a_folder_without_a_corpus_is_told(tmp_path):
    with pytest.raises(CorpusError, match="holds no finished corpus"):
        check_corpus(tmp_path, tmp_path / "check")


def test_a_report_that_cannot_be_written_is_told(corpus, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CorpusError, match="cannot be written .*choose another folder with --report"):
        check_corpus(corpus, tmp_path / "file", with_classifiers=False)


def test_the_command_leaves_with_the_verdict(copy):
    run = ["corpus", "check", str(copy), "--no-classifiers"]
    passed = CliRunner().invoke(cli, run)
    assert passed.exit_code == 0 and "0 failed" in passed.stdout
    (copy / "000" / "p00000.mp4").unlink()
    failed = CliRunner().invoke(cli, run)
    assert failed.exit_code == 1 and "failed: Every clip can be read" in failed.stdout


def test_label_shares_of_a_natural_corpus(tmp_path):
    """Of 200 clips MELD's shares are 94.3, 34.9, 24.1, 22.2, 13.7, 5.4 and 5.4."""
    counts = {"neutral": 94, "joy": 35, "surprise": 24, "anger": 22, "sadness": 14, "disgust": 6, "fear": 5}
    (tmp_path / "corpus.json").write_text(json.dumps({"preset": "train"}))

    def shares(counts):
        labels = [label for label, count in counts.items() for _ in range(count)]
        # clips that cannot be read count too
        clips = [
            replace(measured({"error": "?"}, label=label, split="train"), path=tmp_path / "a.mp4")
            for label in labels
        ]
        checks = {check.name: check for check in check_files(clips, tmp_path).checks}
        return checks["Labels have the planned shares in every split"]

    assert shares(counts).is_passed
    told = shares(counts | {"neutral": 92, "fear": 7})
    assert told.is_passed is False and told.culprits[0] == "train, neutral: 92 of 200"
