"""What a clip does over time: faces found, lips against sound, distractors in their windows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from core.media import SAMPLE_RATE, Frames
from core.media.faces import FaceDetector
from sample_data.corpus.checking import picture
from sample_data.corpus.checking.sound import VoiceTrack, band, level_at
from sample_data.corpus.distractors import AUDIO_SHARES, VIDEO_SHARES
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import Sidecar

NUM_FACE_FRAMES = 8
FOUND_OVERLAP = 0.3
"""Least intersection over union of a detected face and the true one."""

LAGS_SECONDS = tuple(round(0.02 * step, 2) for step in range(-20, 21))
_LIP_BAND_HZ = (300.0, 3000.0)
_ENVELOPE_SECONDS, _ENVELOPE_STEP_SECONDS = 0.08, 0.01
_TREND_SECONDS = 0.5
"""Slower changes than this, of expression or loudness, are taken away before lips and sound are compared."""

_WITHIN_SPEECH_SECONDS = 0.1
"""Lips and sound are compared within speech only: that a mouth rests while nothing is said proves little."""

_EDGE_SECONDS = 0.12
"""Next to a window's edges the codecs mix what is inside with what is outside."""


@cache
def face_detector() -> FaceDetector:
    """The process's face detector."""
    return FaceDetector(num_threads=1)


def truth_of(frames: Frames, sidecar: Sidecar, name: str) -> np.ndarray:
    """`(frame, …)` a track of the sidecar's face, at the frames' times."""
    track = np.array(getattr(sidecar.face, name), float)
    index = np.round(frames.times_seconds * sidecar.frames_per_second).astype(int)
    return track[np.clip(index, 0, len(track) - 1)]


