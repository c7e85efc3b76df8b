import os
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_clips import write_clip
from safetensors.numpy import save_file

import core.media
import training.feature_cache
from core.model import build_model
from core.writing import replacing
from training.datasets import Utterance
from training.features import prepare
from training.speed.networks import resized


@pytest.fixture
def clip(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", color=(200, 30, 60))
    return Utterance(key="clip", path=path, label="joy", transcript="hello there", split="train")


def test_features_have_the_shapes_the_model_takes(clip, tiny_model, tmp_path):
    (features,) = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    video, audio = tiny_model.config.video, tiny_model.config.audio
    assert features.crops.shape == (video.num_candidate_frames, video.image_size, video.image_size, 3)
    assert features.crops.dtype == np.uint8 and features.face == "none"
    assert features.audio.shape == (3, audio.feature_width) and features.text.shape == (32,)
    # six equal parts of one second of 12 frames: their middles lie on every second frame
    np.testing.assert_allclose(np.diff(features.times_seconds), 1 / 6, atol=0.09)
    # the middle of the picture has the clip's colour where the bar is not
    assert np.abs(np.median(features.crops, axis=(0, 1, 2)) - (200, 30, 60)).max() < 12


def test_text_features_are_the_encoders(clip, tiny_model, tmp_path):
    (features,) = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    torch.testing.assert_close(features.text, tiny_model.text.encode(["hello there"])[0])


def test_a_second_run_decodes_nothing_and_says_the_same(clip, tiny_model, tmp_path, monkeypatch):
    first = prepare([clip], tiny_model, tmp_path / "cache", progress=False)[0]

    def refuse(*args, **kwargs):
        raise AssertionError("decoded again")

    monkeypatch.setattr(training.feature_cache, "decode", refuse)
    monkeypatch.setattr(training.feature_cache, "open_clip", refuse)
    again = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    assert not again.skipped
    np.testing.assert_array_equal(again[0].crops, first.crops)
    assert torch.equal(again[0].audio, first.audio)


def test_an_interrupted_run_keeps_what_it_made(clip, tiny_model, tmp_path, monkeypatch):
    clips = [
        replace(clip, key=str(i), path=write_clip(tmp_path / f"{i}.mp4", color=(60 * i, 30, 60)))
        for i in range(4)
    ]
    decode, decoded = training.feature_cache.decode, []

    def decode_two(one, **options):
        if len(decoded) == 2:
            raise KeyboardInterrupt
        decoded.append(one)
        return decode(one, **options)

    with monkeypatch.context() as patch:
        patch.setattr(training.feature_cache, "decode", decode_two)
        with pytest.raises(KeyboardInterrupt):
            prepare(clips, tiny_model, tmp_path / "cache", num_workers=1, progress=False)
    rest = []
    monkeypatch.setattr(
        training.feature_cache, "decode", lambda one, **options: rest.append(one) or decode(one, **options)
    )
    features = prepare(clips, tiny_model, tmp_path / "cache", num_workers=1, progress=False)
    assert len(features) == 4 and not features.skipped and len(decoded) == len(rest) == 2


def test_many_workers_and_two_at_once_make_what_one_makes(clip, tiny_model, tmp_path):
    clips = [
        replace(clip, key=str(i), path=write_clip(tmp_path / f"{i}.mp4", tone_hz=200 + 50 * i))
        for i in range(8)
    ]
    alone = prepare(clips, tiny_model, tmp_path / "alone", num_workers=1, progress=False)
    with ThreadPoolExecutor(2) as pool:
        options = {"num_workers": 4, "progress": False}
        both = [pool.submit(prepare, clips, tiny_model, tmp_path / "both", **options) for _ in range(2)]
    for made in (task.result() for task in both):
        assert [u.key for u in made.utterances] == [u.key for u in clips] and not made.skipped
        for one, other in zip(made, alone, strict=True):
            assert np.array_equal(one.crops, other.crops) and torch.equal(one.text, other.text)
            torch.testing.assert_close(one.audio, other.audio)


def test_a_set_is_read_from_disk_clip_by_clip_and_not_kept(corpus_features):
    # what reading imports is there before it is measured
    one, total = corpus_features[0].crops.nbytes, sum(clip.crops.nbytes for clip in corpus_features)
    tracemalloc.start()
    try:
        for _ in range(2):
            for clip in corpus_features:
                assert clip.crops is not None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert one < peak < 4 * one < total / 5


def test_entries_depend_on_content_and_not_on_names(clip, tiny_model, tmp_path):
    prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    copy = replace(clip, key="copy", path=shutil.copy(clip.path, tmp_path / "copy.mp4"))
    other = replace(clip, key="other", path=write_clip(tmp_path / "other.mp4", color=(0, 200, 0)))
    prepare([copy], tiny_model, tmp_path / "cache", progress=False)
    assert len(list((tmp_path / "cache" / "video").rglob("*.safetensors"))) == 1
    prepare([replace(copy, transcript="other words")], tiny_model, tmp_path / "cache", progress=False)
    assert len(list((tmp_path / "cache" / "video").rglob("*.safetensors"))) == 1
    assert len(list((tmp_path / "cache" / "text").rglob("*.safetensors"))) == 2
    prepare([other], tiny_model, tmp_path / "cache", progress=False)
    assert len(list((tmp_path / "cache" / "video").rglob("*.safetensors"))) == 2


def test_another_file_under_an_old_name_is_read_anew(clip, tiny_model, tmp_path):
    first = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    write_clip(clip.path, color=(0, 200, 0), tone_hz=700)
    again = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    assert again[0].clip_sha256 != first[0].clip_sha256
    assert not np.array_equal(again[0].crops, first[0].crops) and not torch.equal(
        again[0].audio, first[0].audio
    )


def test_spans_of_one_file_have_features_of_their_own(clip, tiny_model, tmp_path):
    spans = [replace(clip, key=f"{a}", start_seconds=a, end_seconds=a + 0.5) for a in (0.0, 0.5)]
    first, second = prepare(spans, tiny_model, tmp_path / "cache", progress=False)
    assert first.times_seconds.max() < 0.5 <= second.times_seconds.min()
    # the bar has moved on
    assert not np.array_equal(first.crops[0], second.crops[0])
    assert len(list((tmp_path / "cache" / "audio").rglob("*.safetensors"))) == 2
    # what begins alike and ends elsewhere is another span, too
    (longer,) = prepare([replace(spans[0], end_seconds=0.9)], tiny_model, tmp_path / "cache", progress=False)
    assert longer.times_seconds.max() > 0.6 and not torch.equal(longer.audio, first.audio)


def test_models_that_read_otherwise_share_a_cache_and_no_entry(clip, tiny_model, tmp_path):
    config, cache = tiny_model.config, tmp_path / "cache"

    def features(**parts):
        torch.manual_seed(0)  # one set of backbone weights
        model = build_model(replace(config, **parts), weights="random")
        return prepare([clip], model, cache, progress=False)[0]

    plain = features()
    assert features(video=resized(config.video, 96)).crops.shape == (6, 96, 96, 3)
    few = features(video=replace(config.video, num_candidate_frames=4))
    assert len(few.crops) == len(few.times_seconds) == 4
    assert features(audio=replace(config.audio, pooling="mean")).audio.shape == (config.audio.width,)
    heard = features(audio=replace(config.audio, num_trained_layers=1)).audio
    assert heard.shape == pytest.approx((16_000,), abs=2_000) and plain.audio.ndim == 2
    read = features(text=replace(config.text, num_trained_layers=1)).text
    assert len(read) == 4 and plain.text.shape == (config.text.width,)
    # and the first is as it was
    again = features()
    assert np.array_equal(again.crops, plain.crops)
    assert torch.equal(again.audio, plain.audio) and torch.equal(again.text, plain.text)


@pytest.mark.parametrize("modality", ["video", "audio", "text"])
def test_nothing_is_made_that_the_model_does_not_read(clip, tiny_model, tmp_path, modality):
    model = build_model(replace(tiny_model.config, modalities=(modality,)), weights="random")
    (features,) = prepare([clip], model, tmp_path / "cache", progress=False)
    assert {path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()} == {modality}
    has = {"video": features.crops, "audio": features.audio, "text": features.text}
    assert [name for name, value in has.items() if value is not None] == [modality]


@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"},
        {"label": "fear"},
        {"transcript": "other words"},
        {"split": "test"},
        {"speaker": "somebody"},
        {"dialogue": "d1"},
        {"start_seconds": 0.25},
        {"end_seconds": 0.75},
        {"region": "left"},
        {"path": "another file"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_clips_and_what_is_known_of_them_give_another_hash(clip, tiny_model, tmp_path, change):
    if "path" in change:
        change = {"path": write_clip(tmp_path / "green.mp4", color=(0, 200, 0))}
    sets = [
        prepare([one], tiny_model, tmp_path / "cache", progress=False)
        for one in (clip, replace(clip, **change))
    ]
    assert [len(one) for one in sets] == [1, 1] and sets[0].data_sha256 != sets[1].data_sha256


def test_other_backbone_weights_are_other_features(clip, tiny_model, tmp_path):
    torch.manual_seed(1)
    other = build_model(tiny_model.config, weights="random")
    first = prepare([clip], tiny_model, tmp_path / "cache", progress=False)[0]
    second = prepare([clip], other, tmp_path / "cache", progress=False)[0]
    assert not torch.allclose(first.audio, second.audio)
    assert not torch.allclose(first.text, second.text)


def test_unusable_clips_are_skipped_with_a_reason(clip, tiny_model, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"not a film")
    broken = replace(clip, key="broken", path=tmp_path / "broken.mp4")
    missing = replace(clip, key="missing", path=tmp_path / "missing.mp4")
    features = prepare([broken, clip, missing], tiny_model, tmp_path / "cache", progress=False)
    assert [u.key for u in features.utterances] == ["clip"]
    assert [s.utterance.key for s in features.skipped] == ["broken", "missing"]
    assert all(s.utterance.path.name in s.reason for s in features.skipped)


def test_absent_modalities_are_none(clip, tiny_model, tmp_path):
    mute = replace(clip, path=write_clip(tmp_path / "mute.mp4", has_audio=False), transcript="")
    blind = replace(clip, path=write_clip(tmp_path / "blind.mp4", has_video=False), transcript=None)
    mute, blind = prepare([mute, blind], tiny_model, tmp_path / "cache", progress=False)
    assert mute.audio is None and mute.text is None and mute.crops is not None
    assert blind.crops is None and blind.text is None and blind.audio is not None


def test_some_frames_are_those_of_all(corpus_features):
    everything, some = corpus_features[0], corpus_features.read(0, [1, 4])
    np.testing.assert_array_equal(some.crops, everything.crops[[1, 4]])
    np.testing.assert_array_equal(some.times_seconds, everything.times_seconds[[1, 4]])
    assert corpus_features.num_frames(0) == len(everything.crops)


def test_splits_and_hash(corpus_features):
    assert [len(corpus_features.of_split(s)) for s in ("train", "dev", "test")] == [12, 6, 6]
    reversed_set = corpus_features.select(range(len(corpus_features))[::-1])
    assert reversed_set.data_sha256 == corpus_features.data_sha256
    assert corpus_features.of_split("dev").data_sha256 != corpus_features.data_sha256


def test_words_alone_have_features_without_a_file(clip, tiny_model, tmp_path):
    words = replace(clip, key="words", path=None)
    (features,) = prepared = prepare([words], tiny_model, tmp_path / "cache", progress=False)
    assert features.crops is None and features.audio is None
    torch.testing.assert_close(features.text, tiny_model.text.encode(["hello there"])[0])
    assert prepared.num_frames(0) == 0 and list(prepared.sounds()) == []


def test_half_a_picture_is_looked_at_where_the_speaker_is_in_one_half(tiny_model, tmp_path):
    path = write_clip(tmp_path / "wide.mp4", color=(200, 30, 60))
    whole = Utterance(key="whole", path=path, label="joy")
    halves = [replace(whole, key=side, region=side) for side in ("left", "right")]
    left, right = prepare(halves, tiny_model, tmp_path / "cache", progress=False)
    width = core.media.open_clip(path).info.width
    # without a face the middle of what is looked at is taken
    assert left.boxes[:, 2].max() <= width / 2 <= right.boxes[:, 0].min()
    assert torch.equal(left.audio, right.audio)


def test_encoders_that_are_trained_read_tokens_and_waveforms(clip, tiny_model, tmp_path):
    config = tiny_model.config
    config = replace(
        config,
        text=replace(config.text, num_trained_layers=1),
        audio=replace(config.audio, num_trained_layers=1),
    )
    model = build_model(config, weights="random")
    (features,) = prepare([clip], model, tmp_path / "cache", progress=False)
    assert torch.equal(features.text.long(), model.text.tokenize(["hello there"])[0][0])
    media = core.media.decode(core.media.open_clip(clip.path))
    np.testing.assert_allclose(features.audio.float(), media.waveform, atol=1e-3)


def write_adopted(path, *, text_width):
    random = np.random.default_rng(0)
    values = {
        "frames": random.integers(0, 256, (5, 40, 40, 3), np.uint8),
        "text": random.normal(size=text_width).astype(np.float32),
        "audio": random.normal(size=32).astype(np.float32),
    }
    save_file(values, path)
    return values


def test_features_that_others_made_are_taken_as_they_are(clip, tiny_model, tmp_path):
    config = tiny_model.config
    model = build_model(replace(config, audio=replace(config.audio, pooling="mean")), weights="random")
    values = write_adopted(tmp_path / "made.safetensors", text_width=32)
    made = replace(clip, path=tmp_path / "made.safetensors", transcript="never read")
    (features,) = prepared = prepare([made], model, tmp_path / "cache", progress=False)
    np.testing.assert_array_equal(features.text, values["text"])
    np.testing.assert_array_equal(features.audio, values["audio"])
    assert features.crops.shape == (5, 64, 64, 3) and prepared.num_frames(0) == 5
    assert np.abs(features.crops.mean((1, 2)) - values["frames"].mean((1, 2))).max() < 2

    write_adopted(tmp_path / "made.safetensors", text_width=1024)
    [skipped] = prepare([made], model, tmp_path / "cache", progress=False).skipped
    assert "its text vector has 1024 numbers" in skipped.reason and "preset paper" in skipped.reason


def test_who_writes_the_same_entry_takes_no_unfinished_one_away(clip, tiny_model, tmp_path, monkeypatch):
    replace_file, others = os.replace, []

    def replace_beside_another(part, path):
        if not others:
            others.append(path)
            # another process comes to write the same, and clears what it takes for abandoned
            with replacing(path, is_shared=True, is_synced=False) as own:
                own.write_bytes(Path(part).read_bytes())
        replace_file(part, path)

    monkeypatch.setattr(os, "replace", replace_beside_another)
    features = prepare([clip], tiny_model, tmp_path / "cache", progress=False)
    assert len(others) == 1 and not list((tmp_path / "cache").rglob("*.part"))
    assert torch.equal(features[0].text, prepare([clip], tiny_model, tmp_path / "cache")[0].text)
