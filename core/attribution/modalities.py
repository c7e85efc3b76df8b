"""What each modality gave to the answer: exact Shapley values over the eight coalitions, and a verdict.

Three players are few enough to ask the model about every coalition, so nothing here is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial

import numpy as np

from core.labels import MODALITIES
from core.prediction import SUBSETS, ModalityReport

CONFLICT_PROBABILITY = 0.4
"""Two modalities conflict when each alone gives at least this probability to a different emotion."""

SAYS_MARGIN = 0.1
"""A modality says a label when it gives that label at least this much more than the empty coalition does.

From nothing the model guesses too, with a top label of its own, so a top label alone says little. Calibration
rests on a dev split of about a hundred clips, on which a probability around 0.3 has a standard error of 0.04;
ten points are two and a half of them, the first round number beyond what chance explains. So the label that
the model leans to from nothing (the shipped checkpoint: neutral, 0.49) is only said by what goes beyond that.
"""

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
    values = np.asarray(subset_values, dtype=np.float64)
    if len(values) != len(SUBSETS):
        raise ValueError(f"Shapley values need {len(SUBSETS)} coalitions, not {len(values)}")
    row = {frozenset(subset): value for subset, value in zip(SUBSETS, values, strict=True)}
    num_players = len(MODALITIES)
    shapley = np.zeros((num_players, *values.shape[1:]))
    for player, modality in enumerate(MODALITIES):
        for subset in SUBSETS:
            if modality in subset:
                continue
            weight = factorial(len(subset)) * factorial(num_players - len(subset) - 1)
            joined = row[frozenset(subset) | {modality}]
            shapley[player] += weight / factorial(num_players) * (joined - row[frozenset(subset)])
    return shapley


def report(probabilities: np.ndarray, labels: tuple[str, ...], present: Mapping[str, bool]) -> ModalityReport:
    """Shapley values of a clip's modalities, and whether they agree.

    Each present modality is heard alone (its probabilities with the other two absent). It *says* its most
    probable label where that has at least `SAYS_MARGIN` more than in the empty coalition, and otherwise says
    nothing clear. "Neutral" counts as naming no emotion. The verdict is the first of these that holds:

    - *single*: only one modality is present;
    - *conflict*: two modalities alone say different emotions other than neutral, each with a probability
      of at least `CONFLICT_PROBABILITY`;
    - *agree*: every present modality alone says the fused prediction;
    - *redundant*: at least two do, so that one of them could be missed;
    - *complementary*: one does, or none does and they say it together (by the same margin);
    - *unclear*: neither one alone nor all together say the fused prediction: it is hardly more than a guess.

    The sentence names first who says the fused prediction, then who says another label, then who says
    nothing clear.

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
    shapley = shapley_values(probabilities[[SUBSETS.index(subset) for subset in effective]])
    known = np.array([subset == part for subset, part in zip(SUBSETS, effective, strict=True)])
    verdict, sentence = _verdict(probabilities, labels, there)
    return ModalityReport(
        probabilities=np.where(known[:, None], probabilities, np.nan),
        shapley=shapley,
        verdict=verdict,
        sentence=sentence,
    )


def _verdict(probabilities: np.ndarray, labels: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, str]:
    nothing = probabilities[SUBSETS.index(())]
    alone = {m: _Answer.of(probabilities[SUBSETS.index((m,))], nothing, labels) for m in there}
    fused = _Answer.of(probabilities[SUBSETS.index(there)], nothing, labels)
    if len(there) == 1:
        only = f"Only {there[0]} is present"
        if fused.is_said:
            return "single", f"{only}, so its {fused} stands alone."
        return "single", f"{only}, and it says nothing clear; {fused} is hardly more than a guess."

    said = {m: answer for m, answer in alone.items() if answer.is_said}
    supporters = [m for m in said if said[m].label == fused.label]
    others = [m for m in said if m not in supporters]
    heard = [*supporters, *others]
    loud = [m for m in heard if said[m].label != NEUTRAL and said[m].probability >= CONFLICT_PROBABILITY]
    quiet = [m for m in there if m not in said]

    if len({said[m].label for m in loud}) > 1:
        rest = [m for m in heard if m not in loud]
        spoken = "; ".join([", but ".join(_groups(loud, said)), *_groups(rest, said), *_silence(quiet)])
        return "conflict", _sentence(f"{spoken}. Together the model says {fused}")
    if len(supporters) == len(there):
        each = ", ".join(f"{m} {said[m].percent}" for m in there)
        return "agree", f"Each modality alone says {fused.label} ({each})."
    spoken = "; ".join([*_groups(heard, said), *_silence(quiet)])
    if supporters:
        return "redundant" if len(supporters) >= 2 else "complementary", _sentence(spoken)
    if fused.is_said:
        return "complementary", f"Only together do they say {fused}: {spoken}."
    guess = f"{fused} is hardly more than a guess"
    return "unclear", f"Together they say nothing clear, {guess}: {spoken}."


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """The most probable label of a coalition, and whether it stands out from the empty coalition."""

    label: str
    probability: float
    is_said: bool

    @classmethod
    def of(cls, row: np.ndarray, nothing: np.ndarray, labels: tuple[str, ...]) -> _Answer:
        best = int(np.argmax(row))
        return cls(
            label=labels[best],
            probability=float(row[best]),
            is_said=bool(row[best] - nothing[best] >= SAYS_MARGIN),
        )

    @property
    def percent(self) -> str:
        return f"{100 * self.probability:.0f} %"

    def __str__(self) -> str:
        return f"{self.label} ({self.percent})"


def _groups(modalities: list[str], said: dict[str, _Answer]) -> list[str]:
    """One phrase for every label that is said: "video (71 %) and audio (55 %) alone say joy"."""
    phrases = []
    for label in dict.fromkeys(said[m].label for m in modalities):
        names = [f"{m} ({said[m].percent})" for m in modalities if said[m].label == label]
        phrases.append(f"{_listed(names)} alone {'says' if len(names) == 1 else 'say'} {label}")
    return phrases


def _silence(modalities: list[str]) -> list[str]:
    if not modalities:
        return []
    return [f"{_listed(modalities)} {'says' if len(modalities) == 1 else 'say'} nothing clear"]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
