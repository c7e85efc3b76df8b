from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_media import tone

from core.media import SAMPLE_RATE, MediaError, Word, decode, open_clip, speech_models
from core.media.languages import LANGUAGES
from core.media.speech_models import Speech, is_available, unavailable_sentence
from core.media.transcript import foreign_sentence, transcribe
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
    num_said = num_missed = num_loud = 0
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
                num_loud += 1
                assert np.abs(waveform[first:last]).max() > 0.1 * np.abs(waveform).max()
    assert num_missed <= 0.2 * num_said and num_loud > 0.5 * num_said > 5


def fake_segment(text: str, ratio: float = 1.0, probability: float = 0.9) -> SimpleNamespace:
    words = [
        SimpleNamespace(word=f" {word}", start=0.5 * k, end=0.5 * k + 0.4, probability=probability)
        for k, word in enumerate(text.split())
    ]
    return SimpleNamespace(text=f" {text}", words=words, compression_ratio=ratio)


class FakeWhisper:
    """Hears always the same; may repeat itself unless it hears the whole padding, or even then."""

    padding_frames = None

    def __init__(self, text="one two three", *, languages=("en",), hears="en", probability=0.9, repeats=""):
        self.text, self.probability, self.repeats = text, probability, repeats
        self.supported_languages = list(languages)
        self.hears = hears
        self.asked = []

    def transcribe(self, waveform, *, language, **options):
        self.asked.append(language)
        assert options["word_timestamps"] and options["vad_filter"]
        info = SimpleNamespace(language=language or self.hears)
        if self.repeats == "always" or (self.repeats and self.padding_frames is not None):
            return iter([fake_segment("no " * 50, ratio=9.0)]), info
        return iter([fake_segment(self.text, probability=self.probability)] if self.text else []), info


SECOND = np.zeros(SAMPLE_RATE, np.float32)
MANY = ("en", "de", "es")


def test_word_times_are_on_the_clock_of_the_file_and_inside_the_sound():
    heard = transcribe(np.zeros(int(1.2 * SAMPLE_RATE), np.float32), start_seconds=10.0, model=FakeWhisper())
    assert heard.text == "one two three"
    assert heard.words[1] == Word(text="two", start_seconds=10.5, end_seconds=10.9, probability=0.9)
    assert heard.words[2].end_seconds == pytest.approx(11.2)
    assert (heard.source, heard.recogniser, heard.language) == ("speech-to-text", "Whisper tiny.en", "en")
    assert heard.doubt == "" and foreign_sentence(heard) == ""


def test_a_transcript_that_repeats_itself_is_made_again():
    again = FakeWhisper(repeats="short")
    assert transcribe(SECOND, model=again).text == "one two three" and len(again.asked) == 2


def test_a_transcript_that_goes_on_repeating_itself_is_doubted():
    heard = transcribe(SECOND, model=FakeWhisper(repeats="always"))
    assert "repeat themselves" in heard.doubt and "knows English only" in heard.doubt


def test_words_of_little_certainty_may_be_of_another_language():
    heard = transcribe(SECOND, model=FakeWhisper("all like a more stass", probability=0.41))
    assert heard.doubt.startswith("The words were recognised with little certainty (41 %)")
    assert "Whisper tiny.en knows English only, and this may be another language" in heard.doubt
    unsure = transcribe(SECOND, model=FakeWhisper(languages=MANY, hears="es", probability=0.41))
    assert "English only" not in unsure.doubt and "check them" in unsure.doubt
    assert transcribe(SECOND, model=FakeWhisper("", probability=0.1)).doubt == ""


def test_a_larger_model_finds_the_language_by_itself_or_is_told_it():
    model = FakeWhisper("hola amigo", languages=MANY, hears="es")
    small = Speech(model="Systran/faster-whisper-small")
    heard = transcribe(SECOND, speech=small, model=model)
    assert (heard.recogniser, heard.language) == ("Systran/faster-whisper-small", "es")
    assert foreign_sentence(heard).startswith("The words are Spanish, but the text encoder reads English")
    told = transcribe(SECOND, speech=Speech(model="x/y", language="de"), model=model)
    assert model.asked == [None, "de"] and told.language == "de"


