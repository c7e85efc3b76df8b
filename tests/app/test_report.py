"""What a report says, against evaluations made by hand; no model is needed."""

import hashlib
import json
import math
import shlex
import time
from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from app.report import asked_about, make_report
from app.report_origin import Options, Source, digest, find_checkpoint, read_sources
from app.report_page import report_page
from app.thumbnails import Thumbnails
from core.evaluation import EvaluationError
from core.evaluation.artifact import Skipped
from sample_data import SAMPLE_DATA
from sample_data.corpus.checking.statistics import Estimate as MeanEstimate
from tests.app.conftest import write_clip
from tests.made_evaluations import LABELS, made_clips, made_evaluation, made_probabilities
from training.truth import TruthFigure
from training.truth_report import TruthReport

TRUTH = ["fear"] * 4 + ["joy"] * 6
TOLD = ["fear", "fear", "joy", "joy"] + ["joy"] * 5 + ["fear"]
"""Seven of ten are right; two of four fears, five of six joys; of anger there is no clip."""

DAY = date(2026, 2, 3)


def source_of(evaluation, folder, name="first-test", **changes) -> Source:
    return Source(name=name, folder=folder / name, evaluation=evaluation, **changes)


def made(folder, labels=TRUTH, told=TOLD, against=(), options=None, source_changes=None, **changes):
    evaluation = made_evaluation(labels, told, folder, **changes)
    source = source_of(evaluation, folder, **(source_changes or {}))
    return make_report(source, against, on=DAY, options=options or Options(has_pictures=False))


def facts_of(report) -> dict[str, str]:
    return {f"{group.title}: {fact.name}": fact.value for group in report.facts for fact in group.facts}


def test_it_says_what_was_evaluated(tmp_path):
    skipped = tuple(Skipped(key=f"s{i}", reason="It is broken.") for i in range(23))
    report = made(tmp_path, skipped=skipped)
    facts = facts_of(report)
    assert report.title == "first on clips, split test" and report.date == "2026-02-03"
    assert facts["Checkpoint: SHA-256"] == "a" * 64 and facts["Data: SHA-256"] == "d" * 64
    assert facts["Checkpoint: Preset"] == "tiny" and facts["Checkpoint: Training seed"] == "3"
    assert facts["Checkpoint: Text encoder"] == "not told"
    assert facts["Data: Protocol"] == "official" and facts["Data: Clips"] == "10"
    assert facts["Evaluation: Versions"] == "python 3.11.0"
    # five speakers are too few to be drawn
    assert facts["Evaluation: Intervals"] == "95 %, 200 resamples of 10 clips, seed 0"
    assert report.num_skipped == 23 and [one.key for one in report.skipped] == [f"s{i}" for i in range(20)]
    assert report.settings == {"model.preset": "tiny", "model.video.size": "64", "training.seed": "3"}


def test_the_digest_is_of_the_settings_and_not_of_their_order():
    text = '{"model":{"a":1,"b":[2]},"training":{}}'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert digest({"training": {}, "model": {"b": [2], "a": 1}}) == expected
    assert digest({"training": {}, "model": {"b": [3], "a": 1}}) != expected


def test_figures_and_what_saying_one_thing_would_score(tmp_path):
    report = made(tmp_path)
    assert report.scores.accuracy.value == pytest.approx(0.7)
    assert report.scores.classes["fear"].recall.value == pytest.approx(2 / 4)
    assert report.scores.confusion == ((5, 1, 0), (2, 2, 0), (0, 0, 0))
    # joy for all ten: six right, F1 of joy 12 / 16, of fear 0
    always = report.majority
    assert always.label == "joy" and always.accuracy == pytest.approx(0.6)
    assert always.weighted_f1 == pytest.approx(0.6 * 0.75) and always.macro_f1 == pytest.approx(0.375)
    assert always.uar == pytest.approx(0.5)
    assert set(report.scenarios) == {"all", "some"} and report.scenarios["all"].num_clips == 5
    # all are 0.8 sure, so in the bin up to 12 / 15
    [full] = [one for one in report.bins if one.num_clips]
    assert (full.num_clips, full.accuracy) == (10, pytest.approx(0.7))


