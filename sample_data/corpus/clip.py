"""One clip: from its plan to a media file and the sidecar that tells its whole truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy.signal import resample_poly

from core.writing import replacing
from sample_data.corpus.backdrop import paint_backdrop
from sample_data.corpus.distractors import (
    REFERENCE_LEVEL,
    cover_of,
    disturb_picture,
    disturb_sound,
    timed,
)
from sample_data.corpus.face import Camera, Head, Picture
from sample_data.corpus.face.state import Box
from sample_data.corpus.motion import Motion, Speaking, make_motion
from sample_data.corpus.presets import Preset
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import ClipPlan, Face, Sidecar, Sound, Timed, TimedDistractor, apex_frame
from sample_data.corpus.voice import SAMPLE_RATE, Speech, Synthesiser

ROOM_NOISE_DB = -38.0
"""Level of the quiet room against a voice of normal loudness."""


def make_clip(plan: ClipPlan, preset: Preset, head: Head, voice: Synthesiser, folder: Path) -> Sidecar:
    """Make a clip, its poster where the preset has one, and its sidecar in `folder`; the sidecar last.

    Each appears whole.

    The media file lacks the stream of a missing modality. Without words the voice hums, so that the file
    holds none.
    """
    speech = _speak(plan, voice)
    num_frames = round(
        (plan.lead_seconds + speech.duration_seconds + plan.tail_seconds) * preset.frames_per_second
    )
    duration = round(num_frames / preset.frames_per_second, 4)
    phones, words = (_shifted(items, plan.lead_seconds) for items in (speech.phones, speech.words))
    start, end = phones[0].start_seconds, phones[-1].end_seconds
    speaking = Speaking(start_seconds=start, end_seconds=end, phones=phones)

    has_video, has_audio = plan.missing != "video", plan.missing != "audio"
    pixels, face, distractors = [], None, [timed(one, duration) for one in plan.distractors]
    if has_video:
        motion = make_motion(plan, np.arange(num_frames) / preset.frames_per_second, speaking)
        pictures = list(_render(plan, preset, head, motion))
        covers = [
            [cover_of(one, picture.mouth_box, picture.eyes_box) for one in plan.distractors]
            for picture in pictures
        ]
        pixels = [
            _disturbed(plan, distractors, picture, boxes, number, preset.frames_per_second)
            for number, (picture, boxes) in enumerate(zip(pictures, covers, strict=True))
        ]
        distractors = [
            replace(placed, box=_around([boxes[number] for boxes in _during(placed, covers, motion)]))
            for number, placed in enumerate(distractors)
        ]
        face = _face_truth(motion, pictures)
    waveform = _mix(plan, preset, speech, distractors, duration) if has_audio else None

    suffix = ".mp4" if has_video else ".m4a"
    path = folder / f"{plan.clip_id}{suffix}"
    _write_media(path, pixels, waveform, preset)
    sidecar = Sidecar(
        plan=plan,
        file=path.name,
        size=preset.size if has_video else 0,
        frames_per_second=preset.frames_per_second,
        num_frames=num_frames if has_video else 0,
        duration_seconds=duration,
        speech_start_seconds=start,
        speech_end_seconds=end,
        transcript="" if plan.missing == "text" else plan.transcript,
        face=face,
        sound=_sound_truth(speech, plan.lead_seconds, phones, words) if has_audio else None,
        distractors=tuple(distractors),
    )
    if has_video and preset.poster_size:
        _write_poster(path.with_suffix(".jpg"), pixels[apex_frame(sidecar)], preset.poster_size)
    sidecar.write(path.with_suffix(".json"))
    return sidecar


def _write_poster(path: Path, pixels: np.ndarray, size: int) -> None:
    with replacing(path) as part:
        Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS).save(part, "JPEG", quality=88)


def _speak(plan: ClipPlan, voice: Synthesiser) -> Speech:
    how = {
        "voices": plan.speaker.voices,
        "voice_mix": plan.speaker.voice_mix,
        "formant": plan.speaker.formant,
        "emotion": plan.audio_emotion,
        "strength": plan.voice_strength,
        "window": plan.voice_window,
        "generator": stream(plan.seed, "voice"),
    }
    return voice.hum(**how) if plan.missing == "text" else voice.say(plan.transcript, **how)


def _shifted(items: tuple[Timed, ...], seconds: float) -> tuple[Timed, ...]:
    return tuple(
        Timed(
            text=item.text, start_seconds=item.start_seconds + seconds, end_seconds=item.end_seconds + seconds
        )
        for item in items
    )


def _render(plan: ClipPlan, preset: Preset, head: Head, motion: Motion) -> Iterator[Picture]:
    backdrop = paint_backdrop(
        plan.background, preset.size * preset.supersample, stream(plan.seed, "backdrop")
    )
    camera = Camera(field_of_view_degrees=plan.field_of_view_degrees)
    for number in range(len(motion.times_seconds)):
        yield head.render(
            motion.state(number),
            size=preset.size,
            camera=camera,
            light=plan.light,
            background=backdrop,
            exposure=plan.exposure,
            supersample=preset.supersample,
        )


def _disturbed(
    plan: ClipPlan,
    distractors: list[TimedDistractor],
    picture: Picture,
    covers: list[Box | None],
    number: int,
    frames_per_second: float,
) -> np.ndarray:
    pixels = picture.pixels
    at = number / frames_per_second
    for planned, placed, cover in zip(plan.distractors, distractors, covers, strict=True):
        if planned.modality == "video" and _lasts(placed, at):
            pixels = disturb_picture(pixels, planned, cover, number)
    return pixels


def _lasts(placed: TimedDistractor, at_seconds: float) -> bool:
    return placed.start_seconds <= at_seconds < placed.end_seconds


def _during(placed: TimedDistractor, frames: list, motion: Motion) -> list:
    """What belongs to the frames in which a distractor lasts."""
    return [frame for frame, at in zip(frames, motion.times_seconds, strict=True) if _lasts(placed, at)]


def _around(boxes: list[Box | None]) -> Box | None:
    """The box that holds all boxes; None where there is none."""
    if not boxes or boxes[0] is None:
        return None
    edges = np.array(boxes)
    return (*map(float, edges[:, :2].min(axis=0)), *map(float, edges[:, 2:].max(axis=0)))


def _mix(
    plan: ClipPlan,
    preset: Preset,
    speech: Speech,
    distractors: list[TimedDistractor],
    duration_seconds: float,
) -> np.ndarray:
    """`(sample,)` the voice in a quiet room, with what disturbs it, at the preset's sample rate."""
    rate = Fraction(preset.sample_rate, SAMPLE_RATE)
    voice = resample_poly(speech.waveform, rate.numerator, rate.denominator).astype(np.float32)
    waveform = np.zeros(round(duration_seconds * preset.sample_rate), np.float32)
    start = round(plan.lead_seconds * preset.sample_rate)
    voice = voice[: len(waveform) - start]
    waveform[start : start + len(voice)] = voice * 10 ** (plan.microphone_gain_db / 20)

    white = stream(plan.seed, "room").standard_normal(len(waveform))
    rumble = np.cumsum(white)
    window = preset.sample_rate // 10
    rumble -= np.convolve(rumble, np.ones(window) / window, "same")
    waveform += (rumble / (rumble.std() + 1e-9) * REFERENCE_LEVEL * 10 ** (ROOM_NOISE_DB / 20)).astype(
        np.float32
    )
    for planned, placed in zip(plan.distractors, distractors, strict=True):
        if planned.modality == "audio":
            disturb_sound(waveform, voice, placed, planned.seed, preset.sample_rate)
    return np.clip(waveform, -1.0, 1.0)


