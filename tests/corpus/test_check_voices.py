"""Voices in numbers: pitch, range, level and rate that are planted, and moves that are planned."""

import numpy as np
import pytest
from checked_clips import RATE, a_speaker, measured, syllables, tone, voice
from sklearn.metrics import balanced_accuracy_score

from sample_data.corpus.checking.pitch import track_pitch
from sample_data.corpus.checking.sound import measure_voice, track_voice
from sample_data.corpus.checking.statistics import (
    MIN_CLUSTERS,
    balanced_accuracy,
    clustered_mean,
    clustered_statistic,
    confusions,
    emotion_effects,
    mean_over_usual,
    separation,
)
from sample_data.corpus.checking.voices import COLUMNS, MEASURES, MIN_CLIPS, check_voices
from sample_data.corpus.prosody import PLANNED_MOVES


def semitones(found, true):
    return 12 * np.log2(found / true)


@pytest.mark.parametrize("hertz", [70.0, 110.0, 150.0, 220.0, 330.0, 480.0])
@pytest.mark.parametrize("noise_db", [-40.0, -6.0])
def test_the_pitch_of_a_vowel_is_found_without_octave_errors(hertz, noise_db):
    sound = tone(hertz, 1.0)
    noise = np.random.default_rng(0).standard_normal(len(sound)) * sound.std() * 10 ** (noise_db / 20)
    track = track_pitch(sound + noise, RATE)
    assert track.is_voiced.mean() > 0.95
    assert np.abs(semitones(track.hertz[track.is_voiced], hertz)).max() < 0.5


def test_vibrato_is_followed():
    times = np.arange(2 * RATE) / RATE
    course = 200 * 2 ** (1.5 / 12 * np.sin(2 * np.pi * 5 * times))
    track = track_pitch(tone(course), RATE)
    error = semitones(track.hertz, np.interp(track.times_seconds, times, course))
    assert np.nanmedian(np.abs(error)) < 0.2 and np.nanmax(np.abs(error)) < 1.0


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).standard_normal(RATE)
    assert track_pitch(noise, RATE).is_voiced.mean() < 0.02
    assert not track_pitch(np.zeros(RATE), RATE).is_voiced.any()
    assert len(track_pitch(np.zeros(100), RATE).hertz) == 0


def test_a_weak_fundamental_is_still_the_pitch():
    """As over a telephone: nothing below 300 Hz, and the pitch is 120 Hz all the same."""
    times = np.arange(RATE) / RATE
    sound = sum(np.sin(2 * np.pi * 120 * number * times) for number in range(3, 20))
    track = track_pitch(sound, RATE)
    assert np.nanmedian(track.hertz) == pytest.approx(120, rel=0.01)


def of(sound):
    return measure_voice(track_voice(sound, RATE))


def test_planted_moves_of_pitch_range_level_and_rate_are_measured():
    usual = of(voice())
    assert usual.f0 == pytest.approx(140, rel=0.02)
    assert of(voice(semitones=4.0)).f0_semitones - usual.f0_semitones == pytest.approx(4.0, abs=0.3)
    assert of(voice(swing=4.0)).range == pytest.approx(2 * usual.range, rel=0.15)
    assert of(voice(level_db=-6.0)).level - usual.level == pytest.approx(-6.0, abs=0.1)
    assert of(voice(rate=6.0)).rate / usual.rate == pytest.approx(6 / 4, rel=0.1)


def test_tilt_falls_when_high_harmonics_are_soft():
    assert of(tone(150, softness=3.0)).tilt < of(tone(150, softness=0.5)).tilt - 2


