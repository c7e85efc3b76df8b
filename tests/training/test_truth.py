"""The truth benchmark against planted answers: an oracle is always right, its opposite never."""

import json
from dataclasses import replace

import numpy as np
import pytest

import training.truth as truth
from core.attribution.results import Attribution, Target
from core.attribution.subject import Subject
from core.attribution.variants import Variant
from core.checkpoint import load_checkpoint
from core.evaluation.artifact import TRUTH_UNFINISHED
from core.media import MediaError, open_clip, reader
from core.predict import Predictor
from core.shipped import default_checkpoint
from sample_data import DEMO
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.make import read_corpus
from training.truth import FIGURES, Measure, measure_clip, planted, summarise
from training.truth_report import bench_truth, read_truth

METHODS = (("frame", "oracle"), ("window", "oracle"), ("word", "oracle"))
CORPUS = DEMO


@pytest.fixture(scope="module")
def predictor():
    return Predictor(load_checkpoint(default_checkpoint()))


@pytest.fixture(scope="module")
def clips():
    return {path.stem: (path, sidecar) for path, sidecar in read_corpus(CORPUS)}


@pytest.fixture(scope="module")
def told(predictor, clips):
    """A clip whose face, voice (in a known part) and words carry the label, answered rightly."""
    for path, sidecar in clips.values():
        plan = sidecar.plan
        if len(plan.informative) == 3 and plan.voice_window is not None and not plan.distractors:
            prepared = predictor.prepare(open_clip(path)).with_transcript(sidecar.transcript)
            prediction = predictor.predict(prepared)
            if prediction.prediction == plan.label:
                return path, sidecar, prediction
    pytest.fail("no such clip ships")


def spans(sidecar):
    sound, face = sidecar.sound, sidecar.face
    return {
        "frame": (face.apex_start_seconds, face.apex_end_seconds),
        "window": (sound.emotional_start_seconds, sound.emotional_end_seconds),
    }


def oracle(sidecar, sign=1.0):
    """In place of `attribute`: one on what is planted, by a formula of its own, zero elsewhere."""
    own = len(sidecar.transcript.split())

    def attribute(subject, element, method, target, **settings):
        assert target.label == sidecar.plan.label
        if element == "word":
            texts = [word.text for word in subject.words]
            is_first = texts[:own] == sidecar.transcript.split()
            places = np.arange(len(texts))
            values = (places < own if is_first else places >= len(texts) - own).astype(float)
            starts = ends = np.full(len(texts), np.nan)
        else:
            is_frame = element == "frame"
            starts = subject.frame_times if is_frame else subject.window_starts
            ends = subject.frame_times if is_frame else subject.window_ends
            first, last = spans(sidecar)[element]
            values = np.array(
                [first <= (a + b) / 2 <= last for a, b in zip(starts, ends, strict=True)], float
            )
        # of equals the first is the greatest: nothing else may be as great as what is meant
        values = values if sign > 0 else 1 - values
        return Attribution(
            element=element,
            method=method,
            target=target,
            values=values,
            start_seconds=starts,
            end_seconds=ends,
            value=1.0,
            baseline_value=0.0,
            gap=0.0,
            num_passes=1,
            seconds=0.0,
        )

    return attribute


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, 0.0)])
def test_an_oracle_points_right_and_its_opposite_never(predictor, told, monkeypatch, sign, expected):
    path, sidecar, _ = told
    monkeypatch.setattr(truth, "attribute", oracle(sidecar, sign))
    found = {m.figure: m for m in measure_clip(predictor, path, sidecar, METHODS) if m.method}
    assert {f"{name} {kind}" for name in ("frame", "sound") for kind in ("pointing", "mass")} <= set(found)
    assert all(m.value == pytest.approx(expected) and 0 < m.chance < 1 for m in found.values())


def test_kept_frames_are_held_against_the_apex(predictor, told):
    path, sidecar, prediction = told
    found = {m.figure: m for m in measure_clip(predictor, path, sidecar, ())}
    first, last = spans(sidecar)["frame"]
    times, kept = prediction.frames.times_seconds, set(prediction.frames.kept.tolist())
    apex = {i for i, time in enumerate(times) if first <= time <= last}
    assert found["kept frames in the apex"].value == pytest.approx(len(kept & apex) / len(kept))
    assert found["kept frames in the apex"].chance == pytest.approx(len(apex) / len(times))
    assert found["apex frames kept"].value == pytest.approx(len(kept & apex) / len(apex))


