from itertools import combinations
from types import SimpleNamespace

import captum.attr
import numpy as np
import pytest
import torch

from core.attribution.modalities import (
    CONFLICT_PRODUCT,
    heard_alone,
    report,
    shapley_interaction,
    shapley_values,
    shown_verdict,
)
from core.labels import IEMOCAP_6, MELD_7
from core.prediction import PAIRS, SUBSETS

LABELS = ("neutral", "joy", "anger")
ALL = {"video": True, "audio": True, "text": True}


def answers(**rows: tuple[float, float, float]) -> np.ndarray:
    """`(8, 3)` probabilities; coalitions that are not named say nothing in particular."""
    table = {"+".join(subset) or "none": (0.4, 0.3, 0.3) for subset in SUBSETS} | {
        name.replace("_", "+"): row for name, row in rows.items()
    }
    return np.array([table["+".join(subset) or "none"] for subset in SUBSETS])


def test_shapley_of_a_hand_worked_game():
    # The glove game: video holds a left glove, audio and text hold a right one; a pair is worth 1.
    # Textbook solution: 2/3 to the left glove, 1/6 to each right one.
    worth = [[float("video" in s and ("audio" in s or "text" in s))] for s in SUBSETS]
    np.testing.assert_allclose(shapley_values(np.array(worth))[:, 0], [2 / 3, 1 / 6, 1 / 6])


def game(worth) -> np.ndarray:
    """`(8, 1)` what `worth` gives to each coalition, a set."""
    return np.array([[float(worth(set(subset)))] for subset in SUBSETS])


def test_shapley_and_interactions_of_a_hand_worked_table():
    #          none  v    a    t    va   vt   at   vat
    points = [10, 30, 20, 10, 60, 30, 40, 90]
    values = np.array(points, float)[:, None]
    # what joining changes in each of the six orders:
    # v a t: 20 30 30   v t a: 20 60 0   a v t: 40 10 30   a t v: 50 10 20   t v a: 20 60 0   t a v: 50 30 0
    # as (video, audio, text) of the order named
    np.testing.assert_allclose(
        shapley_values(values)[:, 0],
        [
            (20 + 20 + 40 + 50 + 20 + 50) / 6,
            (30 + 60 + 10 + 10 + 60 + 30) / 6,
            (30 + 0 + 30 + 20 + 0 + 0) / 6,
        ],
    )
    # second differences without and with the third: va 60−30−20+10, 90−30−40+10; vt 30−30−10+10, 90−60−40+20;
    # at 40−20−10+10, 90−60−30+30
    pairs = [shapley_interaction(values, pair)[0] for pair in PAIRS]
    np.testing.assert_allclose(pairs, [(20 + 30) / 2, (0 + 10) / 2, (20 + 30) / 2])
    # 90 − (60 + 30 + 40) + (30 + 20 + 10) − 10
    np.testing.assert_allclose(shapley_interaction(values, ("video", "audio", "text")), 10)


@pytest.mark.parametrize(
    ("worth", "pairs", "triple"),
    [
        # parts that only add up do not interact
        (lambda s: 0.2 + 0.3 * ("video" in s) - 0.1 * ("audio" in s) + 0.5 * ("text" in s), [0, 0, 0], 0),
        # worth something only together
        (lambda s: {"video", "text"} <= s, [0, 1, 0], 0),
        (lambda s: len(s) == 3, [0.5, 0.5, 0.5], 1),
        # either will do: overlap is below zero
        (lambda s: "audio" in s or "text" in s, [0, 0, -1], 0),
        # any will do: 1 − 2 + 0 without the third, 0 with it; 1 − 3 + 3 − 0 for all
        (lambda s: len(s) > 0, [-0.5, -0.5, -0.5], 1),
    ],
    ids=["additive", "pair only together", "all only together", "either of two", "any"],
)
def test_interactions_of_hand_worked_games(worth, pairs, triple):
    values = game(worth)
    np.testing.assert_allclose([shapley_interaction(values, pair)[0] for pair in PAIRS], pairs, atol=1e-12)
    np.testing.assert_allclose(shapley_interaction(values, ("video", "audio", "text")), triple, atol=1e-12)


