"""From units, speech and blinks to blend shapes, wrinkles and the moving mesh."""

import numpy as np
import pytest

from sample_data.corpus.face.action_units import (
    CROWS_FEET,
    FOREHEAD_MIDDLE,
    GLABELLA,
    NASOLABIAL,
    NUM_WRINKLES,
    UNITS,
    controls,
)
from sample_data.corpus.face.landmarks import landmarks
from sample_data.corpus.face.mesh import SKIN, add_morphs, template
from sample_data.corpus.face.state import FaceState
from sample_data.corpus.motion import ACTION_UNITS


def shapes(age: float = 0.0, **state) -> dict[str, float]:
    return {name: weight for name, weight in controls(FaceState(**state), age).shapes.items() if weight}


def wrinkles(age: float = 0.0, **state) -> np.ndarray:
    return controls(FaceState(**state), age).wrinkles


def moved(**state) -> np.ndarray:
    """`(vertex, 3)` canonical movement of the template."""
    head = template()
    vertices = np.zeros_like(head.base)
    weights = head.expression_weights(controls(FaceState(**state), 0.0).shapes)
    add_morphs(vertices, weights, head.expression_starts, head.expression_vertices, head.expression_moves)
    return vertices


def skin_near(x: float, y: float) -> int:
    """The vertex of the face's front nearest to a canonical place."""
    head = template()
    skin = head.vertices_of(SKIN)
    skin = skin[head.canonical[skin, 2] > 3.5]
    return int(skin[np.argmin(np.hypot(*(head.canonical[skin, :2] - (x, y)).T))])


INNER_BROW, OUTER_BROW = (0.35, 0.62), (1.55, 0.70)
MOUTH_CORNER = (0.82, -2.12)


def rise(place: tuple[float, float], **state) -> float:
    return float(moved(**state)[skin_near(*place), 1])


def lips_apart(**state) -> float:
    marks, move = landmarks(), moved(**state)
    return float(move[marks.upper_lip, 1] - move[marks.lower_lip, 1])


def test_a_face_at_rest_moves_nothing():
    assert shapes() == {}
    assert np.array_equal(wrinkles(), np.zeros(NUM_WRINKLES))


def test_age_shows_at_rest():
    assert (wrinkles(age=1.0) >= 0).all() and wrinkles(age=1.0)[CROWS_FEET] == pytest.approx(0.35)
    assert wrinkles(age=0.5) == pytest.approx(0.5 * wrinkles(age=1.0))


def test_every_tracked_unit_moves_the_mesh():
    for unit in ACTION_UNITS:
        assert np.abs(moved(action_units={unit: 1.0})).max() > 0.005, unit


def test_every_shape_exists_on_the_mesh():
    names = template().expression_names
    assert {name for unit in UNITS.values() for name in unit.shapes} <= set(names)


def test_a_smile_alone_is_the_smile_of_its_table():
    assert shapes(action_units={12: 1.0}) == pytest.approx(dict(UNITS[12].shapes))
    assert wrinkles(action_units={12: 1.0})[NASOLABIAL] == pytest.approx(0.9)


def test_half_the_intensity_shows_as_six_tenths():
    full, half = shapes(action_units={12: 1.0}), shapes(action_units={12: 0.5})
    assert half == pytest.approx({name: 0.5**0.75 * weight for name, weight in full.items()})


def test_smile_and_frown_move_the_corners_oppositely():
    assert rise(MOUTH_CORNER, action_units={12: 1.0}) > 0.03
    assert rise(MOUTH_CORNER, action_units={15: 1.0}) < -0.02


def test_brows_rise_and_fall():
    assert rise(INNER_BROW, action_units={1: 1.0}) > 0.02
    assert rise(OUTER_BROW, action_units={2: 1.0}) > 0.02
    assert rise(INNER_BROW, action_units={4: 1.0}) < -0.02
    assert wrinkles(action_units={1: 1.0})[FOREHEAD_MIDDLE] == pytest.approx(1.0)


def test_drawn_together_the_inner_brows_stay_up():
    assert rise(INNER_BROW, action_units={1: 1.0, 4: 1.0}) > 0.015
    assert rise(OUTER_BROW, action_units={1: 1.0, 4: 1.0}) < rise(INNER_BROW, action_units={1: 1.0, 4: 1.0})
    assert wrinkles(action_units={1: 1.0, 4: 1.0})[GLABELLA] > 1.0


def test_a_blink_overrides_wide_eyes_and_squints():
    wide = shapes(action_units={5: 1.0, 7: 1.0}, blink=1.0)
    assert wide == {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}


def test_lids_follow_the_gaze():
    assert shapes(gaze=(0.0, -0.1)) == pytest.approx({"eyeLookDownLeft": 0.24, "eyeLookDownRight": 0.24})
    assert shapes(gaze=(0.0, 0.1)) == pytest.approx({"eyeLookUpLeft": 0.15, "eyeLookUpRight": 0.15})


def test_asymmetry_strengthens_the_left_and_weakens_the_right():
    even, uneven = (
        shapes(action_units={1: 1.0, 12: 1.0}, asymmetry=asymmetry) for asymmetry in ({}, {1: 0.1, 12: 0.1})
    )
    assert uneven["mouthSmileLeft"] == pytest.approx(1.1 * even["mouthSmileLeft"])
    assert uneven["mouthSmileRight"] == pytest.approx(0.9 * even["mouthSmileRight"])
    inner = "mh/eyebrows-left-inner-up"
    assert uneven[inner] == pytest.approx(1.1 * even[inner])


def test_parted_lips_part_and_a_toothy_smile_more_than_a_smile():
    assert lips_apart(action_units={25: 1.0}) > 0.02
    assert lips_apart(action_units={12: 1.0, 25: 1.0}) > lips_apart(action_units={12: 1.0}) + 0.02


def test_a_smiling_mouth_still_smiles_while_talking():
    vowel = {"jawOpen": 0.44, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25}
    spoken = rise(MOUTH_CORNER, mouth=vowel)
    assert rise(MOUTH_CORNER, mouth=vowel, action_units={12: 1.0}) > spoken + 0.03


def test_the_jaw_is_shared_and_capped():
    speech = {"jawOpen": 0.44}
    both = shapes(mouth=speech, action_units={26: 1.0})["jawOpen"]
    assert max(0.44, UNITS[26].shapes["jawOpen"]) < both < 0.44 + UNITS[26].shapes["jawOpen"]
    assert shapes(mouth={"jawOpen": 2.0})["jawOpen"] == 0.85


@pytest.mark.parametrize(
    "units", [{25: 1.0, 26: 1.0}, {12: 1.0, 25: 1.0}, {20: 1.0, 25: 1.0}, {10: 1.0, 16: 1.0, 25: 1.0}]
)
def test_lips_close_for_p_and_b_in_expressions_that_open_them(units):
    press = {"mouthPressLeft": 0.55, "mouthPressRight": 0.55, "mouthRollLower": 0.25, "mouthRollUpper": 0.2}
    opened = lips_apart(action_units=units)
    assert lips_apart(action_units=units, mouth=press) < 0.25 * opened