def test_kept_patches_are_held_against_the_face(predictor, told):
    path, sidecar, prediction = told
    found = {m.figure: m for m in measure_clip(predictor, path, sidecar, ())}
    step = prediction.patch_steps[-1]
    inside, everywhere = [], []
    for tokens, candidate in zip(step.kept, prediction.frames.kept, strict=True):
        frame = min(
            round(prediction.frames.times_seconds[candidate] * sidecar.frames_per_second),
            sidecar.num_frames - 1,
        )
        boxes = sidecar.face.eyes_box[frame], sidecar.face.mouth_box[frame]
        x0, y0, x1, y1 = prediction.crop_boxes[candidate]
        for patch in range(step.grid[0] * step.grid[1]):
            row, column = divmod(patch, step.grid[1])
            x = (x0 + (column + 0.5) * (x1 - x0) / step.grid[1]) / prediction.frame_size[0]
            y = (y0 + (row + 0.5) * (y1 - y0) / step.grid[0]) / prediction.frame_size[1]
            is_in = any(a <= x <= c and b <= y <= d for a, b, c, d in boxes)
            everywhere.append(is_in)
            if patch in tokens:
                inside.append(is_in)
    measure = found["kept patches on eyes or mouth"]
    assert measure.value == pytest.approx(np.mean(inside))
    assert measure.chance == pytest.approx(np.mean(everywhere))


def by_hand(predictor, path, sidecar, target, places):
    """Mean value while kept frames are left out in an order of places among them, eight steps at most."""
    subject = Subject(predictor, predictor.prepare(open_clip(path)).with_transcript(sidecar.transcript))
    kept = subject.choice.frames.kept[0].tolist()
    ends = np.round(np.linspace(0, len(kept), 1 + min(8, len(kept)))).astype(int)
    left_out = [[kept[place] for place in places[:end]] for end in ends]
    candidates = np.arange(len(subject.frame_times))
    answers = subject.ask([Variant(frames=~np.isin(candidates, gone)) for gone in left_out])
    return np.trapezoid(target.of(answers, subject.labels), ends / len(kept))


def test_deletion_and_insertion_are_held_against_random_orders(predictor, told, monkeypatch):
    path, sidecar, prediction = told
    monkeypatch.setattr(truth, "attribute", oracle(sidecar))
    measures = measure_clip(predictor, path, sidecar, METHODS[:1], with_tests=True)
    found = {m.figure: m for m in measures if m.method}
    assert set(found) == {f"frame {what}" for what in ("pointing", "mass", *truth.TESTS)} <= set(FIGURES)
    first, last = spans(sidecar)["frame"]
    is_apex = [first <= prediction.frames.times_seconds[i] <= last for i in prediction.frames.kept]
    # of equals the earlier frame first; insertion is watched backwards
    order = [i for i, yes in enumerate(is_apex) if yes] + [i for i, yes in enumerate(is_apex) if not yes]
    target = Target(label=sidecar.plan.label)
    for figure, places in (("frame deletion", order), ("frame insertion", order[::-1])):
        expected = by_hand(predictor, path, sidecar, target, places)
        assert found[figure].value == pytest.approx(expected, abs=1e-5)
    assert found["frame deletion"].chance == found["frame insertion"].chance
    rng = np.random.default_rng(1)
    others = [by_hand(predictor, path, sidecar, target, rng.permutation(len(order))) for _ in range(6)]
    assert found["frame deletion"].chance == pytest.approx(np.mean(others), abs=3 * np.std(others) + 1e-3)


@pytest.mark.parametrize(("turns", "expected"), [(False, 1.0), (True, 0.0)])
def test_what_a_network_without_memory_explains_alike_is_counted(
    predictor, told, monkeypatch, turns, expected
):
    path, sidecar, _ = told
    real, seen = oracle(sidecar), []

    def attribute(subject, element, method, target, **settings):
        seen.append(subject)
        found = real(subject, element, method, target)
        ranks = np.linspace(0.1, 0.2, len(found.values))
        is_other = subject is not seen[0]
        assert len(seen) <= 2
        return replace(found, values=ranks[::-1] if turns and is_other else ranks)

    monkeypatch.setattr(truth, "attribute", attribute)
    measures = measure_clip(predictor, path, sidecar, METHODS[:1], with_tests=True)
    [randomised] = [m for m in measures if m.figure == "frame randomised"]
    assert randomised.value == expected and np.isnan(randomised.chance)
    # the other network is another one in every layer of the encoder
    with seen[0].model() as own, seen[1].model() as other:
        weights = zip(own.video.swin.layers.parameters(), other.video.swin.layers.parameters(), strict=True)
        assert not any(a.equal(b) for a, b in weights if a.std(correction=0) > 0)


