"""Finished clips, read back from their files, hold what their sidecars say."""

from dataclasses import replace

import numpy as np
import pytest
from made_truth import a_plan
from PIL import Image
from scipy.signal import resample_poly

from core.media import decode, open_clip
from sample_data.corpus.clip import make_clip
from sample_data.corpus.distractors import VIDEO_SHARES
from sample_data.corpus.schema import Distractor, Sidecar, read_sidecar

WINDOW = (0.3, 0.7)


class SaidOnce:
    """A voice that says the same every time, so that clips differ in what a test changes alone."""

    def __init__(self, voice, plan):
        self.speech = voice.say(
            plan.transcript,
            voices=plan.speaker.voices,
            voice_mix=0.0,
            formant=1.0,
            emotion="neutral",
            strength=1.0,
            window=None,
            generator=np.random.default_rng(0),
        )

    def say(self, text, **how):
        return self.speech

    def hum(self, **how):
        return replace(self.speech, words=())


@pytest.fixture(scope="module")
def said(voice):
    return SaidOnce(voice, a_plan())


@pytest.fixture(scope="module")
def make(said, head, tiny, tmp_path_factory):
    """Makes a clip of a plan and decodes all of it: sidecar, path, frames and waveform at 16 kHz."""

    def make(**changes):
        folder = tmp_path_factory.mktemp("clip")
        sidecar = make_clip(a_plan(**changes), tiny, head, said, folder)
        path = folder / sidecar.file
        media = decode(open_clip(path), num_frames=max(1, sidecar.num_frames))
        return sidecar, path, media

    return make


@pytest.fixture(scope="module")
def plain(make):
    return make()


def sharpness(pixels):
    grey = pixels.astype(float).mean(axis=-1)
    return np.abs(np.diff(grey, axis=-1)).mean(axis=(-1, -2))


def test_the_file_is_as_long_as_the_sidecar_says_and_its_tracks_have_an_entry_per_frame(plain, tiny):
    sidecar, path, media = plain
    info = open_clip(path).info
    assert (info.width, info.height, info.num_frames) == (64, 64, sidecar.num_frames)
    assert sidecar.duration_seconds == pytest.approx(sidecar.num_frames / tiny.frames_per_second)
    assert info.duration_seconds == pytest.approx(sidecar.duration_seconds, abs=0.15)
    assert len(media.frames) == sidecar.num_frames
    face = sidecar.face
    tracks = [
        face.envelope,
        face.blink,
        face.lip_opening,
        face.pose,
        face.gaze,
        face.face_box,
        face.mouth_box,
    ]
    assert {len(track) for track in (*tracks, *face.action_units.values())} == {sidecar.num_frames}


def test_the_sidecar_comes_back_as_it_was_written(plain):
    sidecar, path, _ = plain
    read = read_sidecar(path.with_suffix(".json"))
    assert isinstance(read, Sidecar) and read.plan == sidecar.plan
    assert read.to_dict() == sidecar.to_dict()
    assert not list(path.parent.glob("*.part"))


def test_the_voice_is_heard_when_the_sidecar_says(plain, said):
    sidecar, _, media = plain
    level = np.abs(media.waveform)
    start, end = (round(at * 16_000) for at in (sidecar.speech_start_seconds, sidecar.speech_end_seconds))
    assert level[start:end].mean() > 8 * level[: start - 1600].mean()
    assert level[start:end].mean() > 8 * level[end + 3200 :].mean()
    # the waveform as mixed and as decoded lie on one another: no encoder delay is left in the file
    mixed = np.zeros(len(media.waveform), np.float32)
    speech = resample_poly(said.speech.waveform, 2, 3)
    lead = round(sidecar.plan.lead_seconds * 16_000)
    mixed[lead : lead + len(speech)] = speech[: len(mixed) - lead]
    correlation = np.correlate(media.waveform, mixed[800:-800], "valid")
    assert abs(int(correlation.argmax()) - 800) < 0.005 * 16_000
    words = sidecar.sound.words
    assert [word.text for word in words] == ["Who", "is", "there"]
    assert sidecar.speech_start_seconds <= words[0].start_seconds < words[-1].end_seconds
    assert words[-1].end_seconds <= sidecar.speech_end_seconds + 0.05


