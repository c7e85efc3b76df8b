"""The plan of a corpus: one row per clip, every factor drawn before anything is made.

A scenario says which modalities carry the emotion, and whether one of them shows another. Confusable on
purpose: speaking mouths and raised brows occur in every class, and emotion words in neutral clips
(`lexical_trap`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict

import numpy as np

from core.labels import MELD_7, MODALITIES
from sample_data.corpus.backdrop import BACKGROUNDS
from sample_data.corpus.distractors import draw_distractors
from sample_data.corpus.expressions import BODY, POLITE_SMILE, SOCIAL_SMILE, draw_action_units
from sample_data.corpus.face import LIGHTS
from sample_data.corpus.presets import Preset
from sample_data.corpus.randomness import choose, counts_by_share, stream
from sample_data.corpus.schema import SPLITS, ClipPlan, Speaker
from sample_data.corpus.sentences import draw_sentence
from sample_data.corpus.speakers import SPLIT_SHARES, make_speakers

LABELS = MELD_7.labels
LABEL_WEIGHTS = {
    "neutral": 4710,
    "joy": 1743,
    "surprise": 1205,
    "anger": 1109,
    "sadness": 683,
    "disgust": 271,
    "fear": 268,
}
"""MELD's training labels, as they are counted there."""

CARRIERS = {
    "all": ("video", "audio", "text"),
    "video+audio": ("video", "audio"),
    "video+text": ("video", "text"),
    "audio+text": ("audio", "text"),
    "video": ("video",),
    "audio": ("audio",),
    "text": ("text",),
    "sarcasm": ("video", "audio"),
    "banter": ("video", "audio"),
    "masking": ("audio", "text"),
}
"""Scenario of an emotional clip → the modalities that carry its label. The others are neutral, but: in
`sarcasm` the words are joyful, in `banter` they are cross while face and voice are merry, in `masking` a
social smile hides what words and voice tell."""

NEUTRAL_SCENARIOS = {"plain": 0.60, "lively": 0.25, "lexical_trap": 0.15}
SCENARIOS = (*CARRIERS, *NEUTRAL_SCENARIOS)
CELLS = ("all", "video+audio", "video+text", "audio+text", "video", "audio", "text", "conflict")
"""The eight columns of a balanced set. A neutral clip has no carriers: it is set against a cell."""

SCENARIO_WEIGHTS = {
    "all": 0.38,
    "video+audio": 0.16,
    "video+text": 0.08,
    "audio+text": 0.08,
    "video": 0.09,
    "audio": 0.09,
    "text": 0.05,
    "conflict": 0.07,
}
CONFLICTS = {
    "joy": ("banter",),
    "surprise": ("masking",),
    "fear": ("masking",),
    "sadness": ("sarcasm", "masking"),
    "disgust": ("sarcasm", "masking"),
    "anger": ("sarcasm", "masking"),
}
LIGHT_WEIGHTS = {"studio": 0.28, "window": 0.20, "warm": 0.18, "overcast": 0.18, "screen": 0.10, "dim": 0.06}
BACKGROUND_WEIGHTS = dict(zip(BACKGROUNDS, (0.40, 0.25, 0.15, 0.20), strict=True))
SHORTEST_SPEECH, LONGEST_SPEECH = 0.8, 5.0
"""Seconds; leads and tails are long enough that an expression unfolds and goes within its clip."""

SHARE_LOCALISED = 0.3
"""Of the clips whose voice carries the emotion: those in which it does so in a known window only."""


def make_plan(preset: Preset, seed: int, *, num_clips: int | None = None) -> tuple[ClipPlan, ...]:
    """Every clip of a corpus, in order of their names; the same for the same preset and seed.

    Args:
        preset: which corpus.
        seed: of everything.
        num_clips: in place of the preset's; of a balanced set the first ones, of others with the same shares.
    """
    by_split = defaultdict(list)
    for speaker in make_speakers(seed):
        by_split[speaker.split].append(speaker)
    num_clips = preset.num_clips if num_clips is None else num_clips
    make_slots = _balanced_slots if preset.design == "balanced" else _natural_slots
    plans = []
    for number, (split, label, cell) in enumerate(make_slots(preset, seed, num_clips)):
        speakers = by_split[split]
        clip_id = f"{preset.prefix}{number:05d}"
        # neighbours in the list have different speakers, and every label meets many of them
        order = stream(seed, f"{preset.name} order {number // len(speakers)}").permutation(len(speakers))
        speaker = speakers[order[number % len(speakers)]]
        plans.append(_plan_clip(preset, seed, number, clip_id, speaker, label, cell))
    return tuple(plans)