def test_uniform_keeping_is_what_kept_frames_are_held_against(predictor, told):
    path, sidecar, prediction = told
    [measure] = [
        m
        for m in measure_clip(predictor, path, sidecar, ())
        if m.figure == "kept frames in the apex, against uniform"
    ]
    first, last = spans(sidecar)["frame"]
    times, num = prediction.frames.times_seconds, len(prediction.frames.kept)
    steps = (len(times) - 1) / (num - 1)
    even = [times[int(np.floor(i * steps + 0.5))] for i in range(num)]
    assert measure.chance == pytest.approx(np.mean([first <= time <= last for time in even]))
    assert measure.value == pytest.approx(
        np.mean([first <= time <= last for time in times[prediction.frames.kept]])
    )


def with_values(prediction, label, **values):
    """A prediction whose modalities contributed so much to a label, and to nothing else."""
    shapley = np.zeros_like(prediction.modalities.shapley)
    column = prediction.labels.index(label)
    for row, modality in enumerate(("video", "audio", "text")):
        shapley[row, column] = values[modality]
    return replace(prediction, modalities=replace(prediction.modalities, shapley=shapley))


@pytest.mark.parametrize(("carrier", "expected"), [("audio", 1.0), ("video", 0.0)])
def test_the_modality_that_carries_the_emotion_is_named_by_the_largest_value(
    predictor, told, monkeypatch, carrier, expected
):
    path, sidecar, prediction = told
    # video's value is the farthest from zero, and audio's the largest
    answer = with_values(prediction, sidecar.plan.label, video=-0.5, audio=0.3, text=0.1)
    monkeypatch.setattr(predictor, "predict", lambda prepared: answer)

    def named(**plan) -> list[Measure]:
        changed = replace(sidecar, plan=replace(sidecar.plan, **plan))
        return [m for m in measure_clip(predictor, path, changed, ()) if m.figure == "modality named"]

    [measure] = named(informative=(carrier,))
    assert (measure.value, measure.chance) == (expected, pytest.approx(1 / 3))
    # where two carry it, or the answer is wrong, there is no one to name
    assert not named(informative=("video", "audio"))
    assert not named(informative=(carrier,), label="anger" if sidecar.plan.label != "anger" else "joy")


@pytest.mark.parametrize(
    ("scenario", "is_told", "expected"),
    [
        ("sarcasm", True, {"conflict found": 1.0, "conflict right": 1.0}),
        ("masking", False, {"conflict found": 0.0}),
        ("all", True, {"conflict right": 0.0}),
        ("all", False, {}),
    ],
)
def test_told_conflicts_count_for_recall_where_one_was_made_and_for_precision_where_one_is_told(
    predictor, told, monkeypatch, scenario, is_told, expected
):
    path, sidecar, prediction = told
    report = replace(prediction.modalities, verdict="conflict" if is_told else "agree")
    answer = replace(prediction, modalities=report)
    monkeypatch.setattr(predictor, "predict", lambda prepared: answer)
    plan = replace(sidecar.plan, scenario=scenario, conflict=scenario != "all")

    def found(plan) -> dict[str, float]:
        measures = measure_clip(predictor, path, replace(sidecar, plan=plan), ())
        return {m.figure: m.value for m in measures if m.figure.startswith("conflict")}

    assert found(plan) == expected
    # where a modality was left out, nothing can be in conflict with it
    assert found(replace(plan, missing="text")) == {}


def test_a_wrong_answer_is_not_explained(predictor, told, monkeypatch):
    path, sidecar, _ = told
    other = "anger" if sidecar.plan.label != "anger" else "joy"
    plan = replace(sidecar.plan, label=other)
    monkeypatch.setattr(truth, "attribute", lambda *_: pytest.fail("explained"))
    found = measure_clip(predictor, path, replace(sidecar, plan=plan), METHODS)
    assert not [m for m in found if m.method]


def test_clips_are_decoded_apart(predictor, told, monkeypatch):
    """Whoever names a folder may have it from somebody."""
    path, sidecar, _ = told

    def crash(*_, **options):
        raise MediaError(f"{options['name']} made the decoder crash.")

    monkeypatch.setattr(reader, "run_apart", crash)
    with pytest.raises(MediaError, match="made the decoder crash"):
        measure_clip(predictor, path, sidecar, ())


