"""One clip before one model, to be asked again and again about changed versions of it.

What an element is, and what its absence means, is settled here once for all methods:

- a *word* of the transcript is absent when it is left out of the sentence;
- a *window* of sound is absent when it is silent;
- a *frame* is absent when the temporal network does not meet it: of those that the compression keeps, it is
  left out of the sequence. No other takes its place, and what was not kept has no part;
- a *patch* of a frame, one cell of the grid on which the compression works, is absent when it is blurred
  beyond recognition;
- a modality none of whose elements is left is absent as the model knows it: its learned vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from core.attribution.absence import windows_of
from core.attribution.encoded import Encoded, EncodedClip
from core.attribution.results import ExplanationCancelledError
from core.attribution.variants import Variant, kind_of, together
from core.encoders.video import VideoChoice
from core.labels import MODALITIES
from core.model import DeepMSI, ModelInput, ModelOutput
from core.predict import Predictor, PreparedClip

Cancelled = Callable[[], bool]
"""Asked between batches whether the answer is still wanted."""


class Subject:
    """One clip before one model.

    Args:
        predictor: whose model is asked.
        prepared: of `predictor.prepare`, with at least one modality.
        known: what its encoders make of the clip, as far as that is known.

    Attributes:
        labels: class names.
        present: for each modality, whether the clip has it and the model reads it.
        words: of the transcript, with NaN for times that are not known; empty where there is no text.
        window_starts / window_ends: `(window,)` seconds on the media file's clock.
        frame_times: `(frame,)` seconds, of the candidates.
        patch_grid: (rows, columns).
        probabilities: `(class,)` calibrated, of the clip as it is.
        output: the model's output for the clip as it is.
    """

    def __init__(
        self, predictor: Predictor, prepared: PreparedClip, *, known: Mapping[Encoded, Tensor] | None = None
    ) -> None:
        self._predictor = predictor
        self._prepared = prepared
        self.labels = predictor.config.labels.labels
        self.present = prepared.present
        if not any(self.present.values()):
            raise ValueError("the clip has no modality that the model reads")
        self.window_starts, self.window_ends = (
            windows_of(prepared) if self.present["audio"] else (_none, _none)
        )
        self.frame_times = prepared.frames.times_seconds if self.present["video"] else _none
        self.patch_grid = predictor.config.video.stage3_grid
        self._encoded = EncodedClip(prepared, self.present, self.device, known)
        self.words = self._encoded.words
        self._sequences: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        with predictor.model() as model, torch.no_grad():
            self.output = self._output(model, [Variant()])
            self.probabilities = self.calibrated(self.output.logits)[0].double().cpu().numpy()

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._predictor.device

    @property
    def frames(self) -> Tensor:
        """`(frame, 3, size, size)` the candidates' face crops in [0, 1]."""
        return self._encoded.frames

    @property
    def choice(self) -> VideoChoice | None:
        """What the compression keeps of the clip as it is; None where it has no video."""
        return VideoChoice.made_by(self.output.video) if self.present["video"] else None

    @cached_property
    def has_part(self) -> np.ndarray:
        """`(frame,)` whether anything of a candidate is left: it is kept, or merged into one that is."""
        return (self.output.video.selection.source_map[0] != 0).any(0).cpu().numpy()

    @property
    def waveform(self) -> Tensor:
        """`(1, sample)`."""
        return torch.from_numpy(np.ascontiguousarray(self._prepared.waveform, np.float32))[None].to(
            self.device
        )

    @property
    def text(self) -> str:
        """The words as the text encoder reads them."""
        return self._prepared.transcript.text

    def with_patches(self, stays: Tensor, frames: slice | Tensor = slice(None)) -> Tensor:
        """The candidates' crops with patches blurred away: `(…, frame, 3, size, size)`.

        Args:
            stays: `(…, frame, row, column)` bool.
            frames: which of the candidates `stays` is about, by their numbers.
        """
        return self._encoded.with_patches(stays, frames)

    def model(self):
        """Context in which the model is the caller's alone; to be held for short."""
        return self._predictor.model()

    def calibrated(self, logits: Tensor) -> Tensor:
        """Probabilities `(…, class)` of logits, at the checkpoint's temperature."""
        return (logits / self._predictor.checkpoint.info.temperature).softmax(-1)

    def ask(
        self,
        variants: Sequence[Variant],
        *,
        batch_size: int = 8,
        cancelled: Cancelled | None = None,
        model: DeepMSI | None = None,
    ) -> np.ndarray:
        """Probabilities `(variant, class)` of changed versions of the clip.

        Args:
            variants: see there.
            batch_size: variants per forward pass.
            cancelled: asked before every batch.
            model: another one of the same configuration in place of the predictor's (a model with other
                weights, or without compression).

        Raises:
            ExplanationCancelledError: if `cancelled` says so.
            ValueError: if a variant's arrays do not fit the clip.
        """
        for variant in variants:
            self._check(variant)
        rows = []
        # what is kept is of one size in a batch
        order = sorted(range(len(variants)), key=lambda i: (kind_of(variants[i]), i))
        while order:
            check(cancelled)
            kind = kind_of(variants[order[0]])
            taken = [i for i in order[:batch_size] if kind_of(variants[i]) == kind]
            order = order[len(taken) :]
            with self.model() as own, torch.no_grad():
                logits = self._output(model or own, [variants[i] for i in taken]).logits
                rows += list(zip(taken, self.calibrated(logits).double().cpu().numpy(), strict=True))
        return np.stack([row for _, row in sorted(rows, key=lambda pair: pair[0])])

    def changed(
        self,
        *,
        model: DeepMSI | None = None,
        frames: Tensor | None = None,
        waveform: np.ndarray | None = None,
    ) -> Subject:
        """The same clip before another model, or slightly changed: a subject of its own.

        Args:
            model: of the same configuration.
            frames: `(frame, 3, size, size)` in [0, 1], in place of the crops; rounded to 8 bits.
            waveform: `(sample,)` in place of the sound.
        """
        predictor, prepared = self._predictor, self._prepared
        own = predictor.checkpoint.model
        changed = [
            encoder for encoder, new in ((own.video, frames), (own.audio, waveform)) if new is not None
        ]
        known = self._encoded.known_but_of(changed)
        if model is not None:
            predictor, known = Predictor(replace(predictor.checkpoint, model=model)), {}
        if frames is not None:
            pixels = (frames.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
            prepared = replace(prepared, crops=pixels.cpu().numpy())
        if waveform is not None:
            prepared = replace(prepared, waveform=waveform)
        return Subject(predictor, prepared, known=known)

    def differentiable(
        self,
        model: DeepMSI,
        num: int,
        *,
        frames: Tensor | None = None,
        frame_vectors: Tensor | None = None,
        audio_features: Tensor | None = None,
        text_features: Tensor | None = None,
    ) -> Tensor:
        """Probabilities `(num, class)` as a smooth function of some parts of the clip.

        What the compression keeps is held as it is for the clip: a choice has no gradient. Words and sound
        therefore act on the answer but not on the choice of frames and patches.

        Args:
            model: under `model()`.
            num: versions.
            frames: `(num, frame, 3, size, size)` in place of the clip's, of the candidates that `has_part`
                names alone; the same for the features of sound (`AudioEncoder.forward`) and words
                (`TextEncoder.forward`).
            frame_vectors: `(num, kept frame, feature_width)` in place of those of the clip's kept frames.
            audio_features: `(num, …)`.
            text_features: `(num, width)`.
        """
        with without_gradients_of_weights(model):
            return self._differentiable(model, num, frames, frame_vectors, audio_features, text_features)

    def _differentiable(
        self,
        model: DeepMSI,
        num: int,
        frames: Tensor | None,
        frame_vectors: Tensor | None,
        audio_features: Tensor | None,
        text_features: Tensor | None,
    ) -> Tensor:
        batch: dict[str, Tensor] = {}
        if frames is not None:
            frame_vectors = self._vectors(model, frames)
        if frame_vectors is not None:
            mask = self.output.video.frame_mask.expand(num, -1)
            batch["video_features"] = model.temporal(frame_vectors, mask)
        elif self.present["video"]:
            batch["video_features"] = self.output.features["video"].detach().expand(num, -1)
        given = {"audio": audio_features, "text": text_features}
        for modality, own in (("audio", self._encoded.sound), ("text", self._encoded.text)):
            if given[modality] is not None:
                batch[f"{modality}_features"] = given[modality]
            elif self.present[modality]:
                feature = own(model, Variant())
                batch[f"{modality}_features"] = feature.expand(num, *feature.shape)
        present = torch.tensor([[self.present[m] for m in MODALITIES]], device=self.device).expand(num, -1)
        return self.calibrated(model(ModelInput(present=present, **batch)).logits)

    def _vectors(self, model: DeepMSI, frames: Tensor) -> Tensor:
        """`(num, kept frame, feature_width)` of frames as `differentiable` takes them."""
        num, choice = len(frames), self.choice
        tokens = model.video.embed(frames.flatten(0, 1)).unflatten(0, (num, -1))
        # what is kept being held, merging is a fixed linear map
        merge = choice.frames.source_map[0][:, torch.from_numpy(self.has_part).to(self.device)]
        kept = (merge @ tokens.flatten(2)).view(-1, *tokens.shape[2:])
        guide = (self.output.guide + model.video.base_guide).expand(len(kept), -1)
        return model.video.stages(kept, guide, choice.repeated(num).patches)[0].unflatten(0, (num, -1))

    def _check(self, variant: Variant) -> None:
        wanted = {
            "words": (len(self.words),),
            "windows": self.window_starts.shape,
            "frames": self.frame_times.shape,
            "patches": (len(self.frame_times), *self.patch_grid),
        }
        for name, shape in wanted.items():
            value = getattr(variant, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} should have the shape {shape}, not {value.shape}")
        if variant.frames is not None and not (variant.choice is None and variant.patches is None):
            raise ValueError("where frames are left out, choice and patches are those of the clip")

    def _presence(self, model: DeepMSI, variant: Variant) -> list[bool]:
        seen = variant.frames
        if seen is not None and self.present["video"]:
            seen = seen[self._sequence(model)[0].cpu().numpy()]
        emptied = {
            "video": (seen, variant.patches),
            "audio": (variant.windows,),
            "text": (variant.words,),
        }
        return [
            self.present[m]
            and m not in variant.without
            and all(stays is None or bool(stays.any()) for stays in emptied[m])
            for m in MODALITIES
        ]

    def _output(self, model: DeepMSI, variants: Sequence[Variant]) -> ModelOutput:
        present = [self._presence(model, variant) for variant in variants]
        encoded = self._encoded
        encoded.encode_texts(model, [v for v, row in zip(variants, present, strict=True) if row[2]])
        batch: dict[str, Tensor] = {}
        for modality, column, feature in (("audio", 1, encoded.sound), ("text", 2, encoded.text)):
            found = [
                feature(model, variant) if row[column] else None
                for variant, row in zip(variants, present, strict=True)
            ]
            like = next((value for value in found if value is not None), None)
            if like is not None:
                filled = [torch.zeros_like(like) if value is None else value for value in found]
                batch[f"{modality}_features"] = torch.stack(filled)
        choice = None
        seen = [variant for variant, row in zip(variants, present, strict=True) if row[0]]
        if seen and seen[0].frames is not None:
            shape = len(variants), model.temporal.width
            batch["video_features"] = torch.zeros(shape, device=self.device)
            is_seen = torch.tensor([row[0] for row in present], device=self.device)
            batch["video_features"][is_seen] = self._without_frames(model, seen)
        elif seen:
            shown = [encoded.candidates(model, variant) for variant in seen]
            most = max(len(tokens) for tokens in shown)
            tokens = shown[0].new_zeros(len(variants), most, *shown[0].shape[1:])
            mask = torch.zeros(len(variants), most, dtype=torch.bool, device=self.device)
            places = [i for i, row in enumerate(present) if row[0]]
            for place, own in zip(places, shown, strict=True):
                tokens[place, : len(own)] = own
                mask[place, : len(own)] = True
            batch |= {"frame_tokens": tokens, "frame_mask": mask}
            if seen[0].choice is not None:
                choice = together([variant.choice for variant in seen])
        rows = torch.tensor(present, device=self.device)
        return model(ModelInput(present=rows, **batch), choice)

    def _without_frames(self, model: DeepMSI, variants: Sequence[Variant]) -> Tensor:
        """What the temporal network makes of the kept frames that stay, `(variant, channels)`."""
        kept, vectors = self._sequence(model)
        stays = torch.from_numpy(np.stack([variant.frames for variant in variants])).to(self.device)[:, kept]
        # those that stay first, in the order of time
        order = stays.logical_not().byte().sort(dim=1, stable=True).indices
        return model.temporal(vectors[order], stays.gather(1, order))

    def _sequence(self, model: DeepMSI) -> tuple[Tensor, Tensor]:
        """Which candidates a model keeps of the clip as it is, `(kept,)`, and their vectors."""
        if model.video not in self._sequences:
            video = self._output(model, [Variant()]).video
            is_real = video.frame_mask[0]
            self._sequences[model.video] = video.selection.kept[0][is_real], video.frame_vectors[0][is_real]
        return self._sequences[model.video]


@contextmanager
def without_gradients_of_weights(model: nn.Module) -> Iterator[None]:
    """Nobody asks for them here, and keeping what they would need is an eighth of the work.

    May be held inside itself: the outermost gives them back.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def check(cancelled: Cancelled | None) -> None:
    """Raises ExplanationCancelledError if the answer is not wanted any more."""
    if cancelled is not None and cancelled():
        raise ExplanationCancelledError("the explanation was cancelled")


_none = np.zeros(0)
