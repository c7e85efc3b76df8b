"""What if: changes of a clip, and what the model answers then.

Each edit is a small frozen value, so that equal ones are computed once. An edit that cannot apply to a clip
is not offered (`offered`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torchvision.transforms.functional import gaussian_blur

from core.attribution.effects import frame_versions, patch_versions
from core.attribution.subject import Cancelled, Subject, check
from core.attribution.variants import Variant
from core.compression import Choice
from core.encoders.video import VideoChoice
from core.labels import MODALITIES, MODALITY_NOUNS
from core.media.clip import SAMPLE_RATE
from core.predict import Predictor, PreparedClip
from core.prediction import Prediction

BLUR_SHARE = 1 / 32
"""Standard deviation of the blur over the side of the crop: eyes and mouth are smudged, the head is seen."""

PICTURE_NOISE = 0.15
"""Standard deviation of the picture's noise; brightness goes from 0 to 1."""

SOUND_NOISE_DECIBELS = 0.0
"""Level of the white noise beside that of the sound: as loud as the voice."""

FACE_SHARE = 0.42
"""Half axes of the ellipse that hides a face, over the side of the crop, which is a square on the face."""

KINDS: Mapping[str, str] = {
    **{f"mute {modality}": f"without the {MODALITY_NOUNS[modality]}" for modality in MODALITIES},
    **{f"replace {modality}": f"another clip’s {MODALITY_NOUNS[modality]}" for modality in MODALITIES},
    "word": "one word changed",
    "blur": "picture blurred",
    "picture noise": "picture noisy",
    "hide face": "face hidden",
    "sound noise": "sound noisy",
    "shift": "sound shifted against the picture",
    "restore frames": "all frames kept",
    "exchange frames": "dropped frames kept, the kept ones dropped",
    "random frames": "as many frames kept, at random",
    "restore patches": "all patches kept",
    "exchange patches": "dropped patches kept, the kept ones dropped",
    "random patches": "as many patches kept, at random",
}
"""What can be tried, and in words."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of a clip.

    Attributes:
        kind: a key of `KINDS`.
        donor: key of the clip whose modality takes the place of the clip's own, for "replace …"; else "".
        donor_title: what people call it.
        seconds: by which the sound comes later, for "shift".
        word: index of the word that is changed, for "word"; `old` and `new` are what it is and becomes, "" to
            leave it out.
        seed: of noise and of random choices.
    """

    kind: str
    donor: str = ""
    donor_title: str = ""
    seconds: float = 0.0
    word: int = 0
    old: str = ""
    new: str = ""
    seed: int = 0

    @property
    def sentence(self) -> str:
        """The edit in words."""
        if self.donor:
            return f"{KINDS[self.kind]} ({self.donor_title})"
        if self.kind == "shift":
            return f"sound {abs(self.seconds):g} s {'later' if self.seconds > 0 else 'earlier'}"
        if self.kind == "word":
            return f"“{self.new}” for “{self.old}”" if self.new else f"without the word “{self.old}”"
        seeded = self.kind.startswith("random") or self.kind.endswith("noise")
        return f"{KINDS[self.kind]} (draw {self.seed + 1})" if seeded else KINDS[self.kind]


def offered(prediction: Prediction, *, has_face: bool, has_donors: bool) -> tuple[str, ...]:
    """The kinds of edits that apply to a clip, in the order of `KINDS`.

    Args:
        prediction: the answer for it.
        has_face: a face was found in its picture.
        has_donors: there are other clips to take a modality from.
    """
    there = {modality for modality, is_there in prediction.present.items() if is_there}
    kinds = set()
    # without its only modality there is no clip
    kinds |= {f"mute {modality}" for modality in there if len(there) > 1}
    kinds |= {f"replace {modality}" for modality in there if has_donors}
    if "text" in there:
        kinds.add("word")
    if "video" in there:
        kinds |= {"blur", "picture noise"} | ({"hide face"} if has_face else set())
        if len(prediction.frames.kept) < len(prediction.frames.times_seconds):
            kinds |= {"restore frames", "exchange frames", "random frames"}
        if prediction.patch_steps:
            kinds |= {"restore patches", "exchange patches", "random patches"}
    if "audio" in there:
        kinds.add("sound noise")
        # against a picture alone: beside words only, nothing runs along with the sound
        kinds |= {"shift"} if "video" in there else set()
    return tuple(kind for kind in KINDS if kind in kinds)


