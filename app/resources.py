"""Everything the app keeps between reruns: checkpoints, predictions, pictures and private folders.

These are the only caches. What belongs to shipped clips is shared by all sessions; what belongs to an
uploaded clip, features of the encoders included, lives in its session and goes with it.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.clips import ClipChoice, shipped_clips, transcript_of
from app.display import ClipDisplay, display_clip, jpeg_uri, picture_uri
from app.launch import CHECKPOINT_VARIABLE
from app.playback import Playable, as_it_is, playable_copy
from core.checkpoint import CheckpointError, load_checkpoint, read_metrics, shipped_checkpoints
from core.media import Frames, MediaError, decode, open_clip
from core.predict import Predictor, PreparedClip
from core.prediction import Prediction

Say = Callable[[str], None]
"""Told in words what is being done."""

POSTER_SIDE = 112
_NUM_CLIPS = 64
_NUM_PREDICTIONS = 96


@dataclass(frozen=True, kw_only=True, eq=False)
class Explained:
    """A clip with all that the page shows of it.

    Attributes:
        prediction: for the words asked for.
        original: for the clip's own words; None where those were asked for, or where the clip holds nothing
            without the words asked for.
        display: pictures, sound and the original words.
        media: what the browser plays; None when it cannot play the clip.
    """

    prediction: Prediction
    original: Prediction | None
    display: ClipDisplay
    media: Playable | None


class Shelf:
    """The latest few values by key. Whoever asks for a value that another thread is making waits for it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[tuple, object] = OrderedDict()
        self._being_made: dict[tuple, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple, make: Callable[[], object]):
        """The value of `key`, made now if it is not there."""
        with self._lock:
            making = self._being_made.setdefault(key, threading.Lock())
        with making:
            try:
                with self._lock:
                    if key in self._values:
                        self._values.move_to_end(key)
                        return self._values[key]
                value = make()
                with self._lock:
                    self._values[key] = value
                    while len(self._values) > self._size:
                        self._values.popitem(last=False)
                return value
            finally:
                with self._lock:
                    self._being_made.pop(key, None)

    def __contains__(self, key: tuple) -> bool:
        with self._lock:
            return key in self._values


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shelves:
    clips: Shelf
    predictions: Shelf


def checkpoints() -> dict[str, Path]:
    """Folders of the checkpoints one can choose from, by name; the one to open first comes first."""
    chosen = os.environ.get(CHECKPOINT_VARIABLE)
    first = {Path(chosen).name: Path(chosen)} if chosen else {}
    return first | {name: folder for name, folder in shipped_checkpoints().items() if name not in first}


def metrics(folder: Path) -> dict:
    """How good the checkpoint was on held-out clips; empty where that is not known."""
    try:
        return read_metrics(folder)
    except CheckpointError:  # told when the checkpoint is opened
        return {}


@st.cache_resource(show_spinner=False, max_entries=2)
def predictor(folder: Path) -> Predictor:
    """The loaded checkpoint, one for all sessions. Raises CheckpointError."""
    return Predictor(load_checkpoint(folder))


@st.cache_data(show_spinner=False)
def clips() -> tuple[ClipChoice, ...]:
    """The shipped clips."""
    return shipped_clips()


@st.cache_data(show_spinner="Taking a picture from each sample clip …")
def posters() -> dict[str, str]:
    """A picture of each shipped clip that has one and can be read, as a data URI by clip key.

    The poster beside a clip is taken where there is one, since reading a frame takes far longer.
    """
    pictures = {}
    for choice in clips():
        if (poster := choice.path.with_suffix(".jpg")).is_file():
            pictures[choice.key] = jpeg_uri(poster.read_bytes())
            continue
        try:
            frames = decode(open_clip(choice.path), num_frames=1).frames
        except MediaError:  # told when the clip is chosen
            continue
        if frames is not None:
            pictures[choice.key] = picture_uri(frames.pixels[0], side=POSTER_SIDE)
    return pictures


@st.cache_resource(show_spinner=False, scope="session", on_release=lambda folder: folder.cleanup())
def _private_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="deepmsi-", ignore_cleanup_errors=True)


def private_folder() -> Path:
    """A folder of this session alone, removed with it."""
    return Path(_private_folder().name)


@st.cache_resource(show_spinner=False)
def _shared_shelves() -> _Shelves:
    return _Shelves(clips=Shelf(_NUM_CLIPS), predictions=Shelf(_NUM_PREDICTIONS))


@st.cache_resource(show_spinner=False, scope="session")
def _session_shelves() -> _Shelves:
    return _Shelves(clips=Shelf(2), predictions=Shelf(16))


def explain(choice: ClipChoice, words: str | None, model: Predictor, say: Say) -> Explained:
    """Everything the page shows of a clip; the model runs once per clip, words and checkpoint.

    For words other than the clip's own it answers for the clip's own too, to compare with.

    Args:
        choice: the clip.
        words: the transcript to read instead of the clip's own, None for its own.
        model: the checkpoint to ask.
        say: told what is being done, while something is.

    Raises:
        MediaError: if the clip cannot be used.
    """
    shelves = _session_shelves() if choice.is_own else _shared_shelves()
    key = (model.checkpoint.sha256, choice.path)
    prepared, display, media = shelves.clips.get(key, lambda: _prepare(choice, model, say))

    def ask(said: str | None) -> Prediction:
        asked = prepared if said is None else prepared.with_transcript(said)
        return shelves.predictions.get((*key, said), lambda: model.predict(asked, progress=say))

    prediction = ask(words)
    has_original = words is not None and any(prepared.present.values())
    return Explained(
        prediction=prediction, original=ask(None) if has_original else None, display=display, media=media
    )


def is_explained(choice: ClipChoice, words: str | None, model: Predictor) -> bool:
    """Whether `explain` would answer at once."""
    shelves = _session_shelves() if choice.is_own else _shared_shelves()
    key = (model.checkpoint.sha256, choice.path)
    return key in shelves.clips and all((*key, said) in shelves.predictions for said in {words, None})


def _prepare(
    choice: ClipChoice, model: Predictor, say: Say
) -> tuple[PreparedClip, ClipDisplay, Playable | None]:
    say("Opening the clip")
    clip = open_clip(choice.path, transcript=transcript_of(choice))
    prepared = model.prepare(clip, progress=say)
    display = display_clip(prepared.crops, prepared.waveform, prepared.transcript, clip.duration_seconds)
    try:
        media = playable_copy(clip, choice.path.parent, say) if choice.is_own else as_it_is(clip)
    except MediaError:  # what the model read is worth more than its playback
        media = None
    if prepared.frames is not None:
        # whole pictures are by far the largest part, and the model reads the crops only
        height, width = prepared.frames.pixels.shape[1:3]
        empty = np.empty((0, height, width, 3), dtype=np.uint8)
        frames = Frames(pixels=empty, times_seconds=prepared.frames.times_seconds)
        prepared = replace(prepared, frames=frames)
    return prepared, display, media
