"""What training reads of a clip, made once and kept on disk.

Face crops, and of sound and words the features of frozen encoders, or what encoders that are trained read:
waveforms and tokens.

Entries of the cache (`training.feature_cache`) are read from disk each time they are asked for: a set that
fits in memory stays in the operating system's page cache, a larger one streams.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors import safe_open
from torch import nn

from training.datasets.utterance import Utterance
from training.feature_cache import Entry, FeatureCache, Picture, Skipped, read_features
from training.logs import console


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


_IDENTITY = (
    *("key", "label", "transcript", "split", "speaker", "dialogue"),
    *("start_seconds", "end_seconds", "region"),
)
"""What of an utterance makes it another one."""


class FeatureSet(Sequence[ClipFeatures]):
    """The features of a list of utterances, read from the cache when asked for.

    Attributes:
        utterances: those that have features, in the order given.
        skipped: the others, with the reason.
    """

    def __init__(self, entries: Sequence[Entry], skipped: Sequence[Skipped]) -> None:
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
                [e.clip_sha256, *(getattr(e.utterance, name) for name in _IDENTITY)], ensure_ascii=True
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

    def may_show(self, index: int, modalities: Sequence[str]) -> bool:
        """Whether an utterance has a file of any of these modalities."""
        entry = self._entries[index]
        has = {
            "video": entry.video is not None or entry.picture is not None,
            "audio": entry.audio is not None,
            "text": entry.text is not None,
        }
        return any(has[name] for name in modalities)

    def read(self, index: int, frames: Sequence[int] | None = None) -> ClipFeatures:
        """Features of one utterance; of its candidate frames only `frames`, where given."""
        entry = self._entries[index]
        crops = times = boxes = face = None
        if entry.picture is not None:
            side = len(entry.picture.pixels)
            crops, times = entry.picture.crop()[None], np.zeros(1)
            boxes, face = np.array([[0, 0, side, side]], np.float32), "one"
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
            audio=None if entry.audio is None else read_features(entry.audio),
            text=None if entry.text is None else read_features(entry.text),
        )

    def sounds(self) -> Iterator[torch.Tensor]:
        """What is kept of the sound of each clip that has any."""
        for entry in self._entries:
            if entry.audio is not None and (sound := read_features(entry.audio)) is not None:
                yield sound

    def num_frames(self, index: int) -> int:
        """Number of candidate frames of one utterance; zero where it has no video."""
        video = self._entries[index].video
        if video is None:
            return 0 if self._entries[index].picture is None else 1
        with safe_open(video, framework="np") as file:
            return file.get_slice("crops").get_shape()[0] if "crops" in file.keys() else 0


def pictures_as_clips(pictures: np.ndarray, utterances: Sequence[Utterance], size: int) -> FeatureSet:
    """Single pictures of faces as clips of one frame, kept in memory.

    Args:
        pictures: `(picture, side, side, channel)` uint8, of one channel or three.
        utterances: one for each.
        size: side of the crops in pixels.
    """
    return FeatureSet(
        [
            Entry(
                utterance=utterance,
                clip_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
                picture=Picture(pixels=pixels, size=size),
            )
            for utterance, pixels in zip(utterances, pictures, strict=True)
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
    told: Callable[[int, int], None] | None = None,
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
        told: called with the number of clips done and of all.

    Raises:
        CacheError: features cannot be written there; those that were still are.
    """
    maker = FeatureCache(model, Path(cache_dir))
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        results = pool.map(maker.entry, utterances)
        for result in track(
            results, "Features", total=len(utterances), console=console, disable=not progress
        ):
            (skipped if isinstance(result, Skipped) else entries).append(result)
            if told is not None:
                told(len(skipped) + len(entries), len(utterances))
    maker.save_index()
    return FeatureSet(entries, skipped)
