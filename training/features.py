"""What training reads of a clip, made once and kept on disk.

Face crops, and of sound and words the features of frozen encoders, or what encoders that are trained read:
waveforms and tokens.

One safetensors file per clip and modality, named by a hash of everything it depends on (the clip's bytes and
span, the preprocessing, the frozen backbone's weights), so a cache folder is shared by runs, presets and
processes, survives an interruption, and never serves a stale value. Entries are read from disk each time they
are asked for: a set that fits in memory stays in the operating system's page cache, a larger one streams.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import nn

from core.media.clip import Frames
from core.media.faces import crop, track_face
from training.datasets.utterance import Utterance

FORMAT = 2
"""Raised when what an entry holds, or how it is made, changes."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An utterance without features, and why, in one sentence."""

    utterance: Utterance
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipFeatures:
    """What the network reads of one utterance; a modality that the clip lacks is None.

    Attributes:
        crops: `(frame, size, size, rgb)` uint8, candidate frames cropped to the face.
        times_seconds: `(frame,)` of the crops, on the media file's clock.
        boxes: `(frame, 4)` of the crops in source pixels: x0, y0, x1, y1.
        face: "one", "none" (the crops are then the middle of the picture) or "several"; None without video.
        audio: features of the frozen audio encoder, as `model.audio.encode` gives them for one clip; where
            the encoder is trained, the waveform `(sample,)` at 16 kHz.
        text: `(width,)` features of the frozen text encoder; where it is trained, `(token,)` ids.
    """

    utterance: Utterance
    clip_sha256: str
    crops: np.ndarray | None
    times_seconds: np.ndarray | None
    boxes: np.ndarray | None
    face: str | None
    audio: torch.Tensor | None
    text: torch.Tensor | None


@dataclass(frozen=True, kw_only=True)
class _Entry:
    utterance: Utterance
    clip_sha256: str
    video: Path | None = None
    audio: Path | None = None
    text: Path | None = None
    crop: np.ndarray | None = None


