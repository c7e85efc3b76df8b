"""How a model does on a split while it is trained: answers in a table, and brief scores of them.

The evaluation that is kept is made by `training.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.evaluation.artifact import ALL, NON_EMPTY, subset_name
from core.evaluation.calibration import calibrated
from core.evaluation.metrics import choose_groups, figures, score
from core.labels import LabelScheme
from core.model import DeepMSI
from core.prediction import SUBSETS
from training.answers import Answer, Watch, ask
from training.datasets import Utterance
from training.features import FeatureSet
from training.sources import SOURCE


@dataclass(frozen=True, kw_only=True)
class BriefScores:
    """Of the clips that a subset of the modalities could be asked about; None where there is none.

    Attributes:
        macro_f1: mean over the classes that have a clip.
    """

    num_clips: int
    accuracy: float | None
    weighted_f1: float | None
    macro_f1: float | None


def figure(score: float | None) -> str:
    """A score as tables and logs tell it."""
    return "–" if score is None else f"{score:.3f}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The answers about a list of utterances, as a training run scores them.

    Attributes:
        labels: class names in the order of the columns.
        utterances: one per row.
        logits: per subset `(clip, class)`, NaN as in `Answer`.
        temperature: they are divided by.
    """

    labels: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    logits: dict[tuple[str, ...], np.ndarray]
    temperature: float

    @classmethod
    def of(
        cls,
        answers: Sequence[Answer],
        utterances: Sequence[Utterance],
        scheme: LabelScheme,
        *,
        temperature: float = 1.0,
    ) -> Answers:
        """A table of single answers, of the same utterances in the same order."""
        logits = np.stack([answer.logits for answer in answers])
        by_subset = {subset: logits[:, SUBSETS.index(subset)] for subset in NON_EMPTY}
        return cls(
            labels=scheme.labels, utterances=tuple(utterances), logits=by_subset, temperature=temperature
        )

    @property
    def truth(self) -> np.ndarray:
        """`(clip,)` class indices."""
        return np.array([self.labels.index(u.label) for u in self.utterances], dtype=np.int64)

    def probabilities(self, subset: tuple[str, ...] = ALL) -> np.ndarray:
        """`(clip, class)`, calibrated."""
        return calibrated(self.logits[subset], self.temperature)

    def scores(self, subset: tuple[str, ...] = ALL, rows: np.ndarray | None = None) -> BriefScores:
        """Of one subset of the modalities; over some of the clips where `rows` (a mask) is given."""
        usable = ~np.isnan(self.logits[subset]).any(axis=1) & (True if rows is None else rows)
        if not usable.any():
            return BriefScores(num_clips=0, accuracy=None, weighted_f1=None, macro_f1=None)
        values = figures(self.truth[usable], self.probabilities(subset)[usable])
        return BriefScores(
            num_clips=int(usable.sum()),
            **{name: float(values[name][0]) for name in ("accuracy", "weighted_f1", "macro_f1")},
        )

    def by_source(self) -> dict[str, BriefScores]:
        """Of each data set's clips, with all that they have; of a single data set, under the name ""."""
        names = np.array([u.extra.get(SOURCE, "") for u in self.utterances])
        return {name: self.scores(rows=names == name) for name in sorted(set(names.tolist()))}

    def weights(self) -> np.ndarray:
        """`(clip,)` with which every data set counts alike, whatever its size."""
        names = np.array([u.extra.get(SOURCE, "") for u in self.utterances])
        _, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
        return 1.0 / (len(sizes) * sizes[numbers])

    def macro_f1(self) -> float:
        """What an epoch is chosen by: of several data sets the mean, so that a large one does not decide."""
        scores = [one.macro_f1 for one in self.by_source().values() if one.macro_f1 is not None]
        return float(np.mean(scores))

    def to_dict(self) -> dict:
        """Scores as plain JSON types: per subset, class (95 % intervals), data set and scenario."""
        scenarios = np.array([u.extra.get("scenario", "") for u in self.utterances])
        resampled, groups = choose_groups(
            {name: [getattr(u, name) or "" for u in self.utterances] for name in ("speaker", "dialogue")},
            len(self.utterances),
        )
        usable = ~np.isnan(self.logits[ALL]).any(axis=1)
        classes = score(self.truth[usable], self.probabilities()[usable], self.labels, groups[usable]).classes
        return {
            "num_clips": len(self.utterances),
            "subsets": {subset_name(subset): vars(self.scores(subset)) for subset in self.logits},
            "f1_per_class": {label: of.f1.value for label, of in classes.items()},
            "f1_interval_per_class": {label: [of.f1.low, of.f1.high] for label, of in classes.items()},
            "resampled": resampled,
            "num_clips_per_class": {label: of.support for label, of in classes.items()},
            "sources": {name: vars(of) for name, of in self.by_source().items() if name},
            "scenarios": {
                name: {
                    subset_name(subset): vars(self.scores(subset, scenarios == name))
                    for subset in self.logits
                }
                for name in sorted(set(scenarios.tolist()) - {""})
            },
        }


def evaluate(
    model: DeepMSI,
    features: FeatureSet,
    *,
    subsets: Sequence[tuple[str, ...]] = NON_EMPTY,
    temperature: float = 1.0,
    batch_size: int = 8,
    watch: Watch | None = None,
) -> Answers:
    """The answers about every clip for a training run to score: no files, only the subsets it looks at.

    Args:
        model: put into evaluation mode.
        features: made for this model.
        subsets: non-empty ones.
        temperature: of the checkpoint.
        batch_size: clips at once; the result does not depend on it, except in 8 bits.
        watch: sees every forward pass.
    """
    answers = ask(model, features, subsets=subsets, batch_size=batch_size, watch=watch)
    table = Answers.of(answers, features.utterances, model.config.labels, temperature=temperature)
    return replace(table, logits={subset: table.logits[subset] for subset in subsets})