def test_speech_begins_and_ends_where_it_does():
    sound = np.concatenate([np.zeros(RATE // 2), voice(1.5), np.zeros(RATE)])
    sound += 1e-4 * np.random.default_rng(0).standard_normal(len(sound))
    found = of(sound)
    assert found.start == pytest.approx(0.5, abs=0.1) and found.end == pytest.approx(2.0, abs=0.1)


def test_a_window_is_measured_alone():
    sound = np.concatenate([tone(120, 1.0), tone(180, 1.0)]) * syllables(2.0, 4.0)
    track = track_voice(sound, RATE)
    assert measure_voice(track, 0.0, 0.95).f0 == pytest.approx(120, rel=0.02)
    assert measure_voice(track, 1.05).f0 == pytest.approx(180, rel=0.02)


def test_what_has_no_voice_has_no_numbers():
    assert np.isnan(of(np.zeros(RATE)).f0)


def test_a_speaker_is_compared_with_himself():
    """High speakers are heard angry more often: a plain difference of means would be 5 too large."""
    values, emotions, speakers = [], [], []
    noise = np.random.default_rng(0)
    for number in range(20):
        is_high = number % 2
        for emotion in ["anger"] * (3 if is_high else 1) + ["neutral"] * (1 if is_high else 3):
            values.append(10.0 * is_high + 2.0 * (emotion == "anger") + noise.normal(0, 0.3))
            emotions.append(emotion)
            speakers.append(f"s{number}")
    naive = np.mean([v for v, e in zip(values, emotions, strict=True) if e == "anger"]) - np.mean(
        [v for v, e in zip(values, emotions, strict=True) if e == "neutral"]
    )
    effect = emotion_effects(values, emotions, ["female"] * len(values), speakers)["anger"]
    assert naive > 6
    assert effect.value == pytest.approx(2.0, abs=0.3) and effect.low < 2.0 < effect.high
    assert (effect.num, effect.num_clusters) == (40, 20)


def test_those_who_were_heard_once_are_compared_with_their_sex():
    noise = np.random.default_rng(1)
    rows = [
        (
            5.0 * (sex == "female") + 3.0 * (emotion == "joy") + noise.normal(0, 1),
            emotion,
            sex,
            f"{sex}{emotion}{n}",
        )
        for sex, emotion, num in [
            ("female", "joy", 40),
            ("female", "neutral", 10),
            ("male", "joy", 10),
            ("male", "neutral", 40),
        ]
        for n in range(num)
    ]
    effect = emotion_effects(*zip(*rows, strict=True))["joy"]
    assert effect.low < 3.0 < effect.high and effect.high - effect.low < 2


def test_intervals_count_speakers_not_clips():
    """Two speakers who differ, a hundred clips each: the mean is as uncertain as two numbers are."""
    values, clusters = [0.0] * 100 + [1.0] * 100, ["a"] * 100 + ["b"] * 100
    estimate = clustered_mean(values, clusters)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.0, 1.0)


def test_a_verdict_takes_clips_and_speakers_whatever_it_would_be():
    """Two speakers who say the same: no interval at all, and yet no verdict."""
    two = clustered_mean([0.1, 0.3, 0.1, 0.3] * 10, ["a", "a", "b", "b"] * 10)
    assert two.low == two.high == pytest.approx(0.2)
    assert two.verdict(True, 12) is None and two.verdict(False, 12) is None
    names = [str(number % MIN_CLUSTERS) for number in range(12)]
    enough = clustered_mean(np.arange(12.0), names)
    assert enough.verdict(True, 12) is True and enough.verdict(False, 12) is False
    assert enough.verdict(True, 13) is None and enough.verdict(False, 13) is None


def test_a_score_is_resampled_by_cluster():
    """Of two speakers one is always right: a draw has him never, once or twice."""
    found = confusions(["joy"] * 4, ["joy", "joy", "anger", "anger"], ["anger", "joy"])
    score = clustered_statistic(balanced_accuracy, found, ["a", "a", "b", "b"])
    assert (score.value, score.low, score.high) == (0.5, 0.0, 1.0)
    assert (score.num, score.num_clusters) == (4, 2)


def test_balanced_accuracy_is_that_of_scikit_learn():
    draw = np.random.default_rng(0)
    truth, predicted = draw.choice(["a", "b", "c"], 100, p=[0.7, 0.2, 0.1]), draw.choice(["a", "b", "c"], 100)
    counts = confusions(truth, predicted, ["a", "b", "c", "never"]).sum(axis=0)
    assert balanced_accuracy(counts) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_what_is_usual_is_uncertain_too():
    """One clip with a sign per speaker, all alike; only the reference differs, so only it gives width."""
    clusters = [str(number) for number in range(20)] * 2
    usual = np.random.default_rng(0).normal(0.0, 1.0, 20)
    values, signs = [*np.full(20, 5.0), *usual, np.nan], [*[-1] * 20, *[0] * 20, 1]
    found = mean_over_usual(values, signs, [*clusters, "nobody"])
    assert found.value == pytest.approx(usual.mean() - 5.0)
    half_width = 1.96 * usual.std() / np.sqrt(20)
    assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.15)
    assert (found.num, found.num_clusters) == (20, 20)
    assert mean_over_usual([1.0, 2.0], [1, 1], ["a", "b"]).num == 0


def test_separation_is_the_share_of_pairs_in_order():
    assert separation([2, 3], [0, 1]) == 1.0 and separation([1], [1]) == 0.5
    assert separation([0, 2], [1]) == 0.5


STEP = {"f0": 3.0, "range": 2.0, "level": 3.0, "rate": 1.5, "tilt": 2.0}


def voices(flipped=None, *, clips_of_emotion=14, num_speakers=14, window=None):
    """Rows whose voices move as planned, or one of them the wrong way."""
    noise = np.random.default_rng(0)
    clips = []
    for number in range(14):
        speaker = a_speaker(f"s{number % num_speakers:02d}", sex="male" if number % 2 else "female")
        base = noise.normal(0, 2)
        for emotion, moves in PLANNED_MOVES.items():
            if emotion != "neutral" and number >= clips_of_emotion:
                continue
            row = {}
            is_whole = window is None or emotion == "neutral"
            for name in MEASURES:
                sign = -moves[name] if (emotion, name) == flipped else moves[name]
                move = STEP[name] * sign
                whole = 10 + base + (move if is_whole else 0) + noise.normal(0, 0.5)
                if name == "rate":
                    # ten phones
                    row |= {"voice_start": 0.5, "voice_end": 0.5 + 10 / whole}
                    continue
                row[f"voice_{COLUMNS[name]}"] = whole
                row[f"inside_{COLUMNS[name]}"] = 10 + (0 if is_whole else move) + noise.normal(0, 0.5)
                row[f"outside_{COLUMNS[name]}"] = 10 + noise.normal(0, 0.5)
            # the planned gain of the microphone hides how loud the voice is
            gain = float(noise.uniform(-6, 6))
            row["voice_level"] += gain
            plan = {"speaker": speaker, "audio_emotion": emotion, "microphone_gain_db": gain}
            clips.append(measured(row, voice_window=None if emotion == "neutral" else window, **plan))
    return clips


def verdicts(section):
    return {check.name: check.is_passed for check in section.checks}


def test_voices_that_move_as_planned_pass():
    found = verdicts(check_voices(voices()))
    planned = sum(abs(sign) for moves in PLANNED_MOVES.values() for sign in moves.values())
    assert sum(verdict is True for verdict in found.values()) == planned
    # no voice of these is emotional in a window only
    undecided = [name.split(":")[0] for name, verdict in found.items() if verdict is None]
    assert undecided == ["Voices that are emotional in a window only"] * 2


@pytest.mark.parametrize(
    ("emotion", "name", "side"), [("sadness", "f0", "lower"), ("anger", "level", "higher")]
)
def test_a_voice_that_moves_the_wrong_way_fails_and_nothing_else(emotion, name, side):
    found = verdicts(check_voices(voices(flipped=(emotion, name))))
    failed = [name for name, verdict in found.items() if verdict is False]
    assert failed == [f"{emotion}: {MEASURES[name][0]} is {side} than neutral"]


@pytest.mark.parametrize("few", [{"clips_of_emotion": MIN_CLIPS - 1}, {"num_speakers": MIN_CLUSTERS - 1}])
def test_few_clips_or_speakers_can_neither_pass_nor_fail(few):
    section = check_voices(voices(flipped=("sadness", "f0"), **few))
    assert {check.is_passed for check in section.checks} == {None}
    # though there is much to see
    assert sum(check.low is not None and check.low > 0 for check in section.checks) > 10


def test_voices_in_windows_are_checked_apart():
    found = verdicts(check_voices(voices(window=(0.2, 0.6))))
    assert set(found.values()) == {True} and len(found) == 2


def test_disturbed_sound_and_hums_are_not_heard():
    clips = voices()
    hummed = [
        measured(one.row, speaker=one.sidecar.plan.speaker, audio_emotion="fear", missing="text")
        for one in clips
    ]
    assert check_voices(hummed).checks == check_voices([]).checks
