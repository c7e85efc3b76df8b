"""One step of a network in training, of one process: what is gathered for it, and how far it goes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.config import PRESETS
from core.model import build_model
from training.config import TrainConfig
from training.learner import Learner
from training.processes import join
from training.sampler import random_stream, training_batch

COUNTS = torch.tensor([[40.0, 1, 1, 2, 30, 1, 25], [5.0, 1, 1, 60, 2, 1, 30]])
PLAIN = TrainConfig(
    data=(Path("a"), Path("b")),
    out=Path("out"),
    cache_dir=Path("cache"),
    preset="tiny",
    learning_rate=0.01,
    video_learning_rate=0.01,
    weight_decay=0.0,
    warmup_share=0.0,
    weight_average=0.0,
    class_weight_beta=0.0,
    label_smoothing=0.0,
    num_threads=1,
)


def learner_of(**changes) -> Learner:
    """Of the same random weights every time, without dropout."""
    torch.manual_seed(0)
    model = build_model(PRESETS["tiny"], weights="random")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    learner = Learner(replace(PLAIN, **changes), model, COUNTS, 10, join(num_threads=1))
    learner.train()
    return learner


def gradients(learner: Learner) -> dict[str, torch.Tensor]:
    named = learner.model.named_parameters()
    return {name: one.grad.clone() for name, one in named if one.grad is not None}


@pytest.fixture(scope="module")
def batch(corpus_features):
    features = corpus_features.of_split("train")
    options = {"num_frames": 6, "modality_dropout": 0.0, "augment": False}
    made = training_batch(features, range(6), PRESETS["tiny"], random_stream(0), **options)
    return replace(made, sources=torch.tensor([0, 1, 1, 0, 0, 1]))


def test_the_gradient_of_several_batches_is_their_mean(batch):
    once, twice = learner_of(), learner_of()
    once.backward(batch, epoch=0, num_batches=1, is_last=True)
    for is_last in (False, True):
        twice.backward(batch, epoch=0, num_batches=2, is_last=is_last)
    one, other = gradients(once), gradients(twice)
    assert one.keys() == other.keys() and max(one[name].abs().max() for name in one) > 1e-3
    for name, gradient in one.items():
        torch.testing.assert_close(other[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_a_gradient_is_cut_to_the_largest_norm(batch):
    moved = {}
    for clip_norm in (1.0, 1e-12):
        learner = learner_of(clip_norm=clip_norm)
        before = [one.detach().clone() for one in learner.model.trained_parameters()]
        learner.backward(batch, epoch=0, num_batches=1, is_last=True)
        learner.step()
        pairs = zip(learner.model.trained_parameters(), before, strict=True)
        moved[clip_norm] = max(float((after - start).detach().abs().max()) for after, start in pairs)
    # Adam's first step is rate · g / (|g| + 1e-8): the whole rate, unless g is far below 1e-8
    assert moved[1.0] == pytest.approx(0.01, rel=0.01)
    assert moved[1e-12] < 2e-4 * 0.01


def test_the_rate_rises_over_the_warmup_and_falls_with_half_a_cosine(batch):
    # two of ten steps; video and temporal network at a tenth of the rate
    learner = learner_of(warmup_share=0.2, video_learning_rate=0.001)
    moved = {"classifier.output.bias": [], "temporal.": []}
    for _ in range(10):
        learner.backward(batch, epoch=0, num_batches=1, is_last=True)
        named = {name: one for name, one in learner.model.named_parameters() if one.grad is not None}
        before = {name: one.detach().clone() for name, one in named.items()}
        for one in named.values():
            one.grad.fill_(1.0)
        told = learner.learning_rate
        learner.step()
        # of a gradient that stays as it is Adam moves by the rate
        for start, steps in moved.items():
            name = next(one for one in named if one.startswith(start))
            steps.append(float((before[name] - named[name].detach()).abs().mean()))
        assert moved["classifier.output.bias"][-1] == pytest.approx(told, rel=0.01)
    expected = [0.5, 1.0, 1.0, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381]
    assert [one / 0.01 for one in moved["classifier.output.bias"]] == pytest.approx(expected, rel=0.01)
    assert [one / 0.001 for one in moved["temporal."]] == pytest.approx(expected, rel=0.01)


def test_of_fewer_candidate_frames_the_same_share_is_kept(corpus_features):
    # tiny keeps three of six
    features, learner, kept = corpus_features.of_split("train"), learner_of(), []
    learner.model.register_forward_hook(lambda model, _, out: kept.append(out.video.selection.kept.shape[1]))
    for num_frames in (6, 4, 2):
        options = {"num_frames": num_frames, "modality_dropout": 0.0, "augment": False}
        made = training_batch(features, range(4), PRESETS["tiny"], random_stream(0), **options)
        made = replace(made, sources=torch.zeros(4, dtype=torch.long))
        learner.backward(made, epoch=0, num_batches=3, is_last=True)
    assert kept == [3, 2, 1]
    # what is evaluated keeps what it always does
    assert learner.model.variant == ""


def test_a_clip_is_judged_by_the_prior_of_its_own_data_set(batch):
    learner = learner_of(prior_tau=1.0, contrastive_weight=0.0)
    share = COUNTS / COUNTS.sum(1, keepdim=True)
    with torch.no_grad():
        logits = learner.model(batch.inputs).logits
    expected = torch.nn.functional.cross_entropy(logits + share[batch.sources].log(), batch.labels)
    values = learner.backward(batch, epoch=0, num_batches=1, is_last=True)
    assert values["class_loss"] == pytest.approx(expected.item(), abs=1e-5)


def test_what_is_evaluated_is_the_average_where_one_is_kept(batch):
    plain, averaged = learner_of(), learner_of(weight_average=0.9)
    start = [one.detach().clone() for one in plain.model.trained_parameters()]
    for learner in (plain, averaged):
        learner.backward(batch, epoch=0, num_batches=1, is_last=True)
        learner.step()
    assert plain.evaluated_model is plain.model
    names = [name for name, one in averaged.model.named_parameters() if one.requires_grad]
    evaluated = averaged.evaluated_model.state_dict()
    # the memory is short at first: a tenth after the first step
    for name, before, after in zip(names, start, averaged.model.trained_parameters(), strict=True):
        torch.testing.assert_close(evaluated[name], 0.1 * before + 0.9 * after.detach(), msg=name)
