"""What is decided about a clip before it is made (`ClipPlan`) and what is known of it afterwards (`Sidecar`).

Both are plain frozen dataclasses that travel as JSON beside the clip and as columns of one Parquet table per
corpus. Times are seconds on the clip's own clock, angles radians, positions shares of the picture's side
(from the left, from the top), action-unit intensities shares of the unit's strongest form (FACS E).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.config import dataclass_from_dict
from core.labels import MODALITIES
from core.writing import replacing

SCHEMA_VERSION = 1
SPLITS = ("train", "dev", "test")
DISTRACTORS = {
    "video": ("occlude_mouth", "occlude_eyes", "blur", "pixelate", "dark", "grain"),
    "audio": ("hiss", "babble", "hum", "dropout"),
}
"""Modality → the kinds of what disturbs it. `sample_data.corpus.distractors` says how often and how."""


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A made person: a face and a voice that occur in one split only.

    Attributes:
        identity_seed: everything about the face follows from it (`sample_data.corpus.face.sample_identity`).
        sex: "female" or "male".
        age: 0 young … 1 old.
        voices: one voice table, or two that are blended.
        voice_mix: share of the second voice.
        formant: scale of the vocal tract's resonances; 1 leaves the voice as it is.
        expressivity: gain on the action units of emotions.
    """

    speaker_id: str
    split: str
    identity_seed: int
    sex: str
    age: float
    hair: str
    has_glasses: bool
    voices: tuple[str, ...]
    voice_mix: float
    formant: float
    expressivity: float


@dataclass(frozen=True, kw_only=True)
class Distractor:
    """Something that disturbs one modality during a window and says nothing of the emotion.

    Attributes:
        modality: "video" or "audio".
        kind: one of `sample_data.corpus.distractors.KINDS`.
        window: begin and end as shares of the clip's duration.
        strength: 0 mild … 1 strong; what it means depends on the kind.
        seed: for whatever else the kind draws (colours, places, noise).
    """

    modality: str
    kind: str
    window: tuple[float, float]
    strength: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """Everything that was drawn for one clip before a pixel or a sample was made.

    Attributes:
        seed: of whatever is drawn while the clip is made.
        scenario: one of `sample_data.corpus.plan.SCENARIOS`: who carries the emotion, and how.
        cell: one of `sample_data.corpus.plan.CELLS`: the scenario, or "conflict" for those in which a
            modality contradicts the label; of a neutral clip, the cell that it is set against.
        video_emotion / audio_emotion / text_emotion: what each modality shows.
        informative: the modalities that carry the label.
        conflict: whether a modality shows another emotion than the label.
        intensity: 0.35 … 1; 0 for neutral clips.
        action_units: unit → intensity at the apex.
        apex: begin and end of the face's apex as shares of the spoken time.
        voice_strength: how far the prosody goes from neutral to the emotion's.
        voice_window: share of the spoken time in which alone the prosody is emotional; None for all of it.
        brow_flashes: times of raised brows that mean nothing (units 1 and 2), as shares of the spoken time.
        lead_seconds / tail_seconds: of silence before and after the voice, but for a few hundredths.
        missing: the modality that the clip lacks, or "".
    """

    clip_id: str
    seed: int
    split: str
    speaker: Speaker
    label: str
    scenario: str
    cell: str
    video_emotion: str
    audio_emotion: str
    text_emotion: str
    informative: tuple[str, ...]
    conflict: bool
    intensity: float
    transcript: str
    action_units: dict[int, float]
    apex: tuple[float, float]
    onset_seconds: float
    offset_seconds: float
    voice_strength: float
    voice_window: tuple[float, float] | None
    brow_flashes: tuple[float, ...]
    articulation: float
    background: str
    light: str
    exposure: float
    yaw: float
    pitch: float
    shift: tuple[float, float]
    field_of_view_degrees: float
    microphone_gain_db: float
    lead_seconds: float
    tail_seconds: float
    missing: str
    distractors: tuple[Distractor, ...]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A word, or a phone in the International Phonetic Alphabet, and when it is heard."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True)