def test_interactions_equal_the_formula_by_dividends():
    # another way to the same index: every coalition's dividend (what no smaller one explains) is shared out,
    # I(T) = Σ over R ⊇ T of dividend(R) / (|R| − |T| + 1)
    values = np.random.default_rng(4).normal(size=(8, 3))
    worth = {frozenset(s): row for s, row in zip(SUBSETS, values, strict=True)}
    dividend = {}
    for size in range(4):
        for members in combinations(("video", "audio", "text"), size):
            inside = [dividend[smaller] for smaller in dividend if smaller < frozenset(members)]
            dividend[frozenset(members)] = worth[frozenset(members)] - sum(inside)
    for group in SUBSETS[1:]:
        expected = sum(d / (len(r) - len(group) + 1) for r, d in dividend.items() if r >= set(group))
        np.testing.assert_allclose(shapley_interaction(values, group), expected, atol=1e-12)


def test_equal_modalities_are_treated_equally():
    values = np.random.default_rng(5).dirichlet(np.ones(3), size=8)
    other = {"video": "text", "audio": "audio", "text": "video"}
    order = [SUBSETS.index(tuple(m for m in other if other[m] in subset)) for subset in SUBSETS]
    before, after = report(values, LABELS, ALL), report(values[order], LABELS, ALL)
    np.testing.assert_allclose(after.shapley, before.shapley[[2, 1, 0]], atol=1e-15)
    # video+audio, video+text, audio+text become audio+text, video+text, video+audio
    np.testing.assert_allclose(after.pair_interactions, before.pair_interactions[[2, 1, 0]], atol=1e-15)
    np.testing.assert_allclose(after.triple_interaction, before.triple_interaction, atol=1e-15)
    # where nothing tells two apart, they get the same
    alike = report((values + values[order]) / 2, LABELS, ALL)
    np.testing.assert_allclose(alike.shapley[0], alike.shapley[2], atol=1e-15)
    np.testing.assert_allclose(alike.pair_interactions[0], alike.pair_interactions[2], atol=1e-15)


def test_a_contrast_has_the_difference_of_the_interactions():
    values = np.random.default_rng(6).dirichlet(np.ones(3), size=8)
    result = report(values, LABELS, ALL)
    contrast = shapley_interaction(values[:, 1] - values[:, 2], ("video", "text"))
    np.testing.assert_allclose(result.pair_interactions[1, 1] - result.pair_interactions[1, 2], contrast)


def test_shapley_equals_captum():
    torch.manual_seed(3)
    weights = torch.randn(3, 5)

    def value(players: torch.Tensor) -> torch.Tensor:
        mixed = players @ weights
        return torch.softmax(torch.stack([mixed[:, 0] * mixed[:, 1], mixed[:, 2].sin(), mixed[:, 3]], 1), 1)

    coalitions = torch.tensor([[float(m in s) for m in ("video", "audio", "text")] for s in SUBSETS])
    ours = shapley_values(value(coalitions).numpy())
    for target in range(3):
        theirs = captum.attr.ShapleyValues(value).attribute(torch.ones(1, 3), target=target)
        np.testing.assert_allclose(ours[:, target], theirs[0].numpy(), atol=1e-5)


def test_shapley_values_sum_to_the_difference():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=8)
    result = report(probabilities, LABELS, ALL)
    np.testing.assert_allclose(result.shapley.sum(axis=0), probabilities[7] - probabilities[0], atol=1e-12)


@pytest.mark.parametrize("absent", ["video", "audio", "text"])
def test_an_absent_modality_gets_exactly_zero(absent):
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), size=8)
    touched = [absent in subset for subset in SUBSETS]
    probabilities[touched] = np.nan
    result = report(probabilities, LABELS, ALL | {absent: False})
    row = ("video", "audio", "text").index(absent)
    assert (result.shapley[row] == 0).all()
    touching = [absent in pair for pair in PAIRS]
    assert (result.pair_interactions[touching] == 0).all() and (result.triple_interaction == 0).all()
    assert (result.pair_interactions[np.logical_not(touching)] != 0).all()
    there = SUBSETS.index(tuple(m for m in ("video", "audio", "text") if m != absent))
    np.testing.assert_allclose(result.shapley.sum(axis=0), probabilities[there] - probabilities[0])
    assert np.isnan(result.probabilities[touched]).all()
    assert np.isfinite(result.probabilities[np.logical_not(touched)]).all()


