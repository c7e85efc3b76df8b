"""Text encoder: a transformer of the BERT family, one vector per utterance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.config import TextConfig
from core.encoders.backbones import random_layout, resolve
from core.encoders.products import quicken
from core.encoders.trained import TrainedPart


class TextEncoder(nn.Module):
    """Text backbone with its tokenizer; frozen but for the layers that the configuration has trained.

    Args:
        config: backbone, width and pooling.
        weights: "pretrained" or "random" (then words are hashed into the vocabulary: no tokenizer is needed).
    """

    def __init__(self, config: TextConfig, weights: str = "pretrained"):
        super().__init__()
        from transformers import AutoConfig, AutoModel, AutoTokenizer, logging

        # its report on the unused pooling layer is noise to our users
        logging.set_verbosity_error()
        logging.disable_progress_bar()

        self.config = config
        self.sha256 = None
        self._tokenizer = None
        if weights == "pretrained" and not config.layout:
            found = resolve(config.backbone)
            self.sha256 = found.sha256
            self.backbone = AutoModel.from_pretrained(
                found.folder, use_safetensors=True, local_files_only=True, add_pooling_layer=False
            )
            self._tokenizer = AutoTokenizer.from_pretrained(found.folder, local_files_only=True)
        else:
            layout = random_layout(config.backbone)
            values = {**layout.values, **config.layout, "hidden_size": config.width}
            self.backbone = AutoModel.from_config(
                AutoConfig.for_model(layout.model_type, **values), add_pooling_layer=False
            )
        width = self.backbone.config.hidden_size
        if width != config.width:
            raise ValueError(f"{config.backbone} is {width} wide, the configuration says {config.width}")
        # not every kind of network has a table of positions
        num_positions = getattr(self.backbone.config, "max_position_embeddings", config.max_tokens)
        if config.max_tokens > num_positions:
            raise ValueError(
                f"max_tokens is {config.max_tokens}, but {config.backbone} reads {num_positions}"
            )
        quicken(self.backbone)
        self.trained = TrainedPart(self.backbone, config.num_trained_layers)
        self.eval()

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, both `(batch, token)`, cut at `max_tokens`."""
        if self._tokenizer is not None:
            encoded = self._tokenizer(
                texts, padding=True, truncation=True, max_length=self.config.max_tokens, return_tensors="pt"
            )
            return encoded["input_ids"], encoded["attention_mask"].bool()
        rows = [[1, *map(self._hash_word, text.lower().split()), 2] for text in texts]
        rows = [row[: self.config.max_tokens] for row in rows]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = True
        return ids, mask

    def word_of_token(self, text: str) -> list[int]:
        """For every token of `tokenize([text])`, which word of `text.split()` it is of; −1 where of none."""
        words = text.split()
        if self._tokenizer is None:
            return [-1, *range(len(words)), -1][: self.config.max_tokens]
        word_at = [-1] * len(text)
        end = 0
        for index, word in enumerate(words):
            start = text.index(word, end)
            end = start + len(word)
            word_at[start:end] = [index] * len(word)
        offsets = self._tokenizer(
            text, truncation=True, max_length=self.config.max_tokens, return_offsets_mapping=True
        )["offset_mapping"]
        # a token may begin with the space before its word
        return [max(word_at[start:end], default=-1) for start, end in offsets]

    def _hash_word(self, word: str) -> int:
        # FNV-1a: the same in every process, unlike hash()
        value = 2166136261
        for byte in word.encode():
            value = (value ^ byte) * 16777619 & 0xFFFFFFFF
        return 3 + value % (self.backbone.config.vocab_size - 3)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """`(batch, token)` ids and mask to `(batch, width)`."""
        return self._pooled(self.backbone(input_ids=token_ids, attention_mask=mask.long()), mask)

    def embed(self, token_ids: Tensor) -> Tensor:
        """Word embeddings `(batch, token, width)`: what a gradient may be asked for."""
        return self.backbone.get_input_embeddings()(token_ids)

    def from_embeddings(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """`forward` from what `embed` returns."""
        return self._pooled(self.backbone(inputs_embeds=embeddings, attention_mask=mask.long()), mask)

    @property
    def blank_token(self) -> int:
        """The token that stands for no word in particular: that of a masked word, or padding."""
        masked = None if self._tokenizer is None else self._tokenizer.mask_token_id
        return self.backbone.config.pad_token_id or 0 if masked is None else masked

    def _pooled(self, output, mask: Tensor) -> Tensor:
        hidden = output.last_hidden_state
        if self.config.pooling == "first":
            return hidden[:, 0]
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)

    @torch.no_grad()  # not inference_mode: what it returns may go into layers that are trained
    def encode(self, texts: list[str]) -> Tensor:
        """`(batch, width)` features of raw texts."""
        ids, mask = self.tokenize(texts)
        device = next(self.parameters()).device
        return self(ids.to(device), mask.to(device))

    def train(self, mode: bool = True) -> TextEncoder:
        """What is frozen stays in evaluation mode."""
        super().train(False)
        self.trained.train(mode)
        return self
