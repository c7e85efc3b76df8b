"""A clip as the model reads it: face crops, sound and words, of which any may be missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from core.labels import MODALITIES
from core.media.clip import Clip, Frames, Transcript
from core.media.faces import FaceTrack

NO_WORDS = "No transcript was given, so the model reads no words."


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedClip:
    """A clip as the model reads it. Make one with `Predictor.prepare`.

    Attributes:
        frames: candidate frames, whole pictures; None where the clip has no video.
        face_track: where the speaker's face is in them; None where the clip has no video.
        crops: `(frame, size, size, rgb)` uint8: what the model sees of each candidate frame; like
            `face_track` None too where it reads no video.
        waveform: `(sample,)` mono at 16 kHz; None where the clip has no sound.
        transcript: None where there are no words.
        notes: sentences on what was missing or unusual in picture and sound.
        words_note: why there are no words, or why they may be wrong or mean little; None for neither.
        timings_seconds: wall time of each stage.
        reads: the model's modalities.
        features: what the frozen encoders made of its sound and words, kept so that edited words are quick.
    """

    clip: Clip
    frames: Frames | None
    face_track: FaceTrack | None
    crops: np.ndarray | None
    waveform: np.ndarray | None
    transcript: Transcript | None
    notes: tuple[str, ...] = ()
    words_note: str | None = None
    timings_seconds: dict[str, float] = field(default_factory=dict)
    reads: tuple[str, ...] = MODALITIES
    features: dict[tuple, Tensor] = field(default_factory=dict, repr=False)

    @property
    def present(self) -> dict[str, bool]:
        """For each modality, whether the clip has it and the model reads it."""
        parts = {"video": self.crops, "audio": self.waveform, "text": self.transcript}
        return {name: part is not None and name in self.reads for name, part in parts.items()}

    @property
    def has_face(self) -> bool | None:
        """Whether a face was found; None where none is looked for, since the model reads no picture."""
        if "video" not in self.reads:
            return None
        return self.face_track is not None and bool(self.face_track.num_faces.any())

    @property
    def is_blind(self) -> bool:
        """See `Prediction`."""
        return self.has_face is False and not self.present["text"]

    def with_transcript(self, transcript: str | Transcript | None) -> PreparedClip:
        """The same clip with other words; None or blank text means no words."""
        if isinstance(transcript, str):
            transcript = Transcript(text=transcript)
        transcript = spoken(transcript)
        note = None if transcript or "text" not in self.reads else NO_WORDS
        return replace(self, transcript=transcript, words_note=note)


def stack_frames(crops: Iterable[np.ndarray | None]) -> tuple[Tensor | None, Tensor | None]:
    """Pictures in [0, 1] as `(clip, frame, 3, size, size)`, and the mask of real frames `(clip, frame)`."""
    crops = list(crops)
    sizes = [0 if pictures is None else len(pictures) for pictures in crops]
    if not any(sizes):
        return None, None
    side = next(pictures.shape[1] for pictures in crops if pictures is not None)
    frames = torch.zeros(len(crops), max(sizes), 3, side, side)
    for i, pictures in enumerate(crops):
        if pictures is not None:
            frames[i, : sizes[i]] = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return frames, torch.arange(max(sizes)) < torch.tensor(sizes).unsqueeze(1)


def spoken(transcript: Transcript | None) -> Transcript | None:
    """The words, None where they are blank."""
    return transcript if transcript is not None and transcript.text.strip() else None