def plan_hash(plans: tuple[ClipPlan, ...]) -> str:
    """SHA-256 of a plan, to tell whether a folder holds the clips of this one."""
    return hashlib.sha256(json.dumps([asdict(plan) for plan in plans], sort_keys=True).encode()).hexdigest()


def _natural_slots(preset: Preset, seed: int, num_clips: int) -> list[tuple[str, str, str]]:
    """(split, label, cell) of every clip: label weights hold exactly within each split."""
    slots = []
    for split, count in counts_by_share(num_clips, SPLIT_SHARES).items():
        draw = stream(seed, f"{preset.name} labels {split}")
        counts = counts_by_share(count, LABEL_WEIGHTS)
        labels = [label for label in LABELS for _ in range(counts[label])]
        draw.shuffle(labels)
        slots += [(split, label, choose(draw, SCENARIO_WEIGHTS)) for label in labels]
    return slots


def _balanced_slots(preset: Preset, seed: int, num_clips: int) -> list[tuple[str, str, str]]:
    """The same for a balanced set: test clips, every label in every cell equally often."""
    grid = [("test", label, cell) for cell in CELLS for label in LABELS]
    return [grid[number % len(grid)] for number in range(num_clips)]


def _plan_clip(
    preset: Preset, seed: int, number: int, clip_id: str, speaker: Speaker, label: str, cell: str
) -> ClipPlan:
    clip_seed = int(stream(seed, f"clip {clip_id}").integers(2**31))

    def draw(name: str) -> np.random.Generator:
        return stream(clip_seed, name)

    scenario = _scenario(label, cell, draw("scenario"), number=number // len(CELLS) // len(LABELS))
    emotions = _emotions(label, scenario, draw("other emotion"))
    carriers = CARRIERS.get(scenario, ())
    is_clean = cell in preset.clean_cells
    missing = "" if is_clean else _missing(preset, cell, carriers, draw("missing"))
    if label == "neutral":
        intensity = 0.0
    else:
        spread = 1.0 - preset.min_intensity
        intensity = round(preset.min_intensity + spread * float(draw("intensity").beta(2.2, 1.6)), 3)

    apex_start = round(draw("apex start").uniform(0.05, 0.40), 3)
    apex = (apex_start, round(min(1.05, apex_start + draw("apex length").uniform(0.35, 0.70)), 3))
    onset_seconds = round(draw("onset").uniform(*BODY[emotions["video"]].onset_seconds), 3)
    offset_seconds = round(draw("offset").uniform(0.35, 0.70), 3)
    voice = draw("voice window")
    is_localised = emotions["audio"] != "neutral" and voice.random() < SHARE_LOCALISED
    voice_start = voice.uniform(0.05, 0.50)
    shift, flashes = draw("shift"), draw("brow flashes")
    bank = "trap" if scenario == "lexical_trap" else emotions["text"]
    past_speech = (apex[1] - 1) * (LONGEST_SPEECH if apex[1] > 1 else SHORTEST_SPEECH)
    lead, tail = draw("lead").uniform(0.5, 0.9), draw("tail").uniform(0.6, 1.0)
    num_flashes = flashes.integers(0, 5 if scenario == "lively" else 3)
    return ClipPlan(
        clip_id=clip_id,
        seed=clip_seed,
        split=speaker.split,
        speaker=speaker,
        label=label,
        scenario=scenario,
        cell=cell,
        video_emotion=emotions["video"],
        audio_emotion=emotions["audio"],
        text_emotion=emotions["text"],
        informative=tuple(modality for modality in carriers if modality != missing),
        conflict=cell == "conflict" and label != "neutral",
        intensity=intensity,
        transcript=draw_sentence(bank, speaker.split, draw("text")),
        action_units=_action_units(scenario, emotions["video"], intensity, speaker, draw("action units")),
        apex=apex,
        onset_seconds=onset_seconds,
        offset_seconds=offset_seconds,
        voice_strength=round(0.5 + 0.5 * intensity, 3) if emotions["audio"] != "neutral" else 1.0,
        voice_window=(round(voice_start, 3), round(voice_start + voice.uniform(0.35, 0.50), 3))
        if is_localised
        else None,
        brow_flashes=tuple(round(float(at), 3) for at in sorted(flashes.uniform(0.0, 1.0, num_flashes))),
        articulation=round(draw("articulation").uniform(0.85, 1.10), 3),
        background=choose(draw("background"), BACKGROUND_WEIGHTS),
        light=choose(draw("light"), LIGHT_WEIGHTS),
        exposure=round(draw("exposure").uniform(0.88, 1.12), 3),
        yaw=round(float(np.clip(draw("yaw").normal(0.0, 0.14), -0.35, 0.35)), 3),
        pitch=round(draw("pitch").normal(0.0, 0.04), 3),
        shift=(round(shift.uniform(-0.10, 0.10), 3), round(shift.uniform(-0.06, 0.06), 3)),
        field_of_view_degrees=round(draw("field of view").uniform(17.5, 20.5), 2),
        microphone_gain_db=round(float(np.clip(draw("gain").normal(0.0, 2.5), -6.0, 6.0)), 2),
        lead_seconds=round(max(lead, onset_seconds - apex[0] * SHORTEST_SPEECH), 3),
        tail_seconds=round(max(tail, offset_seconds + past_speech), 3),
        missing=missing,
        distractors=() if is_clean else draw_distractors(draw, absent=missing),
    )


def _scenario(label: str, cell: str, draw: np.random.Generator, *, number: int) -> str:
    if label != "neutral":
        if cell != "conflict":
            return cell
        kinds = CONFLICTS[label]
        return kinds[number % len(kinds)]
    if cell == "conflict":
        return "lexical_trap"
    return choose(draw, NEUTRAL_SCENARIOS)


def _emotions(label: str, scenario: str, draw: np.random.Generator) -> dict[str, str]:
    """What each modality shows."""
    emotions = dict.fromkeys(MODALITIES, "neutral")
    for modality in CARRIERS.get(scenario, ()):
        emotions[modality] = label
    if scenario == "sarcasm":
        emotions["text"] = "joy"
    if scenario == "banter":
        emotions["text"] = "anger" if draw.random() < 0.6 else "disgust"
    if scenario == "masking":
        emotions["video"] = "joy"
    return emotions


def _action_units(
    scenario: str, emotion: str, intensity: float, speaker: Speaker, draw: np.random.Generator
) -> dict[int, float]:
    if scenario == "masking":
        units = {unit: draw.uniform(low, high) for unit, (_, low, high) in SOCIAL_SMILE.items()}
    elif emotion != "neutral":
        units = draw_action_units(emotion, intensity * speaker.expressivity, draw)
    elif scenario == "lively" and draw.random() < 0.5:
        units = {unit: draw.uniform(low, high) for unit, (_, low, high) in POLITE_SMILE.items()}
    else:
        units = {}
    return {unit: round(float(value), 3) for unit, value in sorted(units.items())}


def _missing(preset: Preset, cell: str, carriers: tuple[str, ...], draw: np.random.Generator) -> str:
    """What the file lacks; never the only modality that carries the label, nor a part of a conflict."""
    if draw.random() >= preset.missing_share or cell == "conflict":
        return ""
    dispensable = [modality for modality in MODALITIES if carriers != (modality,)]
    return dispensable[draw.integers(len(dispensable))]


assert set(LIGHT_WEIGHTS) == set(LIGHTS)
assert set(CELLS[:-1]) <= set(CARRIERS)
assert set(SPLITS) == set(SPLIT_SHARES)