def test_the_summary(tmp_path):
    told = made(tmp_path).summary
    assert told[0].startswith("first is right on 0.70 [") and "of 10 clips of clips (split test)" in told[0]
    assert (
        told[1].startswith("Recognised best: joy, F1 0.77") and "Recognised worst: fear, F1 0.57" in told[1]
    )
    assert told[2] == "Anger has no clip here, so nothing is known of it."


def test_fear_and_disgust_are_asked_about_or_those_of_least_recall(tmp_path):
    # fear is there, disgust is not; of the others with a clip joy has the least recall
    evaluation = made_evaluation(TRUTH, TOLD, tmp_path)
    assert asked_about(evaluation) == ("fear", "joy")
    # in a scheme without both: b is recognised in two of four, a in five of six, c has no clip
    scores = evaluation.metrics.subsets["video+audio+text"]
    renamed = replace(scores, classes=dict(zip("abc", scores.classes.values(), strict=True)))
    metrics = replace(evaluation.metrics, subsets={"video+audio+text": renamed})
    assert asked_about(replace(evaluation, metrics=metrics)) == ("b", "a")
    report = made(tmp_path)
    assert report.missed[0].sentences[0] == "Of 4 clips labelled fear the model misses 2 (50 %)."


def test_the_most_confident_mistakes_come_first(tmp_path):
    probabilities = made_probabilities(TOLD)
    # row 3 is fear told as joy with 0.9
    probabilities[3, 1:] = [0.9, 0.06, 0.04]
    clips = made_clips(TRUTH, tmp_path)
    clips[3] = replace(clips[3], transcript="word " * 100, speaker=None)
    evaluation = made_evaluation(TRUTH, TOLD, tmp_path, probabilities=probabilities, clips=clips)
    source = source_of(evaluation, tmp_path)
    options = Options(has_pictures=False, num_mistakes=2)
    report = make_report(source, on=DAY, options=options)
    assert report.num_wrong == 3 and [one.key for one in report.mistakes] == ["c3.mp4", "c2.mp4"]
    first = report.mistakes[0]
    assert (first.label, first.prediction, first.speaker) == ("fear", "joy", "")
    assert first.confidence == pytest.approx(0.9) and first.label_probability == pytest.approx(0.06)
    assert [(said.modality, said.emotion) for said in first.alone] == [
        ("video", "joy"),
        ("audio", "joy"),
        ("text", "joy"),
    ]
    assert len(first.words) == 241 and first.words.endswith("…")
    assert report.num_pictures_missing == 0  # none is wanted
    silent = make_report(source, on=DAY, options=replace(options, has_words=False))
    assert {one.words for one in silent.mistakes} == {""}


def test_pictures_of_clips_that_are_at_hand(tmp_path):
    write_clip(tmp_path / "c2.mp4", num_frames=10)
    report = made(tmp_path, options=Options())
    pictures = {one.key: one.picture for one in report.mistakes}
    assert pictures.pop("c2.mp4").startswith("data:image/jpeg;base64,") and set(pictures.values()) == {""}
    assert report.num_pictures_missing == 2


def test_a_modality_that_a_clip_lacks_says_nothing(tmp_path):
    probabilities = made_probabilities(TOLD)
    probabilities[2, 2] = np.nan  # audio alone
    mistakes = made(tmp_path, probabilities=probabilities).mistakes
    [mute] = [one for one in mistakes if one.key == "c2.mp4"]
    assert [said.emotion for said in mute.alone] == ["joy", "", "joy"]


def test_against_others_this_one_is_less_them(tmp_path):
    worse = made_evaluation(TRUTH, ["joy"] * 4 + ["fear"] * 3 + ["joy"] * 3, tmp_path, checkpoint="worse")
    same = made_evaluation(TRUTH, TOLD, tmp_path, checkpoint="same")
    others = [source_of(worse, tmp_path, "worse-test"), source_of(same, tmp_path, "same-test")]
    report = made(tmp_path, against=others)
    first, second = report.versus
    assert first.name == "worse-test" and first.sentence.startswith("first-test")
    # three of ten against seven
    assert first.comparison.headlines["accuracy"].difference.value == pytest.approx(0.4)
    test = first.comparison.accuracy_test
    assert (test.only_a_right, test.only_b_right) == (1, 5)
    # of six coins at most one falls otherwise, either way; twice that for two comparisons
    p_value = 2 * (1 + 6) / 2**6
    assert test.p_value == pytest.approx(p_value)
    assert first.adjusted_p_value == pytest.approx(2 * p_value) and second.adjusted_p_value == 1.0


