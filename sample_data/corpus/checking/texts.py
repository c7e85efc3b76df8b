"""Does a text give the label away where words are meant to say nothing?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from sample_data.corpus.checking.files import normalised
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import MAX_CULPRITS, Check, Exhibit, Section
from sample_data.corpus.checking.statistics import (
    Estimate,
    balanced_accuracy,
    clustered_statistic,
    confusions,
)

MIN_CLIPS = 50
NUM_FOLDS = 5
SIGNIFICANCE = 0.01
CELLS = ("video", "audio", "video+audio")
TEXT = (
    "Clips whose label is carried by face or voice alone, or by both, and the neutral clips that are set "
    "against them. A logistic regression on bags of words and word pairs is tested on sentences that it has "
    "not seen and, because a sentence returns with other labels, on sentences that it has. Labels are not "
    "equally frequent, so what counts is the mean over labels of the share that is recognised (balanced "
    "accuracy); intervals are 95 % bootstrap intervals over sentences. Neutral clips that hold emotion words "
    "on purpose (lexical traps) are counted apart: they only ever are neutral."
)


def check_texts(measured: Sequence[Measured]) -> Section:
    """How far a bag of words gets where words say nothing, and whether sentences return with other labels."""
    silent = [one for one in measured if one.sidecar.transcript and _says_nothing(one)]
    without_traps = [one for one in silent if one.sidecar.plan.scenario != "lexical_trap"]
    rows, checks = [], []
    for name, clips in (("without traps", without_traps), ("with traps", silent)):
        labels = np.array([one.sidecar.plan.label for one in clips])
        sentences = np.array([normalised(one.sidecar.transcript) for one in clips])
        if len(clips) < MIN_CLIPS or len(set(labels)) < 2 or len(set(sentences)) < NUM_FOLDS:
            continue
        for kind, is_grouped in (("unseen sentences", True), ("any sentences", False)):
            predicted = _bag_of_words(sentences, labels, is_grouped=is_grouped)
            chance = 1 / len(set(labels))
            found = clustered_statistic(
                balanced_accuracy, confusions(labels, predicted, np.unique(labels)), sentences
            )
            accuracy = float((predicted == labels).mean())
            rows.append((name, kind, found.value, found.low, found.high, chance, accuracy, len(clips)))
            if name == "without traps":
                checks.append(_leak(kind, found, chance))
    if not checks:
        checks.append(_undecided(len(without_traps)))
    checks.append(_no_giveaway(without_traps))
    checks.append(_returning(without_traps))
    exhibit = Exhibit(
        title="A bag of words where words say nothing",
        reading="The balanced accuracy should not lie clearly above chance, which is one over all labels.",
        columns=("clips", "tested on", "balanced accuracy", "low", "high", "chance", "accuracy", "number"),
        rows=tuple(rows),
    )
    return Section(title="Texts", text=TEXT, checks=tuple(checks), exhibits=(exhibit,))


def _says_nothing(one: Measured) -> bool:
    plan = one.sidecar.plan
    return plan.cell in CELLS and plan.text_emotion == "neutral"


def _bag_of_words(sentences: np.ndarray, labels: np.ndarray, *, is_grouped: bool) -> np.ndarray:
    """The label of each clip as its words tell it, learnt from the others."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, KFold
    from sklearn.pipeline import make_pipeline

    folds = GroupKFold(NUM_FOLDS) if is_grouped else KFold(NUM_FOLDS, shuffle=True, random_state=0)
    predicted = np.empty_like(labels)
    for train, test in folds.split(sentences, labels, groups=sentences if is_grouped else None):
        # not weighted by class: the few clips of rare labels would make intervals twice as wide
        model = make_pipeline(
            CountVectorizer(ngram_range=(1, 2), binary=True), LogisticRegression(C=0.3, max_iter=2000)
        )
        predicted[test] = model.fit(sentences[train], labels[train]).predict(sentences[test])
    return predicted