def test_a_conflict_is_looked_for_where_one_was_made(predictor, clips):
    for path, sidecar in clips.values():
        if sidecar.plan.scenario == "masking" and not sidecar.plan.missing:
            names = {m.figure for m in measure_clip(predictor, path, sidecar, ())}
            assert "conflict found" in names
            return
    pytest.fail("no such clip ships")


def test_what_is_planted_is_told_by_the_middle_of_an_element(clips):
    sidecar = next(s for _, s in clips.values() if s.face is not None and s.face.apex_start_seconds)
    first, last = spans(sidecar)["frame"] if sidecar.sound else (None, None)
    at = np.array([first - 0.01, first + 0.001, last - 0.001, last + 0.01])
    assert planted("frame", at, at, sidecar).tolist() == [False, True, True, False]
    assert planted("frame", at - 1, at + 1, sidecar).tolist() == [False, True, True, False]
    assert not planted("frame", at, at, replace(sidecar, face=None)).any()


def measure(**changes):
    values = {"figure": "frame mass", "method": "a", "clip": "c", "speaker": "s", "scenario": "all"}
    return Measure(**(values | {"value": 1.0, "chance": 0.25} | changes))


def test_figures_are_means_beside_chance():
    figures = summarise(
        [
            measure(value=0.5, speaker="one"),
            measure(value=1.0, speaker="two"),
            measure(value=0.3, chance=0.1, method="b"),
            measure(figure="modality named", method="", value=1.0, chance=1 / 3),
        ]
    )
    assert [(f.figure, f.method) for f in figures] == [
        ("modality named", ""),
        ("frame mass", "a"),
        ("frame mass", "b"),
    ]
    assert figures[1].estimate.value == pytest.approx(0.75) and figures[1].chance == pytest.approx(0.25)
    assert figures[1].gain.value == pytest.approx(0.5)
    assert (figures[1].estimate.num, figures[1].estimate.num_clusters) == (2, 2)
    assert set(FIGURES) >= {f.figure for f in figures}
    # of a few neutral clips there may be nothing to measure
    assert summarise([]) == []


def test_a_report_is_written_read_and_goes_on(predictor, tmp_path, monkeypatch):
    whole = bench_truth(predictor, CORPUS, tmp_path / "whole", (), max_clips=4)
    # NaN, where nothing can be told, is not equal to itself
    assert repr(read_truth(tmp_path / "whole")) == repr(whole)
    assert whole.num_clips == 4 and whole.checkpoint_sha256 == predictor.checkpoint.sha256

    asked = []
    real = truth.measure_clip

    def interrupted(predictor, path, *rest):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(path)
        return real(predictor, path, *rest)

    cut = tmp_path / "cut"
    monkeypatch.setattr("training.truth_report.measure_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench_truth(predictor, CORPUS, cut, (), max_clips=4)
    # what a kill in the middle of a line leaves
    with (cut / TRUTH_UNFINISHED).open("a") as file:
        file.write('{"clip": "c0')
    with pytest.raises(CorpusError, match="unfinished run of another checkpoint"):
        bench_truth(predictor, CORPUS, cut, (), max_clips=3)
    with pytest.raises(CorpusError, match="unfinished run of another checkpoint"):
        bench_truth(predictor, CORPUS, cut, (), max_clips=4, with_tests=True)
    asked.clear()
    monkeypatch.setattr("training.truth_report.measure_clip", lambda *a: asked.append(a[1]) or real(*a))
    assert repr(bench_truth(predictor, CORPUS, cut, (), max_clips=4)) == repr(whole)
    assert len(asked) == 2 and not (cut / TRUTH_UNFINISHED).exists()


def test_a_split_that_is_not_there_and_a_damaged_report_are_told(predictor, tmp_path):
    with pytest.raises(CorpusError, match="no clip of the split 'dev'"):
        bench_truth(predictor, CORPUS, tmp_path, (), split="dev")
    (tmp_path / "truth.json").write_text(json.dumps({"figures": [{}]}))
    with pytest.raises(ValueError, match="is no report of `deepmsi bench truth`.*make it again"):
        read_truth(tmp_path)


def test_a_gigantic_report_is_refused_unread(tmp_path):
    with (tmp_path / "truth.json").open("wb") as file:
        # a hole, which takes no room on the disk
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"truth\.json has 1,099,511,627,776 bytes, .*; make it again"):
        read_truth(tmp_path)


def test_a_gigantic_unfinished_run_is_refused_unread(predictor, tmp_path):
    with (tmp_path / TRUTH_UNFINISHED).open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(CorpusError, match="has 1,099,511,627,776 bytes, .*; remove it to begin anew"):
        bench_truth(predictor, CORPUS, tmp_path, (), max_clips=1)