class FeatureSet(Sequence[ClipFeatures]):
    """The features of a list of utterances, read from the cache when asked for.

    Attributes:
        utterances: those that have features, in the order given.
        skipped: the others, with the reason.
    """

    def __init__(self, entries: Sequence[_Entry], skipped: Sequence[Skipped]) -> None:
        self._entries = tuple(entries)
        self.skipped = tuple(skipped)

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """Those that have features, in the order given."""
        return tuple(entry.utterance for entry in self._entries)

    @property
    def data_sha256(self) -> str:
        """Hash of the clips' bytes and all that is known of them; the same for any order."""
        lines = sorted(
            json.dumps(
                [e.clip_sha256, e.utterance.key, e.utterance.label, e.utterance.transcript, e.utterance.split]
            )
            for e in self._entries
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> ClipFeatures:
        return self.read(index)

    def __iter__(self) -> Iterator[ClipFeatures]:
        return (self.read(index) for index in range(len(self)))

    @classmethod
    def joined(cls, parts: Sequence[FeatureSet]) -> FeatureSet:
        """The features of several sets, one after the other."""
        return cls(
            [entry for part in parts for entry in part._entries],
            [one for part in parts for one in part.skipped],
        )

    def select(self, indices: Sequence[int]) -> FeatureSet:
        """The features of some of the utterances."""
        return FeatureSet([self._entries[i] for i in indices], ())

    def of_split(self, split: str) -> FeatureSet:
        """The features of one split."""
        return self.select([i for i, e in enumerate(self._entries) if e.utterance.split == split])

    def read(self, index: int, frames: Sequence[int] | None = None) -> ClipFeatures:
        """Features of one utterance; of its candidate frames only `frames`, where given."""
        entry = self._entries[index]
        crops = times = boxes = face = None
        if entry.crop is not None:
            height, width = entry.crop.shape[:2]
            crops, times = entry.crop[None], np.zeros(1)
            boxes, face = np.array([[0, 0, width, height]], np.float32), "one"
        if entry.video is not None:
            with safe_open(entry.video, framework="np") as file:
                if "crops" in file.keys():
                    times, boxes = file.get_tensor("times_seconds"), file.get_tensor("boxes")
                    face = file.metadata()["face"]
                    if frames is None:
                        crops = file.get_tensor("crops")
                    else:
                        chosen = np.asarray(frames)
                        pixels = file.get_slice("crops")
                        crops = np.stack([pixels[i] for i in chosen.tolist()])
                        times, boxes = times[chosen], boxes[chosen]
        return ClipFeatures(
            utterance=entry.utterance,
            clip_sha256=entry.clip_sha256,
            crops=crops,
            times_seconds=times,
            boxes=boxes,
            face=face,
            audio=None if entry.audio is None else _read_features(entry.audio),
            text=None if entry.text is None else _read_features(entry.text),
        )

    def sounds(self) -> Iterator[torch.Tensor]:
        """What is kept of the sound of each clip that has any."""
        for entry in self._entries:
            if entry.audio is not None and (sound := _read_features(entry.audio)) is not None:
                yield sound

    def num_frames(self, index: int) -> int:
        """Number of candidate frames of one utterance; zero where it has no video."""
        video = self._entries[index].video
        if video is None:
            return 0 if self._entries[index].crop is None else 1
        with safe_open(video, framework="np") as file:
            return file.get_slice("crops").get_shape()[0] if "crops" in file.keys() else 0


def pictures_as_clips(
    pictures: np.ndarray, utterances: Sequence[Utterance], size: int, *, zoom: float = 1.0
) -> FeatureSet:
    """Single pictures of faces as clips of one frame, kept in memory.

    Args:
        pictures: `(picture, side, side, channel)` uint8, of one channel or three.
        utterances: one for each.
        size: side of the crops in pixels.
        zoom: share of a picture's side that a crop covers; above one its edge is repeated around it.
    """
    side = pictures.shape[1]
    half = zoom * side / 2
    boxes = np.tile([side / 2 - half, side / 2 - half, side / 2 + half, side / 2 + half], (len(pictures), 1))
    crops = crop(np.broadcast_to(pictures, (*pictures.shape[:3], 3)), boxes, size)
    return FeatureSet(
        [
            _Entry(utterance=utterance, clip_sha256=hashlib.sha256(picture.tobytes()).hexdigest(), crop=one)
            for utterance, picture, one in zip(utterances, pictures, crops, strict=True)
        ],
        (),
    )


def prepare(
    utterances: Sequence[Utterance],
    model: nn.Module,
    cache_dir: str | Path,
    *,
    num_workers: int = 2,
    progress: bool = True,
) -> FeatureSet:
    """Make, or find in the cache, the features of every utterance.

    A clip that cannot be used is skipped and reported (`FeatureSet.skipped`), whatever is wrong with it. Safe
    to interrupt, and for several processes on one folder.

    Args:
        utterances: of any splits.
        model: a `core.model.DeepMSI`; its `config` and its frozen text and audio encoders are used.
        cache_dir: made where it does not exist.
        num_workers: clips worked on at once (threads; decoding and networks release the interpreter).
        progress: show a bar with the time left.
    """
    maker = _Maker(model, Path(cache_dir))
    entries: list[_Entry] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        results = pool.map(maker.entry, utterances)
        for result in track(results, "Features", total=len(utterances), disable=not progress):
            (skipped if isinstance(result, Skipped) else entries).append(result)
    maker.save_index()
    return FeatureSet(entries, skipped)


class _Maker:
    """Makes entries; shared by threads."""

    def __init__(self, model: nn.Module, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.index_path = folder / "clips.json"
        self.lock = threading.Lock()
        self.detector = None
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.index: dict[str, str] = json.loads(self.index_path.read_text())
        except (OSError, ValueError):
            self.index = {}
        config = model.config
        self.video_recipe = ["video", FORMAT, config.video.image_size, config.video.num_candidate_frames]
        self.audio_recipe = ["audio", FORMAT, vars(config.audio), _fingerprint(model.audio)]
        if config.audio.num_trained_layers:
            self.audio_recipe = ["waveform", FORMAT]
        self.text_recipe = ["text", FORMAT, vars(config.text), _fingerprint(model.text)]
        if config.text.num_trained_layers:
            self.text_recipe = ["tokens", FORMAT, config.text.backbone, config.text.max_tokens]

    def entry(self, utterance: Utterance) -> _Entry | Skipped:
        """Paths of one utterance's features, made where they are missing."""
        try:
            return self._entry(utterance)
        # one bad clip among thousands must not end a long job, whatever is wrong with it
        except Exception as error:  # noqa: BLE001
            return Skipped(utterance=utterance, reason=str(error) or type(error).__name__)

    def save_index(self) -> None:
        """Remember the hashes of files, so that the next run need not read them all."""
        with self.lock:
            _write_atomically(self.index_path, lambda path: path.write_text(json.dumps(self.index)))

    def _entry(self, utterance: Utterance) -> _Entry:
        text = None
        if utterance.transcript:
            text = self._path(self.text_recipe, utterance.transcript)
            if not text.exists():
                with self.lock:
                    features = self._read_words(utterance.transcript)
                _save(text, {"features": features})
        if utterance.path is None:
            return _Entry(utterance=utterance, clip_sha256="", text=text)
        try:
            stat = utterance.path.stat()
            signature = f"{utterance.path}|{stat.st_size}|{stat.st_mtime_ns}"
        except OSError:
            signature = ""
        clip = None
        sha256 = self.index.get(signature)
        if sha256 is None:
            clip = _open(utterance)
            sha256 = clip.sha256
            with self.lock:
                self.index[signature] = sha256
        span = [sha256, utterance.start_seconds, utterance.end_seconds]
        # half a picture is another picture; but a whole one keeps the name it always had
        seen = [*span, utterance.region] if utterance.region else span
        video, audio = self._path(self.video_recipe, seen), self._path(self.audio_recipe, span)
        if not (video.exists() and audio.exists()):
            self._decode(clip or _open(utterance), utterance.region, video, audio)
        return _Entry(utterance=utterance, clip_sha256=sha256, video=video, audio=audio, text=text)

    def _decode(self, clip, region: str | None, video: Path, audio: Path) -> None:
        from core.media import decode

        config = self.model.config
        media = decode(clip, num_frames=config.video.num_candidate_frames)
        if not video.exists():
            tensors, metadata = {}, {}
            if media.frames is not None:
                frames, left = _part_of(media.frames, region)
                face = track_face(frames, self._detector())
                tensors = {
                    "crops": crop(frames.pixels, face.boxes, config.video.image_size),
                    "times_seconds": np.asarray(frames.times_seconds, np.float64),
                    "boxes": np.asarray(face.boxes + [left, 0, left, 0], np.float32),
                }
                metadata = {"face": face.state}
            _save(video, tensors, metadata)
        if not audio.exists():
            tensors = {}
            if media.waveform is not None:
                tensors = {"features": self._hear(media.waveform)}
            _save(audio, tensors)

    def _read_words(self, words: str) -> np.ndarray:
        if self.model.config.text.num_trained_layers:
            ids, mask = self.model.text.tokenize([words])
            return ids[0, mask[0]].numpy().astype(np.int32)
        return self.model.text.encode([words])[0].float().cpu().numpy()

    def _hear(self, waveform: np.ndarray) -> np.ndarray:
        if self.model.config.audio.num_trained_layers:
            # 16 bits of a sound in [−1, 1] are as good as its file's
            return waveform.astype(np.float16)
        with torch.inference_mode():
            return self.model.audio.encode([waveform])[0].float().cpu().numpy()

    def _detector(self):
        from core.media.faces import FaceDetector

        with self.lock:
            if self.detector is None:
                self.detector = FaceDetector()
            return self.detector

    def _path(self, recipe: list, what: object) -> Path:
        digest = hashlib.sha256(json.dumps([recipe, what], sort_keys=True).encode()).hexdigest()[:40]
        # two levels, since file systems are slow with many thousand files in one folder
        return self.folder / recipe[0] / digest[:2] / f"{digest}.safetensors"


def _part_of(frames: Frames, region: str | None) -> tuple[Frames, int]:
    """The part of each picture that shows the speaker, and its left edge in the whole picture."""
    middle = frames.pixels.shape[2] // 2
    columns = {None: slice(None), "left": slice(middle), "right": slice(middle, None)}[region]
    part = replace(frames, pixels=np.ascontiguousarray(frames.pixels[:, :, columns]))
    return part, columns.start or 0


def _open(utterance: Utterance):
    from core.media import open_clip

    return open_clip(utterance.path, start_seconds=utterance.start_seconds, end_seconds=utterance.end_seconds)


def _fingerprint(module: nn.Module) -> str:
    """Hash of the frozen parameters: two backbones of one name and different weights do not mix."""
    digest = hashlib.sha256()
    for name, parameter in sorted(module.named_parameters()):
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read_features(path: Path) -> torch.Tensor | None:
    with safe_open(path, framework="pt") as file:
        return file.get_tensor("features") if "features" in file.keys() else None


def _save(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    # a file without any tensor cannot be read back
    contiguous = contiguous or {"is_absent": np.ones(1, np.uint8)}
    _write_atomically(path, lambda temporary: save_file(contiguous, temporary, metadata))


def _write_atomically(path: Path, write) -> None:
    """A reader sees the whole file or none, also when the writer is killed or another one races it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
