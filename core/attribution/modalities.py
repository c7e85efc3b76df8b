"""What each modality gave to the answer: exact Shapley values and interactions, and a verdict.

Three players are few enough to ask the model about every coalition, so nothing here is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np

from core.labels import MODALITIES
from core.prediction import PAIRS, SUBSETS, ModalityReport, Prediction

POSITIVE = ("joy", "excited")
"""Emotions of one side; all others but neutral are of the other. Joy is told from the rest far better than
the rest from one another: a single modality takes fear for surprise, or disgust for anger, so often that of
two which differ so one is mostly wrong."""

CONFLICT_PRODUCT = 0.7
"""Two modalities conflict when what one gives to the positive emotions times what the other gives to all
other emotions reaches this: 84 % and 84 %, or 95 % and 74 %. Were each right as often as it says, it would be
the probability that the two are of different sides. Chosen on the dev clips of the shipped checkpoint
(docs/truth.md)."""

SAYS_MARGIN = 0.1
"""A modality says a label when it gives that label at least this much more than the empty coalition does.

From nothing the model guesses too, with a top label of its own, so a top label alone says little. Calibration
rests on a dev split of about a hundred clips, on which a probability around 0.3 has a standard error of 0.04;
ten points are two and a half of them, the first round number beyond what chance explains. So the label that
the model leans to from nothing (the shipped checkpoint: neutral, 0.42) is only said by what goes beyond that.
"""

LEANS_PROBABILITY = 0.4
"""A first choice that is not said is still named, as a leaning, where it has at least this probability, and
more than in the empty coalition."""

NEUTRAL = "neutral"
"""The label that names no emotion: a modality that says it contradicts nobody."""


def shapley_values(subset_values: np.ndarray) -> np.ndarray:
    """Exact Shapley values of the three modalities.

    The value of modality i is the mean, over all orders in which the modalities may join, of what its
    joining changes: Σ_S |S|! (2 − |S|)! / 3! · (v(S ∪ {i}) − v(S)) over the coalitions S without i
    (Shapley 1953).

    Args:
        subset_values: `(subset, …)` value of each coalition, in the order of `SUBSETS`.

    Returns:
        `(modality, …)` in the order of `MODALITIES`; sums to v(all) − v(none) over the modalities.

    Raises:
        ValueError: if there are not eight coalitions.
    """
    return np.stack([shapley_interaction(subset_values, (modality,)) for modality in MODALITIES])


def shapley_interaction(subset_values: np.ndarray, group: Sequence[str]) -> np.ndarray:
    """Exact Shapley interaction index of a group of modalities: what they give only together.

    I(T) = Σ_S |S|! (n − |S| − |T|)! / (n − |T| + 1)! · Σ_{L ⊆ T} (−1)^(|T| − |L|) v(S ∪ L) over the
    coalitions S without any of T, with n = 3 (Grabisch & Roubens 1999, "An axiomatic approach to the concept
    of interaction among players in cooperative games"). So for a pair it is the mean, with and without the
    third, of v(both) − v(one) − v(other) + v(neither); for all three it is what no smaller coalition
    explains; of one alone it is its Shapley value.

    Above zero they complete each other; below zero they overlap, so that one could be missed; zero where what
    they give adds up. It is linear in the values: that of a contrast of two classes is the difference of
    theirs.

    Args:
        subset_values: `(subset, …)` value of each coalition, in the order of `SUBSETS`.
        group: one to three different modalities.

    Returns:
        `(…,)`.

    Raises:
        ValueError: if there are not eight coalitions.
    """
    values = np.asarray(subset_values, dtype=np.float64)
    if len(values) != len(SUBSETS):
        raise ValueError(f"Shapley values need {len(SUBSETS)} coalitions, not {len(values)}")
    row = {frozenset(subset): value for subset, value in zip(SUBSETS, values, strict=True)}
    num_players = len(MODALITIES)
    total = np.zeros(values.shape[1:])
    for others in (frozenset(subset) for subset in SUBSETS if not set(group) & set(subset)):
        weight = factorial(len(others)) * factorial(num_players - len(others) - len(group))
        total += weight / factorial(num_players - len(group) + 1) * _joint_change(row, others, group)
    return total


def _joint_change(
    row: Mapping[frozenset[str], np.ndarray], others: frozenset[str], group: Sequence[str]
) -> np.ndarray:
    """Σ_{L ⊆ T} (−1)^(|T| − |L|) v(S ∪ L) of the group T and the others S."""
    if not group:
        return row[others]
    # a change of changes rather than one sum, so that who changes nothing gets exactly zero
    first, *rest = group
    return _joint_change(row, others | {first}, rest) - _joint_change(row, others, rest)


def report(probabilities: np.ndarray, labels: tuple[str, ...], present: Mapping[str, bool]) -> ModalityReport:
    """Shapley values and interactions of a clip's modalities, and whether they agree.

    Each present modality is heard alone (its probabilities with the other two absent). It *says* its most
    probable label where that has at least `SAYS_MARGIN` more than in the empty coalition; otherwise it
    *leans* to it where that has at least `LEANS_PROBABILITY`, and more than in the empty coalition, or says
    nothing clear. Leaning counts for no verdict. Neutral names no emotion, so that it never counts as a
    contradiction. The verdict is the first that holds of:

    - *single*: only one modality is present;
    - *conflict*: one modality alone says a positive emotion and another one says one that is not, neither of
      them neutral, and the product of what they give to their sides reaches `CONFLICT_PRODUCT`;
    - *agree*: every present modality alone says the fused prediction;
    - *redundant*: at least two do, so that one of them could be missed;
    - *complementary*: one does, or none does and they say it together (by the same margin);
    - *unclear*: neither one alone nor all together say the fused prediction: it is hardly more than a guess.

    The sentence names first who says the fused prediction, then who says another label, then who leans to
    one, then who says nothing clear.

    Args:
        probabilities: `(subset, class)` in the order of `SUBSETS`. Rows of coalitions that hold an absent
            modality are not read.
        labels: class names.
        present: for each modality, whether the clip has it.

    Raises:
        ValueError: if no modality is present, or the array has another shape.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (len(SUBSETS), len(labels)):
        raise ValueError(
            f"probabilities should be {len(SUBSETS)} coalitions × {len(labels)} classes, "
            f"not {probabilities.shape}"
        )
    there = tuple(modality for modality in MODALITIES if present[modality])
    if not there:
        raise ValueError("no modality is present, so there is nothing to attribute")

    # an absent modality is a player whose joining changes nothing: a coalition is worth its present part
    effective = [tuple(m for m in subset if present[m]) for subset in SUBSETS]
    worth = probabilities[[SUBSETS.index(subset) for subset in effective]]
    known = np.array([subset == part for subset, part in zip(SUBSETS, effective, strict=True)])
    verdict, sentence = _verdict(probabilities, labels, there)
    return ModalityReport(
        probabilities=np.where(known[:, None], probabilities, np.nan),
        shapley=shapley_values(worth),
        pair_interactions=np.stack([shapley_interaction(worth, pair) for pair in PAIRS]),
        triple_interaction=shapley_interaction(worth, MODALITIES),
        verdict=verdict,
        sentence=sentence,
    )


def shown_verdict(prediction: Prediction) -> tuple[str, str]:
    """Verdict and sentence as they are told beside the answer, which may itself be uncertain.

    Agree, redundant and complementary say who supports the answer; where the model would rather give none,
    they are *unclear* instead. A conflict, which is about the modalities and not the answer, and *single*
    stay. `ModalityReport` and evaluations keep the verdict that takes no notice of this.
    """
    report = prediction.modalities
    if not prediction.is_uncertain or told_verdict(report.verdict, is_uncertain=True) != "unclear":
        return report.verdict, report.sentence
    there = tuple(modality for modality in MODALITIES if prediction.present[modality])
    return _verdict(report.probabilities, prediction.labels, there, is_uncertain=True)


def told_verdict(verdict: str, *, is_uncertain: bool) -> str:
    """The verdict of `shown_verdict` for one that is kept beside an answer."""
    return verdict if not is_uncertain or verdict in ("conflict", "single") else "unclear"


def heard_alone(prediction: Prediction) -> dict[str, Heard]:
    """What each modality that is present says, or leans to, when it is heard alone; as `report` means it."""
    there = tuple(modality for modality in MODALITIES if prediction.present[modality])
    return _heard(prediction.modalities.probabilities, prediction.labels, there)


def listed(names: Sequence[str]) -> str:
    """For sentences: "video, audio and text"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The most probable label of a coalition, and whether it stands out from the empty coalition.

    Attributes:
        label: the most probable one.
        probability: of `label`.
        is_said: it has at least `SAYS_MARGIN` more than in the empty coalition.
        is_leaning: it is worth naming although it is not said. Where neither holds, nothing clear is said.
    """

    label: str
    probability: float
    is_said: bool
    is_leaning: bool

    @classmethod
    def of(cls, row: np.ndarray, nothing: np.ndarray, labels: tuple[str, ...]) -> Heard:
        """From the probabilities `(class,)` of a coalition and of the empty one."""
        best = int(np.argmax(row))
        is_said = bool(row[best] - nothing[best] >= SAYS_MARGIN)
        return cls(
            label=labels[best],
            probability=float(row[best]),
            is_said=is_said,
            is_leaning=not is_said and bool(row[best] >= LEANS_PROBABILITY and row[best] > nothing[best]),
        )

    @property
    def percent(self) -> str:
        """The probability in whole percent."""
        return f"{100 * self.probability:.0f} %"

    def __str__(self) -> str:
        return f"{self.label} ({self.percent})"


def _heard(probabilities: np.ndarray, labels: tuple[str, ...], there: tuple[str, ...]) -> dict[str, Heard]:
    nothing = probabilities[SUBSETS.index(())]
    return {m: Heard.of(probabilities[SUBSETS.index((m,))], nothing, labels) for m in there}


def _verdict(
    probabilities: np.ndarray, labels: tuple[str, ...], there: tuple[str, ...], *, is_uncertain: bool = False
) -> tuple[str, str]:
    nothing = probabilities[SUBSETS.index(())]
    alone = _heard(probabilities, labels, there)
    fused = Heard.of(probabilities[SUBSETS.index(there)], nothing, labels)
    if len(there) == 1:
        only = f"Only {there[0]} is present"
        if fused.is_said:
            return "single", f"{only}, so its {fused} stands alone."
        if fused.is_leaning:
            return "single", f"{only}, and it only leans to {fused}, hardly more than a guess."
        return "single", f"{only}, and it says nothing clear; {fused} is hardly more than a guess."

    said = {m: answer for m, answer in alone.items() if answer.is_said}
    supporters = [m for m in said if said[m].label == fused.label]
    others = [m for m in said if m not in supporters]
    heard = [*supporters, *others]
    quiet = [m for m in there if m not in said]

    clashing = [
        m for m in heard if any(_contradict(probabilities, labels, said, m, other) for other in heard)
    ]
    if clashing:
        rest = [m for m in heard if m not in clashing]
        clash = ", but ".join(_groups(clashing, alone))
        spoken = "; ".join([clash, *_groups(rest, alone), *_not_said(quiet, alone)])
        return "conflict", _sentence(f"{spoken}. Together the model says {fused}")
    spoken = "; ".join([*_groups(heard, alone), *_not_said(quiet, alone)])
    if is_uncertain:
        return "unclear", f"The answer itself is uncertain, {fused}: {spoken}."
    if len(supporters) == len(there):
        each = ", ".join(f"{m} {said[m].percent}" for m in there)
        return "agree", f"Each modality alone says {fused.label} ({each})."
    if supporters:
        return "redundant" if len(supporters) >= 2 else "complementary", _sentence(spoken)
    if fused.is_said:
        return "complementary", f"Only together do they say {fused}: {spoken}."
    if fused.is_leaning:
        return "unclear", f"Together they only lean to {fused}, hardly more than a guess: {spoken}."
    guess = f"{fused} is hardly more than a guess"
    return "unclear", f"Together they say nothing clear, {guess}: {spoken}."


def _contradict(
    probabilities: np.ndarray, labels: tuple[str, ...], said: Mapping[str, Heard], one: str, other: str
) -> bool:
    """Whether they say emotions of different sides, and both clearly."""
    spoken = said[one].label, said[other].label
    if NEUTRAL in spoken or (spoken[0] in POSITIVE) == (spoken[1] in POSITIVE):
        return False
    merry, cross = (one, other) if spoken[0] in POSITIVE else (other, one)
    is_positive = np.array([label in POSITIVE for label in labels])
    is_negative = ~is_positive & (np.array(labels) != NEUTRAL)
    positive = probabilities[SUBSETS.index((merry,)), is_positive].sum()
    negative = probabilities[SUBSETS.index((cross,)), is_negative].sum()
    return bool(positive * negative >= CONFLICT_PRODUCT)


def _groups(
    modalities: list[str], alone: dict[str, Heard], verb: tuple[str, str] = ("alone says", "alone say")
) -> list[str]:
    """One phrase for every label of these: "video (71 %) and audio (55 %) alone say joy"."""
    phrases = []
    for label in dict.fromkeys(alone[m].label for m in modalities):
        names = [f"{m} ({alone[m].percent})" for m in modalities if alone[m].label == label]
        phrases.append(f"{listed(names)} {verb[0] if len(names) == 1 else verb[1]} {label}")
    return phrases


def _not_said(modalities: list[str], alone: dict[str, Heard]) -> list[str]:
    """Phrases for those that say nothing: first who leans to something, then who does not."""
    leaning = [m for m in modalities if alone[m].is_leaning]
    silent = [m for m in modalities if m not in leaning]
    phrases = _groups(leaning, alone, ("leans to", "lean to"))
    if silent:
        phrases.append(f"{listed(silent)} {'says' if len(silent) == 1 else 'say'} nothing clear")
    return phrases


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
