"""Everything that decides what a model computes, as frozen dataclasses that round-trip through JSON.

Defaults are the paper's (arXiv 2502.08573). Presets differ in size only; the code path is one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from core.from_dict import dataclass_from_dict
from core.labels import MELD_7, MODALITIES, LabelScheme


def _require_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} should be one of {', '.join(choices)}, not {value!r}")


def require_modalities(modalities: tuple[str, ...]) -> None:
    """Raises ValueError unless these are some of `MODALITIES`, in their order."""
    known = tuple(modality for modality in MODALITIES if modality in modalities)
    if not known or tuple(modalities) != known:
        raise ValueError(
            f"modalities should be some of {', '.join(MODALITIES)}, in this order, not {tuple(modalities)}"
        )


def _require_at_most(name: str, number: int, most: int) -> None:
    if number > most:
        raise ValueError(f"{name} should be at most {most:,}, not {number:,}")


def _require_layout(layout: dict[str, int]) -> None:
    for name, number in layout.items():
        _require_at_most(name, number, MAX_LAYERS if name.endswith("layers") else MAX_LAYOUT)


def _require_num_layers(number: int) -> None:
    if number < -1:
        raise ValueError(f"num_trained_layers should be a number of layers, or -1 for all, not {number}")


def _require_positive(config: object, *names: str) -> None:
    """Raises ValueError for the first of a config's sizes, or tuples of sizes, that is not above zero."""
    for name in names:
        value = getattr(config, name)
        sizes = value if isinstance(value, tuple) else (value,)
        if not sizes or min(sizes) < 1:
            raise ValueError(f"{name} should be at least 1, not {value}")


def _require_positive_layout(layout: dict[str, int]) -> None:
    for name, size in layout.items():
        if size < 1:
            raise ValueError(f"{name} should be at least 1, not {size}")


def _require_share(config: object, *names: str) -> None:
    """Raises ValueError for the first of a config's shares that is not within 0 and 1."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} should lie in [0, 1], not {value}")


MAX_LAYERS = 96
"""Of one part of a network; more would take minutes to be built. A configuration may come from anyone."""

MAX_LAYOUT = 200_000
"""Of any other size of a backbone; the largest is that of a vocabulary."""

MAX_CANDIDATE_PIXELS = 2**25
"""Of all candidate frames of a clip; the paper's have 2**21. As numbers of a network they take 400 MB."""

MAX_REACH = 4096
"""Frames over which a convolution of the temporal network reaches; the paper's reaches over 8."""

_MAX_IMAGE_SIZE, _MAX_WINDOW = 1024, 32


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Text encoder: one vector per utterance.

    Attributes:
        backbone: hub name, folder, or a name `core.encoders.backbones` knows.
        width: of its hidden states.
        pooling: "mean" over tokens, or "first" (the class token).
        max_tokens: longer transcripts are cut.
        layout: sizes of a randomly initialised backbone; empty means the backbone's own.
        num_trained_layers: of the backbone, from the top, that training changes and a checkpoint stores;
            −1 for all of it, its embeddings included.
    """

    backbone: str = "bert-large-uncased"
    width: int = 1024
    pooling: str = "first"
    max_tokens: int = 128
    layout: dict[str, int] = field(default_factory=dict)
    num_trained_layers: int = 0

    def __post_init__(self):
        _require_one_of("pooling", self.pooling, ("mean", "first"))
        _require_layout(self.layout)
        _require_num_layers(self.num_trained_layers)
        _require_positive(self, "width", "max_tokens")
        _require_positive_layout(self.layout)


AUDIO_POOLINGS = ("mean", "layer-statistics", "layer-projection")

WHISPER_SECONDS = 30
"""What Whisper's encoder has positions for."""


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """Audio encoder: one vector per utterance.

    Attributes:
        backbone: as in `TextConfig`.
        width: of its hidden states.
        pooling: "mean" over time of the last layer (paper); or mean and deviation over time of every layer:
            mixed by a learned weight of each ("layer-statistics", a vector of `2 * width`), or side by side,
            the first layer's input left out, through a learned linear map ("layer-projection", a vector of
            `width`).
        max_seconds: longer sounds are encoded window by window of this length; at most `WHISPER_SECONDS`.
        layout: as in `TextConfig`.
        num_trained_layers: as in `TextConfig`.
    """

    backbone: str = "facebook/wav2vec2-base"
    width: int = 768
    pooling: str = "mean"
    max_seconds: int = WHISPER_SECONDS
    layout: dict[str, int] = field(default_factory=dict)
    num_trained_layers: int = 0

    def __post_init__(self):
        _require_one_of("pooling", self.pooling, AUDIO_POOLINGS)
        _require_layout(self.layout)
        _require_num_layers(self.num_trained_layers)
        _require_positive(self, "width", "max_seconds")
        _require_positive_layout(self.layout)
        if self.max_seconds > WHISPER_SECONDS:
            raise ValueError(f"max_seconds should be at most {WHISPER_SECONDS}, not {self.max_seconds}")

    @property
    def feature_width(self) -> int:
        """Width of the pooled vector."""
        return 2 * self.width if self.pooling == "layer-statistics" else self.width


