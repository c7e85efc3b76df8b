import json
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.evaluation import read_evaluation
from core.evaluation.artifact import ALL, NON_EMPTY
from core.labels import MELD_7, MODALITIES
from core.model import build_model
from core.prediction import SUBSETS
from training.answers import Answer, ask, gather_answers, join_answers
from training.datasets import DataError, read_manifest
from training.evaluate import assemble, evaluate_checkpoint
from training.features import prepare
from training.held_out import caveats_of
from training.sampler import collate
from training.scores import evaluate
from training.sources import read_sources


def test_answers_do_not_depend_on_the_batch_size(corpus_features, tiny_model):
    dev = corpus_features.of_split("dev")
    one, many = (ask(tiny_model, dev, batch_size=size) for size in (1, 4))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a.logits, b.logits, atol=1e-5)
        assert a.key == b.key and a.kept_frame_seconds == b.kept_frame_seconds
        assert a.embeddings.keys() == b.embeddings.keys()
        for name, values in a.embeddings.items():
            np.testing.assert_allclose(values, b.embeddings[name], atol=1e-5)
    # the sixth clip is silent
    audio, text = SUBSETS.index(("audio",)), SUBSETS.index(("text",))
    assert np.isnan(one[5].logits[audio]).all() and not np.isnan(one[4].logits).any()
    np.testing.assert_allclose(
        one[5].logits[SUBSETS.index(("audio", "text"))], one[5].logits[text], atol=1e-6
    )
    assert set(one[5].embeddings) == {"video", "text", "fused"}


@torch.inference_mode()
def test_answers_are_those_of_the_plain_network(corpus_features, tiny_model):
    """One pass per subset with the pictures themselves, read by hand."""
    dev = corpus_features.of_split("dev")
    inputs = collate(list(dev), tiny_model.config).inputs
    answers = ask(tiny_model, dev, batch_size=6)
    for number, subset in enumerate(SUBSETS):
        shown = inputs.present & torch.tensor([m in subset for m in MODALITIES])
        output = tiny_model(replace(inputs, present=shown))
        rows = [i for i in range(6) if shown[i].any() or not subset]
        np.testing.assert_allclose(
            np.stack([answers[i].logits[number] for i in rows]), output.logits[rows].numpy(), atol=1e-5
        )
    np.testing.assert_allclose(answers[0].embeddings["fused"], output.fused[0].numpy(), atol=1e-5)
    kept = sorted(output.video.selection.kept[0][output.video.selection.kept_mask[0]].tolist())
    assert answers[0].kept_frame_seconds == tuple(dev[0].times_seconds[kept])


@torch.inference_mode()
def test_encoders_that_are_trained_answer_alike(corpus, tiny_model, tmp_path):
    """Their features hold waveforms and tokens, which are encoded once for all subsets."""
    config = PRESETS["tiny"]
    torch.manual_seed(1)
    model = build_model(
        replace(
            config,
            audio=replace(config.audio, num_trained_layers=1),
            text=replace(config.text, num_trained_layers=1),
        ),
        weights="random",
    )
    utterances = [u for u in read_manifest(corpus) if u.split == "dev"][3:]
    features = prepare(utterances, model, tmp_path, progress=False)
    inputs = collate(list(features), model.config).inputs
    assert inputs.waveforms is not None and inputs.token_ids is not None
    answers = ask(model, features, batch_size=2)
    for number, subset in enumerate(SUBSETS):
        shown = inputs.present & torch.tensor([m in subset for m in MODALITIES])
        logits = model(replace(inputs, present=shown)).logits.numpy()
        rows = [i for i in range(3) if shown[i].any() or not subset]
        np.testing.assert_allclose([answers[i].logits[number] for i in rows], logits[rows], atol=1e-5)


def test_only_what_is_asked_is_answered(corpus_features, tiny_model):
    seen = []
    answers = evaluate(
        tiny_model,
        corpus_features.of_split("dev"),
        subsets=(ALL, ("audio",)),
        batch_size=6,
        watch=lambda indices, subset, output: seen.append((indices.tolist(), subset, len(output.logits))),
    )
    assert list(answers.logits) == [ALL, ("audio",)]
    assert seen == [(list(range(6)), ALL, 6), (list(range(6)), ("audio",), 6)]


