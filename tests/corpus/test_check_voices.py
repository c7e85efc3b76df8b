"""Voices in numbers: pitch, range, level and rate that are planted, and moves that are planned."""

import numpy as np
import pytest
from checked_clips import RATE, a_speaker, measured, syllables, tone, voice

from sample_data.corpus.checking.pitch import track_pitch
from sample_data.corpus.checking.sound import measure_voice, track_voice
from sample_data.corpus.checking.statistics import clustered_mean, emotion_effects, separation
from sample_data.corpus.checking.voices import MEASURES, check_voices
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


def test_separation_is_the_share_of_pairs_in_order():
    assert separation([2, 3], [0, 1]) == 1.0 and separation([1], [1]) == 0.5
    assert separation([0, 2], [1]) == 0.5


STEP = {"f0": 3.0, "range": 2.0, "level": 3.0, "rate": 1.5, "tilt": 2.0}


def voices(flipped=None, *, clips_of_emotion=14, window=None):
    """Rows whose voices move as planned, or one of them the wrong way."""
    noise = np.random.default_rng(0)
    clips = []
    for number in range(14):
        speaker = a_speaker(f"s{number:02d}", sex="male" if number % 2 else "female")
        base = noise.normal(0, 2)
        for emotion, moves in PLANNED_MOVES.items():
            if emotion != "neutral" and number >= clips_of_emotion:
                continue
            row = {}
            for name, (column, _, _) in MEASURES.items():
                sign = -moves[name] if (emotion, name) == flipped else moves[name]
                move = STEP[name] * sign
                is_whole = window is None or emotion == "neutral"
                row[f"voice_{column}"] = 10 + base + (move if is_whole else 0) + noise.normal(0, 0.5)
                row[f"inside_{column}"] = 10 + (0 if is_whole else move) + noise.normal(0, 0.5)
                row[f"outside_{column}"] = 10 + noise.normal(0, 0.5)
            # ten phones
            row |= {"voice_start": 0.5, "voice_end": 0.5 + 10 / row.pop("voice_phones")}
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
    assert failed == [f"{emotion}: {MEASURES[name][1]} is {side} than neutral"]


def test_few_clips_cannot_fail():
    found = verdicts(check_voices(voices(flipped=("sadness", "f0"), clips_of_emotion=5)))
    assert False not in found.values()
    assert found["sadness: median pitch is lower than neutral"] is None


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
