"""Removal, sensitivity and randomisation, on functions whose answers are known and on a tiny model."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from core.attribution.faithfulness import (
    MIN_SPAN,
    VERDICTS,
    Faithfulness,
    faithfulness,
    judge,
    removable_elements,
    sensitivity,
    values_of,
)
from core.attribution.randomisation import Randomised, compare, layer_groups, randomised
from core.attribution.removal import Curves, Infidelity, Remembered, curves, infidelity
from core.attribution.results import Attribution, ExplanationCancelledError, Target
from core.attribution.store import from_bytes, to_bytes
from core.attribution.subject import Subject
from core.attribution.variants import Variant
from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.media import Clip, Frames, MediaInfo
from core.media.faces import FaceTrack
from core.model import DeepMSI
from core.predict import Predictor, PreparedClip

TINY = PRESETS["tiny"]
JOY = Target(label="joy")


def additive(shares, rest=0.0):
    """A value to which each element that stays adds its share."""
    return lambda stays: rest + stays @ np.asarray(shares, float)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    torch.manual_seed(3)
    model = DeepMSI(TINY, "random")
    # an untrained network answers the same to everything: give it opinions
    with torch.no_grad():
        model.classifier.output.weight.mul_(20)
        for absent in model.absent.values():
            absent.normal_()
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    predictor = Predictor(load_checkpoint(save_checkpoint(folder, model, info=CheckpointInfo())))
    rng, side, num = np.random.default_rng(0), TINY.video.image_size, 6
    info = MediaInfo(
        container="mp4",
        num_bytes=1,
        duration_seconds=1.2,
        has_video=True,
        has_audio=True,
        width=96,
        height=72,
    )
    prepared = PreparedClip(
        clip=Clip(path="c.mp4", sha256="c" * 64, info=info, start_seconds=0.0, end_seconds=1.2),
        frames=Frames(
            pixels=rng.integers(0, 256, (num, 72, 96, 3), dtype=np.uint8), times_seconds=np.arange(num) * 0.2
        ),
        face_track=FaceTrack(
            boxes=np.tile([12.0, 0, 84, 72], (num, 1)),
            num_faces=np.ones(num, int),
            state="one",
            sentence=None,
        ),
        crops=rng.integers(0, 256, (num, side, side, 3), dtype=np.uint8),
        waveform=rng.normal(0, 0.1, 16_000).astype(np.float32),
        transcript=None,
    ).with_transcript("well that went really very fine")
    return Subject(predictor, prepared)


def attribution_of(subject, element, values, **changes):
    values = np.asarray(values, float)
    given = dict(
        element=element,
        method="by hand",
        target=JOY,
        values=values,
        start_seconds=np.zeros(len(values)),
        end_seconds=np.zeros(len(values)),
        value=0.5,
        baseline_value=0.2,
        gap=np.nan,
        num_passes=0,
        seconds=0.0,
    )
    return Attribution(**given | changes)


def left_out(subject, element="frame"):
    """The simplest attribution: what the value loses when one element is left out."""
    count = {"frame": len(subject.frame_times), "word": len(subject.words)}[element]
    stays = ~np.eye(count, dtype=bool)
    value = JOY.of(subject.probabilities, subject.labels)
    without = JOY.of(subject.ask([Variant(**{f"{element}s": row}) for row in stays]), subject.labels)
    return attribution_of(subject, element, value - without, value=float(value))


def test_areas_of_an_additive_value_in_closed_form():
    # 4, 3, 2, 1 on top of 10: removing the largest first leaves 20, 16, 13, 11, 10, and the smallest first
    # 20, 19, 17, 14, 10; the trapezoids are four times a quarter wide
    shares = [1.0, 4.0, 2.0, 3.0]
    found = curves(additive(shares, 10), np.array(shares), num_random=2, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.removed, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.deletion, [20, 16, 13, 11, 10])
    np.testing.assert_allclose(found.insertion, [10, 14, 17, 19, 20])
    assert found.deletion_area == pytest.approx((10 + 16 + 13 + 11 + 5) / 4)
    assert found.insertion_area == pytest.approx((5 + 14 + 17 + 19 + 10) / 4)
    assert found.span == pytest.approx(10)


def test_insertion_is_what_adding_the_elements_gives():
    rng = np.random.default_rng(2)
    table = rng.random(2**5)
    value = lambda stays: table[stays @ 2 ** np.arange(5)]  # noqa: E731  any function of five elements
    # what speaks most against comes last of all, however large
    scores = np.array([0.4, -1.5, 0.9, 0.0, -0.2])
    found = curves(value, scores, num_random=2, rng=rng)
    order = [2, 0, 3, 4, 1]
    expected = [value(np.isin(np.arange(5), order[:num])[None])[0] for num in range(6)]
    np.testing.assert_allclose(found.insertion, expected)
    left = [value(~np.isin(np.arange(5), order[:num])[None])[0] for num in range(6)]
    np.testing.assert_allclose(found.deletion, left)
    np.testing.assert_allclose(found.added, np.arange(6) / 5)


def test_random_orders_have_the_analytic_mean_and_spread():
    # removing in a random order is linear in expectation: the area is rest + sum / 2. Its variance: element i
    # stays for (rank_i − 1/2) / 5 of the way, and ranks are drawn without repetition
    shares = np.array([5.0, 0, -1, 2, 0])
    found = curves(additive(shares, 1), shares, num_random=4000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.random.mean(0), 1 + 6 * (1 - found.removed), atol=0.15)
    variance = np.var(np.arange(5)) / 25 * 5 / 4 * np.sum((shares - shares.mean()) ** 2)
    assert found.random_areas.var() == pytest.approx(variance, rel=0.1)
    # of so many draws a prediction interval is that of the normal distribution
    reach = (found.random_interval[1] - found.random_interval[0]) / 2
    assert reach == pytest.approx(1.96 * variance**0.5, rel=0.05)


def test_a_few_random_orders_give_the_wider_interval_of_student():
    found = Curves(
        removed=np.array([0.0, 1.0]),
        deletion=np.zeros(2),
        reversed_deletion=np.zeros(2),
        random=np.array([[1.0, 1], [2, 2], [3, 3]]),
    )
    # t with two degrees of freedom at 97.5 % is 4.303; one more draw beside the mean of three
    assert found.random_interval == pytest.approx(
        (2 - 4.303 * (4 / 3) ** 0.5, 2 + 4.303 * (4 / 3) ** 0.5), 1e-3
    )


def test_many_elements_are_removed_in_groups():
    found = curves(additive(np.ones(100)), np.arange(100.0), num_random=2, rng=np.random.default_rng(0))
    assert len(found.removed) == 9 and len(found.random[0]) == 9
    np.testing.assert_allclose(found.deletion, 100 * (1 - found.removed))


def test_values_are_asked_for_once():
    asked = []
    known = Remembered(lambda stays: asked.extend(stays.tolist()) or stays.sum(1) * 1.0)
    rows = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]], bool)
    np.testing.assert_array_equal(known(rows), [2, 0, 2])
    np.testing.assert_array_equal(known(rows[:2]), [2, 0])
    assert asked == [[True, False, True], [False, False, False]]


def test_infidelity_of_a_linear_value_is_zero_at_any_scale():
    shares = np.array([3.0, -1, 0.5, 2, 0])
    for scale in (1, 0.01):
        found = infidelity(
            additive(shares), scale * shares, num_perturbations=30, rng=np.random.default_rng(0)
        )
        assert found.value == pytest.approx(0, abs=1e-12)
        assert found.unexplained == pytest.approx(0, abs=1e-12)
        assert found.shuffled_unexplained > 0.1
        # one of a hundred deals of five different values may be the same again
        assert found.chance <= 0.04


def test_infidelity_is_the_rest_of_a_regression_through_the_origin():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=6)
    removed = []

    def value(stays):
        if len(stays) > 1:
            removed[:] = (~stays).tolist()
        return np.sin(stays @ np.arange(6))

    found = infidelity(value, scores, num_perturbations=40, rng=rng)
    foretold = np.array(removed) @ scores
    change = value(np.ones((1, 6), bool))[0] - np.sin(~np.array(removed) @ np.arange(6))
    slope = np.sum(foretold * change) / np.sum(foretold**2)
    assert found.value == pytest.approx(np.mean((change - slope * foretold) ** 2))
    cosine = np.sum(foretold * change) ** 2 / np.sum(foretold**2) / np.sum(change**2)
    assert found.unexplained == pytest.approx(1 - cosine)


@pytest.mark.parametrize(
    ("shares", "chance"),
    # of the deals of so many values, those that are these values again
    [([3.0, -1, 0.5, 2], 1 / 24), ([3.0, -1, 2, 2], 2 / 24), ([1.0, 2, 3], 1 / 6), ([2.0], 1.0)],
)
def test_of_few_elements_every_deal_is_held_against(shares, chance):
    shares = np.array(shares)
    for seed in range(5):
        found = infidelity(additive(shares), shares, num_perturbations=32, rng=np.random.default_rng(seed))
        assert found.chance == pytest.approx(chance)


def test_a_value_that_nothing_moves_is_foretold_by_nothing():
    found = infidelity(additive(np.zeros(5)), np.ones(5), num_perturbations=8, rng=np.random.default_rng(0))
    assert (found.unexplained, found.shuffled_unexplained, found.chance) == (1, 1, 1)


def test_values_that_are_dealt_at_random_foretell_no_better_than_chance():
    rng = np.random.default_rng(0)
    shares = rng.exponential(size=20)
    chances = [
        infidelity(additive(shares), rng.permutation(shares), num_perturbations=24, rng=rng).chance
        for _ in range(10)
    ]
    # evenly distributed between 0 and 1, if the level is what it says
    assert stats.kstest(chances, "uniform").pvalue > 0.01


def test_equal_shares_foretell_much_but_not_better_than_chance():
    shares = np.array([3.0, 2, 1, 4, 2, 3])
    found = infidelity(additive(shares), np.ones(6), num_perturbations=30, rng=np.random.default_rng(0))
    assert found.unexplained < 0.1
    assert found.chance == 1


GOOD = Curves(
    removed=np.array([0, 0.5, 1]),
    deletion=np.array([0.9, 0.2, 0.1]),
    reversed_deletion=np.array([0.9, 0.8, 0.1]),
    random=np.array([[0.9, 0.5, 0.1], [0.9, 0.52, 0.1], [0.9, 0.48, 0.1]]),
)
FITS = Infidelity(value=0.01, unexplained=0.1, shuffled_unexplained=0.4, chance=0.01)


def random_network(correlation, num_elements=50):
    return (
        Randomised(layers="classifier", correlation=0.9, num_elements=num_elements),
        Randomised(layers="whole encoder", correlation=correlation, num_elements=num_elements),
    )


def flat(curve):
    return 0.5 + MIN_SPAN * (curve - 0.5)


FLAT = Curves(
    removed=GOOD.removed,
    deletion=flat(GOOD.deletion),
    reversed_deletion=flat(GOOD.reversed_deletion),
    random=flat(GOOD.random),
)


@pytest.mark.parametrize(
    ("verdict", "reason", "changes"),
    [
        ("supported", "sooner than random", {}),
        ("supported", "random weights gives another", {"randomised": random_network(0.2)}),
        ("supported", "nearly the same under noise", {"sensitivity": 0.3}),
        # a correlation that chance gives to so few
        ("supported", "sooner than random", {"randomised": random_network(0.6, num_elements=5)}),
        ("weak", "too few", {"num_elements": 3}),
        ("weak", "not when they are added", {"found": replace(GOOD, reversed_deletion=GOOD.random[0])}),
        ("weak", "not when they are removed", {"found": replace(GOOD, deletion=GOOD.random[0])}),
        ("weak", "little to explain", {"found": FLAT}),
        ("weak", "at random, its shares", {"size": replace(FITS, chance=0.3)}),
        # of many elements a few sets say too little
        ("supported", "sooner than random", {"num_elements": 960, "size": replace(FITS, chance=0.3)}),
        ("weak", "25% of the difference", {"relative_gap": 0.25}),
        ("weak", "a good deal", {"sensitivity": 0.7}),
        (
            "do not rely on this",
            "no sooner",
            {"found": replace(GOOD, deletion=GOOD.random[0], reversed_deletion=GOOD.random[1])},
        ),
        (
            "do not rely on this",
            "no sooner",
            {"found": replace(GOOD, deletion=GOOD.reversed_deletion, reversed_deletion=GOOD.deletion)},
        ),
        ("do not rely on this", "another one", {"sensitivity": 1.2}),
        ("do not rely on this", "what was learned", {"randomised": random_network(0.6)}),
    ],
)
def test_each_rule_of_the_verdict(verdict, reason, changes):
    given = {"element": "word", "num_elements": 6, "found": GOOD, "size": FITS} | changes
    answer, reasons = judge(**given)
    assert answer == verdict in VERDICTS
    assert any(reason in sentence for sentence in reasons)
    # one rule at a time: nothing else is held against it
    assert verdict == "supported" or len(reasons) == 1


def test_the_right_order_of_few_elements_is_not_told_from_one_by_chance():
    # of eight elements one alone matters: a random order begins with it once in eight times
    shares = np.eye(8)[3]
    found = curves(additive(shares), shares, num_random=6, rng=np.random.default_rng(3))
    assert found.deletion_area < found.random_areas.min()
    verdict, reasons = judge("word", 8, found, FITS)
    assert verdict == "do not rely on this"
    assert reasons == ("Its order of the words moves the answer no sooner than a random order may.",)


def test_what_counts_most_is_said_first():
    answer, reasons = judge("frame", 6, GOOD, FITS, relative_gap=0.5, sensitivity=2.0)
    assert answer == "do not rely on this"
    assert "Noise" in reasons[0] and "unexplained" in reasons[1]


def test_faithfulness_of_frames_asks_the_model(subject):
    attribution = left_out(subject)
    found = faithfulness(subject, attribution, num_random=3, num_perturbations=6)
    kept = subject.choice.frames.kept[0].numpy()
    order = kept[np.argsort(-attribution.values[kept], kind="stable")]
    expected = [
        subject.ask([Variant(frames=~np.isin(np.arange(6), order[:num]))])[0][subject.labels.index("joy")]
        for num in range(len(kept) + 1)
    ]
    np.testing.assert_allclose(found.curves.deletion, expected, atol=1e-6)
    # what stays of nothing is the model without video
    without = JOY.of(subject.ask([Variant(without=frozenset({"video"}))])[0], subject.labels)
    assert found.curves.insertion[0] == pytest.approx(without, abs=1e-6)
    assert found.num_elements == len(kept) < 6 and np.isnan(found.sensitivity) and found.randomised == ()
    # it can be kept
    assert from_bytes(Faithfulness, to_bytes(found)).reasons == found.reasons
    again = faithfulness(subject, attribution, num_random=3, num_perturbations=6)
    np.testing.assert_array_equal(again.curves.random, found.curves.random)


def test_a_contrast_is_tested_as_a_contrast(subject):
    target = Target(label="joy", instead_of="fear")
    attribution = replace(left_out(subject, "word"), target=target)
    found = faithfulness(subject, attribution, num_random=2, num_perturbations=4)
    assert found.curves.deletion[0] == pytest.approx(
        target.of(subject.probabilities, subject.labels), abs=1e-6
    )


def test_words_that_were_explained_by_themselves_are_tested_by_themselves(subject):
    attribution = replace(left_out(subject, "word"), target=JOY, method="shapley-sampling")
    found = faithfulness(subject, attribution, num_random=2, num_perturbations=4)
    words, nothing = subject.ask(
        [Variant(without=frozenset(absent)) for absent in (("video", "audio"), ("video", "audio", "text"))]
    )
    assert found.curves.deletion[0] == pytest.approx(JOY.of(words, subject.labels), abs=1e-6)
    assert found.curves.deletion[-1] == pytest.approx(JOY.of(nothing, subject.labels), abs=1e-6)


def test_patches_of_kept_frames_are_removed_while_the_frames_are_held(subject):
    rows, columns = subject.patch_grid
    attribution = attribution_of(subject, "patch", np.random.default_rng(0).normal(size=(6, rows, columns)))
    tested = removable_elements(subject, attribution)
    kept = subject.choice.frames.kept[0].numpy()
    assert sorted(set(np.nonzero(tested)[0])) == sorted(kept)
    value = values_of(subject, "patch", JOY, tested)
    all_stay, none_stays = value(np.array([[True], [False]]).repeat(tested.sum(), 1))
    assert all_stay == pytest.approx(JOY.of(subject.probabilities, subject.labels), abs=1e-6)
    without = JOY.of(subject.ask([Variant(without=frozenset({"video"}))])[0], subject.labels)
    assert none_stays == pytest.approx(without, abs=1e-6)


def test_gap_is_told_as_a_share(subject):
    words = left_out(subject, "word")
    for value, gap, expected in ((0.7, 0.1, 0.2), (0.21, 0.005, 0.05)):
        attribution = replace(words, value=value, baseline_value=0.2, gap=gap)
        found = faithfulness(subject, attribution, num_random=2, num_perturbations=2)
        assert found.relative_gap == pytest.approx(expected)


@pytest.mark.parametrize("element", ["frame", "window"])
def test_sensitivity_is_the_largest_relative_change(subject, element):
    own = np.array([3.0, 0, 4, 0, 0, 0])
    attribution = attribution_of(subject, element, own)
    answers = iter([[3, 0, 4, 0, 0, 0], [3, 1, 4, 0, 0, 0], [3, 0, 2, 0, 0, 0]])
    noise = []

    def explain(other):
        before, after = (
            (subject.waveform, other.waveform) if element == "window" else (subject.frames, other.frames)
        )
        noise.append((after - before).square().mean().sqrt().item() / before.square().mean().sqrt().item())
        return attribution_of(other, element, next(answers))

    found = sensitivity(subject, attribution, explain, 3, np.random.default_rng(0))
    assert found == pytest.approx(2 / 5)
    if element == "window":
        assert noise == pytest.approx([0.01] * 3, rel=0.02)
    else:
        assert 0 < max(noise) < 0.03


def test_an_unchanged_model_correlates_perfectly(subject):
    attribution = left_out(subject)
    with subject.model() as model:
        same = copy.deepcopy(model)
    assert compare("none", attribution.values, left_out(subject.changed(model=same)).values).correlation == 1


def test_comparison_is_spearmans_over_what_has_a_part():
    one, other = np.array([0, 3.0, 1, 2, 0]), np.array([0, 9.0, 4, 0, 0])
    found = compare("all", one, other)
    assert found.num_elements == 3
    assert found.correlation == pytest.approx(stats.spearmanr([3, 1, 2], [9, 4, 0]).statistic)
    assert compare("all", one, np.zeros(5)).correlation == 0


@pytest.mark.parametrize("modality", ["video", "audio", "text"])
def test_layers_are_drawn_anew_from_the_top_until_the_encoder_is_gone(subject, modality):
    element = {"video": "frame", "audio": "window", "text": "word"}[modality]
    with subject.model() as model:
        original = {name: value.clone() for name, value in model.named_parameters()}
    changed = []

    def explain(other):
        with other.model() as network:
            parameters = dict(network.named_parameters())
        changed.append({n for n, p in parameters.items() if not torch.equal(p, original[n])})
        return attribution_of(other, element, np.arange(6.0))

    attribution = attribution_of(subject, element, np.arange(6.0))
    found = randomised(subject, attribution, explain)
    with subject.model() as model:
        names = [name for name, _ in layer_groups(model, modality)]
        assert all(torch.equal(value, original[n]) for n, value in model.named_parameters())
    assert [one.layers for one in found] == names
    # an explanation that looks at nothing
    assert [one.correlation for one in found] == pytest.approx([1] * len(names))
    assert all(before < after for before, after in zip(changed, changed[1:], strict=False))
    assert changed[0] and all(name.startswith("classifier") for name in changed[0])
    encoder = {n for n in original if n.startswith(f"{modality}.") and original[n].std(correction=0) > 0}
    assert encoder <= changed[-1]


def test_the_network_that_has_forgotten_all_is_the_last_of_the_cascade(subject):
    explained = []

    def explain(other):
        explained.append(other.probabilities)
        return attribution_of(other, "word", np.argsort(other.probabilities)[:6])

    attribution = attribution_of(subject, "word", np.arange(6.0))
    cascade = randomised(subject, attribution, explain)
    last = explained[-1]
    explained.clear()
    [alone] = randomised(subject, attribution, explain, only_whole=True)
    assert alone == cascade[-1] and alone.layers == "whole encoder"
    assert len(explained) == 1
    np.testing.assert_allclose(explained[0], last, atol=1e-7)
    assert abs(last - subject.probabilities).max() > 1e-3


def test_like_is_held_against_like(subject):
    """Explanations of the tests may take fewer steps: that of the clip does too, and is compared."""
    coarse = np.array([1.0, 0, 3, 2, 0, 5])
    asked = []

    def explain(other):
        asked.append(other)
        return attribution_of(other, "frame", coarse)

    found = faithfulness(
        subject, left_out(subject), explain=explain, num_random=2, num_perturbations=4, num_changed=2
    )
    assert asked[0] is subject and len(asked) == 1 + 2 + len(found.randomised)
    assert found.sensitivity == pytest.approx(0)
    assert [one.correlation for one in found.randomised] == pytest.approx([1] * 5)


def test_cancelling_ends_it(subject):
    with pytest.raises(ExplanationCancelledError):
        faithfulness(subject, left_out(subject), cancelled=lambda: True)
