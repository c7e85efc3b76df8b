import captum.attr
import numpy as np
import pytest
import torch

from core.attribution.modalities import CONFLICT_PROBABILITY, report, shapley_values
from core.prediction import SUBSETS

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
        "Audio (60 %) and text (70 %) alone say joy; video says nothing clear.",
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
        dict(full=(0.42, 0.3, 0.28)),
        "Together they say nothing clear, neutral (42 %) is hardly more than a guess: "
        "video, audio and text say nothing clear.",
    ),
    (
        "unclear",
        dict(audio=(0.2, 0.6, 0.2), full=(0.44, 0.36, 0.2)),
        "Together they say nothing clear, neutral (44 %) is hardly more than a guess: "
        "audio (60 %) alone says joy; video and text say nothing clear.",
    ),
    (
        "conflict",
        dict(video=(0.1, 0.7, 0.2), audio=(0.8, 0.1, 0.1), text=(0.1, 0.3, 0.6), full=(0.1, 0.5, 0.4)),
        "Video (70 %) alone says joy, but text (60 %) alone says anger; audio (80 %) alone says neutral. "
        "Together the model says joy (50 %).",
    ),
    (
        # who says the fused answer comes first, in a conflict too
        "conflict",
        dict(video=(0.1, 0.7, 0.2), text=(0.1, 0.3, 0.6), full=(0.1, 0.4, 0.5)),
        "Text (60 %) alone says anger, but video (70 %) alone says joy; audio says nothing clear. "
        "Together the model says anger (50 %).",
    ),
]


@pytest.mark.parametrize(("verdict", "rows", "sentence"), CASES)
def test_verdict_and_sentence(verdict, rows, sentence):
    rows = {"video_audio_text" if name == "full" else name: row for name, row in rows.items()}
    result = report(answers(**rows), LABELS, ALL)
    assert (result.verdict, result.sentence) == (verdict, sentence)


def test_neutral_contradicts_nobody_and_a_whisper_is_no_conflict():
    just_below = CONFLICT_PROBABILITY - 0.01
    whisper = (1 - just_below - 0.25, 0.25, just_below)
    # from nothing 20 % anger, so that the whisper is said, only not loud enough
    nothing = (0.5, 0.3, 0.2)
    loud = answers(none=nothing, video=(0.1, 0.7, 0.2), text=whisper, video_audio_text=(0.1, 0.8, 0.1))
    result = report(loud, LABELS, ALL)
    assert result.verdict == "complementary" and f"text ({just_below:.0%})" in result.sentence.replace(
        " %", "%"
    )
    neutral = answers(video=(0.1, 0.7, 0.2), text=(0.9, 0.05, 0.05), video_audio_text=(0.1, 0.8, 0.1))
    assert report(neutral, LABELS, ALL).verdict == "complementary"


def test_what_is_likely_from_nothing_contradicts_nobody():
    # anger has 45 % in text, which would be loud enough, but 40 % with no modality at all
    rows = dict(none=(0.3, 0.3, 0.4), text=(0.3, 0.25, 0.45), audio=(0.3, 0.3, 0.4))
    result = report(answers(**rows, video=(0.1, 0.7, 0.2), video_audio_text=(0.1, 0.8, 0.1)), LABELS, ALL)
    assert result.verdict == "complementary"
    assert result.sentence == "Video (70 %) alone says joy; audio and text say nothing clear."


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ((0.2, 0.7, 0.1), "Only audio is present, so its joy (70 %) stands alone."),
        (
            (0.45, 0.3, 0.25),
            "Only audio is present, and it says nothing clear; neutral (45 %) is hardly more than a guess.",
        ),
    ],
)
def test_one_modality_alone_is_said(row, sentence):
    only_audio = {"video": False, "audio": True, "text": False}
    result = report(answers(audio=row), LABELS, only_audio)
    assert (result.verdict, result.sentence) == ("single", sentence)
    np.testing.assert_allclose(result.shapley[1], np.array(row) - [0.4, 0.3, 0.3])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="no modality"):
        report(answers(), LABELS, dict.fromkeys(ALL, False))
    with pytest.raises(ValueError, match="8 coalitions"):
        report(answers()[:7], LABELS, ALL)
    with pytest.raises(ValueError, match="8 coalitions"):
        shapley_values(np.zeros((7, 3)))
