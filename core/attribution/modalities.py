"""What each modality gave to the answer: exact Shapley values over the eight coalitions, and a verdict.

Three players are few enough to ask the model about every coalition, so nothing here is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial

import numpy as np

from core.labels import MODALITIES
from core.prediction import SUBSETS, ModalityReport

CONFLICT_PROBABILITY = 0.4
"""Two modalities conflict when each alone gives at least this probability to a different emotion."""

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

    Each present modality is heard alone (its probabilities with the other two absent); "neutral" counts as
    naming no emotion. The verdict is the first of these that holds:

    - *single*: only one modality is present;
    - *conflict*: two modalities alone name different emotions other than neutral, each with a probability
      of at least `CONFLICT_PROBABILITY`;
    - *agree*: every present modality alone names the fused prediction;
    - *redundant*: at least two do, so that one of them could be missed;
    - *complementary*: fewer than two do: one modality carries the answer, or it takes several together.

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
    fused_label, fused_percent = _answer(probabilities[SUBSETS.index(there)], labels)
    alone = {m: probabilities[SUBSETS.index((m,))] for m in there}
    says = {m: _answer(row, labels) for m, row in alone.items()}
    if len(there) == 1:
        return "single", f"Only {there[0]} is present, so its {fused_label} ({fused_percent}) stands alone."

    loud = [m for m in there if says[m][0] != NEUTRAL and alone[m].max() >= CONFLICT_PROBABILITY]
    if len({says[m][0] for m in loud}) > 1:
        quiet = [m for m in there if m not in loud]
        spoken = ", but ".join(_groups(loud, says)) + "".join(f"; {part}" for part in _groups(quiet, says))
        return "conflict", _sentence(f"{spoken}. Together the model says {fused_label} ({fused_percent})")

    supporters = [m for m in there if says[m][0] == fused_label]
    others = "; ".join(_groups([m for m in there if m not in supporters], says))
    if len(supporters) == len(there):
        each = ", ".join(f"{m} {says[m][1]}" for m in there)
        return "agree", f"Each modality alone says {fused_label} ({each})."
    if len(supporters) >= 2:
        return "redundant", _sentence(f"{_groups(supporters, says)[0]}; {others}")
    if supporters:
        [carrier] = supporters
        return "complementary", _sentence(
            f"{carrier} alone carries {fused_label} ({says[carrier][1]}); {others}"
        )
    return "complementary", f"Only together do they say {fused_label} ({fused_percent}): {others}."


def _answer(row: np.ndarray, labels: tuple[str, ...]) -> tuple[str, str]:
    best = int(np.argmax(row))
    return labels[best], f"{100 * row[best]:.0f} %"


def _groups(modalities: list[str], says: dict[str, tuple[str, str]]) -> list[str]:
    """One phrase for every label that is named: "video (71 %) and audio (55 %) alone say joy"."""
    phrases = []
    for label in dict.fromkeys(says[m][0] for m in modalities):
        named = [f"{m} ({says[m][1]})" for m in modalities if says[m][0] == label]
        head = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
        phrases.append(f"{head} alone {'says' if len(named) == 1 else 'say'} {label}")
    return phrases


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
