"""The plan keeps what it promises: counts, splits, scenarios and their truth."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from core.labels import MELD_7, MODALITIES
from sample_data.corpus.distractors import KINDS
from sample_data.corpus.plan import (
    CARRIERS,
    CELLS,
    LABEL_WEIGHTS,
    NEUTRAL_SCENARIOS,
    SCENARIO_WEIGHTS,
    SHARE_LOCALISED,
    make_plan,
    plan_hash,
)
from sample_data.corpus.presets import PRESETS
from sample_data.corpus.sentences import all_sentences
from sample_data.corpus.speakers import make_speakers


@pytest.fixture(scope="module")
def train():
    return make_plan(PRESETS["train"], seed=1)


@pytest.fixture(scope="module")
def probe():
    return make_plan(PRESETS["probe"], seed=1)


@pytest.fixture(scope="module")
def demo():
    return make_plan(PRESETS["demo"], seed=1)


def test_the_same_seed_plans_the_same_and_another_another(demo):
    assert make_plan(PRESETS["demo"], seed=1) == demo
    assert plan_hash(make_plan(PRESETS["demo"], seed=2)) != plan_hash(demo)


def test_train_has_weights_like_melds_in_every_split(train):
    assert Counter(plan.split for plan in train) == {"train": 3200, "dev": 400, "test": 400}
    for split in ("train", "dev", "test"):
        labels = [plan.label for plan in train if plan.split == split]
        for label, weight in LABEL_WEIGHTS.items():
            # whole numbers next to the exact share
            assert abs(labels.count(label) - weight / 9989 * len(labels)) < 1


def test_splits_share_no_speaker_voice_or_sentence(train, probe, demo):
    for get in (
        lambda plan: {plan.speaker.speaker_id},
        lambda plan: {plan.speaker.identity_seed},
        lambda plan: set(plan.speaker.voices),
        lambda plan: {plan.transcript},
    ):
        of = {
            split: set().union(*(get(plan) for plan in (*train, *probe, *demo) if plan.split == split))
            for split in ("train", "dev", "test")
        }
        assert not of["train"] & of["dev"] and not of["train"] & of["test"] and not of["dev"] & of["test"]


def test_voices_and_people_do_not_change_sides_between_seeds():
    first, second = make_speakers(1), make_speakers(2)
    assert not {one.speaker_id for one in first} & {one.speaker_id for one in second}
    assert not {one.identity_seed for one in first} & {one.identity_seed for one in second}

    def voices(speakers, split):
        return {voice for one in speakers if one.split == split for voice in one.voices}

    for split in ("dev", "test"):
        assert voices(first, split) == voices(second, split)
        assert not voices(first, split) & voices(second, "train")


def test_expressions_begin_and_end_within_their_clips(train):
    for plan in train:
        for spoken in (0.8, 2.0, 5.0):
            onset = plan.lead_seconds + plan.apex[0] * spoken - plan.onset_seconds
            gone = plan.lead_seconds + plan.apex[1] * spoken + plan.offset_seconds
            assert onset > -1e-3 and gone < plan.lead_seconds + spoken + plan.tail_seconds + 1e-3


def test_there_are_enough_speakers_and_all_of_them_speak(train):
    speakers = make_speakers(1)
    assert len(speakers) >= 120
    assert {plan.speaker.speaker_id for plan in train} == {speaker.speaker_id for speaker in speakers}
    sexes = Counter(speaker.sex for speaker in speakers)
    assert min(sexes.values()) > 0.35 * len(speakers)


@pytest.mark.parametrize("name", ["probe", "demo"])
def test_balanced_sets_have_each_emotion_in_each_cell_equally_often(name, request):
    plans = request.getfixturevalue(name)
    cells = Counter((plan.label, plan.cell) for plan in plans)
    assert set(cells) == {(label, cell) for label in MELD_7.labels for cell in CELLS}
    assert set(cells.values()) == {len(plans) // 56}
    assert {plan.split for plan in plans} == {"test"}


def test_every_scenario_and_distractor_occurs_and_tells_its_truth(train):
    assert {plan.scenario for plan in train} == {*CARRIERS, *NEUTRAL_SCENARIOS}
    assert {one.kind for plan in train for one in plan.distractors} == set(KINDS)
    for plan in train:
        emotion_of = {
            "video": plan.video_emotion,
            "audio": plan.audio_emotion,
            "text": plan.text_emotion,
        }
        others = {modality: emotion for modality, emotion in emotion_of.items() if emotion != plan.label}
        assert set(plan.informative) == {
            modality
            for modality, emotion in emotion_of.items()
            if emotion == plan.label != "neutral" and modality != plan.missing
        }
        assert plan.conflict == (plan.label != "neutral" and any(e != "neutral" for e in others.values()))
        bank = "trap" if plan.scenario == "lexical_trap" else plan.text_emotion
        assert plan.transcript in all_sentences(bank, plan.split)
        if plan.scenario == "sarcasm":
            assert emotion_of == {"video": plan.label, "audio": plan.label, "text": "joy"}
        if plan.scenario == "banter":
            assert plan.label == plan.video_emotion == plan.audio_emotion == "joy"
            assert plan.text_emotion in ("anger", "disgust")
        if plan.scenario == "masking":
            assert others == {"video": "joy"} and 12 in plan.action_units and 6 not in plan.action_units
        if plan.label == "neutral":
            assert set(emotion_of.values()) == {"neutral"} and plan.intensity == 0
        else:
            assert 0.35 <= plan.intensity <= 1 and plan.informative


def test_scenarios_come_with_their_shares(train):
    cells = Counter(plan.cell for plan in train if plan.label != "neutral")
    total = sum(cells.values())
    for cell, weight in SCENARIO_WEIGHTS.items():
        share = weight / sum(SCENARIO_WEIGHTS.values())
        assert abs(cells[cell] / total - share) < 3.5 * np.sqrt(share / total)


def test_a_known_share_of_voices_is_emotional_in_a_window_alone(train):
    emotional = [plan for plan in train if plan.audio_emotion != "neutral"]
    localised = [plan for plan in emotional if plan.voice_window is not None]
    assert len(localised) / len(emotional) == pytest.approx(SHARE_LOCALISED, abs=0.04)
    assert all(plan.audio_emotion != "neutral" for plan in train if plan.voice_window is not None)
    for plan in localised:
        start, end = plan.voice_window
        assert 0 <= start < end <= 1 and end - start <= 0.5


def test_what_is_missing_leaves_enough_to_tell_the_label(train, probe):
    missing = [plan for plan in train if plan.missing]
    assert {plan.missing for plan in missing} == set(MODALITIES)
    assert len(missing) / len(train) == pytest.approx(0.05, abs=0.011)
    assert all(plan.informative for plan in missing if plan.label != "neutral")
    assert not any(one.modality == plan.missing for plan in missing for one in plan.distractors)
    assert not any(plan.missing for plan in probe) and not any(plan.conflict for plan in missing)


def test_the_demo_shows_each_emotion_undisturbed_once_and_has_all_the_rest(demo):
    clear = [plan for plan in demo if plan.cell == "all"]
    assert {plan.label for plan in clear} == set(MELD_7.labels)
    assert not any(plan.missing or plan.distractors for plan in clear)
    assert {plan.missing for plan in demo} == {"", *MODALITIES}
    assert len({one.kind for plan in demo for one in plan.distractors}) >= 6
    assert {plan.scenario for plan in demo} >= {"sarcasm", "banter", "masking", "lexical_trap"}


def test_no_word_tells_the_label_where_the_words_are_neutral(train):
    neutral_words = [plan for plan in train if plan.text_emotion == "neutral"]
    assert {plan.label for plan in neutral_words} == set(MELD_7.labels)
    carriers = {plan.transcript for plan in neutral_words if plan.scenario != "lexical_trap"}
    assert carriers <= set().union(*(all_sentences("neutral", split) for split in ("train", "dev", "test")))


def test_adding_a_clip_moves_no_other(train):
    more = make_plan(replace(PRESETS["probe"], num_clips=112), seed=1)
    fewer = make_plan(replace(PRESETS["probe"], num_clips=56), seed=1)
    assert more[:56] == fewer
