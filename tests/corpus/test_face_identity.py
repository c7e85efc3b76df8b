from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest

pytest.importorskip("numba")

from sample_data.corpus.face import sample_identity
from sample_data.corpus.face.identity import BEARDS, FEMALE_STYLES, MALE_STYLES
from sample_data.corpus.randomness import stream


def test_the_same_seed_gives_the_same_face_and_another_seed_another():
    assert asdict(sample_identity(4)) == asdict(sample_identity(4))
    assert asdict(sample_identity(4)) != asdict(sample_identity(5))


def test_streams_of_other_names_do_not_change_when_one_is_drawn_from():
    before = stream(9, "face iris").random(4)
    stream(9, "face hat").random(1000)
    np.testing.assert_array_equal(stream(9, "face iris").random(4), before)
    assert not np.array_equal(stream(9, "face hat").random(4), before)
    assert not np.array_equal(stream(10, "face iris").random(4), before)


def test_a_factor_that_is_drawn_in_another_way_leaves_the_other_factors_alone(monkeypatch):
    usual = asdict(sample_identity(12))
    monkeypatch.setitem(FEMALE_STYLES, "bald", 50.0)
    monkeypatch.setitem(MALE_STYLES, "bald", 50.0)
    changed = asdict(sample_identity(12))
    assert changed.pop("hair_style") == "bald"
    usual.pop("hair_style")
    assert changed == usual


def test_faces_are_varied_in_sex_age_skin_and_hair():
    faces = [sample_identity(seed) for seed in range(120)]
    sexes = Counter(face.sex for face in faces)
    assert min(sexes["female"], sexes["male"]) > 35
    assert {face.hair_style for face in faces} == set(FEMALE_STYLES) | set(MALE_STYLES)
    assert {face.beard for face in faces} == set(BEARDS)
    assert all(face.beard == "none" for face in faces if face.sex == "female")
    tones = np.array([face.skin_tone for face in faces])
    ages = np.array([face.age for face in faces])
    assert (tones < 1.5).sum() > 8 and (tones > 4.5).sum() > 8
    assert (ages < 0.2).sum() > 15 and (ages > 0.6).sum() > 10
    assert 10 < sum(face.glasses is not None for face in faces) < 60
    assert all(sum(face.ancestry) == pytest.approx(1) for face in faces)
