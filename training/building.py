"""The network that a run trains, as its configuration asks for it."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.checkpoint import Checkpoint, load_checkpoint
from core.config import PRESETS, ModelConfig
from core.labels import SCHEMES
from core.model import DeepMSI, build_model
from training.config import TrainConfig
from training.datasets.manifest import DataError
from training.features import FeatureSet
from training.pretrained import load_pretrained


def built(config: TrainConfig) -> DeepMSI:
    """The network, its encoders pretrained as far as the configuration says.

    Raises:
        DataError: where the preset cannot be built so, or the start or the pretrained encoder does not fit.
        CheckpointError: where the start cannot be loaded.
    """
    start = None if config.start is None else load_checkpoint(config.start)
    if start is not None and start.config.preset != config.preset:
        raise DataError(
            f"{config.start} is of the preset {start.config.preset}, not {config.preset}: set it so."
        )
    model_config: ModelConfig = PRESETS[config.preset] if start is None else start.config
    if config.compression is not None:
        model_config = replace(model_config, compression=config.compression)
    model_config = replace(
        model_config,
        modalities=config.modalities,
        labels=SCHEMES[config.labels] if config.labels else model_config.labels,
        text=replace(model_config.text, num_trained_layers=config.num_text_layers),
        audio=replace(
            model_config.audio,
            num_trained_layers=config.num_audio_layers,
            pooling=config.audio_pooling or model_config.audio.pooling,
        ),
    )
    try:
        model = build_model(model_config)
    except ValueError as error:
        raise DataError(f"The preset {config.preset} cannot be built so: {error}.") from error
    if start is not None:
        _begin_with(model, start)
    if config.pretrained_video is not None:
        load_pretrained(model, config.pretrained_video)
    return model


def _begin_with(model: DeepMSI, start: Checkpoint) -> None:
    """Take the weights of a checkpoint; of other labels, all but the classifier's last layer."""
    for modality in ("text", "audio"):
        ours, theirs = getattr(model, modality), getattr(start.model, modality)
        # what is not trained is not stored, so it would be gone when the checkpoint is opened
        if modality in model.config.modalities and not theirs.trained.names <= ours.trained.names:
            number = theirs.config.num_trained_layers
            raise DataError(
                f"{start.folder} has trained layers in its {modality} encoder, which would be lost: set "
                f"num_{modality}_layers to {number}{' or more' if number > 0 else ''}."
            )
    weights, wanted = start.model.state_dict(), model.state_dict()
    if start.config.labels.labels != model.config.labels.labels:
        wanted = {key: value for key, value in wanted.items() if not key.startswith("classifier.output.")}
    unlike = [key for key in wanted if key not in weights or weights[key].shape != wanted[key].shape]
    if unlike:
        raise DataError(
            f"{start.folder} is another network than is to be trained (they differ in {unlike[0]}); choose "
            "its modalities and audio_pooling, or another start."
        )
    model.load_state_dict({key: weights[key] for key in wanted}, strict=False)


def standardise(model: DeepMSI, features: FeatureSet) -> None:
    """Take the scale of audio features from the training clips, where the model has use for it and none yet.

    A start has one, unless none of the clips that it learned from had a sound.
    """
    if model.config.audio.pooling == "mean" or model.audio.feature_mean.any():
        return
    is_raw = bool(model.config.audio.num_trained_layers)
    sounds = [
        model.audio.encode([sound.float().numpy()])[0] if is_raw else sound for sound in features.sounds()
    ]
    if sounds:
        model.audio.standardise_to(torch.stack(sounds))