def test_rows_of_absent_modalities_are_hidden_even_when_given():
    result = report(np.full((8, 3), 1 / 3), LABELS, ALL | {"text": False})
    assert [np.isnan(row).any() for row in result.probabilities] == ["text" in s for s in SUBSETS]


# From nothing the model answers neutral 40 %, joy 30 %, anger 30 % (see `answers`): to be said, neutral needs
# at least 50 %, joy and anger 40 %.
CASES = [
    (
        "agree",
        dict(video=(0.1, 0.7, 0.2), audio=(0.1, 0.6, 0.3), text=(0.1, 0.8, 0.1), full=(0, 0.9, 0.1)),
        "Each modality alone says joy (video 70 %, audio 60 %, text 80 %).",
    ),
    (
        "redundant",
        dict(video=(0.8, 0.1, 0.1), audio=(0.1, 0.6, 0.3), text=(0.1, 0.7, 0.2), full=(0, 0.9, 0.1)),
        "Audio (60 %) and text (70 %) alone say joy; video (80 %) alone says neutral.",
    ),
    (
        # 45 % neutral is video's first choice, but only five points above that of no modality
        "redundant",
        dict(video=(0.45, 0.3, 0.25), audio=(0.1, 0.6, 0.3), text=(0.1, 0.7, 0.2), full=(0, 0.9, 0.1)),
        "Audio (60 %) and text (70 %) alone say joy; video (45 %) leans to neutral.",
    ),
    (
        "complementary",
        dict(video=(0.7, 0.2, 0.1), audio=(0.1, 0.6, 0.3), text=(0.8, 0.1, 0.1), full=(0, 0.9, 0.1)),
        "Audio (60 %) alone says joy; video (70 %) and text (80 %) alone say neutral.",
    ),
    (
        "complementary",
        dict(video=(0.35, 0.27, 0.38), audio=(0.7, 0.2, 0.1), text=(0.1, 0.6, 0.3), full=(0, 0.9, 0.1)),
        "Text (60 %) alone says joy; audio (70 %) alone says neutral; video says nothing clear.",
    ),
    (
        "complementary",
        dict(video=(0.7, 0.2, 0.1), audio=(0.6, 0.3, 0.1), text=(0.8, 0.1, 0.1), full=(0.1, 0.8, 0.1)),
        "Only together do they say joy (80 %): video (70 %), audio (60 %) and text (80 %) alone say neutral.",
    ),
    (
        # joy is the first choice of all three, and of nobody by enough
        "complementary",
        dict(video=(0.3, 0.38, 0.32), audio=(0.3, 0.36, 0.34), text=(0.33, 0.37, 0.3), full=(0.1, 0.8, 0.1)),
        "Only together do they say joy (80 %): video, audio and text say nothing clear.",
    ),
    (
        "unclear",
        # 40 % neutral is what is there from nothing, 41 % leans
        dict(text=(0.41, 0.3, 0.29), full=(0.42, 0.3, 0.28)),
        "Together they only lean to neutral (42 %), hardly more than a guess: "
        "text (41 %) leans to neutral; video and audio say nothing clear.",
    ),
    (
        "unclear",
        dict(audio=(0.2, 0.6, 0.2), full=(0.44, 0.36, 0.2)),
        "Together they only lean to neutral (44 %), hardly more than a guess: "
        "audio (60 %) alone says joy; video and text say nothing clear.",
    ),
    (
        # under 40 % a first choice is not even leaned to
        "unclear",
        dict(video=(0.39, 0.31, 0.3), audio=(0.2, 0.6, 0.2), text=(0.3, 0.35, 0.35), full=(0.39, 0.31, 0.3)),
        "Together they say nothing clear, neutral (39 %) is hardly more than a guess: "
        "audio (60 %) alone says joy; video and text say nothing clear.",
    ),
    (
        "conflict",
        dict(video=(0.1, 0.8, 0.1), audio=(0.8, 0.1, 0.1), text=(0.0, 0.1, 0.9), full=(0.1, 0.5, 0.4)),
        "Video (80 %) alone says joy, but text (90 %) alone says anger; audio (80 %) alone says neutral. "
        "Together the model says joy (50 %).",
    ),
    (
        # who says the fused answer comes first, in a conflict too
        "conflict",
        dict(video=(0.1, 0.8, 0.1), text=(0.0, 0.1, 0.9), full=(0.1, 0.4, 0.5)),
        "Text (90 %) alone says anger, but video (80 %) alone says joy; audio says nothing clear. "
        "Together the model says anger (50 %).",
    ),
]


