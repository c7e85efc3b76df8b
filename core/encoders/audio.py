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

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """Hidden states of every layer, each `(batch, state, width)`, and their mask `(batch, state)`."""
        longest = math.ceil(int(num_samples.max()) / SAMPLES_PER_STATE)
        # silence behind the end, the same for every sound whatever it is batched with
        padded = (longest + 4) * SAMPLES_PER_STATE
        waveforms = F.pad(waveforms[:, :padded], (0, max(0, padded - waveforms.shape[1])))
        hidden = F.gelu(self.encoder.conv1(self.log_mel(waveforms)))
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

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.num_layers = encoder.config.num_hidden_layers
        # both draw from a generator that no seed of ours reaches, and the first fails on short sounds
        encoder.config.apply_spec_augment = False
        encoder.config.layerdrop = 0.0

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `WhisperBackbone.forward`."""
        rows = []
        for waveform, count in zip(waveforms, num_samples.tolist(), strict=True):
            # its convolutions need 25 ms
            sound = F.pad(waveform[:count], (0, max(0, WINDOW_SAMPLES - count)))
            sound = (sound - sound.mean()) / (sound.var(correction=0) + 1e-7).sqrt()
            output = self.encoder(sound.unsqueeze(0), output_hidden_states=True)
            rows.append(torch.stack(output.hidden_states)[:, 0])
        longest = max(row.shape[1] for row in rows)
        states = torch.stack([F.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows], 1)
        lengths = torch.tensor([row.shape[1] for row in rows], device=waveforms.device)
        return list(states), torch.arange(longest, device=waveforms.device) < lengths.unsqueeze(1)


class AudioEncoder(nn.Module):
    """Audio backbone, frozen but for the layers that the configuration has trained, and its pooling.

    For "layer-statistics" a trained mix of the layers.

    Args:
        config: backbone, width and pooling.
        weights: "pretrained" or "random".
    """

    def __init__(self, config: AudioConfig, weights: str = "pretrained"):
        super().__init__()
        self.config = config
        self.sha256 = None
        self.backbone = self._build(config, weights)
        self.trained = TrainedPart(self.backbone, config.num_trained_layers)
        self.backbone.eval()
        if config.pooling == "layer-statistics":
            self.layer_weights = nn.Parameter(torch.zeros(self.backbone.num_layers + 1))
            shape = self.backbone.num_layers + 1, config.feature_width
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
            "mean": `(batch, width)`. "layer-statistics": `(batch, layer, 2 · width)`, mean and deviation.
        """
        window = self.config.max_seconds * SAMPLE_RATE
        is_real = torch.arange(waveforms.shape[1], device=waveforms.device) < num_samples.unsqueeze(1)
        waveforms = torch.where(is_real, waveforms, 0.0)
        states, masks = [], []
        for start in range(0, max(int(num_samples.max()), 1), window):
            remaining = (num_samples - start).clamp(0, window)
            part = waveforms[:, start : start + window]
            layers, mask = self.backbone(part, remaining.clamp(min=1))
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

    def pool(self, features: Tensor) -> Tensor:
        """From `forward`'s features to one vector `(batch, feature_width)`: the trained part."""
        if self.config.pooling == "mean":
            return features
        standard = (features - self.feature_mean) / self.feature_deviation
        return torch.einsum("blw,l->bw", standard, self.layer_weights.softmax(0))

    def standardise_to(self, features: Tensor) -> None:
        """Take the scale of every dimension from training data.

        Args:
            features: `(clip, layer, 2 · width)` of `forward`; nothing happens for the pooling "mean".
        """
        if self.config.pooling == "layer-statistics":
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
