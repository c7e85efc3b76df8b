from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

from sample_data.corpus.face import LIGHTS, Camera, FaceState, Head, sample_identity

SIZE = 64
PLAIN = replace(
    sample_identity(7),
    hair_style="bald",
    beard="none",
    glasses=None,
    iris="green",
    skin_tone=1.0,
    eye_shadow=None,
)


@pytest.fixture(scope="module")
def head():
    return Head(PLAIN)


def _width(box):
    return box[2] - box[0]


def _inside(inner, outer):
    return all(a >= b for a, b in zip(inner[:2], outer[:2], strict=True)) and all(
        a <= b for a, b in zip(inner[2:], outer[2:], strict=True)
    )


def _cut(pixels, box):
    left, top, right, bottom = (round(share * len(pixels)) for share in box)
    return pixels[top:bottom, left:right].astype(float)


def test_the_same_face_and_state_give_the_same_bytes_in_a_new_head(head):
    state = FaceState(action_units={12: 0.8, 25: 0.5}, yaw=0.2, gaze=(0.1, 0.0))
    hairy = replace(PLAIN, hair_style="bob")
    first = Head(hairy).render(state, size=SIZE)
    second = Head(hairy).render(state, size=SIZE)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.pixels.shape == (SIZE, SIZE, 3) and first.pixels.dtype == np.uint8


def test_different_identities_look_different(head):
    other = Head(replace(sample_identity(8), hair_style="bald"))
    one, two = (face.render(FaceState(), size=SIZE).pixels.astype(float) for face in (head, other))
    assert np.abs(one - two).mean() > 4


def test_hair_changes_the_picture_above_the_brows_and_not_the_mouth(head):
    bare = head.render(FaceState(), size=SIZE)
    hairy = Head(replace(PLAIN, hair_style="crop")).render(FaceState(), size=SIZE)
    difference = np.abs(hairy.pixels.astype(float) - bare.pixels).mean(axis=2)
    top = round(bare.face_box[1] * SIZE)
    assert difference[: top - 2].mean() > 5
    assert _cut(difference, bare.mouth_box).mean() < 1


def test_a_smile_widens_the_mouth(head):
    calm, smile = (head.render(FaceState(action_units=units), size=SIZE) for units in ({}, {12: 1.0}))
    assert _width(smile.mouth_box) > 1.12 * _width(calm.mouth_box)


def test_opening_the_jaw_opens_the_lips_by_unit_and_by_speech(head):
    closed = head.render(FaceState(), size=SIZE)
    by_unit = head.render(FaceState(action_units={26: 1.0}), size=SIZE)
    by_speech = head.render(FaceState(mouth={"jawOpen": 0.4}), size=SIZE)
    assert closed.lip_opening == 0
    assert by_unit.lip_opening > 0.05 and by_speech.lip_opening > 0.05
    assert by_unit.mouth_box[3] > closed.mouth_box[3] + 0.02, "the lower lip goes down"
    halfway = head.render(FaceState(mouth={"jawOpen": 0.2}), size=SIZE)
    assert closed.lip_opening < halfway.lip_opening < by_speech.lip_opening


def test_a_blink_hides_the_green_eyes(head):
    def green_pixels(blink):
        picture = head.render(FaceState(blink=blink), size=96, light="overcast")
        eyes = _cut(picture.pixels, picture.eyes_box)
        return (eyes[..., 1] > eyes[..., 0] + 5).sum()

    assert green_pixels(0.0) > 6
    assert green_pixels(0.0) > green_pixels(0.5) > green_pixels(1.0) == 0


def test_the_iris_lies_in_the_eyes_box(head):
    blue_eyed = replace(PLAIN, iris="blue")
    picture = Head(blue_eyed).render(FaceState(action_units={5: 1.0}), size=192, light="overcast")
    bluish = picture.pixels[..., 2].astype(int) > picture.pixels[..., 0].astype(int) + 8
    left, top, right, bottom = (round(share * 192) for share in picture.face_box)
    rows, columns = np.nonzero(bluish[top:bottom, left:right])
    assert len(rows) > 8
    inside = [
        picture.eyes_box[0] <= (left + column + 0.5) / 192 <= picture.eyes_box[2]
        and picture.eyes_box[1] <= (top + row + 0.5) / 192 <= picture.eyes_box[3]
        for row, column in zip(rows, columns, strict=True)
    ]
    assert np.mean(inside) > 0.95


