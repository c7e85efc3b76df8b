"""Early fusion, projection heads and the fused classifier (MODEL 1.2, 1.6, 1.7)."""

from __future__ import annotations

from torch import Tensor, nn

from core.config import HeadsConfig


def _hidden(width_in: int, width_out: int, dropout: float) -> nn.Sequential:
    # no bias: the batch norm behind it would take it away again
    return nn.Sequential(
        nn.Linear(width_in, width_out, bias=False),
        nn.BatchNorm1d(width_out),
        nn.LeakyReLU(0.01),
        nn.Dropout(dropout),
    )


class EarlyFusion(nn.Module):
    """g = MLP([t; a]): text and audio become the guide of the visual compression."""

    def __init__(self, text_width: int, audio_width: int, guide_width: int, config: HeadsConfig):
        super().__init__()
        self.hidden = _hidden(
            text_width + audio_width, config.early_fusion_hidden, config.early_fusion_dropout
        )
        self.output = nn.Linear(config.early_fusion_hidden, guide_width)

    def forward(self, text_and_audio: Tensor) -> Tensor:
        """`(batch, text width + audio width)` to `(batch, guide_width)`."""
        return self.output(self.hidden(text_and_audio))


class Projection(nn.Module):
    """One modality's feature in the contrastive space."""

    def __init__(self, width_in: int, config: HeadsConfig):
        super().__init__()
        width = config.projection_width
        self.first = nn.Linear(width_in, width)
        self.second = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.Dropout(config.projection_dropout))
        self.norm = nn.LayerNorm(width)

    def forward(self, feature: Tensor) -> Tensor:
        """`(batch, width_in)` to `(batch, projection_width)`."""
        first = self.first(feature)
        return self.norm(first + self.second(first))


class Classifier(nn.Module):
    """Late fusion: the three projections side by side, an MLP, and one logit per class."""

    def __init__(self, num_classes: int, config: HeadsConfig):
        super().__init__()
        widths = (3 * config.projection_width, *config.classifier_hidden)
        self.hidden = nn.Sequential(
            *(
                _hidden(widths[i], widths[i + 1], config.classifier_dropout)
                for i in range(len(config.classifier_hidden))
            )
        )
        self.output = nn.Linear(widths[-1], num_classes)

    def forward(self, projections: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, 3 · projection_width)` to logits `(batch, class)` and embedding `(batch, dim)`."""
        fused = self.hidden(projections)
        return self.output(fused), fused