def test_subsets_that_come_to_the_same_are_asked_once(corpus_features, tiny_model):
    silent = corpus_features.of_split("dev").select([5])
    calls = []
    hook = tiny_model.register_forward_hook(lambda *_: calls.append(1))
    answers = ask(tiny_model, silent)
    hook.remove()
    # nothing, video, words, both
    assert len(calls) == 4
    np.testing.assert_array_equal(answers[0].logits[1], answers[0].logits[SUBSETS.index(("video", "audio"))])


def answer(key, value=0.0):
    return Answer(key=key, logits=np.full((8, 3), value), embeddings={}, kept_frame_seconds=None)


def test_answers_of_several_processes_are_joined_without_repeats():
    # two processes, the last clip repeated so that both have as many
    parts = [
        [answer("a", 1), answer("c", 2), answer("a", 9)],
        [answer("b", 3), answer("d", 4), answer("b", 9)],
    ]
    joined = join_answers(parts, ["a", "b", "c", "d"])
    assert [one.key for one in joined] == ["a", "b", "c", "d"]
    assert [one.logits[0, 0] for one in joined] == [1, 3, 2, 4]
    with pytest.raises(ValueError, match="no answer about 1 clips, e among them"):
        join_answers(parts, ["a", "e"])


def test_answers_travel_between_processes_and_alone_stay_what_they_are(corpus_features, tiny_model):
    dev = corpus_features.of_split("dev")
    shards = [ask(tiny_model, dev.select(range(rank, 6, 2))) for rank in range(2)]
    keys = [utterance.key for utterance in dev.utterances]
    joined = join_answers([pickle.loads(pickle.dumps(shard)) for shard in shards], keys)
    whole = ask(tiny_model, dev)
    for a, b in zip(joined, whole, strict=True):
        np.testing.assert_allclose(a.logits, b.logits, atol=1e-5)
    assert gather_answers(whole, keys) == whole


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    info = CheckpointInfo(temperature=1.7, uncertainty_threshold=0.3, seed=5)
    save_checkpoint(folder, tiny_model, info=info, metrics={"train_config": {"seed": 5}})
    return load_checkpoint(folder)


@pytest.fixture(scope="module")
def evaluation(checkpoint, corpus, corpus_features):
    return evaluate_checkpoint(
        checkpoint, corpus_features.of_split("dev"), data=corpus, split="dev", num_bootstrap=100
    )


def test_the_evaluation_knows_where_it_comes_from(evaluation, checkpoint, corpus, corpus_features):
    info = evaluation.info
    assert (info.checkpoint, info.checkpoint_sha256) == ("tiny", checkpoint.sha256)
    assert info.data == corpus.name and info.data_sha256 == corpus_features.of_split("dev").data_sha256
    assert (info.split, info.protocol, info.seed, info.temperature) == ("dev", "official", 5, 1.7)
    assert info.labels == MELD_7.labels and info.num_clips == 6 and info.num_bootstrap == 100
    assert info.recipe["training"] == {"seed": 5} and info.recipe["model"]["preset"] == "tiny"
    assert str(corpus) not in json.dumps(info.recipe)


def test_what_flatters_is_told_with_the_figures(checkpoint, corpus, corpus_features):
    sources = read_sources([corpus])
    told = partial(caveats_of, sources=sources, protocol="official")
    # of data that the checkpoint never met nothing is given away
    assert told(checkpoint, split="dev") == ()
    own = replace(checkpoint, metrics={"train_config": {"source_names": [corpus.name]}})
    (learned,) = told(own, split="all")
    assert "has learned from some of these clips" in learned and told(own, split="train") == (learned,)
    texts = {one.split: set() for one in sources.utterances}
    for one in sources.utterances:
        texts[one.split].add(one.transcript)
    num, num_shared = len(texts["dev"] - {None}), len((texts["dev"] & texts["train"]) - {None})
    (said,) = (one for one in told(own, split="dev") if " texts of this split" in one)
    assert said.startswith(f"Of the {num} texts of this split {num_shared} occur in what was learned from")
    # dev says the same words, but was not learned from
    (said,) = told(own, split="test")
    num, num_shared = len(texts["test"] - {None}), len((texts["test"] & texts["train"]) - {None})
    assert said.startswith(f"Of the {num} texts of this split {num_shared} occur in what was learned from")
    (parted,) = caveats_of(own, sources, "dev", "grouped-kfold")
    assert "parted otherwise" in parted
    (flatters,) = caveats_of(checkpoint, sources, "test", "paper-10fold")
    assert flatters.startswith("Paper-10fold flatters")
    kept = evaluate_checkpoint(
        checkpoint,
        corpus_features.of_split("dev"),
        data=corpus,
        split="dev",
        caveats=(learned,),
        num_bootstrap=100,
    )
    assert kept.info.caveats == (learned,)


