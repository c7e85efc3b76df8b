"""The spaces that clips lie in: pictures of them, and figures of how good they are.

A modality's space is that of its projections, which the contrastive loss trains; all three share it. The
fused space is the classifier's last hidden layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import silhouette_score

from core.evaluation.artifact import Evaluation
from core.labels import MODALITIES

TOGETHER = "together"
"""The three modalities in the space that they share."""

METHODS = ("pca", "tsne")

NUM_NEIGHBOURS = 5
"""Of retrieval and trustworthiness."""

MAX_MEASURED = 3000
"""Figures that compare all pairs of clips are measured on so many, drawn at random."""

MAX_POINTS = 20_000
"""A picture holds no more points: browsers turn slow."""

MAX_TSNE_POINTS = {2: 4000, 3: 2000}
"""By dimensions: t-SNE of more would take minutes."""

_CHUNK = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """The vectors of a space, one row per point.

    Attributes:
        vectors: `(point, dim)`.
        rows: of each point's clip in the evaluation's predictions.
        modalities: of each point; "fused" in that space.
    """

    vectors: np.ndarray
    rows: np.ndarray
    modalities: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """What is drawn of a space.

    Attributes:
        points: that are drawn; clips with all their points or none.
        places: `(point, 2 or 3)` of them.
        num_clips: that have a point in the space, drawn or not.
    """

    points: Points
    places: np.ndarray
    num_clips: int

    @property
    def num_drawn(self) -> int:
        """Clips that are drawn."""
        return len(np.unique(self.points.rows))

    @property
    def is_whole(self) -> bool:
        """Nothing was left out."""
        return self.num_drawn == self.num_clips


@dataclass(frozen=True, kw_only=True)
class SpaceQuality:
    """How well a space is ordered by the labels. NaN where it cannot be told.

    Attributes:
        num_points: that there are; those that were measured may be fewer (`MAX_MEASURED`).
        silhouette: mean over points of (b − a) / max(a, b), a the mean cosine distance to points of the same
            label, b to those of the nearest other label (Rousseeuw 1987): 1 parted, 0 touching.
        retrieval: of the `NUM_NEIGHBOURS` nearest points of other clips, the share with the same label, on
            average (precision at k).
        chance: the same for points of other clips in random order.
        trustworthiness: of the picture: 1 where neighbours in it are neighbours in the space (Venna & Kaski
            2001).
    """

    num_points: int
    silhouette: float
    retrieval: float
    chance: float
    trustworthiness: float


@dataclass(frozen=True, kw_only=True)
class PairQuality:
    """How two modalities lie to each other in the space that they share, over clips that have both.

    Attributes:
        alignment: mean squared distance of a clip's two projections, of length one (Wang & Isola 2020): 0 the
            same, 2 at right angles.
        gap: distance of the two modalities' means (Liang et al. 2022).
        retrieval: share of clips whose nearest projection of the other modality, among all clips, has the
            same label.
        chance: the same for a random one.
    """

    pair: tuple[str, str]
    num_clips: int
    alignment: float
    gap: float
    retrieval: float
    chance: float


def points_of(evaluation: Evaluation, space: str) -> Points:
    """The vectors of a space: a modality, "fused", or `TOGETHER`. Clips that lack a modality have none."""
    names = MODALITIES if space == TOGETHER else (space,)
    vectors, rows, modalities = [], [], []
    for name in names:
        known = np.flatnonzero(~np.isnan(evaluation.embeddings[name]).any(axis=1))
        vectors.append(_unit(evaluation.embeddings[name][known]))
        rows.append(known)
        modalities += [name] * len(known)
    return Points(
        vectors=np.concatenate(vectors), rows=np.concatenate(rows), modalities=np.array(modalities, object)
    )


def project(vectors: np.ndarray, method: str, *, num_dims: int = 2, seed: int = 0) -> np.ndarray:
    """A picture of vectors.

    Args:
        vectors: `(point, dim)`.
        method: "pca", the directions of largest variance; or "tsne", t-SNE (van der Maaten & Hinton 2008) by
            cosine distance, which keeps neighbours together while its distances and sizes mean nothing.
        num_dims: 2 or 3.
        seed: of t-SNE.

    Returns:
        `(point, num_dims)`; zeros where there are too few points to tell directions.

    Raises:
        ValueError: for another method.
    """
    if method not in METHODS:
        raise ValueError(f"a picture is made by one of {', '.join(METHODS)}, not {method!r}")
    if len(vectors) < 2:
        return np.zeros((len(vectors), num_dims))
    if method == "tsne" and len(vectors) > 3 * num_dims:
        network = TSNE(
            num_dims,
            perplexity=min(30.0, (len(vectors) - 1) / 3),
            metric="cosine",
            init="pca",
            random_state=seed,
        )
        return network.fit_transform(np.asarray(vectors, np.float32)).astype(float)
    return principal(vectors, num_dims)(vectors)


def picture_of(
    points: Points, labels: np.ndarray, method: str, *, num_dims: int = 2, seed: int = 0
) -> Picture:
    """The picture of a space, thinned where it has more points than can be drawn or placed in seconds.

    Args:
        points: of the space.
        labels: `(clip,)` of the evaluation, by row.
        method: of `METHODS`; the directions of "pca" are those of all points, drawn or not.
        num_dims: 2 or 3.
        seed: of the draw, and of t-SNE.

    Raises:
        ValueError: for another method.
    """
    drawn = thinned(points, labels, max_points(method, num_dims), seed=seed)
    if method == "pca" and len(drawn.rows) < len(points.rows):
        places = principal(points.vectors, num_dims)(drawn.vectors)
    else:
        places = project(drawn.vectors, method, num_dims=num_dims, seed=seed)
    return Picture(points=drawn, places=places, num_clips=len(np.unique(points.rows)))


def max_points(method: str, num_dims: int) -> int:
    """How many points a picture holds at most."""
    return min(MAX_POINTS, MAX_TSNE_POINTS[num_dims]) if method == "tsne" else MAX_POINTS


def thinned(points: Points, labels: np.ndarray, limit: int, *, seed: int = 0) -> Points:
    """At most `limit` points: clips drawn at random, of every label its share and at least one.

    A clip is drawn with all its points or not at all, so that its modalities can be tied.

    Args:
        points: of the space.
        labels: `(clip,)` of the evaluation, by row.
        limit: at least the number of points a clip has, for each label.
        seed: of the draw.
    """
    if len(points.rows) <= limit:
        return points
    rows, counts = np.unique(points.rows, return_counts=True)
    num_wanted = limit // int(counts.max())
    found, of, sizes = np.unique(labels[rows], return_inverse=True, return_counts=True)
    exact = sizes * num_wanted / len(rows)
    shares = np.maximum(np.floor(exact).astype(int), 1)
    # what rounding down left goes to those that lost most by it
    for place in np.argsort(np.floor(exact) - exact, kind="stable")[: max(num_wanted - shares.sum(), 0)]:
        shares[place] += 1
    while shares.sum() > max(num_wanted, len(found)):
        shares[shares.argmax()] -= 1
    random = np.random.default_rng(seed)
    kept = [
        random.choice(rows[of == place], min(share, sizes[place]), replace=False)
        for place, share in enumerate(shares)
    ]
    is_kept = np.isin(points.rows, np.concatenate(kept))
    return Points(
        vectors=points.vectors[is_kept], rows=points.rows[is_kept], modalities=points.modalities[is_kept]
    )


def principal(vectors: np.ndarray, num_dims: int = 2):
    """The projection on the directions of largest variance of `(point, dim)`, as a function of others.

    Each direction's sign is such that its largest weight is positive, so that pictures do not flip.
    """
    mean = vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors - mean, full_matrices=False)
    directions = directions[:num_dims]
    directions *= np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])[:, None]

    def place(others: np.ndarray) -> np.ndarray:
        found = (others - mean) @ directions.T
        return np.pad(found, ((0, 0), (0, num_dims - found.shape[1])))

    return place


def space_quality(
    points: Points, labels: np.ndarray, picture: np.ndarray | None = None, *, seed: int = 0
) -> SpaceQuality:
    """How well a space is ordered.

    Args:
        points: of the space.
        labels: `(clip,)` of the evaluation, by row.
        picture: `(point, 2 or 3)` of the same points, to be judged too.
        seed: of the draw where there are more points than `MAX_MEASURED`.
    """
    num = len(points.vectors)
    chosen = _measured(num, seed)
    vectors, rows = points.vectors[chosen], points.rows[chosen]
    of = labels[rows]
    can_part = 1 < len(np.unique(of)) < len(of)
    retrieval, chance = _retrieval(vectors, rows, of)
    return SpaceQuality(
        num_points=num,
        silhouette=float(silhouette_score(vectors, of, metric="cosine")) if can_part else np.nan,
        retrieval=retrieval,
        chance=chance,
        trustworthiness=np.nan if picture is None else picture_quality(points, picture, seed=seed),
    )


def picture_quality(points: Points, places: np.ndarray, *, seed: int = 0) -> float:
    """Trustworthiness of a picture (see `SpaceQuality`), on `MAX_MEASURED` points where there are more.

    Args:
        points: that are drawn.
        places: `(point, 2 or 3)` of them.
        seed: of the draw.
    """
    chosen = _measured(len(points.vectors), seed)
    if 2 * NUM_NEIGHBOURS >= len(chosen):
        return np.nan
    vectors = points.vectors[chosen]
    return float(trustworthiness(vectors, places[chosen], n_neighbors=NUM_NEIGHBOURS, metric="cosine"))


def _measured(num_points: int, seed: int) -> np.ndarray:
    """Of so many points, those that are measured."""
    if num_points <= MAX_MEASURED:
        return np.arange(num_points)
    return np.sort(np.random.default_rng(seed).choice(num_points, MAX_MEASURED, replace=False))


def pair_quality(evaluation: Evaluation, one: str, other: str) -> PairQuality | None:
    """How two modalities lie to each other; None where no clip has both."""
    both = ~np.isnan(evaluation.embeddings[one]).any(1) & ~np.isnan(evaluation.embeddings[other]).any(1)
    if not both.any():
        return None
    a, b = (_unit(evaluation.embeddings[name][both]) for name in (one, other))
    labels = evaluation.truth[both]
    found = np.concatenate([(a[i : i + _CHUNK] @ b.T).argmax(1) for i in range(0, len(a), _CHUNK)])
    share = np.bincount(labels) / len(labels)
    return PairQuality(
        pair=(one, other),
        num_clips=int(both.sum()),
        alignment=float(((a - b) ** 2).sum(1).mean()),
        gap=float(np.linalg.norm(a.mean(0) - b.mean(0))),
        retrieval=float((labels[found] == labels).mean()),
        chance=float((share**2).sum()),
    )


def uniformity(points: Points, *, seed: int = 0) -> float:
    """How evenly points of length one cover the sphere: log of the mean of exp(−2 d²) over pairs.

    0 where all are in one place, near −4 where they are spread evenly in many dimensions (Wang & Isola 2020).
    """
    vectors = points.vectors
    if len(vectors) < 2:
        return np.nan
    if len(vectors) > MAX_MEASURED:
        vectors = vectors[np.random.default_rng(seed).choice(len(vectors), MAX_MEASURED, replace=False)]
    squared = 2 - 2 * (vectors @ vectors.T)
    pairs = squared[np.triu_indices(len(vectors), 1)]
    return float(np.log(np.exp(-2 * np.clip(pairs, 0, None)).mean()))


def _retrieval(vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Share of the nearest points of other clips with the same label, and the same by chance."""
    hits, chances = [], []
    for start in range(0, len(vectors), _CHUNK):
        part = slice(start, start + _CHUNK)
        is_other = rows[part, None] != rows
        is_same = labels[part, None] == labels
        num_others = is_other.sum(1)
        if (num_others < 1).any():
            return np.nan, np.nan
        chances.append((is_same & is_other).sum(1) / num_others)
        if (num_others < NUM_NEIGHBOURS).any():
            hits.append(np.full(len(num_others), np.nan))
            continue
        # no cosine is below −1
        similar = np.where(is_other, vectors[part] @ vectors.T, -2.0)
        nearest = np.argpartition(-similar, NUM_NEIGHBOURS - 1, axis=1)[:, :NUM_NEIGHBOURS]
        hits.append(np.take_along_axis(is_same, nearest, axis=1).mean(1))
    if not chances:
        return np.nan, np.nan
    return float(np.concatenate(hits).mean()), float(np.concatenate(chances).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, float)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
