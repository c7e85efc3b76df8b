"""A plan and a sidecar that a test writes by hand, without the parts that make clips."""

from dataclasses import replace

from sample_data.corpus.schema import ClipPlan, Face, Sidecar, Speaker

SPEAKER = Speaker(
    speaker_id="te000",
    split="test",
    identity_seed=1,
    sex="female",
    age=0.3,
    hair="bob",
    has_glasses=False,
    voices=("af_heart",),
    voice_mix=0.0,
    formant=1.0,
    expressivity=1.0,
)

PLAN = ClipPlan(
    clip_id="d00001",
    seed=5,
    split="test",
    speaker=SPEAKER,
    label="fear",
    scenario="all",
    cell="all",
    video_emotion="fear",
    audio_emotion="fear",
    text_emotion="fear",
    informative=("video", "audio", "text"),
    conflict=False,
    intensity=0.9,
    transcript="Who is there?",
    action_units={1: 0.5, 4: 0.8},
    apex=(0.2, 0.8),
    onset_seconds=0.2,
    offset_seconds=0.4,
    voice_strength=0.9,
    voice_window=None,
    brow_flashes=(0.5,),
    articulation=1.0,
    background="wall",
    light="studio",
    exposure=1.0,
    yaw=0.0,
    pitch=0.0,
    shift=(0.0, 0.0),
    field_of_view_degrees=20.0,
    microphone_gain_db=0.0,
    lead_seconds=0.5,
    tail_seconds=0.6,
    missing="",
    distractors=(),
)


def a_plan(**changes) -> ClipPlan:
    """A plan of a fearful clip, with changes."""
    return replace(PLAN, **changes)


def a_sidecar(envelope, *, frames_per_second=25.0, action_units=None, blink=None, **plan_changes) -> Sidecar:
    """The truth of a clip whose face does this; boxes and angles are the same in every frame."""
    num = len(envelope)
    duration = num / frames_per_second
    return Sidecar(
        plan=a_plan(**plan_changes),
        file="d00001.mp4",
        size=64,
        frames_per_second=frames_per_second,
        num_frames=num,
        duration_seconds=duration,
        speech_start_seconds=0.1 * duration,
        speech_end_seconds=0.9 * duration,
        transcript="Who is there?",
        face=Face(
            envelope=tuple(map(float, envelope)),
            action_units={unit: tuple(course) for unit, course in (action_units or {}).items()},
            blink=tuple(blink or [0.0] * num),
            lip_opening=(0.0,) * num,
            pose=((0.0, 0.0, 0.0),) * num,
            gaze=((0.0, 0.0),) * num,
            face_box=((0.2, 0.1, 0.8, 0.9),) * num,
            mouth_box=((0.4, 0.6, 0.6, 0.75),) * num,
            eyes_box=((0.3, 0.35, 0.7, 0.45),) * num,
            onset_seconds=0.1,
            apex_start_seconds=0.2,
            apex_end_seconds=0.3,
            offset_seconds=0.4,
        ),
        sound=None,
    )
