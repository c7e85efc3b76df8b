"""DeepMSI: text, audio and video to an emotion, with everything a view needs in one frozen output.

Text and audio are encoded first; their early fusion is the guide that decides what the video encoder keeps.
Any subset of modalities is a valid input: an absent one is a learned vector, never zeros.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from core.config import ModelConfig
from core.encoders.audio import AudioEncoder
from core.encoders.text import TextEncoder
from core.encoders.video import VideoChoice, VideoEncoder, VideoOutput
from core.fusion import Classifier, EarlyFusion, Projection
from core.labels import MODALITIES
from core.temporal import TemporalNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelInput:
    """A batch of clips. Sound and words come raw or, because their backbones are frozen, as cached features.

    Attributes:
        present: `(batch, modality)` in the order of `MODALITIES`; what is absent may hold anything.
        frames: `(batch, frame, 3, size, size)` face crops in [0, 1]; None when no clip has video.
        frame_tokens: what `VideoEncoder.embed` returns of each frame, `(batch, frame, rows, columns, width)`,
            in place of frames: for several questions about one clip.
        frame_mask: `(batch, frame)` True on real frames, which come first.
        of_clip: `(batch,)` for several questions about one clip: which of `frame_tokens` and of `frame_mask`,
            whose first dimension is then that of the clips, each row is about.
        video_features: `(batch, channels)` what the temporal network returns, in place of frames.
        waveforms, num_samples: `(batch, sample)` at 16 kHz and `(batch,)`.
        audio_features: what `AudioEncoder.forward` returns, in place of waveforms.
        token_ids, token_mask: `(batch, token)`.
        text_features: what `TextEncoder.forward` returns, in place of tokens.
    """

    present: Tensor
    frames: Tensor | None = None
    frame_tokens: Tensor | None = None
    frame_mask: Tensor | None = None
    of_clip: Tensor | None = None
    video_features: Tensor | None = None
    waveforms: Tensor | None = None
    num_samples: Tensor | None = None
    audio_features: Tensor | None = None
    token_ids: Tensor | None = None
    token_mask: Tensor | None = None
    text_features: Tensor | None = None

    def to(self, device: torch.device | str) -> ModelInput:
        """The same batch on another device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in values.items() if v is not None})


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelOutput:
    """Everything the forward pass computed that a loss, a view or an attribution may ask for.

    Attributes:
        logits: `(batch, class)`.
        fused: `(batch, dim)` the classifier's last hidden layer.
        projections: per modality `(batch, projection_width)`; meaningless where absent.
        features: per modality, before projection.
        guide: `(batch, guide_width)`.
        present: as in the input, less what the model does not read.
        video_rows: `(num_clips_with_video,)` rows of the batch that `video` is about.
        video: frame selection, patch steps and frame vectors; None when no clip has video.
    """

    logits: Tensor
    fused: Tensor
    projections: dict[str, Tensor]
    features: dict[str, Tensor]
    guide: Tensor
    present: Tensor
    video_rows: Tensor
    video: VideoOutput | None


