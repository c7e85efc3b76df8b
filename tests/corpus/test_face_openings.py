"""Edges of lids and lips, and how what lies behind them is shaded."""

import math

import numpy as np
import pytest

from sample_data.corpus.face.eyes import IRIS_ANGLE, eye_color, wet_normal
from sample_data.corpus.face.mesh import LOWER_TEETH, TONGUE, UNIT, UPPER_TEETH, template
from sample_data.corpus.face.mouth import mouth_light, teeth_color, tooth_coordinates
from sample_data.corpus.face.openings import LEFT_LIDS, LIPS, RIGHT_LIDS, edge_curves, edges_at, openings

AHEAD, BLUE = np.array([0.0, 0.0, 1.0], np.float32), np.array([0.08, 0.2, 0.35], np.float32)
FAR = 1.0
"""From a lid or lip, dm: far enough not to be shaded by it."""


def curves(**weights: float) -> np.ndarray:
    head = template()
    vertices = head.base.copy()
    for name, weight in weights.items():
        index = head.expression_names[name]
        part = slice(head.expression_starts[index], head.expression_starts[index + 1])
        vertices[head.expression_vertices[part]] += weight * head.expression_moves[part]
    return edge_curves(vertices)


def gap(curve: np.ndarray, place: float = 0.5) -> float:
    """Between the edges, canonical units."""
    _, upper, lower = edges_at(curve, curve[0] + place * (curve[1] - curve[0]))
    return (upper - lower) / UNIT


def test_edges_lie_where_eyes_and_mouth_are():
    rest = curves() / UNIT
    left, right, mouth = ((row[0] + row[1]) / 2 for row in (rest[LEFT_LIDS], rest[RIGHT_LIDS], rest[LIPS]))
    assert (left, right, mouth) == pytest.approx((1.0, -1.0, 0.0), abs=0.06)
    assert all(len(edge) >= 8 for opening in openings() for edge in (opening.upper, opening.lower))


def test_lids_are_open_at_rest_and_meet_in_a_blink():
    assert 0.2 < gap(curves()[LEFT_LIDS]) < 0.4
    closed = curves(eyeBlinkLeft=1.0)
    assert abs(gap(closed[LEFT_LIDS])) < 0.08
    assert gap(closed[RIGHT_LIDS]) == pytest.approx(gap(curves()[RIGHT_LIDS]))


def test_wide_eyes_open_further_and_a_dropped_jaw_parts_the_lips():
    assert gap(curves(eyeWideLeft=1.0)[LEFT_LIDS]) > gap(curves()[LEFT_LIDS]) + 0.03
    assert abs(gap(curves()[LIPS])) < 0.05
    assert gap(curves(jawOpen=0.5)[LIPS]) > 0.3


def test_place_runs_from_corner_to_corner():
    curve = curves()[LIPS]
    middle = (curve[0] + curve[1]) / 2
    assert [edges_at(curve, x)[0] for x in (curve[0], middle, curve[1])] == pytest.approx([0.0, 0.5, 1.0])


def eye(angle: float, *, place: float = 0.5, below_upper: float = FAR, above_lower: float = FAR):
    """Colour and light at an angle below the axis of an eye that looks ahead."""
    return eye_color(
        0.0, -math.sin(angle), math.cos(angle), AHEAD, BLUE, AHEAD, place, below_upper, above_lower
    )


def test_pupil_is_black_iris_coloured_and_white_light():
    pupil, iris, white = eye(0.02)[:3], eye(0.6 * IRIS_ANGLE)[:3], eye(1.4 * IRIS_ANGLE)[:3]
    assert max(pupil) < 0.01
    assert iris[2] > iris[0]
    assert 0.4 < min(white) < max(white) < 0.7


def test_iris_darkens_towards_its_edge():
    assert sum(eye(0.91 * IRIS_ANGLE)[:3]) < 0.6 * sum(eye(0.7 * IRIS_ANGLE)[:3])


def test_the_upper_lid_shades_the_eye():
    assert eye(0.0, below_upper=0.0)[3] < 0.5 * eye(0.0)[3]
    assert eye(0.0, below_upper=0.01)[3] < eye(0.0, below_upper=0.03)[3] < eye(0.0)[3]


def test_the_inner_corner_is_flesh():
    red, green, _, _ = eye(0.9, place=0.02)
    assert red > 2 * green


def test_the_cornea_spreads_normals_that_the_white_keeps():
    x, z = math.sin(0.3), math.cos(0.3)
    spread = wet_normal(x, 0.0, z, x, 0.0, z, AHEAD)
    assert spread[0] > x and spread[3] == 1.0
    x, z = math.sin(0.8), math.cos(0.8)
    assert wet_normal(x, 0.0, z, x, 0.0, z, AHEAD) == pytest.approx((x, 0.0, z, 0.0))


def test_tooth_coordinates_count_from_the_middle():
    head = template()
    vertices = head.vertices_of(UPPER_TEETH)
    number, height = tooth_coordinates(UPPER_TEETH, vertices).T
    left = head.canonical[vertices, 0] > 0
    assert (number[left] > 0).all() and (number[~left] <= 0).all()
    assert abs(number).max() > 6
    assert (height.min(), height.max()) == pytest.approx((0.0, 1.0))
    lowest = np.argmin(head.canonical[vertices, 1])
    assert height[lowest] == 0.0


def test_lower_teeth_bite_upwards_and_the_tongue_runs_back():
    head = template()
    vertices = head.vertices_of(LOWER_TEETH)
    highest = np.argmax(head.canonical[vertices, 1])
    assert tooth_coordinates(LOWER_TEETH, vertices)[highest, 1] == pytest.approx(0.0)
    vertices = head.vertices_of(TONGUE)
    tip = np.argmax(head.canonical[vertices, 2])
    assert tooth_coordinates(TONGUE, vertices)[tip, 1] == pytest.approx(0.0)


def test_teeth_stand_apart_below_pink_gums():
    middle, between = teeth_color(0.5, 0.3, True, 1.0), teeth_color(0.999, 0.3, True, 1.0)
    assert sum(between) < 0.8 * sum(middle)
    red, green, _ = teeth_color(0.5, 0.9, True, 1.0)
    assert red > 2 * green


def test_the_mouth_is_darker_behind_under_the_lip_and_in_its_corners():
    front = mouth_light(0.0, 0.5, 0.05, 0.05)
    assert mouth_light(0.3, 0.5, 0.05, 0.05) < 0.5 * front
    assert mouth_light(0.0, 0.5, 0.0, 0.10) < front
    assert mouth_light(0.0, 0.02, 0.05, 0.05) < 0.6 * front
    assert mouth_light(0.0, 0.5, 0.0, 0.0) == 0.0