def _face_truth(motion: Motion, pictures: list[Picture]) -> Face:
    return Face(
        envelope=_floats(motion.envelope),
        action_units={unit: _floats(course) for unit, course in motion.action_units.items() if course.any()},
        blink=_floats(motion.blink),
        lip_opening=tuple(float(picture.lip_opening) for picture in pictures),
        pose=tuple(map(_floats, motion.pose)),
        gaze=tuple(map(_floats, motion.gaze)),
        face_box=tuple(_floats(picture.face_box) for picture in pictures),
        mouth_box=tuple(_floats(picture.mouth_box) for picture in pictures),
        eyes_box=tuple(_floats(picture.eyes_box) for picture in pictures),
        onset_seconds=motion.onset_seconds,
        apex_start_seconds=motion.apex_start_seconds,
        apex_end_seconds=motion.apex_end_seconds,
        offset_seconds=motion.offset_seconds,
    )


def _sound_truth(
    speech: Speech, start_seconds: float, phones: tuple[Timed, ...], words: tuple[Timed, ...]
) -> Sound:
    emotional = (None, None) if speech.emotional is None else [at + start_seconds for at in speech.emotional]
    return Sound(
        prosody=asdict(speech.prosody),
        emotional_start_seconds=emotional[0],
        emotional_end_seconds=emotional[1],
        phones=phones,
        words=words,
    )


def _floats(values: np.ndarray | tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


@cache
def _same_bytes() -> dict[str, str]:
    """Options with which x264 gives the same bytes again.

    Its AVX-512 code does not: about one file in four differed, for equal pictures (libavcodec of PyAV 18.1).
    """
    # late, for it takes long; it knows the processor, which the standard library does not
    import torch

    has_avx512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return {"x264-params": "asm=AVX2"} if has_avx512 else {}


def _write_media(path: Path, pixels: list[np.ndarray], waveform: np.ndarray | None, preset: Preset) -> None:
    """H.264 and AAC in an MP4 that plays while it loads; one thread: the bytes are always the same."""
    options = {"movflags": "+faststart"}
    with replacing(path) as part, av.open(str(part), "w", format="mp4", options=options) as container:
        video = audio = None
        if pixels:
            rate = Fraction(preset.frames_per_second).limit_denominator(1000)
            video = container.add_stream("libx264", rate=rate)
            video.options = {
                "preset": "medium",
                "crf": str(preset.quality),
                "maxrate": str(preset.max_video_bit_rate),
                "bufsize": str(preset.max_video_bit_rate),
            }
            video.options |= _same_bytes()
            video.width = video.height = preset.size
            video.pix_fmt = "yuv420p"
            video.codec_context.thread_count = 1
        if waveform is not None:
            audio = container.add_stream("aac", rate=preset.sample_rate, layout="mono")
            audio.bit_rate = preset.audio_bit_rate
        for frame in pixels:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        if video is not None:
            container.mux(video.encode())
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(waveform[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate = preset.sample_rate
            frame.pts = 0
            frame.time_base = Fraction(1, preset.sample_rate)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