class DeepMSI(nn.Module):
    """The whole network (MODEL section 1), for any preset.

    Args:
        config: sizes and variants.
        weights: "pretrained" resolves the backbones (see `core.encoders.backbones`); "frozen" only those of
            text and audio, for a checkpoint brings the video encoder; "random" needs nothing.

    Attributes:
        is_int8: whether its transformers multiply in 8 bits (`core.int8.use_int8`).
    """

    is_int8 = False

    def __init__(self, config: ModelConfig, weights: str = "random"):
        super().__init__()
        if weights not in ("pretrained", "frozen", "random"):
            raise ValueError(f'weights should be "pretrained", "frozen" or "random", not {weights!r}')
        self.config = config
        heads = config.heads
        frozen = "random" if weights == "random" else "pretrained"
        self.text = TextEncoder(config.text, frozen)
        self.audio = AudioEncoder(config.audio, frozen)
        self.video = VideoEncoder(config.video, config.compression, weights) if config.reads_video else None
        self.early_fusion = EarlyFusion(
            config.text.width, config.audio.feature_width, config.video.guide_width, heads
        )
        self.temporal = (
            TemporalNetwork(config.video.feature_width, config.temporal) if config.reads_video else None
        )
        widths = {
            "video": config.temporal.channels[-1],
            "audio": config.audio.feature_width,
            "text": config.text.width,
        }
        self.absent = nn.ParameterDict({m: nn.Parameter(0.02 * torch.randn(widths[m])) for m in MODALITIES})
        self.projections = nn.ModuleDict({m: Projection(widths[m], heads) for m in MODALITIES})
        self.classifier = Classifier(len(config.labels), heads)

    def trained_parameters(self) -> list[nn.Parameter]:
        """The parameters that training changes."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @property
    def variant(self) -> str:
        """What lets it answer otherwise than the network of its configuration; "" for nothing."""
        told = ["8 bits"] * self.is_int8
        if self.video is not None:
            kept = (self.video.config, self.video.compression)
            told += [repr(kept)] * (kept != (self.config.video, self.config.compression))
        return " ".join(told)

    def uncompressed(self) -> DeepMSI:
        """The same network, sharing all parameters, in which every frame keeps all its patches.

        It keeps all frames too, unless it is told which (`VideoChoice`).
        """
        return self._with_video(self.video.uncompressed())

    def keeping(
        self, num_frames: int | None = None, grids: tuple[tuple[int, int], ...] | None = None
    ) -> DeepMSI:
        """The same network, sharing all parameters, that keeps so many frames and patches.

        For answers at another cost than it was trained for: docs/performance.md has what they are worth. See
        `VideoEncoder.keeping`.
        """
        return self._with_video(self.video.keeping(num_frames, grids))

    def _with_video(self, video: VideoEncoder) -> DeepMSI:
        twin = copy.copy(self)
        twin._modules = dict(self._modules)
        twin.video = video
        return twin

    def text_features(self, batch: ModelInput) -> Tensor | None:
        """Text vectors of the batch, given or computed; None when it has no words at all."""
        if batch.text_features is None and batch.token_ids is not None:
            return self.text(batch.token_ids, batch.token_mask)
        return batch.text_features

    def audio_features(self, batch: ModelInput) -> Tensor | None:
        """Audio features of the batch, given or computed; None when it has no sound at all."""
        if batch.audio_features is None and batch.waveforms is not None:
            return self.audio(batch.waveforms, batch.num_samples)
        return batch.audio_features

    def forward(self, batch: ModelInput, choice: VideoChoice | None = None) -> ModelOutput:
        """Predict a batch; what is not among the configuration's modalities counts as absent.

        Args:
            batch: in any mixture of modalities.
            choice: what the compression is to keep, of the clips that have video; it decides when None.

        Raises:
            ValueError: when a modality is said to be present but was not given.
        """
        is_read = torch.tensor([m in self.config.modalities for m in MODALITIES], device=batch.present.device)
        batch = replace(batch, present=batch.present & is_read)
        text, audio = self.text_features(batch), self.audio_features(batch)
        if audio is not None:
            # whatever stands where a clip has no sound must not reach the trained mix, nor its gradient
            has_sound = batch.present[:, 1].view(-1, *[1] * (audio.ndim - 1))
            audio = self.audio.pool(torch.where(has_sound, audio, 0.0))
        seen = batch.frames if batch.frame_tokens is None else batch.frame_tokens
        given = {"video": batch.video_features if seen is None else seen, "audio": audio, "text": text}
        for column, modality in enumerate(MODALITIES):
            if given[modality] is None and bool(batch.present[:, column].any()):
                raise ValueError(f"{modality} is marked present but the batch does not hold it")

        features = {
            "audio": self._or_absent("audio", audio, batch.present),
            "text": self._or_absent("text", text, batch.present),
        }
        guide = self.early_fusion(torch.cat([features["text"], features["audio"]], 1))

        rows = batch.present[:, 0].nonzero().squeeze(1)
        video, video_feature = None, batch.video_features
        if len(rows) and video_feature is None:
            if batch.of_clip is not None:
                of_clip = batch.of_clip[rows]
                video = self.video.encode(seen, batch.frame_mask, guide[rows], choice, of_clip)
            else:
                encode = self.video if batch.frame_tokens is None else self.video.encode
                video = encode(seen[rows], batch.frame_mask[rows], guide[rows], choice)
            summary = self.temporal(video.frame_vectors, video.frame_mask)
            video_feature = summary.new_zeros(len(guide), summary.shape[1]).index_copy(0, rows, summary)
        features["video"] = self._or_absent("video", video_feature, batch.present)

        projections = {m: self.projections[m](features[m]) for m in MODALITIES}
        logits, fused = self.classifier(torch.cat([projections[m] for m in MODALITIES], 1))
        return ModelOutput(
            logits=logits,
            fused=fused,
            projections=projections,
            features={m: features[m] for m in MODALITIES},
            guide=guide,
            present=batch.present,
            video_rows=rows,
            video=video,
        )

    def _or_absent(self, modality: str, feature: Tensor | None, present: Tensor) -> Tensor:
        absent = self.absent[modality].expand(len(present), -1)
        if feature is None:
            return absent
        return torch.where(present[:, MODALITIES.index(modality), None], feature, absent)


def build_model(config: ModelConfig, weights: str = "pretrained") -> DeepMSI:
    """A model in evaluation mode. Raises BackboneError where a pretrained backbone cannot be had."""
    return DeepMSI(config, weights).eval()
