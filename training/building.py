"""The network that a run trains, as its configuration asks for it."""

from __future__ import annotations

from dataclasses import replace

import torch

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
        DataError: where the preset cannot be built so, or the pretrained encoder does not fit.
    """
    model_config: ModelConfig = PRESETS[config.preset]
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
    if config.pretrained_video is not None:
        load_pretrained(model, config.pretrained_video)
    return model


def standardise(model: DeepMSI, features: FeatureSet) -> None:
    """Take the scale of audio features from the training clips, where the model has use for it."""
    if model.config.audio.pooling == "mean":
        return
    is_raw = bool(model.config.audio.num_trained_layers)
    sounds = [
        model.audio.encode([sound.float().numpy()])[0] if is_raw else sound for sound in features.sounds()
    ]
    if sounds:
        model.audio.standardise_to(torch.stack(sounds))
