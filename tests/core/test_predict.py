import dataclasses
import json
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from made_prepared import made_prepared

import core.predict
from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.media import MediaError, Transcript, open_clip
from core.media.speech_models import Speech
from core.model import DeepMSI, ModelInput
from core.predict import Predictor, PreparedClip
from core.prediction import SUBSETS

TINY = PRESETS["tiny"]
SIDE = TINY.video.image_size


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    model = DeepMSI(TINY, "random")
    # an untrained network answers the same to everything: give it opinions
    with torch.no_grad():
        model.classifier.output.weight.mul_(20)
        for absent in model.absent.values():
            absent.normal_()
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    info = CheckpointInfo(temperature=1.5, uncertainty_threshold=0.3)
    return load_checkpoint(save_checkpoint(folder, model, info=info))


@pytest.fixture(scope="module")
def predictor(checkpoint):
    return Predictor(checkpoint)


MIXED = (
    dict(seed=1),
    dict(seed=2, num_frames=2, seconds=0.4, text="no way!"),
    dict(seed=3, num_frames=0, seconds=2.3, text=None),
    dict(seed=4, num_frames=4, seconds=0, text=None),
    dict(seed=5, num_frames=0, seconds=0, text="only words here"),
)


def ask_directly(model: DeepMSI, clip: PreparedClip, subset: tuple[str, ...]) -> torch.Tensor:
    """One coalition by a call of its own, from raw sound and tokens."""
    values = {}
    if "video" in subset:
        frames = torch.from_numpy(clip.crops).permute(0, 3, 1, 2).float().div(255)
        values |= dict(frames=frames[None], frame_mask=torch.ones(1, len(frames), dtype=torch.bool))
    if "audio" in subset:
        sound = torch.from_numpy(clip.waveform)
        values |= dict(waveforms=sound[None], num_samples=torch.tensor([len(sound)]))
    if "text" in subset:
        ids, mask = model.text.tokenize([clip.transcript.text])
        values |= dict(token_ids=ids, token_mask=mask)
    present = torch.tensor([[m in subset for m in ("video", "audio", "text")]])
    with torch.no_grad():
        return model(ModelInput(present=present, **values)).logits[0]


@pytest.mark.parametrize("case", MIXED, ids=lambda case: str(case["seed"]))
def test_every_coalition_equals_a_call_of_its_own(checkpoint, predictor, case):
    clip = made_prepared(**case)
    answer = predictor.predict(clip)
    for row, subset in zip(answer.modalities.probabilities, SUBSETS, strict=True):
        if all(clip.present[m] for m in subset):
            expected = (ask_directly(checkpoint.model, clip, subset) / 1.5).softmax(0)
            np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)
        else:
            assert np.isnan(row).all()
    there = tuple(m for m in ("video", "audio", "text") if clip.present[m])
    np.testing.assert_array_equal(answer.probabilities, answer.modalities.probabilities[SUBSETS.index(there)])
    assert answer.present == {m: m in there for m in ("video", "audio", "text")}
    assert set(answer.embeddings) == {*there, "fused"}


def same(a, b, atol: float) -> None:
    assert a.labels == b.labels and a.path == b.path and a.prediction == b.prediction
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=atol)
    np.testing.assert_allclose(a.modalities.probabilities, b.modalities.probabilities, atol=atol)
    np.testing.assert_allclose(a.modalities.shapley, b.modalities.shapley, atol=atol)
    assert a.modalities.sentence == b.modalities.sentence
    assert (a.frames is None) == (b.frames is None)
    if a.frames is not None:
        np.testing.assert_array_equal(a.frames.kept, b.frames.kept)
        np.testing.assert_array_equal(a.frames.absorbed_by, b.frames.absorbed_by)
        np.testing.assert_allclose(a.frames.source_map, b.frames.source_map, atol=atol)
        for one, other in zip(a.patch_steps, b.patch_steps, strict=True):
            np.testing.assert_array_equal(one.kept, other.kept)
            np.testing.assert_allclose(one.relevance, other.relevance, atol=atol)


@pytest.mark.parametrize("batch_size", [2, 5])
def test_a_batch_answers_as_clips_one_by_one(predictor, batch_size):
    clips = [made_prepared(**case) for case in MIXED]
    for one, batched in zip(
        [predictor.predict(clip) for clip in clips],
        predictor.predict_many(clips, batch_size=batch_size),
        strict=True,
    ):
        same(one, batched, 1e-5)


def test_the_same_clip_gives_the_same_bits(checkpoint):
    first, second = (Predictor(checkpoint).predict(made_prepared(7)) for _ in range(2))
    same(first, second, 0)


def test_threads_share_a_predictor(predictor):
    clips = [made_prepared(seed) for seed in range(4)]
    expected = [predictor.predict(clip) for clip in clips]
    answers: list = [None] * 4

    def ask(i: int) -> None:
        for _ in range(3):
            answers[i] = predictor.predict(clips[i])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # how many threads a product is parted among while others compute decides its last bit; mixed-up clips
    # differ by far more
    for one, other in zip(expected, answers, strict=True):
        same(one, other, 1e-6)


