import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from made_evaluations import LABELS, made_clips, made_evaluation, made_probabilities
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as torch_save_file

from core.evaluation import EvaluationError, read_evaluation
from core.evaluation.artifact import portable_path
from core.prediction import SUBSETS
from sample_data import DEMO

TRUTH = ["joy", "joy", "fear", "anger", "fear"]
TOLD = ["joy", "fear", "fear", "anger", "anger"]
ALL = "probabilities:video+audio+text"


@pytest.fixture
def evaluation(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    clips = made_clips(TRUTH, folder)
    probabilities = made_probabilities(TOLD)
    # the last clip has no sound; the third has no frames kept and no speaker
    probabilities[4, SUBSETS.index(("audio",))] = np.nan
    lacking = {"speaker": None, "kept_frame_seconds": None, "face": None}
    clips[2] = made_clips(TRUTH, folder, **lacking, extra={"scenario": "some"})[2]
    return made_evaluation(TRUTH, TOLD, folder, probabilities=probabilities, clips=clips)


@pytest.fixture
def folder(evaluation, tmp_path):
    return evaluation.write(tmp_path / "runs" / "evaluation")


def test_round_trip(evaluation, folder):
    back = read_evaluation(folder)
    assert back.info == evaluation.info
    assert back.metrics == evaluation.metrics
    pd.testing.assert_frame_equal(back.predictions, evaluation.predictions)
    for name, values in evaluation.embeddings.items():
        np.testing.assert_array_equal(back.embeddings[name], values)
    assert back.media_folder == evaluation.media_folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "embeddings.safetensors",
        "evaluation.json",
        "metrics.json",
        "predictions.parquet",
    ]
    # nothing of the machine it was made on
    assert str(evaluation.media_folder) not in (folder / "evaluation.json").read_text()


def test_arrays_for_readers(folder):
    back = read_evaluation(folder)
    assert back.labels == LABELS
    assert back.truth.tolist() == [0, 0, 1, 2, 1]
    np.testing.assert_allclose(back.probabilities()[1], [0.1, 0.8, 0.1])
    alone = back.probabilities(("audio",))
    assert np.isnan(alone[4]).all() and not np.isnan(alone[:4]).any()
    assert back.predictions["probabilities:audio"][4] is None
    assert back.shapley.shape == (5, 3)
    # the data set's own column "conflict" does not get in the way of ours
    assert back.extra["conflict"].tolist()[:2] == ["True", "True"] and pd.isna(back.extra["conflict"][2])
    assert back.predictions["is_conflict"].tolist() == [False] * 5
    assert back.predictions["kept_frame_seconds"][0].tolist() == [0.5, 1.25]
    assert back.predictions["num_kept_frames"].tolist() == [2, 2, 0, 2, 2]


def test_media_is_found_again(evaluation, folder, tmp_path):
    (tmp_path / "clips" / "c0.mp4").write_bytes(b"film")
    back = read_evaluation(folder)
    assert back.predictions["path"][0] == "c0.mp4"
    assert back.find_media("c0.mp4") == tmp_path / "clips" / "c0.mp4"
    assert back.find_media("c1.mp4") is None
    # moved together, they still find each other
    shutil.copytree(tmp_path / "clips", tmp_path / "moved" / "clips")
    shutil.copytree(folder, tmp_path / "moved" / "runs" / "evaluation")
    moved = read_evaluation(tmp_path / "moved" / "runs" / "evaluation")
    assert moved.find_media("c0.mp4") == tmp_path / "moved" / "clips" / "c0.mp4"
    # parted, a folder must be named
    away = read_evaluation(shutil.copytree(folder, tmp_path / "away"))
    assert away.find_media("c0.mp4") is None
    assert away.find_media("c0.mp4", roots=[tmp_path / "clips"]) == tmp_path / "clips" / "c0.mp4"