def answer(
    edit: Edit,
    predictor: Predictor,
    prepared: PreparedClip,
    subject: Subject,
    donor: PreparedClip | None,
    cancelled: Cancelled | None = None,
) -> np.ndarray:
    """Calibrated probabilities `(class,)` of the changed clip.

    Args:
        edit: one that applies to the clip.
        predictor: whose model is asked.
        prepared: the clip.
        subject: the same clip before the same model.
        donor: the clip that `edit.donor` names.
        cancelled: asked before the model is.

    Raises:
        ExplanationCancelledError: if `cancelled` says so.
    """
    check(cancelled)
    kind, rng = edit.kind, np.random.default_rng(edit.seed)
    action, _, of = kind.partition(" ")
    if action == "mute":
        return subject.ask([Variant(without=frozenset({of}))], cancelled=cancelled)[0]
    if action == "replace":
        return Subject(predictor, _with_part_of(donor, prepared, of)).probabilities
    if kind == "word":
        words = prepared.transcript.text.split()
        words[edit.word : edit.word + 1] = edit.new.split()
        if not words:
            return subject.ask([Variant(without=frozenset({"text"}))], cancelled=cancelled)[0]
        return Subject(predictor, prepared.with_transcript(" ".join(words))).probabilities
    if kind in _PICTURES:
        frames = _PICTURES[kind](subject.frames, prepared, rng)
        return subject.changed(frames=frames).probabilities
    if kind == "sound noise":
        return subject.changed(waveform=_noisy(prepared.waveform, rng)).probabilities
    if kind == "shift":
        return subject.changed(waveform=_shifted(prepared.waveform, edit.seconds)).probabilities
    return _recompressed(kind, subject, rng, cancelled)


def _with_part_of(donor: PreparedClip, prepared: PreparedClip, modality: str) -> PreparedClip:
    names = {"video": ("frames", "face_track", "crops"), "audio": ("waveform",), "text": ("transcript",)}
    return replace(prepared, features={}, **{name: getattr(donor, name) for name in names[modality]})


def _blurred(frames: torch.Tensor, prepared: PreparedClip, rng: np.random.Generator) -> torch.Tensor:
    sigma = frames.shape[-1] * BLUR_SHARE
    return gaussian_blur(frames, 2 * int(3 * sigma) + 1, sigma)


def _grainy(frames: torch.Tensor, prepared: PreparedClip, rng: np.random.Generator) -> torch.Tensor:
    noise = rng.normal(0, PICTURE_NOISE, frames.shape).astype(np.float32)
    return frames + torch.from_numpy(noise).to(frames.device)


def _faceless(frames: torch.Tensor, prepared: PreparedClip, rng: np.random.Generator) -> torch.Tensor:
    """A grey ellipse over the face of every frame, also of those in which none was found by itself."""
    side = frames.shape[-1]
    place = (torch.arange(side, device=frames.device) + 0.5) / side - 0.5
    is_face = (place[:, None] ** 2 + place[None, :] ** 2) <= FACE_SHARE**2
    return torch.where(is_face, torch.full_like(frames, 0.5), frames)


_PICTURES = {"blur": _blurred, "picture noise": _grainy, "hide face": _faceless}


def _noisy(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
    noise = rng.normal(0, level * 10 ** (SOUND_NOISE_DECIBELS / 20), waveform.shape)
    return np.clip(waveform + noise, -1, 1).astype(np.float32)


def _shifted(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """The sound so much later, silence before it; what runs out of the clip is lost."""
    by = int(np.clip(round(seconds * SAMPLE_RATE), -len(waveform), len(waveform)))
    moved = np.zeros_like(waveform)
    if by >= 0:
        moved[by:] = waveform[: len(waveform) - by]
    else:
        moved[:by] = waveform[-by:]
    return moved


def _recompressed(
    kind: str, subject: Subject, rng: np.random.Generator, cancelled: Cancelled | None
) -> np.ndarray:
    """The answer with another choice of frames, or of the kept frames' patches."""
    action, level = kind.split()
    video = subject.output.video
    model = None
    if level == "frames":
        restored, exchanged, _, at_random = frame_versions(video.selection, 1, rng)
        version = {"restore": restored, "exchange": exchanged, "random": at_random}[action]
        choice = VideoChoice(frames=_keep(version[None], subject.device))
    else:
        held = Choice.made_by(video.selection)
        if action == "restore":
            choice = VideoChoice(frames=held)
            with subject.model() as own:
                model = own.uncompressed()
        else:
            exchanged, _, at_random = patch_versions(video.patch_steps, 1, rng)
            steps = exchanged if action == "exchange" else at_random
            patches = tuple(_keep(positions, subject.device) for positions in steps)
            choice = VideoChoice(frames=held, patches=patches)
    return subject.ask([Variant(choice=choice)], cancelled=cancelled, model=model)[0]


def _keep(positions: np.ndarray, device: torch.device) -> Choice:
    """Keep these, and merge the others into them as the model does."""
    kept = torch.from_numpy(positions).to(device)
    return Choice(kept=kept, kept_mask=torch.ones_like(kept, dtype=torch.bool))