def test_the_expression_unfolds_in_its_window(plain):
    sidecar, _, media = plain
    face = sidecar.face
    times = np.arange(sidecar.num_frames) / sidecar.frames_per_second
    envelope = np.array(face.envelope)
    assert face.onset_seconds < face.apex_start_seconds < face.apex_end_seconds < face.offset_seconds
    apex = (times >= face.apex_start_seconds) & (times <= face.apex_end_seconds)
    assert (envelope[apex] > 0.999).all()
    assert not envelope[(times < face.onset_seconds) | (times > face.offset_seconds)].any()
    # unit 4 follows the envelope but for a slight tremble
    np.testing.assert_allclose(np.array(face.action_units[4]), 0.8 * envelope, atol=0.12)


def test_a_neutral_face_shows_no_expression(make):
    sidecar, _, _ = make(video_emotion="neutral", action_units={}, brow_flashes=())
    assert not any(sidecar.face.envelope) and sidecar.face.action_units == {}
    assert sidecar.face.apex_start_seconds is None


@pytest.mark.parametrize("kind", sorted(VIDEO_SHARES))
def test_a_video_distractor_is_in_its_window_and_nowhere_else(kind, make, plain):
    distractor = Distractor(modality="video", kind=kind, window=WINDOW, strength=0.7, seed=1)
    sidecar, _, media = make(distractors=(distractor,))
    clean = plain[2].frames.pixels.astype(float)
    pixels = media.frames.pixels.astype(float)
    (placed,) = sidecar.distractors
    assert placed.start_seconds == pytest.approx(WINDOW[0] * sidecar.duration_seconds, abs=0.002)
    times = np.arange(sidecar.num_frames) / sidecar.frames_per_second
    inside = (times >= placed.start_seconds) & (times < placed.end_seconds)
    assert 0 < inside.sum() < len(inside)

    change = np.abs(pixels - clean).mean(axis=(1, 2, 3))
    assert change[inside].min() > 2.5 * change[~inside].max()
    if kind in ("blur", "pixelate"):
        ratio = sharpness(pixels) / sharpness(clean)
        assert ratio[inside].max() < 0.85 < 0.93 < ratio[~inside].min()
    if kind == "dark":
        brightness = pixels.mean(axis=(1, 2, 3)) / clean.mean(axis=(1, 2, 3))
        assert brightness[inside].max() < 0.45 and brightness[~inside].min() > 0.95
    if kind.startswith("occlude"):
        part = "mouth_box" if kind == "occlude_mouth" else "eyes_box"
        for number in np.flatnonzero(inside):
            left, top, right, bottom = (round(edge * 64) for edge in getattr(sidecar.face, part)[number])
            region = (slice(top, bottom), slice(left, right))
            # the whole part is another thing's colour now
            assert (np.abs(pixels[number] - clean[number])[region].max(axis=-1) > 6).mean() > 0.8
        left, top, right, bottom = placed.box
        center = getattr(sidecar.face, part)[int(np.flatnonzero(inside)[0])]
        assert left < (center[0] + center[2]) / 2 < right and top < (center[1] + center[3]) / 2 < bottom
        # nothing is drawn beside the box that is told, but for what the codec smears
        outside = np.ones((64, 64), bool)
        outside[int(top * 64) - 1 : int(bottom * 64) + 2, int(left * 64) - 1 : int(right * 64) + 2] = False
        assert np.abs(pixels - clean)[inside].max(axis=-1)[:, outside].mean() < 6
    else:
        assert placed.box is None


def band_level(waveform, low_hz, high_hz):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    frequency = np.fft.rfftfreq(len(waveform), 1 / 16_000)
    return np.sqrt((spectrum[(frequency >= low_hz) & (frequency < high_hz)] ** 2).mean())


