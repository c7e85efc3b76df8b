"""Everything the app keeps between reruns: checkpoints, predictions, pictures and private folders.

These, with the checkpoints of `app.checkpoints`, are the only caches. What belongs to shipped clips is shared
by all sessions; what belongs to an uploaded clip, features of the encoders included, lives in its session and
goes with it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.clips import ClipChoice, shipped_clips, stand_ins, transcript_of
from app.desk import Desk, Seat
from app.display import ClipDisplay, display_clip, jpeg_uri, picture_uri
from app.explanations import Case, PrivateStore
from app.playback import COPY, Playable, as_it_is, playable_copy
from app.shelf import Shelf
from app.truth import Truth, truth_of
from core.attribution.explain import default_store
from core.attribution.subject import Subject
from core.media import Frames, MediaError, decode, open_clip
from core.memory import release_free_memory
from core.predict import Predictor, PreparedClip
from core.prediction import Prediction
from core.writing import PrivateFolder, refusal

Say = Callable[[str], None]
"""Told in words what is being done."""

POSTER_SIDE = 112
STILL_SIDE = 320
HUMMED = "The speaker only hums; there are no words to read."
NO_WORDS = "There are no words to read."
"""What is said in place of `HUMMED` while nothing is told of how clips were made."""

COPY_SECONDS = 600.0
"""Copies of own data's clips are kept so long, and as long as their clip is at hand."""

_NUM_CLIPS = 64
_NUM_PREDICTIONS = 96
_NUM_SUBJECTS = 2
_NUM_DONORS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Explained:
    """A clip with all that the page shows of it.

    Attributes:
        prediction: for the words asked for.
        case: the same answer with what explaining it takes.
        original: for the clip's own words; None where those were asked for, or where the clip holds nothing
            without the words asked for.
        display: pictures, sound and the original words.
        media: what the browser plays; None when it cannot play the clip.
        truth: how the clip was made; None where that is not known.
        still: data URI of the whole picture at the height of a made clip's expression, for the player to rest
            on; "" where there is none.
        has_face: whether a face was found; None where none was looked for, since the model reads no picture.
    """

    prediction: Prediction
    case: Case
    original: Prediction | None
    display: ClipDisplay
    media: Playable | None
    truth: Truth | None = None
    still: str = ""
    has_face: bool | None = True

    @property
    def untold(self) -> Explained:
        """The same with nothing that tells how the clip was made."""
        notes = tuple(NO_WORDS if note == HUMMED else note for note in self.prediction.notes)
        return replace(self, prediction=replace(self.prediction, notes=notes), truth=None, still="")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """What is made once per clip, whatever words are asked for."""

    prepared: PreparedClip
    display: ClipDisplay
    media: Playable | None
    truth: Truth | None
    still: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shelves:
    clips: Shelf
    predictions: Shelf
    subjects: Shelf


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


@st.cache_resource(show_spinner=False, scope="session", on_release=lambda folder: folder.remove())
def _private_folder() -> PrivateFolder:
    return _folder("deepmsi-session-")


def _folder(prefix: str) -> PrivateFolder:
    try:
        return PrivateFolder(prefix)
    except OSError as error:
        place = error.filename or "The system's folder for temporary files"
        advice = "make room there, or name another folder in TMPDIR and start the app anew"
        raise MediaError(refusal(place, error, advice)) from error


def private_folder() -> Path:
    """A folder of this session alone, removed with it. Raises MediaError where it cannot be made."""
    return _private_folder().path


def forget_uploads() -> None:
    """Deletes what this session uploaded, and all that was made of it."""
    shelves = _session_shelves()
    shelves.clips.clear()
    shelves.predictions.clear()
    shelves.subjects.clear()
    desk().forget(seat())
    for inside in private_folder().iterdir():
        shutil.rmtree(inside, ignore_errors=True)


@st.cache_resource(show_spinner=False)
def _shared_shelves() -> _Shelves:
    return _Shelves(
        clips=Shelf(_NUM_CLIPS), predictions=Shelf(_NUM_PREDICTIONS), subjects=Shelf(_NUM_SUBJECTS)
    )


@st.cache_resource(show_spinner=False, scope="session")
def _session_shelves() -> _Shelves:
    return _Shelves(clips=Shelf(2), predictions=Shelf(16), subjects=Shelf(1))


@st.cache_resource(show_spinner=False)
def _donors() -> Shelf:
    """Shipped clips as a model reads them, to stand in for parts of others; by checkpoint and key."""
    return Shelf(_NUM_DONORS)


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """Where all sessions wait for explanations."""
    return Desk(at_rest=release_free_memory)


@st.cache_resource(show_spinner=False, scope="session", on_release=lambda place: place[0].leave(place[1]))
def _place() -> tuple[Desk, Seat]:
    return desk(), desk().seat()


def seat() -> Seat:
    """This session's place at the desk, left with the session."""
    return _place()[1]


