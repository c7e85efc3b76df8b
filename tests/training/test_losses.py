import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.losses import (
    class_loss,
    contrastive_loss,
    cross_modal_contrastive,
    effective_number_weights,
    log_prior,
)


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


def test_remembered_clips_are_further_positives_and_negatives():
    random = np.random.default_rng(5)
    batch, earlier = random.normal(size=(2, 3, 4)), random.normal(size=(2, 2, 4))
    labels, earlier_labels = [0, 1, 0], [1, 2]

    def one_way(anchors, others, other_labels):
        total = 0.0
        for anchor, label in zip(anchors, labels, strict=True):
            cosines = others @ anchor / np.linalg.norm(others, axis=1) / np.linalg.norm(anchor)
            scores = np.exp(cosines / 0.5)
            is_same = np.array(other_labels) == label
            total += np.mean(-np.log(scores[is_same] / (scores[is_same] + scores[~is_same].sum())))
        return total / len(anchors)

    expected = [
        one_way(batch[a], np.concatenate([batch[b], earlier[b]]), labels + earlier_labels)
        for a, b in ((0, 1), (1, 0))
    ]
    unit = [F.normalize(torch.tensor(vectors), dim=1) for vectors in earlier]
    loss = cross_modal_contrastive(
        *torch.tensor(batch),
        torch.tensor(labels),
        remembered=tuple((vectors, torch.tensor(earlier_labels)) for vectors in unit),
    )
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_remembered_clips_are_negatives_where_the_batch_has_none():
    nothing = torch.empty(0, 2), torch.empty(0, dtype=torch.long)
    opposite = torch.tensor([[0.0, 1.0]]), torch.tensor([1])
    first, second, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    loss = cross_modal_contrastive(first, second, labels, remembered=(nothing, opposite))
    # one direction meets nothing else, the other one clip at a right angle
    assert loss.item() == pytest.approx(0.5 * math.log(1 + math.exp(-2)), rel=1e-6)
    with pytest.raises(ValueError, match="published form has no remembered clips"):
        cross_modal_contrastive(first, second, labels, form="published", remembered=(nothing, nothing))


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
    # a pair counts by its clips; one without any takes nothing from the others
    present[1:3, 0] = False
    few_video_audio = pair("video", "audio", [0, 4])
    torch.testing.assert_close(
        contrastive_loss(projections, present, labels, text_audio_weight=1.0),
        (pair("video", "text", [0]) + 2 * few_video_audio + 3 * text_audio) / 6,
    )
    # one clip has nothing to be compared with in the published form
    published = cross_modal_contrastive(
        *(projections[name][[0, 4]] for name in ("video", "audio")), labels[[0, 4]], form="published"
    )
    torch.testing.assert_close(contrastive_loss(projections, present, labels, form="published"), published)
    present[:, 0] = False
    torch.testing.assert_close(
        contrastive_loss(projections, present, labels, text_audio_weight=0.1), text_audio
    )


def test_class_loss_with_a_prior_is_the_balanced_softmax():
    logits, labels = torch.tensor([[1.0, 2.0, -1.0]]), torch.tensor([2])
    counts = torch.tensor([60.0, 30.0, 10.0])
    scores = [60 * math.exp(1), 30 * math.exp(2), 10 * math.exp(-1)]
    loss = class_loss(logits, labels, log_prior=log_prior(counts))
    assert loss.item() == pytest.approx(-math.log(scores[2] / sum(scores)), rel=1e-6)


def test_the_prior_of_a_class_without_clips_is_finite():
    assert torch.isfinite(log_prior(torch.tensor([10.0, 0.0]))).all()


def test_weights_are_the_inverse_effective_numbers():
    counts, beta = torch.tensor([4710.0, 268.0, 22.0]), 0.999
    # 1 + beta + beta² + … is the effective number, summed term by term
    effective = [sum(beta**i for i in range(n)) for n in (4710, 268, 22)]
    weights = effective_number_weights(counts, beta)
    for i in range(3):
        assert (weights[i] / weights[0]).item() == pytest.approx(effective[0] / effective[i], rel=1e-5)
    assert (weights * counts).sum().item() == pytest.approx(5000, rel=1e-5)


def test_weights_without_correction_and_for_an_absent_class():
    assert effective_number_weights(torch.tensor([90.0, 10.0, 0.0]), 0.0).tolist() == pytest.approx([1.0] * 3)
    weights = effective_number_weights(torch.tensor([90.0, 1.0, 0.0]), 0.99)
    assert weights[1] == weights[2] and torch.isfinite(weights).all()


def test_class_weights_count_clips_not_batches():
    logits, labels = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])
    weights = torch.tensor([0.5, 2.5])
    assert class_loss(logits, labels, weights=weights).item() == pytest.approx(math.log(2))
    # a batch of one class keeps its weight
    assert class_loss(logits[3:], labels[3:], weights=weights).item() == pytest.approx(2.5 * math.log(2))


def test_focal_loss_is_its_formula():
    logits = np.random.default_rng(2).normal(size=(6, 4)) * 2
    labels = [0, 1, 2, 3, 0, 1]
    expected = []
    for row, label in zip(logits, labels, strict=True):
        p = math.exp(row[label]) / sum(math.exp(value) for value in row)
        expected.append(-((1 - p) ** 2) * math.log(p))
    loss = class_loss(torch.tensor(logits), torch.tensor(labels), focal_gamma=2.0)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_has_a_finite_slope_where_a_clip_is_surely_right_or_wrong(gamma):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    class_loss(logits, torch.tensor([0, 0]), focal_gamma=gamma).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0].tolist() == [0.0, 0.0]
    # surely wrong: as cross-entropy
    assert logits.grad[1].tolist() == pytest.approx([-0.5, 0.5])


def test_all_corrections_at_once_by_hand():
    # p = (3/4, 1/4) after the prior; smoothing by 0.2 makes the target (0.1, 0.9)
    logits, prior = torch.zeros(1, 2), torch.tensor([0.75, 0.25]).log()
    loss = class_loss(
        logits,
        torch.tensor([1]),
        log_prior=prior,
        weights=torch.tensor([1.0, 3.0]),
        focal_gamma=1.0,
        label_smoothing=0.2,
    )
    cross_entropy = -(0.1 * math.log(0.75) + 0.9 * math.log(0.25))
    assert loss.item() == pytest.approx(3.0 * 0.75 * cross_entropy, rel=1e-6)
