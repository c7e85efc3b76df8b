"""Speech with known emotion, made by the real model."""

import numpy as np
import pytest

from sample_data.corpus.errors import CorpusError
from sample_data.corpus.voice import SAMPLE_RATE, Speech, pronounce
from sample_data.corpus.voice_edits import emotional_share, window_before_rate

TEXT = "The meeting is on the second floor."
SEED = 5


def say(voice, text: str = TEXT, **how) -> Speech:
    how = {"voices": ("af_heart",), "generator": np.random.default_rng(SEED), **how}
    return voice.say(text, **how)


@pytest.fixture(scope="module")
def neutral(voice):
    return say(voice)


@pytest.fixture(scope="module")
def afraid_inside(voice):
    """Fearful in the middle of the sentence only."""
    return say(voice, emotion="fear", window=(0.35, 0.75))


def track_f0(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and F0 in Hz of voiced frames, by the highest peak of the autocorrelation."""
    window, hop = 1200, 240
    pieces = np.lib.stride_tricks.sliding_window_view(waveform.astype(float), window)[::hop]
    pieces = (pieces - pieces.mean(1, keepdims=True)) * np.hanning(window)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(pieces, 4096)) ** 2, axis=1)
    shortest, longest = SAMPLE_RATE // 450, SAMPLE_RATE // 80
    lags = shortest + correlation[:, shortest:longest].argmax(1)
    height = correlation[np.arange(len(lags)), lags] / (correlation[:, 0] + 1e-12)
    loud = correlation[:, 0] > 0.01 * correlation[:, 0].max()
    voiced = (height > 0.4) & loud
    times = (np.arange(len(lags)) * hop + window / 2) / SAMPLE_RATE
    return times[voiced], SAMPLE_RATE / lags[voiced]


def median_f0(speech: Speech, start_seconds: float = 0.0, end_seconds: float = np.inf) -> float:
    times, f0 = track_f0(speech.waveform)
    return float(np.median(f0[(times >= start_seconds) & (times < end_seconds)]))


def spectral_tilt_db(waveform: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(waveform)) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
    high, low = (power[(frequencies >= a) & (frequencies < b)].sum() for a, b in ((1000, 8000), (80, 1000)))
    return float(10 * np.log10(high / low))


def root_mean_square_db(waveform: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(waveform.astype(float) ** 2)))


def test_speech_is_sound_of_a_sentences_length(neutral):
    assert neutral.waveform.dtype == np.float32 and neutral.waveform.ndim == 1
    assert 1.2 < neutral.duration_seconds < 2.6
    assert neutral.duration_seconds == pytest.approx(len(neutral.waveform) / SAMPLE_RATE)
    assert 0.1 < np.abs(neutral.waveform).max() <= 1.0
    assert neutral.emotional is None


def test_phones_and_words_are_in_order_and_inside(neutral):
    assert [word.text for word in neutral.words] == ["The", "meeting", "is", "on", "the", "second", "floor"]
    for timed in (neutral.phones, neutral.words):
        borders = np.array([(item.start_seconds, item.end_seconds) for item in timed])
        assert (borders[:, 1] > borders[:, 0]).all()
        assert (borders[1:, 0] >= borders[:-1, 1] - 1e-9).all()
        assert borders.min() >= 0 and borders.max() <= neutral.duration_seconds
    assert "".join(phone.text for phone in neutral.phones).startswith("ðəmi")


@pytest.mark.parametrize(
    ("voices", "text"),
    [
        (("zm_yunxi",), "Have you been here already?"),
        (("zm_yunjian", "zm_yunxi"), "We are stuck in the traffic."),
        (("af_aoede", "af_sarah"), "It lies in the middle of the city."),
    ],
)
def test_a_sentence_is_said_to_its_end(voice, voices, text):
    """Some voices end on a breath; the phones are all there, and the last word can be heard."""
    speech = say(voice, text, voices=voices, voice_mix=0.5)
    words, phonemes = pronounce(text)
    assert tuple(word.text for word in speech.words) == words
    assert "".join(p.text for p in speech.phones) == "".join(p for p in phonemes if p not in " ˈˌ.?")
    last = speech.words[-1]
    start, end = (int(at * SAMPLE_RATE) for at in (last.start_seconds, last.end_seconds))
    assert end - start > 0.15 * SAMPLE_RATE
    # its last third too
    for part in np.array_split(speech.waveform[start:end], 3):
        assert root_mean_square_db(part) > root_mean_square_db(speech.waveform) - 30


def test_times_are_those_of_the_sound(neutral):
    """The hiss of "s" in "second" is where the phone says, and closures are quiet."""
    hiss = next(phone for phone in neutral.phones if phone.text == "s")
    start, end = (int(at * SAMPLE_RATE) for at in (hiss.start_seconds, hiss.end_seconds))
    vowel = next(phone for phone in neutral.phones if phone.text == "i")
    vowel_start, vowel_end = (int(at * SAMPLE_RATE) for at in (vowel.start_seconds, vowel.end_seconds))
    assert spectral_tilt_db(neutral.waveform[start:end]) > 3
    assert spectral_tilt_db(neutral.waveform[vowel_start:vowel_end]) < -3


def test_the_same_seed_gives_the_same_samples(voice, neutral):
    assert np.array_equal(say(voice).waveform, neutral.waveform)
    assert not np.array_equal(say(voice, generator=np.random.default_rng(6)).waveform, neutral.waveform)


def test_emotion_moves_pitch_level_rate_and_tilt(voice, neutral):
    joyful, sad = (say(voice, emotion=emotion) for emotion in ("joy", "sadness"))
    assert median_f0(joyful) > 1.12 * median_f0(neutral)
    assert median_f0(sad) < 0.97 * median_f0(neutral)
    assert joyful.duration_seconds < 0.96 * neutral.duration_seconds < 0.88 * sad.duration_seconds
    assert root_mean_square_db(joyful.waveform) > root_mean_square_db(neutral.waveform) + 1
    assert root_mean_square_db(sad.waveform) < root_mean_square_db(neutral.waveform) - 3
    assert spectral_tilt_db(sad.waveform) < spectral_tilt_db(neutral.waveform) - 1.5
    assert joyful.emotional[0] < 0.3 and joyful.emotional[1] > joyful.duration_seconds - 0.3


def test_strength_zero_is_neutral(voice, neutral):
    assert np.array_equal(say(voice, emotion="anger", strength=0.0).waveform, neutral.waveform)


def test_inside_the_window_alone_the_voice_is_emotional(neutral, afraid_inside):
    """F0 inside over outside, against the same words of the neutral voice."""
    start, end = afraid_inside.emotional
    assert 0.25 < start / afraid_inside.duration_seconds < 0.45
    assert 0.6 < end / afraid_inside.duration_seconds < 0.85

    def by_word(speech: Speech) -> np.ndarray:
        return np.array([median_f0(speech, word.start_seconds, word.end_seconds) for word in speech.words])

    raised = by_word(afraid_inside) / by_word(neutral)
    middle = np.array([(word.start_seconds + word.end_seconds) / 2 for word in afraid_inside.words])
    inside = (middle > start + 0.05) & (middle < end - 0.05)
    outside = (middle < start - 0.1) | (middle > end + 0.1)
    assert inside.sum() >= 2 and outside.sum() >= 2
    planned = afraid_inside.prosody.f0_ratio / neutral.prosody.f0_ratio
    assert np.median(raised[inside]) == pytest.approx(planned, rel=0.15)
    assert np.abs(np.log(raised[outside])).max() < 0.08


def test_before_the_window_nothing_differs_from_neutral(neutral, afraid_inside):
    untouched = afraid_inside.words[1].start_seconds
    assert untouched == pytest.approx(neutral.words[1].start_seconds, abs=0.03)
    assert afraid_inside.words[-1].end_seconds < neutral.words[-1].end_seconds


def test_hums_have_sound_but_no_words(voice):
    for seed, emotion in ((0, "sadness"), (1, "fear")):
        hum = voice.hum(voices=("am_michael",), emotion=emotion, generator=np.random.default_rng(seed))
        assert hum.words == ()
        assert set("".join(phone.text for phone in hum.phones)) <= set("mh")
        assert 1.1 <= hum.duration_seconds <= 2.6
        assert spectral_tilt_db(hum.waveform) < -20
        assert root_mean_square_db(hum.waveform) > -45
        _, f0 = track_f0(hum.waveform)
        assert 80 <= np.median(f0) < 240


def test_formants_and_pitch_are_independent(voice, neutral):
    larger = say(voice, formant=0.92)
    assert median_f0(larger) == pytest.approx(median_f0(neutral), rel=0.08)
    assert larger.duration_seconds == pytest.approx(neutral.duration_seconds, rel=0.08)


def test_what_cannot_be_spoken_is_told(voice):
    with pytest.raises(CorpusError, match="cannot be spoken"):
        pronounce("…")
    with pytest.raises(CorpusError, match="nobody"):
        say(voice, voices=("nobody",))
    with pytest.raises(ValueError, match="boredom"):
        say(voice, emotion="boredom")


def test_share_is_one_inside_the_window_and_zero_outside():
    times = np.linspace(0, 3, 301)
    share = emotional_share(times, (0.2, 2.8), (1.0, 2.0))
    assert share[times <= 0.94] == pytest.approx(0.0)
    assert share[times >= 2.06] == pytest.approx(0.0)
    assert share[(times >= 1.06) & (times <= 1.94)] == pytest.approx(1.0)
    assert share[[100, 200]] == pytest.approx(0.5)
    arch = emotional_share(times, (0.2, 2.8), None)
    assert arch.max() == pytest.approx(1.0) and 0.7 < arch.min() < 0.9


def test_the_window_is_where_it_was_asked_after_the_rate_has_changed():
    """Worked by hand: 2 s spoken, the second half of what is left twice as fast."""
    start, end = window_before_rate((0.5, 1.0), 2.0, 2.0)
    assert (start, end) == pytest.approx((2 / 3, 2.0))
    spoken_afterwards = start + (end - start) / 2.0
    assert start / spoken_afterwards == pytest.approx(0.5)
