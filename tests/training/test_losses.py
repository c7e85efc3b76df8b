import math

import numpy as np
import pytest
import torch

from training.losses import class_loss, contrastive_loss, cross_modal_contrastive, log_prior


def slow_contrastive(first, second, labels, temperature, form):
    """The formula of the paper, term by term, in plain Python."""

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    def one_way(anchors, others):
        total = 0.0
        for i, anchor in enumerate(anchors):
            scores = [math.exp(cosine(anchor, other) / temperature) for other in others]
            negatives = sum(s for s, label in zip(scores, labels, strict=True) if label != labels[i])
            terms = [
                -math.log(scores[j] / (scores[j] + negatives))
                for j in range(len(others))
                if labels[j] == labels[i] and (form == "corrected" or j != i)
            ]
            total += sum(terms) / (len(terms) if form == "corrected" else len(others) - 1)
        return total / len(anchors)

    if form == "published":
        return one_way(first, second)
    return (one_way(first, second) + one_way(second, first)) / 2


@pytest.mark.parametrize("form", ["corrected", "published"])
@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 1, 0, 0], [0, 1, 2, 3, 4, 5, 6]])
@pytest.mark.parametrize("temperature", [0.5, 0.07])
def test_contrastive_is_the_formula(form, labels, temperature):
    random = np.random.default_rng(3)
    first, second = random.normal(size=(2, 7, 5))
    expected = slow_contrastive(first.tolist(), second.tolist(), labels, temperature, form)
    loss = cross_modal_contrastive(
        torch.tensor(first), torch.tensor(second), torch.tensor(labels), temperature=temperature, form=form
    )
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_two_clips_by_hand():
    # anchors meet their own clip at cosine 1 and the other at cosine 0, both ways
    loss = cross_modal_contrastive(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), temperature=0.5)
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 1)), rel=1e-6)


@pytest.mark.parametrize("form", ["corrected", "published"])
@pytest.mark.parametrize("labels", [[], [1], [2, 2, 2]])
def test_nothing_to_contrast_is_zero_with_a_gradient(form, labels):
    first = torch.randn(len(labels), 4, requires_grad=True)
    second = torch.randn(len(labels), 4, requires_grad=True)
    loss = cross_modal_contrastive(first, second, torch.tensor(labels, dtype=torch.long), form=form)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(first.grad).all()


def test_unknown_form_is_refused():
    with pytest.raises(ValueError, match="corrected, published"):
        cross_modal_contrastive(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), form="other")


def test_the_published_form_weighs_a_rare_class_less():
    def share_of_rare_gradient(form):
        torch.manual_seed(0)
        first, second = torch.randn(16, 8, requires_grad=True), torch.randn(16, 8)
        labels = torch.tensor([0] * 14 + [1] * 2)
        cross_modal_contrastive(first, second, labels, form=form).backward()
        sizes = first.grad.norm(dim=1)
        return (sizes[14:].mean() / sizes[:14].mean()).item()

    assert share_of_rare_gradient("published") < 0.5 * share_of_rare_gradient("corrected")


def test_pairs_are_taken_over_clips_that_have_both():
    torch.manual_seed(1)
    projections = {name: torch.randn(5, 6) for name in ("video", "audio", "text")}
    labels = torch.tensor([0, 0, 1, 1, 2])
    present = torch.tensor(
        [[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 0]], dtype=torch.bool
    )  # video, audio, text

    def pair(first, second, rows):
        return cross_modal_contrastive(projections[first][rows], projections[second][rows], labels[rows])

    video_text, video_audio = pair("video", "text", [0, 1, 2]), pair("video", "audio", [0, 2, 4])
    text_audio = pair("text", "audio", [0, 2, 3])
    torch.testing.assert_close(contrastive_loss(projections, present, labels), (video_text + video_audio) / 2)
    torch.testing.assert_close(
        contrastive_loss(projections, present, labels, text_audio_weight=0.5),
        (video_text + video_audio + 0.5 * text_audio) / 2.5,
    )


def test_class_loss_with_a_prior_is_the_balanced_softmax():
    logits, labels = torch.tensor([[1.0, 2.0, -1.0]]), torch.tensor([2])
    counts = torch.tensor([60.0, 30.0, 10.0])
    scores = [60 * math.exp(1), 30 * math.exp(2), 10 * math.exp(-1)]
    loss = class_loss(logits, labels, log_prior=log_prior(counts))
    assert loss.item() == pytest.approx(-math.log(scores[2] / sum(scores)), rel=1e-6)


def test_the_prior_of_a_class_without_clips_is_finite():
    assert torch.isfinite(log_prior(torch.tensor([10.0, 0.0]))).all()
