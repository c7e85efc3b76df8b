from __future__ import annotations

import csv
import re
from types import SimpleNamespace

import numpy as np
import pytest
from made_media import tone

from core.media import SAMPLE_RATE, MediaError, Word, decode, open_clip
from core.media import transcript as transcript_module
from core.media.transcript import is_available, transcribe, unavailable_sentence
from sample_data import DEMO

needs_weights = pytest.mark.skipif(not is_available(), reason="speech to text is not installed")


@needs_weights
@pytest.mark.parametrize("kind", ["silence", "noise", "faint noise", "tone", "chord", "too short"])
def test_what_is_no_speech_has_no_words(kind):
    rng = np.random.default_rng(0)
    waveform = {
        "silence": np.zeros(3 * SAMPLE_RATE),
        "noise": 0.05 * rng.standard_normal(4 * SAMPLE_RATE),
        "faint noise": 0.001 * rng.standard_normal(4 * SAMPLE_RATE),
        "tone": tone(4.0, SAMPLE_RATE),
        "chord": sum(tone(4.0, SAMPLE_RATE, hertz=hertz, amplitude=0.2) for hertz in (262, 330, 392)),
        "too short": np.zeros(10),
    }[kind]
    heard = transcribe(waveform)
    assert heard.text == "" and heard.words == () and heard.source == "speech-to-text"


def plain_words(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


@needs_weights
def test_words_of_shipped_clips_are_heard_when_they_are_said():
    with open(DEMO / "manifest.csv", newline="", encoding="utf-8") as file:
        clear = [row for row in csv.DictReader(file) if not row["missing"] and not row["distractors"]]
        rows = clear[::9]
    num_said = num_missed = 0
    for row in rows:
        clip = open_clip(DEMO / row["path"])
        waveform = decode(clip, num_frames=1).waveform
        heard = transcribe(waveform, start_seconds=clip.start_seconds)
        said = plain_words(row["transcript"])
        num_said += len(said)
        num_missed += len(set(said) - set(plain_words(heard.text)))
        starts = [word.start_seconds for word in heard.words]
        assert starts == sorted(starts)
        assert plain_words(" ".join(word.text for word in heard.words)) == plain_words(heard.text)
        for word in heard.words:
            assert clip.start_seconds <= word.start_seconds <= word.end_seconds <= clip.end_seconds
            # while a word is said it is not quiet
            first, last = (
                int((t - clip.start_seconds) * SAMPLE_RATE) for t in (word.start_seconds, word.end_seconds)
            )
            if last - first > 800:
                assert np.abs(waveform[first:last]).max() > 0.1 * np.abs(waveform).max()
    assert num_missed <= 0.2 * num_said


def fake_segment(text: str, ratio: float = 1.0) -> SimpleNamespace:
    words = [
        SimpleNamespace(word=f" {word}", start=0.5 * k, end=0.5 * k + 0.4, probability=0.9)
        for k, word in enumerate(text.split())
    ]
    return SimpleNamespace(text=f" {text}", words=words, compression_ratio=ratio)


class FakeWhisper:
    """Repeats itself unless it may hear the whole padding."""

    padding_frames = None

    def __init__(self, repeats: bool):
        self.repeats = repeats

    def transcribe(self, waveform, **options):
        if self.repeats and self.padding_frames is not None:
            return iter([fake_segment("no " * 50, ratio=9.0)]), None
        return iter([fake_segment("one two three")]), None


def test_word_times_are_on_the_clock_of_the_file_and_inside_the_sound(monkeypatch):
    monkeypatch.setattr(transcript_module, "_load_model", lambda: FakeWhisper(repeats=False))
    heard = transcribe(np.zeros(int(1.2 * SAMPLE_RATE), np.float32), start_seconds=10.0)
    assert heard.text == "one two three"
    assert heard.words[1] == Word(text="two", start_seconds=10.5, end_seconds=10.9, probability=0.9)
    assert heard.words[2].end_seconds == pytest.approx(11.2)


def test_a_transcript_that_repeats_itself_is_made_again(monkeypatch):
    monkeypatch.setattr(transcript_module, "_load_model", lambda: FakeWhisper(repeats=True))
    assert transcribe(np.zeros(SAMPLE_RATE, np.float32)).text == "one two three"


def test_other_languages_are_refused():
    with pytest.raises(MediaError, match="English only"):
        transcribe(np.zeros(SAMPLE_RATE, np.float32), language="de")


def test_missing_weights_are_told(monkeypatch):
    transcript_module._weights_folder.cache_clear()
    monkeypatch.setattr(transcript_module, "WEIGHTS_PACKAGE", "no_such_package_at_all")
    assert not is_available()
    assert "not installed" in unavailable_sentence()


def test_altered_weights_are_told(monkeypatch, tmp_path):
    transcript_module._weights_folder.cache_clear()
    package = tmp_path / "altered_weights"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.bin").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(transcript_module, "WEIGHTS_PACKAGE", "altered_weights")
    assert "missing or altered" in unavailable_sentence()


@pytest.fixture(autouse=True)
def _forget_where_weights_are():
    yield
    transcript_module._weights_folder.cache_clear()
