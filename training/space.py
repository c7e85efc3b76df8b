"""Notes where a fixed set of dev clips lies after every epoch, for the view of the space over time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.config import ModelConfig
from core.labels import MODALITIES
from core.model import ModelOutput
from core.space import SPACES, Space
from training.features import FeatureSet

CLIPS_PER_LABEL = 16


class SpaceRecorder:
    """Watches evaluations of the dev split (`training.scores.evaluate(watch=…)`).

    `watch` notes a batch, `note` makes the noted clips the next moment.

    Args:
        dev: of each label the first `CLIPS_PER_LABEL` clips are followed.
        config: of the model.
    """

    def __init__(self, dev: FeatureSet, config: ModelConfig) -> None:
        labels = [utterance.label for utterance in dev.utterances]
        rank = [labels[:index].count(label) for index, label in enumerate(labels)]
        self._rows = [index for index, number in enumerate(rank) if number < CLIPS_PER_LABEL]
        self._keys = tuple(dev.utterances[row].key for row in self._rows)
        self._labels = tuple(labels[row] for row in self._rows)
        width = config.heads.projection_width
        widths = dict.fromkeys(MODALITIES, width) | {"fused": config.heads.classifier_hidden[-1]}
        self._empty = {name: np.full((len(self._rows), widths[name]), np.nan, np.float16) for name in SPACES}
        self._now = {name: value.copy() for name, value in self._empty.items()}
        self._epochs: list[int] = []
        self._moments: dict[str, list[np.ndarray]] = {name: [] for name in SPACES}

    def watch(self, indices: np.ndarray, subset: tuple[str, ...], output: ModelOutput) -> None:
        """Note one batch that was read with all its modalities."""
        if subset != MODALITIES:
            return
        values = {**output.projections, "fused": output.fused}
        present = dict(zip(MODALITIES, output.present.cpu().numpy().T, strict=True))
        place = {row: number for number, row in enumerate(self._rows)}
        for name, value in values.items():
            moved = value.float().cpu().numpy()
            for row, clip in enumerate(indices.tolist()):
                if clip in place and (name == "fused" or present[name][row]):
                    self._now[name][place[clip]] = moved[row]

    def note(self, epoch: int) -> None:
        """What was noted since the last time is how things lay after this epoch; −1 is before the first."""
        self._epochs.append(epoch)
        for name in SPACES:
            self._moments[name].append(self._now[name])
            self._now[name] = self._empty[name].copy()

    def result(self) -> Space:
        """All moments."""
        return Space(
            keys=self._keys,
            labels=self._labels,
            epochs=np.array(self._epochs),
            embeddings={name: np.stack(moments) for name, moments in self._moments.items()},
        )

    def tensors(self) -> dict[str, Tensor]:
        """All moments, to be kept with an unfinished run; none before the first."""
        if not self._epochs:
            return {}
        moments = {name: torch.from_numpy(np.stack(values)) for name, values in self._moments.items()}
        return {"epochs": torch.tensor(self._epochs), **moments}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`; what was noted in the meantime is forgotten."""
        self._now = {name: value.copy() for name, value in self._empty.items()}
        self._epochs = tensors["epochs"].tolist() if tensors else []
        for name in SPACES:
            self._moments[name] = list(tensors[name].numpy()) if tensors else []