def test_languages_that_a_model_does_not_know_are_refused():
    # what can be no folder is no folder, and no reason to fall over
    for name in ("~nobody/x", "x" * 300):
        assert not Speech(model=name).is_folder
    for speech in (Speech(language="de"), Speech(model="Systran/faster-whisper-small.en", language="de")):
        with pytest.raises(MediaError, match="knows English only, not German; name a larger Whisper model"):
            transcribe(SECOND, speech=speech, model=FakeWhisper())
    assert "English only, not German" in unavailable_sentence(Speech(language="de"))
    assert unavailable_sentence(Speech(model="a/b", language="de")) is None
    assert "knows no language 'xx'" in unavailable_sentence(Speech(model="a/b", language="xx"))


def test_the_languages_are_those_of_whisper():
    codes = pytest.importorskip("faster_whisper.tokenizer")._LANGUAGE_CODES
    assert set(LANGUAGES) == set(codes) and len(set(LANGUAGES.values())) == len(codes)


def test_a_folder_that_holds_no_model_is_told(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    speech = Speech(model=str(folder))
    assert speech.model_name == "my-model"
    sentence = unavailable_sentence(speech)
    assert "my-model is no model of faster-whisper: model.bin and tokenizer.json are missing" in sentence
    assert str(tmp_path) not in sentence
    for name in ("model.bin", "tokenizer.json"):
        (folder / name).write_bytes(b"{}")
    assert unavailable_sentence(speech) is None
    with pytest.raises(MediaError, match="my-model cannot be opened as a Whisper model"):
        transcribe(SECOND, speech=speech)


@pytest.mark.parametrize(
    "name, said",
    [
        ("tiny.de", "no model on the Hugging Face hub has such a name"),
        ("a//b", "cannot be a name on the Hugging Face hub"),
        (
            "nobody/fetched-this",
            "was not fetched before, and cannot be fetched now.*connect to the network once",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_told_with_what_helps(name, said, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MediaError, match=said):
        transcribe(SECOND, speech=Speech(model=name))


def test_a_folder_with_the_shipped_weights_listens_like_them():
    if not is_available():
        pytest.skip("speech to text is not installed")
    weights = importlib.util.find_spec(speech_models.WEIGHTS_PACKAGE).submodule_search_locations[0]
    speech = Speech(model=str(Path(weights) / "model"))
    with open(DEMO / "manifest.csv", newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if not row["missing"] and not row["distractors"])
    waveform = decode(open_clip(DEMO / row["path"]), num_frames=1).waveform
    heard = transcribe(waveform, speech=speech)
    assert heard.words == transcribe(waveform).words != ()
    assert heard.recogniser == "model" and heard.doubt == ""
    with pytest.raises(MediaError, match="model knows English only, not French"):
        transcribe(waveform, speech=Speech(model=speech.model, language="fr"))


def test_where_words_are_from_tells_the_ways_of_listening_apart():
    ways = [Speech(), Speech(language="en"), Speech(model="a/b"), Speech(model="a/b", language="de")]
    sources = [way.source for way in ways]
    assert sources[0] == "speech-to-text" and len(set(sources)) == 4
    assert all(source.startswith("speech-to-text") for source in sources)


def test_missing_weights_are_told(monkeypatch):
    speech_models._shipped_folder.cache_clear()
    monkeypatch.setattr(speech_models, "WEIGHTS_PACKAGE", "no_such_package_at_all")
    assert not is_available()
    assert "not installed" in unavailable_sentence()


def test_altered_weights_are_told(monkeypatch, tmp_path):
    speech_models._shipped_folder.cache_clear()
    package = tmp_path / "altered_weights"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.bin").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(speech_models, "WEIGHTS_PACKAGE", "altered_weights")
    assert "missing or altered" in unavailable_sentence()


@pytest.fixture(autouse=True)
def _forget_where_weights_are():
    yield
    speech_models._shipped_folder.cache_clear()
