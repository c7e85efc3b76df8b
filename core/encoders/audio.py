"""Audio encoder: Whisper's or wav2vec 2.0's encoder over the 16 kHz waveform, pooled over time."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from core.config import AudioConfig
from core.encoders.backbones import random_layout, resolve
from core.encoders.products import quicken
from core.encoders.trained import TrainedPart
from core.media.clip import SAMPLE_RATE

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
SAMPLES_PER_STATE = 2 * HOP_SAMPLES  # the second convolution halves the rate: 50 states per second


class WhisperBackbone(nn.Module):
    """Whisper's encoder for sounds of any length up to its window, with padding masked.

    Whisper itself pads every sound to 30 s and attends to the padding. Here the position table is cut to the
    sound's length, which costs a quarter for a short clip, and padding is masked, so that a sound's features
    do not depend on what it is batched with.
    """

    samples_per_input = HOP_SAMPLES

    def __init__(self, encoder: nn.Module):
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        self.encoder = encoder
        self.num_layers = len(encoder.layers)
        filters = mel_filter_bank(
            num_frequency_bins=1 + WINDOW_SAMPLES // 2,
            num_mel_filters=encoder.num_mel_bins,
            min_frequency=0.0,
            max_frequency=SAMPLE_RATE / 2,
            sampling_rate=SAMPLE_RATE,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """`(batch, sample)` to `(batch, mel, 10 ms)`: Whisper's log-mel spectrogram."""
        spectrum = torch.stft(waveforms, WINDOW_SAMPLES, HOP_SAMPLES, window=self.window, return_complex=True)
        power = spectrum[..., :-1].abs().square()
        log = (self.filters.T @ power).clamp(min=1e-10).log10()
        loudest = log.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(log, loudest - 8) + 4) / 4

    def inputs(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """What the encoder reads: log-mel spectra `(batch, mel, 10 ms)` of `(batch, sample)`."""
        # silence behind the end, the same for every sound whatever it is batched with
        padded = (_num_states(num_samples) + 4) * SAMPLES_PER_STATE
        return self.log_mel(F.pad(waveforms[:, :padded], (0, max(0, padded - waveforms.shape[1]))))

    @staticmethod
    def silence(mel: Tensor) -> Tensor:
        """What `inputs` is where a sound is silent: the floor, which is set by its loudest moment."""
        return mel.amin((1, 2), keepdim=True).expand_as(mel)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """Hidden states of every layer, each `(batch, state, width)`, and their mask `(batch, state)`."""
        return self.states(self.inputs(waveforms, num_samples), num_samples)

    def states(self, mel: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """`forward` from what `inputs` returns."""
        longest = _num_states(num_samples)
        hidden = F.gelu(self.encoder.conv1(mel))
        hidden = F.gelu(self.encoder.conv2(hidden)).transpose(1, 2)[:, :longest]
        hidden = hidden + self.encoder.embed_positions.weight[:longest]
        lengths = (num_samples + SAMPLES_PER_STATE - 1) // SAMPLES_PER_STATE
        mask = torch.arange(longest, device=hidden.device) < lengths.clamp(min=1).unsqueeze(1)
        attend = None if bool(mask.all()) else mask[:, None, None, :]
        states = [hidden]
        for layer in self.encoder.layers:
            states.append(layer(states[-1], attend))
        states[-1] = self.encoder.layer_norm(states[-1])
        return states, mask


class Wav2Vec2Backbone(nn.Module):
    """wav2vec 2.0, sounds of unequal length one by one: its group norm sees the whole sound."""

    samples_per_input = 1

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.num_layers = encoder.config.num_hidden_layers
        # both draw from a generator that no seed of ours reaches, and the first fails on short sounds
        encoder.config.apply_spec_augment = False
        encoder.config.layerdrop = 0.0

    def inputs(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """What the encoder reads: waveforms `(batch, sample)` of zero mean and unit variance."""
        shortest = max(waveforms.shape[1], WINDOW_SAMPLES)  # its convolutions need 25 ms
        is_real = torch.arange(shortest, device=waveforms.device) < num_samples.clamp(
            min=WINDOW_SAMPLES
        ).unsqueeze(1)
        sounds = F.pad(waveforms, (0, shortest - waveforms.shape[1]))
        count = is_real.sum(1, keepdim=True)
        sounds = (sounds - (sounds * is_real).sum(1, keepdim=True) / count) * is_real
        return sounds / (sounds.square().sum(1, keepdim=True) / count + 1e-7).sqrt()

    @staticmethod
    def silence(sounds: Tensor) -> Tensor:
        """What `inputs` is where a sound is silent."""
        return torch.zeros_like(sounds)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `WhisperBackbone.forward`."""
        return self.states(self.inputs(waveforms, num_samples), num_samples)

    def states(self, sounds: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """`forward` from what `inputs` returns."""
        rows = []
        for sound, count in zip(sounds, num_samples.clamp(min=WINDOW_SAMPLES).tolist(), strict=True):
            output = self.encoder(sound[None, :count], output_hidden_states=True)
            rows.append(torch.stack(output.hidden_states)[:, 0])
        longest = max(row.shape[1] for row in rows)
        states = torch.stack([F.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows], 1)
        lengths = torch.tensor([row.shape[1] for row in rows], device=sounds.device)
        return list(states), torch.arange(longest, device=sounds.device) < lengths.unsqueeze(1)


class AudioEncoder(nn.Module):
    """Audio backbone, frozen but for the layers that the configuration has trained, and its pooling.

    For the statistics of all layers, what makes one vector of them is trained.

    Args:
        config: backbone, width and pooling.
        weights: "pretrained" or "random".
    """

    def __init__(self, config: AudioConfig, weights: str = "pretrained"):
        super().__init__()
        self.config = config
        self.sha256 = None
        self.backbone = self._build(config, weights)
        width = self.backbone.encoder.config.hidden_size
        if width != config.width:
            raise ValueError(f"{config.backbone} is {width} wide, the configuration says {config.width}")
        quicken(self.backbone)
        self.trained = TrainedPart(self.backbone, config.num_trained_layers)
        self.backbone.eval()
        num_states = self.backbone.num_layers + 1
        if config.pooling == "layer-statistics":
            self.layer_weights = nn.Parameter(torch.zeros(num_states))
        if config.pooling == "layer-projection":
            self.layer_map = nn.Linear(self.backbone.num_layers * 2 * config.width, config.width)
        if config.pooling != "mean":
            shape = num_states, 2 * config.width
            # a few of a transformer's dimensions are hundreds of times larger than the others: without this,
            # they drown the rest
            self.register_buffer("feature_mean", torch.zeros(shape))
            self.register_buffer("feature_deviation", torch.ones(shape))

    def _build(self, config: AudioConfig, weights: str) -> nn.Module:
        from transformers import AutoConfig, AutoModel
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        if weights == "pretrained" and not config.layout:
            found = resolve(config.backbone)
            self.sha256 = found.sha256
            layout = AutoConfig.from_pretrained(found.folder, local_files_only=True)
            if layout.model_type != "whisper":
                return Wav2Vec2Backbone(
                    AutoModel.from_pretrained(found.folder, use_safetensors=True, local_files_only=True)
                )
            encoder = WhisperEncoder(layout)
            state = {
                key.removeprefix("model.").removeprefix("encoder."): value.float()
                for key, value in load_file(found.weights).items()
                if "decoder." not in key and "proj_out" not in key
            }
            encoder.load_state_dict(state)
            return WhisperBackbone(encoder)
        layout = random_layout(config.backbone)
        values = {**layout.values, **config.layout}
        if layout.model_type == "whisper":
            return WhisperBackbone(
                WhisperEncoder(AutoConfig.for_model("whisper", d_model=config.width, **values))
            )
        return Wav2Vec2Backbone(
            AutoModel.from_config(AutoConfig.for_model(layout.model_type, hidden_size=config.width, **values))
        )

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """Pooled features before the trained mix: what may be cached while the backbone is frozen.

        Args:
            waveforms: `(batch, sample)` in [−1, 1] at 16 kHz; what lies behind the end has no influence.
            num_samples: `(batch,)` real samples.

        Returns:
            "mean": `(batch, width)`. Else `(batch, layer, 2 · width)`, mean and deviation.
        """
        return self.from_inputs(self.inputs(waveforms, num_samples), num_samples)

    def inputs(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, ...]:
        """What the backbone reads of each window of `max_seconds`: what a gradient may be asked for.

        Args:
            waveforms: as `forward`.
            num_samples: as `forward`.

        Returns:
            For every window log-mel spectra `(batch, mel, 10 ms)` (Whisper), or waveforms `(batch, sample)`,
            standardised (wav2vec 2.0): the last dimension has a step of `backbone.samples_per_input` samples.
        """
        is_real = torch.arange(waveforms.shape[1], device=waveforms.device) < num_samples.unsqueeze(1)
        waveforms = torch.where(is_real, waveforms, 0.0)
        size = self.config.max_seconds * SAMPLE_RATE
        return tuple(
            self.backbone.inputs(waveforms[:, start : start + size], remaining.clamp(min=1))
            for start, remaining in self._windows(num_samples)
        )

    def from_inputs(self, inputs: tuple[Tensor, ...], num_samples: Tensor) -> Tensor:
        """`forward` from what `inputs` returns."""
        states, masks = [], []
        for part, (start, remaining) in zip(inputs, self._windows(num_samples), strict=True):
            layers, mask = self.backbone.states(part, remaining.clamp(min=1))
            states.append(torch.stack(layers if self.config.pooling != "mean" else layers[-1:], 1))
            # a sound that ended before this window has no state in it; an empty one keeps its first
            masks.append(mask & (remaining > 0).unsqueeze(1) if start else mask)
        hidden, weight = torch.cat(states, 2), torch.cat(masks, 1)[:, None, :, None].float()
        count = weight.sum(2)
        mean = (hidden * weight).sum(2) / count
        if self.config.pooling == "mean":
            return mean[:, 0]
        variance = ((hidden - mean.unsqueeze(2)).square() * weight).sum(2) / count
        return torch.cat([mean, (variance + 1e-8).sqrt()], -1)

    def _windows(self, num_samples: Tensor) -> list[tuple[int, Tensor]]:
        """Where each window starts, in samples, and how many samples of every sound lie in it."""
        size = self.config.max_seconds * SAMPLE_RATE
        starts = range(0, max(int(num_samples.max()), 1), size)
        return [(start, (num_samples - start).clamp(0, size)) for start in starts]

    def pool(self, features: Tensor) -> Tensor:
        """From `forward`'s features to one vector `(batch, feature_width)`: the trained part."""
        if self.config.pooling == "mean":
            return features
        standard = (features - self.feature_mean) / self.feature_deviation
        if self.config.pooling == "layer-projection":
            # what enters the first layer adds nothing, and is more to overfit (docs/training.md)
            return self.layer_map(standard[:, 1:].flatten(1))
        return torch.einsum("blw,l->bw", standard, self.layer_weights.softmax(0))

    def standardise_to(self, features: Tensor) -> None:
        """Take the scale of every dimension from training data.

        Args:
            features: `(clip, layer, 2 · width)` of `forward`; nothing happens for the pooling "mean".
        """
        if self.config.pooling != "mean":
            self.feature_mean.copy_(features.mean(0))
            self.feature_deviation.copy_(features.std(0, correction=0).clamp(min=1e-3))

    @torch.no_grad()  # not inference_mode: what it returns may go into layers that are trained
    def encode(self, waveforms: list[np.ndarray]) -> Tensor:
        """`forward` of raw waveforms of any lengths."""
        lengths = torch.tensor([len(waveform) for waveform in waveforms])
        batch = torch.zeros(len(waveforms), max(int(lengths.max()), 1))
        for row, waveform in zip(batch, waveforms, strict=True):
            row[: len(waveform)] = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))
        device = next(self.backbone.parameters()).device
        return self(batch.to(device), lengths.to(device))

    def train(self, mode: bool = True) -> AudioEncoder:
        """What is frozen stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        self.trained.train(mode)
        return self


def _num_states(num_samples: Tensor) -> int:
    """States of the longest sound."""
    return math.ceil(int(num_samples.max()) / SAMPLES_PER_STATE)