def test_others_of_other_clips_are_refused(tmp_path):
    other = made_evaluation(TRUTH[:5], TOLD[:5], tmp_path, data_sha256="e" * 64)
    with pytest.raises(EvaluationError, match="evaluate both on the same clips"):
        made(tmp_path, against=[source_of(other, tmp_path, "other")])


def test_slices_and_labels_are_told_with_what_to_make_of_them(tmp_path):
    report = made(tmp_path)
    assert report.slices_sentence.startswith("No slice could be looked at: it takes at least 10")
    assert "the model itself is wrong on 3 of 10 clips" in report.label_errors
    labels, told = ["joy"] * 30 + ["fear"] * 10, ["joy"] * 30 + ["joy"] * 10
    clips = made_clips(labels, tmp_path)
    clips = [replace(clip, speaker="bad" if i >= 30 else "good") for i, clip in enumerate(clips)]
    report = made(tmp_path, labels, told, clips=clips)
    assert report.slices.slices[0].value == "bad" and report.slices.slices[0].num_wrong == 10
    # all ten errors among the ten of forty
    assert report.slices.slices[0].p_value == pytest.approx(1 / math.comb(40, 10))


@pytest.mark.parametrize(
    ("labels", "told"),
    [(["joy"], ["joy"]), (["joy"], ["fear"]), (["joy", "anger"] * 3, ["joy", "anger"] * 3)],
)
def test_one_clip_and_all_correct(tmp_path, labels, told):
    report = made(tmp_path, labels, told)
    num_wrong = sum(a != b for a, b in zip(labels, told, strict=True))
    assert report.num_wrong == len(report.mistakes) == num_wrong
    assert sum(one.num_clips for one in report.bins) == len(labels)
    assert len(report.missed) == 2


def test_no_speakers_means_single_clips(tmp_path):
    clips = [replace(clip, speaker=None) for clip in made_clips(TRUTH, tmp_path)]
    report = made(tmp_path, clips=clips)
    assert report.resampled == "clip" and report.scores.num_groups == 10


def write_truth(folder, **changes) -> TruthReport:
    """truth.json as `deepmsi bench truth` leaves it."""
    folder.mkdir(exist_ok=True)
    estimate = MeanEstimate(value=0.9, low=0.8, high=0.95, num=40, num_clusters=10)
    unknown = MeanEstimate(value=math.nan, low=math.nan, high=math.nan, num=0, num_clusters=0)
    figures = (
        TruthFigure(
            figure="frame pointing", method="occlusion", estimate=estimate, chance=0.3, gain=estimate
        ),
        TruthFigure(figure="conflict found", method="", estimate=estimate, chance=math.nan, gain=unknown),
    )
    values = {
        "checkpoint": "first",
        "checkpoint_sha256": "a" * 64,
        "plan_sha256": "b" * 64,
        "split": "test",
        "num_clips": 50,
        "figures": figures,
    }
    report = TruthReport(**(values | changes))
    (folder / "truth.json").write_text(json.dumps(asdict(report)))
    return report


def test_truth_beside_the_evaluation_of_the_same_checkpoint(tmp_path):
    assert made(tmp_path).truth is None and made(tmp_path).truth_problem == ""
    write_truth(tmp_path / "first-test")
    report = made(tmp_path)
    assert report.truth.num_clips == 50 and report.truth_problem == ""
    assert report.truth.figure("frame pointing", "occlusion").estimate.value == 0.9
    write_truth(tmp_path / "first-test", checkpoint="other", checkpoint_sha256="c" * 64)
    report = made(tmp_path)
    assert report.truth is None and "is of another checkpoint (other, cccccccccccc…)" in report.truth_problem
    (tmp_path / "first-test" / "truth.json").write_text("{")
    assert "is damaged" in made(tmp_path).truth_problem


def write_checkpoint(folder, card: str):
    folder.mkdir()
    (folder / "config.json").write_bytes(b"config")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "card.md").write_text(card)
    return hashlib.sha256(b"configweights").hexdigest()


