"""Clips for the tests of the check: synthetic voices, hand-made rows, and small finished files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from made_truth import a_plan, a_sidecar

from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.make import manifest_row
from sample_data.corpus.plan import plan_hash
from sample_data.corpus.schema import ClipPlan, Sidecar, Sound, Timed, TimedDistractor

RATE = 16_000
FORMANTS = ((500.0, 90.0, 1.0), (1500.0, 120.0, 0.5), (2500.0, 160.0, 0.25))
LEAD_SECONDS = 0.5


def tone(hertz: np.ndarray | float, seconds: float = 2.0, *, softness: float = 1.0) -> np.ndarray:
    """A vowel: harmonics under three formants; `hertz` may be a course over the samples."""
    num = round(seconds * RATE)
    hertz = np.broadcast_to(np.asarray(hertz, float), num)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    sound = np.zeros(num)
    for number in range(1, int(4000 / hertz.min())):
        at = number * hertz
        height = sum(gain / (1 + ((at - middle) / width) ** 2) for middle, width, gain in FORMANTS)
        sound += np.where(at < 7000, height * number ** (-0.3 * softness) * np.sin(number * phase), 0.0)
    return 0.1 * sound / sound.std()


def syllables(seconds: float, per_second: float) -> np.ndarray:
    """`(sample,)` loudness of so many syllables a second, each rising and falling once, 0.05 … 1."""
    times = np.arange(round(seconds * RATE)) / RATE
    return 0.05 + 0.95 * np.sin(np.pi * per_second * times) ** 2


def voice(
    seconds: float = 2.0,
    *,
    semitones: float = 0.0,
    swing: float = 2.0,
    level_db: float = 0.0,
    rate: float = 4.0,
) -> np.ndarray:
    """Speech-like sound: syllables of a voice around 140 Hz that swings up and down by `swing` semitones."""
    times = np.arange(round(seconds * RATE)) / RATE
    course = semitones + swing * np.sin(2 * np.pi * 1.0 * times)
    return tone(140 * 2 ** (course / 12), seconds) * syllables(seconds, rate) * 10 ** (level_db / 20)


def measured(
    row: dict | None = None, *, sidecar: Sidecar | None = None, name: str = "d00001", **plan
) -> Measured:
    """A clip whose numbers are written by hand."""
    sidecar = sidecar or a_sidecar([0.0] * 30, **plan)
    sound = sidecar.sound or a_sound(sidecar.plan.transcript)
    sidecar = replace(sidecar, sound=sound, transcript=sidecar.plan.transcript)
    return Measured(path=Path(f"000/{name}.mp4"), sidecar=sidecar, row={"error": "", **(row or {})})


def a_sound(transcript: str) -> Sound:
    """A voice that says ten phones in a second and, in the same second, the words."""
    words = [word.strip(",.?!") for word in transcript.split()]
    return Sound(
        prosody={},
        emotional_start_seconds=None,
        emotional_end_seconds=None,
        phones=evenly_timed(["a"] * 10),
        words=evenly_timed(words),
    )


def evenly_timed(texts: list[str]) -> tuple[Timed, ...]:
    """One after the other, in a second."""
    return tuple(
        Timed(text=text, start_seconds=at / len(texts), end_seconds=(at + 1) / len(texts))
        for at, text in enumerate(texts)
    )


def a_speaker(name: str, **changes):
    """A speaker of that name, with a face of its own."""
    return replace(a_plan().speaker, **({"speaker_id": name, "identity_seed": sum(name.encode())} | changes))


def write_clip(folder: Path, plan: ClipPlan, picture, *, semitones: float = 0.0, distractors=()) -> Sidecar:
    """A finished clip and its sidecar: one rendered face whose mouth is painted open as the voice sounds."""
    rate, spoken = 10.0, 1.6
    duration = LEAD_SECONDS + spoken + 0.6
    num_frames = round(duration * rate)
    sound = np.zeros(round(duration * RATE))
    start = round(LEAD_SECONDS * RATE)
    # clips differ in when and how fast they speak, so that one's sound does not fit another's lips
    speech = voice(spoken, semitones=semitones, rate=3.0 + plan.seed % 5 * 0.4)
    sound[start : start + len(speech)] = speech
    sound += 1e-4 * np.random.default_rng(plan.seed).standard_normal(len(sound))
    times = np.arange(num_frames) / rate
    loudness = np.abs(np.interp(times, np.arange(len(sound)) / RATE, _smooth(np.abs(sound))))
    opening = loudness / loudness.max()
    pixels = [_open_mouth(picture, share) for share in opening]
    for one in distractors:
        assert one.kind == "dark"
        pixels = [
            (frame * 0.25).astype(np.uint8) if one.start_seconds <= at < one.end_seconds else frame
            for frame, at in zip(pixels, times, strict=True)
        ]
    write_media(folder / f"{plan.clip_id}.mp4", pixels, sound, rate)
    face = a_sidecar([0.0] * num_frames, frames_per_second=rate).face
    boxes = {name: (getattr(picture, name),) * num_frames for name in ("face_box", "mouth_box", "eyes_box")}
    sidecar = replace(
        a_sidecar([0.0] * num_frames, frames_per_second=rate),
        plan=plan,
        file=f"{plan.clip_id}.mp4",
        size=picture.pixels.shape[0],
        duration_seconds=num_frames / rate,
        speech_start_seconds=LEAD_SECONDS,
        speech_end_seconds=LEAD_SECONDS + spoken,
        transcript=plan.transcript,
        face=replace(face, lip_opening=tuple(map(float, opening)), **boxes),
        sound=a_sound(plan.transcript),
        distractors=tuple(distractors),
    )
    sidecar.write(folder / f"{plan.clip_id}.json")
    return sidecar


def write_media(path: Path, pixels: list[np.ndarray], sound: np.ndarray | None, rate: float) -> None:
    """H.264 and AAC; without sound no audio stream."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=round(rate))
        video.options = {"crf": "12", "preset": "ultrafast"}
        video.height, video.width = pixels[0].shape[:2]
        video.pix_fmt = "yuv420p"
        audio = None if sound is None else container.add_stream("aac", rate=RATE, layout="mono")
        for frame in pixels:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(video.encode())
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode())