def want_nothing() -> None:
    """Cancels what the session waits for, as when another page is opened."""
    desk().ask(seat(), [])


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
    key = _key(choice, model)
    with desk().interrupted():
        made = shelves.clips.get(key, lambda: _prepare(choice, model, say))
    if choice.is_own and not choice.is_upload:
        _forget_copies(shelves)

    def ask(said: str | None) -> Prediction:
        with desk().interrupted():
            return shelves.predictions.get((*key, said), lambda: model.predict(read(said), progress=say))

    def read(said: str | None) -> PreparedClip:
        return made.prepared if said is None else made.prepared.with_transcript(said)

    prediction = ask(words)
    case = _case(choice, model, read(words), prediction, (*key, words), shelves)
    has_original = words is not None and any(made.prepared.present.values())
    return Explained(
        prediction=prediction,
        case=case,
        original=ask(None) if has_original else None,
        display=made.display,
        media=made.media,
        truth=made.truth,
        still=made.still,
        has_face=made.prepared.has_face,
    )


def is_explained(choice: ClipChoice, words: str | None, model: Predictor) -> bool:
    """Whether `explain` would answer at once."""
    shelves = _session_shelves() if choice.is_own else _shared_shelves()
    key = _key(choice, model)
    return key in shelves.clips and all((*key, said) in shelves.predictions for said in {words, None})


def _key(choice: ClipChoice, model: Predictor) -> tuple:
    """What an answer depends on, beside words that somebody wrote."""
    span = choice.start_seconds, choice.end_seconds, choice.region
    # of data whose table changed
    words = (choice.transcript,) if choice.is_own else ()
    heard = (choice.speech,) if choice.transcript is None else ()
    return (model.checkpoint.sha256, choice.path, *span, *words, *heard)


def _home(choice: ClipChoice) -> Path:
    """Where files that are made of an own clip may lie: never in a person's own folder."""
    return choice.path.parent if choice.is_upload else _data_folder().path


@st.cache_resource(show_spinner=False, scope="session", on_release=lambda folder: folder.remove())
def _data_folder() -> PrivateFolder:
    return _folder("deepmsi-watched-")


def _forget_copies(shelves: _Shelves) -> None:
    """Deletes copies of own data's clips that were left: who looks through a folder may go on for long."""
    kept = {made.media.path for made in shelves.clips.values() if made.media is not None}
    for copy in _data_folder().path.glob(f"*{COPY}"):
        with suppress(OSError):
            if copy not in kept and time.time() - copy.stat().st_mtime > COPY_SECONDS:
                copy.unlink()


def _prepare(choice: ClipChoice, model: Predictor, say: Say) -> _Made:
    say("Opening the clip")
    clip = open_clip(
        choice.path,
        start_seconds=choice.start_seconds,
        end_seconds=choice.end_seconds,
        transcript=transcript_of(choice),
        apart=choice.is_own,
    )
    prepared = model.prepare(clip, speech=choice.speech, region=choice.region, progress=say)
    if choice.is_hummed and prepared.transcript is None:
        prepared = replace(prepared, words_note=HUMMED)
    display = display_clip(prepared.crops, prepared.waveform, prepared.transcript, clip.duration_seconds)
    try:
        media = playable_copy(clip, _home(choice), say) if choice.is_own else as_it_is(clip)
    except MediaError:  # what the model read is worth more than its playback
        media = None
    truth = truth_of(choice)
    still = ""
    if prepared.frames is not None and truth is not None and truth.still_seconds is not None:
        still = _still(prepared.frames, truth.still_seconds)
    return _Made(prepared=_without_pictures(prepared), display=display, media=media, truth=truth, still=still)


def _case(
    choice: ClipChoice,
    model: Predictor,
    prepared: PreparedClip,
    prediction: Prediction,
    key: tuple,
    shelves: _Shelves,
) -> Case:
    """What the desk needs. Its worker belongs to no session, so all that is the session's is bound here."""
    donors, others = _donors(), {clip.key: clip for clip in stand_ins(choice, clips())}
    checkpoint = model.checkpoint.sha256

    def donor(name: str) -> PreparedClip:
        return donors.get((checkpoint, others[name].path), lambda: _as_read(others[name], model))

    return Case(
        key=key,
        predictor=model,
        prepared=prepared,
        prediction=prediction,
        store=PrivateStore(_home(choice)) if choice.is_own else default_store(),
        subject=lambda: shelves.subjects.get(key, lambda: Subject(model, prepared)),
        donor=donor,
        donors=tuple(others),
    )


def _as_read(choice: ClipChoice, model: Predictor) -> PreparedClip:
    clip = open_clip(choice.path, transcript=transcript_of(choice))
    return _without_pictures(model.prepare(clip, transcribe=False))


def _without_pictures(prepared: PreparedClip) -> PreparedClip:
    """Whole pictures are by far the largest part of a clip, and the model reads the crops only."""
    if prepared.frames is None:
        return prepared
    empty = np.empty((0, *prepared.frames.pixels.shape[1:]), dtype=np.uint8)
    return replace(prepared, frames=Frames(pixels=empty, times_seconds=prepared.frames.times_seconds))


def _still(frames: Frames, seconds: float) -> str:
    """The candidate frame nearest to a time."""
    nearest = int(np.abs(frames.times_seconds - seconds).argmin())
    return picture_uri(frames.pixels[nearest], side=STILL_SIDE)
