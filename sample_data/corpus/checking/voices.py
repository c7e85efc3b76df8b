"""Do voices move with the emotion as planned? And only while they are meant to?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.labels import MELD_7
from sample_data.corpus.checking import figures
from sample_data.corpus.checking.measure import Measured
from sample_data.corpus.checking.results import Check, Exhibit, Section
from sample_data.corpus.checking.statistics import (
    MIN_CLUSTERS,
    Estimate,
    emotion_effects,
    mean_over_usual,
)
from sample_data.corpus.prosody import PLANNED_MOVES

MEASURES = {
    "f0": ("median pitch", "semitones"),
    "range": ("range of pitch", "semitones between the 10th and 90th percentile"),
    "level": ("level while voiced, less the microphone's gain", "dB"),
    "rate": ("rate of speech", "phones per second that is heard"),
    "tilt": ("level of 1 to 4 kHz over that of 0.1 to 1 kHz", "dB"),
}
"""What the plan calls a measure → name, unit."""

COLUMNS = {"f0": "f0_semitones", "range": "range", "level": "level", "tilt": "tilt"}
"""Measure → what its columns are called after `voice_`, `inside_` and `outside_`. The rate has none: it needs
the number of phones, which cannot be heard (`_heard_rate`)."""

MIN_CLIPS = 12
"""With fewer clips of an emotion, an interval says too little."""

TEXT = (
    "Clips whose sound is undisturbed and whose voice has one emotion throughout. A linear mixed model "
    "compares each speaker's emotional voice with the same speaker's neutral one as far as both were heard, "
    "and with the neutral voices of that sex otherwise; intervals are 95 % bootstrap intervals over "
    "speakers. The planned gain of the microphone is taken off the level first, because it says nothing of "
    f"the voice. A check takes {MIN_CLIPS} clips of {MIN_CLUSTERS} speakers."
)


def check_voices(measured: Sequence[Measured]) -> Section:
    """Moves per emotion and measure, and inside against outside of a voice's emotional window."""
    heard = [one for one in measured if _is_heard(one)]
    whole = [one for one in heard if one.sidecar.plan.voice_window is None]
    checks, exhibits = _moves(whole)
    window_checks, window_exhibit = _windows(heard)
    return Section(
        title="Voices",
        text=TEXT,
        checks=(*checks, *window_checks),
        exhibits=(*exhibits, window_exhibit),
    )


def voice_value(one: Measured, name: str) -> float:
    """A measure of `MEASURES` of a clip; of the level, what the microphone adds is taken off."""
    if name not in COLUMNS:
        return _heard_rate(one)
    value = one.row[f"voice_{COLUMNS[name]}"]
    if name == "level" and value is not None:
        value -= one.sidecar.plan.microphone_gain_db
    return float("nan") if value is None else float(value)


def _heard_rate(one: Measured) -> float:
    """Phones of the words over the time from the first to the last sound that is heard.

    The one number of a check that takes *what* is there, and not only where, from the sidecar: how many
    phones are said. That follows from the sentence and not from how it is said, and the time is that of the
    sound. Syllables that are counted in the sound alone depend more on the sentence than on the voice.
    """
    start, end = one.row["voice_start"], one.row["voice_end"]
    return float("nan") if start is None or end is None else len(one.sidecar.sound.phones) / (end - start)


def _told_rate(one: Measured) -> float:
    sidecar = one.sidecar
    return len(sidecar.sound.phones) / (sidecar.speech_end_seconds - sidecar.speech_start_seconds)


def _syllable_rate(one: Measured) -> float:
    value = one.row.get("voice_rate")
    return float("nan") if value is None else value


def _is_heard(one: Measured) -> bool:
    # a voice that hums because words are missing says nothing of rate and little of pitch
    is_whole = (
        not one.row["error"] and one.row.get("voice_level") is not None and one.sidecar.sound is not None
    )
    return is_whole and not one.disturbs("audio") and one.sidecar.plan.missing != "text"