class TimedDistractor:
    """A distractor as it lies in the finished clip; `box` where it covers a part of the picture."""

    modality: str
    kind: str
    start_seconds: float
    end_seconds: float
    strength: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Face:
    """What the face does, frame by frame; every list has one entry per frame of the clip.

    Attributes:
        envelope: how far the expression has unfolded, 0 … 1; zero for a neutral face.
        action_units: unit → intensities, as shown: emotion, brow flashes and onset together. Speech is not in
            it.
        blink: how far the lids are closed by blinking.
        lip_opening: between the lips' inner edges, as a share of the face's height; speech and emotion
            together.
        pose: yaw (to the subject's left), pitch (down), roll.
        gaze: yaw and pitch of the eyes within the head.
        face_box / mouth_box / eyes_box: left, top, right, bottom, whatever may cover them.
        onset_seconds: when the expression begins to show; then begin and end of its apex, and when it has
            gone. All None for a neutral face.
    """

    envelope: tuple[float, ...]
    action_units: dict[int, tuple[float, ...]]
    blink: tuple[float, ...]
    lip_opening: tuple[float, ...]
    pose: tuple[tuple[float, float, float], ...]
    gaze: tuple[tuple[float, float], ...]
    face_box: tuple[tuple[float, float, float, float], ...]
    mouth_box: tuple[tuple[float, float, float, float], ...]
    eyes_box: tuple[tuple[float, float, float, float], ...]
    onset_seconds: float | None
    apex_start_seconds: float | None
    apex_end_seconds: float | None
    offset_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Sound:
    """What the voice does.

    Attributes:
        prosody: the settings drawn, by name of `sample_data.corpus.prosody.Prosody`'s fields.
        emotional_start_seconds / emotional_end_seconds: when the prosody is the emotion's; None for a neutral
            voice.
        phones / words: with the times at which they are heard.
    """

    prosody: dict[str, float]
    emotional_start_seconds: float | None
    emotional_end_seconds: float | None
    phones: tuple[Timed, ...]
    words: tuple[Timed, ...]


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """The whole truth of a finished clip, in the file of its name that ends in `.json`.

    Attributes:
        speech_start_seconds / speech_end_seconds: begin of the first and end of the last phone.
        face: None where the clip has no picture.
        sound: None where the clip has no sound.
        transcript: the words that the clip's manifest gives; "" where words are missing.
    """

    plan: ClipPlan
    file: str
    size: int
    frames_per_second: float
    num_frames: int
    duration_seconds: float
    speech_start_seconds: float
    speech_end_seconds: float
    transcript: str
    face: Face | None
    sound: Sound | None
    distractors: tuple[TimedDistractor, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """As plain containers, numbers rounded to what they are worth."""
        return _rounded(asdict(self))

    def write(self, path: Path) -> None:
        """Write atomically as JSON."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")


def read_sidecar(path: str | Path) -> Sidecar:
    """The truth of a made clip.

    Raises:
        ValueError: if the file is not a sidecar of this version; the sentence names it.
    """
    try:
        return sidecar_from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a sidecar of a made clip ({error}); make the clip again") from error


def sidecar_from_dict(content: dict[str, Any]) -> Sidecar:
    """What `Sidecar.to_dict` gave.

    Raises:
        ValueError: for another version, or naming what is missing, unknown, of a wrong type or senseless.
    """
    if isinstance(content, dict) and content.get("schema_version") != SCHEMA_VERSION:
        found = content.get("schema_version")
        raise ValueError(f"its schema version is {found}, not {SCHEMA_VERSION}")
    try:
        sidecar = dataclass_from_dict(Sidecar, content, "sidecar")
    except TypeError as error:
        raise ValueError(str(error)) from error
    if (fault := _fault(sidecar)) is not None:
        raise ValueError(fault)
    return sidecar


def _fault(sidecar: Sidecar) -> str | None:
    """What no clip can have, though its type is right."""
    plan, face, sound = sidecar.plan, sidecar.face, sidecar.sound
    # a clip without picture has no frames
    positive = ("frames_per_second", "duration_seconds", *(("num_frames",) if face is not None else ()))
    for name in positive:
        if not 0 < (value := getattr(sidecar, name)) < float("inf"):
            return f"sidecar.{name} should be positive, not {value}"
    if plan.missing not in ("", *MODALITIES):
        return f"sidecar.plan.missing should be a modality or nothing, not {plan.missing!r}"
    shown = {"video": plan.video_emotion, "audio": plan.audio_emotion, "text": plan.text_emotion}
    if plan.label not in ("neutral", *(shown[m] for m in MODALITIES if m != plan.missing)):
        return f"sidecar.plan.label is {plan.label}, which no modality of the clip shows"
    for one in sidecar.distractors:
        if one.kind not in DISTRACTORS.get(one.modality, ()):
            return f"sidecar.distractors has a {one.kind!r} of {one.modality}, which is not known"
    if sound is not None and (sound.emotional_start_seconds is None) != (sound.emotional_end_seconds is None):
        return "sidecar.sound should have both emotional_start_seconds and emotional_end_seconds, or neither"
    if face is None:
        return None
    times = ("onset_seconds", "apex_start_seconds", "apex_end_seconds", "offset_seconds")
    if len({getattr(face, name) is None for name in times}) > 1:
        return f"sidecar.face should have all of {', '.join(times)}, or none"
    courses = {field.name: getattr(face, field.name) for field in fields(face) if field.name not in times}
    courses |= {f"action_units.{unit}": course for unit, course in courses.pop("action_units").items()}
    for name, course in courses.items():
        if len(course) != sidecar.num_frames:
            return f"sidecar.face.{name} should hold {sidecar.num_frames} values, not {len(course)}"
    return None


def apex_frame(sidecar: Sidecar) -> int:
    """The frame in which the face shows most, with open eyes, nearest to the middle of the apex or of speech.

    Raises:
        ValueError: if the clip has no picture.
    """
    face = sidecar.face
    if face is None:
        raise ValueError(f"{sidecar.file} has no picture")
    times = np.arange(sidecar.num_frames) / sidecar.frames_per_second
    start, end = sidecar.speech_start_seconds, sidecar.speech_end_seconds
    if face.apex_start_seconds is not None:
        start, end = face.apex_start_seconds, face.apex_end_seconds
    score = np.array(face.envelope) - 2 * np.array(face.blink) - 0.05 * np.abs(times - (start + end) / 2)
    return int(score.argmax())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