def face_rows(frames: Frames, sidecar: Sidecar) -> list[dict[str, Any]]:
    """Of some frames, evenly spread: which distractors are on, whether the face is found, how well."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, NUM_FACE_FRAMES).round().astype(int))
    found = face_detector().detect(frames.pixels[chosen])
    boxes = truth_of(frames, sidecar, "face_box")[chosen]
    height, width = frames.pixels.shape[1:3]
    rows = []
    for number, detections, box in zip(chosen, found, boxes, strict=True):
        at = frames.times_seconds[number]
        kinds = [
            one.kind
            for one in sidecar.distractors
            if one.modality == "video" and one.start_seconds <= at < one.end_seconds
        ]
        overlaps = [
            picture.overlap(one / [width, height, width, height], box)
            for one in detections.boxes.astype(float)
        ]
        rows.append(
            {
                "seconds": float(at),
                "kinds": kinds,
                "num_found": len(overlaps),
                "overlap": max(overlaps, default=0.0),
            }
        )
    return rows


def lip_curves(
    frames: Frames, waveform: np.ndarray, start_seconds: float, end_seconds: float, sidecar: Sidecar
) -> dict[str, list[float]]:
    """Correlation of the mouth with the loudness of speech, for every lag of `LAGS_SECONDS`.

    `lips_seen` is how far the pixels of the mouth are from their look before and after speech; `lips_told`
    is the opening that the sidecar tells; `lips_idle` is as seen, against the same loudness played
    backwards: what chance gives. At a lag above zero the mouth comes after the sound. Empty where too little
    is said.
    """
    rate, times = sidecar.frames_per_second, frames.times_seconds
    spoken = (times >= start_seconds + _WITHIN_SPEECH_SECONDS) & (
        times <= end_seconds - _WITHIN_SPEECH_SECONDS
    )
    silent = (times < start_seconds - _WITHIN_SPEECH_SECONDS) | (times > end_seconds + _WITHIN_SPEECH_SECONDS)
    if spoken.sum() < 8 or not silent.any():
        return {}
    speech = band(waveform, SAMPLE_RATE, *_LIP_BAND_HZ)
    clock = np.arange(0.0, len(waveform) / SAMPLE_RATE, _ENVELOPE_STEP_SECONDS)
    loudness = 10 ** (level_at(speech, SAMPLE_RATE, clock, _ENVELOPE_SECONDS) / 40)
    loudness = _without_trend(loudness, 1 / _ENVELOPE_STEP_SECONDS)
    grey = picture.luminance(frames.pixels)
    mouth = picture.mouth_change(grey, truth_of(frames, sidecar, "mouth_box"), silent, rate)
    told = truth_of(frames, sidecar, "lip_opening")

    def curve(course: np.ndarray, *, is_backwards: bool = False) -> list[float]:
        within = _without_trend(course, rate)[spoken]
        at = times[spoken]
        if is_backwards:
            at = start_seconds + end_seconds - at
        return [_correlation(within, np.interp(at - lag, clock, loudness)) for lag in LAGS_SECONDS]

    return {"lips_seen": curve(mouth), "lips_told": curve(told), "lips_idle": curve(mouth, is_backwards=True)}


def window_rows(
    frames: Frames | None, track: VoiceTrack | None, waveform: np.ndarray | None, sidecar: Sidecar
) -> list[dict[str, Any]]:
    """How far each distractor's measure moves inside its window against the rest of the clip.

    Where a modality is undisturbed, all kinds are measured in a window that means nothing, for comparison. A
    distractor of the whole clip, or one of several of its modality, is left out.
    """
    rows = []
    draw = stream(sidecar.plan.seed, "check comparison")
    start = draw.uniform(0.0, 0.5)
    idle = np.array([start, min(1.0, start + draw.uniform(0.3, 0.8))]) * sidecar.duration_seconds
    for modality, shares in (("video", VIDEO_SHARES), ("audio", AUDIO_SHARES)):
        if modality == "video" and frames is not None and sidecar.face is not None:
            effect = _PictureEffects(frames, sidecar)
        elif modality == "audio" and track is not None and waveform is not None:
            effect = _SoundEffects(track, waveform)
        else:
            continue
        placed = [one for one in sidecar.distractors if one.modality == modality]
        if len(placed) > 1:
            continue
        if placed:
            wanted = [(placed[0].kind, placed[0].start_seconds, placed[0].end_seconds)]
        else:
            wanted = [(kind, *idle) for kind in shares]
        for kind, begin, end in wanted:
            value = effect.of(kind, float(begin), float(end))
            if np.isfinite(value):
                rows.append({"kind": kind, "is_disturbed": bool(placed), "effect": float(value)})
    return rows


class _PictureEffects:
    """How much a kind of video distractor shows in a window, in powers of two: near 0 not at all."""

    def __init__(self, frames: Frames, sidecar: Sidecar):
        self._frames = frames
        self._sidecar = sidecar
        self._grey = picture.luminance(frames.pixels)

    def of(self, kind: str, start_seconds: float, end_seconds: float) -> float:
        times = self._frames.times_seconds
        inside = (times >= start_seconds) & (times < end_seconds)
        outside = (times < start_seconds - _EDGE_SECONDS) | (times >= end_seconds + _EDGE_SECONDS)
        if inside.sum() < 2 or outside.sum() < 2:
            return float("nan")
        if kind == "occlude_mouth":
            colors = picture.patch_colors(
                self._frames.pixels, truth_of(self._frames, self._sidecar, "mouth_box")
            )
            usual = np.median(colors[outside], axis=0)
            # a level is added: a mouth that never moves has no colour to differ from
            return _log_ratio(np.abs(colors - usual).mean(axis=(1, 2)) + 1.0, inside, outside)
        if kind == "occlude_eyes":
            eyes = picture.sample_boxes(self._grey, truth_of(self._frames, self._sidecar, "eyes_box"), 12)
            return -_log_ratio(eyes.mean(axis=(1, 2)), inside, outside)
        if kind in ("blur", "pixelate"):
            return -_log_ratio(picture.sharpness(self._grey), inside, outside)
        if kind == "dark":
            return -_log_ratio(picture.brightness(self._grey), inside, outside)
        return _log_ratio(picture.graininess(self._grey), inside, outside)


class _SoundEffects:
    """The same for sound, in dB."""

    _BANDS_HZ = {"hiss": (3000.0, 7000.0), "hum": (90.0, 110.0), "babble": (300.0, 3000.0)}

    def __init__(self, track: VoiceTrack, waveform: np.ndarray):
        self._track = track
        self._waveform = waveform

    def of(self, kind: str, start_seconds: float, end_seconds: float) -> float:
        times = self._track.pitch.times_seconds
        inside = (times >= start_seconds + _EDGE_SECONDS) & (times < end_seconds - _EDGE_SECONDS)
        outside = (times < start_seconds - _EDGE_SECONDS) | (times >= end_seconds + _EDGE_SECONDS)
        if inside.sum() < 10 or outside.sum() < 10:
            return float("nan")
        if kind == "dropout":
            level = self._track.level_db
            return float(np.percentile(level[outside], 90) - np.percentile(level[inside], 90))
        # what is heard even in the pauses of speech
        sound = band(self._waveform, SAMPLE_RATE, *self._BANDS_HZ[kind])
        level = level_at(sound, SAMPLE_RATE, times, 0.05)
        return float(np.percentile(level[inside], 10) - np.percentile(level[outside], 10))


def _log_ratio(course: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> float:
    return float(np.log2(max(np.median(course[inside]), 1e-6) / max(np.median(course[outside]), 1e-6)))


def _without_trend(course: np.ndarray, per_second: float) -> np.ndarray:
    return course - gaussian_filter1d(course, _TREND_SECONDS * per_second)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.std() < 1e-9 or second.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
