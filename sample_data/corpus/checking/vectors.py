"""The vectors that each classifier reads, out of the rows of all clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.labels import MODALITIES
from sample_data.corpus.checking.features import MODEL_NAMES, unpack
from sample_data.corpus.checking.measure import Measured

CLASSIFIERS = {
    "video": ("video", f"{MODEL_NAMES['video']}, linear SVM"),
    "audio": ("audio", f"{MODEL_NAMES['audio']}, logistic regression"),
    "prosody": ("audio", "pitch, range, level, tilt and rate of the voice, linear discriminant analysis"),
    "prosody, calibrated": (
        "audio",
        "the same less the speaker's own neutral voice, as far as he is heard with one, else that of his sex",
    ),
    "text": ("text", f"{MODEL_NAMES['text']}, logistic regression"),
    "all": ("", "video, audio and text side by side, logistic regression"),
}
"""Name → the modality that it reads ("" for all) and what it is."""

PROSODY = ("f0_semitones", "range", "final", "level", "tilt", "rate", "voiced")


def feature_vectors(clips: Sequence[Measured], name: str) -> list[np.ndarray | None]:
    """What a classifier of `CLASSIFIERS` reads of each clip; None where a clip lacks it."""
    if name == "prosody":
        return [_prosody(one) for one in clips]
    if name == "prosody, calibrated":
        return _calibrated(clips)
    if name == "all":
        return _side_by_side(clips)
    return [unpack(one.row.get(f"{name}_features")) for one in clips]


def _side_by_side(clips: Sequence[Measured]) -> list[np.ndarray | None]:
    parts = []
    for modality in MODALITIES:
        vectors = feature_vectors(clips, modality)
        known = np.array([vector for vector in vectors if vector is not None])
        if not len(known):
            continue
        mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-3
        # every modality weighs the same however long its vector is; one that a clip lacks says nothing
        scale = deviation * np.sqrt(len(mean))
        blank = np.zeros(len(mean))
        parts.append([blank if vector is None else (vector - mean) / scale for vector in vectors])
    return [np.concatenate(vectors) for vectors in zip(*parts, strict=True)] if parts else [None] * len(clips)


def _prosody(one: Measured) -> np.ndarray | None:
    values = [one.row.get(f"voice_{name}") for name in PROSODY]
    return None if None in values or not np.isfinite(values).all() else np.array(values)


def _calibrated(clips: Sequence[Measured]) -> list[np.ndarray | None]:
    """Measures less those of the speaker's other neutral clips, which are one more vote beside his sex's."""
    vectors = feature_vectors(clips, "prosody")
    speakers = [one.sidecar.plan.speaker for one in clips]
    neutral = [
        (number, speakers[number], vector)
        for number, vector in enumerate(vectors)
        if vector is not None and clips[number].sidecar.plan.audio_emotion == "neutral"
    ]
    if not neutral:
        return [None] * len(clips)
    usual = {
        sex: np.mean(
            [vector for _, speaker, vector in neutral if speaker.sex == sex] or [np.zeros(len(PROSODY))], 0
        )
        for sex in {speaker.sex for speaker in speakers}
    }
    own: dict[str, list[tuple[int, np.ndarray]]] = {}
    for number, speaker, vector in neutral:
        own.setdefault(speaker.speaker_id, []).append((number, vector))
    calibrated = []
    for number, (vector, speaker) in enumerate(zip(vectors, speakers, strict=True)):
        others = [other for at, other in own.get(speaker.speaker_id, ()) if at != number]
        reference = np.mean([usual[speaker.sex], *others], axis=0)
        calibrated.append(None if vector is None else vector - reference)
    return calibrated