def test_boxes_lie_within_the_face_and_in_order(head):
    picture = head.render(FaceState(), size=SIZE)
    assert _inside(picture.mouth_box, picture.face_box) and _inside(picture.eyes_box, picture.face_box)
    assert picture.eyes_box[3] < picture.mouth_box[1]
    middle = (picture.face_box[0] + picture.face_box[2]) / 2
    assert middle == pytest.approx(0.5, abs=0.02)


def test_the_face_box_parts_the_face_from_the_background(head):
    green = np.zeros((2 * SIZE, 2 * SIZE, 3), np.float32)
    green[..., 1] = 1.0
    picture = head.render(FaceState(), size=SIZE, background=green)
    pixels = picture.pixels.astype(int)
    is_background = (pixels[..., 1] > 200) & (pixels[..., 0] < 60)
    left, _, right, bottom = (round(share * SIZE) for share in picture.face_box)
    eye_row = round((picture.eyes_box[1] + picture.eyes_box[3]) / 2 * SIZE)
    assert is_background[eye_row, : left - 2].all() and is_background[eye_row, right + 2 :].all()
    assert not is_background[eye_row:bottom, (left + right) // 2].any()


def test_yaw_to_the_subjects_left_moves_the_face_to_the_pictures_right(head):
    ahead, turned = (head.render(FaceState(yaw=yaw), size=SIZE) for yaw in (0.0, 0.4))

    def mouth(picture):
        return (picture.mouth_box[0] + picture.mouth_box[2]) / 2

    assert mouth(turned) > mouth(ahead) + 0.05


def test_shift_is_right_and_up(head):
    calm, moved = (head.render(FaceState(shift=shift), size=SIZE) for shift in ((0.0, 0.0), (0.2, 0.1)))
    assert moved.eyes_box[0] > calm.eyes_box[0] + 0.03 and moved.eyes_box[1] < calm.eyes_box[1] - 0.01


def test_a_wider_field_of_view_makes_the_face_smaller_in_proportion(head):
    near, far = (
        head.render(FaceState(), size=SIZE, camera=Camera(field_of_view_degrees=angle))
        for angle in (15.0, 30.0)
    )
    expected = np.tan(np.radians(15.0)) / np.tan(np.radians(7.5))
    assert _width(near.eyes_box) / _width(far.eyes_box) == pytest.approx(expected, rel=0.01)


def test_more_exposure_and_every_light_work(head):
    means = [head.render(FaceState(), size=32, light=light).pixels.mean() for light in LIGHTS]
    assert len({round(mean) for mean in means}) > 3
    dark, bright = (head.render(FaceState(), size=32, exposure=gain).pixels.mean() for gain in (0.5, 1.5))
    assert bright > dark + 10


def test_a_background_of_the_wrong_size_is_refused_with_both_sizes(head):
    with pytest.raises(ValueError, match=r"\(64, 64, 3\).*\(128, 128, 3\)"):
        head.render(FaceState(), size=SIZE, background=np.zeros((SIZE, SIZE, 3), np.float32))


@pytest.mark.parametrize("style", ["long", "curly", "ponytail", "afro", "quiff"])
def test_hair_leaves_eyes_and_mouth_free(style):
    bare = head_picture("bald")
    hairy = head_picture(style)
    for box in (bare.eyes_box, bare.mouth_box):
        difference = np.abs(_cut(hairy.pixels, box) - _cut(bare.pixels, box)).mean()
        assert difference < 12, "nothing but a shadow may fall on them"


def head_picture(style):
    return Head(replace(PLAIN, hair_style=style, hairline=0.0, parting=0.2)).render(FaceState(), size=SIZE)
