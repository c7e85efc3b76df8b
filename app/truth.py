"""How a made clip was made, in words for people who never saw its sidecar.

Everything here is known beforehand, nothing comes from a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.clips import ClipChoice
from core.attribution.modalities import NEUTRAL, listed
from core.labels import MODALITIES
from sample_data.corpus.schema import Face, Sidecar, TimedDistractor, apex_frame, read_sidecar

CARRIER_NAMES = {"video": "face", "audio": "voice", "text": "words"}
"""What carries an emotion in each modality."""

ABSENCES = {"video": "no picture", "audio": "no sound", "text": "no words, the voice only hums"}

SCENARIOS = {
    "sarcasm": "Sarcasm: face and voice carry the emotion, the words pretend joy.",
    "banter": "Banter: face and voice are merry, the words are cross.",
    "masking": "Masking: a social smile hides what voice and words tell.",
    "plain": "Neutral throughout.",
    "lexical_trap": "Neutral, but the words name emotions.",
}
"""The scenarios of `sample_data.corpus.plan.SCENARIOS` that are more than who carries the label.

What a `lively` face does differs from clip to clip, so that it is told from the face.
"""

MANNERS = {
    ("masking", "video"): "a social smile",
    ("lexical_trap", "text"): "naming emotions",
}
"""How a modality shows what it shows, where that is worth a remark."""

IN_THE_WAY = {
    "occlude_mouth": "mug over the mouth",
    "occlude_eyes": "bar over the eyes",
    "blur": "blurred picture",
    "pixelate": "coarse pixels",
    "dark": "dark picture",
    "grain": "grainy picture",
}
NOISES = {
    "hiss": "hiss",
    "babble": "babble of other voices",
    "hum": "mains hum",
    "dropout": "sound that drops out",
}
"""Kinds of `sample_data.corpus.distractors`, which is not imported here: it needs the renderer."""

_EDGE_SECONDS = 0.1
"""A window that leaves out less than this at either end is called the whole."""


@dataclass(frozen=True, kw_only=True)
class Expression:
    """How far the face's expression has unfolded.

    Attributes:
        envelope: `(frame,)` 0 … 1, at equal steps from the clip's begin.
        frames_per_second: of the envelope.
        onset_seconds: when it begins.
        apex_start_seconds / apex_end_seconds: between which it is full.
        offset_seconds: when it has gone.
    """

    envelope: tuple[float, ...]
    frames_per_second: float
    onset_seconds: float
    apex_start_seconds: float
    apex_end_seconds: float
    offset_seconds: float

    @property
    def sentence(self) -> str:
        """The curve in words."""
        return (
            f"Expression from {self.onset_seconds:.1f} to {self.offset_seconds:.1f} s, full from "
            f"{self.apex_start_seconds:.1f} to {self.apex_end_seconds:.1f} s."
        )


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of a made clip.

    Attributes:
        label: the clip's.
        emotions: what each modality shows, by modality; those that the clip lacks are left out.
        manners: a remark on how, by modality.
        scenario: who carries the emotion, as a sentence.
        is_conflict: it was made so that modalities show different emotions.
        missing: the modality that was left out on purpose, "" for none.
        added: what was put in on purpose, each with its window.
        expression: None without a picture, and where the face stays neutral.
        still_seconds: when the face shows most, with open eyes; None without a picture.
        voice_window: begin and end in seconds of the emotional voice; None where there is none.
        is_voice_partial: the voice is emotional in a part of the speech only.
    """

    label: str
    emotions: dict[str, str]
    manners: dict[str, str]
    scenario: str
    is_conflict: bool
    missing: str
    added: tuple[str, ...]
    expression: Expression | None
    still_seconds: float | None
    voice_window: tuple[float, float] | None
    is_voice_partial: bool

    @property
    def voice_sentence(self) -> str:
        """When the voice is emotional; "" where it is not."""
        if self.voice_window is None:
            return ""
        start, end = self.voice_window
        part = "in this part of the speech only" if self.is_voice_partial else "all through the speech"
        return f"Voice emotional from {start:.1f} to {end:.1f} s, {part}."

    @property
    def origin(self) -> str:
        """What kind of thing the clip is."""
        parts = ["rendered face"] * (self.missing != "video") + ["synthesised voice"] * (
            self.missing != "audio"
        )
        return f"Made clip: {', '.join(parts)}."

    @property
    def conflict_sentence(self) -> str:
        """Whether the clip was made with a conflict, and which."""
        if not self.is_conflict:
            return "The clip was made without a conflict."
        by_emotion: dict[str, list[str]] = {}
        for modality, emotion in self.emotions.items():
            by_emotion.setdefault(emotion, []).append(CARRIER_NAMES[modality])
        said = ", ".join(f"{listed(names)} {emotion}" for emotion, names in by_emotion.items())
        return f"The clip was made with a conflict: {said}."

    def with_other_words(self) -> Truth:
        """What is left of it once somebody wrote other words."""
        return replace(self, emotions={m: name for m, name in self.emotions.items() if m != "text"})