@pytest.mark.parametrize(("verdict", "rows", "sentence"), CASES)
def test_verdict_and_sentence(verdict, rows, sentence):
    rows = {"video_audio_text" if name == "full" else name: row for name, row in rows.items()}
    result = report(answers(**rows), LABELS, ALL)
    assert (result.verdict, result.sentence) == (verdict, sentence)


@pytest.mark.parametrize(
    ("video", "text", "is_conflict"),
    [
        ((0.1, 0.85, 0.05), (0.1, 0.05, 0.85), True),  # 0.7225
        ((0.1, 0.83, 0.07), (0.1, 0.06, 0.84), False),  # 0.6972
        # a surer one makes up for a less sure one
        ((0.02, 0.95, 0.03), (0.2, 0.05, 0.75), True),  # 0.7125
        ((0.02, 0.95, 0.03), (0.25, 0.03, 0.72), False),  # 0.684
    ],
)
def test_a_contradiction_is_clear_on_both_sides(video, text, is_conflict):
    result = report(answers(video=video, text=text, video_audio_text=(0.2, 0.6, 0.2)), LABELS, ALL)
    assert (result.verdict == "conflict") == is_conflict


@pytest.mark.parametrize(
    ("video", "text", "is_conflict"),
    [
        # the words need not know which of the other emotions it is
        (dict(joy=0.9, neutral=0.1), dict(anger=0.45, disgust=0.4, neutral=0.15), True),
        (dict(joy=0.9, neutral=0.1), dict(surprise=0.9, neutral=0.1), True),
        # fear for surprise, and disgust for anger, are confusions
        (dict(fear=0.95, neutral=0.05), dict(surprise=0.95, neutral=0.05), False),
        (dict(anger=0.95, neutral=0.05), dict(disgust=0.95, neutral=0.05), False),
        # joy must be its first choice, and so must be an emotion
        (dict(joy=0.95, neutral=0.05), dict(neutral=0.95, anger=0.05), False),
        (dict(neutral=0.95, joy=0.05), dict(anger=0.95, neutral=0.05), False),
    ],
)
def test_a_conflict_is_one_of_joy_and_another_emotion(video, text, is_conflict):
    def row(**known):
        return [known.get(label, 0.0) for label in MELD_7.labels]

    guess = row(neutral=0.4, joy=0.1, anger=0.1, fear=0.1, surprise=0.1, sadness=0.1, disgust=0.1)
    rows = {(): guess, ("video",): row(**video), ("audio",): guess, ("text",): row(**text)}
    table = np.array([rows.get(subset, row(**video)) for subset in SUBSETS])
    assert (report(table, MELD_7.labels, ALL).verdict == "conflict") == is_conflict


def test_joy_and_excited_are_of_one_side():
    def row(**known):
        return [known.get(label, 0.0) for label in IEMOCAP_6.labels]

    rows = {(): row(neutral=1.0), ("video",): row(joy=1.0), ("text",): row(excited=1.0)}
    table = np.array([rows.get(subset, row(joy=1.0)) for subset in SUBSETS])
    assert report(table, IEMOCAP_6.labels, ALL).verdict != "conflict"


def test_neutral_contradicts_nobody_and_a_whisper_is_no_conflict():
    # from nothing 20 % anger, so that the whisper is said, only not loud enough
    nothing, video, whisper = (0.5, 0.3, 0.2), (0.0, 1.0, 0.0), CONFLICT_PRODUCT - 0.01
    text = (1 - whisper - 0.05, 0.05, whisper)
    result = report(answers(none=nothing, video=video, text=text, video_audio_text=video), LABELS, ALL)
    assert result.verdict == "complementary" and f"text ({whisper:.0%})" in result.sentence.replace(" %", "%")
    neutral = answers(video=(0.1, 0.7, 0.2), text=(0.9, 0.05, 0.05), video_audio_text=(0.1, 0.8, 0.1))
    assert report(neutral, LABELS, ALL).verdict == "complementary"