def test_no_file_outside_the_folders_of_clips_is_named(evaluation, folder, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"film")
    back = read_evaluation(folder)
    for path in ("../secret.mp4", str(secret), "sample_data/clips/../../pyproject.toml/../README.md"):
        assert back.find_media(path) is None
    # no path, one that is too long, and links in a circle
    (tmp_path / "clips" / "circle.mp4").symlink_to("circle.mp4")
    for path in ("a\0b.mp4", f"{'x' * 5000}.mp4", "sample_data/clips/a\0b", "circle.mp4"):
        assert back.find_media(path) is None
    copy = shutil.copytree(folder, tmp_path / "copy")
    values = json.loads((copy / "evaluation.json").read_text())
    for root in ("/", "a\0b"):
        (copy / "evaluation.json").write_text(json.dumps({**values, "media_folder": root}))
        with pytest.raises(EvaluationError, match="media_folder should be a relative path"):
            read_evaluation(copy)


def test_a_small_table_that_holds_very_many_rows_is_not_read(folder):
    path = folder / "predictions.parquet"
    row = pq.read_table(path).slice(0, 1).take([0] * 50_000)
    with pq.ParquetWriter(path, row.schema) as writer:
        for _ in range(25):
            writer.write_table(row)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(EvaluationError, match="cannot be read: it holds .* more than the allowed"):
        read_evaluation(folder)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(folder, number):
    path = folder / "evaluation.json"
    text = path.read_text()
    assert text.count('"uncertainty_threshold": 0.4') == 1
    path.write_text(text.replace('"uncertainty_threshold": 0.4', f'"uncertainty_threshold": {number}'))
    with pytest.raises(EvaluationError, match=f"evaluation.json is no readable JSON: {number} is no number"):
        read_evaluation(folder)


def test_shipped_clips_are_found_wherever_the_evaluation_lies(tmp_path):
    clip = sorted(DEMO.glob("*/*.mp4"))[0]
    path = portable_path(clip, DEMO)
    assert path == f"sample_data/clips/demo/{clip.parent.name}/{clip.name}"
    clips = made_clips(["joy"], DEMO)
    clips = [type(clips[0])(key="k", path=clip, label="joy")]
    evaluation = made_evaluation(["joy"], ["joy"], DEMO, clips=clips)
    assert evaluation.media_folder is None
    back = read_evaluation(evaluation.write(tmp_path / "deep" / "down"))
    assert back.find_media(back.predictions["path"][0]) == clip


def test_words_without_a_file_have_no_path(tmp_path):
    clip = made_clips(["joy"], tmp_path)[0]
    clips = [type(clip)(key="dia0_utt0", path=None, label="joy", transcript="hello", region="left")]
    back = read_evaluation(made_evaluation(["joy"], ["joy"], tmp_path, clips=clips).write(tmp_path / "out"))
    row = back.predictions.iloc[0]
    assert back.media_folder is None and back.find_media(row["path"]) is None
    assert row["region"] == "left" and row["num_kept_frames"] == 0