def truth_of(choice: ClipChoice) -> Truth | None:
    """What is known of a shipped clip with a sidecar beside it; None for every other."""
    path = choice.path.with_suffix(".json")
    if choice.is_own or not path.is_file():
        return None
    try:
        return tell(read_sidecar(path))
    except ValueError:  # the clip is worth showing without
        return None


def tell(sidecar: Sidecar) -> Truth:
    """A sidecar in words."""
    plan, face, sound = sidecar.plan, sidecar.face, sidecar.sound
    shown = {"video": plan.video_emotion, "audio": plan.audio_emotion, "text": plan.text_emotion}
    emotions = {modality: shown[modality] for modality in MODALITIES if modality != plan.missing}
    expression = None
    if face is not None and face.onset_seconds is not None:
        expression = Expression(
            envelope=face.envelope,
            frames_per_second=sidecar.frames_per_second,
            onset_seconds=face.onset_seconds,
            apex_start_seconds=face.apex_start_seconds,
            apex_end_seconds=face.apex_end_seconds,
            offset_seconds=face.offset_seconds,
        )
    window = None
    if sound is not None and sound.emotional_start_seconds is not None:
        window = sound.emotional_start_seconds, sound.emotional_end_seconds
    manners = {m: MANNERS[plan.scenario, m] for m in emotions if (plan.scenario, m) in MANNERS}
    movements = _movements(face) if face is not None and plan.scenario == "lively" else []
    if movements:
        manners["video"] = "lively"
    return Truth(
        label=plan.label,
        emotions=emotions,
        manners=manners,
        scenario=_scenario(plan.scenario, plan.label, emotions, movements),
        is_conflict=plan.conflict,
        missing=plan.missing,
        added=tuple(
            f"{(IN_THE_WAY | NOISES)[one.kind]}, {_window(one, sidecar.duration_seconds)}"
            for one in sidecar.distractors
        ),
        expression=expression,
        still_seconds=None if face is None else apex_frame(sidecar) / sidecar.frames_per_second,
        voice_window=window,
        is_voice_partial=plan.voice_window is not None,
    )


def _movements(face: Face) -> list[str]:
    """What a neutral face does that means nothing, by its action units."""
    shown = {unit for unit, course in face.action_units.items() if any(course)}
    return ["the brows rise"] * bool(shown & {1, 2}) + ["a polite smile comes and goes"] * (12 in shown)


def _scenario(scenario: str, label: str, emotions: dict[str, str], movements: list[str]) -> str:
    """The scenario in a sentence that holds for what the clip still has."""
    if movements:
        return f"Neutral, with a lively face: {listed(movements)}."
    # no clip of a conflict lacks anything, but one whose words should name emotions may have none
    if scenario in SCENARIOS and (scenario != "lexical_trap" or "text" in emotions):
        return SCENARIOS[scenario]
    if label == NEUTRAL:
        return SCENARIOS["plain"]
    carriers = [CARRIER_NAMES[m] for m, emotion in emotions.items() if emotion == label]
    others = [CARRIER_NAMES[m] for m, emotion in emotions.items() if emotion != label]
    if not others:
        together = {1: "alone", 2: "both", 3: "all"}[len(carriers)]
        verb = "carry" if carriers != ["face"] and carriers != ["voice"] else "carries"
        return f"{listed(carriers).capitalize()} {together} {verb} the emotion."
    rest = f"the {listed(others)} {'is' if others in (['face'], ['voice']) else 'are'} neutral"
    if len(carriers) == 1:
        only = "words carry" if carriers == ["words"] else f"{carriers[0]} carries"
        return f"Only the {only} the emotion; {rest}."
    return f"{listed(carriers).capitalize()} carry the emotion; {rest}."


def _window(one: TimedDistractor, duration_seconds: float) -> str:
    if one.start_seconds <= _EDGE_SECONDS and one.end_seconds >= duration_seconds - _EDGE_SECONDS:
        return "whole clip"
    return f"{one.start_seconds:.1f}–{one.end_seconds:.1f} s"