def test_rows_tell_what_the_model_said(evaluation, checkpoint, corpus_features):
    dev = corpus_features.of_split("dev")
    answers, rows = ask(checkpoint.model, dev), evaluation.predictions
    assert rows["key"].tolist() == rows["path"].tolist() == [f"val{i}.mp4" for i in range(6)]
    assert rows["speaker"].tolist() == ["val-speaker"] * 6 and rows["dialogue"].isna().all()
    assert evaluation.extra["scenario"].tolist() == ["some", "all"] * 3
    for subset in NON_EMPTY:
        logits = np.stack([one.logits[SUBSETS.index(subset)] for one in answers])
        expected = torch.from_numpy(logits / 1.7).softmax(-1).numpy()
        np.testing.assert_allclose(evaluation.probabilities(subset), expected, atol=1e-5)
    together = evaluation.probabilities()
    assert rows["prediction"].tolist() == [evaluation.labels[i] for i in together.argmax(1)]
    # Shapley values add up to what everything changes against nothing
    best = together.argmax(1)
    gained = together[np.arange(6), best] - np.array(evaluation.info.empty_probabilities)[best]
    np.testing.assert_allclose(evaluation.shapley.sum(1), gained, atol=1e-6)
    kept = [len(times) for times in rows["kept_frame_seconds"]]
    assert rows["num_kept_frames"].tolist() == kept and min(kept) > 0
    assert rows["face"].tolist() == [dev[i].face for i in range(6)]
    f1 = f1_score(rows["label"], rows["prediction"], average="macro", zero_division=0)
    assert evaluation.metrics.subsets["video+audio+text"].macro_f1.value == pytest.approx(f1)
    assert evaluation.embeddings["fused"].shape[0] == 6 and np.isnan(evaluation.embeddings["audio"][5]).all()


def test_an_evaluation_is_the_same_for_any_batch_size_and_on_disk(
    evaluation, checkpoint, corpus, corpus_features, tmp_path
):
    again = evaluate_checkpoint(
        checkpoint, corpus_features.of_split("dev"), data=corpus, split="dev", num_bootstrap=100, batch_size=1
    )
    back = read_evaluation(evaluation.write(tmp_path / "out"))
    assert back.info == evaluation.info and back.metrics == evaluation.metrics
    pd.testing.assert_frame_equal(back.predictions, evaluation.predictions)
    for other in (again, back):
        for subset in NON_EMPTY:
            np.testing.assert_allclose(
                other.probabilities(subset), evaluation.probabilities(subset), atol=1e-5
            )
        for name, values in other.embeddings.items():
            np.testing.assert_allclose(values, evaluation.embeddings[name], atol=1e-5)
        assert other.predictions["verdict"].tolist() == evaluation.predictions["verdict"].tolist()
    assert again.media_folder == corpus


def test_a_clip_with_nothing_in_it_is_skipped_and_told(checkpoint, corpus, corpus_features):
    dev = corpus_features.of_split("dev")
    answers = ask(checkpoint.model, dev)
    empty = Answer(
        key=answers[2].key,
        logits=np.full_like(answers[2].logits, np.nan),
        embeddings={},
        kept_frame_seconds=None,
    )
    told = assemble(
        checkpoint, dev, [*answers[:2], empty, *answers[3:]], data=corpus, split="dev", num_bootstrap=10
    )
    assert told.info.num_clips == 5 and told.info.skipped[0].key == "val2.mp4"
    assert "no picture, no sound and no words" in told.info.skipped[0].reason
    with pytest.raises(DataError, match="no clip of the split dev can be evaluated"):
        assemble(checkpoint, dev.select([2]), [empty], data=corpus, split="dev")
