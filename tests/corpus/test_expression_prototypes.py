"""Prototypes and what is drawn from them."""

import numpy as np
import pytest

from core.labels import MELD_7
from sample_data.corpus.expressions import (
    BODY,
    EXCLUDES,
    NEEDS,
    POLITE_SMILE,
    PROTOTYPES,
    SOCIAL_SMILE,
    draw_action_units,
)
from sample_data.corpus.motion import ACTION_UNITS

NUM_DRAWS = 600
DU_2014 = {
    "joy": {12, 25},
    "surprise": {1, 2, 25, 26},
    "fear": {1, 4, 20, 25},
    "sadness": {4, 15},
    "disgust": {9, 10},
    "anger": {4, 7},
}
"""Units that Du, Tao & Martinez (2014, table 1) saw in most faces of an emotion, apart from those that
exclude another one here (17 in disgust, 24 in anger)."""


def draws(emotion: str, intensity: float = 1.0) -> list[dict[int, float]]:
    generator = np.random.default_rng(3)
    return [draw_action_units(emotion, intensity, generator) for _ in range(NUM_DRAWS)]


def test_every_label_has_prototype_and_body():
    assert set(PROTOTYPES) == set(BODY) == set(MELD_7.labels)


def test_neutral_has_no_units():
    assert draws("neutral") == [{}] * NUM_DRAWS


@pytest.mark.parametrize("emotion", sorted(DU_2014))
def test_published_units_are_shown_in_most_faces(emotion):
    drawn = draws(emotion)
    for unit in DU_2014[emotion]:
        assert np.mean([unit in units for units in drawn]) > 0.8, unit


@pytest.mark.parametrize("emotion", sorted(PROTOTYPES))
def test_probabilities_and_ranges_hold(emotion):
    drawn = draws(emotion)
    for unit, (probability, lowest, highest) in PROTOTYPES[emotion].items():
        strengths = [units[unit] for units in drawn if unit in units]
        assert all(lowest <= strength <= highest for strength in strengths)
        free = unit not in NEEDS and not any(unit in others for others in EXCLUDES.values())
        if free:
            deviation = np.sqrt(probability * (1 - probability) / NUM_DRAWS)
            assert abs(len(strengths) / NUM_DRAWS - probability) <= 4 * deviation


def test_lips_are_pressed_or_apart_and_a_dropped_jaw_parts_them():
    for emotion in PROTOTYPES:
        for units in draws(emotion):
            assert not (25 in units and {17, 23, 24} & set(units))
            assert 25 in units or not {16, 26} & set(units)


def test_anger_comes_with_pressed_lips_and_with_bared_teeth():
    drawn = draws("anger")
    pressed = np.mean([bool({23, 24} & set(units)) for units in drawn])
    bared = np.mean([{16, 25} <= set(units) for units in drawn])
    assert pressed > 0.35
    assert bared > 0.35


def test_intensity_scales_every_unit():
    for full, half in zip(draws("fear"), draws("fear", 0.5), strict=True):
        assert half == pytest.approx({unit: strength / 2 for unit, strength in full.items()})


def test_strengths_stay_within_one():
    assert max(max(units.values()) for units in draws("joy", 1.5)) == 1.0


def test_same_generator_state_gives_the_same_units():
    first = draw_action_units("anger", 0.8, np.random.default_rng(5))
    assert first == draw_action_units("anger", 0.8, np.random.default_rng(5))


def test_smiles_for_others_leave_the_cheeks_alone():
    assert 12 in SOCIAL_SMILE and 6 not in SOCIAL_SMILE
    assert 6 not in POLITE_SMILE
    assert POLITE_SMILE[12][2] < SOCIAL_SMILE[12][1]


def test_all_units_have_tracks():
    units = {unit for prototype in (*PROTOTYPES.values(), SOCIAL_SMILE, POLITE_SMILE) for unit in prototype}
    assert units <= set(ACTION_UNITS)


def test_surprise_is_the_fastest_and_sadness_the_slowest():
    middle = {emotion: sum(body.onset_seconds) / 2 for emotion, body in BODY.items()}
    assert min(middle, key=middle.get) == "surprise"
    assert max(middle, key=middle.get) == "sadness"


def test_unknown_emotion_is_told():
    with pytest.raises(ValueError, match="'joyful'.*choose one of neutral, joy"):
        draw_action_units("joyful", 1.0, np.random.default_rng(0))
