"""What is missing or unusual in a clip costs no answer, and is told beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.labels import MODALITIES
from core.media import MediaError, Transcript, Word, open_clip
from core.model import DeepMSI
from core.predict import Predictor
from tests.core.media.made_media import grey_pictures, tone, write_media

RATE = 16_000
NO_FACE = "No face was found, so the middle of the picture is used instead."
NO_SPEECH = "No speech was heard, so the model reads no words; what it takes for a voice may be none."
NOT_GIVEN = "No transcript was given, so the model reads no words."
SILENT = "The sound of {name} is silent."


def noise(num: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (72, 96, 3), dtype=np.uint8) for _ in range(num)]


def black(num: int) -> list[np.ndarray]:
    return [np.zeros((72, 96, 3), np.uint8)] * num


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def music(seconds: float) -> np.ndarray:
    """Two plucked voices, a chord every half second."""
    times = np.arange(round(seconds * RATE)) / RATE
    step, since = np.divmod(times, 0.5)
    pitch = 220 * 2 ** (np.array([0, 2, 4, 5, 7])[step.astype(int) % 5] / 12)
    sound = sum(np.sin(2 * np.pi * pitch * ratio * since) / (1 + k) for k, ratio in enumerate((1, 1.25, 2)))
    return (0.2 * np.exp(-4 * since) * sound).astype(np.float32)


CASES = {
    "no face": ("a.mp4", {"pictures": noise(20), "sound": tone(2.0, RATE)}, "va", {NO_FACE, NO_SPEECH}),
    "silence": ("a.mp4", {"pictures": noise(20), "sound": silence(2)}, "va", {NO_FACE, SILENT, NO_SPEECH}),
    "silence alone": ("a.wav", {"sound": silence(2)}, "a", {"{name} has no video.", SILENT, NO_SPEECH}),
    "music only": ("a.wav", {"sound": music(4)}, "a", {"{name} has no video.", NO_SPEECH}),
    "no sound": ("a.mp4", {"pictures": noise(20)}, "v", {"{name} has no sound.", NO_FACE, NOT_GIVEN}),
    "0.2 s": (
        "a.mp4",
        {"pictures": noise(2), "sound": tone(0.2, RATE)},
        "va",
        {
            NO_FACE,
            NO_SPEECH,
            "Only 0.20 s of {name} are read, less than a word lasts: they can tell very little.",
        },
    ),
    "0.2 s of sound": (
        "a.wav",
        {"sound": tone(0.2, RATE)},
        "a",
        {
            "{name} has no video.",
            NO_SPEECH,
            "Only 0.20 s of {name} are read, less than a word lasts: they can tell very little.",
        },
    ),
    "black video": (
        "a.mp4",
        {"pictures": black(20), "sound": tone(2.0, RATE)},
        "va",
        {"The picture of {name} is black.", NO_FACE, NO_SPEECH},
    ),
    "one frame": (
        "a.mp4",
        {"pictures": noise(1), "sound": tone(2.0, RATE)},
        "va",
        {"{name} has a single picture in this span, so no movement can be seen.", NO_FACE, NO_SPEECH},
    ),
}
"""Name and content of a file, the modalities that are used, and all that is told."""


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(folder / "tiny", DeepMSI(PRESETS["tiny"], "random").eval(), info=CheckpointInfo())
    return Predictor(load_checkpoint(folder / "tiny"))


def write(folder, name: str, content: dict):
    return write_media(folder / name, **content, audio_codec="pcm_s16le" if name.endswith(".wav") else "aac")


def check(answer, used: str) -> None:
    """Whatever is missing, an answer is one: probabilities of every class, and shares of what is there."""
    assert answer.probabilities.sum() == pytest.approx(1) and np.isfinite(answer.probabilities).all()
    assert {m for m in MODALITIES if answer.present[m]} == {m for m in MODALITIES if m[0] in used}
    for row, modality in enumerate(MODALITIES):
        assert answer.modalities.shapley[row].any() == answer.present[modality]
    assert all(note.endswith(".") and "\n" not in note for note in answer.notes)


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_told_beside_the_answer(predictor, tmp_path, case):
    name, content, used, told = CASES[case]
    answer = predictor.predict_clip(open_clip(write(tmp_path, name, content), apart=True))
    check(answer, used)
    assert set(answer.notes) == {sentence.format(name=name) for sentence in told}
    # neither face nor words: whatever the probability, it is not to be relied on
    assert answer.is_blind and answer.is_uncertain and answer.transcript == ""


def test_without_a_transcript_and_without_listening_that_is_told(predictor, tmp_path):
    path = write(tmp_path, "a.wav", {"sound": tone(1.0, RATE)})
    answer = predictor.predict_clip(open_clip(path), transcribe=False)
    check(answer, "a")
    assert set(answer.notes) == {"a.wav has no video.", NOT_GIVEN}


def test_words_alone_are_read_where_the_sound_is_silent(predictor, tmp_path):
    path = write(tmp_path, "a.wav", {"sound": silence(1)})
    answer = predictor.predict_clip(open_clip(path, transcript="What a lovely day!"))
    check(answer, "at")
    assert set(answer.notes) == {"a.wav has no video.", SILENT.format(name="a.wav")}
    assert not answer.is_blind


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (
            Transcript(text="Wie wunderbar!", language="de"),
            "The words are German, but the text encoder reads",
        ),
        (
            Transcript(
                text="that is yet all",
                words=(Word(text="that", start_seconds=0, end_seconds=1, probability=0.4),),
                language="en",
                doubt="The words were recognised with little certainty (40 %).",
            ),
            "with little certainty (40 %)",
        ),
    ],
)
def test_another_language_is_told(predictor, tmp_path, monkeypatch, heard, told):
    text = replace(predictor.config.text, backbone="sentence-transformers/all-MiniLM-L6-v2")
    monkeypatch.setattr(predictor, "config", replace(predictor.config, text=text))
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: heard)
    path = write(tmp_path, "a.wav", {"sound": tone(1.0, RATE)})
    answer = predictor.predict_clip(open_clip(path))
    check(answer, "at")
    assert answer.transcript == heard.text and told in " ".join(answer.notes)


def test_ten_minutes_get_an_answer_that_says_what_it_stands_for(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text=""))
    # a picture every five seconds
    pictures, times = grey_pictures(1) * 121, [5.0 * k for k in range(121)]
    content = {"pictures": pictures, "times_seconds": times, "sound": tone(40.0, RATE)}
    path = write(tmp_path, "long.mp4", content)
    answer = predictor.predict_clip(open_clip(path, apart=True))
    check(answer, "va")
    (told,) = (note for note in answer.notes if "One answer stands for" in note)
    number = predictor.config.video.num_candidate_frames
    assert f"for 605 s of long.mp4; its picture is looked at every {605 / number:.0f} s" in told
    of_a_span = predictor.predict_clip(open_clip(path, start_seconds=300.0, end_seconds=304.0))
    assert "One answer" not in " ".join(of_a_span.notes)


def test_longer_than_is_allowed_is_refused_with_a_way_out(tmp_path):
    path = write(tmp_path, "film.mkv", {"pictures": grey_pictures(2), "times_seconds": [0.0, 1000.0]})
    with pytest.raises(MediaError, match="more than the allowed 900 s; choose a shorter span"):
        open_clip(path)
    assert open_clip(path, end_seconds=4.0).duration_seconds == 4.0


def test_an_everyday_clip_has_nothing_told(predictor, tmp_path):
    content = {"pictures": noise(20), "sound": tone(2.0, RATE)}
    path = write(tmp_path, "a.mp4", content)
    answer = predictor.predict_clip(open_clip(path, transcript="No way!"))
    assert answer.notes == (NO_FACE,)