def write_corpus(folder: Path, sidecars: list[Sidecar]) -> None:
    """Table, manifest and description of clips that lie in `folder/000`."""
    rows = [
        manifest_row(one, f"000/{one.file}") | {"truth": json.dumps(one.to_dict())}
        for one in sorted(sidecars, key=lambda one: one.plan.clip_id)
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / "corpus.parquet")
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "truth"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    plans = tuple(one.plan for one in sorted(sidecars, key=lambda one: one.plan.clip_id))
    description = {"preset": "probe", "plan_sha256": plan_hash(plans)}
    (folder / "corpus.json").write_text(json.dumps(description))


def darkness(start_seconds: float, end_seconds: float) -> TimedDistractor:
    """A dark stretch."""
    return TimedDistractor(
        modality="video", kind="dark", start_seconds=start_seconds, end_seconds=end_seconds, strength=1.0
    )


def _smooth(values: np.ndarray, window: int = 1600) -> np.ndarray:
    return np.convolve(values, np.ones(window) / window, "same")


def _open_mouth(picture, share: float) -> np.ndarray:
    pixels = picture.pixels.copy()
    size = len(pixels)
    left, top, right, bottom = (edge * size for edge in picture.mouth_box)
    rows, columns = np.mgrid[:size, :size] + 0.5
    across = (columns - (left + right) / 2) / (0.4 * (right - left))
    down = (rows - (top + bottom) / 2) / (0.05 + 0.5 * share * (bottom - top))
    pixels[across**2 + down**2 < 1] = 15
    return pixels
