"""`deepmsi evaluate` and `deepmsi compare` from the outside."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_evaluations import made_evaluation
from typer.testing import CliRunner

from app.cli import cli
from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.evaluation import read_evaluation
from core.int8 import INT8_SENTENCE
from core.media import open_clip
from core.model import DeepMSI
from core.predict import Predictor

TRUTH = ["joy", "fear", "anger", "joy"] * 6
TOLD = ["joy", "joy", "anger", "joy"] * 6


def run(*arguments: object):
    # wide, so that no table wraps
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    model = DeepMSI(PRESETS["tiny"], "random")
    return save_checkpoint(folder, model, info=CheckpointInfo(temperature=1.4))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three voices with words, and a row whose file is missing."""
    import av

    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for i, label in enumerate(("joy", "fear", "anger")):
        with av.open(str(folder / f"{i}.wav"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
            wave = (9_000 * np.sin((300 + 200 * i) * 2 * np.pi * np.arange(12_000) / 16_000)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        rows.append((f"{i}.wav", label, f"words number {i}", "test", "all"))
    rows += [("gone.wav", "joy", "", "test", "all"), ("0.wav", "joy", "", "train", "all")]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "transcript", "split", "scenario"])
        # the same file in two splits needs keys of their own
        writer.writerows([*rows[:4], ("./0.wav", *rows[4][1:])])
    return folder


def evaluate(checkpoint, clips, out, *more):
    return run(
        *("evaluate", checkpoint, "--data", clips, "--out", out, "--bootstrap", 100),
        *("--cache-dir", clips / "cache", *more),
    )


def test_an_evaluation_is_made_and_says_what_the_predictor_says(checkpoint, clips, tmp_path):
    result = evaluate(checkpoint, clips, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "skipped gone.wav" in result.stderr and result.stdout.strip().endswith(str(tmp_path / "out"))
    made = read_evaluation(tmp_path / "out")
    assert made.predictions["key"].tolist() == ["0.wav", "1.wav", "2.wav"]
    assert [skipped.key for skipped in made.info.skipped] == ["gone.wav"]
    predictor = Predictor(load_checkpoint(checkpoint))
    for row in made.predictions.itertuples():
        answer = predictor.predict_clip(open_clip(clips / row.path, transcript=row.transcript))
        np.testing.assert_allclose(row.probabilities, answer.probabilities, atol=1e-5)
        assert row.prediction == answer.prediction and row.verdict == answer.modalities.verdict


def test_a_class_is_never_told_without_interval_and_clips(checkpoint, clips, tmp_path):
    result = evaluate(checkpoint, clips, tmp_path / "out")
    [line] = [line for line in result.stdout.splitlines() if line.strip().startswith("fear")]
    scores = read_evaluation(tmp_path / "out").metrics.subsets["video+audio+text"].classes["fear"]
    assert line.split()[1] == "1" and f"{scores.recall:.2f}" in line and f"{scores.f1:.2f}" in line
    assert "95 % intervals of 100 resamples of 3 clips" in result.stdout
    assert "video" in result.stdout and "Each scenario" not in result.stdout  # there is only one


def test_words_can_be_left_out_of_what_is_kept(checkpoint, clips, tmp_path):
    for name, more in (("with", ()), ("without", ("--without-words",))):
        assert evaluate(checkpoint, clips, tmp_path / name, *more).exit_code == 0
    kept, left_out = (read_evaluation(tmp_path / name) for name in ("with", "without"))
    assert kept.predictions["transcript"].tolist() == [f"words number {i}" for i in range(3)]
    assert left_out.predictions["transcript"].isna().all()
    assert not any(b"words number" in path.read_bytes() for path in (tmp_path / "without").iterdir())
    # they were read all the same
    np.testing.assert_array_equal(kept.probabilities(), left_out.probabilities())


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_8_bits_are_told_and_mixed_with_nothing(checkpoint, clips, tmp_path, monkeypatch):
    plain = evaluate(checkpoint, clips, tmp_path / "plain")
    # no GPU does them, so none is asked
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    rounded = evaluate(checkpoint, clips, tmp_path / "rounded", "--int8")
    assert plain.exit_code == rounded.exit_code == 0, rounded.output
    first, second = (read_evaluation(tmp_path / name) for name in ("plain", "rounded"))
    assert first.info.caveats == () and second.info.caveats == (INT8_SENTENCE,)
    # sound of full precision was in the cache
    sound = [one.probabilities(("audio",)) for one in (first, second)]
    assert 0 < np.abs(sound[0] - sound[1]).max() < 0.05


def test_json_is_the_metrics(checkpoint, clips, tmp_path):
    result = evaluate(checkpoint, clips, tmp_path / "out", "--json")
    values = json.loads(result.stdout)
    assert values["num_clips"] == 3
    assert values["subsets"] == json.loads((tmp_path / "out" / "metrics.json").read_text())["subsets"]


def test_what_cannot_be_evaluated_is_one_sentence(checkpoint, clips, tmp_path):
    for more, reason in (
        (("--split", "dev"), "no clip is of the split dev: it has test, train"),
        (("--data", clips / "none.csv"), "does not exist"),
    ):
        result = evaluate(checkpoint, clips, tmp_path / "out", *more)
        assert result.exit_code == 1 and reason in result.stderr
        assert len(result.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()
    (tmp_path / "thesis.txt").write_text("years of work")
    result = evaluate(tmp_path / "no-checkpoint", clips, tmp_path)
    assert result.exit_code == 1 and "thesis.txt" in result.stderr  # told before the checkpoint is read


@pytest.fixture
def pair(tmp_path):
    a = made_evaluation(TRUTH, TOLD, tmp_path)
    b = made_evaluation(
        TRUTH, TRUTH, tmp_path, checkpoint="second", recipe={"model": {"preset": "mini"}, "training": {}}
    )
    return a.write(tmp_path / "a"), b.write(tmp_path / "b")


def test_a_comparison_is_told(pair):
    result = run("compare", *pair)
    assert result.exit_code == 0, result.output
    assert "A is first, B is second: 24 clips of clips, split test" in result.stdout
    assert "95 % intervals of 1,000 resamples of 12 speakers" in result.stdout
    assert "Only A is right on 0 clips, only B on 6; were they equally good, p = 0.031" in result.stdout
    f1, flips = [line for line in result.stdout.splitlines() if line.strip().startswith("fear")]
    # F1 from 0 to 1 of six clips; six fair coins fall alike with p = 1/32, three times for three emotions
    assert f1.split()[1] == "6" and "0.00 [0.00–" in f1 and "+1.00 [+1.00, +1.00] *" in f1
    assert flips.split() == ["fear", "6", "0", "6", "0.094"]
    assert "Became right: 6 clips" in result.stdout and "Became wrong" not in result.stdout
    assert "model.preset" in result.stdout and "mini" in result.stdout


def test_a_comparison_tells_what_flatters(pair):
    other = read_evaluation(pair[1])
    replace(other, info=replace(other.info, caveats=("The split leaks.",))).write(pair[1])
    assert run("compare", *pair).stdout.splitlines()[-1] == "B: The split leaks."
    assert json.loads(run("compare", *pair, "--json").stdout)["caveats"] == ["B: The split leaks."]


def test_a_comparison_as_json(pair):
    values = json.loads(run("compare", *pair, "--json").stdout)
    assert values["headlines"]["accuracy"]["difference"]["value"] == pytest.approx(0.25)
    assert [flip["key"] for flip in values["became_right"]] == [f"c{i}.mp4" for i in range(1, 24, 4)]


def test_modalities_of_one_evaluation_are_compared(pair):
    result = run("compare", pair[0], pair[0], "--only-a", "text+audio")
    assert "A is first (audio+text), B is first" in result.stdout
    assert run("compare", *pair, "--only-b", "smell").exit_code == 2


def test_unlike_evaluations_are_refused_in_one_sentence(pair, tmp_path):
    other = read_evaluation(pair[1])
    other = replace(other, info=replace(other.info, split="dev")).write(tmp_path / "c")
    result = run("compare", pair[0], other)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert "on the split test, the other on dev" in result.stderr
    assert "is no evaluation" in run("compare", pair[0], tmp_path / "nothing").stderr
