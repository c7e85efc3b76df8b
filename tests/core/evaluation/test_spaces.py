import numpy as np
import pytest
from made_evaluations import made_evaluation
from sklearn.neighbors import NearestNeighbors

from core.evaluation import spaces
from core.evaluation.spaces import (
    TOGETHER,
    Points,
    pair_quality,
    picture_of,
    points_of,
    principal,
    project,
    space_quality,
    thinned,
    uniformity,
)

LABELS = ["joy", "fear", "anger"] * 8


@pytest.fixture
def evaluation(tmp_path):
    return made_evaluation(LABELS, LABELS, tmp_path)


def points(vectors) -> Points:
    vectors = np.asarray(vectors, float)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Points(
        vectors=vectors, rows=np.arange(len(vectors)), modalities=np.array(["fused"] * len(vectors))
    )


def test_points_are_of_length_one_and_only_of_what_there_is(evaluation):
    evaluation.embeddings["video"][[0, 3]] = np.nan
    found = points_of(evaluation, "video")
    assert found.rows.tolist() == [i for i in range(24) if i not in (0, 3)]
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0)
    given = evaluation.embeddings["video"][1]
    np.testing.assert_allclose(found.vectors[0], given / np.linalg.norm(given), rtol=1e-6)
    together = points_of(evaluation, TOGETHER)
    assert len(together.vectors) == 22 + 24 + 24
    assert together.modalities.tolist() == ["video"] * 22 + ["audio"] * 24 + ["text"] * 24


def test_principal_directions_by_hand():
    # most variance along the third axis, less along the first, none along the second
    vectors = np.array([[1, 5, 10], [-1, 5, 10], [1, 5, -10], [-1, 5, -10]], float)
    np.testing.assert_allclose(project(vectors, "pca"), vectors[:, [2, 0]], atol=1e-12)
    np.testing.assert_allclose(principal(vectors)(np.array([[0, 5, 3]])), [[3, 0]], atol=1e-12)
    # two points have one direction: the others are nothing
    assert project(vectors[:2], "pca", num_dims=3)[:, 2].tolist() == [0, 0]
    assert project(vectors[:1], "tsne").tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="one of pca, tsne, not 'umap'"):
        project(vectors, "umap")


def test_thinning_keeps_labels_and_whole_clips(evaluation):
    together = points_of(evaluation, TOGETHER)
    labels = np.array(["joy"] * 16 + ["fear"] * 7 + ["anger"])
    found = thinned(together, labels, 36)
    rows, counts = np.unique(found.rows, return_counts=True)
    # twelve of 24 clips with three points each: half of every label, and the only one of anger
    assert counts.tolist() == [3] * 12
    assert {name: int((labels[rows] == name).sum()) for name in ("joy", "fear", "anger")} == {
        "joy": 8,
        "fear": 3,
        "anger": 1,
    }
    np.testing.assert_array_equal(found.rows, thinned(together, labels, 36).rows)
    assert set(found.rows) != set(thinned(together, labels, 36, seed=1).rows)
    assert thinned(together, labels, 72) is together


def test_a_thinned_picture_has_the_directions_of_all(monkeypatch):
    random = np.random.default_rng(0)
    space = points(random.normal(size=(60, 5)) * [5, 3, 1, 1, 1])
    labels = np.array(["joy", "fear", "anger"] * 20)
    whole = picture_of(space, labels, "pca")
    assert whole.is_whole and whole.num_drawn == 60
    monkeypatch.setattr(spaces, "MAX_POINTS", 30)
    part = picture_of(space, labels, "pca")
    assert not part.is_whole and (part.num_drawn, part.num_clips) == (30, 60)
    np.testing.assert_allclose(part.places, whole.places[part.points.rows])
    monkeypatch.setattr(spaces, "MAX_TSNE_POINTS", {2: 24, 3: 12})
    assert picture_of(space, labels, "tsne").places.shape == (24, 2)
    assert picture_of(space, labels, "tsne", num_dims=3).places.shape == (12, 3)