def test_an_evaluation_replaces_an_evaluation_and_nothing_else(evaluation, folder, tmp_path):
    evaluation.write(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(EvaluationError, match=r"holds other things \(notes.txt\)"):
        evaluation.write(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(EvaluationError, match="is no evaluation"):
        (tmp_path / "file").write_text("x")
        evaluation.write(tmp_path / "file")
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


def test_a_report_of_true_explanations_stays_beside_an_evaluation_that_is_made_anew(
    evaluation, folder, tmp_path
):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for place in (folder, fresh):
        (place / "truth.json").write_text("measured")
        (place / "measures.parquet").write_bytes(b"rows")
        later = replace(evaluation, info=replace(evaluation.info, checkpoint="later"))
        assert read_evaluation(later.write(place)).info.checkpoint == "later"
        assert (place / "truth.json").read_text() == "measured"
        assert (place / "measures.parquet").read_bytes() == b"rows"


def test_evaluations_of_earlier_versions_know_no_faces_and_no_fold(evaluation, folder, tmp_path):
    assert evaluation.predictions["face"].fillna("").tolist() == ["one", "one", "", "one", "one"]
    table = pd.read_parquet(folder / "predictions.parquet").drop(columns="face")
    table.to_parquet(folder / "predictions.parquet")
    values = json.loads((folder / "evaluation.json").read_text())
    assert values.pop("fold") == ""
    (folder / "evaluation.json").write_text(json.dumps(values))
    back = read_evaluation(folder)
    assert back.info == evaluation.info and "face" not in back.predictions
    # and can be written again
    again = read_evaluation(back.write(tmp_path / "again"))
    pd.testing.assert_frame_equal(again.predictions, back.predictions)


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_rows(folder, edit):
    table = pd.read_parquet(folder / "predictions.parquet")
    edit(table).to_parquet(folder / "predictions.parquet")


def change_vectors(folder, edit):
    path = folder / "embeddings.safetensors"
    save_file({name: np.ascontiguousarray(edit(rows)) for name, rows in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: (f / "metrics.json").unlink(), "is no evaluation: it has no metrics.json"),
        (lambda f: (f / "evaluation.json").write_text("{"), "evaluation.json is no readable JSON"),
        # holes, which take no room on the disk
        (lambda f: os.truncate(f / "evaluation.json", 2**40), "evaluation.json has 1,099,511,627,776 bytes"),
        (lambda f: os.truncate(f / "metrics.json", 2**40), "metrics.json has 1,099,511,627,776 bytes, more"),
        (lambda f: (f / "metrics.json").write_text("[" * 100_000), "metrics.json is no readable JSON"),
        (lambda f: change(f / "evaluation.json", format=9), "has format 9, this version reads 1"),
        (lambda f: change(f / "evaluation.json", colour="red"), "evaluation has unknown keys: colour"),
        (lambda f: change(f / "evaluation.json", temperature=10**400), "should be a number of usual size"),
        (
            lambda f: (f / "evaluation.json").write_text('{"format": 1, "labels": ["joy"]}'),
            "this version reads: evaluation lacks checkpoint, .*, num_bootstrap",
        ),
        (lambda f: change(f / "evaluation.json", seed="three"), "evaluation.seed should be int"),
        (
            lambda f: change(f / "evaluation.json", num_clips=4),
            "says 4 clips, predictions.parquet has 5 rows",
        ),
        (
            lambda f: change(f / "evaluation.json", labels=["fear", "joy", "anger"]),
            "c0.mp4 is predicted joy, but fear is the most probable",
        ),
        (
            lambda f: change(f / "evaluation.json", labels=["joy", "fear"]),
            "has the label anger, which is not among joy, fear",
        ),
        (lambda f: (f / "predictions.parquet").write_bytes(b"no table"), "cannot be read"),
        (lambda f: (f / "embeddings.safetensors").write_bytes(b"none"), "cannot be read"),
        (
            lambda f: torch_save_file({"audio": torch.zeros(2).bfloat16()}, f / "embeddings.safetensors"),
            "cannot be read: it holds numbers of the kind BF16",
        ),
        (lambda f: change_rows(f, lambda t: t.drop(columns="verdict")), "it has no verdict"),
        (lambda f: change_rows(f, lambda t: t.assign(mood=1)), "it has the unknown mood"),
        (lambda f: change_rows(f, lambda t: t.assign(key="c0.mp4")), "has c0.mp4 twice"),
        (
            lambda f: change_rows(f, lambda t: t.assign(start_seconds="soon")),
            "predictions.parquet: .*'soon'",
        ),
        (lambda f: change_rows(f, lambda t: t.assign(probabilities="abc")), "predictions.parquet: "),
        (
            lambda f: change_rows(f, lambda t: t.assign(**{ALL: [np.array([1.0, 0, 0])] * 5})),
            r"has other probabilities than those of video\+audio\+text",
        ),
        (
            lambda f: change_rows(f, lambda t: t.assign(**{ALL: None})),
            r"has other probabilities than those of video\+audio\+text, or none",
        ),
        (lambda f: change_vectors(f, lambda v: v[:3]), "has 3 rows of .*, predictions.parquet has 5"),
        (lambda f: change_vectors(f, lambda v: v[:, 0]), "no vectors of .*, but float32 of 1 dimensions"),
        (lambda f: change_vectors(f, lambda v: v[:, :, None]), "no vectors of .* of 3 dimensions"),
    ],
)
def test_what_is_damaged_is_told_in_one_sentence(folder, damage, reason):
    damage(folder)
    with pytest.raises(EvaluationError, match=reason) as told:
        read_evaluation(folder)
    assert "\n" not in str(told.value) and str(folder) in str(told.value)


def test_classes_in_another_order_in_the_figures_are_refused(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    scores = metrics["subsets"]["video"]
    scores["classes"] = dict(reversed(scores["classes"].items()))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(EvaluationError, match="has the classes anger, fear, joy"):
        read_evaluation(folder)
