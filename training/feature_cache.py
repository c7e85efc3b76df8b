"""The cache of features: one safetensors file per clip and modality, made once.

A file is named by a hash of everything it depends on (the clip's bytes and span, the preprocessing, the
frozen backbone's weights), so a cache folder is shared by runs, presets and processes, survives an
interruption, and never serves a stale value.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import nn

from core.media import decode, open_clip
from core.media.apart import BusyError, MachineError
from core.media.faces import FaceDetector, crop, part_of, track_face
from core.writing import replacing, written
from training.adopted import SUFFIX, read_adopted, require_fit
from training.datasets.utterance import DataError, Utterance

FORMAT = 2
"""Raised when what an entry holds, or how it is made, changes."""

_ADVICE = (
    "make room there or name another folder with --cache-dir, then run the same command again: it goes on "
    "from there"
)


class CacheError(DataError):
    """A folder of features that cannot be written, told in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An utterance without features, and why, in one sentence."""

    utterance: Utterance
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A single picture of a face, kept as it is: crops of a large set would not fit in memory.

    Attributes:
        pixels: `(side, side, channel)` uint8.
        size: it is read with this side, in pixels.
    """

    pixels: np.ndarray
    size: int

    def crop(self) -> np.ndarray:
        """`(size, size, rgb)` uint8."""
        side = len(self.pixels)
        whole = np.array([[0.0, 0.0, side, side]])
        return crop(np.broadcast_to(self.pixels, (1, side, side, 3)), whole, self.size)[0]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where the features of one utterance lie; a modality that it lacks is None, or its file says so.

    Attributes:
        picture: the one picture of a still, in memory.
    """

    utterance: Utterance
    clip_sha256: str
    video: Path | None = None
    audio: Path | None = None
    text: Path | None = None
    picture: Picture | None = None


class FeatureCache:
    """Finds or makes entries; shared by threads.

    Args:
        model: a `core.model.DeepMSI`; its configuration and its text and audio encoders are used.
        folder: made where it does not exist. One that can only be read serves while it holds all that is
            asked for.

    Raises:
        CacheError: it cannot be made.
    """

    def __init__(self, model: nn.Module, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.index_path = folder / "clips.json"
        self.lock = threading.Lock()
        self.detector = None
        with written(folder, CacheError, _ADVICE):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            found = json.loads(self.index_path.read_text())
        except (OSError, ValueError):
            found = None
        self.index: dict[str, str] = found if isinstance(found, dict) else {}
        config = model.config
        self.video_recipe = ["video", FORMAT, config.video.image_size, config.video.num_candidate_frames]
        # what is made of the statistics of all layers is trained, and not part of the features
        is_mean = config.audio.pooling == "mean"
        about_audio = vars(config.audio) | {"pooling": "mean" if is_mean else "layer-statistics"}
        self.audio_recipe = ["audio", FORMAT, about_audio, _fingerprint(model.audio)]
        if config.audio.num_trained_layers:
            self.audio_recipe = ["waveform", FORMAT]
        self.text_recipe = ["text", FORMAT, vars(config.text), _fingerprint(model.text)]
        if config.text.num_trained_layers:
            self.text_recipe = ["tokens", FORMAT, vars(config.text), model.text.sha256]

    def entry(self, utterance: Utterance) -> Entry | Skipped:
        """Paths of one utterance's features, made where they are missing.

        Raises:
            CacheError: they cannot be written, which is no fault of the clip.
            MachineError: nor is it that there is no room for the process that decodes.
        """
        while True:
            try:
                return self._entry(utterance)
            except BusyError:  # a long job has time
                continue
            except (CacheError, MachineError):
                raise
            # one bad clip among thousands must not end a long job, whatever is wrong with it
            except Exception as error:  # noqa: BLE001
                return Skipped(utterance=utterance, reason=str(error) or type(error).__name__)

    def save_index(self) -> None:
        """Remember the hashes of files, so that the next run need not read them all, if that can be kept."""
        with self.lock, suppress(OSError), replacing(self.index_path, is_shared=True) as part:
            part.write_text(json.dumps(self.index))

    def _entry(self, utterance: Utterance) -> Entry:
        if utterance.path is not None and utterance.path.suffix == SUFFIX:
            return self._adopt(utterance)
        # nothing is made that the model does not read
        reads, text = self.model.config.modalities, None
        if utterance.transcript and "text" in reads:
            text = self._path(self.text_recipe, utterance.transcript)
            if not _is_whole(text):
                with self.lock:
                    features = self._read_words(utterance.transcript)
                self._save(text, {"features": features})
        if utterance.path is None:
            return Entry(utterance=utterance, clip_sha256="", text=text)
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
        audio = self._path(self.audio_recipe, span) if "audio" in reads else None
        video = self._path(self.video_recipe, seen) if "video" in reads else None
        if not all(path is None or _is_whole(path) for path in (video, audio)):
            self._decode(clip or _open(utterance), utterance.region, video, audio)
        return Entry(utterance=utterance, clip_sha256=sha256, video=video, audio=audio, text=text)

    def _adopt(self, utterance: Utterance) -> Entry:
        # also where its copy is in the cache: another configuration put it there
        require_fit(utterance.path, self.model.config)
        with utterance.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        recipe = FORMAT, self.model.config.video.image_size
        video, audio, text = (
            self._path(["adopted", *recipe, name], sha256) for name in ("video", "audio", "text")
        )
        if not (_is_whole(video) and _is_whole(audio) and _is_whole(text)):
            values = read_adopted(utterance.path, self.model.config.video.image_size)
            crops = values["crops"]
            tensors = {
                "crops": crops,
                # the authors kept neither times nor places
                "times_seconds": np.arange(len(crops), dtype=np.float64),
                "boxes": np.zeros((len(crops), 4), np.float32),
            }
            self._save(video, tensors, {"face": "one"})
            self._save(audio, {"features": values["audio"]})
            self._save(text, {"features": values["text"]})
        return Entry(utterance=utterance, clip_sha256=sha256, video=video, audio=audio, text=text)

    def _decode(self, clip, region: str | None, video: Path | None, audio: Path | None) -> None:
        config = self.model.config
        media = decode(clip, num_frames=config.video.num_candidate_frames)
        if video is not None and not _is_whole(video):
            tensors, metadata = {}, {}
            if media.frames is not None:
                frames, left = part_of(media.frames, region)
                face = track_face(frames, self._detector())
                tensors = {
                    "crops": crop(frames.pixels, face.boxes, config.video.image_size),
                    "times_seconds": np.asarray(frames.times_seconds, np.float64),
                    "boxes": np.asarray(face.boxes + [left, 0, left, 0], np.float32),
                }
                metadata = {"face": face.state}
            self._save(video, tensors, metadata)
        if audio is not None and not _is_whole(audio):
            tensors = {}
            if media.waveform is not None:
                tensors = {"features": self._hear(media.waveform)}
            self._save(audio, tensors)

    def _read_words(self, words: str) -> np.ndarray:
        if self.model.config.text.num_trained_layers:
            ids, mask = self.model.text.tokenize([words])
            return ids[0, mask[0]].numpy().astype(np.int32)
        return self.model.text.encode([words])[0].float().cpu().numpy()

    def _hear(self, waveform: np.ndarray) -> np.ndarray:
        if self.model.config.audio.num_trained_layers:
            # half precision rounds a sound 66 dB below itself, well under what lossy files leave out
            return waveform.astype(np.float16)
        with torch.inference_mode():
            return self.model.audio.encode([waveform])[0].float().cpu().numpy()

    def _detector(self):
        with self.lock:
            if self.detector is None:
                self.detector = FaceDetector()
            return self.detector

    def _path(self, recipe: list, what: object) -> Path:
        digest = hashlib.sha256(json.dumps([recipe, what], sort_keys=True).encode()).hexdigest()[:40]
        # two levels, since file systems are slow with many thousand files in one folder
        return self.folder / recipe[0] / digest[:2] / f"{digest}.safetensors"

    def _save(
        self, path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None
    ) -> None:
        contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        # a file without any tensor cannot be read back
        contiguous = contiguous or {"is_absent": np.ones(1, np.uint8)}
        with written(self.folder, CacheError, _ADVICE):
            path.parent.mkdir(parents=True, exist_ok=True)
            # one that a power cut truncates is found and made anew
            with replacing(path, is_shared=True, is_synced=False) as part:
                part.write_bytes(save(contiguous, metadata))


def _open(utterance: Utterance):
    return open_clip(
        utterance.path,
        start_seconds=utterance.start_seconds,
        end_seconds=utterance.end_seconds,
        apart=True,
    )


def _fingerprint(module: nn.Module) -> str:
    """Hash of the frozen parameters: two backbones of one name and different weights do not mix."""
    digest = hashlib.sha256()
    for name, parameter in sorted(module.named_parameters()):
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_features(path: Path) -> torch.Tensor | None:
    """What a file of sound or words holds; None where the clip has none."""
    with safe_open(path, framework="pt") as file:
        return file.get_tensor("features") if "features" in file.keys() else None


def _is_whole(path: Path) -> bool:
    """Whether an entry is there and not truncated; the header tells how long a file should be."""
    try:
        with safe_open(path, framework="np"):
            return True
    except (OSError, SafetensorError):
        return False