def test_what_a_prediction_holds(predictor, checkpoint):
    clip = made_prepared(1)
    answer = predictor.predict(clip)
    np.testing.assert_allclose(answer.probabilities.sum(), 1, atol=1e-6)
    assert (answer.checkpoint, answer.checkpoint_hash) == ("tiny", checkpoint.sha256)
    assert answer.is_uncertain == (answer.confidence < 0.3)
    assert len(answer.frames.kept) == TINY.video.num_kept_frames
    np.testing.assert_array_equal(answer.frames.times_seconds, clip.frames.times_seconds)
    [step] = answer.patch_steps
    assert step.grid == TINY.video.stage3_grid and step.kept.shape == (3, 8)
    # the frames are half the size of the source: boxes are told in source pixels
    assert answer.frame_size == (192, 144)
    np.testing.assert_allclose(answer.crop_boxes, np.tile([24, 0, 168, 144], (6, 1)))
    assert {"audio_encoder", "text_encoder", "network", "total"} <= answer.timings_seconds.keys()
    json.dumps(answer.to_dict(), allow_nan=False)


def test_temperature_softens_and_the_threshold_abstains(checkpoint):
    clip = made_prepared(1)
    raw, soft = (
        Predictor(
            dataclasses.replace(
                checkpoint,
                info=dataclasses.replace(
                    checkpoint.info, temperature=temperature, uncertainty_threshold=threshold
                ),
            )
        ).predict(clip)
        for temperature, threshold in ((1.0, 0.0), (3.0, 1.0))
    )
    expected = raw.probabilities ** (1 / 3)
    np.testing.assert_allclose(soft.probabilities, expected / expected.sum(), atol=1e-5)
    assert soft.is_uncertain and not raw.is_uncertain


def test_without_a_face_and_words_an_answer_is_uncertain_whatever_its_probability(checkpoint):
    info = dataclasses.replace(checkpoint.info, uncertainty_threshold=0.0)
    seen, heard = made_prepared(1, text=None), made_prepared(1, num_frames=0, text=None)
    track = dataclasses.replace(seen.face_track, num_faces=np.zeros(6, int), state="none")
    hidden = dataclasses.replace(seen, face_track=track)
    predictor = Predictor(dataclasses.replace(checkpoint, info=info))
    answers = predictor.predict_many([seen, heard, hidden, hidden.with_transcript("well done")])
    assert [answer.is_blind for answer in answers] == [False, True, True, False]
    assert [answer.is_uncertain for answer in answers] == [False, True, True, False]
    # of a model that looks at nothing it is not said
    assert not dataclasses.replace(heard, reads=("audio", "text")).is_blind


def test_other_words_change_the_answer_and_no_words_are_said(predictor):
    clip = made_prepared(1)
    first, other = predictor.predict(clip), predictor.predict(clip.with_transcript("what a mess"))
    assert other.transcript == "what a mess" and other.notes == ()
    assert np.abs(first.probabilities - other.probabilities).max() > 1e-4
    none = predictor.predict(clip.with_transcript("  "))
    assert none.present["text"] is False and none.transcript == ""
    assert none.notes == ("No transcript was given, so the model reads no words.",)
    same(predictor.predict(clip.with_transcript("well done")), first, 0)


def test_a_clip_of_nothing_is_refused(predictor):
    with pytest.raises(MediaError, match=r"c9\.mp4 holds no picture, no sound and no words"):
        predictor.predict(made_prepared(9, num_frames=0, seconds=0, text=None))


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    """One second of a moving square and a 440 Hz tone."""
    path = tmp_path_factory.mktemp("media") / "square.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for i in range(25):
            picture = np.zeros((120, 160, 3), np.uint8)
            picture[40:80, 4 * i : 4 * i + 40] = 255
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
        sound = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16_000
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode())
    return path


@pytest.fixture
def speech(monkeypatch):
    """Stands in for speech-to-text; counts how often it is asked."""
    calls = []

    def listen(waveform, **options):
        calls.append(options)
        return Transcript(text=speech.text, source="speech-to-text")

    speech = type("Speech", (), {"calls": calls, "text": "set blue now"})
    monkeypatch.setattr(core.predict, "unavailable_sentence", lambda speech: None)
    monkeypatch.setattr(core.predict, "speech_to_text", listen)
    return speech


def test_a_file_is_prepared_and_predicted(predictor, movie, speech):
    stages = []
    prepared = predictor.prepare(open_clip(movie), progress=stages.append)
    assert stages == ["Decoding video and sound", "Finding the speaker's face", "Listening to the words"]
    assert prepared.crops.shape == (TINY.video.num_candidate_frames, SIDE, SIDE, 3)
    assert len(prepared.waveform) == pytest.approx(16_000, abs=1_100)
    assert prepared.transcript.source == "speech-to-text"
    answer = predictor.predict(prepared, progress=stages.append)
    assert stages[-1] == "Asking the model"
    assert answer.transcript == "set blue now" and answer.path == str(movie)
    # nothing in a moving square is a face, and that is said
    assert prepared.face_track.state == "none" and prepared.face_track.sentence in answer.notes
    assert {"decode", "faces", "speech_to_text"} <= answer.timings_seconds.keys()
    same(answer, predictor.predict_clip(open_clip(movie)), 0)


