"""What a head does during a clip: expression, brow flashes, blinks, pose and gaze, at any moment.

Every track is a function of time, with its own random stream, so that the same plan moves alike at any frame
rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.expressions import BODY
from sample_data.corpus.face import FaceState
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import ClipPlan, Timed
from sample_data.corpus.visemes import mouth_track

BROW_FLASH_HEIGHT, BROW_FLASH_SECONDS = 0.30, 0.16
"""Intensity of units 1 and 2 and standard deviation in time of a conversational brow flash."""

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 24, 25, 26, 43)
"""Units that the tracks tell, shown or not."""


@dataclass(frozen=True, kw_only=True)
class Speaking:
    """When a clip is spoken in: what the face has to keep time with."""

    start_seconds: float
    end_seconds: float
    phones: tuple[Timed, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """The face over the frames of a clip.

    Attributes:
        times_seconds: `(frame,)` when each frame is shown.
        envelope: `(frame,)` how far the expression has unfolded.
        action_units: unit → `(frame,)` intensities: expression and brow flashes.
        mouth: blend shape → `(frame,)` weights of speech.
        blink: `(frame,)` how far the lids are closed.
        pose: `(frame, yaw/pitch/roll)` in radians.
        gaze: `(frame, yaw/pitch)` of the eyes within the head.
        lift: `(frame,)` of the head by breathing, in decimetres.
        asymmetry: unit → how much stronger it is on the left.
        onset_seconds … offset_seconds: of the expression; None for a neutral face.
    """

    times_seconds: np.ndarray
    envelope: np.ndarray
    action_units: dict[int, np.ndarray]
    mouth: dict[str, np.ndarray]
    blink: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    lift: np.ndarray
    asymmetry: dict[int, float]
    shift: tuple[float, float]
    onset_seconds: float | None
    apex_start_seconds: float | None
    apex_end_seconds: float | None
    offset_seconds: float | None

    def state(self, frame: int) -> FaceState:
        """What to render for one frame."""
        yaw, pitch, roll = (float(angle) for angle in self.pose[frame])
        return FaceState(
            action_units={unit: float(course[frame]) for unit, course in self.action_units.items()},
            mouth={name: float(course[frame]) for name, course in self.mouth.items()},
            blink=float(self.blink[frame]),
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            gaze=(float(self.gaze[frame, 0]), float(self.gaze[frame, 1])),
            shift=(self.shift[0], self.shift[1] + float(self.lift[frame])),
            asymmetry=self.asymmetry,
        )


def make_motion(plan: ClipPlan, times_seconds: np.ndarray, speaking: Speaking) -> Motion:
    """The motion of a planned clip at the given times, in seconds."""
    times = np.asarray(times_seconds, float)
    spoken = speaking.end_seconds - speaking.start_seconds
    body = BODY[plan.video_emotion]
    shows = plan.video_emotion != "neutral"
    apex_start, apex_end = (speaking.start_seconds + share * spoken for share in plan.apex)
    onset, offset = apex_start - plan.onset_seconds, apex_end + plan.offset_seconds
    envelope = np.zeros_like(times)
    if shows or plan.action_units:
        envelope = smooth_step(times, onset, apex_start) * (1 - smooth_step(times, apex_end, offset))
    talking = smooth_step(times, speaking.start_seconds - 0.2, speaking.start_seconds + 0.2)
    talking = talking * (1 - smooth_step(times, speaking.end_seconds - 0.2, speaking.end_seconds + 0.2))

    expressive = envelope if shows else np.zeros_like(times)
    liveliness = (0.5 + 0.7 * talking) * (1 + (body.motion - 1) * expressive)
    yaw = plan.yaw + 0.030 * liveliness * _noise(plan, "yaw", times, 0.8) + body.pose[0] * expressive
    pitch = plan.pitch + 0.022 * liveliness * _noise(plan, "pitch", times, 1.1) + body.pose[1] * expressive
    pitch = pitch + 0.012 * talking * _noise(plan, "nod", times, 2.6)
    roll = 0.022 * liveliness * _noise(plan, "roll", times, 0.7) + body.pose[2] * expressive
    if plan.video_emotion == "fear":
        yaw = yaw + 0.012 * expressive * np.sin(2 * np.pi * 5.0 * times + 1)

    gaze = _saccades(plan, times, restless=plan.video_emotion == "fear")
    gaze += np.outer(expressive, body.gaze)
    # the eyes stay with the listener when the head turns
    gaze[:, 0] -= 0.6 * yaw
    breath = stream(plan.seed, "breath").uniform(0, 2 * np.pi)
    asymmetry = stream(plan.seed, "asymmetry")
    return Motion(
        times_seconds=times,
        envelope=expressive,
        action_units=_action_units(plan, times, envelope, speaking.start_seconds, spoken),
        mouth=mouth_track(speaking.phones, times, plan.articulation),
        blink=_blinks(plan, times, body.blinks_per_minute, expressive),
        pose=np.stack([yaw, pitch, roll], axis=1),
        gaze=gaze,
        lift=0.003 * np.sin(2 * np.pi * 0.27 * times + breath),
        asymmetry={unit: float(np.clip(asymmetry.normal(0.0, 0.08), -0.2, 0.2)) for unit in ACTION_UNITS},
        shift=plan.shift,
        onset_seconds=onset if shows else None,
        apex_start_seconds=apex_start if shows else None,
        apex_end_seconds=apex_end if shows else None,
        offset_seconds=offset if shows else None,
    )


def _action_units(
    plan: ClipPlan, times: np.ndarray, envelope: np.ndarray, start: float, spoken: float
) -> dict[int, np.ndarray]:
    tremble = 1 + 0.03 * _noise(plan, "tremble", times, 4.0)
    flashes = np.zeros_like(times)
    for share in plan.brow_flashes:
        flashes += np.exp(-0.5 * ((times - start - share * spoken) / BROW_FLASH_SECONDS) ** 2)
    courses = {}
    for unit in ACTION_UNITS:
        course = plan.action_units.get(unit, 0.0) * envelope * tremble
        if unit in (1, 2):
            course = course + BROW_FLASH_HEIGHT * flashes
        courses[unit] = np.clip(course, 0.0, 1.0)
    return courses


def _noise(plan: ClipPlan, name: str, times: np.ndarray, per_second: float) -> np.ndarray:
    """Smooth noise of deviation about one: random knots, `per_second` of them, eased into one another."""
    at = np.maximum(times, 0.0) * per_second
    before = at.astype(int)
    knots = stream(plan.seed, f"motion {name}").standard_normal(int(before.max(initial=0)) + 2)
    share = at - before
    share = share**2 * (3 - 2 * share)
    return knots[before] * (1 - share) + knots[before + 1] * share


def _saccades(plan: ClipPlan, times: np.ndarray, *, restless: bool) -> np.ndarray:
    """`(frame, yaw/pitch)` of eyes that rest mostly on the camera and jump now and then."""
    draw = stream(plan.seed, "saccades")
    gaze = np.zeros((len(times), 2))
    start = 0.0
    while start <= times.max(initial=0.0):
        spread = (0.05, 0.025) if draw.random() < 0.75 else (0.16, 0.06)
        gaze[times >= start] = draw.normal(0.0, spread)
        start += draw.uniform(0.5, 1.6) / (1.8 if restless else 1.0)
    return gaze


def _blinks(plan: ClipPlan, times: np.ndarray, per_minute: float, expressive: np.ndarray) -> np.ndarray:
    """How far the lids are closed: fast down, slower up, about a fifth of a second."""
    draw = stream(plan.seed, "blinks")
    closed = np.zeros_like(times)
    at = draw.uniform(0.3, 2.0)
    while at < times.max(initial=0.0):
        shape = np.interp(times - at, [-0.07, 0.0, 0.05, 0.16], [0.0, 1.0, 1.0, 0.0])
        closed = np.maximum(closed, shape)
        rate = 16.0 + (per_minute - 16.0) * float(np.interp(at, times, expressive))
        at += max(0.5, draw.exponential(60.0 / rate))
    return closed
