import math

import pytest
import torch
import torch.nn.functional as F

from training.losses import ClassPrototypes, ClassQueue

ALL_PRESENT = torch.ones(1, 3, dtype=torch.bool)


def batch(vectors, labels):
    """The same vectors in all modalities, all present."""
    vectors = torch.tensor(vectors)
    present = ALL_PRESENT.expand(len(labels), 3)
    return {name: vectors for name in ("video", "audio", "text")}, present, torch.tensor(labels)


def test_the_queue_holds_the_last_entries_of_each_class():
    queue = ClassQueue(num_classes=3, width=2, size=2)
    assert [len(part) for part in queue.entries("audio")] == [0, 0]
    queue.take_in(*batch([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]], [0, 2, 0]))
    queue.take_in(*batch([[0.0, -1.0]], [0]))
    vectors, labels = queue.entries("audio")
    assert labels.tolist() == [0, 0, 2]
    # the first one of class 0 has gone; all have length one
    assert sorted(vectors[:2].tolist()) == [[0.0, -1.0], [1.0, 0.0]]
    assert vectors[2].tolist() == [0.0, 1.0]


def test_of_a_full_queue_the_oldest_goes_every_time():
    queue = ClassQueue(num_classes=1, width=2, size=3)
    for number in range(8):
        angle = 0.3 * number
        queue.take_in(*batch([[math.cos(angle), math.sin(angle)]], [0]))
        found = queue.entries("video")[0]
        angles = sorted(torch.atan2(found[:, 1], found[:, 0]).tolist())
        assert angles == pytest.approx([0.3 * one for one in range(number + 1)][-3:], abs=1e-5)


def test_of_a_batch_larger_than_the_queue_the_last_stay():
    queue = ClassQueue(num_classes=1, width=2, size=3)
    angles = torch.arange(8) * 0.3
    for part in (angles[:1], angles[1:]):
        vectors = torch.stack([part.cos(), part.sin()], 1)
        queue.take_in(
            {"video": vectors, "audio": vectors, "text": vectors},
            ALL_PRESENT.expand(len(part), 3),
            torch.zeros(len(part), dtype=torch.long),
        )
    found = queue.entries("text")[0]
    assert sorted(torch.atan2(found[:, 1], found[:, 0]).tolist()) == pytest.approx([1.5, 1.8, 2.1], abs=1e-5)


def test_what_a_clip_lacks_is_not_remembered():
    projections, _, labels = batch([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    present = torch.tensor([[True, False, True], [True, True, False]])
    queue, prototypes = ClassQueue(2, 2, 4), ClassPrototypes(2, 2)
    for memory in (queue, prototypes):
        memory.take_in(projections, present, labels)
    assert [queue.entries(name)[1].tolist() for name in ("video", "audio", "text")] == [[0, 1], [1], [0]]
    assert prototypes.is_known.tolist() == [[True, True], [False, True], [True, False]]


def test_prototypes_are_running_mean_directions():
    prototypes = ClassPrototypes(num_classes=2, width=2, momentum=0.75)
    # mean of the unit vectors (1, 0) and (0, 1), whatever their lengths
    prototypes.take_in(*batch([[5.0, 0.0], [0.0, 1.0]], [1, 1]))
    diagonal = math.sqrt(0.5)
    assert prototypes.vectors[0, 1].tolist() == pytest.approx([diagonal, diagonal])
    prototypes.take_in(*batch([[1.0, 0.0]], [1]))
    mixed = (0.75 * diagonal + 0.25, 0.75 * diagonal)
    assert prototypes.vectors[2, 1].tolist() == pytest.approx([v / math.hypot(*mixed) for v in mixed])
    assert prototypes.is_known[:, 0].tolist() == [False] * 3


def test_prototype_contrast_by_hand():
    prototypes = ClassPrototypes(num_classes=3, width=2)
    prototypes.take_in(*batch([[1.0, 0.0], [0.0, 1.0]], [0, 1]))
    # cosine 0.6 with its own, 0.8 with the other; class 2 has no prototype, so neither counts
    projections, present, labels = batch([[3.0, 4.0], [7.0, 0.0]], [0, 2])
    loss = prototypes.loss(projections, present, labels, temperature=0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(0.4)), rel=1e-6)
    # over modalities: the mean of those that have something to compare
    projections["audio"] = torch.tensor([[4.0, 3.0], [1.0, 0.0]])
    present = torch.tensor([[False, True, True]] * 2)
    loss = prototypes.loss(projections, present, labels, temperature=0.5)
    expected = (math.log(1 + math.exp(0.4)) + math.log(1 + math.exp(-0.4))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_prototype_contrast_pulls_a_clip_to_its_class():
    torch.manual_seed(0)
    prototypes = ClassPrototypes(num_classes=3, width=8)
    centres = F.normalize(torch.randn(3, 8), dim=1)
    prototypes.take_in(*batch(centres.tolist(), [0, 1, 2]))
    clip = torch.randn(1, 8, requires_grad=True)
    optimizer = torch.optim.SGD([clip], lr=1.0)
    for _ in range(50):
        optimizer.zero_grad()
        projections = {name: clip for name in ("video", "audio", "text")}
        prototypes.loss(projections, ALL_PRESENT, torch.tensor([1])).backward()
        optimizer.step()
    assert (F.normalize(clip, dim=1) @ centres.T).argmax().item() == 1
    assert not prototypes.vectors.requires_grad


def test_without_a_prototype_the_loss_is_zero_with_a_gradient():
    vectors = torch.randn(2, 4, requires_grad=True)
    projections = {name: vectors for name in ("video", "audio", "text")}
    loss = ClassPrototypes(3, 4).loss(projections, ALL_PRESENT.expand(2, 3), torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == 0.0 and vectors.grad.abs().max() == 0.0
