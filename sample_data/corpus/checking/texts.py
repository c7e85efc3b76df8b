"""Does a text give the label away where words are meant to say nothing?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from sample_data.corpus.checking.files import normalised
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section
from sample_data.corpus.checking.statistics import Estimate, clustered_mean

MIN_CLIPS = 50
NUM_FOLDS = 5
TEXT = (
    "Clips whose label is carried by face or voice alone, or by both, and the neutral clips that are set "
    "against them. A logistic regression on bags of words and word pairs is tested on sentences that it has "
    "not seen and, because a sentence returns with other labels, on sentences that it has. Neutral clips "
    "that hold emotion words on purpose (lexical traps) are counted apart: they only ever are neutral."
)


def check_texts(measured: Sequence[Measured]) -> Section:
    """How far a bag of words gets where words say nothing, and whether sentences return with other labels."""
    silent = [one for one in measured if one.sidecar.transcript and _says_nothing(one)]
    without_traps = [one for one in silent if one.sidecar.plan.scenario != "lexical_trap"]
    rows, checks = [], []
    for name, clips in (("without traps", without_traps), ("with traps", silent)):
        labels = np.array([one.sidecar.plan.label for one in clips])
        if len(clips) < MIN_CLIPS or len(set(labels)) < 2:
            continue
        gains = {}
        for kind, is_grouped in (("unseen sentences", True), ("any sentences", False)):
            is_right, is_usual = _bag_of_words(clips, labels, is_grouped=is_grouped)
            sentences = [normalised(one.sidecar.transcript) for one in clips]
            right, usual = clustered_mean(is_right, sentences), clustered_mean(is_usual, sentences)
            gains[kind] = gain = clustered_mean(np.subtract(is_right, is_usual), sentences)
            rows.append((name, kind, right.value, usual.value, gain.value, gain.low, gain.high, len(clips)))
        if name == "without traps":
            checks += [_leak(kind, gain) for kind, gain in gains.items()]
    if not checks:
        checks.append(_leak("unseen sentences", None, len(without_traps)))
    checks.append(_returning(without_traps))
    exhibit = Exhibit(
        title="A bag of words where words say nothing",
        reading=(
            "Accuracy against always saying the commonest label; the gain should not lie clearly above 0."
        ),
        columns=("clips", "tested on", "accuracy", "commonest label", "gain", "low", "high", "number"),
        rows=tuple(rows),
    )
    return Section(title="Texts", text=TEXT, checks=tuple(checks), exhibits=(exhibit,))


def _says_nothing(one: Measured) -> bool:
    plan = one.sidecar.plan
    return plan.text_emotion == "neutral" and "text" not in plan.informative


def _bag_of_words(
    clips: Sequence[Measured], labels: np.ndarray, *, is_grouped: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Per clip: whether the words told its label, and whether the commonest label of the others did."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, KFold
    from sklearn.pipeline import make_pipeline

    texts = np.array([normalised(one.sidecar.transcript) for one in clips])
    folds = GroupKFold(NUM_FOLDS) if is_grouped else KFold(NUM_FOLDS, shuffle=True, random_state=0)
    is_right, is_usual = np.zeros(len(texts)), np.zeros(len(texts))
    for train, test in folds.split(texts, labels, groups=texts if is_grouped else None):
        model = make_pipeline(
            CountVectorizer(ngram_range=(1, 2), binary=True), LogisticRegression(C=0.3, max_iter=2000)
        )
        model.fit(texts[train], labels[train])
        is_right[test] = model.predict(texts[test]) == labels[test]
        names, counts = np.unique(labels[train], return_counts=True)
        is_usual[test] = labels[test] == names[counts.argmax()]
    return is_right, is_usual


def _leak(kind: str, gain: Estimate | None, num_clips: int = 0) -> Check:
    return Check(
        name=f"Words that say nothing tell no label ({kind})",
        value=None if gain is None else gain.value,
        low=None if gain is None else gain.low,
        high=None if gain is None else gain.high,
        bound="gain over the commonest label not clearly above 0",
        is_passed=None if gain is None else gain.low <= 0,
        num_clips=num_clips if gain is None else gain.num,
        reading=f"Accuracy of a bag of words less that of the commonest label; needs {MIN_CLIPS} clips.",
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
