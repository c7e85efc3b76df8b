"""Everything that decides a training run, as one frozen dataclass."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from core.config import AUDIO_POOLINGS, PRESETS, CompressionConfig, dataclass_from_dict, require_modalities
from core.labels import MODALITIES, SCHEMES
from training.losses import CONTRASTIVE_FORMS
from training.protocol import GROUPS, PROTOCOLS

PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        data: data sets (`training.datasets.read_dataset`); their `train` split is learned from, their `dev`
            split chooses epoch, temperature and threshold, their `test` split is only reported on.
        allow_outside: admit clips outside the folder of the manifest that names them.
        data_options: for readers (docs/datasets.md) by name of the data set: {"ravdess": {"songs": "true"}}.
        protocol: decides the splits (`training.protocol`); None for the data's own, a test split or none.
        fold: of the protocol, by name; "" for its only one.
        num_folds / fold_group: of the protocol `grouped-kfold`.
        out: folder of the checkpoint to be made.
        cache_dir: of the features (`training.features`).
        preset: of the model.
        source_shares: of the clips drawn, by data set; () for as many as each has.
        epoch_size: clips drawn for an epoch; zero for as many as there are.
        labels: name of the label scheme (`core.labels.SCHEMES`); the preset's own if None.
        modalities: that the model is to read, in the order of `core.labels.MODALITIES`.
        compression: variants of the compression step; the preset's own if None.
        audio_pooling: of sounds to one vector (`core.config.AudioConfig`); the preset's own if None.
        start: checkpoint whose weights the run begins with, and whose labels, compression and audio pooling
            it has where none are set; of other labels, all weights but the last layer's. What it learned from
            counts as training data: judge the result on clips that it never met.
        pretrained_video: folder that `training.pretrain.pretrain` made; those of `start`, or random, if None.
        num_text_layers / num_audio_layers: of these backbones, from the top, that are trained too; −1 for
            all, zero leaves them frozen and their features cached.
        batch_size: clips per batch, over all processes.
        accumulation: batches per step. The class loss is that of one large batch; the contrastive one
            compares within each batch.
        learning_rate: of all trained parameters but those below.
        video_learning_rate: of what can be pretrained, the video encoder and the temporal network; but the
            guides learn with the early fusion that feeds them.
        encoder_learning_rate: of the topmost trained layer of the text and audio backbones.
        layer_decay: factor of that rate from each layer to the one below.
        num_blind_epochs: at first, sound and words are learned alone, which costs little: the picture of
            clips that have anything else is hidden. Else a pretrained video encoder is leaned on at once.
        optimizer: "adamw" or "adam" (the paper's).
        warmup_share: of all steps; then half a cosine to zero.
        patience: epochs of which none is kept before training stops; blind ones do not count.
        dev_tolerance: epochs whose dev macro-F1 lies within so much of the best one's count as alike, and the
            latest of them is kept: a small dev split tells them apart by chance, and later ones have settled.
        num_train_frames: candidate frames per clip and step; one of these is drawn for each batch, so that
            the temporal network learns every length. Evaluation uses all candidates.
        modality_dropout: probability that a clip is shown with a random proper subset of its modalities.
        augment: pictures (flip, shift, light, …) and sound: features get noise; where the audio encoder is
            trained, waveforms other speeds, filters, noise and stretches of silence.
        word_dropout: probability of each token of a text to be left out in training; where the text encoder
            is trained.
        contrastive_weight: beside the class loss's one; likewise `contrastive_form`, `temperature` and
            `text_audio_weight` (see `training.losses`).
        queue_size: earlier clips per class and modality that the contrastive loss also meets; zero for none.
        prototype_weight: of the contrast with each class's running mean projection, beside the class loss's
            one; at the same `temperature`. Zero for none.
        prior_tau: strength of the logit adjustment for rare classes; one is the balanced softmax, zero plain
            cross-entropy.
        class_weight_beta: weighs classes in the class loss by their effective number of clips; zero weighs
            all alike, 0.999 to 0.9999 are usual.
        class_weight_start: share of the epochs, in whole ones, that pass before these weights count; above
            zero, deferred re-weighting. A run that stops early may not come to them.
        focal_gamma: how much less the class loss counts clips that are already right; zero for not at all, 2
            is usual; with class weights, the class-balanced focal loss.
        class_balance: how far sampling evens out the classes: zero not at all, 0.5 as the square root of
            their sizes, one wholly.
        progressive_balance: sampling starts as the clips are and ends, in the last epoch, as `class_balance`
            says.
        tune_offsets: after training, shift each class's logit for the dev split's macro-F1
            (`training.offsets`), where that promises anything for unseen clips.
        weight_average: decay per step of the averaged weights that are evaluated and saved; zero for none.
        precision: "no", "bf16" or "fp16".
        recompute: have the backward pass compute the first blocks of the video encoder again: less memory.
            For presets whose early stages are blocks, not convolutions.
        save_every: steps after which the run's state is kept, so that it can be resumed; zero for the ends of
            epochs and where the process is asked to stop, which keep it in any case.
        half_weights: store the weights as float16.
        sources: what the card says of the data and their licences, in a sentence or two.
    """

    data: tuple[Path, ...]
    out: Path
    cache_dir: Path
    allow_outside: bool = False
    data_options: dict[str, dict[str, str]] = field(default_factory=dict)
    protocol: str | None = None
    fold: str = ""
    num_folds: int = 5
    fold_group: str = "speaker"
    preset: str = "mini"
    labels: str | None = None
    modalities: tuple[str, ...] = MODALITIES
    source_shares: tuple[float, ...] = ()
    epoch_size: int = 0
    compression: CompressionConfig | None = None
    audio_pooling: str | None = None
    start: Path | None = None
    pretrained_video: Path | None = None
    num_text_layers: int = 0
    num_audio_layers: int = 0
    num_epochs: int = 20
    batch_size: int = 16
    accumulation: int = 1
    learning_rate: float = 5e-4
    video_learning_rate: float = 1e-4
    encoder_learning_rate: float = 3e-5
    layer_decay: float = 0.9
    num_blind_epochs: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 0.05
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    patience: int = 6
    dev_tolerance: float = 0.0
    num_train_frames: tuple[int, ...] = (8, 12, 16, 32)
    modality_dropout: float = 0.5
    augment: bool = True
    word_dropout: float = 0.0
    contrastive_weight: float = 0.5
    contrastive_form: str = "corrected"
    temperature: float = 0.5
    text_audio_weight: float = 1.0
    queue_size: int = 0
    prototype_weight: float = 0.0
    prior_tau: float = 0.0
    class_weight_beta: float = 0.9999
    class_weight_start: float = 0.75
    focal_gamma: float = 0.0
    class_balance: float = 0.0
    progressive_balance: bool = False
    label_smoothing: float = 0.05
    tune_offsets: bool = False
    weight_average: float = 0.99
    precision: str = "no"
    recompute: bool = False
    save_every: int = 200
    num_workers: int = 2
    num_threads: int = 2
    half_weights: bool = False
    sources: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "preset": PRESETS,
            "optimizer": ("adamw", "adam"),
            "contrastive_form": CONTRASTIVE_FORMS,
            "precision": PRECISIONS,
            "audio_pooling": (None, *AUDIO_POOLINGS),
            "labels": (None, *SCHEMES),
            "protocol": (None, *PROTOCOLS),
            "fold_group": GROUPS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} should be one of {', '.join(filter(None, known))}, not {getattr(self, name)!r}"
                )
        if self.num_epochs < 1 or self.batch_size < 2 or self.accumulation < 1:
            raise ValueError("training needs at least one epoch, two clips per batch and one batch per step")
        if not 0 <= self.num_blind_epochs <= self.num_epochs:
            raise ValueError(
                f"num_blind_epochs should lie in [0, {self.num_epochs}], not be {self.num_blind_epochs}"
            )
        if not self.num_train_frames or min(self.num_train_frames) < 1:
            raise ValueError("num_train_frames should name at least one positive number of frames")
        for name in (
            "modality_dropout",
            "word_dropout",
            "warmup_share",
            "class_balance",
            "label_smoothing",
            "weight_average",
            "dev_tolerance",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} should lie in [0, 1], not {getattr(self, name)}")
        for name in (
            "contrastive_weight",
            "text_audio_weight",
            "queue_size",
            "prototype_weight",
            "prior_tau",
            "focal_gamma",
            "weight_decay",
            "patience",
            "epoch_size",
            "save_every",
            "seed",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} should not be below zero, as {getattr(self, name)} is")
        for name, least in (("num_threads", 1), ("num_folds", 3)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} should be at least {least}, not {getattr(self, name)}")
        for name in ("num_text_layers", "num_audio_layers"):
            if getattr(self, name) < -1:
                raise ValueError(
                    f"{name} should be a number of layers, or -1 for all, not {getattr(self, name)}"
                )
        self._check_combinations()
        if self.weight_average == 1.0:
            raise ValueError("weight_average should be below 1, or the average never moves")
        if self.source_shares and len(self.source_shares) != len(self.data):
            raise ValueError(
                f"source_shares has {len(self.source_shares)} numbers, data has {len(self.data)} data sets"
            )
        if any(not share > 0.0 for share in self.source_shares):
            raise ValueError(f"source_shares should be above zero, not {self.source_shares}")
        if self.epoch_size == 1:
            raise ValueError("epoch_size should be 2 or more, or zero for as many clips as there are")
        for name in (
            "learning_rate",
            "video_learning_rate",
            "encoder_learning_rate",
            "layer_decay",
            "temperature",
            "clip_norm",
        ):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} should be above zero, not {getattr(self, name)}")

    def _check_combinations(self) -> None:
        """Refuse what would silently do nothing."""
        if not 0.0 <= self.class_weight_beta < 1.0:
            raise ValueError(f"class_weight_beta should lie in [0, 1), not be {self.class_weight_beta}")
        if not 0.0 <= self.class_weight_start < 1.0:
            raise ValueError(f"class_weight_start should lie in [0, 1), not be {self.class_weight_start}")
        require_modalities(self.modalities)
        for name, modality in (("num_text_layers", "text"), ("num_audio_layers", "audio")):
            if getattr(self, name) and modality not in self.modalities:
                raise ValueError(f"{name} needs a model that reads {modality}: see modalities")
        if self.num_blind_epochs and self.modalities == ("video",):
            raise ValueError("num_blind_epochs needs a model that reads sound or words: see modalities")
        if "video" not in self.modalities and (self.pretrained_video or self.compression):
            raise ValueError("pretrained_video and compression need a model that reads video: see modalities")
        if self.recompute and (
            "video" not in self.modalities or PRESETS[self.preset].video.early_stages != "swin"
        ):
            raise ValueError(
                "recompute needs a model that reads video with blocks in its early stages, as paper does: "
                "see preset and modalities"
            )
        if self.word_dropout and not self.num_text_layers:
            raise ValueError("word_dropout needs a text encoder that is trained: set num_text_layers too")
        if self.progressive_balance and not self.class_balance:
            raise ValueError("progressive_balance needs a balance to end with: set class_balance too")
        if self.fold and self.protocol is None:
            raise ValueError("fold needs the protocol that it is of: set protocol too")
        if self.protocol != "grouped-kfold" and (self.num_folds, self.fold_group) != (5, "speaker"):
            raise ValueError("num_folds and fold_group are of the protocol grouped-kfold alone")
        if self.num_blind_epochs and "video" not in self.modalities:
            raise ValueError("num_blind_epochs needs a model that reads video too: see modalities")
        if self.audio_pooling and "audio" not in self.modalities:
            raise ValueError("audio_pooling needs a model that reads audio: see modalities")
        if self.source_shares and len(self.data) == 1:
            raise ValueError("source_shares needs several data sets: of one there is nothing to share")
        if self.queue_size and (self.contrastive_form == "published" or not self.contrastive_weight):
            raise ValueError(
                "queue_size needs the corrected contrastive form, with a contrastive_weight above zero"
            )

    @property
    def run_folder(self) -> Path:
        """Beside `out`: the state of an unfinished run, and its curves for TensorBoard."""
        return self.out.with_name(f"{self.out.name}.run")

    def to_dict(self) -> dict:
        """As plain JSON types."""
        return json.loads(json.dumps(dataclasses.asdict(self), default=str))

    def decisive(self) -> dict:
        """What decides the weights, as plain JSON types; the data are told by their hash."""
        values = self.to_dict()
        for name in _INDECISIVE:
            del values[name]
        return values

    def recipe(self) -> dict:
        """What a checkpoint tells of its making: `to_dict` without this machine's folders."""
        values = self.to_dict()
        del values["out"], values["cache_dir"]
        values["data"] = ["/".join(path.parts[-2:]) for path in self.data]
        for name in ("start", "pretrained_video"):
            if (folder := getattr(self, name)) is not None:
                values[name] = folder.name
        return values

    @classmethod
    def from_dict(cls, values: dict) -> TrainConfig:
        """The inverse of `to_dict`. Raises ValueError for unknown keys and values of a wrong type."""
        return dataclass_from_dict(cls, values, "training")


_INDECISIVE = (
    *("out", "cache_dir", "num_workers", "num_threads", "save_every", "recompute", "sources"),
    # the same data may lie elsewhere now
    *("data", "allow_outside", "start", "pretrained_video"),
    # what is done with finished weights
    *("half_weights", "tune_offsets"),
)
"""Fields of `TrainConfig` that may differ when a run goes on, or when it is asked whether it was made."""