def test_one_half_of_the_picture_is_looked_at(predictor, movie):
    clip = open_clip(movie)
    left, right = (
        predictor.predict(predictor.prepare(clip, transcribe=False, region=side))
        for side in ("left", "right")
    )
    # 160 pixels wide; without a face the middle of what is looked at is taken, told in the whole picture
    assert left.crop_boxes[:, 2].max() <= 80 <= right.crop_boxes[:, 0].min()
    assert not np.allclose(left.probabilities, right.probabilities)


def test_speech_to_text_is_asked_only_for_clips_without_words(predictor, movie, speech):
    given = predictor.prepare(open_clip(movie, transcript="mine"))
    silent = predictor.prepare(open_clip(movie), transcribe=False)
    assert speech.calls == []
    assert given.transcript.text == "mine" and given.words_note is None
    assert silent.words_note == "No transcript was given, so the model reads no words."
    speech.text = ""
    heard = predictor.prepare(open_clip(movie, start_seconds=0.4))
    # word times are on the file's own clock
    assert speech.calls == [{"start_seconds": 0.4, "speech": Speech()}]
    assert heard.transcript is None and "No speech was heard" in heard.words_note


def test_a_checkpoint_that_reads_no_video_is_shown_none(movie, speech, tmp_path):
    torch.manual_seed(1)
    model = DeepMSI(dataclasses.replace(TINY, modalities=("audio", "text")), "random")
    predictor = Predictor(load_checkpoint(save_checkpoint(tmp_path / "heard", model, info=CheckpointInfo())))
    stages = []
    prepared = predictor.prepare(open_clip(movie), progress=stages.append)
    assert "Finding the speaker's face" not in stages and prepared.crops is None
    answer = predictor.predict(prepared)
    assert answer.present == {"video": False, "audio": True, "text": True} and answer.frames is None
    assert "Left out: the clip's picture, which this checkpoint does not read." in answer.notes
    with pytest.raises(MediaError, match="holds no sound and no words that"):
        predictor.predict(dataclasses.replace(prepared, waveform=None, transcript=None))


def test_a_checkpoint_that_reads_no_words_listens_for_none(movie, speech, tmp_path):
    torch.manual_seed(1)
    model = DeepMSI(dataclasses.replace(TINY, modalities=("video", "audio")), "random")
    predictor = Predictor(load_checkpoint(save_checkpoint(tmp_path / "seen", model, info=CheckpointInfo())))
    prepared = predictor.prepare(open_clip(movie))
    assert speech.calls == [] and prepared.transcript is None
    # that none were given changes nothing, so it is not said
    for clip in (prepared, prepared.with_transcript(None)):
        assert not any("words" in note for note in predictor.predict(clip).notes)
    given = predictor.predict(predictor.prepare(open_clip(movie, transcript="mine")))
    assert "Left out: the clip's words, which this checkpoint does not read." in given.notes


def test_who_listens_is_passed_on_and_doubts_are_told_until_the_words_are_typed(
    predictor, movie, monkeypatch
):
    calls = []

    def listen(waveform, *, speech, start_seconds):
        calls.append(speech)
        return Transcript(text="guten Tag", source="speech-to-text", language="de", doubt="Not sure.")

    monkeypatch.setattr(core.predict, "unavailable_sentence", lambda speech: None)
    monkeypatch.setattr(core.predict, "speech_to_text", listen)
    small, german = Speech(model="some/model"), Speech(language="de")
    heard = predictor.prepare(open_clip(movie), speech=german)
    assert heard.words_note == "Not sure."
    # an encoder that reads English is told to
    monkeypatch.setattr(core.predict, "ENGLISH_BACKBONES", (predictor.config.text.backbone,))
    heard = Predictor(predictor.checkpoint, speech=small).prepare(open_clip(movie))
    assert calls == [german, small]
    assert heard.words_note.startswith("Not sure. The words are German, but the text encoder reads English")
    assert heard.words_note in predictor.predict(heard).notes
    assert predictor.predict(heard.with_transcript("good day")).notes == heard.notes


def test_a_model_that_fails_costs_the_words_alone(predictor, movie, monkeypatch):
    def fail(waveform, **options):
        raise MediaError("No such model; type the words.")

    monkeypatch.setattr(core.predict, "unavailable_sentence", lambda speech: None)
    monkeypatch.setattr(core.predict, "speech_to_text", fail)
    prepared = predictor.prepare(open_clip(movie))
    assert prepared.transcript is None and prepared.words_note == "No such model; type the words."
    assert predictor.predict(prepared).present["audio"]


def test_missing_speech_to_text_is_said(predictor, movie, speech, monkeypatch):
    monkeypatch.setattr(core.predict, "unavailable_sentence", lambda speech: "Install the ears.")
    prepared = predictor.prepare(open_clip(movie))
    assert prepared.transcript is None and prepared.words_note == "Install the ears."
    assert predictor.predict(prepared).present == {"video": True, "audio": True, "text": False}