def _moves(heard: list[Measured]) -> tuple[list[Check], list[Exhibit]]:
    emotions = [one.sidecar.plan.audio_emotion for one in heard]
    sexes = [one.sidecar.plan.speaker.sex for one in heard]
    speakers = [one.sidecar.plan.speaker.speaker_id for one in heard]
    checks, exhibits = [], []
    for name, (title, unit) in MEASURES.items():
        values = [voice_value(one, name) for one in heard]
        effects = emotion_effects(values, emotions, sexes, speakers)
        rows, drawn = [], []
        for emotion in (label for label in MELD_7.labels if label in effects):
            effect, planned = effects[emotion], PLANNED_MOVES[emotion][name]
            rows.append(
                (
                    emotion,
                    "−0+"[planned + 1],
                    effect.value,
                    effect.low,
                    effect.high,
                    effect.num,
                    effect.num_clusters,
                )
            )
            drawn.append((emotion, title, effect.value, effect.low, effect.high))
            if planned:
                is_clear = effect.low > 0 if planned > 0 else effect.high < 0
                checks.append(
                    Check(
                        name=f"{emotion}: {title} is {'higher' if planned > 0 else 'lower'} than neutral",
                        value=effect.value,
                        low=effect.low,
                        high=effect.high,
                        bound=f"{'above' if planned > 0 else 'below'} 0, and so is the interval",
                        is_passed=effect.verdict(is_clear, MIN_CLIPS),
                        num_clips=effect.num,
                        reading=f"Difference to the same speaker's neutral voice, in {unit}.",
                    )
                )
        if rows:
            exhibits.append(
                Exhibit(
                    title=f"Voice: {title}, difference to neutral",
                    reading=(
                        f"In {unit}. Where the plan says + or −, the interval should lie on that side of 0."
                    ),
                    columns=("emotion", "planned", "difference", "low", "high", "clips", "speakers"),
                    rows=tuple(rows),
                    figure=figures.intervals(drawn, x_title=unit),
                )
            )
    for title, rate_of in (
        ("syllable nuclei per second, counted in the sound", _syllable_rate),
        ("phones per second as the sidecars tell them", _told_rate),
    ):
        effects = emotion_effects([rate_of(one) for one in heard], emotions, sexes, speakers)
        if effects:
            exhibits.append(
                Exhibit(
                    title=f"Voice: {title}, difference to neutral",
                    reading="For comparison with the rate above.",
                    columns=("emotion", "difference", "low", "high", "clips"),
                    rows=tuple(
                        (emotion, effect.value, effect.low, effect.high, effect.num)
                        for emotion in MELD_7.labels
                        if (effect := effects.get(emotion)) is not None
                    ),
                )
            )
    return checks, exhibits


def _windows(heard: list[Measured]) -> tuple[list[Check], Exhibit]:
    """Inside less outside of the emotional window, against windows that mean nothing in neutral voices."""
    neutral = [one for one in heard if one.sidecar.plan.audio_emotion == "neutral"]
    localised = [one for one in heard if one.sidecar.plan.voice_window is not None]
    checks, rows, drawn = [], [], []
    for name in ("f0", "level"):
        title, unit = MEASURES[name]
        moves = {emotion: signs[name] for emotion, signs in PLANNED_MOVES.items()}
        for emotion in (label for label in MELD_7.labels if label != "neutral"):
            planned = moves[emotion]
            estimate = _over_usual(localised, neutral, name, {emotion: 1})
            if estimate.num:
                rows.append(
                    (
                        emotion,
                        title,
                        "−0+"[planned + 1],
                        estimate.value,
                        estimate.low,
                        estimate.high,
                        estimate.num,
                    )
                )
                drawn.append((emotion, f"{title} ({unit})", estimate.value, estimate.low, estimate.high))
        pooled = _over_usual(localised, neutral, name, moves)
        checks.append(
            Check(
                name=f"Voices that are emotional in a window only: {title} moves there as planned",
                value=pooled.value,
                low=pooled.low,
                high=pooled.high,
                bound="above 0, and so is the interval",
                is_passed=pooled.verdict(pooled.low > 0, MIN_CLIPS),
                num_clips=pooled.num,
                reading=(
                    f"In {unit}: inside less outside of the window, less the same of neutral voices in "
                    "windows that mean nothing, counted in the planned direction and taken over all "
                    "emotions that have one."
                ),
            )
        )
    exhibit = Exhibit(
        title="Voice: inside less outside of the emotional window, less the same of neutral voices",
        reading=(
            "Voices that are emotional in a known window only. The planned direction is that of the emotion."
        ),
        columns=("emotion", "measure", "planned", "difference", "low", "high", "clips"),
        rows=tuple(rows),
        figure=figures.intervals(drawn, x_title="semitones or dB") if drawn else None,
    )
    return checks, exhibit


def _over_usual(
    localised: list[Measured], neutral: list[Measured], name: str, signs: dict[str, int]
) -> Estimate:
    """`_inside` of emotional voices over that of neutral ones; emotions without a sign do not count."""
    counted = [(one, sign) for one in localised if (sign := signs.get(one.sidecar.plan.audio_emotion, 0))] + [
        (one, 0) for one in neutral
    ]
    return mean_over_usual(
        [_inside(one, name) for one, _ in counted],
        [sign for _, sign in counted],
        [one.sidecar.plan.speaker.speaker_id for one, _ in counted],
    )


def _inside(one: Measured, name: str) -> float:
    column = COLUMNS[name]
    inside, outside = one.row.get(f"inside_{column}"), one.row.get(f"outside_{column}")
    return np.nan if inside is None or outside is None else inside - outside


assert all(set(moves) == set(MEASURES) for moves in PLANNED_MOVES.values())