@dataclass(frozen=True, kw_only=True)
class CompressionConfig:
    """Select-and-merge (MODEL section 1.4), for patches and for frames alike.

    `merge=False`, `order="score"` and `train_guide=False` are the published code's variants, kept to be
    compared with; `enabled=False` keeps every patch and every candidate frame.
    """

    enabled: bool = True
    similarity_threshold: float = 0.6
    retain: float = 0.9
    merge: bool = True
    order: str = "raster"
    train_guide: bool = True

    def __post_init__(self):
        _require_one_of("order", self.order, ("raster", "score"))
        _require_share(self, "retain")


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Swin Transformer V2 with visual sequence compression inside stage 3, and frame selection before it.

    Attributes:
        backbone: timm name whose pretrained weights may be loaded; None for a network of our own.
        image_size: side of the square face crop, in pixels.
        stem: "patch" (Swin's own patch embedding) or "conv" (two strided 3×3 convolutions).
        early_stages: stages 1 and 2 as "swin" blocks, or as "conv": as many residual convolutions, which a
            small network learns from far fewer pictures (docs/training.md).
        vsc_after: blocks of stage 3 that a compression step follows.
        vsc_grids: (rows, columns) of tokens left by each step.
        num_candidate_frames: sampled uniformly from the clip.
        num_kept_frames: left by the frame-level compression.
        frame_width: width of the descriptor by which frames are compared.
    """

    backbone: str | None = "swinv2_tiny_window8_256"
    image_size: int = 256
    patch_size: int = 4
    stem: str = "patch"
    early_stages: str = "swin"
    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: int = 8
    drop_path: float = 0.2
    vsc_after: tuple[int, ...] = (0, 2, 4)
    vsc_grids: tuple[tuple[int, int], ...] = ((14, 14), (12, 12), (10, 10))
    num_candidate_frames: int = 32
    num_kept_frames: int = 15
    frame_width: int = 128

    def __post_init__(self):
        _require_one_of("stem", self.stem, ("patch", "conv"))
        _require_one_of("early_stages", self.early_stages, ("swin", "conv"))
        if len(self.depths) != 4 or len(self.num_heads) != 4:
            raise ValueError("depths and num_heads should hold one number for each of the 4 stages")
        _require_at_most("depths", max(self.depths), MAX_LAYERS)
        _require_at_most("image_size", self.image_size, _MAX_IMAGE_SIZE)
        _require_at_most("window_size", self.window_size, _MAX_WINDOW)
        num_pixels = self.num_candidate_frames * self.image_size**2
        _require_at_most("num_candidate_frames × image_size²", num_pixels, MAX_CANDIDATE_PIXELS)
        _require_positive(self, "image_size", "patch_size", "embed_dim", "depths", "num_heads", "window_size")
        _require_positive(self, "num_candidate_frames", "num_kept_frames", "frame_width")
        _require_share(self, "drop_path")
        blocks, steps = range(self.depths[2]), list(self.vsc_after)
        if steps != sorted(set(steps) & set(blocks)):
            raise ValueError(
                f"vsc_after should name blocks of stage 3, which has {len(blocks)}, in order, not {steps}"
            )
        if len(self.vsc_grids) != len(steps):
            raise ValueError(
                f"vsc_after names {len(steps)} blocks but vsc_grids holds {len(self.vsc_grids)} grids"
            )
        sizes = [rows * columns for rows, columns in (self.stage3_grid, *self.vsc_grids)]
        if sizes != sorted(sizes, reverse=True) or sizes[-1] < 1:
            raise ValueError(
                f"vsc_grids should shrink the {sizes[0]} tokens of stage 3 step by step, not to {sizes[1:]}"
            )

    @property
    def guide_width(self) -> int:
        """Width of stage 3, hence of the guide."""
        return self.embed_dim * 4

    @property
    def feature_width(self) -> int:
        """Width of a frame's vector."""
        return self.embed_dim * 8

    @property
    def stage3_grid(self) -> tuple[int, int]:
        """Rows and columns of tokens that enter stage 3: the grid in which kept patches are told."""
        side = self.image_size // self.patch_size // 4
        return side, side


@dataclass(frozen=True, kw_only=True)
class TemporalConfig:
    """Temporal convolutional network over kept frames (MODEL section 1.5).

    Attributes:
        summary: of its states: "last", the one at the last frame (the paper's), or "attention", their mean
            weighted by a learned score of each, by which a frame counts for what it shows rather than for
            being late.
    """

    channels: tuple[int, ...] = (1024, 1024, 1024)
    kernel_size: int = 3
    dropout: float = 0.4
    summary: str = "last"

    def __post_init__(self) -> None:
        _require_one_of("summary", self.summary, ("last", "attention"))
        _require_at_most("the number of channels", len(self.channels), MAX_LAYERS)
        reach = (self.kernel_size - 1) * 2 ** (len(self.channels) - 1) if self.channels else 0
        _require_at_most("the reach of kernel_size over all channels", reach, MAX_REACH)
        _require_positive(self, "channels", "kernel_size")
        _require_share(self, "dropout")


@dataclass(frozen=True, kw_only=True)
class HeadsConfig:
    """Early fusion, projections and classifier (MODEL sections 1.2, 1.6, 1.7)."""

    early_fusion_hidden: int = 512
    early_fusion_dropout: float = 0.1
    projection_width: int = 256
    projection_dropout: float = 0.1
    classifier_hidden: tuple[int, ...] = (512, 256, 128)
    classifier_dropout: float = 0.3

    def __post_init__(self) -> None:
        _require_positive(self, "early_fusion_hidden", "projection_width", "classifier_hidden")
        _require_share(self, "early_fusion_dropout", "projection_dropout", "classifier_dropout")
        _require_at_most("the number of classifier_hidden", len(self.classifier_hidden), MAX_LAYERS)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A whole DeepMSI model.

    Attributes:
        modalities: that it reads; the others are absent to it, also where a clip has them.
    """

    preset: str = "paper"
    labels: LabelScheme = MELD_7
    modalities: tuple[str, ...] = MODALITIES
    text: TextConfig = TextConfig()
    audio: AudioConfig = AudioConfig()
    video: VideoConfig = VideoConfig()
    compression: CompressionConfig = CompressionConfig()
    temporal: TemporalConfig = TemporalConfig()
    heads: HeadsConfig = HeadsConfig()

    def __post_init__(self):
        require_modalities(self.modalities)

    @property
    def reads_video(self) -> bool:
        """Whether there is a video encoder at all."""
        return "video" in self.modalities

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> ModelConfig:
        """The inverse of `to_dict`. Raises ValueError naming every unknown key."""
        return dataclass_from_dict(cls, values, "config")


PAPER = ModelConfig()

BASE = ModelConfig(
    preset="base",
    text=TextConfig(backbone="roberta-base", width=768, pooling="mean"),
)

MINI = ModelConfig(
    preset="mini",
    text=TextConfig(backbone="sentence-transformers/all-MiniLM-L6-v2", width=384, pooling="mean"),
    audio=AudioConfig(backbone="openai/whisper-tiny.en", width=384, pooling="layer-statistics"),
    video=VideoConfig(
        backbone=None,
        image_size=128,
        stem="conv",
        early_stages="conv",
        embed_dim=32,
        depths=(1, 1, 6, 2),
        num_heads=(1, 2, 4, 8),
        drop_path=0.1,
        # the paper keeps 39 % of the tokens; 24 of 64 is the nearest grid that patch merging can halve
        vsc_grids=((8, 6), (6, 6), (6, 4)),
    ),
    temporal=TemporalConfig(channels=(256, 256, 256), dropout=0.3, summary="attention"),
    heads=HeadsConfig(early_fusion_hidden=256, classifier_hidden=(256, 128)),
)

TINY = ModelConfig(
    preset="tiny",
    text=TextConfig(
        backbone="random-bert",
        width=32,
        pooling="mean",
        max_tokens=32,
        layout={"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    ),
    audio=AudioConfig(
        backbone="random-whisper",
        width=32,
        pooling="layer-statistics",
        layout={"encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64},
    ),
    video=VideoConfig(
        backbone=None,
        image_size=64,
        embed_dim=16,
        depths=(1, 1, 2, 1),
        num_heads=(1, 2, 4, 8),
        vsc_after=(0,),
        vsc_grids=((2, 4),),
        num_candidate_frames=6,
        num_kept_frames=3,
        frame_width=16,
    ),
    temporal=TemporalConfig(channels=(32, 32), dropout=0.0),
    heads=HeadsConfig(early_fusion_hidden=32, projection_width=16, classifier_hidden=(32, 16)),
)

PRESETS = {config.preset: config for config in (PAPER, BASE, MINI, TINY)}