def test_t_sne_keeps_neighbours_and_its_seed():
    random = np.random.default_rng(0)
    centres = np.eye(3)[np.arange(60) % 3]
    vectors = centres + 0.05 * random.normal(size=(60, 3))
    picture = project(vectors, "tsne", seed=1)
    nearest = NearestNeighbors(n_neighbors=6).fit(picture).kneighbors(return_distance=False)
    assert (np.arange(60)[nearest] % 3 == (np.arange(60) % 3)[:, None]).mean() > 0.95
    np.testing.assert_array_equal(picture, project(vectors, "tsne", seed=1))
    assert project(vectors, "tsne", num_dims=3).shape == (60, 3)


def test_a_parted_space_and_a_mixed_one():
    labels = np.array(["a"] * 6 + ["b"] * 6)
    parted = points([[1, 0.01 * i] for i in range(6)] + [[0.01 * i, 1] for i in range(6)])
    good = space_quality(parted, labels, parted.vectors)
    assert good.retrieval == 1.0 and good.silhouette > 0.98 and good.trustworthiness == pytest.approx(1.0)
    # of the 11 others 5 have the same label
    assert good.chance == pytest.approx(5 / 11)
    mixed = points([[np.cos(t), np.sin(t)] for t in np.linspace(0, np.pi, 12, endpoint=False)])
    poor = space_quality(mixed, np.array(["a", "b"] * 6))
    assert poor.retrieval < 0.6 and poor.silhouette < 0.1 and np.isnan(poor.trustworthiness)


def test_a_clip_is_not_its_own_neighbour():
    # three points of each clip in one place, labels that say nothing: the own ones would be right always
    vectors = np.repeat(np.eye(12), 3, axis=0)
    space = Points(
        vectors=vectors,
        rows=np.repeat(np.arange(12), 3),
        modalities=np.array(["video", "audio", "text"] * 12),
    )
    labels = np.array([f"label {i}" for i in range(12)])
    found = space_quality(space, labels)
    assert found.retrieval == 0.0 and found.chance == 0.0


def test_what_cannot_be_told_is_no_number():
    alone = space_quality(points([[1, 0], [0, 1]]), np.array(["a", "a"]))
    assert np.isnan(alone.silhouette) and np.isnan(alone.retrieval) and alone.chance == 1.0
    one = space_quality(points([[1.0, 0.0]]), np.array(["a"]), np.zeros((1, 2)))
    assert np.isnan([one.silhouette, one.retrieval, one.chance, one.trustworthiness]).all()
    assert np.isnan(uniformity(points([[1.0, 0.0]])))


def test_pairs_by_hand(evaluation):
    # the picture says the label in one plane, the sound the same turned by a right angle in another
    for name in ("video", "audio"):
        evaluation.embeddings[name][:] = 0
    for row, label in enumerate(evaluation.truth):
        evaluation.embeddings["video"][row, label] = 2.0
        evaluation.embeddings["audio"][row, label] = 3.0
    same = pair_quality(evaluation, "video", "audio")
    assert (same.alignment, same.gap, same.retrieval) == (0.0, 0.0, 1.0) and same.num_clips == 24
    assert same.chance == pytest.approx(1 / 3)
    evaluation.embeddings["audio"][:] = [0, 0, 0, 1]
    turned = pair_quality(evaluation, "video", "audio")
    assert turned.alignment == pytest.approx(2.0)
    # the mean of three axes is at a third of each
    assert turned.gap == pytest.approx(np.sqrt(3 * (1 / 3) ** 2 + 1))
    evaluation.embeddings["audio"][:] = np.nan
    assert pair_quality(evaluation, "video", "audio") is None


def test_uniformity_by_hand():
    assert uniformity(points([[1, 0], [1, 0]])) == pytest.approx(0.0)
    assert uniformity(points([[1, 0], [-1, 0]])) == pytest.approx(-8.0)
    assert uniformity(points([[1, 0], [0, 1]])) == pytest.approx(-4.0)


def test_many_points_are_measured_in_part():
    random = np.random.default_rng(1)
    many = points(random.normal(size=(4000, 3)))
    found = space_quality(many, np.array(["a", "b"] * 2000))
    assert found.num_points == 4000 and 0.4 < found.retrieval < 0.6
