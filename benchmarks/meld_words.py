"""MELD's words as the network reads them, for the comparison in rare_classes.py."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from core.config import PRESETS, ModelConfig
from core.encoders.text import TextEncoder
from core.fusion import Projection
from core.labels import MELD_7
from training.config import TrainConfig
from training.datasets.meld import read_meld

SPLITS = ("train", "dev", "test")


class Words:
    """MELD's utterances as tokens, with those before them where asked, and as frozen features.

    Attributes:
        labels: per split `(utterance,)` class indices.
        rows: per split the token ids of each utterance, special tokens and context included.
        own: per split `(utterance,)` where in its row the utterance itself begins.
        dialogues: per split `(utterance,)` names.

    Args:
        data: folder of the annotations.
        cache_dir: for frozen features.
        preset: whose text encoder is used.
        context: utterances of the same dialogue that are read before each.
        limit: utterances per split.
    """

    def __init__(
        self, data: Path, cache_dir: Path, *, preset: str = "mini", context: int = 0, limit: int | None = None
    ) -> None:
        self.config: ModelConfig = PRESETS[preset]
        self.cache_dir = cache_dir
        utterances = read_meld(data).utterances
        encoder = self.encoder(num_trained_layers=0)
        self.labels, self.rows, self.own, self.dialogues = {}, {}, {}, {}
        for split in SPLITS:
            part = [u for u in utterances if u.split == split][:limit]
            ids, mask = encoder.tokenize([u.transcript for u in part])
            plain = [row[real].tolist() for row, real in zip(ids, mask, strict=True)]
            self.dialogues[split] = np.array([u.dialogue for u in part])
            self.labels[split] = np.array([MELD_7.index(u.label) for u in part])
            joined = with_context(plain, [u.dialogue for u in part], context, encoder.config.max_tokens)
            self.rows[split], self.own[split] = map(list, zip(*joined, strict=True))
        self._features: dict[str, Tensor] = {}

    def encoder(self, *, num_trained_layers: int) -> TextEncoder:
        """A fresh one."""
        return TextEncoder(replace(self.config.text, num_trained_layers=num_trained_layers))

    def tokens(
        self, split: str, indices: np.ndarray, drop: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Token ids, mask of real ones, and mask of those that the utterance's vector is the mean of.

        Args:
            split: of the utterances.
            indices: of them.
            drop: leaves tokens of an utterance out, but for the special ones around it.
        """
        rows = [torch.tensor(self.rows[split][i]) for i in indices]
        if drop is not None:
            starts = [self.own[split][i] - 1 for i in indices]
            rows = [torch.cat([row[:at], drop(row[at:])]) for row, at in zip(rows, starts, strict=True)]
        lengths = torch.tensor([len(row) for row in rows])
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        places = torch.arange(ids.shape[1])
        mask = places < lengths[:, None]
        own = torch.tensor([self.own[split][i] for i in indices])
        return ids, mask, mask & ((places >= own[:, None]) | (places == 0))

    def features(self, split: str) -> Tensor:
        """`(utterance, width)` of the frozen encoder, cached; each dimension on the scale of train."""
        if split not in self._features:
            raw = {name: self._raw_features(name) for name in {"train", split}}
            mean, deviation = raw["train"].mean(0), raw["train"].std(0)
            self._features[split] = (raw[split] - mean) / deviation
        return self._features[split]

    @torch.inference_mode()
    def _raw_features(self, split: str) -> Tensor:
        content = json.dumps([self.config.text.backbone, self.rows[split], self.own[split]])
        path = self.cache_dir / f"features-{hashlib.sha256(content.encode()).hexdigest()[:16]}.npy"
        if not path.exists():
            encoder = self.encoder(num_trained_layers=0)
            values = np.zeros((len(self.rows[split]), self.config.text.width), np.float32)
            for indices in track(by_length(self.rows[split], 64), f"Encoding {split}"):
                values[indices] = mean_of_own(encoder, *self.tokens(split, indices)).numpy()
            np.save(path, values)
        return torch.from_numpy(np.load(path))


def with_context(
    rows: list[list[int]], dialogues: list[str], num_before: int, max_tokens: int
) -> list[tuple[list[int], int]]:
    """Rows of token ids with the rows before them in the same dialogue, and where their own tokens begin.

    [start] before [end] … [end] own [end]; of the context the earliest tokens are cut where a row would be
    longer than `max_tokens`.
    """
    joined = []
    for i, row in enumerate(rows):
        first = max(0, i - num_before)
        before = [token for j in range(first, i) if dialogues[j] == dialogues[i] for token in rows[j][1:]]
        before = before[max(0, len(before) + len(row) - max_tokens) :]
        joined.append((row[:1] + before + row[1:], 1 + len(before)))
    return joined


def by_length(rows: list[list[int]], batch_size: int) -> list[np.ndarray]:
    """Batches of all rows with little padding."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def evened(
    batches: list[np.ndarray], lengths: np.ndarray, random: np.random.Generator, window: int = 32
) -> list[np.ndarray]:
    """The same draws in batches of like length: sorted within `window` batches, in random order."""
    cut = []
    for start in range(0, len(batches), window):
        part = batches[start : start + window]
        drawn = np.concatenate(part)
        cut += np.split(drawn[np.argsort(lengths[drawn], kind="stable")], len(part))
    return [cut[i] for i in random.permutation(len(cut))]


def mean_of_own(encoder: TextEncoder, ids: Tensor, mask: Tensor, own: Tensor) -> Tensor:
    """`(utterance, width)`; without context what `TextEncoder.forward` gives for mean pooling."""
    hidden = encoder.backbone(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    weight = own.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


class Classifier(nn.Module):
    """The words' part of the network: encoder (unless frozen), projection, classes."""

    def __init__(self, words: Words, config: TrainConfig) -> None:
        super().__init__()
        heads = words.config.heads
        layers = config.num_text_layers
        self.text = words.encoder(num_trained_layers=layers) if layers else None
        self.dropout = nn.Dropout(heads.projection_dropout)
        self.projection = Projection(words.config.text.width, heads)
        self.output = nn.Sequential(
            nn.Dropout(heads.classifier_dropout), nn.Linear(heads.projection_width, len(MELD_7))
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, and two views of each utterance's projection that differ by dropout (Gao et al. 2021)."""
        feature = inputs[0] if self.text is None else mean_of_own(self.text, *inputs)
        first, second = (self.projection(self.dropout(feature)) for _ in range(2))
        return self.output(first), first, second
