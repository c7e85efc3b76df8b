"""What a model's encoders make of one clip and of changed versions of it, each computed once.

Explanations ask about the same sentence, sound or picture again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.attribution.absence import blurred, silenced, words_of
from core.attribution.variants import Variant
from core.model import DeepMSI
from core.prepared import PreparedClip, stack_frames

Encoded = tuple[nn.Module, bytes]
"""An encoder, and what it is given: a sentence, windows that stay (`b""` for all), or `b""` for the crops."""


class EncodedClip:
    """One clip, and what is known of what encoders make of it.

    Args:
        prepared: the clip.
        present: for each modality, whether it is asked about.
        device: where the models compute.
        known: what encoders make of the clip, as far as that is known.

    Attributes:
        words: of the transcript; empty where there is no text.
        frames: `(frame, 3, size, size)` the candidates' face crops in [0, 1]; None where there is no video.
    """

    def __init__(
        self,
        prepared: PreparedClip,
        present: Mapping[str, bool],
        device: torch.device,
        known: Mapping[Encoded, Tensor] | None = None,
    ) -> None:
        self._prepared = prepared
        self._device = device
        self._known: dict[Encoded, Tensor] = dict(known or {})
        self.words = words_of(prepared) if present["text"] else ()
        self.frames = stack_frames([prepared.crops])[0][0].to(device) if present["video"] else None

    def known_but_of(self, encoders: Collection[nn.Module]) -> dict[Encoded, Tensor]:
        """What other encoders than these made of the clip."""
        return {key: value for key, value in self._known.items() if key[0] not in encoders}

    def candidates(self, model: DeepMSI, variant: Variant) -> Tensor:
        """Embedded candidate frames of a version, `(frame, …)`."""
        tokens = self._once(model.video, b"", lambda: model.video.embed(self.frames))
        if variant.patches is None:
            return tokens
        changed = ~variant.patches.all((1, 2))
        if variant.choice is not None and variant.choice.frames is not None:
            merge = variant.choice.frames.source_map
            # what is not kept and not merged does not reach the answer, whatever it looks like
            changed &= True if merge is None else (merge[0] != 0).any(0).cpu().numpy()
        places = torch.from_numpy(np.nonzero(changed)[0]).to(self._device)
        if not len(places):
            return tokens
        pictures = self.with_patches(torch.from_numpy(variant.patches[changed]), places)
        return tokens.index_copy(0, places, model.video.embed(pictures))

    def sound(self, model: DeepMSI, variant: Variant) -> Tensor:
        """`(…)` frozen features of a version's sound."""
        is_whole = variant.windows is None or bool(variant.windows.all())
        key = b"" if is_whole else variant.windows.tobytes()
        waveform = self._prepared.waveform
        return self._once(
            model.audio,
            key,
            lambda: model.audio.encode([waveform if is_whole else silenced(waveform, variant.windows)])[0],
        )

    def text(self, model: DeepMSI, variant: Variant) -> Tensor:
        """`(width,)` features of a version's words."""
        text = self._text(variant)
        return self._once(model.text, text.encode(), lambda: model.text.encode([text])[0])

    def encode_texts(self, model: DeepMSI, variants: Sequence[Variant]) -> None:
        """Have the features of several sentences at once: they are short, and one pass costs little more."""
        texts = {self._text(variant) for variant in variants}
        new = [text for text in sorted(texts) if (model.text, text.encode()) not in self._known]
        if new:
            keys = [(model.text, text.encode()) for text in new]
            self._known |= dict(zip(keys, model.text.encode(new), strict=True))

    def with_patches(self, stays: Tensor, frames: slice | Tensor = slice(None)) -> Tensor:
        """The candidates' crops with patches blurred away: `(…, frame, 3, size, size)`.

        Args:
            stays: `(…, frame, row, column)` bool.
            frames: which of the candidates `stays` is about, by their numbers.
        """
        size, clear, blurred = self.frames.shape[-1], self.frames[frames], self._blurred[frames]
        weight = stays.to(self._device, torch.float32).flatten(0, -3).unsqueeze(1)
        weight = F.interpolate(weight, size=(size, size)).unflatten(0, stays.shape[:-2])
        return weight * clear + (1 - weight) * blurred

    @cached_property
    def _blurred(self) -> Tensor:
        """The candidates' crops beyond recognition."""
        return blurred(self.frames)

    def _text(self, variant: Variant) -> str:
        """The words that stay."""
        if variant.words is None or variant.words.all():
            return self._prepared.transcript.text
        return " ".join(w.text for w, stays in zip(self.words, variant.words, strict=True) if stays)

    def _once(self, encoder: nn.Module, what: bytes, encode: Callable[[], Tensor]) -> Tensor:
        key = encoder, what
        if key not in self._known:
            self._known[key] = encode()
        return self._known[key]