def test_the_card_is_quoted_without_its_scores_where_it_is_the_very_checkpoint(tmp_path):
    card = (
        "# First\n\n## Data\n\nUnder CC BY 4.0.\n\n## Scores on the dev split\n\n| a |\n\n## Limits\n\nMany."
    )
    sha256 = write_checkpoint(tmp_path / "first", card)
    made_evaluation(TRUTH, TOLD, tmp_path, checkpoint_sha256=sha256).write(tmp_path / "first-test")
    [source] = read_sources([tmp_path / "first-test"])
    assert source.checkpoint == tmp_path / "first"
    report = make_report(source, on=DAY, options=Options(has_pictures=False))
    assert report.card == "## Data\n\nUnder CC BY 4.0.\n\n## Limits\n\nMany."
    assert find_checkpoint(made_evaluation(TRUTH, TOLD, tmp_path), [tmp_path / "first", tmp_path]) is None
    assert made(tmp_path).card == ""


def test_sources_of_one_name_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        made_evaluation(TRUTH, TOLD, tmp_path).write(tmp_path / folder / "test")
    found = read_sources([tmp_path / "a" / "test", tmp_path / "b" / "test"])
    assert [one.name for one in found] == ["test", "b/test"]


def test_the_commands_make_it_again_without_a_path_of_this_machine(tmp_path):
    other = source_of(made_evaluation(TRUTH, TOLD, tmp_path), tmp_path, "the other")
    recipe = {"training": {"fold": "Ses01"}}
    report = made(
        tmp_path,
        against=[other],
        options=Options(num_mistakes=0, has_words=False),
        protocol="loso",
        recipe=recipe,
    )
    evaluate, command = (shlex.split(one.line) for one in report.commands)
    assert evaluate[:3] == ["deepmsi", "evaluate", "first"]
    assert evaluate[3:] == [
        *("--data", "clips", "--split", "test", "--protocol", "loso", "--fold", "Ses01"),
        *("--bootstrap", "200", "--out", "first-test"),
    ]
    assert command == [
        *("deepmsi", "report", "first-test", "--against", "the other"),
        *("--mistakes", "0", "--no-words", "--out", "report.html"),
    ]
    assert str(tmp_path) not in repr(report)


def test_what_ships_is_named_by_its_place_in_the_project():
    [source] = read_sources([SAMPLE_DATA / "evaluations" / "full-probe"])
    report = make_report(source, on=DAY, options=Options(num_mistakes=0))
    assert [one.line for one in report.commands] == [
        "deepmsi evaluate sample_data/checkpoints/full --data sample_data/clips/probe --split test "
        "--out full-probe",
        "deepmsi report sample_data/evaluations/full-probe --mistakes 0 --out report.html",
    ]
    assert report.truth.num_clips == 560 and "## Limits" in report.card and "Scores" not in report.card


def test_progress_goes_from_nothing_to_all(tmp_path):
    steps = []
    evaluation = made_evaluation(TRUTH, TOLD, tmp_path)
    make_report(
        source_of(evaluation, tmp_path),
        on=DAY,
        thumbnails=Thumbnails(max_pictures=3),
        progress=lambda *step: steps.append(step),
    )
    assert [done for done, _, _ in steps] == [0, 1, 2, 3, 4, 5] and {total for _, total, _ in steps} == {5}
    assert steps[2][2] == "Mistake 1 of 3"


def test_twenty_thousand_clips_take_seconds(tmp_path):
    random = np.random.default_rng(0)
    labels, told = ([LABELS[i] for i in random.integers(3, size=1000)] for _ in range(2))
    part = made_evaluation(labels, told, tmp_path, num_bootstrap=5)
    table = pd.concat([part.predictions] * 20, ignore_index=True)
    evaluation = replace(
        part,
        info=replace(part.info, num_clips=len(table)),
        predictions=table.assign(key=[f"{i}.mp4" for i in range(len(table))]),
        embeddings={name: np.tile(rows, (20, 1)) for name, rows in part.embeddings.items()},
    )
    begin = time.process_time()
    page = report_page(make_report(source_of(evaluation, tmp_path), on=DAY))
    assert time.process_time() - begin < 20
    assert len(page) < 400_000 and "20,000" in page