def test_what_is_likely_from_nothing_contradicts_nobody():
    # anger has 45 % in text, which would be loud enough, but 40 % with no modality at all
    rows = dict(none=(0.3, 0.3, 0.4), text=(0.3, 0.25, 0.45), audio=(0.29, 0.3, 0.41))
    result = report(answers(**rows, video=(0.1, 0.7, 0.2), video_audio_text=(0.1, 0.8, 0.1)), LABELS, ALL)
    assert result.verdict == "complementary"
    assert result.sentence == "Video (70 %) alone says joy; audio (41 %) and text (45 %) lean to anger."


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ((0.2, 0.7, 0.1), "Only audio is present, so its joy (70 %) stands alone."),
        (
            (0.45, 0.3, 0.25),
            "Only audio is present, and it only leans to neutral (45 %), hardly more than a guess.",
        ),
        (
            (0.32, 0.34, 0.34),
            "Only audio is present, and it says nothing clear; joy (34 %) is hardly more than a guess.",
        ),
    ],
)
def test_one_modality_alone_is_said(row, sentence):
    only_audio = {"video": False, "audio": True, "text": False}
    result = report(answers(audio=row), LABELS, only_audio)
    assert (result.verdict, result.sentence) == ("single", sentence)
    np.testing.assert_allclose(result.shapley[1], np.array(row) - [0.4, 0.3, 0.3])


def answered(*, is_uncertain: bool, **rows):
    """What `shown_verdict` reads of a prediction, and no more."""
    given = report(answers(**rows), LABELS, ALL)
    return SimpleNamespace(modalities=given, is_uncertain=is_uncertain, labels=LABELS, present=ALL)


def test_an_uncertain_answer_has_no_supporters():
    rows = dict(video=(0.1, 0.7, 0.2), text=(0.3, 0.35, 0.35), video_audio_text=(0.3, 0.4, 0.3))
    sure = answered(is_uncertain=False, **rows)
    assert shown_verdict(sure)[0] == sure.modalities.verdict == "complementary"
    unsure = answered(is_uncertain=True, **rows)
    assert shown_verdict(unsure) == (
        "unclear",
        "The answer itself is uncertain, joy (40 %): video (70 %) alone says joy; "
        "audio and text say nothing clear.",
    )
    assert unsure.modalities.verdict == "complementary"  # what evaluations store


def test_each_modality_alone_says_leans_or_says_nothing_clear():
    # from nothing: neutral 40 %, joy and anger 30 %
    rows = dict(video=(0.1, 0.7, 0.2), audio=(0.45, 0.3, 0.25), text=(0.4, 0.35, 0.25))
    heard = heard_alone(answered(is_uncertain=False, **rows))
    told = {m: (one.label, one.probability, one.is_said, one.is_leaning) for m, one in heard.items()}
    assert told == {
        "video": ("joy", 0.7, True, False),
        "audio": ("neutral", 0.45, False, True),
        "text": ("neutral", 0.4, False, False),
    }


def test_a_first_choice_below_that_from_nothing_is_no_leaning():
    rows = dict(none=(0.49, 0.26, 0.25), text=(0.41, 0.3, 0.29))
    given = report(answers(**rows), LABELS, ALL | {"video": False})
    without_video = SimpleNamespace(modalities=given, labels=LABELS, present=ALL | {"video": False})
    heard = heard_alone(without_video)
    assert list(heard) == ["audio", "text"]
    assert (heard["text"].is_said, heard["text"].is_leaning) == (False, False)


def test_a_conflict_is_told_also_where_the_answer_is_uncertain():
    rows = dict(video=(0.1, 0.8, 0.1), text=(0.0, 0.1, 0.9), video_audio_text=(0.2, 0.4, 0.4))
    unsure = answered(is_uncertain=True, **rows)
    assert shown_verdict(unsure) == ("conflict", unsure.modalities.sentence)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="no modality"):
        report(answers(), LABELS, dict.fromkeys(ALL, False))
    with pytest.raises(ValueError, match="8 coalitions"):
        report(answers()[:7], LABELS, ALL)
    with pytest.raises(ValueError, match="8 coalitions"):
        shapley_values(np.zeros((7, 3)))
