"""`deepmsi data …` from the outside."""

import csv
import json

import pytest
from typer.testing import CliRunner

from app.cli import cli

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
)


@pytest.fixture
def run():
    def run(*arguments):
        return CliRunner().invoke(cli, ["data", *map(str, arguments)])

    return run


@pytest.fixture
def meld(tmp_path):
    """Annotations of three splits, and clips of train alone, of which one is missing and one too many."""
    rows = {
        "train": '1,Hey!,Ross,joy,positive,0,0,1,1,"00:00:01,000","00:00:03,000"\n'
        '2,No.,Joey,fear,negative,0,1,1,1,"00:00:03,000","00:00:04,000"\n',
        "dev": '1,What?,Ross,anger,negative,0,0,1,2,"00:00:01,000","00:00:02,000"\n',
        "test": '1,hey!,Mark,joy,positive,0,0,1,1,"00:00:09,000","00:00:10,000"\n',
    }
    for split, text in rows.items():
        (tmp_path / f"{split}_sent_emo.csv").write_text(HEADER + text)
    clips = tmp_path / "train_splits"
    clips.mkdir()
    (clips / "dia0_utt0.mp4").write_bytes(b"a clip")
    (clips / "dia7_utt7.mp4").write_bytes(b"a clip")
    return tmp_path


@pytest.mark.parametrize("command", ["check", "convert"])
def test_every_command_has_help_with_an_example(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0 and f"Example: deepmsi data {command}" in result.output


def test_check_prints_counts_lengths_leakage_and_what_was_left_out(run, meld):
    result = run("check", meld)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "meld, labels of meld-7" in lines
    assert "utterances 1 1 1 3" in lines and "with a file 1 0 0 1" in lines and "joy 1 0 1 2" in lines
    assert "left out 1 0 0 1" in lines
    assert "test with train texts 1 of 1 1 of 1 100.0" in lines
    assert "test with train speakers 0 of 1 0 of 1 0.0" in lines
    assert "Left out: 2" in lines and "--skipped FILE.csv writes them all" in lines


def test_check_writes_the_skipped_clips_and_json(run, meld):
    table = meld / "skipped.csv"
    result = run("check", meld, "--json", "--skipped", table, "--name", "meld")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert [part["split"] for part in report["splits"]] == ["train", "dev", "test"]
    assert report["splits"][0]["labels"]["joy"] == 1 and report["num_skipped"] == 2
    with table.open(newline="") as file:
        assert [row["key"] for row in csv.DictReader(file)] == [
            "train/dia0_utt1",
            "train_splits/dia7_utt7.mp4",
        ]


def test_check_opens_files_where_asked(run, meld):
    report = json.loads(run("check", meld, "--json", "--open").stdout)
    assert report["num_skipped"] == 3 and "no video or sound" in report["skipped"][-1]["reason"]


def test_check_counts_a_fold_of_a_protocol(run, tmp_path):
    lines = [f"{i}.mp4,joy,{i % 5},dialogue {i % 7}" for i in range(20)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label,speaker,dialogue", *lines]))
    for i in range(20):
        (tmp_path / f"{i}.mp4").write_bytes(b"a clip")
    result = run("check", tmp_path, "--protocol", "grouped-kfold", "--json")
    report = json.loads(result.stdout)
    shared = {(s["kind"], s["earlier"], s["later"]): s["share"] for s in report["leakage"]}
    assert shared["speakers", "train", "test"] == 0 and shared["dialogues", "train", "test"] > 0
    assert "grouped-kfold, seed 0, fold01 of 5" in report["notes"][0]
    flattering = run("check", tmp_path, "--protocol", "paper-10fold", "--json")
    assert "flatters" in json.loads(flattering.stdout)["notes"][-1]
    refused = run("check", tmp_path, "--protocol", "loso")
    assert refused.exit_code == 1 and "needs the session" in " ".join(refused.output.split())


def test_what_a_fold_leaves_out_is_not_counted_for_the_own_split(run, meld):
    rows = [f'{i},Hm {i}.,Ross,joy,positive,{i},0,1,1,"00:00:01,000","00:00:03,000"\n' for i in range(12)]
    (meld / "test_sent_emo.csv").write_text(HEADER + "".join(rows))
    report = json.loads(run("check", meld, "--protocol", "paper-10fold", "--json").stdout)
    # one clip of train is missing: of the fold, it is neither to learn from nor to test on
    assert sum(part["num_rows"] for part in report["splits"] if part["split"] != "dev") == 14
    assert {part["split"]: part["num_left_out"] for part in report["splits"]} == dict.fromkeys(
        ("train", "dev", "test"), 0
    )
    assert {clip["split"] for clip in report["skipped"]} == {None}
    official = json.loads(run("check", meld, "--protocol", "official", "--json").stdout)
    assert [part["num_left_out"] for part in official["splits"]] == [1, 0, 0]


def test_single_pictures_are_not_parted_by_a_protocol(run, tmp_path):
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n0,{' '.join(['7'] * 48 * 48)},Training\n")
    assert run("check", tmp_path).exit_code == 0
    refused = run("check", tmp_path, "--protocol", "official")
    assert refused.exit_code == 1
    assert "single pictures, which have neither speakers nor dialogues" in " ".join(refused.output.split())


def test_a_manifest_may_be_trusted_with_clips_outside(run, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a clip")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "manifest.csv").write_text("path,label\n../a.mp4,joy\n")
    refused = run("check", tmp_path / "inside")
    assert refused.exit_code == 1 and "give --allow-outside" in " ".join(refused.output.split())
    report = json.loads(run("check", tmp_path / "inside", "--allow-outside", "--json").stdout)
    assert report["splits"][0]["num_with_media"] == 1


@pytest.mark.parametrize(
    "arguments",
    [["--name", "friends"], ["--set", "songs"], ["--set", "songs=true"], ["--protocol", "random"]],
)
def test_bad_usage_is_code_2(run, meld, arguments):
    assert run("check", meld, *arguments).exit_code == 2


def test_options_of_a_data_set(run, tmp_path):
    for name in ("03-01-02-01-01-01-01.wav", "03-02-03-01-01-01-01.wav", "03-01-03-01-01-01-01.wav"):
        (tmp_path / name).write_bytes(b"a clip")
    options = ("--set", "songs=true", "--set", "calm=skip")
    report = json.loads(run("check", tmp_path, "--json", *options).stdout)
    assert sum(part["num_rows"] for part in report["splits"]) == 2
    refused = run("check", tmp_path, "--set", "songs=maybe")
    assert refused.exit_code == 2 and "songs should be true or false" in " ".join(refused.output.split())


def test_a_folder_of_other_things_is_one_sentence(run, tmp_path):
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert "is no known data set" in result.output and result.output.count("Error") == 1


def test_convert_refuses_what_a_pickle_may_not_hold(run, tmp_path):
    folder = tmp_path / "MELD"
    for part in ("train", "valid", "test"):
        for modality in ("video", "audio", "text"):
            (folder / part / modality).mkdir(parents=True)
            (folder / part / modality / "dia0_utt0.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        row = '1,Hey!,Ross,joy,positive,0,0,1,1,"00:00:01,000","00:00:03,000"\n'
        (folder / f"{part}.csv").write_text(HEADER + row)
    result = run("convert", folder, "--out", tmp_path / "out")
    assert result.exit_code == 1 and "asks for os.system" in " ".join(result.output.split())
