"""From a clip to a `Prediction`: decode, find the face, listen, and ask the model about every coalition.

The model is asked about all coalitions of the modalities that a clip has in one forward pass. What it keeps
of the video depends on the guide, hence on which of text and audio take part, so the coalitions with video
differ in more than the last layer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from core.attribution.modalities import report
from core.checkpoint import Checkpoint
from core.evidence import VideoEvidence
from core.labels import MODALITIES, MODALITY_NOUNS, none_of
from core.media import Clip, Frames, MediaError, Transcript, decode
from core.media.faces import FaceDetector, FaceTrack, crop, part_of, track_face
from core.media.speech_models import SHIPPED_SPEECH, Speech, unavailable_sentence
from core.media.transcript import foreign_sentence
from core.media.transcript import transcribe as speech_to_text
from core.model import DeepMSI, ModelInput
from core.prediction import SUBSETS, Prediction
from core.prepared import NO_WORDS, PreparedClip, spoken, stack_frames
from core.still_frames import hold_still, require_share

Progress = Callable[[str], None]
"""Called with a few words whenever a stage begins."""

ENGLISH_BACKBONES = ("sentence-transformers/all-MiniLM-L6-v2", "bert-large-uncased")
"""Text encoders that read English."""


class Predictor:
    """Predicts clips with one checkpoint. May be shared by threads: the network runs for one at a time.

    Args:
        checkpoint: see `core.checkpoint.load_checkpoint`.
        speech: how to listen to clips without words, where nothing else is asked for.
        still_below: candidate frames that differ less from the one before count as that one, which costs
            less (`core.still_frames.hold_still`); 0 tells all apart.

    Raises:
        ValueError: if `still_below` is not within [0, 1].
    """

    def __init__(
        self, checkpoint: Checkpoint, *, speech: Speech = SHIPPED_SPEECH, still_below: float = 0.0
    ) -> None:
        require_share(still_below)
        self.checkpoint = checkpoint
        self.still_below = still_below
        self.speech = speech
        self.config = checkpoint.config
        self._model = checkpoint.model.eval()
        self._device = next(self._model.parameters()).device
        self._model_lock = threading.Lock()
        self._detector_lock = threading.Lock()
        self._detector: FaceDetector | None = None

    def prepare(
        self,
        clip: Clip,
        *,
        transcribe: bool = True,
        speech: Speech | None = None,
        region: str | None = None,
        progress: Progress | None = None,
    ) -> PreparedClip:
        """Decode a clip, crop the speaker's face and, where it has no transcript, listen to the words.

        Args:
            clip: from `core.media.open_clip`.
            transcribe: whether speech-to-text runs on a clip without a transcript, if the model reads words.
            speech: how to listen; None as the predictor was told.
            region: "left" or "right", the half of the picture that shows the speaker; None for all of it.
            progress: told what is being done.

        Raises:
            MediaError: if the file cannot be decoded.
        """
        say = progress or _say_nothing
        timings: dict[str, float] = {}
        say("Decoding video and sound")
        with _timed(timings, "decode"):
            media = decode(clip, num_frames=self.config.video.num_candidate_frames)
        notes = list(media.notes)

        face_track = crops = None
        if media.frames is not None and self.config.reads_video:
            say("Finding the speaker's face")
            with _timed(timings, "faces"):
                shown, left = part_of(media.frames, region)
                face_track = self._track(shown)
                crops = crop(shown.pixels, face_track.boxes, self.config.video.image_size)
                crops = hold_still(crops, self.still_below)
                face_track = replace(face_track, boxes=face_track.boxes + [left, 0, left, 0])
            if face_track.sentence:
                notes.append(face_track.sentence)

        transcript, words_note = clip.transcript, None
        reads_words = "text" in self.config.modalities
        if transcript is None and transcribe and reads_words and media.waveform is not None:
            who = (speech or self.speech).model_name
            is_named = (speech or self.speech).model != ""
            say(f"Listening to the words with {who}" if is_named else "Listening to the words")
            with _timed(timings, "speech_to_text"):
                transcript, words_note = self._listen(media.waveform, clip.start_seconds, speech)
        transcript = spoken(transcript)
        held = {"video": media.frames, "audio": media.waveform, "text": transcript}
        notes += [
            f"Left out: the clip's {MODALITY_NOUNS[name]}, which this checkpoint does not read."
            for name, part in held.items()
            if part is not None and name not in self.config.modalities
        ]
        if transcript is None and words_note is None and reads_words:
            words_note = NO_WORDS
        return PreparedClip(
            clip=clip,
            frames=media.frames,
            face_track=face_track,
            crops=crops,
            waveform=media.waveform,
            transcript=transcript,
            notes=tuple(notes),
            words_note=words_note,
            timings_seconds=timings,
            reads=self.config.modalities,
        )

    def predict(self, prepared: PreparedClip, *, progress: Progress | None = None) -> Prediction:
        """The model's answer for one clip. Raises MediaError when the clip holds no modality at all."""
        return self.predict_many([prepared], progress=progress)[0]

    def predict_clip(
        self, clip: Clip, *, transcribe: bool = True, progress: Progress | None = None
    ) -> Prediction:
        """`prepare`, then `predict`."""
        return self.predict(self.prepare(clip, transcribe=transcribe, progress=progress), progress=progress)

    def predict_many(
        self, clips: Sequence[PreparedClip], *, batch_size: int = 2, progress: Progress | None = None
    ) -> list[Prediction]:
        """The answers for several clips; the same for any batch size, except in 8 bits.

        Args:
            clips: in any mixture of lengths and modalities.
            batch_size: clips per forward pass. Larger ones pay on a GPU, not on a CPU.
            progress: told what is being done.

        Raises:
            MediaError: if a clip holds no modality at all.
        """
        for clip in clips:
            if not any(clip.present.values()):
                raise MediaError(
                    f"{clip.clip.path.name} holds {none_of(clip.reads)} that could be read; "
                    "give a clip that has at least one of them."
                )
        predictions = []
        for start in range(0, len(clips), batch_size):
            (progress or _say_nothing)("Asking the model")
            predictions += self._predict_batch(clips[start : start + batch_size])
        return predictions

    @contextmanager
    def model(self) -> Iterator[DeepMSI]:
        """The network, held by the caller alone while the block runs; others wait for it."""
        with self._model_lock:
            yield self._model

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self._device

    @property
    def identity(self) -> str:
        """What tells its answers from others: the checkpoint's hash, another where not all is as loaded.

        That is where the network keeps something else or multiplies in 8 bits, or frames are held still.
        """
        changes = self._model.variant + (f" still below {self.still_below}" if self.still_below else "")
        if not changes:
            return self.checkpoint.sha256
        return sha256(f"{self.checkpoint.sha256} {changes}".encode()).hexdigest()

    def features(self, clip: PreparedClip, modality: str) -> Tensor:
        """What the frozen encoder makes of a clip's audio or text, kept with the clip; under `model()`."""
        # one clip at a time: features do not depend on the batch, and those of a clip asked again are kept
        raw = clip.waveform if modality == "audio" else clip.transcript.text
        content = sha256(raw.tobytes() if modality == "audio" else raw.encode()).digest()
        key = self.identity, modality, content
        if key not in clip.features:
            encoder = self._model.audio if modality == "audio" else self._model.text
            clip.features[key] = encoder.encode([raw])[0]
        return clip.features[key]

    def _listen(
        self, waveform: np.ndarray, start_seconds: float, speech: Speech | None
    ) -> tuple[Transcript | None, str | None]:
        """What is said, and why that is nothing, or may be wrong; None where all is well."""
        speech = speech or self.speech
        if (reason := unavailable_sentence(speech)) is not None:
            return None, reason
        try:
            transcript = speech_to_text(waveform, speech=speech, start_seconds=start_seconds)
        except MediaError as error:  # picture and sound are worth an answer without words
            return None, str(error)
        if spoken(transcript) is None:
            return None, (
                "No speech was heard, so the model reads no words; what it takes for a voice may be none."
            )
        foreign = foreign_sentence(transcript) if self.config.text.backbone in ENGLISH_BACKBONES else ""
        return transcript, " ".join(filter(None, (transcript.doubt, foreign))) or None

    def _track(self, frames: Frames) -> FaceTrack:
        with self._detector_lock:
            if self._detector is None:
                self._detector = FaceDetector()
        return track_face(frames, self._detector)

    @torch.inference_mode()
    def _predict_batch(self, clips: Sequence[PreparedClip]) -> list[Prediction]:
        timings: dict[str, float] = {}
        with self._model_lock:
            with _timed(timings, "audio_encoder"):
                audio = self._encode(clips, "audio")
            with _timed(timings, "text_encoder"):
                text = self._encode(clips, "text")
            with _timed(timings, "network"):
                answers = self._ask(clips, audio, text)
        shared = {name: seconds / len(clips) for name, seconds in timings.items()}
        return [self._prediction(clip, *answers[i], shared) for i, clip in enumerate(clips)]

    def _ask(
        self, clips: Sequence[PreparedClip], audio: Tensor | None, text: Tensor | None
    ) -> list[tuple[np.ndarray, dict[str, np.ndarray], VideoEvidence | None]]:
        """For every clip: probabilities `(subset, class)`, embeddings, and what was kept of its video."""
        probabilities = np.full((len(clips), len(SUBSETS), len(self.config.labels)), np.nan)
        embeddings: list[dict[str, np.ndarray]] = [{} for _ in clips]
        videos: list[VideoEvidence | None] = [None] * len(clips)
        asked = [
            (i, subset)
            for i, clip in enumerate(clips)
            for subset in SUBSETS
            if all(clip.present[modality] for modality in subset)
        ]
        frames, frame_mask = stack_frames([clip.crops for clip in clips])
        tokens = None
        if frames is not None:  # embedding asks no guide, so it is shared by the coalitions
            frames, frame_mask = frames.to(self._device), frame_mask.to(self._device)
            tokens = self._model.video.embed(frames.flatten(0, 1)).unflatten(0, frame_mask.shape)
        of_clip = torch.tensor([i for i, _ in asked], device=self._device)
        output = self._model(
            ModelInput(
                present=torch.tensor(
                    [[m in subset for m in MODALITIES] for _, subset in asked], device=self._device
                ),
                frame_tokens=tokens,
                frame_mask=frame_mask,
                of_clip=None if tokens is None else of_clip,
                audio_features=None if audio is None else audio[of_clip],
                text_features=None if text is None else text[of_clip],
            )
        )
        calibrated = (output.logits / self.checkpoint.info.temperature).softmax(-1).cpu().numpy()
        video_row = {row: place for place, row in enumerate(output.video_rows.tolist())}
        for row, (i, subset) in enumerate(asked):
            probabilities[i, SUBSETS.index(subset)] = calibrated[row]
            if subset == _all_present(clips[i]):
                embeddings[i] = {m: output.projections[m][row].cpu().numpy() for m in subset}
                embeddings[i]["fused"] = output.fused[row].cpu().numpy()
                if row in video_row:
                    videos[i] = VideoEvidence.from_row(output.video, video_row[row])
        return list(zip(probabilities, embeddings, videos, strict=True))

    def _encode(self, clips: Sequence[PreparedClip], modality: str) -> Tensor | None:
        """Frozen features of one modality, `(clip, …)`; zeros where a clip lacks it, None where all do."""
        features = [self.features(clip, modality) if clip.present[modality] else None for clip in clips]
        known = next((value for value in features if value is not None), None)
        if known is None:
            return None
        return torch.stack([torch.zeros_like(known) if value is None else value for value in features])

    def _prediction(
        self,
        prepared: PreparedClip,
        probabilities: np.ndarray,
        embeddings: dict[str, np.ndarray],
        video: VideoEvidence | None,
        timings: dict[str, float],
    ) -> Prediction:
        clip, info, labels = prepared.clip, self.checkpoint.info, self.config.labels.labels
        fused = probabilities[SUBSETS.index(_all_present(prepared))]
        timings = prepared.timings_seconds | timings
        has_video = video is not None
        return Prediction(
            labels=labels,
            probabilities=fused,
            is_uncertain=prepared.is_blind or bool(fused.max() < info.uncertainty_threshold),
            is_blind=prepared.is_blind,
            present=prepared.present,
            notes=prepared.notes + ((prepared.words_note,) if prepared.words_note else ()),
            frames=video.frame_selection(prepared.frames.times_seconds) if has_video else None,
            patch_steps=video.patch_steps(self.config.video.stage3_grid) if has_video else (),
            crop_boxes=_in_source_pixels(prepared) if has_video else None,
            frame_size=(clip.info.width, clip.info.height) if has_video else None,
            modalities=report(probabilities, labels, prepared.present),
            embeddings=embeddings,
            transcript=prepared.transcript.text if prepared.transcript else "",
            path=str(clip.path),
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            checkpoint=self.checkpoint.name,
            checkpoint_hash=self.checkpoint.sha256,
            clip_hash=clip.sha256,
            timings_seconds=timings | {"total": sum(timings.values())},
        )


def _in_source_pixels(prepared: PreparedClip) -> np.ndarray:
    """Crop boxes on the source picture: large pictures are shrunk when they are decoded."""
    height, width = prepared.frames.pixels.shape[1:3]
    scale = prepared.clip.info.width / width, prepared.clip.info.height / height
    return prepared.face_track.boxes * np.array([*scale, *scale])


def _all_present(clip: PreparedClip) -> tuple[str, ...]:
    return tuple(modality for modality in MODALITIES if clip.present[modality])


def _say_nothing(stage: str) -> None:
    pass


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