def _leak(kind: str, found: Estimate, chance: float) -> Check:
    return Check(
        name=f"Words that say nothing tell no label ({kind})",
        value=found.value,
        low=found.low,
        high=found.high,
        bound=f"not clearly above chance ({chance:.3f})",
        is_passed=found.verdict(found.low <= chance, MIN_CLIPS),
        num_clips=found.num,
        reading="Balanced accuracy of a bag of words: the mean over labels of the share that is recognised.",
    )


def _no_giveaway(clips: Sequence[Measured]) -> Check:
    """Word by word: a hint that is in few clips hardly moves a classifier's mean."""
    from scipy.stats import hypergeom
    from sklearn.feature_extraction.text import CountVectorizer

    is_enough = len(clips) >= MIN_CLIPS
    words, has_word, chances = np.array([]), np.zeros((0, 0)), np.zeros((0, 1))
    if is_enough:
        vectorizer = CountVectorizer(ngram_range=(1, 2), binary=True)
        has_word = vectorizer.fit_transform([normalised(one.sidecar.transcript) for one in clips])
        words = vectorizer.get_feature_names_out()
        names, label = np.unique([one.sidecar.plan.label for one in clips], return_inverse=True)
        is_label = np.eye(len(names))[label]
        together = np.asarray(has_word.T @ is_label)
        drawn = len(clips), is_label.sum(axis=0)[None], together.sum(axis=1)[:, None]
        tails = np.minimum(hypergeom.sf(together - 1, *drawn), hypergeom.cdf(together, *drawn))
        # two sides, as many trials as words and labels (Bonferroni)
        chances = np.minimum(1.0, 2 * tails * together.size)
    culprits = words[chances.min(axis=1) < SIGNIFICANCE].tolist() if is_enough else []
    return Check(
        name="No word goes with a label where words say nothing",
        value=float(chances.min()) if is_enough else None,
        bound=f"chance of the most telling word at least {SIGNIFICANCE}",
        is_passed=not culprits if is_enough else None,
        num_clips=len(clips),
        reading=(
            "How likely labels that are dealt out at random give a word, or a pair of words, that comes with "
            "a label so much more or less often than others do; Fisher's exact test, corrected for all words "
            f"and labels. Needs {MIN_CLIPS} clips."
        ),
        culprits=tuple(culprits[:MAX_CULPRITS]),
        num_culprits=len(culprits),
    )


def _undecided(num_clips: int) -> Check:
    return Check(
        name="Words that say nothing tell no label",
        value=None,
        bound="not clearly above chance",
        is_passed=None,
        num_clips=num_clips,
        reading=f"Needs {MIN_CLIPS} clips of two labels and {NUM_FOLDS} sentences.",
    )


def _returning(clips: Sequence[Measured]) -> Check:
    labels = defaultdict(list)
    for one in clips:
        labels[normalised(one.sidecar.transcript)].append(one.sidecar.plan.label)
    returning = {sentence: found for sentence, found in labels.items() if len(found) > 1}
    pairs = sum(len(found) * (len(found) - 1) for found in returning.values())
    different = sum(sum(1 for a in found for b in found if a != b) for found in returning.values())
    shares = np.unique([one.sidecar.plan.label for one in clips], return_counts=True)[1] / max(1, len(clips))
    expected = float(1 - (shares**2).sum()) if len(clips) else 0.0
    value = different / pairs if pairs else None
    is_enough = len(returning) >= 20
    return Check(
        name="A sentence that returns does so with other labels",
        value=value,
        bound=f"at least 0.8 of what chance gives ({expected:.2f})",
        is_passed=value >= 0.8 * expected if is_enough and value is not None else None,
        num_clips=sum(map(len, returning.values())),
        reading=(
            f"Of all pairs of clips with the same sentence, the share with two labels; {len(returning)} "
            "sentences return."
        ),
    )