@pytest.mark.parametrize("kind", ["hiss", "babble", "hum", "dropout"])
def test_a_sound_distractor_is_in_its_window_and_nowhere_else(kind, make, plain):
    distractor = Distractor(modality="audio", kind=kind, window=WINDOW, strength=1.0, seed=1)
    sidecar, _, media = make(distractors=(distractor,))
    (placed,) = sidecar.distractors
    clean, noisy = plain[2].waveform, media.waveform
    num = min(len(clean), len(noisy))
    difference = noisy[:num] - clean[:num]
    # away from the edges, where the codec's blocks straddle
    start, end = (round(at * 16_000) for at in (placed.start_seconds, placed.end_seconds))
    inside, before, after = (
        difference[start + 1600 : end - 1600],
        difference[: start - 1600],
        difference[end + 1600 :],
    )
    assert np.sqrt((inside**2).mean()) > 4 * max(np.sqrt((part**2).mean()) for part in (before, after))
    if kind == "hum":
        assert band_level(inside, 80, 120) > 20 * band_level(inside, 300, 2000)
    if kind == "dropout":
        assert np.abs(noisy[start + 1600 : end - 1600]).max() < 0.02


def test_a_clip_without_sound_has_no_audio_stream(make):
    sidecar, path, media = make(missing="audio")
    info = open_clip(path).info
    assert info.has_video and not info.has_audio
    assert media.waveform is None and sidecar.sound is None
    assert sidecar.transcript == "Who is there?" and sidecar.face is not None


def test_a_clip_without_picture_has_no_video_stream(make):
    sidecar, path, media = make(missing="video")
    info = open_clip(path).info
    assert path.suffix == ".m4a" and info.has_audio and not info.has_video
    assert media.frames is None and sidecar.face is None and sidecar.num_frames == 0


def test_a_clip_without_words_hums_and_its_transcript_is_empty(voice, head, tiny, tmp_path):
    sidecar = make_clip(a_plan(missing="text", audio_emotion="joy"), tiny, head, voice, tmp_path)
    assert sidecar.transcript == "" and sidecar.sound.words == ()
    media = decode(open_clip(tmp_path / sidecar.file), num_frames=4)
    assert np.abs(media.waveform).max() > 0.02


def test_a_voice_that_is_emotional_in_a_window_says_which(voice, head, tiny, tmp_path):
    plan = a_plan(voice_window=(0.5, 0.9), transcript="We can put the boxes in the hallway.")
    sidecar = make_clip(plan, tiny, head, voice, tmp_path)
    spoken = sidecar.speech_end_seconds - sidecar.speech_start_seconds
    start = sidecar.sound.emotional_start_seconds - sidecar.speech_start_seconds
    end = sidecar.sound.emotional_end_seconds - sidecar.speech_start_seconds
    # planned are shares of the whole utterance, with the silence around its phones
    assert start / spoken == pytest.approx(0.5, abs=0.12) and end / spoken == pytest.approx(0.9, abs=0.12)


def test_a_poster_shows_the_expression_at_its_height(said, head, tiny, tmp_path):
    sidecar = make_clip(a_plan(), replace(tiny, poster_size=24), head, said, tmp_path)
    path = tmp_path / sidecar.file
    poster = np.asarray(Image.open(path.with_suffix(".jpg")), float)
    assert poster.shape == (24, 24, 3)
    pixels = decode(open_clip(path), num_frames=sidecar.num_frames).frames.pixels
    shrunk = [
        np.asarray(Image.fromarray(p).resize((24, 24), Image.Resampling.LANCZOS), float) for p in pixels
    ]
    nearest = int(np.argmin([np.abs(poster - one).mean() for one in shrunk]))
    at = nearest / sidecar.frames_per_second
    assert sidecar.face.apex_start_seconds <= at <= sidecar.face.apex_end_seconds


def test_the_same_plan_gives_the_same_bytes(said, head, tiny, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_clip(a_plan(), tiny, head, said, folder)
    for name in ("d00001.mp4", "d00001.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_lips_open_with_the_words(plain):
    sidecar, _, _ = plain
    times = np.arange(sidecar.num_frames) / sidecar.frames_per_second
    opening = np.array(sidecar.face.lip_opening)
    spoken = (times > sidecar.speech_start_seconds) & (times < sidecar.speech_end_seconds)
    assert opening[spoken].max() > opening[times < sidecar.speech_start_seconds - 0.2].max() + 0.02
