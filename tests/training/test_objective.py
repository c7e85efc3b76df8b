from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.config import TrainConfig
from training.losses import class_loss, contrastive_loss, effective_number_weights, log_prior
from training.losses.objective import Objective

COUNTS = torch.tensor([70.0, 25.0, 5.0])
PLAIN = TrainConfig(
    data=(Path("a"),),
    out=Path("b"),
    cache_dir=Path("c"),
    num_epochs=4,
    class_weight_beta=0.0,
    label_smoothing=0.0,
)


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    projections = {name: torch.randn(6, 8, generator=generator) for name in ("video", "audio", "text")}
    present = torch.rand(6, 3, generator=generator) < 0.8
    labels = torch.randint(0, 3, (6,), generator=generator)
    return torch.randn(6, 3, generator=generator), projections, present, labels


def test_plain_settings_are_cross_entropy_and_the_contrast():
    logits, projections, present, labels = batch(0)
    losses = Objective(PLAIN, COUNTS[None], 8)(logits, projections, present, labels, epoch=0)
    by_class = torch.nn.functional.cross_entropy(logits, labels)
    contrast = contrastive_loss(projections, present, labels, text_audio_weight=1.0)
    torch.testing.assert_close(losses.total, by_class + 0.5 * contrast)
    assert losses.prototype == 0.0
    assert list(losses.values()) == ["loss", "class_loss", "contrastive_loss", "prototype_loss"]
    assert Objective(PLAIN, COUNTS[None], 8).state_dict() == {}


def test_class_weights_come_in_from_their_epoch():
    config = replace(PLAIN, class_weight_beta=0.9, class_weight_start=0.6, focal_gamma=1.5)
    objective = Objective(replace(config, prior_tau=0.5), COUNTS[None], 8)
    logits, projections, present, labels = batch(1)
    options = {"log_prior": log_prior(COUNTS, 0.5), "focal_gamma": 1.5}
    weights = effective_number_weights(COUNTS, 0.9)
    for epoch, expected in ((1, None), (2, weights), (3, weights)):
        losses = objective(logits, projections, present, labels, epoch=epoch)
        torch.testing.assert_close(losses.by_class, class_loss(logits, labels, weights=expected, **options))


def test_no_class_weighs_more_than_ten_clips():
    config = replace(PLAIN, class_weight_beta=0.9999, class_weight_start=0.0, contrastive_weight=0.0)
    logits, projections, present, _ = batch(1)
    for counts, expected in (((500.0, 300.0, 1.0), 10.0), ((70.0, 25.0, 5.0), 100 / 3 / 5)):
        objective = Objective(config, torch.tensor([counts]), 8)
        labels = torch.full((6,), 2)
        losses = objective(logits, projections, present, labels, epoch=0)
        plain = torch.nn.functional.cross_entropy(logits, labels)
        assert losses.by_class.item() == pytest.approx(expected * plain.item(), rel=2e-3)


def test_classes_weigh_by_the_clips_that_are_drawn_of_each_data_set():
    config = replace(PLAIN, class_weight_beta=0.9999, class_weight_start=0.0, contrastive_weight=0.0)
    shared = replace(config, data=(Path("a"), Path("d")), source_shares=(1.0, 3.0))
    counts = torch.tensor([[60.0, 40.0, 0.0], [10.0, 90.0, 0.0]])
    logits, projections, present, _ = batch(1)
    labels = torch.zeros(6, dtype=torch.long)
    plain = torch.nn.functional.cross_entropy(logits, labels).item()
    # of 200 drawn 50 are of the first (30 and 20) and 150 of the second (15 and 135): 45 of class 0
    for of, number in ((config, 70), (shared, 45)):
        losses = Objective(of, counts, 8)(logits, projections, present, labels, epoch=0)
        assert losses.by_class.item() == pytest.approx(200 / 2 / number * plain, rel=1e-2)


REMEMBERING = replace(PLAIN, queue_size=2, prototype_weight=0.3)


def test_a_batch_is_remembered_after_it_was_compared_and_only_in_training():
    objective = Objective(REMEMBERING, COUNTS[None], 8)
    first = objective(*batch(2), epoch=0)
    assert first.prototype == 0.0
    torch.testing.assert_close(
        first.contrastive, Objective(PLAIN, COUNTS[None], 8)(*batch(2), epoch=0).contrastive
    )
    second = objective(*batch(3), epoch=0)
    assert second.prototype > 0.0
    assert second.contrastive != Objective(PLAIN, COUNTS[None], 8)(*batch(3), epoch=0).contrastive
    torch.testing.assert_close(
        second.total, second.by_class + 0.5 * second.contrastive + 0.3 * second.prototype
    )
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    objective.eval()(*batch(4), epoch=0)
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


def test_what_is_remembered_does_not_disturb_the_gradient():
    def gradient(objective):
        logits, projections, present, labels = batch(3)
        for value in projections.values():
            value.requires_grad_()
        objective(logits, projections, present, labels, epoch=0).total.backward()
        return projections["text"].grad

    learning, watching = (Objective(REMEMBERING, COUNTS[None], 8) for _ in range(2))
    for objective in (learning, watching):
        objective(*batch(2), epoch=0)
    # in evaluation mode nothing is taken in before the gradient is computed
    torch.testing.assert_close(gradient(learning), gradient(watching.eval()))


def test_a_resumed_run_goes_on_with_the_same_losses():
    whole, resumed = Objective(REMEMBERING, COUNTS[None], 8), Objective(REMEMBERING, COUNTS[None], 8)
    for seed in range(3):
        whole(*batch(seed), epoch=0)
    resumed.load_state_dict(whole.state_dict())
    for seed in range(3, 6):
        assert whole(*batch(seed), epoch=0).total == resumed(*batch(seed), epoch=0).total


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_weight_beta": 1.0}, r"class_weight_beta should lie in \[0, 1\)"),
        ({"class_weight_start": 1.0}, r"class_weight_start should lie in \[0, 1\)"),
        ({"focal_gamma": -1.0}, "focal_gamma should not be below zero"),
        ({"queue_size": 4, "contrastive_form": "published"}, "queue_size needs the corrected"),
        ({"queue_size": 4, "contrastive_weight": 0.0}, "queue_size needs the corrected"),
        ({"word_dropout": 0.1}, "set num_text_layers too"),
        ({"progressive_balance": True, "class_balance": 0.0}, "set class_balance too"),
        ({"fold": "session1"}, "set protocol too"),
        ({"num_folds": 4}, "of the protocol grouped-kfold alone"),
        ({"num_folds": 2, "protocol": "grouped-kfold"}, "num_folds should be at least 3, not 2"),
        ({"num_blind_epochs": 1, "modalities": ("audio", "text")}, "reads video too"),
        ({"audio_pooling": "mean", "modalities": ("text",)}, "audio_pooling needs"),
        ({"source_shares": (1.0,)}, "needs several data sets"),
        ({"recompute": True, "preset": "mini"}, "recompute needs"),
        ({"recompute": True, "preset": "tiny", "modalities": ("text",)}, "recompute needs"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **changes)


def test_each_data_set_has_a_prior_of_its_own():
    counts = torch.stack([COUNTS, COUNTS.flip(0)])
    objective = Objective(replace(PLAIN, prior_tau=1.0), counts, 8)
    logits, projections, present, labels = batch(4)
    sources = torch.tensor([0, 1, 1, 0, 0, 1])
    share = counts / 100
    expected = torch.nn.functional.cross_entropy(logits + share[sources].log(), labels)
    given = objective(logits, projections, present, labels, epoch=0, sources=sources)
    torch.testing.assert_close(given.by_class, expected)
