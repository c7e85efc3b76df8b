"""What a model makes of a data set, with each subset of the modalities: predictions and scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from sklearn.metrics import accuracy_score, f1_score

from core.labels import MODALITIES
from core.model import DeepMSI, ModelOutput
from core.prediction import SUBSETS
from training.features import FeatureSet
from training.sampler import label_indices, plain_batches

ALL = MODALITIES
"""The subset of all modalities."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of the clips that a subset of the modalities could be asked about; None where there is none.

    Attributes:
        macro_f1: mean over the classes that occur, in truth or prediction.
    """

    num_clips: int
    accuracy: float | None
    weighted_f1: float | None
    macro_f1: float | None


def figure(score: float | None) -> str:
    """A score as tables and logs tell it."""
    return "–" if score is None else f"{score:.3f}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Predictions for a list of utterances.

    A subset uses, of each clip, those of its modalities that the clip has; where it has none of them, the
    probabilities are NaN and the clip does not count.

    Attributes:
        labels: class names in the order of the columns.
        keys: `(clip,)` of the utterances.
        truth: `(clip,)` class indices.
        logits: per subset `(clip, class)`, as the network gives them.
        temperature: they are divided by.
        scenarios: `(clip,)` of the utterances, "" where unknown.
    """

    labels: tuple[str, ...]
    keys: tuple[str, ...]
    truth: np.ndarray
    logits: dict[tuple[str, ...], np.ndarray]
    temperature: float
    scenarios: tuple[str, ...]

    def probabilities(self, subset: tuple[str, ...] = ALL) -> np.ndarray:
        """`(clip, class)`, calibrated."""
        scaled = self.logits[subset] / self.temperature
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def scores(self, subset: tuple[str, ...] = ALL, rows: np.ndarray | None = None) -> Scores:
        """Of one subset of the modalities; over some of the clips where `rows` (a mask) is given."""
        logits = self.logits[subset]
        usable = ~np.isnan(logits).any(axis=1) & (True if rows is None else rows)
        if not usable.any():
            return Scores(num_clips=0, accuracy=None, weighted_f1=None, macro_f1=None)
        truth, predicted = self.truth[usable], logits[usable].argmax(axis=1)
        return Scores(
            num_clips=int(usable.sum()),
            accuracy=float(accuracy_score(truth, predicted)),
            weighted_f1=float(f1_score(truth, predicted, average="weighted", zero_division=0)),
            macro_f1=float(f1_score(truth, predicted, average="macro", zero_division=0)),
        )

    def to_dict(self) -> dict:
        """All scores as plain JSON types: per subset, per class and per scenario."""
        predicted = self.logits[ALL].argmax(axis=1)
        indices = list(range(len(self.labels)))
        per_class = f1_score(self.truth, predicted, labels=indices, average=None, zero_division=0)
        scenarios = np.array(self.scenarios)
        return {
            "num_clips": len(self.keys),
            "subsets": {"+".join(subset): vars(self.scores(subset)) for subset in self.logits},
            "f1_per_class": dict(zip(self.labels, per_class.tolist(), strict=True)),
            "num_clips_per_class": dict(
                zip(self.labels, np.bincount(self.truth, minlength=len(indices)).tolist(), strict=True)
            ),
            "scenarios": {
                name: {
                    "+".join(subset): vars(self.scores(subset, scenarios == name)) for subset in self.logits
                }
                for name in sorted(set(self.scenarios) - {""})
            },
        }

    def table(self) -> pd.DataFrame:
        """One row per clip: truth, prediction and the probabilities of every subset."""
        columns: dict[str, Sequence] = {
            "key": self.keys,
            "scenario": self.scenarios,
            "label": [self.labels[i] for i in self.truth],
            "prediction": [self.labels[i] for i in self.logits[ALL].argmax(axis=1)],
        }
        for subset in self.logits:
            for label, values in zip(self.labels, self.probabilities(subset).T, strict=True):
                columns[f"{'+'.join(subset)}:{label}"] = values
        return pd.DataFrame(columns)

    def save(self, path: str | Path) -> Path:
        """Write the scores as JSON."""
        path = Path(path)
        path.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
        return path


@torch.inference_mode()
def evaluate(
    model: DeepMSI,
    features: FeatureSet,
    *,
    subsets: Sequence[tuple[str, ...]] = SUBSETS[1:],
    temperature: float = 1.0,
    batch_size: int = 8,
    progress: bool = False,
    watch: Callable[[np.ndarray, tuple[str, ...], ModelOutput], None] | None = None,
) -> Evaluation:
    """Predict every clip with every subset of the modalities.

    Args:
        model: put into evaluation mode.
        features: made for this model (`training.features.prepare`).
        subsets: of `MODALITIES`, in that order; all but the empty one by default.
        temperature: of the checkpoint.
        batch_size: clips at once; the result does not depend on it.
        progress: show a bar with the time left.
        watch: called with (positions of clips, subset, output) after each forward pass.
    """
    model.eval()
    device = next(model.parameters()).device
    scheme = model.config.labels
    logits = {subset: np.full((len(features), len(scheme)), np.nan) for subset in subsets}
    batches = plain_batches(features, model.config, batch_size)
    num_batches = -(-len(features) // batch_size)
    for indices, batch in track(batches, "Evaluation", total=num_batches, disable=not progress):
        inputs = batch.inputs.to(device)
        for subset in subsets:
            shown = inputs.present & torch.tensor([m in subset for m in MODALITIES], device=device)
            rows = shown.any(dim=1)
            if not rows.any():
                continue
            output = model(replace(inputs, present=shown))
            known = rows.cpu().numpy()
            logits[subset][indices[known]] = output.logits[rows].double().cpu().numpy()
            if watch is not None:
                watch(indices, subset, output)
    return Evaluation(
        labels=scheme.labels,
        keys=tuple(u.key for u in features.utterances),
        truth=label_indices(features, scheme),
        logits=logits,
        temperature=temperature,
        scenarios=tuple(u.extra.get("scenario", "") for u in features.utterances),
    )


def fit_temperature(evaluation: Evaluation) -> float:
    """The temperature at which the dev set's true labels are most likely (Guo et al. 2017)."""
    logits = torch.from_numpy(evaluation.logits[ALL])
    truth = torch.from_numpy(evaluation.truth)
    candidates = np.geomspace(0.2, 8.0, 400)
    losses = [float(torch.nn.functional.cross_entropy(logits / t, truth)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def choose_threshold(evaluation: Evaluation, *, max_share: float = 0.3) -> float:
    """The confidence below which a prediction is told as uncertain.

    The largest one below which at most half of the dev set's predictions are right, and at most `max_share`
    of them lie; zero where even the least confident ones are mostly right.
    """
    probabilities = evaluation.probabilities()
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence)
    right = (probabilities.argmax(axis=1) == evaluation.truth)[order]
    sorted_confidence = confidence[order]
    threshold = 0.0
    for count in range(1, int(len(order) * max_share) + 1):
        if count < len(order) and right[:count].mean() <= 0.5:
            threshold = float((sorted_confidence[count - 1] + sorted_confidence[count]) / 2)
    return threshold
